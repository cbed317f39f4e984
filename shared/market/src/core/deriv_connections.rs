//! Connections of derivative venues: what each loss costs, from when to when.
//!
//! A lost connection opens a gap of its venue from its last message; the gap ends when everything that the
//! stream carries is subscribed and heard again. A connection that another one has taken over opens none.
//! A start is a gap of the whole venue until all of its streams are whole. The sealer makes the venue's
//! flags of these rows; what they were is told once per change.

use super::{MarketCore, Note, Outputs};
use penstock_types::frame::FrameFlags;
use penstock_types::raw::RawBody;
use penstock_types::vocab::{StatusKind, Venue};
use penstock_types::{Symbol, UtcMicros};
use std::collections::BTreeMap;

#[derive(Debug)]
struct Conn {
    venue: Venue,
    stream: String,
    last_at: UtcMicros,
}

#[derive(Debug)]
struct OpenGap {
    venue: Venue,
    conn_id: Option<i16>,
    stream: String,
    from: UtcMicros,
}

/// All open connections by their number, open gaps, and which venues were degraded at the last tick.
#[derive(Debug, Default)]
pub(super) struct DerivConnections {
    conns: BTreeMap<i16, Conn>,
    gaps: Vec<OpenGap>,
    degraded: FrameFlags,
}

impl MarketCore {
    /// A socket of the venue was opened; `stream` names what it carries.
    pub fn deriv_opened(
        &mut self,
        venue: Venue,
        conn_id: i16,
        stream: &str,
        at: UtcMicros,
        out: &mut Outputs,
    ) {
        let mut row = self.status(StatusKind::Connect, stream);
        (row.venue, row.conn_id) = (Some(venue), Some(conn_id));
        self.number(at, RawBody::Status(row), out);
        let conn = Conn { venue, stream: stream.to_owned(), last_at: at };
        self.deriv_connections.conns.insert(conn_id, conn);
    }

    /// Any frame of the connection arrived.
    pub fn deriv_heard(&mut self, conn_id: i16, at: UtcMicros) {
        if let Some(conn) = self.deriv_connections.conns.get_mut(&conn_id) {
            conn.last_at = at;
        }
    }

    /// A socket is gone; unless another one has taken over, a gap is open from its last message.
    pub fn deriv_closed(
        &mut self,
        conn_id: i16,
        reason: &str,
        is_taken_over: bool,
        at: UtcMicros,
        out: &mut Outputs,
    ) {
        let Some(Conn { venue, stream, last_at }) = self.deriv_connections.conns.remove(&conn_id)
        else {
            return;
        };
        let mut row = self.status(StatusKind::Disconnect, &stream);
        (row.venue, row.conn_id) = (Some(venue), Some(conn_id));
        row.detail = serde_json::json!({ "reason": reason }).to_string();
        self.number(at, RawBody::Status(row), out);
        if !is_taken_over {
            self.open_deriv_gap(venue, Some(conn_id), &stream, last_at, at, out);
        }
    }

    /// The venue as a whole is blind from `from` on, until [`Self::deriv_whole`] of the same stream.
    pub fn deriv_blind(
        &mut self,
        venue: Venue,
        stream: &str,
        from: UtcMicros,
        at: UtcMicros,
        out: &mut Outputs,
    ) {
        self.open_deriv_gap(venue, None, stream, from.min(at), at, out);
    }

    fn open_deriv_gap(
        &mut self,
        venue: Venue,
        conn_id: Option<i16>,
        stream: &str,
        from: UtcMicros,
        at: UtcMicros,
        out: &mut Outputs,
    ) {
        let mut gap = self.status(StatusKind::Gap, stream);
        (gap.venue, gap.conn_id, gap.gap_from) = (Some(venue), conn_id, Some(from));
        self.number(at, RawBody::Status(gap), out);
        let stream = stream.to_owned();
        self.deriv_connections.gaps.push(OpenGap { venue, conn_id, stream, from });
    }

    /// Everything that `stream` carries is subscribed and heard again: its gaps end here.
    pub fn deriv_whole(&mut self, venue: Venue, stream: &str, at: UtcMicros, out: &mut Outputs) {
        let is_ended = |gap: &OpenGap| gap.venue == venue && gap.stream == stream;
        let gaps = core::mem::take(&mut self.deriv_connections.gaps);
        let (ended, open): (Vec<OpenGap>, Vec<OpenGap>) = gaps.into_iter().partition(is_ended);
        self.deriv_connections.gaps = open;
        for OpenGap { venue, conn_id, stream, from } in ended {
            let mut row = self.status(StatusKind::Recovered, &stream);
            (row.venue, row.conn_id) = (Some(venue), conn_id);
            (row.gap_from, row.gap_to) = (Some(from), Some(at.max(from)));
            self.number(at, RawBody::Status(row), out);
        }
    }

    /// A subscription became silent (`silent_ms`), or is heard again (none).
    pub fn deriv_silence(
        &mut self,
        conn_id: i16,
        (stream, symbol): (&str, Option<&Symbol>),
        silent_ms: Option<i64>,
        at: UtcMicros,
        out: &mut Outputs,
    ) {
        let Some(conn) = self.deriv_connections.conns.get(&conn_id) else { return };
        let venue = conn.venue;
        let kind = if silent_ms.is_some() { StatusKind::Silent } else { StatusKind::Heard };
        let mut row = self.status(kind, stream);
        (row.venue, row.conn_id, row.symbol) = (Some(venue), Some(conn_id), symbol.cloned());
        if let Some(silent_ms) = silent_ms {
            row.detail = serde_json::json!({ "silent_ms": silent_ms }).to_string();
        }
        self.number(at, RawBody::Status(row), out);
    }

    /// The venue refused a subscription.
    pub fn deriv_refused(
        &mut self,
        conn_id: i16,
        (stream, symbol): (&str, Option<&Symbol>),
        error: &str,
        at: UtcMicros,
        out: &mut Outputs,
    ) {
        let Some(conn) = self.deriv_connections.conns.get(&conn_id) else { return };
        let venue = conn.venue;
        let mut row = self.status(StatusKind::SubscribeReject, stream);
        (row.venue, row.conn_id, row.symbol) = (Some(venue), Some(conn_id), symbol.cloned());
        row.detail = serde_json::json!({ "error": error }).to_string();
        self.number(at, RawBody::Status(row), out);
    }

    /// A gap of the venue is open.
    #[must_use]
    pub fn is_deriv_gap_open(&self, venue: Venue) -> bool {
        self.deriv_connections.gaps.iter().any(|gap| gap.venue == venue)
    }

    /// Tells each change of a derivative venue's flag once.
    pub(super) fn note_deriv_flags(&mut self, flags: FrameFlags, out: &mut Outputs) {
        let before = core::mem::replace(&mut self.deriv_connections.degraded, flags);
        for (venue, flag) in [
            (Venue::KrakenFutures, FrameFlags::DEGRADED_KRAKEN_FUTURES),
            (Venue::BinanceUm, FrameFlags::DEGRADED_BINANCE_UM),
        ] {
            let is_degraded = flags.contains(flag);
            if is_degraded != before.contains(flag) {
                let gaps = self.deriv_connections.gaps.iter().filter(|gap| gap.venue == venue);
                let streams = gaps.map(|gap| gap.stream.clone()).collect();
                out.notes.push(Note::DerivVenue { venue, is_degraded, streams });
            }
        }
    }
}
