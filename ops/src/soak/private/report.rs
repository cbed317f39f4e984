//! What a soak of the private side says at its end: the faults, every interval without cover, a table, one JSON object.
//!
//! Inputs: what was found. Outputs: lines and an exit status. Invariant: everything that is wrong is a line that
//! begins with the name of what it breaks.

use super::judge::Counts;
use super::kind::Kind;
use crate::arguments::Output;
use crate::invariants::{Invariant, OF_A_RUN, Report, Uncovered, Verdict};
use comfy_table::{Cell, Table, presets};
use penstock_types::UtcMicros;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// From this length on a run has to reach the numbers below.
const WHOLE_MINUTES: f64 = 60.0;
/// Positions that are closed in a whole run.
const CLOSED_MIN: u64 = 30;
/// Over so many pairs.
const SYMBOLS_MIN: u64 = 12;
/// Requests about orders.
const ORDER_REQUESTS_MIN: u64 = 150;
/// Fills that leave their order unfilled.
const PARTIAL_FILLS_MIN: u64 = 10;
/// Orders that go through `submit_unknown`.
const UNKNOWN_MIN: u64 = 10;

/// Invariants that every run must have looked at.
const NEEDED: [Invariant; 4] = [Invariant::J1, Invariant::J2, Invariant::J3, Invariant::J4];

/// A fault that was staged.
pub(super) struct Met {
    pub(super) what: String,
    pub(super) from: UtcMicros,
    pub(super) to: UtcMicros,
    /// Requests about orders meanwhile.
    pub(super) order_requests: u64,
}

/// Everything that was found.
pub(super) struct Judged {
    pub(super) minutes: f64,
    pub(super) seed: u64,
    pub(super) length: Duration,
    /// Faults in their order.
    pub(super) faults: Vec<Met>,
    pub(super) counts: Counts,
    /// Every interval without cover.
    pub(super) uncovered: Vec<Uncovered>,
    pub(super) invariants: Report,
    pub(super) money: Value,
    /// Further verdicts with their names.
    pub(super) others: Vec<(&'static str, Verdict)>,
}

impl Judged {
    /// The numbers with what a whole run has to reach.
    fn numbers(&self) -> [(&'static str, u64, u64); 5] {
        let Counts { closed, symbols, order_requests, partial_fills, unknown } =
            self.counts.clone();
        [
            ("positions_closed", closed, CLOSED_MIN),
            ("symbols", symbols, SYMBOLS_MIN),
            ("order_requests", order_requests, ORDER_REQUESTS_MIN),
            ("partial_fills", partial_fills, PARTIAL_FILLS_MIN),
            ("submit_unknown", unknown, UNKNOWN_MIN),
        ]
    }

    fn is_whole(&self) -> bool {
        self.minutes >= WHOLE_MINUTES
    }

    /// Everything that is wrong.
    fn findings(&self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        if self.is_whole() {
            let few = self.numbers().into_iter().filter(|(_, value, least)| value < least);
            found.extend(
                few.map(|(name, value, least)| format!("{name}: {value}, at least {least}")),
            );
            let missing = Kind::ALL.into_iter().filter(|kind| {
                let prefix = format!("{}:", kind.as_str());
                !self.faults.iter().any(|met| met.what.starts_with(&prefix))
            });
            found.extend(missing.map(|kind| format!("faults: {} was not staged", kind.as_str())));
        }
        let of_run = self.invariants.findings();
        found.extend(of_run.map(|(name, text)| format!("{}: {text}", name.as_str())));
        for name in NEEDED {
            if self.invariants.verdict(name).and_then(Verdict::holds).is_none() {
                found.push(format!("{}: nothing to judge", name.as_str()));
            }
        }
        for (name, verdict) in &self.others {
            found.extend(verdict.findings.iter().map(|finding| format!("{name}: {}", finding.0)));
        }
        found
    }

    /// Nothing is wrong.
    pub(super) fn passes(&self) -> bool {
        self.findings().is_empty()
    }

    /// Prints everything; findings go to standard error.
    pub(super) fn print(&self, output: Output) {
        let text = self.text();
        match output {
            Output::Human => println!("{text}"),
            Output::Json => eprintln!("{text}"),
        }
        for finding in self.findings() {
            eprintln!("{finding}");
        }
        println!("{}", self.json());
    }

    fn text(&self) -> String {
        let mut text = format!("{} faults:\n", self.faults.len());
        for Met { what, from, order_requests, .. } in &self.faults {
            text.push_str(&format!("  {from} {what}; {order_requests} order requests meanwhile\n"));
        }
        for (row, count) in self.by_row() {
            text.push_str(&format!("  {row} {count} ×"));
        }
        text.push('\n');
        text.push_str(&format!("{} intervals without cover:\n", self.uncovered.len()));
        for one in &self.uncovered {
            text.push_str(&format!("  {}\n", one.line()));
        }
        text.push_str(&self.table().to_string());
        text
    }

    fn by_row(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for met in &self.faults {
            let row = met.what.split(':').next().unwrap_or_default();
            *counts.entry(row).or_insert(0) += 1;
        }
        counts
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header(["figure", "value", "of an hour"]);
        for (name, value, least) in self.numbers() {
            let least = format!("≥ {least}");
            table.add_row([Cell::new(name), Cell::new(value), Cell::new(least)]);
        }
        let word = |verdict: &Verdict| match verdict.holds() {
            Some(true) => format!("true ({})", verdict.judged),
            Some(false) => format!("FALSE ({} of {})", verdict.broken, verdict.judged),
            None => "nothing to judge".to_owned(),
        };
        let of_run = OF_A_RUN.into_iter().filter_map(|name| {
            self.invariants.verdict(name).map(|verdict| (name.as_str(), verdict))
        });
        for (name, verdict) in of_run.chain(self.others.iter().map(|(name, v)| (*name, v))) {
            table.add_row([Cell::new(name), Cell::new(word(verdict)), Cell::new("")]);
        }
        table
    }

    fn json(&self) -> Value {
        let others: Map<String, Value> = self
            .others
            .iter()
            .map(|(name, verdict)| ((*name).to_owned(), verdict.holds().into()))
            .collect();
        let numbers: Map<String, Value> = self
            .numbers()
            .into_iter()
            .map(|(name, value, _)| (name.to_owned(), value.into()))
            .collect();
        let row = |one: &Uncovered| {
            json!({
                "symbol": one.fact.symbol, "from": one.fact.from.to_string(), "ms": one.ms(),
                "cause": one.cause, "alert": one.alert, "wrong": one.wrong,
            })
        };
        let fault = |one: &Met| {
            json!({
                "what": one.what, "from": one.from.to_string(), "to": one.to.to_string(),
                "order_requests": one.order_requests,
            })
        };
        json!({
            "seconds": self.length.as_secs(), "seed": self.seed, "whole": self.is_whole(),
            "faults": self.faults.iter().map(fault).collect::<Vec<_>>(), "numbers": numbers,
            "uncovered": self.uncovered.iter().map(row).collect::<Vec<_>>(),
            "invariants": self.invariants.invariants_json(),
            "judged": self.invariants.judged_json(),
            "money": self.money, "verdicts": others, "passes": self.passes(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(minutes: f64) -> Judged {
        let mut invariants = Report::default();
        for name in NEEDED {
            let mut verdict = Verdict::default();
            verdict.saw();
            invariants.put(name, verdict);
        }
        let at = UtcMicros(0);
        let met = |kind: Kind| {
            let what = format!("{}:0 x", kind.as_str());
            Met { what, from: at, to: at, order_requests: 1 }
        };
        let faults = Kind::ALL.map(met).into();
        let counts = Counts {
            closed: CLOSED_MIN,
            symbols: SYMBOLS_MIN,
            order_requests: ORDER_REQUESTS_MIN,
            partial_fills: PARTIAL_FILLS_MIN,
            unknown: UNKNOWN_MIN,
        };
        Judged {
            minutes,
            seed: 1,
            length: Duration::from_secs(60),
            faults,
            counts,
            uncovered: Vec::new(),
            invariants,
            money: Value::Null,
            others: Vec::new(),
        }
    }

    #[test]
    fn an_hour_has_to_reach_its_numbers_and_a_short_run_has_not() {
        assert!(judged(60.0).passes(), "{:?}", judged(60.0).findings());
        for edit in [
            (|one: &mut Judged| one.counts.closed -= 1) as fn(&mut Judged),
            |one| one.counts.symbols -= 1,
            |one| one.counts.order_requests -= 1,
            |one| one.counts.partial_fills -= 1,
            |one| one.counts.unknown -= 1,
            |one| drop(one.faults.pop()),
        ] {
            let (mut hour, mut short) = (judged(60.0), judged(5.0));
            edit(&mut hour);
            edit(&mut short);
            assert_eq!((hour.findings().len(), short.passes()), (1, true), "{:?}", hour.findings());
        }
    }

    #[test]
    fn a_broken_verdict_and_one_that_saw_nothing_fail_any_run() {
        let mut short = judged(5.0);
        short.invariants.put(Invariant::J3, Verdict::default());
        assert_eq!(short.findings(), ["J3: nothing to judge"]);
        let mut money = Verdict::default();
        money.check(false, || "a digit".to_owned());
        short.others.push(("money", money));
        assert_eq!(short.findings(), ["J3: nothing to judge", "money: a digit"]);
        assert_eq!(short.json()["passes"], false);
    }
}
