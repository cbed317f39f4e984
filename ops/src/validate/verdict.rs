//! From checks and cycles to the exit code.

use super::check::{Check, Outcome};
use super::{Lines, Settings};
use std::collections::BTreeMap;

/// Class of a window, by the verdicts of its newest cycles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Nothing to bind to.
    AttachBlocked,
    /// Data forbade it.
    DataBlocked,
    /// The mode forbade it.
    ModeBlocked,
    /// Nothing was worth it.
    EconomicallyEmpty,
    /// At least one submit.
    Executed,
    /// A cycle failed.
    Error,
    /// No verdict has 60 % of the window.
    Mixed,
    /// No cycle.
    None,
}

impl Class {
    /// The word in the report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AttachBlocked => "ATTACH_BLOCKED",
            Self::DataBlocked => "DATA_BLOCKED",
            Self::ModeBlocked => "MODE_BLOCKED",
            Self::EconomicallyEmpty => "ECONOMICALLY_EMPTY",
            Self::Executed => "EXECUTED",
            Self::Error => "ERROR",
            Self::Mixed => "MIXED",
            Self::None => "NONE",
        }
    }

    fn of_verdict(text: &str) -> Self {
        match text {
            "attach_blocked" | "no_publication" | "no_valid_epoch" => Self::AttachBlocked,
            "data_blocked" => Self::DataBlocked,
            "mode_blocked" | "runtime_deadline" => Self::ModeBlocked,
            "economically_empty" => Self::EconomicallyEmpty,
            "executed" => Self::Executed,
            _other => Self::Error,
        }
    }
}

/// Classes of the cycles and skips, oldest first.
#[must_use]
pub(super) fn cycles(lines: &Lines) -> Vec<Class> {
    let mut found = Vec::new();
    for line in lines.0.iter().filter(|line| line.service == "execution") {
        match line.marker.as_str() {
            "LIVE_EVALUATION_COMPLETED" => found.push(Class::of_verdict(&line.text("verdict"))),
            "LIVE_EVALUATION_SKIPPED" => found.push(Class::of_verdict(&line.text("reason"))),
            _other => {}
        }
    }
    found
}

/// Class of some cycles: executed when one is, else the one with the largest share, mixed below 60 %.
#[must_use]
pub fn classify(cycles: &[Class]) -> Class {
    if cycles.contains(&Class::Executed) {
        return Class::Executed;
    }
    let mut counts: BTreeMap<Class, usize> = BTreeMap::new();
    for class in cycles {
        *counts.entry(*class).or_default() += 1;
    }
    let largest = counts.iter().max_by_key(|(class, count)| (**count, std::cmp::Reverse(**class)));
    match largest {
        None => Class::None,
        Some((class, count)) if *count * 10 >= cycles.len() * 6 => *class,
        Some(_) => Class::Mixed,
    }
}

/// What a run of the validation says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// Exit code.
    pub code: u8,
    /// Class of the newest cycles.
    pub verdict: Class,
    /// Class of the window.
    pub classification: Class,
}

/// The exit code: 4 attach, 3 data, 6 mode, 5 economically empty, 7 window too short, 1 failed, 0.
#[must_use]
pub fn conclude(checks: &[Check], lines: &Lines, settings: &Settings) -> Conclusion {
    let all = cycles(lines);
    let newest = &all[all.len().saturating_sub(settings.min_evaluations)..];
    let verdict = classify(newest);
    let wants = |proof: &str| settings.proofs.iter().any(|p| p == proof);
    let failed =
        |proof: &str| checks.iter().any(|c| c.proof == proof && c.outcome != Outcome::Pass);
    let any_failed = checks.iter().any(|c| {
        c.outcome == Outcome::Fail || (c.outcome == Outcome::NotAvailable && !settings.allow_single)
    });
    let judges_cycles = wants("attach") || wants("evaluation") || wants("lifecycle");
    let code = match verdict {
        Class::AttachBlocked if judges_cycles => 4,
        Class::DataBlocked if judges_cycles => 3,
        Class::ModeBlocked if judges_cycles => 6,
        Class::EconomicallyEmpty if wants("lifecycle") && failed("lifecycle") => 5,
        _other if wants("evaluation") && all.len() < settings.min_evaluations => 7,
        _other => u8::from(any_failed),
    };
    Conclusion { code, verdict, classification: classify(&all) }
}
