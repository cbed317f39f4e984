//! The engine in the real process: killed without warning it goes on where its files end, all that it ever wrote
//! is derived again from its journal, and another configuration takes its state over with the operator's word.

use std::sync::Arc;

use penstock_engine_io::EngineDirs;
use penstock_engine_io::replay::{ReplayStart, Verdict, level_a, level_b};

use super::instances::{bindings, resolved};
use super::process::Execution;
use super::world::World;

const HEARTBEAT: &str =
    "select status->'engine'->>'core' from service_heartbeats where service = 'execution'";

/// One token, with so many minutes of warm-up.
fn file(warmup_minutes: u8) -> String {
    format!(
        "[engine]\nsnapshot_every_ticks = 20\nwarmup_minutes = {warmup_minutes}\n{}",
        bindings("BTC")
    )
}

/// A market whose run names the tokens of this configuration.
async fn world(config: &penstock_config::Config) -> World {
    World::with(|market| {
        market.run.bindings_hash = hex::encode(config.bindings.hash());
        market.run.bindings = Arc::new(config.bindings.to_json());
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_engine_goes_on_where_its_files_end_and_they_prove_themselves() {
    // given a service whose engine follows the frames and has written a snapshot of its own
    let file = file(1);
    let config = resolved(&file);
    let world = world(&config).await;
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

/// A core that refused its start: both hashes. The service runs without it and stops cleanly.
async fn refused(mut life: Execution) -> (String, String) {
    let fatal = life.until_marker("ENGINE_FATAL").await;
    assert_eq!(fatal["code"], "E_SNAP_CONFIG", "{fatal}");
    life.until_marker("EXECUTION_ATTACHED").await;
    assert_eq!(life.stop().await, Some(0), "{}", life.last_words());
    assert!(life.markers("ENGINE_RECOVERED").is_empty(), "{}", life.last_words());
    let side = |name: &str| fatal[name].as_str().unwrap().to_owned();
    (side("expected"), side("actual"))
}

/// A core that came back, and how; it is stopped cleanly once it has executed what is there.
async fn recovered(mut life: Execution) -> serde_json::Value {
    let recovered = life.until_marker("ENGINE_RECOVERED").await;
    life.until_marker("ENGINE_CAUGHT_UP").await;
    assert_eq!(life.stop().await, Some(0), "{}", life.last_words());
    assert!(life.markers("ENGINE_FATAL").is_empty(), "{}", life.last_words());
    recovered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_configuration_asks_for_the_operators_word_once_and_takes_no_wrong_one() {
    // given files of one configuration, and another one in force
    let (had, now) = (resolved(&file(1)), resolved(&file(2)));
    let hash = |config: &penstock_config::Config| hex::encode(config.engine.config.sha256());
    let world = world(&had).await;
    world.configure(&file(1));
    recovered(world.execution("first", None)).await;
    world.configure(&file(2));

    // when nobody says a word, or one that is no hash or the hash of something else
    let silent = refused(world.execution("silent", None)).await;
    assert_eq!(silent, (hash(&had), hash(&now)));
    let mut garbled = world.accepting("garbled", &hash(&now)[..63]);
    assert_eq!(garbled.ended().await.code(), Some(2), "{}", garbled.last_words());
    assert!(garbled.errors().contains("64 hexadecimal digits"), "{}", garbled.errors());
    let other = "5a".repeat(32);
    let wrong = refused(world.accepting("wrong", &other)).await;
    assert_eq!(wrong, (other, hash(&now)));

    // then nothing has changed, and with the right word the state goes over at the next tick
    let dirs = EngineDirs::under(&world.data().join("engine"));
    let last = snapshot_of(&dirs).unwrap();
    let accepted = recovered(world.accepting("accepted", &hash(&now))).await;
    assert_eq!(accepted["changed_at"].as_u64(), Some(last + 1), "{accepted}");

    // and the word is asked for once
    let later = recovered(world.execution("later", None)).await;
    assert!(
        later["changed_at"].is_null() && later["snapshot_tick"].as_u64() > Some(last),
        "{later}"
    );

    // and every byte follows from the journal under both
    let b = level_b(&dirs, &now.engine.config, ReplayStart::Genesis, None, None).unwrap();
    assert_eq!((b.verdict, &b.first_mismatch), (Verdict::Identical, &None));
    let a = level_a(&dirs, &now.engine.config, None).unwrap();
    assert_eq!((a.verdict, a.ticks, a.state_chain), (Verdict::Identical, b.ticks, b.state_chain));
}
