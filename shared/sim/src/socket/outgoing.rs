//! One frame on its way to a connection, and the connections of a hub.
//!
//! Inputs: texts. Outputs: entries in the queues of connections. Invariant: a connection whose
//! queue is full is cut, never waited for. It formats nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_util::sync::CancellationToken;

/// Texts that may wait for one connection: some seconds of the whole market. A reader that is
/// further behind is cut, as the real venues do.
pub const CONNECTION_QUEUE_LEN_LIMIT: usize = 16_384;

/// What the send log keeps of a frame, beside its channel and symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// First id of the frame: trade id, sequence number, update id; for books with a checksum that
    /// checksum. 0 without any.
    pub first: u64,
    /// Last id of the frame.
    pub last: u64,
    /// The stamp that the frame carries, µs since the Unix epoch; 0 where no judge needs it.
    pub ts_us: i64,
    /// Best bid, its quantity, best ask, its quantity after the frame, in units of the symbol's
    /// digits; for books and best prices.
    pub top: Option<[i64; 4]>,
    /// Events in the frame: orders of a level 3 message, levels, prints.
    pub events: u32,
}

impl Content {
    /// One event with an id and a stamp.
    pub(crate) fn of(id: u64, ts_us: i64) -> Content {
        Content { first: id, last: id, ts_us, top: None, events: 1 }
    }
}

/// One text on its way to a connection, with what counters and the send log want to know.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The text.
    pub text: Utf8Bytes,
    /// Channel, `ack` for answers.
    pub channel: &'static str,
    /// Symbol, for frames of one.
    pub symbol: Option<Arc<str>>,
    /// What the send log keeps.
    pub content: Content,
}

impl Outgoing {
    /// A frame without ids: an answer, a heartbeat.
    pub(crate) fn plain(channel: &'static str, text: impl Into<Utf8Bytes>) -> Outgoing {
        Outgoing { text: text.into(), channel, symbol: None, content: Content::default() }
    }
}

/// The way to one connection.
#[derive(Debug)]
pub(crate) struct Line {
    queue: mpsc::Sender<Outgoing>,
    cut: CancellationToken,
}

impl Line {
    pub(crate) fn new(queue: mpsc::Sender<Outgoing>, cut: CancellationToken) -> Line {
        Line { queue, cut }
    }

    /// Queues a frame, or cuts the connection.
    pub(crate) fn send(&self, outgoing: Outgoing) {
        if self.queue.try_send(outgoing).is_err() {
            self.cut.cancel();
        }
    }
}

/// All connections of a hub with what each of them keeps.
#[derive(Debug)]
pub(crate) struct Lines<S> {
    open: BTreeMap<u64, (Line, S)>,
}

impl<S> Default for Lines<S> {
    fn default() -> Lines<S> {
        Lines { open: BTreeMap::new() }
    }
}

impl<S> Lines<S> {
    pub(crate) fn add(&mut self, connection: u64, line: Line, session: S) {
        self.open.insert(connection, (line, session));
    }

    pub(crate) fn remove(&mut self, connection: u64) -> Option<S> {
        self.open.remove(&connection).map(|(_, session)| session)
    }

    pub(crate) fn get(&self, connection: u64) -> Option<&S> {
        self.open.get(&connection).map(|(_, session)| session)
    }

    pub(crate) fn get_mut(&mut self, connection: u64) -> Option<&mut S> {
        self.open.get_mut(&connection).map(|(_, session)| session)
    }

    pub(crate) fn send(&self, connection: u64, outgoing: Outgoing) {
        if let Some((line, _)) = self.open.get(&connection) {
            line.send(outgoing);
        }
    }

    /// One frame to all of these.
    pub(crate) fn send_all<'a>(
        &self,
        audience: impl IntoIterator<Item = &'a u64>,
        outgoing: &Outgoing,
    ) {
        for connection in audience {
            self.send(*connection, outgoing.clone());
        }
    }

    pub(crate) fn sessions(&self) -> impl Iterator<Item = (u64, &S)> {
        self.open.iter().map(|(connection, (_, session))| (*connection, session))
    }
}
