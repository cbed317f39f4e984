//! The send log: what was really handed to sockets, when, so that a judge can compare what a client
//! recorded with what it was sent.
//!
//! Inputs: frames after they were written. Outputs: the newest `ENTRIES_LIMIT` entries, numbered,
//! and all of them as lines of a file when one was asked for ([`SendLine`]). Invariant: numbers grow
//! by one. A file that cannot be written is given up with an error in the log; the venue goes on.

use super::send_line::SendLine;
use crate::socket::Outgoing;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Entries that are kept in memory, about 50 MB; the oldest go.
pub const ENTRIES_LIMIT: usize = 500_000;
/// Entries in one answer.
pub const PAGE_LIMIT: usize = 50_000;

#[derive(Clone, Debug)]
struct Entry {
    us: i64,
    connection: u64,
    channel: &'static str,
    symbol: Arc<str>,
    content: crate::socket::Content,
}

impl Entry {
    fn json(&self) -> Value {
        let content = self.content;
        json!({
            "us": self.us,
            "connection": self.connection,
            "channel": self.channel,
            "symbol": &*self.symbol,
            "first": content.first,
            "last": content.last,
            "events": content.events,
            "ts_us": content.ts_us,
            "top": content.top,
        })
    }
}

#[derive(Debug, Default)]
struct Kept {
    /// Number of the oldest entry that is kept.
    first: u64,
    entries: VecDeque<Entry>,
    file: Option<BufWriter<File>>,
    /// Lines of the file.
    lines: u64,
}

impl Kept {
    fn give_up(&mut self, error: &std::io::Error) {
        tracing::error!(%error, "the send log's file is given up");
        self.file = None;
    }
}

/// The send log.
#[derive(Debug, Default)]
pub struct Sends {
    kept: Mutex<Kept>,
}

impl Sends {
    /// Writes all entries from now on to a new file, one [`SendLine`] each.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn to_file(&self, path: &Path) -> std::io::Result<()> {
        self.lock().file = Some(BufWriter::with_capacity(1 << 20, File::create(path)?));
        Ok(())
    }

    /// Frames that were written to a connection at a time; those without a symbol are not kept.
    pub(crate) fn push(&self, us: i64, connection: u64, frames: &[Outgoing]) {
        let mut kept = self.lock();
        for frame in frames {
            let Some(symbol) = frame.symbol.clone() else { continue };
            let (channel, content) = (frame.channel, frame.content);
            let line = SendLine { us, connection, channel, symbol: &symbol, content };
            match kept.file.as_mut().map(|file| line.write(file)) {
                None => {}
                Some(Ok(())) => kept.lines += 1,
                Some(Err(error)) => kept.give_up(&error),
            }
            let entry = Entry { us, connection, channel, symbol, content };
            if kept.entries.len() == ENTRIES_LIMIT {
                kept.entries.pop_front();
                kept.first += 1;
            }
            kept.entries.push_back(entry);
        }
    }

    /// Everything that is buffered goes to the file; how many lines it has, if there is one.
    pub(crate) fn flush(&self) -> Option<u64> {
        let mut kept = self.lock();
        if let Err(error) = kept.file.as_mut()?.flush() {
            kept.give_up(&error);
            return None;
        }
        Some(kept.lines)
    }

    /// Entries from a number on, at most `limit`, of one channel and symbol when given. `next` is
    /// the number from which to go on; `first` the oldest that there is.
    #[must_use]
    pub fn page(
        &self,
        from: u64,
        limit: usize,
        channel: Option<&str>,
        symbol: Option<&str>,
    ) -> Value {
        let kept = self.lock();
        let skipped = usize::try_from(from.saturating_sub(kept.first)).unwrap_or(usize::MAX);
        let mut next = kept.first.max(from);
        let mut rows = Vec::new();
        for entry in kept.entries.iter().skip(skipped) {
            if rows.len() >= limit.min(PAGE_LIMIT) {
                break;
            }
            next += 1;
            let meant = channel.is_none_or(|channel| channel == entry.channel)
                && symbol.is_none_or(|symbol| symbol == &*entry.symbol);
            if meant {
                rows.push(entry.json());
            }
        }
        json!({ "first": kept.first, "next": next, "sends": rows })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Every change is a push or a removal; a panic leaves it whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::Content;

    fn frame(symbol: Option<&str>, first: u64) -> Outgoing {
        let content = Content::of(first, 3);
        Outgoing { text: "".into(), channel: "book", symbol: symbol.map(Arc::from), content }
    }

    #[test]
    fn the_file_holds_every_line_and_says_how_many() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("sends");
        let sends = Sends::default();
        assert_eq!(sends.flush(), None, "there is no file yet");
        sends.to_file(&path).expect("made");
        sends.push(5, 1, &[frame(Some("A"), 1), frame(None, 0), frame(Some("B"), 7)]);
        assert_eq!(sends.flush(), Some(2));
        let text = std::fs::read_to_string(&path).expect("readable");
        assert_eq!(text, "5 1 book A 1 1 1 3\n5 1 book B 7 7 1 3\n");
    }

    #[test]
    fn pages_follow_each_other_and_pick_symbols() {
        let sends = Sends::default();
        sends.push(5, 1, &[frame(Some("A"), 1), frame(None, 0), frame(Some("B"), 7)]);
        sends.push(6, 2, &[frame(Some("A"), 2)]);
        let first = sends.page(0, 2, None, None);
        assert_eq!(
            (first["next"].as_u64(), first["sends"].as_array().map(Vec::len)),
            (Some(2), Some(2))
        );
        let second = sends.page(2, 2, None, None);
        assert_eq!(second["sends"][0]["first"], 2);
        let only = sends.page(0, 10, Some("book"), Some("A"));
        assert_eq!(only["sends"].as_array().map(Vec::len), Some(2));
        assert_eq!(only["next"], 3);
        assert_eq!(sends.page(99, 10, None, None)["sends"].as_array().map(Vec::len), Some(0));
    }
}
