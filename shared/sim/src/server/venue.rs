//! The venue that all sockets share: the exchange behind one lock, and its events handed on in
//! the order in which they happened.
//!
//! Inputs: closures over the exchange. Outputs: their results; the events that they caused go to
//! two broadcast queues before the lock is released, so every receiver sees one order. Invariants:
//! nothing waits while the lock is held; a receiver that falls `EVENTS_QUEUE_LEN_LIMIT` batches
//! behind is told so by the queue (`Lagged`) and must end its connection, as the real venue does
//! with slow readers. It does not format frames.

use super::stats::Stats;
use crate::account::{RestCounter, VenueError};
use crate::admin::Faults;
use crate::exchange::{Exchange, PrivateEvent, PublicEvent};
use crate::ledger::RequestLog;
use crate::private::Tokens;
use crate::rest_private::Credentials;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::broadcast;

/// Batches that a receiver may lie behind: some seconds of the busiest market.
pub const EVENTS_QUEUE_LEN_LIMIT: usize = 16_384;

/// Public events of one operation.
pub type PublicBatch = Arc<[PublicEvent]>;
/// Private events of one operation, with the number of the first: numbers grow by one over all
/// batches, so that a snapshot can say which events it contains.
#[derive(Clone, Debug)]
pub struct PrivateBatch {
    first: u64,
    events: Arc<[PrivateEvent]>,
}

impl PrivateBatch {
    /// Events with their numbers.
    pub fn numbered(&self) -> impl Iterator<Item = (u64, &PrivateEvent)> {
        (self.first..).zip(self.events.iter())
    }
}

/// The venue.
#[derive(Debug)]
pub struct Venue {
    exchange: Mutex<Exchange>,
    public: broadcast::Sender<PublicBatch>,
    private: broadcast::Sender<PrivateBatch>,
    start_wall_us: i64,
    start: Instant,
    /// Faults set by the admin interface; every socket asks them.
    pub faults: Faults,
    /// Counters of all endpoints.
    pub stats: Stats,
    /// Private requests with the time of their first byte.
    pub requests: RequestLog,
    /// Key and secret of the account.
    pub credentials: Credentials,
    /// Tokens of the private socket.
    pub(crate) tokens: Tokens,
    rest_counter: Mutex<RestCounter>,
}

impl Venue {
    /// A venue around an exchange.
    #[must_use]
    pub fn new(exchange: Exchange, credentials: Credentials) -> Arc<Venue> {
        let (public, _) = broadcast::channel(EVENTS_QUEUE_LEN_LIMIT);
        let (private, _) = broadcast::channel(EVENTS_QUEUE_LEN_LIMIT);
        Arc::new(Venue {
            exchange: Mutex::new(exchange),
            public,
            private,
            start_wall_us: wall_us(),
            start: Instant::now(),
            faults: Faults::default(),
            stats: Stats::default(),
            requests: RequestLog::default(),
            credentials,
            tokens: Tokens::default(),
            rest_counter: Mutex::default(),
        })
    }

    /// Time of the venue in µs since the Unix epoch: the wall clock at its start plus monotonic
    /// time, so that it never goes back.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        let elapsed = i64::try_from(self.start.elapsed().as_micros()).unwrap_or(i64::MAX);
        self.start_wall_us.saturating_add(elapsed)
    }

    /// Runs an operation on the exchange with the venue's time, and hands its events on before
    /// anybody else can get at the exchange. The closure must not block.
    pub fn with<R>(&self, operation: impl FnOnce(&mut Exchange, i64) -> R) -> R {
        // A panic inside the engine is a bug after which its answers are worth nothing, but the
        // ledger must stay readable: the lock is taken over.
        let mut exchange = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
        let now_us = self.now_us();
        let result = operation(&mut exchange, now_us);
        let (public, private) = exchange.take_events();
        if !public.is_empty() {
            // An error says that nobody listens, which is no fault.
            let _receivers = self.public.send(public.into());
        }
        if !private.is_empty() {
            let first = exchange.private_count() + 1 - private.len() as u64;
            let _receivers = self.private.send(PrivateBatch { first, events: private.into() });
        }
        result
    }

    /// Charges a private REST call.
    ///
    /// # Errors
    /// The counter is above its ceiling.
    pub(crate) fn charge(&self, points: i64) -> Result<(), VenueError> {
        let mut counter = self.rest_counter.lock().unwrap_or_else(PoisonError::into_inner);
        counter.charge(points, self.now_us())
    }

    /// Public events from now on. Taken inside `with` together with a snapshot, or before it:
    /// `MarketUpdate::seq` at or below `Exchange::seq` of the snapshot is part of it.
    #[must_use]
    pub fn public_events(&self) -> broadcast::Receiver<PublicBatch> {
        self.public.subscribe()
    }

    /// Private events from now on.
    #[must_use]
    pub fn private_events(&self) -> broadcast::Receiver<PrivateBatch> {
        self.private.subscribe()
    }
}

/// Wall clock in µs since the Unix epoch.
pub(crate) fn wall_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
