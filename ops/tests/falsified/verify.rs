//! Every stored cycle of a real run is decided again; one changed row or value is named with its cycle and field.

use penstock_execution::cycle::stored::{read_input, store};
use penstock_ops::verify::decisions::{Verified, verify};
use penstock_store::ClusterRole;
use penstock_store::testing::TestPair;
use penstock_store_decision::stored_cycles::sessions;

use crate::decision;
use crate::edit::Edit;
use crate::run::recorded;

async fn verified(pair: &TestPair) -> Verified {
    let pool = pair.pool(ClusterRole::Decision, "observer_ro").await.unwrap();
    let mut all = Verified::default();
    for session in sessions(&pool).await.unwrap() {
        let one = verify(&pool, session).await.unwrap();
        all.cycles += one.cycles;
        all.compared += one.compared;
        all.without_finalist += one.without_finalist;
        all.not_kept.extend(one.not_kept);
        all.differences.extend(one.differences);
    }
    pool.close().await;
    all
}

/// The newest cycle with a decision, its symbol, and its input with that symbol's best bid one tick lower.
async fn lowered_bid(pair: &TestPair) -> (i64, String, Vec<u8>, String) {
    let pool = pair.pool(ClusterRole::Decision, "observer_ro").await.unwrap();
    let (cycle, symbol, bytes): (i64, String, Vec<u8>) = sqlx::query_as(
        "select d.evaluation_id, d.symbol, i.input from decisions d
         join cycle_inputs i on i.evaluation_id = d.evaluation_id
         order by d.evaluation_id desc limit 1",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    pool.close().await;
    let (mut input, _) = read_input(&bytes).unwrap();
    let rules = input.instruments.iter().find(|i| i.symbol.as_str() == symbol).unwrap();
    let tick = rules.price_increment;
    let quote = input.quotes.iter_mut().find(|q| q.symbol.as_str() == symbol).unwrap();
    quote.bid -= tick;
    let stored = store(&input).unwrap();
    (cycle, symbol, stored.bytes, stored.hash)
}

/// The one difference that a changed row makes; then it is put back.
async fn named(pair: &TestPair, edit: Edit) -> (i64, String, String) {
    let undo = edit.apply(pair).await;
    let found = verified(pair).await;
    undo.apply().await;
    assert_eq!(found.differences.len(), 1, "{:?}", found.differences);
    let difference = &found.differences[0];
    let symbol = difference.symbol.clone();
    (difference.evaluation_id.0, symbol, difference.field.clone())
}

/// The rows of a real run give every decision of it again: all cycles are equal, and each kind of change is named with
/// its cycle, symbol and field.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn decisions_from_db() {
    let run = recorded().await;
    check(&run.pair).await;
}

async fn check(pair: &TestPair) {
    let whole = verified(pair).await;
    assert_eq!(whole.differences, []);
    assert_eq!(whole.compared + u64::try_from(whole.not_kept.len()).unwrap(), whole.cycles);
    assert!(whole.compared > whole.without_finalist, "no cycle had a finalist: {whole:?}");

    let (cycle, symbol, bytes, hash) = lowered_bid(pair).await;
    let of_cycle = format!("evaluation_id = {cycle}");
    let of_decision = format!("{of_cycle} and symbol = '{symbol}'");
    let gate = format!(
        "decision_id = (select decision_id from decisions where {of_decision} and version = 0)"
    );
    let document = "jsonb_set(decision, '{edge_bps_expected}', '-1')";
    for (edit, field) in [
        (
            decision("decisions", "decision", &of_decision, document)
                .and("edge_bps_expected", "-1"),
            "decision[0].edge_bps_expected",
        ),
        (
            decision("risk_verdicts", "sized_qty", &of_cycle, "sized_qty + 1"),
            "risk_verdict.sized_qty",
        ),
        (decision("ai_gate_events", "model", &gate, "'another'"), "ai_gate.model"),
    ] {
        let found = named(pair, edit).await;
        assert_eq!((found.0, found.2.as_str()), (cycle, field));
        assert!(!found.1.is_empty(), "{field} names its symbol");
    }
    let input = format!("decode('{}', 'hex')", hex::encode(bytes));
    let moved =
        decision("cycle_inputs", "input", &of_cycle, &input).and("input_hash", format!("'{hash}'"));
    let found = named(pair, moved).await;
    let at = (found.0, found.1.as_str());
    assert_eq!(at, (cycle, symbol.as_str()), "a price that moved by one tick: {}", found.2);

    // A value of the configuration: every cycle that was decided with it.
    let to = "jsonb_set(config, '{decide,topk_size}', '4')";
    let undo = decision("exec_configs", "config", "true", to).apply(pair).await;
    let found = verified(pair).await;
    undo.apply().await;
    assert!(!found.differences.is_empty());
    assert!(found.differences.iter().all(|difference| difference.field == "config_hash"));
    assert_eq!(verified(pair).await, whole, "all of it is put back");
}
