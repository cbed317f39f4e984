//! Races between the spool, its loader and the ingest cluster, each by the number that its model has.
//!
//! F2: outputs behind the cursor. F3: what takes `raw_complete` from a generation. F5: a device that
//! refuses writes. F8: a paused process whose run another host has closed.

use crate::rig::{RUN, Rig, WAIT, insert_generation, load_all, load_until, load_until_free, poll};
use penstock_store::samples::sample_raw;
use penstock_store::spool::loader::{LoadError, LoadStep};
use penstock_store_ingest::generations::generations_of_run;
use penstock_store_ingest::runs::{load_cursor, seq_holes};
use penstock_types::Seq;
use penstock_types::raw::RawBody;
use sqlx::PgPool;
use std::time::Duration;

/// Each generation's last number, and whether it can be derived again.
async fn complete(pool: &PgPool) -> Vec<(i64, bool)> {
    let rows = generations_of_run(pool, RUN).await.unwrap();
    rows.iter().map(|g| (g.wm_seq.0, g.raw_complete)).collect()
}

/// F2: outputs carry the number of the event that caused them, which the cursor has already passed.
#[tokio::test]
async fn f2_candle_and_generation_rows_behind_the_cursor_are_loaded() {
    let mut rig = Rig::new().await;
    for seq in 1..=10 {
        rig.append(&sample_raw(RUN, seq));
    }
    let mut monitor = rig.writer.as_ref().unwrap().monitor();
    assert!(monitor.wait_synced(RUN, Seq(10), Duration::from_secs(20)).await);
    let mut loader = rig.loader(Some(RUN), 1_000);
    let first = load_all(&mut loader).await;
    rig.append_generation(1, 10);
    rig.append_generation(1, 10);
    rig.finish();

    let second = load_all(&mut loader).await;

    assert!(matches!(&first[0], LoadStep::Loaded(b) if b.rows == 10));
    assert!(matches!(&second[0], LoadStep::Loaded(b) if b.rows == 1 && b.last_seq == Seq(10)));
    assert_eq!(rig.count("state_generations").await, 1);
}

/// F3: what the close of a run finds missing takes `raw_complete` from every generation above it.
#[tokio::test]
async fn f3_close_explains_each_hole_and_marks_generations_above_it() {
    let mut rig = Rig::new().await;
    for seq in (1..=50).filter(|seq| !(20..=22).contains(seq)) {
        rig.append(&sample_raw(RUN, seq));
    }
    rig.append_generation(1, 19);
    rig.append_generation(2, 22);
    rig.append_generation(3, 60);
    rig.finish();
    let mut loader = rig.loader(None, 1_000);

    let steps = load_all(&mut loader).await;
    let again = loader.close_run(RUN).await.unwrap();

    let Some(LoadStep::Closed(closed)) = steps.last() else { panic!("{steps:?}") };
    assert_eq!((closed.gaps, closed.incomplete_generations, closed.last_seq), (1, 2, Seq(50)));
    assert!(again.was_closed);
    let holes = seq_holes(&rig.pool, RUN).await.unwrap();
    assert_eq!(holes.len(), 1);
    assert!(holes[0].explained);
    assert_eq!((holes[0].first_missing, holes[0].last_missing), (Seq(20), Seq(22)));
    let (from, to): (chrono::DateTime<chrono::Utc>, chrono::DateTime<chrono::Utc>) =
        sqlx::query_as("select gap_from, gap_to from ingest_stream_events where kind = 'raw_drop'")
            .fetch_one(&rig.pool)
            .await
            .unwrap();
    assert_eq!((to - from).num_milliseconds(), 4, "between the neighbours 19 and 23");
}

/// F3: a bad place inside the spool costs the rest of its segment; the close explains the numbers that
/// went with it, and generations above them are no longer complete, those below are.
#[tokio::test]
async fn f3_raw_complete_after_a_bad_place_in_the_spool() {
    let mut rig = Rig::new().await;
    for seq in 1..=1_500 {
        rig.append(&sample_raw(RUN, seq));
        if seq == 50 {
            rig.append_generation(1, 50);
        }
    }
    rig.append_generation(2, 1_500);
    rig.finish();
    let first = rig.segments.path(RUN, 1);
    let mut bytes = std::fs::read(&first).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&first, &bytes).unwrap();

    let opened = rig.reopen();
    assert!(matches!(&opened.own.damage[..], [bad] if !bad.torn_tail && bad.path == first));
    let steps = load_all(&mut rig.loader(None, 1_000)).await;

    let Some(LoadStep::Closed(closed)) = steps.last() else { panic!("{steps:?}") };
    assert_eq!((closed.gaps, closed.incomplete_generations), (1, 1));
    assert_eq!(closed.last_seq, Seq(1_500));
    let holes = seq_holes(&rig.pool, RUN).await.unwrap();
    assert!(matches!(&holes[..], [hole] if hole.explained && hole.first_missing > Seq(50)));
    let lost = holes[0].last_missing.0 - holes[0].first_missing.0 + 1;
    let cursor = load_cursor(&rig.pool, RUN).await.unwrap().unwrap();
    assert_eq!(cursor.rows_loaded, 1_502 - lost, "the neighbours are there");
    assert_eq!(complete(&rig.pool).await, [(50, true), (1_500, false)]);
}

/// F3: a refused row takes `raw_complete` from every generation at or above it, whether its row stood
/// before or comes through the spool later; the close changes nothing more.
#[tokio::test]
async fn f3_raw_complete_after_quarantine() {
    let mut rig = Rig::new().await;
    insert_generation(&rig.pool, 1, 40).await;
    insert_generation(&rig.pool, 2, 41).await;
    for seq in 1..=100 {
        let mut row = sample_raw(RUN, seq);
        if seq == 41 {
            let RawBody::Trade(trade) = &mut row.body else { panic!("41 is a trade") };
            trade.qty = penstock_types::Decimal::ZERO;
        }
        rig.append(&row);
    }
    rig.append_generation(3, 100);
    rig.finish();
    let mut loader = rig.loader(Some(RUN), 60);
    let first = loader.step().await.unwrap();
    assert!(matches!(&first, LoadStep::Loaded(batch) if batch.quarantined == 1), "{first:?}");
    assert_eq!(complete(&rig.pool).await, [(40, true), (41, false)], "with the row itself");
    let steps = load_all(&mut rig.loader(None, 60)).await;

    let Some(LoadStep::Closed(closed)) = steps.last() else { panic!("{steps:?}") };
    assert_eq!((closed.gaps, closed.incomplete_generations), (0, 0));
    assert_eq!(complete(&rig.pool).await, [(40, true), (41, false), (100, false)]);
}

/// F8: a paused ingest wakes after another host has closed its run.
#[tokio::test]
async fn f8_own_run_closed_by_another_host_stops_the_loader_and_sets_old_segments_aside() {
    let mut rig = Rig::new().await;
    for seq in 1..=10 {
        rig.append(&sample_raw(RUN, seq));
    }
    rig.finish();
    sqlx::query("update raw_load_cursor set complete = true where run_id = 7")
        .execute(&rig.pool)
        .await
        .unwrap();

    let own = rig.loader(Some(RUN), 1_000).step().await;
    let old = rig.loader(None, 1_000).step().await.unwrap();

    assert!(matches!(own, Err(LoadError::OwnRunClosed { run_id: RUN })), "{own:?}");
    assert!(matches!(old, LoadStep::SetAside { run_id: RUN, segments: 1 }));
    assert_eq!(rig.count("trade_samples").await, 0);
}

/// F5: the spool's disk refuses writes. Records pass it on their way to the cluster, after everything
/// that is synced; when it takes writes again the spool goes on, and each row stands once.
#[tokio::test]
async fn f5_device_error_lets_records_pass_the_spool_and_loads_each_once() {
    let mut rig = Rig::new().await;
    let mut monitor = rig.writer.as_ref().unwrap().monitor();
    let mut seq = 0;
    let mut more = |rig: &mut Rig, until: i64| {
        while seq < until {
            seq += 1;
            rig.append(&sample_raw(RUN, seq));
        }
    };
    more(&mut rig, 100);
    assert!(monitor.wait_synced(RUN, Seq(100), WAIT).await);
    // No file can be made where the second segment belongs: an error of the device at each attempt.
    let in_the_way = rig.segments.path(RUN, 2);
    std::fs::create_dir(&in_the_way).unwrap();
    let mut loader = rig.loader(Some(RUN), 1_000);
    assert!(matches!(&load_all(&mut loader).await[0], LoadStep::Loaded(b) if b.rows == 100));

    // The first segment fills up, the second is refused twice; the cluster gets the rows all the same.
    more(&mut rig, 1_500);
    poll("the device fails", || monitor.failed()).await;
    rig.append_generation(1, 1_500);
    load_until(&mut loader, &rig, 1_500).await;
    // The generation may have come behind the last batch.
    load_until_free(&mut loader, &monitor).await;
    assert!(monitor.synced().seq < 1_500, "the spool does not hold them");

    std::fs::remove_dir(&in_the_way).unwrap();
    more(&mut rig, 1_600);
    assert!(monitor.wait_synced(RUN, Seq(1_600), WAIT).await);
    assert!(!monitor.failed());
    rig.finish();
    let mut loader = rig.loader(None, 1_000);
    let steps = load_all(&mut loader).await;

    let Some(LoadStep::Closed(closed)) = steps.last() else { panic!("{steps:?}") };
    assert_eq!((closed.gaps, closed.last_seq), (0, Seq(1_600)));
    let cursor = load_cursor(&rig.pool, RUN).await.unwrap().unwrap();
    assert_eq!((cursor.rows_loaded, cursor.rows_quarantined), (1_601, 0));
    assert!(seq_holes(&rig.pool, RUN).await.unwrap().is_empty());
    assert_eq!(rig.count("state_generations").await, 1);
}

/// F5: the process ends while its device refuses writes: what is in memory is loaded before the run is
/// closed.
#[tokio::test]
async fn f5_stop_beside_a_failed_device_loads_what_only_memory_holds() {
    let mut rig = Rig::new().await;
    let monitor = rig.writer.as_ref().unwrap().monitor();
    std::fs::create_dir(rig.segments.path(RUN, 1)).unwrap();
    for seq in 1..=40 {
        rig.append(&sample_raw(RUN, seq));
    }
    poll("the device fails", || monitor.failed()).await;
    rig.finish();
    let steps = load_all(&mut rig.loader(None, 1_000)).await;

    let Some(LoadStep::Closed(closed)) = steps.last() else { panic!("{steps:?}") };
    assert_eq!((closed.gaps, closed.last_seq), (0, Seq(40)));
}
