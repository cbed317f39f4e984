//! Purpose: show that something takes time. Inputs: a text, a count, a log file. Outputs: a spinner or a
//! bar on a terminal, a line when it is piped. Invariants: nothing is drawn for what takes less than two
//! seconds; a dropped progress leaves a clean line.

use std::io::IsTerminal;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// What is shorter needs no sign of life.
const QUIET_FOR: Duration = Duration::from_secs(2);
/// How often the spinner moves and a log is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// Bytes of a log that are read at once.
const CHUNK_BYTES: usize = 65_536;

/// A sign of life, until it is dropped.
#[derive(Debug)]
pub struct Progress {
    task: JoinHandle<()>,
    bar: ProgressBar,
}

impl Progress {
    /// Shows `text` from two seconds on.
    #[must_use]
    pub fn start(text: &str) -> Self {
        let bar = ProgressBar::hidden();
        let (shown, text) = (bar.clone(), text.to_owned());
        let task = tokio::spawn(async move {
            sleep(QUIET_FOR).await;
            if std::io::stderr().is_terminal() {
                let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
                shown.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
                shown.set_message(text);
                shown.set_draw_target(indicatif::ProgressDrawTarget::stderr());
                shown.enable_steady_tick(LOOK_INTERVAL);
            } else {
                eprintln!("{text} …");
            }
        });
        Self { task, bar }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.task.abort();
        self.bar.finish_and_clear();
    }
}

/// A bar over something that is counted; it stands from two seconds on.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
    text: &'static str,
    since: Instant,
    is_shown: bool,
}

impl Bar {
    /// A bar that nobody sees yet.
    #[must_use]
    pub fn new(text: &'static str) -> Self {
        Self { bar: ProgressBar::hidden(), text, since: Instant::now(), is_shown: false }
    }

    /// `done` of `total` are done.
    pub fn at(&mut self, done: i64, total: i64) {
        let count = |n: i64| u64::try_from(n).unwrap_or(0);
        if !self.is_shown && self.since.elapsed() >= QUIET_FOR {
            self.is_shown = true;
            self.show();
        }
        self.bar.set_length(count(total));
        self.bar.set_position(count(done));
    }

    fn show(&self) {
        if !std::io::stderr().is_terminal() {
            eprintln!("{} …", self.text);
            return;
        }
        let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} ({eta})");
        self.bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        self.bar.set_message(self.text);
        self.bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Returns when a marker of this name is in what is appended to a log from now on.
pub async fn marker_in(log: &Path, marker: &str) {
    let wanted = format!("\"marker\":\"{marker}\"");
    let mut offset = std::fs::metadata(log).map_or(0, |found| found.len());
    let mut carried = Vec::new();
    loop {
        match read_on(log, offset, &mut carried) {
            Ok(read) if read > 0 => {
                offset += read;
                if contains(&carried, wanted.as_bytes()) {
                    return;
                }
                // The name may be cut between two reads.
                let keep = carried.len().saturating_sub(wanted.len());
                carried.drain(..keep);
            }
            // Nothing new, or not there yet.
            Ok(_) | Err(_) => sleep(LOOK_INTERVAL).await,
        }
    }
}

fn read_on(log: &Path, offset: u64, into: &mut Vec<u8>) -> std::io::Result<u64> {
    let mut file = std::fs::File::open(log)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut chunk = vec![0; CHUNK_BYTES];
    let read = file.read(&mut chunk)?;
    into.extend_from_slice(&chunk[..read]);
    Ok(u64::try_from(read).unwrap_or(u64::MAX))
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    #[tokio::test]
    async fn a_marker_is_found_only_in_what_is_appended_later() {
        let directory = tempfile::tempdir().expect("temp dir");
        let log = directory.path().join("a.jsonl");
        std::fs::write(&log, "{\"marker\":\"EXECUTION_ATTACHED\"}\n").expect("written");
        let waiting = tokio::spawn({
            let log = log.clone();
            async move { super::marker_in(&log, "EXECUTION_ATTACHED").await }
        });
        tokio::task::yield_now().await;
        let mut file = std::fs::OpenOptions::new().append(true).open(&log).expect("opens");
        file.write_all(b"{\"marker\":\"EXEC").expect("written");
        file.flush().expect("flushed");
        assert!(!waiting.is_finished(), "the old line does not count");
        file.write_all(b"UTION_ATTACHED\"}\n").expect("written");
        let found = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        assert!(found.is_ok_and(|joined| joined.is_ok()), "it is found across two writes");
    }
}
