//! Purpose: the exit statuses of all programs in one table. Outputs: constants, meanings, the rows of
//! `docs/exit-codes.md` (a test compares). Invariants: a status means one thing per program.

/// A clean end.
pub const CLEAN: i32 = 0;
/// `run-ingest` reached its greatest length of a run.
pub const MAX_RUN_DURATION: i32 = 10;
/// A replay or a check found a difference.
pub const DIFFERENT: i32 = 15;
/// Venue or database are unavailable after retries.
pub const UNAVAILABLE: i32 = 69;
/// A broken invariant outside the engine core.
pub const BROKEN_INVARIANT: i32 = 70;
/// The third broken invariant within ten minutes.
pub const RESTART_LOOP: i32 = 71;
/// The fence is busy or lost, or a newer instance was seen.
pub const FENCED: i32 = 75;
/// Configuration, schema or identity error.
pub const CONFIG: i32 = penstock_config::EXIT_CONFIG;
/// The command line does not make sense, or a file cannot be read.
pub const USAGE: i32 = 2;

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The status.
    pub code: i32,
    /// What it means.
    pub meaning: &'static str,
    /// Whether a supervisor starts the service again.
    pub restarted: &'static str,
    /// What to do.
    pub next: &'static str,
}

/// Statuses of `run-ingest` and `run-execution-live`.
pub const SERVICES: [Row; 7] = [
    Row { code: CLEAN, meaning: "clean stop", restarted: "no", next: "nothing" },
    Row {
        code: MAX_RUN_DURATION,
        meaning: "greatest length of a run reached (`run-ingest`)",
        restarted: "at once",
        next: "nothing",
    },
    Row {
        code: UNAVAILABLE,
        meaning: "venue or database unavailable after retries",
        restarted: "after a pause",
        next: "look at the service's last lines; see whether the clusters run",
    },
    Row {
        code: BROKEN_INVARIANT,
        meaning: "broken invariant",
        restarted: "after a pause",
        next: "keep the log: it is a defect; resting stops protect meanwhile",
    },
    Row {
        code: RESTART_LOOP,
        meaning: "third broken invariant within ten minutes",
        restarted: "no",
        next: "look at `invariant-exits` in the state directory and the log; a start by hand is admitted ten minutes later",
    },
    Row {
        code: FENCED,
        meaning: "fence busy or lost, or signs of a newer instance",
        restarted: "after a pause",
        next: "find the other instance; one of the two must stop",
    },
    Row {
        code: CONFIG,
        meaning: "configuration, schema or identity error",
        restarted: "no",
        next: "correct what the message names: key, value, range",
    },
];

/// Commands over the engine's files, which answer with the family of the code that they name.
const FILES: &str = "replay, verify, export, keys, engine: engine's files";

/// Statuses of `penstock` itself and of a single pass of execution, by command.
pub const TOOL: [(&str, i32, &str); 50] = [
    ("every command", CLEAN, "done"),
    (
        "every command",
        1,
        "failed for a reason that has no status of its own; the message says which",
    ),
    ("every command", USAGE, "usage, or a file that cannot be read"),
    ("every command", CONFIG, "configuration refused, nothing was touched"),
    ("up", UNAVAILABLE, "a cluster or a service did not come up, or stays down"),
    ("up", FENCED, "another `penstock up` works on this data root"),
    ("up, demo", BROKEN_INVARIANT, "all services ended, the worst with this status"),
    ("up, demo", RESTART_LOOP, "all services ended, the worst with this status"),
    (
        "demo",
        1,
        "an invariant is false, one that must be judged saw nothing, or a fault was not staged",
    ),
    ("status", UNAVAILABLE, "the service that `--service` names is not healthy"),
    ("flatten", UNAVAILABLE, "execution did not take the request"),
    ("flatten", USAGE, "no run has the symbol, or execution refused the request"),
    ("safety", UNAVAILABLE, "execution did not take the request"),
    ("safety", USAGE, "execution refused the request; the answer says why"),
    (
        "reconcile",
        UNAVAILABLE,
        "execution did not take the request, or the venue did not answer it",
    ),
    ("reconcile", DIFFERENT, "a dry run found a difference"),
    ("mode", UNAVAILABLE, "execution did not take the request"),
    ("mode", USAGE, "execution refused the request; the answer says why"),
    ("report", USAGE, "the day has no summary"),
    ("validate", 0, "every proof that was asked for passes"),
    ("run-execution-live --once", 3, "no order: data blocked"),
    ("run-execution-live --once", 4, "no order: nothing to attach to"),
    ("run-execution-live --once", 5, "no order: economically empty"),
    ("run-execution-live --once", 6, "no order: the mode forbade entries"),
    ("psql", UNAVAILABLE, "the cluster does not run, or there is no psql"),
    ("check-recording", DIFFERENT, "an error, a bad checksum or a gap"),
    ("verify", DIFFERENT, "something differs; the first difference is named"),
    ("verify", USAGE, "there is no such run or generation"),
    ("replay", DIFFERENT, "the raw rows do not give the recorded state; nothing was written"),
    ("replay", USAGE, "there is no such run, or another one owns the state"),
    ("export", USAGE, "there is no such run"),
    (
        "replay --level, verify log, verify journal, verify bundle",
        DIFFERENT,
        "something does not follow: `E_DETERMINISM`; tick, token and field are named",
    ),
    (
        FILES,
        10,
        "configuration: `E_CFG_PARSE` `E_CFG_RANGE` `E_CFG_SCHEDULE` `E_CFG_TOKEN` `E_CFG_SCHEMA`",
    ),
    (
        FILES,
        11,
        "environment: `E_ENV_DIR` `E_ENV_DISK` `E_ENV_LOCK` `E_ENV_DB` `E_ENV_SCHEMA` `E_ENV_KEY`",
    ),
    (
        FILES,
        12,
        "snapshot: `E_SNAP_CHECKSUM` `E_SNAP_CONFIG` `E_SNAP_TOKENS` `E_SNAP_PHASE` `E_SNAP_MISSING` `E_SNAP_VERSION` `E_SNAP_AHEAD_OF_LOG`",
    ),
    (
        FILES,
        13,
        "log: `E_LOG_HEADER` `E_LOG_VERSION` `E_LOG_CORRUPT` `E_LOG_OFFSET` `E_LOG_AHEAD_OF_JOURNAL`",
    ),
    (
        FILES,
        14,
        "journal and frames: `E_JRN_CHAIN` `E_JRN_GAP` `E_FRAME_ORDER` `E_FRAME_TICK` `E_FRAME_TOKEN` `E_FRAME_CRC` `E_FRAME_OVERFLOW` `E_GAP_TOO_LONG`",
    ),
    (FILES, 15, "determinism: `E_DETERMINISM`"),
    (FILES, 16, "storage: `E_STORAGE`"),
    (FILES, 17, "core: `E_ARITH` `E_INVARIANT`"),
    (
        FILES,
        18,
        "manifest, bundle, archive: `E_MAN_MISSING` `E_MAN_HASH` `E_MAN_ROOT` `E_MAN_CHAIN` `E_MAN_SIGNATURE` `E_MAN_KEY`",
    ),
    ("replay --level", USAGE, "`--from-snapshot` or `--out` with level A"),
    (
        "retention",
        18,
        "a closed day of the engine does not verify; nothing of it and behind it was removed",
    ),
    (
        "keys, engine",
        11,
        "a key or a lock stands in the way: `E_ENV_KEY`, `E_ENV_LOCK`, `E_ENV_SCHEMA`",
    ),
    ("validate", 1, "a check failed"),
    ("validate", 3, "data blocked"),
    ("validate", 4, "attach blocked"),
    ("validate", 5, "economically empty while the lifecycle proof was asked for"),
    ("validate", 6, "mode blocked"),
    ("validate", 7, "window too short"),
];

/// The meaning of a service's status in a few words.
#[must_use]
pub fn meaning(code: i32) -> &'static str {
    SERVICES
        .iter()
        .find(|row| row.code == code)
        .map_or("not a status of this service", |row| row.meaning)
}

/// The document of all statuses, in Markdown.
#[must_use]
pub fn document() -> String {
    use std::fmt::Write as _;
    let mut text = "# Exit statuses\n\n## run-ingest, run-execution-live\n\n| Status | Meaning | Started again | Next step |\n|---|---|---|---|\n".to_owned();
    for row in SERVICES {
        // Writing to a string cannot fail.
        let _ =
            writeln!(text, "| {} | {} | {} | {} |", row.code, row.meaning, row.restarted, row.next);
    }
    text.push_str("\nAny other status, and an end by a signal, is a failure: started again after a pause. `penstock up` pauses 250 ms, doubled up to 5 s, from the beginning again after a minute of steady running; after 60 starts within ten minutes a service stays down.\n\n## By command\n\n| Command | Status | Meaning |\n|---|---|---|\n");
    for (command, code, meaning) in TOOL {
        let _ = writeln!(text, "| {command} | {code} | {meaning} |");
    }
    text.push_str("\n<!-- This file is written by `UPDATE_DOCS=1 cargo test -p penstock-ops --lib exit`. -->\n");
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_code_of_the_engine_stands_in_the_row_of_its_family() {
        for code in penstock_engine_io::Code::ALL {
            let name = format!("`{code}`");
            let row = |(command, status, meaning): &(&str, i32, &str)| {
                *command == super::FILES
                    && *status == i32::from(code.exit())
                    && meaning.contains(&name)
            };
            assert!(super::TOOL.iter().any(row), "{code}");
        }
    }

    #[test]
    fn the_document_of_statuses_is_the_tables() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/exit-codes.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, super::document()).expect("written");
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            found == super::document(),
            "docs/exit-codes.md is not what the table says; next: UPDATE_DOCS=1 cargo test -p penstock-ops --lib exit"
        );
    }
}
