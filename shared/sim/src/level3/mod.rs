//! The level 3 socket: single orders of every book, from the same matching engine as the public
//! book, so that the sums of its levels are the levels of that book.
//!
//! Inputs: connections, the venue's public events. Outputs: frames. The parts: `request` reads,
//! `window` knows what subscribers hold, `frames` writes, `hub` decides who gets what. Clients need
//! a token of the account. A recorded market has no orders and offers no level 3.

mod checksum;
mod frames;
mod hub;
mod request;
mod window;

pub use checksum::checksum;

use crate::admin::Endpoint;
use crate::instruments::Catalog;
use crate::public::Times;
use crate::server::Venue;
use crate::socket::{Feed, Line, Outgoing, Rules};
use hub::Hub;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// Symbols per connection, the venue's limit.
pub const SYMBOLS_LIMIT: usize = 200;
/// Points per second that subscriptions of one connection may cost: the venue's standard tier.
pub const POINTS_STANDARD: u32 = 200;
/// The same for the venue's pro tier.
pub const POINTS_PRO: u32 = 500;

/// Number of symbols that a text asks for; `None` when it is not a subscription that is understood.
#[must_use]
pub fn symbols_asked(text: &str) -> Option<usize> {
    match request::parse(text).request {
        request::Request::Subscribe(asked) | request::Request::Unsubscribe(asked) => {
            Some(asked.symbols.len())
        }
        request::Request::Ping | request::Request::Refused(_) => None,
    }
}

/// The level 3 side of one venue.
#[derive(Debug)]
pub(crate) struct Level3 {
    venue: Arc<Venue>,
    hub: Mutex<Hub>,
}

impl Level3 {
    /// The level 3 side; `offered` is false for a recorded market.
    pub(crate) fn new(
        venue: Arc<Venue>,
        catalog: Arc<Catalog>,
        offered: bool,
        points_per_s: u32,
    ) -> Arc<Level3> {
        let status = venue.with(|exchange, _| exchange.status());
        let hub = Mutex::new(Hub::new(catalog, offered, points_per_s, status));
        Arc::new(Level3 { venue, hub })
    }

    /// The hub. Never taken inside `Venue::with`.
    fn hub(&self) -> MutexGuard<'_, Hub> {
        // A panic in the hub is a bug that ends the task; the others find whole subscriptions.
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands the exchange's events to the subscribers until `stop`.
    pub(crate) async fn publish(
        self: Arc<Level3>,
        mut events: broadcast::Receiver<crate::server::PublicBatch>,
        stop: CancellationToken,
    ) {
        loop {
            let batch = tokio::select! {
                // Stopping first, so that a busy market cannot keep the venue alive.
                biased;
                () = stop.cancelled() => return,
                batch = events.recv() => batch,
            };
            match batch {
                Ok(batch) => {
                    let mut hub = self.hub();
                    hub.apply(&batch);
                    while let Ok(more) = events.try_recv() {
                        hub.apply(&more);
                    }
                    hub.flush(&self.venue);
                }
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::error!(missed, "level 3 events were lost: books are wrong from here");
                }
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }
}

impl Feed for Level3 {
    fn venue(&self) -> &Arc<Venue> {
        &self.venue
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::L3
    }

    fn rules(&self) -> Rules {
        let idle = Some(Duration::from_secs(60));
        Rules { idle, idle_spares_listeners: true, ..Rules::default() }
    }

    fn accepts(&self, path: &str) -> bool {
        path == "/v2"
    }

    fn connect(&self, connection: u64, _target: &str, line: Line) {
        self.hub().connect(connection, line);
    }

    fn disconnect(&self, connection: u64) {
        self.hub().disconnect(connection);
    }

    fn request(&self, connection: u64, text: &str) -> usize {
        let in_us = self.venue.now_us();
        let mut hub = self.hub();
        let times = Times { in_us, out_us: self.venue.now_us() };
        hub.request(connection, text, times, &self.venue)
    }

    fn beat(&self, connection: u64) -> Option<Outgoing> {
        let silent = self.venue.faults.silent("l3/heartbeat", None, self.venue.steady_us());
        let listens = self.hub().listens(connection);
        (listens && !silent).then(|| Outgoing::plain("l3/heartbeat", crate::public::HEARTBEAT))
    }
}
