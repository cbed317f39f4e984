//! Run rollover under load: the recording goes on as if nothing had happened.

use crate::judge::Judge;
use crate::support::{count, reaches, service_of, world};
use penstock_ingest::verify::verify_generations;
use penstock_sim::server::MarketSource;
use penstock_types::RunId;
use penstock_types::frame::decode_quotes;
use sqlx::Row;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollover_leaves_no_gap_no_missing_trade_and_the_same_lineage() {
    let world = world(MarketSource::Pulses, 8).await;
    let judge = Judge::of(&world.venue);
    let mut settings = world.settings();
    settings.rollover = Duration::from_secs(8);
    let service = service_of(settings);
    world.decision_reaches("select count(distinct run_id) from engine_tick_frames", 3).await;
    let judged = "select count(*) from ingest_epochs where run_id >= 2";
    world.decision_reaches(judged, 2).await;
    let last: i64 = count(&world.decision, "select max(run_id) from engine_tick_frames").await;
    let rows = format!("select count(*) from trade_samples where run_id = {last}");
    crate::support::reaches_text(&world.ingest, &rows, 10).await;
    let closed = "select count(*) from raw_load_cursor c join observation_runs r using (run_id)
        where c.complete and r.end_reason = 'rollover'";
    reaches(&world.ingest, closed, 2).await;
    service.stopped().await.unwrap();

    let found = judge.compare(&world.ingest).await;
    println!("{} prints compared over the rollovers", found.compared);
    assert!(found.missing.is_empty() && found.foreign.is_empty(), "{found:?}");
    let decision = &world.decision;
    let steps =
        "select count(*) from (select tick_id - lag(tick_id) over (order by tick_id) as step,
        frame_seq - lag(frame_seq) over (order by tick_id) as number from engine_tick_frames) s
        where step <> 1 or number <> 1";
    assert_eq!(count(decision, steps).await, 0, "ticks and numbers go on");
    assert_eq!(count(decision, "select count(*) from ingest_lineage").await, 1);
    let rolled = "select count(*) from observation_runs r join observation_runs p
        on p.run_id = r.predecessor_run_id where p.end_reason = 'rollover'";
    assert!(count(decision, rolled).await >= 2);
    assert!(count(&world.ingest, rolled).await >= 2);
    // A busy machine may hear a connection late; that is a row of its own and no gap.
    // The stop itself closes the socket, in the newest run.
    let gaps: Vec<String> = sqlx::query_scalar(
        "select to_jsonb(e)::text from ingest_stream_events e where kind in ('gap', 'raw_drop')
             and run_id < (select max(run_id) from raw_seq)",
    )
    .fetch_all(&world.ingest)
    .await
    .unwrap();
    assert_eq!(gaps, Vec::<String>::new(), "no gap row at a rollover");
    let holes = "select count(*) from raw_seq_holes where not explained";
    assert_eq!(count(&world.ingest, holes).await, 0);
    let first =
        "select count(*) from (select run_id, min(seq) as first from raw_seq group by run_id) s
        where first <> 1";
    assert_eq!(count(&world.ingest, first).await, 0, "numbers begin anew");
    let late = "select count(*) from ingest_epochs where run_id >= 2 and status <> 'valid'";
    assert_eq!(count(decision, late).await, 0, "epochs go on, and are valid");
    // The newest is loaded within ten seconds after the stop, or by the next start.
    let loaded: Vec<i64> =
        sqlx::query_scalar("select run_id from raw_load_cursor where complete order by run_id")
            .fetch_all(&world.ingest)
            .await
            .unwrap();
    let mut derived = 0;
    for run_id in loaded {
        let report = verify_generations(&world.ingest, RunId(run_id)).await.unwrap();
        println!("run {run_id}: {report:?}");
        assert!(report.is_equal(), "run {run_id}: {report:?}");
        derived += usize::from(report.equal >= 2);
    }
    // One that was prepared and cut off by the stop is empty.
    assert!(derived >= 3, "{derived} runs were derived again");
    quotes_stand_in_the_first_frames(decision).await;
}

/// The first frame of each later run carries every quote under its new number.
async fn quotes_stand_in_the_first_frames(decision: &sqlx::PgPool) {
    let rows = sqlx::query(
        "select distinct on (f.run_id) f.run_id, f.quotes,
             (select count(*) from run_symbols s where s.run_id = f.run_id) as symbols
         from engine_tick_frames f where f.run_id >= 2 order by f.run_id, f.tick_id",
    )
    .fetch_all(decision)
    .await
    .unwrap();
    assert!(rows.len() >= 2);
    for row in rows {
        let (run_id, quotes, symbols): (i64, Vec<u8>, i64) = (row.get(0), row.get(1), row.get(2));
        let block = decode_quotes(&quotes).unwrap();
        assert!(block.full, "run {run_id}");
        assert_eq!(block.entries.len() as i64, symbols, "run {run_id}");
        let quoted = block.entries.iter().filter(|e| !e.is_withdrawn()).count();
        assert!(quoted as i64 >= symbols - 1, "run {run_id}: {quoted} of {symbols} are quoted");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ended_run_leaves_a_summary_of_its_pairs() {
    let world = world(MarketSource::Pulses, 6).await;
    let first = world.service();
    reaches(&world.ingest, "select count(*) from trade_samples", 30).await;
    first.stopped().await.unwrap();
    let second = world.service();
    let rows = "select count(*) from pair_summary_24h where run_id = 1 and trade_count > 0
        and quote_volume > 0 and avg_spread_bps > 0 and p95_spread_bps >= p50_spread_bps
        and l2_uptime > 0 and suitability_score between 0 and 1";
    reaches(&world.ingest, rows, 3).await;
    second.stopped().await.unwrap();
    let told = "select count(*) from pair_summary_24h s where s.run_id = 1 and s.trade_count <>
        (select count(*) from trade_samples t where t.run_id = 1 and t.symbol = s.symbol)";
    assert_eq!(count(&world.ingest, told).await, 0, "counts are those of the rows");
    let best = "select count(*) from pair_summary_24h where suitability_score > 0.5";
    assert!(count(&world.ingest, best).await >= 1);
}
