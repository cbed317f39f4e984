//! Each invariant on a real run: true as it was recorded, false after one edited row, true again.
//!
//! The rows were written by the services, the account by the simulated venue; loading and judging are
//! what `penstock demo` does.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod edit;
mod explained;
mod run;
mod verify;

use edit::Edit;
use penstock_clusters::ClusterKind;
use penstock_ops::databases;
use penstock_ops::demo::gather::gather;
use penstock_ops::invariants::{Invariant, OF_A_RUN, Report, judge};
use penstock_store::ClusterRole;
use penstock_store::testing::TestPair;
use penstock_types::frame::{decode_quotes, encode_quotes};
use run::{Recorded, covered};

/// Judges a pair of databases beside the venue's account, as the demo does.
async fn judged(run: &Recorded, pair: &TestPair) -> Report {
    let pool =
        async |kind, role| databases::pool(&pair.url(role, "observer_ro"), kind).await.unwrap();
    let decision = pool(ClusterKind::Decision, ClusterRole::Decision).await;
    let ingest = pool(ClusterKind::Ingest, ClusterRole::Ingest).await;
    let (facts, first_trade) = gather(run.account.clone(), &decision, &ingest).await.unwrap();
    assert!(first_trade.is_some(), "the venue saw a trade");
    decision.close().await;
    ingest.close().await;
    judge(&facts)
}

/// The names that are false. Nothing may be silent: every invariant has looked at something.
fn broken(report: &Report) -> Vec<Invariant> {
    let holds = |name: &Invariant| report.verdict(*name).unwrap().holds().expect("it was judged");
    OF_A_RUN.iter().copied().filter(|name| !holds(name)).collect()
}

/// A row of the decision cluster.
fn decision(
    table: &'static str,
    column: &'static str,
    which: impl Into<String>,
    to: impl Into<String>,
) -> Edit {
    let cluster = ClusterRole::Decision;
    Edit { cluster, table, which: which.into(), sets: vec![(column, to.into())] }
}

/// A row of the ingest cluster.
fn ingest(table: &'static str, column: &'static str, which: &str, to: &str) -> Edit {
    let cluster = ClusterRole::Ingest;
    Edit { cluster, table, which: which.to_owned(), sets: vec![(column, to.to_owned())] }
}

/// The condition of an entry that the venue has.
const ENTRY: &str = "role in ('entry', 'proof') and exchange_order_id is not null";

/// Orders: whose row, whose token, which venue order.
fn order_edits() -> Vec<(Invariant, &'static str, Edit)> {
    let entry = format!("order_id = (select min(order_id) from execution_orders where {ENTRY})");
    let first_event = format!("event_seq = 1 and {entry}");
    let evaluation =
        format!("evaluation_id = (select min(evaluation_id) from execution_orders where {ENTRY})");
    vec![
        (
            Invariant::J1,
            "an entry's first event is written again, long after the request's first byte",
            decision("execution_order_events", "source", first_event, "source"),
        ),
        (
            Invariant::J2,
            "an entry names an order that the venue gave to nobody",
            decision("execution_orders", "exchange_order_id", entry, "'ONOBODY'"),
        ),
        (
            Invariant::J6,
            "the cycle of an entry saw a state of a minute",
            decision("evaluation_cycles", "state_age_ms", evaluation, "60000"),
        ),
        (
            Invariant::J7,
            "the session had another token than its orders show",
            decision("execution_sessions", "fencing_token", "true", "fencing_token + 1"),
        ),
    ]
}

/// Money and its cover.
fn money_edits() -> Vec<(Invariant, &'static str, Edit)> {
    // The standby row of a closed position: it was never sent, so nobody can have seen it.
    let never_sent = "role = 'protection' and exchange_order_id is null";
    vec![
        (
            Invariant::J3,
            "a fill names an execution that the venue does not know",
            decision("fills", "exec_id", "true", "'TNOBODY'"),
        ),
        (
            Invariant::J4,
            "a position earned a cent more than its ledger says",
            decision("positions", "realized_quote", "status = 'closed'", "realized_quote + 0.01"),
        ),
        (
            Invariant::J5,
            "a stop claims to rest at the venue, and neither the stream nor a look has seen it",
            decision("execution_orders", "exchange_order_id", never_sent, "'ONOBODY'"),
        ),
    ]
}

/// Data, replays and the chain; `quotes` is a block whose best bid is a unit lower.
fn data_edits(quotes: (i64, Vec<u8>)) -> Vec<(Invariant, &'static str, Edit)> {
    let later_cycle = "evaluation_id = (select max(c.evaluation_id) from evaluation_cycles c
        where c.cycle_generation_id is not null and not exists (
            select from execution_orders o where o.evaluation_id = c.evaluation_id))";
    let used_sample = "seq = (select max(seq) from l2_snap_metrics
        where seq <= (select max(wm_seq) from state_generations where raw_complete))";
    let middle = "frame_seq = (select (min(frame_seq) + max(frame_seq)) / 2
        from engine_tick_frames)";
    let flipped =
        |column: &str, at: u8| format!("set_byte({column}, {at}, get_byte({column}, {at}) # 1)");
    let (tick, block) = quotes;
    vec![
        (
            Invariant::J8,
            "a later evaluation is bound to the first generation",
            decision("evaluation_cycles", "cycle_generation_id", later_cycle, "1"),
        ),
        (
            Invariant::J9,
            "a frame carries a bid that the venue's book never had at that stamp",
            decision(
                "engine_tick_frames",
                "quotes",
                format!("tick_id = {tick}"),
                format!("decode('{}', 'hex')", hex::encode(block)),
            ),
        ),
        (
            Invariant::J10,
            "the run has a number more than it has rows",
            ingest("raw_load_cursor", "last_seq", "true", "last_seq + 1"),
        ),
        (
            Invariant::J11,
            "a stored decision is another than its input gives",
            decision("cycle_inputs", "outcome_hash", "true", "repeat('0', 64)"),
        ),
        (
            Invariant::J11,
            "a raw quantity differs in its last digit",
            ingest("l2_snap_metrics", "bid_qty", used_sample, "bid_qty + 0.000000000001"),
        ),
        (
            Invariant::J12,
            "a frame's row holds another hash",
            decision("engine_tick_frames", "frame_sha256", middle, flipped("frame_sha256", 0)),
        ),
        (
            Invariant::J12,
            "one bit of a frame is turned",
            decision("engine_tick_frames", "frame", middle, flipped("frame", 40)),
        ),
    ]
}

/// The newest block with a quote, that quote's bid lowered by one unit, and its tick.
async fn lowered_quotes(pair: &TestPair) -> (i64, Vec<u8>) {
    let pool = pair.pool(ClusterRole::Decision, "observer_ro").await.unwrap();
    let rows: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("select tick_id, quotes from engine_tick_frames order by tick_id desc")
            .fetch_all(&pool)
            .await
            .unwrap();
    pool.close().await;
    for (tick, bytes) in &rows {
        let mut block = decode_quotes(bytes).unwrap();
        if let Some(entry) = block.entries.iter_mut().find(|entry| !entry.is_withdrawn()) {
            entry.bid -= 1;
            return (*tick, encode_quotes(&block).unwrap());
        }
    }
    panic!("no frame carries a quote");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn each_invariant_of_a_real_run_is_true_turns_false_with_one_edited_row_and_true_again() {
    let run = covered().await;
    let pair = run.pair.copy().await.unwrap();
    let report = judged(&run, &pair).await;
    let findings: Vec<_> = report.findings().collect();
    assert_eq!(broken(&report), [], "{findings:?}");

    let mut edits = order_edits();
    edits.extend(money_edits());
    edits.extend(data_edits(lowered_quotes(&pair).await));
    let mut pair = Some(pair);
    for (name, what, edit) in edits {
        let own = match pair.take() {
            Some(pair) => pair,
            None => run.pair.copy().await.unwrap(),
        };
        let undo = edit.apply(&own).await;
        let report = judged(&run, &own).await;
        let findings: Vec<_> = report.findings().collect();
        assert_eq!(broken(&report), [name], "{what}: {findings:?}");
        println!("{name} is false when {what}: {}", findings[0].1);
        undo.apply().await;
        if name == Invariant::J1 {
            // A commit time cannot be put back: the copy goes, the next one has the old time.
            continue;
        }
        let report = judged(&run, &own).await;
        let findings: Vec<_> = report.findings().collect();
        assert_eq!(broken(&report), [], "{what}, put back: {findings:?}");
        pair = Some(own);
    }
    let report = judged(&run, &run.pair).await;
    assert_eq!(broken(&report), [], "the recorded run itself");
    explained::check(&run.pair).await;
}

#[test]
fn every_invariant_has_an_edit() {
    let edits = order_edits().into_iter().chain(money_edits()).chain(data_edits((1, Vec::new())));
    let named: std::collections::BTreeSet<Invariant> = edits.map(|(name, ..)| name).collect();
    assert_eq!(named.into_iter().collect::<Vec<_>>(), OF_A_RUN);
}
