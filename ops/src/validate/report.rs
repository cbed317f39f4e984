//! The report: a line per check, a closing line, and the same as JSON in a file.

use super::check::Check;
use super::verdict::Conclusion;
use serde_json::json;
use std::fmt::Write as _;

/// `PASS|FAIL|N/A name expected actual` per check, then the `RESULT` line.
#[must_use]
pub fn text(checks: &[Check], conclusion: Conclusion, proofs: &[String]) -> String {
    let mut out = String::new();
    for check in checks {
        let (outcome, name) = (check.outcome.as_str(), &check.name);
        let actual = if check.actual.is_empty() { "-" } else { &check.actual };
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{outcome:<4} {:<10} {name}  expected: {}  actual: {actual}",
            check.proof, check.expected
        );
    }
    let _ = writeln!(
        out,
        "RESULT proof={} verdict={} classification={} exit={}",
        proofs.join(","),
        conclusion.verdict.as_str(),
        conclusion.classification.as_str(),
        conclusion.code
    );
    out
}

/// The same as JSON.
#[must_use]
pub fn json(checks: &[Check], conclusion: Conclusion, proofs: &[String]) -> serde_json::Value {
    json!({
        "proofs": proofs,
        "checks": checks,
        "verdict": conclusion.verdict.as_str(),
        "classification": conclusion.classification.as_str(),
        "exit_code": conclusion.code,
    })
}
