//! A real recording replayed by the simulated venue: every print once, nothing else.

use crate::support::{count, reaches, world_of};
use penstock_sim::server::MarketSource;
use std::path::{Path, PathBuf};

/// The recording of two pairs at depth 10 from 2026, or none when the recordings are not there.
fn recording() -> Option<PathBuf> {
    let root = std::env::var_os("PENSTOCK_RECORDINGS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/recordings"),
        PathBuf::from,
    );
    let found = std::fs::read_dir(root.join("kraken_spot_v2")).ok()?.filter_map(Result::ok);
    found.map(|entry| entry.path()).find(|p| p.to_string_lossy().ends_with(".rec.gz"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_leaves_exactly_its_seventeen_prints_and_no_valid_epoch() {
    let Some(file) = recording() else {
        println!("skipped: no recordings under PENSTOCK_RECORDINGS");
        return;
    };
    let mut world = world_of(MarketSource::Recorded(file), 2, 10.0).await;
    world.extra.insert("L2_DEPTH".to_owned(), "10".to_owned());
    let service = world.service();
    world.decision_reaches("select count(*) from ingest_epochs", 1).await;
    reaches(&world.ingest, "select count(*) from trade_samples", 17).await;
    let progress = world.venue.venue.stats.replay();
    assert!(progress.is_some(), "the venue replays");
    let rows = "select count(*) from run_symbol_state";
    assert_eq!(count(&world.decision, rows).await, 2);
    service.stopped().await.unwrap();
    reaches(&world.ingest, "select count(*) from raw_load_cursor where complete", 1).await;
    let trades = "select count(*) from trade_samples where (symbol = 'ETH/USD'
        and trade_id between 64175815 and 64175819) or (symbol = 'BTC/USD'
        and trade_id between 103436768 and 103436779)";
    assert_eq!(count(&world.ingest, trades).await, 17);
    assert_eq!(count(&world.ingest, "select count(*) from trade_samples").await, 17);
    let holes = "select count(*) from raw_seq_holes where not explained";
    assert_eq!(count(&world.ingest, holes).await, 0);
    let bound = "select count(*) from ingest_epochs where status <> 'invalid'";
    assert_eq!(count(&world.decision, bound).await, 0, "two symbols are no universe");
}
