//! The engine in the real process: killed without warning it goes on where its files end, and all that it
//! ever wrote is derived again from its journal.

use std::sync::Arc;

use penstock_engine_io::EngineDirs;
use penstock_engine_io::replay::{ReplayStart, Verdict, level_a, level_b};

use super::instances::{bindings, resolved};
use super::world::World;

const HEARTBEAT: &str =
    "select status->'engine'->>'core' from service_heartbeats where service = 'execution'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_engine_goes_on_where_its_files_end_and_they_prove_themselves() {
    // given a service whose engine follows the frames and has written a snapshot of its own
    let file = format!("[engine]\nsnapshot_every_ticks = 20\n{}", bindings("BTC"));
    let config = resolved(&file);
    let world = World::with(|market| {
        market.run.bindings_hash = hex::encode(config.bindings.hash());
        market.run.bindings = Arc::new(config.bindings.to_json());
    })
    .await;
    world.configure(&file);
    let mut first = world.execution("first", None);
    first.until_marker("ENGINE_CAUGHT_UP").await;
    world.until_word(&first, HEARTBEAT, &["running"]).await;
    let root = world.data().join("engine");
    let dirs = EngineDirs::under(&root);
    super::process::until("two snapshots", || {
        penstock_engine_io::snapshots::ticks(&dirs).is_ok_and(|ticks| ticks.len() >= 2)
    })
    .await;

    // when it is killed and starts again
    first.kill().await;
    let mut second = world.execution("second", None);
    let recovered = second.until_marker("ENGINE_RECOVERED").await;
    assert!(recovered["snapshot_tick"].is_u64(), "{recovered}");
    second.until_marker("ENGINE_CAUGHT_UP").await;
    assert_eq!(second.stop().await, Some(0), "{}", second.last_words());
    let ends = second.markers("ENGINE_SHUTDOWN");
    assert_eq!(ends.len(), 1, "{ends:?}");
    assert_eq!(ends[0]["outcome"], "snapshot");
    assert!(second.markers("ENGINE_FATAL").is_empty(), "{}", second.last_words());

    // then both lives are one run: every byte follows from the journal, every state from the log
    let b = level_b(&dirs, &config.engine.config, ReplayStart::Genesis, None, None).unwrap();
    assert_eq!((b.verdict, &b.first_mismatch), (Verdict::Identical, &None));
    assert_eq!(ends[0]["last_tick"].as_u64(), snapshot_of(&dirs));
    let a = level_a(&dirs, &config.engine.config, None).unwrap();
    assert_eq!((a.verdict, a.ticks), (Verdict::Identical, b.ticks));
    assert_eq!(a.state_chain, b.state_chain);
}

fn snapshot_of(dirs: &EngineDirs) -> Option<u64> {
    penstock_engine_io::snapshots::ticks(dirs).unwrap().pop()
}
