//! The venue that all sockets share: the exchange behind one lock, and its events handed on in
//! the order in which they happened.
//!
//! Inputs: closures over the exchange. Outputs: their results; the events that they caused go to
//! two broadcast queues before the lock is released, so every receiver sees one order. Invariants:
//! nothing waits while the lock is held; a receiver that falls `EVENTS_QUEUE_LEN_LIMIT` batches
//! behind is told so by the queue (`Lagged`) and must end its connection, as the real venue does
//! with slow readers. It does not format frames.

use super::sends::Sends;
use super::stats::Stats;
use crate::account::{RestCounter, VenueError};
use crate::admin::{FaultLog, Faults};
use crate::exchange::{Exchange, PrivateEvent, PublicEvent, SymbolNo};
use crate::ledger::RequestLog;
use crate::private::Tokens;
use crate::rest_private::Credentials;
use crate::socket::Outgoing;
use rust_decimal::Decimal;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::broadcast;

/// Batches that a receiver may lie behind: some seconds of the busiest market.
pub const EVENTS_QUEUE_LEN_LIMIT: usize = 16_384;

/// Moves of the market that may wait for its next step.
const MOVES_WAITING_LIMIT: usize = 1_000;

/// A move of the generated market.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MarketMove {
    /// The pair; all pairs when missing.
    pub(crate) symbol: Option<SymbolNo>,
    /// By how much the fair price moves for good, basis points of itself.
    pub(crate) bps: f64,
    /// In which time, µs of market time.
    pub(crate) over_us: i64,
}

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
    /// Faults that were committed, with their times.
    pub fault_log: FaultLog,
    /// Counters of all endpoints.
    pub stats: Stats,
    /// What was sent to whom, for judges.
    pub sends: Sends,
    /// Private requests with the time of their first byte.
    pub requests: RequestLog,
    /// Key and secret of the account.
    pub credentials: Credentials,
    /// Another key of the account, which gives tokens and may do nothing else.
    pub data_credentials: Credentials,
    /// Tokens of the private socket.
    pub(crate) tokens: Tokens,
    rest_counter: Mutex<RestCounter>,
    moves: Mutex<Vec<MarketMove>>,
    generated: AtomicBool,
    contracts: OnceLock<BTreeSet<String>>,
    skew_us: AtomicI64,
}

impl Venue {
    /// A venue around an exchange.
    #[must_use]
    pub fn new(exchange: Exchange, credentials: Credentials) -> Arc<Venue> {
        let (public, _) = broadcast::channel(EVENTS_QUEUE_LEN_LIMIT);
        let (private, _) = broadcast::channel(EVENTS_QUEUE_LEN_LIMIT);
        let tier = exchange.account().tier();
        Arc::new(Venue {
            exchange: Mutex::new(exchange),
            public,
            private,
            start_wall_us: wall_us(),
            start: Instant::now(),
            faults: Faults::default(),
            fault_log: FaultLog::default(),
            stats: Stats::default(),
            sends: Sends::default(),
            requests: RequestLog::default(),
            credentials,
            data_credentials: Credentials::random(),
            tokens: Tokens::default(),
            rest_counter: Mutex::new(RestCounter::of(tier)),
            moves: Mutex::default(),
            generated: AtomicBool::new(false),
            contracts: OnceLock::new(),
            skew_us: AtomicI64::new(0),
        })
    }

    /// Time of the venue in µs since the Unix epoch: the wall clock at its start plus monotonic
    /// time, so that it never goes back.
    #[must_use]
    pub fn steady_us(&self) -> i64 {
        let elapsed = i64::try_from(self.start.elapsed().as_micros()).unwrap_or(i64::MAX);
        self.start_wall_us.saturating_add(elapsed)
    }

    /// What the venue's clock shows: [`Self::steady_us`], unless a fault has set it wrong.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        self.steady_us().saturating_add(self.skew_us())
    }

    /// By how much the clock is wrong, µs.
    #[must_use]
    pub fn skew_us(&self) -> i64 {
        self.skew_us.load(Ordering::Acquire)
    }

    /// Sets the clock wrong by so much from now on; everything that the venue stamps moves with it.
    pub(crate) fn set_skew(&self, skew_us: i64) {
        self.with(|exchange, _| {
            let before = self.skew_us.swap(skew_us, Ordering::AcqRel);
            exchange.shift_clock(skew_us - before);
        });
    }

    /// A token of the account, as REST gives it.
    #[must_use]
    pub fn issue_token(&self) -> String {
        self.tokens.issue(true, self.steady_us())
    }

    /// A token of the key that may not trade.
    #[must_use]
    pub fn issue_data_token(&self) -> String {
        self.tokens.issue(false, self.steady_us())
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

    /// Frames were handed to the socket of a connection.
    pub(crate) fn sent(&self, connection: u64, frames: &[Outgoing]) {
        self.stats.sent(connection, frames);
        self.sends.push(self.steady_us(), connection, frames);
    }

    /// Names of the contracts of the derivatives venues. Only the first call counts.
    pub(crate) fn set_contracts(&self, names: BTreeSet<String>) {
        self.contracts.get_or_init(|| names);
    }

    /// True when a pair or a contract has this name.
    #[must_use]
    pub fn lists(&self, symbol: &str) -> bool {
        self.with(|exchange, _| exchange.symbol_no(symbol)).is_some()
            || self.contracts.get().is_some_and(|names| names.contains(symbol))
    }

    /// Charges a private REST call.
    ///
    /// # Errors
    /// The counter is above its ceiling.
    pub(crate) fn charge(&self, points: i64) -> Result<(), VenueError> {
        let mut counter = self.rest_counter.lock().unwrap_or_else(PoisonError::into_inner);
        counter.charge(points, self.steady_us())
    }

    /// The counter of private REST calls, points.
    pub(crate) fn rest_count(&self) -> Decimal {
        let counter = self.rest_counter.lock().unwrap_or_else(PoisonError::into_inner);
        counter.value_at(self.steady_us())
    }

    /// The market is generated: it can be moved.
    pub(crate) fn set_generated(&self) {
        self.generated.store(true, Ordering::Release);
    }

    /// Asks the generated market to move; false when nothing generates it or too many moves wait.
    pub(crate) fn move_market(&self, asked: MarketMove) -> bool {
        let mut moves = self.moves.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = self.generated.load(Ordering::Acquire) && moves.len() < MOVES_WAITING_LIMIT;
        if taken {
            moves.push(asked);
        }
        taken
    }

    /// The moves that were asked for since the last call.
    pub(crate) fn take_moves(&self) -> Vec<MarketMove> {
        std::mem::take(&mut *self.moves.lock().unwrap_or_else(PoisonError::into_inner))
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
