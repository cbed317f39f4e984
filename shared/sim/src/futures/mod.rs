//! Kraken Futures: the public WebSocket v1 and the public REST of the derivatives.
//!
//! Inputs: connections, requests, the contracts of [`crate::derivatives`]. Outputs: frames and
//! bodies. The parts: `hub` decides who gets what and owns the contracts, `frames` writes messages,
//! `rest` answers HTTP, `number` writes numbers as this venue does. Numbers are JSON floats, whole
//! ones with `.0`. A recorded spot market has no contracts here.

mod frames;
mod hub;
mod number;
mod rest;

pub(crate) use rest::router;

use crate::admin::Endpoint;
use crate::derivatives::Market;
use crate::server::Venue;
use crate::socket::{Feed, Line, Outgoing, Rules};
use hub::Hub;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A client has to be heard of this often.
const IDLE_LIMIT: Duration = Duration::from_secs(60);
/// Frames that a client may send within a second.
const INCOMING_PER_S: usize = 100;

/// The futures side of the venue.
#[derive(Debug)]
pub(crate) struct Futures {
    venue: Arc<Venue>,
    hub: Mutex<Hub>,
}

impl Futures {
    pub(crate) fn new(venue: Arc<Venue>, market: Market) -> Arc<Futures> {
        Arc::new(Futures { venue, hub: Mutex::new(Hub::new(market)) })
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

impl Feed for Futures {
    fn venue(&self) -> &Arc<Venue> {
        &self.venue
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::FuturesWs
    }

    fn rules(&self) -> Rules {
        let incoming_per_s = Some(INCOMING_PER_S);
        Rules { idle: Some(IDLE_LIMIT), incoming_per_s, ..Rules::default() }
    }

    fn accepts(&self, path: &str) -> bool {
        path == "/ws/v1"
    }

    fn connect(&self, connection: u64, _target: &str, line: Line) {
        self.hub().connect(connection, line);
    }

    fn disconnect(&self, connection: u64) {
        self.hub().disconnect(connection);
    }

    fn request(&self, connection: u64, text: &str) -> usize {
        self.hub().request(connection, text, &self.venue)
    }

    fn beat(&self, connection: u64) -> Option<Outgoing> {
        let now_us = self.venue.now_us();
        let silent = self.venue.faults.silent(hub::HEARTBEAT, None, self.venue.steady_us());
        let wanted = !silent && self.hub().wants_heartbeat(connection);
        wanted.then(|| Outgoing::plain(hub::HEARTBEAT, frames::heartbeat(now_us)))
    }
}
