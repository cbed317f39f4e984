//! The words of the product, written from the types: where it stands, what happened, why, and what it logs.
//!
//! Input: the closed vocabularies. Output: `docs/catalog.md` (a test compares). Invariant: a word stands in one
//! vocabulary with one meaning; what the document says is what the types say.

use std::fmt::Write as _;

use penstock_alerts::AlertSource;
use penstock_alerts::reasons::reason_of;
use penstock_telemetry::Marker;
use penstock_trading::decide::code_of;
use penstock_types::vocab::{AuditEventType, Blocker, ReasonCode, ReasonFamily, StageName};

/// The catalog, in Markdown.
#[must_use]
pub fn document() -> String {
    let mut text = String::from(
        "# Catalog\n\nFour vocabularies that are never mixed: a *stage* says where in the loop, an *event* what happened, a \
         *reason* why, a *marker* is a line of the log. A word is added and never taken away, because rows and sealed \
         files carry it. \"No reason\" is an empty list.\n\n## Stages\n\n| Stage | What is done |\n|---|---|\n",
    );
    // Writing to a string cannot fail.
    for stage in StageName::ALL {
        let _ = writeln!(text, "| `{stage}` | {} |", stage.meaning());
    }
    text.push_str(
        "\n## Audit events\n\nLane `critical` is on disk before whoever says it goes on; `sample` is the first that gives way.\n\n\
         | Event | Lane | What it says |\n|---|---|---|\n",
    );
    for event in AuditEventType::ALL {
        let _ = writeln!(text, "| `{event}` | {} | {} |", event.lane(), event.meaning());
    }
    text.push_str(
        "\n## Reasons\n\nSeverity is that of an alert by itself; a change of the mode raises it.\n",
    );
    for family in ReasonFamily::ALL {
        let _ = write!(text, "\n### {family}\n\n| Reason | Severity | Meaning |\n|---|---|---|\n");
        for reason in ReasonCode::ALL.iter().filter(|reason| reason.family() == *family) {
            let _ = writeln!(text, "| `{reason}` | {} | {} |", reason.severity(), reason.meaning());
        }
    }
    text.push_str(
        "\n## Blockers\n\nWhat keeps a symbol from an entry, the strongest first, and the reason that stands for it.\n\n\
         | Rank | Blocker | Reason |\n|---|---|---|\n",
    );
    for blocker in Blocker::ALL {
        let _ =
            writeln!(text, "| `{}` | `{blocker}` | {} |", blocker.rank(), reason_cell(*blocker));
    }
    text.push_str(
        "\n## Markers\n\nA critical marker (level ERROR) is an alert, and so are some warnings: the reason is that of the \
         alert.\n\n| Marker | Level | Alert |\n|---|---|---|\n",
    );
    for marker in Marker::ALL {
        let (name, level) = (marker.as_str(), marker.level().as_str());
        let _ = writeln!(text, "| `{name}` | {level} | {} |", alert_cell(*marker));
    }
    text.push_str("\n<!-- This file is written by `UPDATE_DOCS=1 cargo test -p penstock-ops --lib catalog`. -->\n");
    text
}

/// The reason of a blocker; three have the reason of what blocked.
fn reason_cell(blocker: Blocker) -> String {
    match blocker {
        Blocker::EngineBlocked => "that of the engine's gate".to_owned(),
        Blocker::AiGateBlocked => "that of the AI gate".to_owned(),
        _ => code_of(blocker).map_or("that of the rule".to_owned(), |code| format!("`{code}`")),
    }
}

/// The reason of a marker's alert in each process.
fn alert_cell(marker: Marker) -> String {
    let [execution, ingest] =
        [AlertSource::Execution, AlertSource::Ingest].map(|process| reason_of(process, marker));
    match (execution, ingest) {
        (None, None) => "–".to_owned(),
        (Some(one), Some(other)) if one == other => format!("`{one}`"),
        (execution, ingest) => [(execution, "execution"), (ingest, "ingest")]
            .iter()
            .filter_map(|(reason, process)| Some(format!("`{}` ({process})", (*reason)?)))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_catalog_is_what_the_types_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/catalog.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, super::document()).expect("written");
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            found == super::document(),
            "docs/catalog.md is not what the types say; next: UPDATE_DOCS=1 cargo test -p penstock-ops --lib catalog"
        );
    }
}
