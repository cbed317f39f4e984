//! Binance USD-M futures: the public streams on their two routes and the public REST.
//!
//! Inputs: connections, requests, the contracts of [`crate::derivatives`]. Outputs: frames and
//! bodies. The parts: `streams` reads names and knows the routes, `aggregate` joins trades and
//! changes of the book, `hub` decides who gets what and owns the contracts, `frames` writes
//! messages, `rest` answers HTTP, `weights` counts what requests weigh. As at the real venue nothing
//! refuses a stream that is asked for on the wrong route: it is acknowledged and silent.

mod aggregate;
mod frames;
mod hub;
mod rest;
mod streams;
mod weights;

pub(crate) use rest::router;

use crate::admin::Endpoint;
use crate::derivatives::Market;
use crate::server::Venue;
use crate::socket::{Feed, Line, Outgoing, Rules};
use hub::Hub;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use weights::Weights;

/// The venue's rules; tests shorten them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Age at which a connection is closed; 24 h at the venue.
    pub rotation: Duration,
    /// How often the venue pings; 3 min.
    pub ping_every: Duration,
    /// How long a connection may leave pings unanswered; 10 min.
    pub pong_within: Duration,
    /// Frames that a client may send within a second; 10.
    pub incoming_per_s: usize,
    /// Weight of the requests of a minute; 2,400.
    pub weight_per_min: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            rotation: Duration::from_secs(24 * 3_600),
            ping_every: Duration::from_secs(180),
            pong_within: Duration::from_secs(600),
            incoming_per_s: 10,
            weight_per_min: 2_400,
        }
    }
}

/// The name of the stream that a name means, with every symbol taken for a listed one; `None` when it
/// is none.
#[must_use]
pub fn stream_name(text: &str) -> Option<String> {
    let stream = streams::Stream::parse(text, |_| Some(0))?;
    let symbol = text.split('@').next().unwrap_or_default();
    Some(stream.name(symbol))
}

/// Names of streams in a path; `None` when there is nothing at it.
#[must_use]
pub fn streams_of_path(text: &str) -> Option<Vec<String>> {
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    streams::Target::parse(path, query).map(|target| target.streams)
}

/// The Binance side of the venue.
#[derive(Debug)]
pub(crate) struct Binance {
    venue: Arc<Venue>,
    hub: Mutex<Hub>,
    weights: Mutex<Weights>,
    limits: Limits,
}

impl Binance {
    pub(crate) fn new(venue: Arc<Venue>, market: Market, limits: Limits) -> Arc<Binance> {
        let hub = Mutex::new(Hub::new(market));
        let weights = Mutex::new(Weights::new(limits.weight_per_min));
        Arc::new(Binance { venue, hub, weights, limits })
    }

    /// The hub. It never takes the exchange's lock, so it may be taken while that is held.
    pub(crate) fn hub(&self) -> MutexGuard<'_, Hub> {
        // A panic in the hub is a bug that ends the task; the others find whole subscriptions.
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what has happened since the last call.
    pub(crate) fn flush(&self) {
        self.hub().flush(&self.venue);
    }
}

/// One listener. What a connection may hear is told by its path and not by its port; the port only
/// tells which faults meet it.
#[derive(Debug)]
pub(crate) struct Routed {
    pub(crate) binance: Arc<Binance>,
    pub(crate) endpoint: Endpoint,
}

impl Feed for Routed {
    fn venue(&self) -> &Arc<Venue> {
        &self.binance.venue
    }

    fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    fn rules(&self) -> Rules {
        let limits = self.binance.limits;
        Rules {
            ping_every: Some(limits.ping_every),
            pong_within: Some(limits.pong_within),
            lifetime: Some(limits.rotation),
            incoming_per_s: Some(limits.incoming_per_s),
            ..Rules::default()
        }
    }

    fn accepts(&self, path: &str) -> bool {
        streams::Target::parse(path, None).is_some()
    }

    fn connect(&self, connection: u64, target: &str, line: Line) {
        self.binance.hub().connect(connection, target, line, &self.binance.venue);
    }

    fn disconnect(&self, connection: u64) {
        self.binance.hub().disconnect(connection);
    }

    fn request(&self, connection: u64, text: &str) -> usize {
        self.binance.hub().request(connection, text, &self.binance.venue)
    }

    fn beat(&self, _connection: u64) -> Option<Outgoing> {
        None
    }
}
