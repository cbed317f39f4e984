//! Why a contract is not valid: the field, what is wrong with it, and the reason code that its carrier is dropped with.
//!
//! Input: checks of fields. Output: every breach in the order of the checks. Invariants: an absent value is
//! `STRAT_MISSING_FIELD`, a value that cannot be used is `STRAT_INPUT_INVALID`, unless a rule has a reason of its own;
//! nothing is replaced by a default.

use penstock_types::vocab::ReasonCode;

/// A breach of a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem} ({reason})")]
pub struct Invalid {
    /// Field, with the groups before it.
    pub field: &'static str,
    /// What is wrong, with value and limit.
    pub problem: String,
    /// Reason that what carries the field is dropped with.
    pub reason: ReasonCode,
}

/// Breaches, collected.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    found: Vec<Invalid>,
}

impl Checks {
    /// Notes a breach with a reason of its own unless the rule holds.
    pub(crate) fn rule(
        &mut self,
        field: &'static str,
        holds: bool,
        reason: ReasonCode,
        problem: impl FnOnce() -> String,
    ) {
        if !holds {
            self.found.push(Invalid { field, problem: problem(), reason });
        }
    }

    /// Notes a value that cannot be used.
    pub(crate) fn value(
        &mut self,
        field: &'static str,
        holds: bool,
        problem: impl FnOnce() -> String,
    ) {
        self.rule(field, holds, ReasonCode::StratInputInvalid, problem);
    }

    /// Notes a value that is not there.
    pub(crate) fn present(&mut self, field: &'static str, there: bool) {
        let problem = || "required and absent; next: do not build the contract".to_owned();
        self.rule(field, there, ReasonCode::StratMissingField, problem);
    }

    /// Notes a number outside its range, both ends of which are allowed.
    pub(crate) fn range(&mut self, field: &'static str, value: i64, least: i64, greatest: i64) {
        let holds = (least..=greatest).contains(&value);
        self.value(field, holds, || format!("{value} is outside {least}..={greatest}"));
    }

    /// Takes over what was found elsewhere.
    pub(crate) fn also(&mut self, found: Vec<Invalid>) {
        self.found.extend(found);
    }

    /// Every breach.
    pub(crate) fn finish(self) -> Vec<Invalid> {
        self.found
    }
}

/// The first breach of a list as an error.
///
/// # Errors
/// The first [`Invalid`], if there is one.
pub fn first(found: Vec<Invalid>) -> Result<(), Invalid> {
    found.into_iter().next().map_or(Ok(()), Err)
}

/// A document that could not be read as a breach: an absent field is told from a value that cannot be used.
pub(crate) fn unreadable(field: &'static str, error: &serde_json::Error) -> Invalid {
    let problem = error.to_string();
    // The words of the library; a test holds them.
    let absent = ["missing field", "invalid type: null"];
    let reason = if absent.iter().any(|words| problem.starts_with(words)) {
        ReasonCode::StratMissingField
    } else {
        ReasonCode::StratInputInvalid
    };
    Invalid { field, problem, reason }
}
