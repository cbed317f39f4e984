//! A build that sends before it commits: the checker must say so, and must not say so of the right build.

use penstock_ops::demo::{evidence, ledger};
use penstock_ops::invariants::{Facts, Invariant, judge};

use super::world::World;

const POSITION: &str = "select status from positions";

/// What the checker says of one life that entered, protected and closed: whether J1 holds, of how many
/// requests it was judged, what it found.
async fn judged(failpoints: Option<&str>) -> (Option<bool>, u64, Vec<String>) {
    let world = World::new().await;
    let mut life = world.execution("first", failpoints);
    life.until_marker("EXECUTION_ATTACHED").await;
    world.heat(true);
    world.until_protected(&life).await;
    world.heat(false);
    world.ask("flatten").await;
    world.until_word(&life, POSITION, &["closed"]).await;
    world.agrees("closed").await;
    assert_eq!(life.stop().await, Some(0), "{}", life.last_words());
    let mut facts = Facts::default();
    let (account, exposure) = (world.admin("/ledger").await, world.admin("/exposure").await);
    ledger::fill(&mut facts, account, exposure).unwrap();
    let limits = evidence::RouteLimits { fast_ms: 30_000, slow_ms: 45_000 };
    evidence::trading(&mut facts, &world.pool, limits).await.unwrap();
    let report = judge(&facts);
    let verdict = report.verdict(Invariant::J1).unwrap();
    let found = report.findings().filter(|(name, _)| *name == Invariant::J1);
    (verdict.holds(), verdict.judged, found.map(|(_, text)| text.to_owned()).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_sent_before_its_commit_turns_j1_false_and_only_then() {
    let (right, wrong) = tokio::join!(judged(None), judged(Some("send_before_commit=return")));
    println!("committed first: {right:?}\nsent first: {wrong:?}");
    assert_eq!((right.0, right.1), (Some(true), 3), "entry, stop, close: {right:?}");
    assert_eq!((wrong.0, wrong.1), (Some(false), 3), "{wrong:?}");
    assert_eq!(wrong.2.len(), 1, "the entry alone: {wrong:?}");
}
