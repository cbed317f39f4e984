//! The gate of the engine: its token warms up.

use std::collections::BTreeMap;

use penstock_engine::config::{Class, Profile};
use penstock_trading::engine_gate::EngineGates;
use penstock_trading::fixtures::symbol;

use super::Want;
use super::desk::{Desk, Tokens};
use super::made::{config, spot_only};
use super::rig::N;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_token_warms_up() {
    // given: gates that only say what they would do
    let hot = symbol(N - 1);
    let mut engine = config(0);
    engine.tokens.push(engine.token(1, "T", Class::Gma, Profile::SpotOnly, spot_only()));
    let root = tempfile::tempdir().unwrap();
    let tokens = Tokens { root, config: engine, gates: EngineGates::Shadow };
    let mut desk = Desk::with("", BTreeMap::new(), Some(tokens)).await;
    desk.until_normal().await;
    let open = desk.why(&hot).await;
    assert_eq!(open.gate, None, "{}", open.text());

    // when they close, at a start
    let want = Want {
        gate: "EngineBlocked",
        reason: "ENGINE_WARMUP",
        value: Some("0"),
        limit: Some("1"),
        unit: "flag",
        next: "baselines",
    };
    set_gates(&mut desk, EngineGates::Enforce);
    desk.restart().await;
    let before = desk.now().await;
    desk.until_normal().await;
    let after = desk.now().await;
    let first = desk.why(&hot).await;
    // then: named, since one of these evaluations, and the same after another start
    want.compare(&first);
    let since = first.since.unwrap();
    assert!(before <= since && since <= after, "{before} {since} {after}");
    desk.restart().await;
    desk.until_normal().await;
    let again = desk.why(&hot).await;
    want.compare(&again);
    assert_eq!(again.since, Some(since));

    // and: opened again
    set_gates(&mut desk, EngineGates::Shadow);
    desk.restart().await;
    desk.until_normal().await;
    let answer = desk.why(&hot).await;
    assert_ne!(answer.gate.as_deref(), Some(want.gate), "{}", answer.text());
}

fn set_gates(desk: &mut Desk, gates: EngineGates) {
    desk.tokens.as_mut().unwrap().gates = gates;
}
