//! Connections: who is heard, who is silent or late, what a loss costs.
//!
//! A connection that delivers nothing, heartbeats included, for the silence limit loses its quotes; so
//! does one whose book updates arrive later after their venue time than its best delay of the last 300 s
//! allows, which catches a frozen network that hands over old prices; so does every one after a stall of
//! the core. What is heard first after a silence may have been sent before it, a heartbeat above all: the
//! quotes return with data that the venue has stamped within the limit, and nothing else brings them back.
//! Each withdrawal and each return is a row.

use super::delays::Delays;
use super::{MarketCore, Note, Outputs};
use penstock_types::raw::{RawBody, is_level3_stream};
use penstock_types::vocab::StatusKind;
use penstock_types::{Seq, Symbol, UtcMicros};
use std::collections::BTreeMap;

/// Why a quote was withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdrawal {
    /// The checksum did not match.
    Book,
    /// The book is asked for anew.
    Resync,
    /// The connection was lost.
    Disconnect,
    /// Nothing came for too long.
    Silent,
    /// What came was too old.
    Late,
    /// The core itself stood still.
    Stall,
}

impl Withdrawal {
    /// Word of marker and row.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Book => "book",
            Self::Resync => "resync",
            Self::Disconnect => "disconnect",
            Self::Silent => "silent",
            Self::Late => "late",
            Self::Stall => "stall",
        }
    }
}

/// Why a book is no longer the venue's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostBook {
    /// The checksum did not match.
    Checksum {
        /// What the venue sent.
        expected: u32,
        /// What the book gave.
        computed: u32,
    },
    /// It is asked for anew for another reason (crossed, number beyond the scale, missing image).
    Resync,
}

/// Longest silence of a socket of order-by-order books before they give no sample, in milliseconds: half of
/// that after which its connector gives it up.
const LEVEL3_SILENCE_MS: i64 = 5_000;
#[derive(Debug)]
struct Conn {
    stream: String,
    last_at: UtcMicros,
    quiet: Option<Withdrawal>,
    delays: Delays,
}

impl Conn {
    /// Withdrawn because nothing came, or nothing was taken.
    const fn is_unheard(&self) -> bool {
        matches!(self.quiet, Some(Withdrawal::Silent | Withdrawal::Stall))
    }

    /// Quotes stand on it; on the others only order-by-order books do.
    fn has_quotes(&self) -> bool {
        !is_level3_stream(&self.stream)
    }
}

/// All connections of the venue by their number, and the gaps that lost ones left.
#[derive(Debug)]
pub(super) struct Connections {
    silence_ms: i64,
    conns: BTreeMap<i16, Conn>,
    gaps: Vec<(Option<i16>, String, UtcMicros)>,
}

impl Connections {
    pub(super) const fn new(silence_ms: i64) -> Self {
        Self { silence_ms, conns: BTreeMap::new(), gaps: Vec::new() }
    }

    /// A connection that is open and not heard.
    pub(super) fn is_quiet(&self, conn_id: i16) -> bool {
        self.conns.get(&conn_id).is_some_and(|conn| conn.quiet.is_some())
    }
}

impl MarketCore {
    /// A socket was opened; `stream` names what it carries.
    pub fn conn_opened(&mut self, conn_id: i16, stream: &str, at: UtcMicros, out: &mut Outputs) {
        let mut row = self.status(StatusKind::Connect, stream);
        row.conn_id = Some(conn_id);
        self.number(at, RawBody::Status(row), out);
        let conn =
            Conn { stream: stream.to_owned(), last_at: at, quiet: None, delays: Delays::new() };
        self.connections.conns.insert(conn_id, conn);
    }

    /// A socket was lost: its books are gone, its quotes withdrawn, a gap is open from its last message.
    pub fn conn_lost(&mut self, conn_id: i16, reason: &str, at: UtcMicros, out: &mut Outputs) {
        let Some(conn) = self.connections.conns.remove(&conn_id) else {
            return;
        };
        let mut row = self.status(StatusKind::Disconnect, &conn.stream);
        row.conn_id = Some(conn_id);
        row.detail = serde_json::json!({ "reason": reason }).to_string();
        self.number(at, RawBody::Status(row), out);
        let mut gap = self.status(StatusKind::Gap, &conn.stream);
        (gap.conn_id, gap.gap_from) = (Some(conn_id), Some(conn.last_at));
        self.number(at, RawBody::Status(gap), out);
        self.connections.gaps.push((Some(conn_id), conn.stream, conn.last_at));
        self.level3.closed(conn_id);
        for i in 0..self.tracked.len() {
            if self.tracked[i].book_conn() == Some(conn_id) {
                self.note_lost_book(i, Withdrawal::Disconnect, out);
            }
        }
    }

    /// Opens the gap that a restart leaves, from the last recovered record to the first whole feed.
    pub fn restart_gap(&mut self, from: UtcMicros, at: UtcMicros, out: &mut Outputs) {
        self.restart_gap_of("restart", from, at, out);
    }

    /// The same of one stream whose wholeness the venue's does not wait for: order-by-order books.
    pub fn restart_gap_of(
        &mut self,
        stream: &str,
        from: UtcMicros,
        at: UtcMicros,
        out: &mut Outputs,
    ) {
        let mut gap = self.status(StatusKind::Gap, stream);
        gap.gap_from = Some(from.min(at));
        self.number(at, RawBody::Status(gap), out);
        self.connections.gaps.push((None, stream.to_owned(), from.min(at)));
    }

    /// Everything that `stream` carries is subscribed again: its gaps end here.
    pub fn stream_whole(&mut self, stream: &str, at: UtcMicros, out: &mut Outputs) {
        let (ended, open) = core::mem::take(&mut self.connections.gaps)
            .into_iter()
            .partition::<Vec<_>, _>(|g| g.1 == stream);
        self.connections.gaps = open;
        for (conn_id, stream, from) in ended {
            let mut row = self.status(StatusKind::Recovered, &stream);
            row.conn_id = conn_id;
            (row.gap_from, row.gap_to) = (Some(from), Some(at.max(from)));
            self.number(at, RawBody::Status(row), out);
        }
    }

    /// A gap is open; one of order-by-order books alone is none.
    #[must_use]
    pub fn is_gap_open(&self) -> bool {
        self.connections.gaps.iter().any(|gap| !is_level3_stream(&gap.1))
    }

    /// Any frame of the connection arrived. Order-by-order books give samples again; quotes wait for data.
    pub fn heard(&mut self, conn_id: i16, at: UtcMicros, out: &mut Outputs) {
        let Some(conn) = self.connections.conns.get_mut(&conn_id) else {
            return;
        };
        conn.last_at = at;
        if conn.is_unheard() && !conn.has_quotes() {
            self.quotes_return(conn_id, at, out);
        }
    }

    /// A trade, a ticker or an image of a book arrived, with the venue's time where it has one: after a
    /// silence it brings the quotes back when it is no older than the limit allows.
    pub(super) fn data_heard(
        &mut self,
        conn_id: i16,
        at: UtcMicros,
        sent: Option<UtcMicros>,
        out: &mut Outputs,
    ) {
        let limit_us = self.connections.silence_ms * 1_000;
        let Some(conn) = self.connections.conns.get(&conn_id).filter(|conn| conn.is_unheard())
        else {
            return;
        };
        let is_fresh = match (sent, conn.delays.least()) {
            (Some(sent), Some(least_us)) => {
                at.0.saturating_sub(sent.0).saturating_sub(least_us) <= limit_us
            }
            (None, Some(_)) => false,
            // A connection whose books have told no delay yet: nothing can be compared.
            (Some(_) | None, None) => true,
        };
        if is_fresh {
            self.quotes_return(conn_id, at, out);
        }
    }

    /// An image of a book arrived. After a stall every book is asked for anew, and this is the answer; one
    /// without the venue's time is of a venue that stamps none.
    pub(super) fn image_heard(
        &mut self,
        conn_id: i16,
        at: UtcMicros,
        sent: Option<UtcMicros>,
        out: &mut Outputs,
    ) {
        let quiet = self.connections.conns.get(&conn_id).and_then(|conn| conn.quiet);
        match (quiet, sent) {
            (Some(Withdrawal::Stall), _) | (Some(Withdrawal::Silent), None) => {
                self.quotes_return(conn_id, at, out);
            }
            (Some(Withdrawal::Silent), Some(_))
            | (
                Some(
                    Withdrawal::Book
                    | Withdrawal::Resync
                    | Withdrawal::Disconnect
                    | Withdrawal::Late,
                )
                | None,
                _,
            ) => self.data_heard(conn_id, at, sent, out),
        }
    }

    fn quotes_return(&mut self, conn_id: i16, at: UtcMicros, out: &mut Outputs) {
        if let Some(conn) = self.connections.conns.get_mut(&conn_id)
            && let Some(reason) = conn.quiet.take()
        {
            let (stream, has_quotes) = (conn.stream.clone(), conn.has_quotes());
            let mut row = self.status(StatusKind::Heard, &stream);
            row.conn_id = Some(conn_id);
            row.detail = serde_json::json!({ "reason": reason.as_str() }).to_string();
            self.number(at, RawBody::Status(row), out);
            if has_quotes {
                out.notes.push(Note::QuotesReturned { conn_id });
            }
        }
    }

    fn withdraw(&mut self, conn_id: i16, reason: Withdrawal, at: UtcMicros, out: &mut Outputs) {
        if let Some(conn) = self.connections.conns.get_mut(&conn_id)
            && conn.quiet.is_none()
        {
            conn.quiet = Some(reason);
            let (stream, has_quotes) = (conn.stream.clone(), conn.has_quotes());
            let mut row = self.status(StatusKind::Silent, &stream);
            row.conn_id = Some(conn_id);
            row.detail = serde_json::json!({ "reason": reason.as_str() }).to_string();
            self.number(at, RawBody::Status(row), out);
            if has_quotes {
                out.notes.push(Note::QuoteWithdrawn { symbol: None, conn_id, reason });
            }
        }
    }

    /// Judges the delay of a book update against the connection's own best.
    pub(super) fn book_delay(
        &mut self,
        conn_id: i16,
        at: UtcMicros,
        sent: UtcMicros,
        out: &mut Outputs,
    ) {
        let limit_us = self.connections.silence_ms * 1_000;
        let Some(conn) = self.connections.conns.get_mut(&conn_id) else {
            return;
        };
        let delay_us = at.0.saturating_sub(sent.0);
        let is_late = delay_us.saturating_sub(conn.delays.take(at, delay_us)) > limit_us;
        match (conn.quiet, is_late) {
            (None, true) => self.withdraw(conn_id, Withdrawal::Late, at, out),
            (Some(_), false) => self.quotes_return(conn_id, at, out),
            (Some(_), true) | (None, false) => {}
        }
    }

    pub(super) fn watch_connections(&mut self, end: UtcMicros, out: &mut Outputs) {
        let limit_ms = self.connections.silence_ms;
        let conns = &self.connections.conns;
        let limit = |c: &Conn| if c.has_quotes() { limit_ms } else { LEVEL3_SILENCE_MS };
        let silent = |c: &Conn| c.quiet.is_none() && end.millis_since(c.last_at) > limit(c);
        let due: Vec<i16> = conns.iter().filter(|(_, c)| silent(c)).map(|(id, _)| *id).collect();
        // Within the tick that it ends: a row belongs to the tick that its time names.
        let at = UtcMicros(end.0 - 1);
        for conn_id in due {
            self.withdraw(conn_id, Withdrawal::Silent, at, out);
        }
    }

    /// The core stood still for more than a second: what it holds may be old. Returns the symbols whose
    /// books must be asked for anew.
    pub fn stalled(&mut self, at: UtcMicros, out: &mut Outputs) -> Vec<Symbol> {
        let conns: Vec<i16> = self.connections.conns.keys().copied().collect();
        for conn_id in conns {
            self.withdraw(conn_id, Withdrawal::Stall, at, out);
        }
        let books: Vec<Symbol> = self
            .tracked
            .iter()
            .filter(|t| t.book_conn().is_some())
            .map(|t| t.symbol.clone())
            .collect();
        for symbol in &books {
            self.book_lost(symbol, LostBook::Resync, at, out);
        }
        books
    }

    /// A book is no longer the venue's: its quote is withdrawn until the next sample.
    pub fn book_lost(&mut self, symbol: &Symbol, why: LostBook, at: UtcMicros, out: &mut Outputs) {
        let Some(&i) = self.index.get(symbol) else {
            return;
        };
        let (kind, reason, detail) = match why {
            LostBook::Checksum { expected, computed } => (
                StatusKind::ChecksumFail,
                Withdrawal::Book,
                serde_json::json!({ "actual": computed, "expected": expected }).to_string(),
            ),
            LostBook::Resync => (StatusKind::Resync, Withdrawal::Resync, "{}".to_owned()),
        };
        let mut row = self.status(kind, "book");
        (row.symbol, row.detail) = (Some(symbol.clone()), detail);
        row.conn_id = self.tracked[i].book_conn();
        self.number(at, RawBody::Status(row), out);
        self.note_lost_book(i, reason, out);
    }

    /// A subscription was refused by the venue.
    pub fn subscription_refused(
        &mut self,
        conn_id: i16,
        symbol: Option<&Symbol>,
        error: &str,
        at: UtcMicros,
        out: &mut Outputs,
    ) {
        let mut row = self.status(StatusKind::SubscribeReject, "subscribe");
        (row.conn_id, row.symbol) = (Some(conn_id), symbol.cloned());
        row.detail = serde_json::json!({ "error": error }).to_string();
        self.number(at, RawBody::Status(row), out);
    }

    /// Rows of `stream` were numbered and then shed on their way to the ingest cluster.
    pub fn rows_shed(
        &mut self,
        stream: &str,
        blind: (UtcMicros, UtcMicros),
        range: (Seq, Seq),
        at: UtcMicros,
        out: &mut Outputs,
    ) {
        let mut row = self.status(StatusKind::RawDrop, stream);
        row.venue = None;
        (row.gap_from, row.gap_to) = (Some(blind.0), Some(blind.1.max(blind.0)));
        (row.first_seq, row.last_seq) = (Some(range.0), Some(range.1));
        self.number(at, RawBody::Status(row), out);
    }

    /// Notes a ticker or trade of the domain; a long absence before it is told.
    pub(super) fn market_message(&mut self, at: UtcMicros, out: &mut Outputs) {
        let before = self.last_market_at.replace(at);
        if let Some(from) = before
            && at.millis_since(from) > self.config.gap_secs * 1_000
        {
            out.notes.push(Note::StreamGap { from, to: at });
        }
    }
}
