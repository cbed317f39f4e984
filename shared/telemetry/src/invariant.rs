//! Purpose: what a broken invariant does to a service. Inputs: a panic, the state directory.
//! Outputs: one log line at ERROR, an entry in `invariant-exits`, exit 70; at the next start the
//! answer whether this is a restart loop. Invariants: the log is flushed before the process ends; a
//! record that cannot be written does not keep it from ending. It does not restart anything.

use std::io::Write;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

/// Exit status of a service whose own invariant broke.
pub const EXIT_BROKEN_INVARIANT: i32 = 70;
/// Exit status of a start that finds three of them within ten minutes. No supervisor restarts it.
pub const EXIT_RESTART_LOOP: i32 = 71;
/// Entries that make a restart loop.
const ENTRIES_LIMIT: usize = 3;
/// Entries older than this no longer count: a start by hand is admitted then.
const ENTRY_AGE_MINUTES: i64 = 10;

const FILE_NAME: &str = "invariant-exits";

/// Makes every panic of this process end it with [`EXIT_BROKEN_INVARIANT`], after a log line, an entry in
/// `invariant-exits` of the state directory and `last_words`, which is told the place and the message and has a time
/// limit of its own. A panic within them ends the process at once. For the mains of the services.
pub fn exit_on_panic(
    state_directory: PathBuf,
    last_words: impl Fn(&str, &str) + Send + Sync + 'static,
) {
    let is_ending = std::sync::atomic::AtomicBool::new(false);
    std::panic::set_hook(Box::new(move |info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let text = message(info.payload());
        tracing::error!(place, "broken invariant: {text}");
        if let Err(error) = record(&state_directory, Utc::now()) {
            tracing::error!(
                "record the broken invariant in {}: {error}",
                state_directory.display()
            );
        }
        if !is_ending.swap(true, std::sync::atomic::Ordering::AcqRel) {
            last_words(&place, &text);
        }
        crate::flush();
        eprintln!("broken invariant at {place}: {text}");
        std::process::exit(EXIT_BROKEN_INVARIANT);
    }));
}

fn message(payload: &(dyn std::any::Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "panic without a message".to_owned()
    }
}

/// Appends the time of a broken invariant.
///
/// # Errors
/// When the file cannot be opened or written.
pub fn record(state_directory: &Path, now: DateTime<Utc>) -> std::io::Result<()> {
    std::fs::create_dir_all(state_directory)?;
    let path = state_directory.join(FILE_NAME);
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    writeln!(file, "{}", now.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))?;
    file.sync_all()
}

/// Whether three broken invariants lie within the last ten minutes: the start must then raise the alert
/// `RESTART_LOOP` and exit with [`EXIT_RESTART_LOOP`]. A missing file or a line that is no time counts
/// as nothing.
#[must_use]
pub fn is_restart_loop(state_directory: &Path, now: DateTime<Utc>) -> bool {
    let Ok(text) = std::fs::read_to_string(state_directory.join(FILE_NAME)) else { return false };
    let limit = chrono::TimeDelta::minutes(ENTRY_AGE_MINUTES);
    let young = text
        .lines()
        .filter_map(|line| DateTime::parse_from_rfc3339(line.trim()).ok())
        .filter(|at| now.signed_duration_since(at.with_timezone(&Utc)) < limit)
        .count();
    young >= ENTRIES_LIMIT
}

#[cfg(test)]
mod tests {
    use chrono::{TimeDelta, TimeZone, Utc};

    use super::{is_restart_loop, record};

    #[test]
    fn three_broken_invariants_in_ten_minutes_are_a_restart_loop() {
        let directory = tempfile::tempdir().expect("temp dir");
        let start = Utc.with_ymd_and_hms(2026, 1, 2, 3, 0, 0).single().expect("a time");
        assert!(!is_restart_loop(directory.path(), start));
        for minute in 0..3 {
            assert!(!is_restart_loop(directory.path(), start + TimeDelta::minutes(minute)));
            record(directory.path(), start + TimeDelta::minutes(minute)).expect("recorded");
        }
        assert!(is_restart_loop(directory.path(), start + TimeDelta::minutes(3)));
        assert!(
            !is_restart_loop(directory.path(), start + TimeDelta::minutes(10)),
            "entries age out"
        );
    }

    #[test]
    fn a_torn_line_counts_as_nothing() {
        let directory = tempfile::tempdir().expect("temp dir");
        std::fs::write(directory.path().join("invariant-exits"), "2026-01-0\n\n\u{0}\n")
            .expect("written");
        assert!(!is_restart_loop(directory.path(), Utc::now()));
    }
}
