//! The way from the spool into the run's partitions on a real cluster: each record once, whatever
//! happens in between; duplicates, refused rows, closed runs, and the races of the spool.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod races;
mod rig;
mod shedding;

use penstock_store::RightOfWay;
use penstock_store::raw_rows::{ROW_VERSION, encode_raw, stream_code};
use penstock_store::samples::{sample_derivative, sample_lineage, sample_raw, sample_run};
use penstock_store::spool::loader::LoadStep;
use penstock_store_ingest::generations::generations_of_run;
use penstock_store_ingest::raw_read::RawReader;
use penstock_store_ingest::runs::{load_cursor, open_run, seq_holes};
use penstock_types::raw::{RawBody, RawRow};
use penstock_types::{RunId, Seq};
use rig::{RUN, Rig, TOKEN, WAIT, load_all};

#[tokio::test]
async fn every_record_is_loaded_once_and_reads_back_equal() {
    let mut rig = Rig::new().await;
    let of_spot = (1..=1_600).map(|seq| sample_raw(RUN, seq));
    let rows: Vec<RawRow> = of_spot.chain((1_601..=2_000).map(sample_derivative)).collect();
    for row in &rows {
        rig.append(row);
    }
    rig.finish();

    let steps = load_all(&mut rig.loader(None, 300)).await;

    let batches = steps.iter().filter(|s| matches!(s, LoadStep::Loaded(_))).count();
    assert!(batches >= 7, "{batches} batches");
    let Some(LoadStep::Closed(closed)) = steps.last() else { panic!("{steps:?}") };
    assert_eq!((closed.last_seq, closed.gaps), (Seq(2_000), 0));
    assert!(seq_holes(&rig.pool, RUN).await.unwrap().is_empty());
    let cursor = load_cursor(&rig.pool, RUN).await.unwrap().unwrap();
    assert_eq!((cursor.rows_loaded, cursor.complete), (2_000, true));
    let mut reader = RawReader::new(rig.pool.clone(), RUN, Seq(0), Seq(2_000));
    let mut read = Vec::new();
    while let Some(window) = reader.next_window().await.unwrap() {
        read.extend(window);
    }
    assert_eq!(read, rows);
    assert!(rig.segments.runs().is_empty(), "segments of a closed run are unlinked");
}

#[tokio::test]
async fn a_publication_that_hangs_does_not_stop_the_loading() {
    let mut rig = Rig::new().await;
    for seq in 1..=200 {
        rig.append(&sample_raw(RUN, seq));
    }
    rig.finish();
    let way = RightOfWay::default();
    let passing = way.take();

    let steps = load_all(&mut rig.loader(None, 300).giving_way(&way)).await;

    drop(passing);
    assert!(matches!(steps.last(), Some(LoadStep::Closed(_))), "{steps:?}");
    let cursor = load_cursor(&rig.pool, RUN).await.unwrap().unwrap();
    assert_eq!((cursor.rows_loaded, cursor.complete), (200, true));
}

#[tokio::test]
async fn two_loaders_that_take_turns_load_nothing_twice() {
    let mut rig = Rig::new().await;
    for seq in 1..=400 {
        rig.append(&sample_raw(RUN, seq));
    }
    rig.finish();
    let mut loaders = [rig.loader(Some(RUN), 50), rig.loader(Some(RUN), 70)];
    let mut idle = 0;
    let mut turn = 0;
    // The one whose position is stale stands where an unknown commit leaves a loader.
    while idle < 4 {
        match loaders[turn % 2].step().await.unwrap() {
            LoadStep::Idle => idle += 1,
            LoadStep::Loaded(_) => idle = 0,
            other => panic!("{other:?}"),
        }
        turn += 1;
    }

    let cursor = load_cursor(&rig.pool, RUN).await.unwrap().unwrap();

    assert_eq!((cursor.rows_loaded, cursor.last_seq), (400, Seq(400)));
    assert_eq!(rig.count("trade_samples").await, 100);
}

#[tokio::test]
async fn duplicate_costs_only_itself_and_a_refused_row_is_put_aside() {
    let mut rig = Rig::new().await;
    // A trade that stands already, as if the cursor had missed it.
    let trade = sample_raw(RUN, 5);
    let mut tuple = Vec::new();
    encode_raw(&mut tuple, RUN, &trade);
    sqlx::query(
        "insert into trade_samples (run_id, seq, venue, symbol, trade_id, side, kind, ord_type,
             price, qty, ts_exchange, ts_local, conn_id)
         values (7, 5, 0, 'S005/USD', 5, 'b', 'f', 'l', 1, 1, now(), now(), 1)",
    )
    .execute(&rig.pool)
    .await
    .unwrap();
    for seq in 1..=100 {
        let mut row = sample_raw(RUN, seq);
        if seq == 41 {
            let RawBody::Trade(trade) = &mut row.body else { panic!("41 is a trade") };
            trade.qty = penstock_types::Decimal::ZERO;
        }
        rig.append(&row);
    }
    rig.append_generation(1, 40);
    rig.append_generation(2, 41);
    rig.finish();

    let steps = load_all(&mut rig.loader(Some(RUN), 1_000)).await;

    let LoadStep::Loaded(loaded) = &steps[0] else { panic!("{steps:?}") };
    assert_eq!((loaded.duplicates, loaded.quarantined), (1, 1));
    assert_eq!(rig.count("trade_samples").await, 24);
    let (seq, state): (i64, String) =
        sqlx::query_as("select seq, sqlstate from raw_quarantine where run_id = 7")
            .fetch_one(&rig.pool)
            .await
            .unwrap();
    assert_eq!((seq, state.as_str()), (41, "23514"));
    assert!(seq_holes(&rig.pool, RUN).await.unwrap().is_empty(), "quarantine is no hole");
    let complete: Vec<bool> =
        generations_of_run(&rig.pool, RUN).await.unwrap().iter().map(|g| g.raw_complete).collect();
    assert_eq!(complete, [true, false], "generations at or above the refused row");
}

/// A rollover: the run before is loaded to its end while it is still the own one, and is closed all the
/// same when the loader learns of the next.
#[tokio::test]
async fn a_run_that_rolls_over_is_closed_although_its_segments_are_gone_already() {
    let mut rig = Rig::new().await;
    let next = RunId(RUN.0 + 1);
    let run = sample_run(next, TOKEN);
    open_run(&rig.pool, &run, &sample_lineage(&run)).await.unwrap();
    for seq in 1..=20 {
        rig.append(&sample_raw(RUN, seq));
    }
    let writer = rig.writer.as_mut().unwrap();
    writer.begin_run(next);
    let mut tuple = Vec::new();
    let row = sample_raw(next, 1);
    encode_raw(&mut tuple, next, &row);
    writer.append(stream_code(row.stream()), row.seq, ROW_VERSION, row.ts_local, &tuple);
    let mut monitor = writer.monitor();
    assert!(monitor.wait_synced(next, Seq(1), WAIT).await);

    let mut loader = rig.loader(Some(RUN), 1_000);
    let before = load_all(&mut loader).await;
    assert!(matches!(&before[0], LoadStep::Loaded(b) if b.run_id == RUN && b.rows == 20));
    assert_eq!(rig.segments.runs(), [next], "what is loaded is unlinked");
    assert!(matches!(loader.step().await.unwrap(), LoadStep::Idle), "it waits for the word");
    loader.set_own_run(Some(next));
    let closed = loader.step().await.unwrap();
    assert!(matches!(closed, LoadStep::Closed(c) if c.run_id == RUN && c.gaps == 0));
    let after = load_all(&mut loader).await;
    assert!(matches!(&after[0], LoadStep::Loaded(b) if b.run_id == next && b.rows == 1));
}
