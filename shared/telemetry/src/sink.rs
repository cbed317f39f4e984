//! Purpose: carry finished lines to stdout or a file without ever blocking the caller. Inputs: lines.
//! Outputs: the same lines, in order, written by one thread. Invariants: the queue is bounded; a line
//! that finds it full is dropped and counted, because a full log disk must not stop the market core;
//! `flush` returns only after everything sent before it has been written, or after its time limit.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// Lines that may wait. At the busiest second seen (a few thousand lines at DEBUG) this is over ten
/// seconds of a stuck disk.
const QUEUE_LINES_LIMIT: usize = 65_536;

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// The sending side; the writing thread ends when the last one is gone.
#[derive(Debug)]
pub(crate) struct Sink {
    queue: SyncSender<Message>,
    dropped: AtomicU64,
}

impl Sink {
    /// Starts the writing thread.
    pub(crate) fn start(out: Box<dyn Write + Send>) -> std::io::Result<Self> {
        let (queue, lines) = sync_channel(QUEUE_LINES_LIMIT);
        std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || write(out, &lines))?;
        Ok(Self { queue, dropped: AtomicU64::new(0) })
    }

    /// Hands a line over, or drops and counts it.
    pub(crate) fn send(&self, line: Vec<u8>) {
        match self.queue.try_send(Message::Line(line)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Lines dropped since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits until everything sent so far is written, at most `limit`. Returns whether it was.
    pub(crate) fn flush(&self, limit: Duration) -> bool {
        let (done, wait) = sync_channel(1);
        // A full queue would block here; a flush must not hang at the end of a process.
        if self.queue.try_send(Message::Flush(done)).is_err() {
            return false;
        }
        wait.recv_timeout(limit).is_ok()
    }
}

fn write(out: Box<dyn Write + Send>, lines: &Receiver<Message>) {
    let mut out = std::io::BufWriter::with_capacity(64 * 1024, out);
    while let Ok(first) = lines.recv() {
        let mut waiting = Vec::new();
        handle(first, &mut out, &mut waiting);
        while let Ok(next) = lines.try_recv() {
            handle(next, &mut out, &mut waiting);
        }
        // A log that cannot be written has nowhere to complain to; the process goes on.
        drop(out.flush());
        for done in waiting {
            // Who asked may have stopped waiting.
            let _ = done.send(());
        }
    }
}

fn handle(message: Message, out: &mut impl Write, waiting: &mut Vec<SyncSender<()>>) {
    match message {
        // See `write`: an error here has no other place to go.
        Message::Line(line) => drop(out.write_all(&line)),
        Message::Flush(done) => waiting.push(done),
    }
}
