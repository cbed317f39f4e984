//! The closing line of a demo: what happened, and the verdicts.

use crate::invariants::{Invariant, Report};
use crate::validate::Lines;
use penstock_store_decision::evidence::{CountEvidence, PositionEvidence};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Invariants that a run on the generated market must have looked at.
pub const NEEDED_WITH_GENERATOR: [Invariant; 11] = [
    Invariant::J1,
    Invariant::J2,
    Invariant::J3,
    Invariant::J4,
    Invariant::J5,
    Invariant::J6,
    Invariant::J7,
    Invariant::J8,
    Invariant::J9,
    Invariant::J11,
    Invariant::J12,
];

/// Close reason of positions that the end of the demo flattened; they do not count as closed.
const OPERATOR: &str = "operator";

/// Everything that the closing line says.
#[derive(Debug)]
pub struct Summary {
    /// Seconds from the start of the demo to the venue's time of the first trade.
    pub first_fill_s: Option<f64>,
    /// Generations that were published.
    pub generations: u64,
    /// Counts of the decision cluster.
    pub counts: CountEvidence,
    /// Positions.
    pub positions: Vec<PositionEvidence>,
    /// Rows of the raw tables.
    pub raw_rows: i64,
    /// Book checksums that matched and that did not, by the services' own count.
    pub checksums: Checksums,
    /// Book messages that the venue counted as sent to live subscriptions.
    pub book_messages_sent: Option<u64>,
    /// Longest time without cover, holding and closing, ms, by the venue's ledger.
    pub unprotected_ms_max: (i64, i64),
    /// Verdicts.
    pub report: Report,
}

/// Book checksums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checksums {
    /// Matched.
    pub ok: i64,
    /// Did not.
    pub bad: i64,
}

/// Sum over the lives of ingest: the last `INGEST_STREAM_HEALTH` of each run's process.
#[must_use]
pub fn checksums(lines: &Lines) -> Checksums {
    let mut total = Checksums::default();
    let mut life = Checksums::default();
    for line in lines.0.iter().filter(|line| line.service == "ingest") {
        match line.marker.as_str() {
            // The counters of a process begin anew.
            "INGEST_SERVICE_STARTED" => {
                total.ok += life.ok;
                total.bad += life.bad;
                life = Checksums::default();
            }
            "INGEST_STREAM_HEALTH" => {
                life.ok = line.number("checksums_ok").unwrap_or(life.ok);
                life.bad = line.number("checksums_bad").unwrap_or(life.bad);
            }
            _other => {}
        }
    }
    Checksums { ok: total.ok + life.ok, bad: total.bad + life.bad }
}

impl Summary {
    /// Closed positions by reason, the operator's left out.
    #[must_use]
    pub fn closed_by(&self) -> BTreeMap<String, u64> {
        let mut reasons = BTreeMap::new();
        let closed = self.positions.iter().filter(|p| p.status == "closed");
        for reason in closed.filter_map(|p| p.exit_reason.clone()).filter(|r| r != OPERATOR) {
            *reasons.entry(reason).or_insert(0) += 1;
        }
        reasons
    }

    /// The line.
    #[must_use]
    pub fn json(&self) -> Value {
        let closed_by = self.closed_by();
        let open = self.positions.iter().filter(|p| p.status == "open" || p.status == "closing");
        json!({
            "first_fill_s": self.first_fill_s.map(|s| (s * 1_000.0).round() / 1_000.0),
            "generations": self.generations,
            "epochs_valid": self.counts.epochs_valid,
            "evaluations": self.counts.evaluations,
            "orders": self.counts.orders,
            "fills": self.counts.fills,
            "positions_open": open.count(),
            "positions_closed": closed_by.values().sum::<u64>(),
            "closed_by": closed_by,
            "unprotected_ms_max": {
                "open": self.unprotected_ms_max.0, "close": self.unprotected_ms_max.1,
            },
            "raw_rows": self.raw_rows,
            "checksums_ok": self.checksums.ok,
            "checksums_bad": self.checksums.bad,
            "invariants": self.report.invariants_json(),
            "judged": self.report.judged_json(),
        })
    }

    /// No invariant is false, and on the generated market the needed ones looked at something.
    #[must_use]
    pub fn passes(&self, generated: bool) -> bool {
        self.report.passes(if generated { &NEEDED_WITH_GENERATOR } else { &[] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::Line;
    use penstock_types::Decimal;

    fn position(status: &str, reason: Option<&str>) -> PositionEvidence {
        PositionEvidence {
            position_id: 1,
            symbol: "BTC/USD".to_owned(),
            status: status.to_owned(),
            base_qty: Decimal::ZERO,
            realized_quote: Decimal::ZERO,
            exit_reason: reason.map(str::to_owned),
        }
    }

    #[test]
    fn positions_that_the_end_flattened_are_not_counted_as_closed() {
        let counts = CountEvidence { epochs_valid: 2, evaluations: 9, orders: 4, fills: 5 };
        let summary = Summary {
            first_fill_s: Some(37.12345),
            generations: 3,
            counts,
            positions: vec![
                position("closed", Some("SL_hit")),
                position("closed", Some("operator")),
                position("open", None),
            ],
            raw_rows: 10,
            checksums: Checksums { ok: 1, bad: 0 },
            book_messages_sent: Some(1),
            unprotected_ms_max: (20, 300),
            report: Report::default(),
        };
        let line = summary.json();
        assert_eq!(line["positions_closed"], 1);
        assert_eq!(line["closed_by"], json!({"SL_hit": 1}));
        assert_eq!(line["positions_open"], 1);
        assert_eq!(line["first_fill_s"], 37.123);
        assert!(summary.passes(false));
        assert!(!summary.passes(true));
    }

    #[test]
    fn checksums_add_up_over_the_lives_of_ingest() {
        let line = |second: u32, marker: &str, ok: i64| {
            let text = format!(
                "{{\"ts\":\"2026-11-25T21:00:{second:02}Z\",\"service\":\"ingest\",\"marker\":\"{marker}\",\"checksums_ok\":{ok},\"checksums_bad\":1}}"
            );
            Line::parse(&text).unwrap()
        };
        let lines = Lines(vec![
            line(0, "INGEST_SERVICE_STARTED", 0),
            line(1, "INGEST_STREAM_HEALTH", 5),
            line(2, "INGEST_STREAM_HEALTH", 7),
            line(3, "INGEST_SERVICE_STARTED", 0),
            line(4, "INGEST_STREAM_HEALTH", 4),
        ]);
        assert_eq!(checksums(&lines), Checksums { ok: 11, bad: 2 });
    }
}
