//! Two instances on one account, and an instance whose token bindings are not those of the published run.

use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;

use super::world::World;

const POSITION: &str = "select status from positions";
const TOKEN: &str = "select fencing_token::text from service_fences where service = 'execution'";
const SESSIONS: &str = "select count(*)::text from execution_sessions";

/// A token table of one token; the other process calls its asset by another name.
pub(crate) fn bindings(asset: &str) -> String {
    format!(
        "[[engine.token]]\nid = 1\nsymbol = \"{asset}\"\nclass = \"GMA\"\nprofile = \"SPOT_ONLY\"\n\
         instruments = [{{ venue = \"kraken\", symbol = \"BTC/USD\", roles = [\"price_ref\", \"flow\", \
         \"spot_primary\"] }}]\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_instance_gets_nothing_and_the_first_never_notices() {
    // given a first instance with a protected position
    let world = World::new().await;
    world.configure("fence_acquire_timeout_secs = 3\n");
    let mut first = world.execution("first", None);
    first.until_marker("EXECUTION_ATTACHED").await;
    world.heat(true);
    world.until_protected(&first).await;
    world.heat(false);
    let (token, sessions) = (world.word(TOKEN).await, world.word(SESSIONS).await);
    let requests = world.venue.venue.requests.all().0.len();

    // when a second one starts on the same domain and account
    let mut second = world.execution("second", None);
    let status = second.ended().await;

    // then it waits for its time, says so, and has touched neither rows nor venue
    assert_eq!(status.code(), Some(75), "{}", second.last_words());
    let busy = second.markers("FENCE_BUSY");
    assert!(busy.iter().any(|line| line["reason"] == "lock"), "{busy:?}");
    assert!(second.errors().contains("FENCE_BUSY"), "{}", second.errors());
    assert!(second.errors().contains(&format!("process {}", first.pid())), "{}", second.errors());
    assert!(second.markers("EXECUTION_ENGINE_START").is_empty());
    assert_eq!(world.word(TOKEN).await, token);
    assert_eq!(world.word(SESSIONS).await, sessions);
    let said = |name: &str| first.markers(name).len();
    assert_eq!((said("EXECUTION_FENCED_OUT"), said("FENCE_BUSY")), (0, 0));
    let (all, _) = world.venue.venue.requests.all();
    let connections: std::collections::BTreeSet<u64> =
        all[..requests].iter().filter(|r| r.via == "ws").map(|r| r.connection).collect();
    let later = all[requests..].iter().filter(|r| r.via == "ws");
    for request in later {
        assert!(connections.contains(&request.connection), "a stranger asked: {request:?}");
    }
    assert!(first.runs());

    // and when the first is killed, the next takes the fence by the lock, not by the lease
    first.kill().await;
    let mut third = world.execution("third", None);
    let acquired = third.until_marker("FENCE_ACQUIRED").await;
    assert_eq!(acquired["via"], "lock", "{acquired}");
    third.until_marker("RECONCILE_COMPLETE").await;
    world.until_protected(&third).await;
    world.agrees("the successor").await;
    world.ask("flatten").await;
    world.until_word(&third, POSITION, &["closed"]).await;
    world.agrees("closed").await;
    assert_eq!(third.stop().await, Some(0), "{}", third.last_words());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_token_bindings_are_refused_with_both_hashes_and_the_first_difference() {
    // given a run whose tokens are those of another table
    let theirs = resolved(&bindings("XBT")).bindings;
    let hash = hex::encode(theirs.hash());
    let world = World::with(|market| {
        market.run.bindings_hash = hex::encode(theirs.hash());
        market.run.bindings = Arc::new(theirs.to_json());
    })
    .await;
    world.configure(&bindings("BTC"));
    world.heat(true);

    // when execution starts without exposure
    let mut life = world.execution("first", None);
    let status = life.ended().await;

    // then it refuses, says both sides, and has sent nothing
    assert_eq!(status.code(), Some(78), "{:?} {}", status.signal(), life.last_words());
    let said = life.markers("EXECUTION_BINDINGS_MISMATCH");
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said[0]["theirs"], hash.as_str());
    assert_eq!(said[0]["ours"], hex::encode(resolved(&bindings("BTC")).bindings.hash()).as_str());
    assert_eq!(said[0]["token_id"], 1);
    assert_eq!(said[0]["field"], "symbol");
    assert_eq!(world.word("select count(*)::text from execution_orders").await, "0");
    let (requests, _) = world.venue.venue.requests.all();
    let orders: Vec<_> = requests.iter().filter(|r| r.method.contains("rder")).collect();
    assert!(orders.iter().all(|r| !r.method.to_lowercase().starts_with("add")), "{orders:?}");

    // and with the same table it starts and trades
    world.configure(&bindings("XBT"));
    let mut life = world.execution("second", None);
    life.until_marker("EXECUTION_ATTACHED").await;
    world.until_protected(&life).await;
    world.heat(false);
    world.ask("flatten").await;
    world.until_word(&life, POSITION, &["closed"]).await;
    world.agrees("closed").await;
    assert_eq!(life.stop().await, Some(0), "{}", life.last_words());
}

pub(crate) fn resolved(file: &str) -> penstock_config::Config {
    let sources = penstock_config::Sources {
        process: penstock_config::Process::Execution,
        file: Some(("test.toml".to_owned(), file.to_owned())),
        environment: std::collections::BTreeMap::from([(
            "DECISION_DATABASE_URL".to_owned(),
            "postgres://exec_rw@localhost/decision".to_owned(),
        )]),
        secret_files: std::collections::BTreeMap::new(),
    };
    penstock_config::resolve(&sources).unwrap()
}
