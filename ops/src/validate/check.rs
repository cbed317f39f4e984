//! A check: what was expected, what was found, and whether that passes.

use serde::Serialize;

/// Outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Outcome {
    /// As expected.
    #[serde(rename = "PASS")]
    Pass,
    /// Not as expected.
    #[serde(rename = "FAIL")]
    Fail,
    /// Could not be looked at; counts as failure.
    #[serde(rename = "N/A")]
    NotAvailable,
}

impl Outcome {
    /// The word in the report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::NotAvailable => "N/A",
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Proof that it belongs to.
    pub proof: &'static str,
    /// Name; a missing marker's check bears the marker's name.
    pub name: String,
    /// Outcome.
    pub outcome: Outcome,
    /// What must be.
    pub expected: String,
    /// What is.
    pub actual: String,
}

/// Collects the checks of one proof.
#[derive(Debug)]
pub struct Checks {
    proof: &'static str,
    /// The checks so far.
    pub list: Vec<Check>,
}

impl Checks {
    /// No checks yet.
    #[must_use]
    pub const fn new(proof: &'static str) -> Self {
        Self { proof, list: Vec::new() }
    }

    /// Adds a check.
    pub fn put(&mut self, name: &str, ok: bool, expected: &str, actual: impl ToString) {
        let outcome = if ok { Outcome::Pass } else { Outcome::Fail };
        self.add(name, outcome, expected, actual.to_string());
    }

    /// Adds a check that could not be looked at.
    pub fn not_available(&mut self, name: &str, expected: &str, why: &str) {
        self.add(name, Outcome::NotAvailable, expected, why.to_owned());
    }

    /// Demands at least one line of a marker.
    pub fn marker(&mut self, lines: &super::Lines, service: &str, marker: &str) {
        let count = lines.from_service(service, marker).count();
        self.put(marker, count > 0, &format!("≥ 1 of {service}"), count);
    }

    fn add(&mut self, name: &str, outcome: Outcome, expected: &str, actual: String) {
        let (name, expected) = (name.to_owned(), expected.to_owned());
        self.list.push(Check { proof: self.proof, name, outcome, expected, actual });
    }
}
