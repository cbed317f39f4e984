//! The public WebSocket: channels `status`, `heartbeat`, `instrument`, `ticker`, `trade`, `book`,
//! `ohlc`, and the requests `ping`, `subscribe`, `unsubscribe`.
//!
//! Inputs: connections, the venue's public events. Outputs: frames. The parts: `request` reads,
//! `ack` answers, `hub` decides who gets what, `feed` makes one symbol's frames out of `mirror` and
//! `tape`, `frames` writes them, `connection` moves them. No account, no level 3.

pub(crate) mod ack;
mod checksum;
mod connection;
mod feed;
mod frames;
mod hub;
mod mirror;
mod request;
mod tape;
mod text;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

pub(crate) use ack as answers;
pub use ack::Times;
pub use checksum::{CHECKSUM_LEVELS, checksum};
pub use connection::serve;
pub(crate) use feed::spoil as spoil_checksum;
pub(crate) use frames::{HEARTBEAT, greeting as status_text};
pub use hub::Hub;
pub use mirror::{Changes, DEPTHS, DepthView, Mirror};
pub use request::{Channel, Envelope, Request, Subscription, Trigger, parse};
pub use tape::{Candle, INTERVALS_MIN, Tape};
pub(crate) use text::{fixed, push_fixed, push_json_text, time_ns};

use crate::instruments::Catalog;
use crate::server::Venue;

/// The venue's text for a depth that it does not offer.
pub const DEPTH_REFUSED: &str = "Subscription depth not supported";

/// What the public side offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// The one depth of a recording; all depths when missing. Present means that books and trades
    /// come from the recording and not from the exchange's events.
    pub depth: Option<usize>,
    /// So many symbols, from the first, make a subscription complete.
    pub complete_symbols: usize,
}

/// The public side of one venue.
#[derive(Debug)]
pub struct PublicSide {
    /// The venue.
    pub venue: Arc<Venue>,
    /// What is listed.
    pub catalog: Arc<Catalog>,
    hub: Mutex<Hub>,
    events: Mutex<Option<broadcast::Receiver<crate::server::PublicBatch>>>,
}

impl PublicSide {
    /// The public side of a venue, from the exchange as it is now.
    pub fn new(venue: Arc<Venue>, catalog: Arc<Catalog>, offer: Offer) -> Arc<Self> {
        // Listening begins before the copy is made; what is in both is told apart by its number.
        let events = venue.public_events();
        let listed = Arc::clone(&catalog);
        let hub = venue.with(|exchange, now_us| Hub::new(listed, offer, exchange, now_us));
        let (hub, events) = (Mutex::new(hub), Mutex::new(Some(events)));
        Arc::new(Self { venue, catalog, hub, events })
    }

    /// The hub. Never taken inside `Venue::with`.
    pub(crate) fn hub(&self) -> MutexGuard<'_, Hub> {
        // A panic in the hub is a bug that ends the task; the others find whole subscriptions.
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Becomes true with the first complete subscription.
    pub fn complete(&self) -> watch::Receiver<bool> {
        self.hub().complete()
    }

    /// Hands the exchange's events to the subscribers until `stop`. Runs once; a second call
    /// returns at once.
    pub async fn publish(self: Arc<Self>, stop: CancellationToken) {
        let taken = self.events.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut events) = taken else { return };
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
                    hub.apply(&batch, &self.venue);
                    while let Ok(more) = events.try_recv() {
                        hub.apply(&more, &self.venue);
                    }
                    hub.flush(&self.venue);
                }
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::error!(missed, "public events were lost: books are wrong from here");
                }
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }
}
