//! `penstock validate`: the proofs over marker logs and both clusters.
//!
//! Inputs: marker lines of a window, facts of both clusters. Outputs: one line per check, a final
//! `RESULT` line, an exit code. The judging half is pure; reading logs, databases and sockets is the
//! shell's (`run`).

mod check;
mod lifecycle;
mod line;
mod load;
mod proofs;
mod report;
mod run;
mod sockets;
mod sql;
#[cfg(test)]
mod tests;
mod verdict;

pub use check::{Check, Checks, Outcome};
pub use lifecycle::candidates;
pub use line::{Line, Lines};
pub use load::{Sources, load};
pub use report::{json, text};
pub use run::{Args, run};
pub use sql::{DecisionFacts, IngestFacts, OrderStory, SqlFacts};
pub use verdict::{Class, Conclusion, classify, conclude};

/// Proofs of this version.
pub const PROOFS: [&str; 5] = ["bootstrap", "ingest", "attach", "evaluation", "lifecycle"];

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Proofs, each one of [`PROOFS`].
    pub proofs: Vec<String>,
    /// Evaluations that the evaluation proof demands.
    pub min_evaluations: usize,
    /// Interval of generations, ms.
    pub state_refresh_interval_ms: i64,
    /// `N/A` does not count as failure.
    pub allow_single: bool,
}

impl Settings {
    /// Time between the first and the last generation marker of the window, ms.
    fn observed_ms(&self, lines: &Lines) -> i64 {
        let mut refreshes = lines.of("RUN_SYMBOL_STATE_REFRESH");
        let first = refreshes.next().map(|line| line.ts);
        let last = refreshes.next_back().map(|line| line.ts);
        match (first, last) {
            (Some(first), Some(last)) => last.millis_since(first),
            (None | Some(_), None) | (None, Some(_)) => 0,
        }
    }
}

/// Runs the proofs that were asked for.
#[must_use]
pub fn check_all(lines: &Lines, sql: &SqlFacts, settings: &Settings) -> Vec<Check> {
    let mut list = Vec::new();
    for proof in &settings.proofs {
        let checks = match proof.as_str() {
            "bootstrap" => proofs::bootstrap(lines, sql),
            "ingest" => proofs::ingest(lines, sql, settings),
            "attach" => proofs::attach(lines, sql),
            "evaluation" => proofs::evaluation(lines, sql, settings),
            "lifecycle" => lifecycle::lifecycle(lines, sql),
            other => {
                let mut unknown = Checks::new("usage");
                unknown.put("proof", false, &PROOFS.join(", "), other);
                unknown
            }
        };
        list.extend(checks.list);
    }
    list
}
