//! Open and recent gaps of the recording, folded from status rows.
//!
//! A `gap` row opens, a `recovered` row of the same venue, stream, connection and symbol closes. Kept is
//! what the judgement of an epoch asks: whether one is open, and how long each of the last hour was. A
//! gap of trade numbers is noticed by the first trade after it: for the judgement it ends there, and the
//! `recovered` row, which waits for what is fetched, changes nothing. Gaps of order-by-order books are not
//! among them: their absence ends what needs them and nothing else.

use penstock_types::raw::StatusRow;
use penstock_types::{Symbol, UtcMicros, vocab};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use vocab::{StatusKind, Venue};

/// Closed gaps kept; older ones no longer touch any window.
const CLOSED_MAX: usize = 1_024;
/// Stream of the gaps of trade numbers.
const STREAM_TRADE: &str = "trade";
/// Open gaps kept; beyond it the oldest stands for all.
const OPEN_MAX: usize = 4_096;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Open {
    venue: Option<String>,
    stream: String,
    conn_id: Option<i16>,
    symbol: Option<Symbol>,
    from: UtcMicros,
}

/// Gaps of Kraken spot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Gaps {
    open: Vec<Open>,
    closed: VecDeque<(UtcMicros, UtcMicros)>,
}

impl Gaps {
    pub(crate) fn apply(&mut self, at: UtcMicros, row: &StatusRow) {
        if !matches!(row.venue, None | Some(Venue::KrakenSpot)) || row.is_level3() {
            return;
        }
        let key = Open {
            venue: row.venue.map(|v| v.as_str().to_owned()),
            stream: row.stream.clone(),
            conn_id: row.conn_id,
            symbol: row.symbol.clone(),
            from: row.gap_from.unwrap_or(at),
        };
        match row.kind {
            StatusKind::Gap if row.stream == STREAM_TRADE && row.symbol.is_some() => {
                self.close(key.from, at);
            }
            StatusKind::Gap if self.open.len() < OPEN_MAX => self.open.push(key),
            StatusKind::Recovered => {
                let same = |o: &Open| {
                    o.venue == key.venue
                        && o.stream == key.stream
                        && o.conn_id == key.conn_id
                        && o.symbol == key.symbol
                };
                if let Some(i) = self.open.iter().position(same) {
                    let from = self.open.remove(i).from;
                    self.close(from, row.gap_to.unwrap_or(at));
                }
            }
            StatusKind::Gap
            | StatusKind::Connect
            | StatusKind::Disconnect
            | StatusKind::Resync
            | StatusKind::ChecksumFail
            | StatusKind::SubscribeReject
            | StatusKind::RawDrop
            | StatusKind::RateLimited
            | StatusKind::Silent
            | StatusKind::Heard => {}
        }
    }

    fn close(&mut self, from: UtcMicros, to: UtcMicros) {
        if self.closed.len() == CLOSED_MAX {
            self.closed.pop_front();
        }
        self.closed.push_back((from, to));
    }

    /// A gap is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Longest closed gap that touches `from..to`, in seconds.
    #[must_use]
    pub fn longest_secs(&self, from: UtcMicros, to: UtcMicros) -> i64 {
        let touching = self.closed.iter().filter(|g| g.1 > from && g.0 < to);
        touching.map(|g| g.1.millis_since(g.0) / 1_000).max().unwrap_or(0)
    }

    /// Minutes of closed gaps within `from..to`, for the health of a universe candidate.
    #[must_use]
    pub fn minutes_within(&self, from: UtcMicros, to: UtcMicros) -> i64 {
        let inside = |g: &(UtcMicros, UtcMicros)| g.1.min(to).millis_since(g.0.max(from)).max(0);
        self.closed.iter().map(inside).sum::<i64>() / 60_000
    }
}
