//! What a soak says at its end: a table of figures beside their targets, the findings, one JSON object.

use super::Args;
use super::course::Processes;
use super::judge::Verdicts;
use super::processes::GROWTH_PCT_MAX;
use crate::arguments::Output;
use comfy_table::{Cell, Table, presets};
use penstock_store_ingest::evidence::Lags;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Memory of one symbol with a book, and with an order-by-order book, KiB.
const SYMBOL_KIB_MAX: [f64; 2] = [64.0, 2_048.0];
/// From the end of a tick to a frame that can be read, p50 and p99, ms.
const SEAL_MS_MAX: [f64; 2] = [8.0, 20.0];
/// One generation onto the decision cluster, p50 and p99, ms.
const PUBLICATION_MS_MAX: [f64; 2] = [10.0, 30.0];
/// Memory of both services, MiB.
const BOTH_MIB_MAX: f64 = 1_024.0;
/// Frames per second that a run at 200 symbols is to see.
const FRAMES_PER_S_MIN: f64 = 5_000.0;

/// What the venue sent per second, images of the beginning left out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    pub frames: f64,
    /// Orders, levels and prints.
    pub events: f64,
    /// Orders of order-by-order books among them.
    pub order_events: f64,
}

/// Everything that is said.
pub(super) struct Report<'a> {
    pub args: &'a Args,
    pub rates: Rates,
    pub length: Duration,
    pub processes: &'a Processes,
    /// Memory is compared from here on.
    pub growth_from: Duration,
    pub verdicts: Verdicts,
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

impl Report<'_> {
    /// No verdict is false.
    pub(super) fn passes(&self) -> bool {
        self.verdicts.passes()
    }

    /// Prints table or line; findings go to standard error.
    pub(super) fn print(&self, output: Output) {
        for finding in self.verdicts.findings() {
            eprintln!("{finding}");
        }
        match output {
            Output::Human => println!("{}", self.table()),
            Output::Json => eprintln!("{}", self.table()),
        }
        println!("{}", self.json());
    }

    /// Memory of the recording service by symbol, KiB.
    fn kib_per_symbol(&self) -> f64 {
        self.processes.ingest.rss_kb_end() as f64 / f64::from(self.args.symbols.max(1))
    }

    fn growths(&self) -> [(&'static str, Option<f64>); 2] {
        let processes = self.processes;
        [
            ("ingest", processes.ingest.growth_pct(self.growth_from)),
            ("execution", processes.execution.growth_pct(self.growth_from)),
        ]
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header(["figure", "value", "target"]);
        let mut row = |name: &str, value: String, target: String| {
            table.add_row([Cell::new(name), Cell::new(value), Cell::new(target)]);
        };
        let found = &self.verdicts;
        let fast = if self.args.symbols >= 200 {
            format!("≥ {FRAMES_PER_S_MIN}")
        } else {
            String::new()
        };
        row("frames sent per s", format!("{:.0}", self.rates.frames), fast);
        row("events sent per s", format!("{:.0}", self.rates.events), String::new());
        let orders = format!("{:.0}", self.rates.order_events);
        row("order-by-order events sent per s", orders, String::new());
        let two = |q: &super::figures::Quantiles| format!("{:.1} / {:.1}", q.p50, q.p99);
        let [p50, p99] = SEAL_MS_MAX;
        row("seal lag p50 / p99, ms", two(&found.seal_lag), format!("≤ {p50} / {p99}"));
        row("trade sent → frame visible p50 / p99, ms", two(&found.frame_visible), String::new());
        row("trade sent → received p50 / p99, ms", two(&found.received), String::new());
        let of_rows = |lags: &Lags| {
            let [p50, p99] = [lags.p50_ms, lags.p99_ms].map(Option::unwrap_or_default);
            format!("{p50:.1} / {p99:.1}")
        };
        row("load lag p50 / p99, ms", of_rows(&found.load_lag), String::new());
        let [p50, p99] = PUBLICATION_MS_MAX;
        let publication = of_rows(&found.publication);
        row("publication p50 / p99, ms", publication, format!("≤ {p50} / {p99}"));
        let both = self.processes.ingest.rss_mib_max() + self.processes.execution.rss_mib_max();
        row("memory of both services, MiB", format!("{both:.0}"), format!("≤ {BOTH_MIB_MAX}"));
        let each = format!("≤ {} (L2), {} (L3), state alone", SYMBOL_KIB_MAX[0], SYMBOL_KIB_MAX[1]);
        row("whole run-ingest per symbol, KiB", format!("{:.0}", self.kib_per_symbol()), each);
        for (name, growth) in self.growths() {
            let name = format!("growth of {name} from {} s, %", self.growth_from.as_secs());
            let value = growth.map_or_else(|| "too short".to_owned(), |pct| format!("{pct:.2}"));
            row(&name, value, format!("≤ {GROWTH_PCT_MAX}"));
        }
        for (name, cores) in self.cores() {
            row(&format!("cores of {name}"), format!("{cores:.2}"), String::new());
        }
        for (name, blind, allowed) in &found.blind {
            row(&format!("blind time of {name}, ms"), blind.to_string(), format!("≤ {allowed}"));
        }
        for (name, verdict) in self.named() {
            row(&name, verdict, String::new());
        }
        table
    }

    fn cores(&self) -> [(&'static str, f64); 5] {
        let processes = self.processes;
        [
            ("ingest", processes.ingest.cores()),
            ("execution", processes.execution.cores()),
            ("venue", processes.venue.cores()),
            ("ingest_cluster", processes.ingest_cluster.cores()),
            ("decision_cluster", processes.decision_cluster.cores()),
        ]
    }

    /// Verdicts with the number of items that they rest on.
    fn named(&self) -> Vec<(String, String)> {
        let word = |holds: Option<bool>, judged: u64| match holds {
            Some(true) => format!("true ({judged})"),
            Some(false) => format!("FALSE ({judged})"),
            None => "nothing to judge".to_owned(),
        };
        let of_run = penstock_invariants().filter_map(|name| {
            let verdict = self.verdicts.invariants.verdict(name)?;
            let text = word(verdict.holds(), verdict.judged);
            (verdict.holds().is_some()).then(|| (name.as_str().to_owned(), text))
        });
        let others = self.verdicts.others.iter();
        let others = others
            .map(|(name, verdict)| ((*name).to_owned(), word(verdict.holds(), verdict.judged)));
        of_run.chain(others).collect()
    }

    /// Numbers of trades, and blind time, by venue.
    fn by_venue(&self) -> [Map<String, Value>; 2] {
        let found = &self.verdicts;
        let trades: Map<String, Value> = found
            .trades
            .iter()
            .map(|(name, counts)| {
                let value = json!({
                    "sent": counts.sent, "rows": counts.rows, "fetched": counts.fetched,
                    "in_gaps": counts.in_gaps, "missing": counts.missing,
                });
                ((*name).to_owned(), value)
            })
            .collect();
        let blind: Map<String, Value> = found
            .blind
            .iter()
            .map(|(name, ms, allowed)| {
                ((*name).to_owned(), json!({ "blind_ms": ms, "allowed_ms": allowed }))
            })
            .collect();
        [trades, blind]
    }

    /// Gap rows that meet no fault, start or stop.
    fn unexplained(&self) -> u64 {
        let gaps = self.verdicts.others.iter().find(|(name, _)| *name == "gaps");
        gaps.map_or(0, |(_, verdict)| verdict.broken)
    }

    fn json(&self) -> Value {
        let found = &self.verdicts;
        let [trades, blind] = self.by_venue();
        let others: Map<String, Value> = found
            .others
            .iter()
            .map(|(name, verdict)| ((*name).to_owned(), verdict.holds().into()))
            .collect();
        let judged: Map<String, Value> = found
            .others
            .iter()
            .map(|(name, verdict)| ((*name).to_owned(), verdict.judged.into()))
            .collect();
        let growth: Map<String, Value> = self
            .growths()
            .map(|(name, pct)| (name.to_owned(), pct.map(rounded).into()))
            .into_iter()
            .collect();
        let cores: Map<String, Value> = self
            .cores()
            .map(|(name, cores)| (name.to_owned(), rounded(cores).into()))
            .into_iter()
            .collect();
        let lags = |lags: &Lags| {
            json!({
                "count": lags.rows, "p50": lags.p50_ms, "p99": lags.p99_ms, "max": lags.max_ms,
            })
        };
        json!({
            "seconds": self.length.as_secs(),
            "symbols": self.args.symbols, "l3_symbols": self.args.l3_symbols,
            "rate": self.args.rate, "seed": self.args.seed,
            "frames_per_s_sent": self.rates.frames.round(),
            "events_per_s_sent": self.rates.events.round(),
            "order_events_per_s_sent": self.rates.order_events.round(),
            "faults": found.faults, "gap_rows": found.gap_rows,
            "gap_rows_unexplained": self.unexplained(), "blind": blind,
            "seal_lag_ms": found.seal_lag.json(), "frame_visible_ms": found.frame_visible.json(),
            "received_ms": found.received.json(), "book_behind_ms": found.behind.json(),
            "load_lag_ms": lags(&found.load_lag), "publication_ms": lags(&found.publication),
            "rss_mib_max": {
                "ingest": rounded(self.processes.ingest.rss_mib_max()),
                "execution": rounded(self.processes.execution.rss_mib_max()),
                "venue": rounded(self.processes.venue.rss_mib_max()),
            },
            "ingest_kib_per_symbol": rounded(self.kib_per_symbol()),
            "rss_growth_pct": growth, "growth_from_s": self.growth_from.as_secs(),
            "cores": cores, "trades": trades,
            "samples": { "l2": found.samples[0], "l3": found.samples[1] },
            "runs": found.runs, "rollovers": found.rollovers, "requests": found.requests,
            "verify": {
                "generations": found.generations.json(), "frames": found.frames.json(),
                "generations_without_fetched": found.without_fetched.map(|one| one.json()),
            },
            "invariants": found.invariants.invariants_json(),
            "judged": found.invariants.judged_json(),
            "verdicts": others, "verdicts_judged": judged,
            "passes": self.passes(),
        })
    }
}

fn penstock_invariants() -> impl Iterator<Item = crate::invariants::Invariant> {
    crate::invariants::Invariant::ALL.iter().copied()
}
