//! Counters of the venue: what was really sent, to whom.
//!
//! Inputs: sockets and REST handlers as they send. Outputs: `GET /stats`. Invariant: a frame is
//! counted after it was handed to the socket, so that `book_messages_sent` is what a client that
//! stays connected must have checked.

use crate::admin::Endpoint;
use crate::recording::Progress;
use crate::socket::Outgoing;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Counters of one WebSocket connection.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ConnectionStats {
    /// Name of the endpoint, as in faults.
    pub endpoint: &'static str,
    /// True until it ends.
    pub open: bool,
    /// Frames sent per channel (`book`, `trade`, `ticker`, `executions`, `heartbeat`, `ack` …).
    pub sent: BTreeMap<String, u64>,
    /// Book frames sent per symbol, snapshots included.
    pub book: BTreeMap<String, u64>,
    /// Live subscriptions, `channel symbol`.
    pub subscriptions: Vec<String>,
}

/// All counters.
#[derive(Debug, Default)]
pub struct Stats {
    inner: Mutex<Inner>,
    replay: OnceLock<Arc<Progress>>,
}

#[derive(Clone, Debug, Default, Serialize)]
struct Inner {
    connections: BTreeMap<u64, ConnectionStats>,
    rest: BTreeMap<String, u64>,
    /// Frames per channel and symbol, over all connections.
    symbols: BTreeMap<&'static str, BTreeMap<String, u64>>,
    frames_sent: u64,
    events_sent: u64,
    /// Those of order-by-order books.
    order_events_sent: u64,
    bad_checksums_sent: u64,
    rejected_upgrades: u64,
    last_connection: u64,
}

/// Closed connections that are remembered one by one; older ones are folded into connection 0.
const CLOSED_LIMIT: usize = 1_000;

impl Stats {
    /// A new connection; its number, from 1.
    pub fn connected(&self, endpoint: &'static str) -> u64 {
        self.edit(|inner| {
            inner.last_connection += 1;
            let stats = ConnectionStats { endpoint, open: true, ..ConnectionStats::default() };
            inner.connections.insert(inner.last_connection, stats);
            inner.last_connection
        })
    }

    /// The connection is over.
    pub fn disconnected(&self, connection: u64) {
        self.edit(|inner| {
            if let Some(stats) = inner.connections.get_mut(&connection) {
                stats.open = false;
                stats.subscriptions.clear();
            }
            if inner.connections.len() > CLOSED_LIMIT {
                inner.fold_oldest();
            }
        });
    }

    /// Frames were handed to the socket of a connection.
    pub(crate) fn sent(&self, connection: u64, frames: &[Outgoing]) {
        self.edit(|inner| {
            let Some(stats) = inner.connections.get_mut(&connection) else { return };
            for frame in frames {
                bump(&mut stats.sent, frame.channel, 1);
                inner.frames_sent += 1;
                let events = u64::from(frame.content.events);
                inner.events_sent += events;
                if frame.channel == "level3" {
                    inner.order_events_sent += events;
                }
                let Some(symbol) = &frame.symbol else { continue };
                if frame.channel == "book" {
                    bump(&mut stats.book, symbol, 1);
                }
                let of_channel = inner.symbols.entry(frame.channel).or_default();
                bump(of_channel, symbol, 1);
            }
        });
    }

    /// Frames and events (orders, levels, prints) sent so far on all sockets.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        self.edit(|inner| (inner.frames_sent, inner.events_sent))
    }

    /// The live subscriptions of a connection are these now.
    pub fn subscriptions(&self, connection: u64, live: Vec<String>) {
        self.edit(|inner| {
            if let Some(stats) = inner.connections.get_mut(&connection) {
                stats.subscriptions = live;
            }
        });
    }

    /// A REST method was answered.
    pub fn rest(&self, method: &str) {
        self.edit(|inner| bump(&mut inner.rest, method, 1));
    }

    /// A book frame with a wrong checksum was sent on purpose.
    pub fn bad_checksum(&self) {
        self.edit(|inner| inner.bad_checksums_sent += 1);
    }

    /// Book frames sent to all subscriptions, snapshots and wrong checksums included.
    #[must_use]
    pub fn book_messages_sent(&self) -> u64 {
        self.edit(|inner| inner.total("book"))
    }

    /// The market is this recording. Only the first call counts.
    pub fn set_replay(&self, progress: Arc<Progress>) {
        self.replay.get_or_init(|| progress);
    }

    /// How far the recording is, when the market is one.
    #[must_use]
    pub fn replay(&self) -> Option<&Progress> {
        self.replay.get().map(Arc::as_ref)
    }

    /// Everything as JSON; `replay` is null for a generated market.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let inner = self.edit(|inner| inner.clone());
        let mut connects = serde_json::Map::new();
        connects.insert("total".to_owned(), inner.last_connection.into());
        for endpoint in Endpoint::ALL {
            let name = endpoint.name();
            let count = inner.connections.values().filter(|c| c.endpoint == name).count();
            connects.insert(name.to_owned(), count.into());
        }
        serde_json::json!({
            "book_messages_sent": inner.total("book"),
            "level3_messages_sent": inner.total("level3"),
            "trade_messages_sent": inner.total("trade"),
            "bad_checksums_sent": inner.bad_checksums_sent,
            "frames_sent": inner.frames_sent,
            "events_sent": inner.events_sent,
            "order_events_sent": inner.order_events_sent,
            "connects": connects,
            "rest": inner.rest,
            "connections": inner.connections,
            "symbols": inner.symbols,
            "replay": self.replay().map(Progress::json),
        })
    }

    fn edit<R>(&self, change: impl FnOnce(&mut Inner) -> R) -> R {
        // Counters are whole after every line of every closure.
        change(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inner {
    fn total(&self, channel: &str) -> u64 {
        self.connections.values().filter_map(|stats| stats.sent.get(channel)).sum()
    }

    fn fold_oldest(&mut self) {
        let oldest = self.connections.iter().find(|(no, stats)| **no > 0 && !stats.open);
        let Some(no) = oldest.map(|(no, _)| *no) else { return };
        let Some(stats) = self.connections.remove(&no) else { return };
        let sum = self.connections.entry(0).or_default();
        sum.endpoint = "closed";
        for (channel, count) in stats.sent {
            bump(&mut sum.sent, &channel, count);
        }
        for (symbol, count) in stats.book {
            bump(&mut sum.book, &symbol, count);
        }
    }
}

fn bump(map: &mut BTreeMap<String, u64>, key: &str, by: u64) {
    match map.get_mut(key) {
        Some(count) => *count += by,
        None => {
            map.insert(key.to_owned(), by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_connections_keep_their_counts() {
        let stats = Stats::default();
        for _ in 0..CLOSED_LIMIT + 5 {
            let connection = stats.connected("public");
            let mut frame = Outgoing::plain("book", "");
            frame.symbol = Some(Arc::from("BTC/USD"));
            stats.sent(connection, &[frame]);
            stats.disconnected(connection);
        }
        assert_eq!(stats.book_messages_sent(), (CLOSED_LIMIT + 5) as u64);
        let listed = stats.json()["connections"].as_object().map_or(0, serde_json::Map::len);
        assert!(listed <= CLOSED_LIMIT + 1);
    }
}
