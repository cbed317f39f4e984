//! What may go: a pure judgement over what stands.
//!
//! Input: partitions with the age of their run, runs with orders, the limits. Output: what to close, what
//! to drop, what is kept and why. A run that a live order or an open position refers to is held whatever
//! its age; one with a filled order keeps everything but its order-by-order rows for longer.

use penstock_store_decision::retention::OrderRun;
use penstock_store_ingest::retention::Partition;
use penstock_types::RunId;
use std::collections::BTreeMap;

/// Table of the order-by-order rows, which go first.
const L3_TABLE: &str = "l3_queue_metrics";

/// How long raw partitions stand after the end of their run, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// All tables.
    pub raw_secs: i64,
    /// Order-by-order rows.
    pub l3_secs: i64,
    /// All but those, of a run with a filled order.
    pub traded_secs: i64,
}

/// What happens to a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Indexes and figures: its run has ended and is loaded.
    Close,
    /// Detached and dropped.
    Drop,
    /// Nothing; the word says why.
    Keep(&'static str),
}

/// Judges every partition.
#[must_use]
pub fn plan(partitions: &[Partition], orders: &[OrderRun], limits: Limits) -> Vec<Action> {
    let orders: BTreeMap<RunId, &OrderRun> = orders.iter().map(|o| (o.run_id, o)).collect();
    partitions.iter().map(|p| judge(p, orders.get(&p.run_id).copied(), limits)).collect()
}

fn judge(partition: &Partition, orders: Option<&OrderRun>, limits: Limits) -> Action {
    let Some(ended_secs) = partition.ended_secs else { return Action::Keep("its run is open") };
    if !partition.is_complete {
        return Action::Keep("its run is not loaded");
    }
    let is_l3 = partition.table == L3_TABLE;
    let is_live = orders.is_some_and(|o| o.is_live);
    let is_filled = orders.is_some_and(|o| o.is_filled);
    let limit_secs = match (is_l3, is_filled) {
        (true, _) => limits.l3_secs,
        (false, true) => limits.traded_secs.max(limits.raw_secs),
        (false, false) => limits.raw_secs,
    };
    let is_due = ended_secs > limit_secs;
    match (is_due, is_live && !is_l3, partition.is_closed) {
        (true, true, _) => Action::Keep("a live order or an open position refers to its run"),
        (true, false, _) => Action::Drop,
        (false, _, false) => Action::Close,
        (false, _, true) if is_filled && ended_secs > limits.raw_secs => {
            Action::Keep("an order of its run was filled")
        }
        (false, _, true) => Action::Keep("young"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { raw_secs: 100, l3_secs: 10, traded_secs: 1_000 };

    fn partition(table: &str, ended_secs: Option<i64>) -> Partition {
        Partition {
            table: table.to_owned(),
            run_id: RunId(3),
            name: format!("{table}_r3"),
            is_closed: true,
            ended_secs,
            is_complete: true,
            bytes: 0,
        }
    }

    fn of(partition: Partition, orders: &[OrderRun]) -> Action {
        plan(&[partition], orders, LIMITS)[0]
    }

    #[test]
    fn a_run_that_is_open_or_not_loaded_is_never_touched() {
        assert!(matches!(of(partition("ticker_samples", None), &[]), Action::Keep(_)));
        let unloaded =
            Partition { is_complete: false, ..partition("ticker_samples", Some(1_000_000)) };
        assert!(matches!(of(unloaded, &[]), Action::Keep(_)));
    }

    #[rstest::rstest]
    #[case("ticker_samples", 100, false)]
    #[case("ticker_samples", 101, true)]
    #[case("l3_queue_metrics", 10, false)]
    #[case("l3_queue_metrics", 11, true)]
    fn age_decides_by_table(#[case] table: &str, #[case] ended_secs: i64, #[case] goes: bool) {
        let action = of(partition(table, Some(ended_secs)), &[]);
        assert_eq!(action == Action::Drop, goes, "{action:?}");
    }

    #[test]
    fn a_filled_order_keeps_all_but_l3_for_longer() {
        let filled = [OrderRun { run_id: RunId(3), is_filled: true, is_live: false }];
        assert!(matches!(of(partition("trade_samples", Some(1_000)), &filled), Action::Keep(_)));
        assert_eq!(of(partition("trade_samples", Some(1_001)), &filled), Action::Drop);
        assert_eq!(of(partition("l3_queue_metrics", Some(11)), &filled), Action::Drop);
    }

    #[test]
    fn a_live_order_holds_its_run_whatever_its_age() {
        let live = [OrderRun { run_id: RunId(3), is_filled: true, is_live: true }];
        let action = of(partition("trade_samples", Some(1_000_000)), &live);
        assert!(matches!(action, Action::Keep(_)), "{action:?}");
        let other = [OrderRun { run_id: RunId(4), is_filled: true, is_live: true }];
        assert_eq!(of(partition("trade_samples", Some(1_000_000)), &other), Action::Drop);
    }

    #[test]
    fn a_loaded_run_is_closed_once_before_it_goes() {
        let fresh = Partition { is_closed: false, ..partition("trade_samples", Some(5)) };
        assert_eq!(of(fresh, &[]), Action::Close);
        let old = Partition { is_closed: false, ..partition("trade_samples", Some(500)) };
        assert_eq!(of(old, &[]), Action::Drop);
    }
}
