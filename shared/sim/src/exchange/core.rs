//! The exchange as a value: markets, account, clock of the engine, events not yet taken.
//!
//! Inputs: operations of the generated flow (here), of recordings (`recorded`), of the account
//! (`crate::account`), each with the time. Outputs: results and, by `take_events`, everything that
//! sockets have to send, in order. Invariants: engine time never goes back; every operation ends
//! with `finish`, so that stops have fired and a `MarketUpdate` has been queued before the next
//! one begins. It does not lock, wait or send.

use super::book::{Book, OrderNo, Owner, Resting};
use super::event::{
    LevelChange, MarketUpdate, Print, PrivateEvent, PublicEvent, QueuedOrder, SystemStatus, Top,
};
use super::instrument::{Instrument, PairStatus, Price, Qty, Side, SymbolNo};
use super::matching::Taker;
use crate::account::{Account, EngineTier};
use crate::ledger::{Timeline, TopEntry};
use rust_decimal::Decimal;
use std::collections::HashMap;
use std::sync::Arc;

/// Flow orders that may rest in one book; more are refused, so that a generator that forgets to
/// cancel cannot eat the memory.
pub const FLOW_ORDERS_LIMIT: usize = 20_000;

/// How the exchange is set up.
#[derive(Clone, Debug)]
pub struct ExchangeConfig {
    /// All pairs; `BTC/USD` must be among them.
    pub instruments: Vec<Instrument>,
    /// Seed of ids.
    pub seed: u64,
    /// Opening balance in USD.
    pub cash_usd: Decimal,
    /// 30-day volume that fixes the fee tier, USD.
    pub volume_30d_usd: Decimal,
    /// True when books follow a recording: levels are set from outside, and matching prints
    /// nothing to the public.
    pub recorded: bool,
    /// Time of the opening balance, µs since the Unix epoch.
    pub start_us: i64,
}

/// The exchange cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Two instruments with one name.
    #[error("instrument {0} is listed twice; remove one of them")]
    Duplicate(String),
    /// The list lacks the pair that clients rely on.
    #[error("instrument list has {0} pairs but not BTC/USD; add it")]
    NoBtcUsd(usize),
}

/// One symbol: its instrument, its book, what was last traded.
#[derive(Debug)]
pub struct Market {
    /// The instrument.
    pub instrument: Instrument,
    /// The book.
    pub book: Book,
    /// Price of the last print.
    pub last: Option<Price>,
    /// Number of the last print; 0 before the first.
    pub last_trade_id: u64,
    pub(super) dirty: Vec<(Side, Price)>,
    pub(super) prints: Vec<Print>,
    pub(super) top: Top,
}

impl Market {
    /// Best price and quantity of both sides.
    #[must_use]
    pub fn top(&self) -> Top {
        Top { bid: self.book.best(Side::Buy), ask: self.book.best(Side::Sell) }
    }

    pub(crate) fn touch(&mut self, side: Side, price: Price) {
        if !self.dirty.contains(&(side, price)) {
            self.dirty.push((side, price));
        }
    }
}

/// Result of a flow limit order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowPlaced {
    /// Number of what rests; `None` when nothing does.
    pub resting: Option<OrderNo>,
    /// What traded at once.
    pub filled: Qty,
}

/// The exchange.
#[derive(Debug)]
pub struct Exchange {
    pub(crate) markets: Vec<Market>,
    by_symbol: HashMap<String, SymbolNo>,
    pub(crate) account: Account,
    pub(crate) timeline: Timeline,
    /// Time that the frame being replayed carries: the stamp of the book that clients see.
    pub(super) stamp_us: Option<i64>,
    pub(crate) recorded: bool,
    status: SystemStatus,
    last_no: u64,
    last_place_ns: i64,
    queues_wanted: bool,
    seq: u64,
    pub(crate) now_us: i64,
    pub(crate) stop_slice: Option<Qty>,
    pub(crate) sliced: Vec<OrderNo>,
    public: Vec<PublicEvent>,
    pub(crate) private: Vec<PrivateEvent>,
    private_count: u64,
}

impl Exchange {
    /// An exchange with empty books.
    ///
    /// # Errors
    /// The instrument list has a double or lacks `BTC/USD`.
    pub fn new(config: ExchangeConfig) -> Result<Exchange, SetupError> {
        let mut by_symbol = HashMap::new();
        for (index, instrument) in config.instruments.iter().enumerate() {
            if by_symbol.insert(instrument.symbol.clone(), SymbolNo(index)).is_some() {
                return Err(SetupError::Duplicate(instrument.symbol.clone()));
            }
        }
        if !by_symbol.contains_key("BTC/USD") && !config.recorded {
            return Err(SetupError::NoBtcUsd(config.instruments.len()));
        }
        let mut account = Account::new(config.seed, config.volume_30d_usd);
        account.open_with("USD", config.cash_usd, config.start_us);
        let markets = config.instruments.into_iter().map(|instrument| Market {
            instrument,
            book: Book::default(),
            last: None,
            last_trade_id: 0,
            dirty: Vec::new(),
            prints: Vec::new(),
            top: Top::default(),
        });
        Ok(Exchange {
            markets: markets.collect(),
            by_symbol,
            account,
            timeline: Timeline::default(),
            stamp_us: None,
            recorded: config.recorded,
            status: SystemStatus::Online,
            last_no: 0,
            last_place_ns: 0,
            queues_wanted: false,
            seq: 0,
            now_us: config.start_us,
            stop_slice: None,
            sliced: Vec::new(),
            public: Vec::new(),
            private: Vec::new(),
            private_count: 0,
        })
    }

    /// Number of a v2 symbol.
    #[must_use]
    pub fn symbol_no(&self, symbol: &str) -> Option<SymbolNo> {
        self.by_symbol.get(symbol).copied()
    }

    /// Number of a pair named in any form that REST takes: pair id, altname, wsname, v2 symbol.
    #[must_use]
    pub fn pair_no(&self, pair: &str) -> Option<SymbolNo> {
        let named = |market: &Market| {
            let i = &market.instrument;
            i.pair_id == pair || i.altname == pair || i.wsname == pair || i.symbol == pair
        };
        self.markets.iter().position(named).map(SymbolNo)
    }

    /// All markets in the order of their numbers.
    #[must_use]
    pub fn markets(&self) -> &[Market] {
        &self.markets
    }

    /// One market.
    ///
    /// # Panics
    /// When the number is not one that this exchange has given out.
    #[must_use]
    pub fn market(&self, symbol: SymbolNo) -> &Market {
        &self.markets[symbol.0]
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Gives the account another tier.
    pub const fn set_tier(&mut self, tier: EngineTier) {
        self.account.set_tier(tier);
    }

    /// From now on a stop that fires trades at most this much with each operation of the exchange, and so executes
    /// over time; `None`: all at once.
    pub const fn set_stop_slice(&mut self, slice: Option<Qty>) {
        self.stop_slice = slice;
    }

    /// The venue's status.
    #[must_use]
    pub fn status(&self) -> SystemStatus {
        self.status
    }

    /// `seq` of the newest market update: a snapshot taken now contains everything up to it.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// From now on market updates carry the orders of the levels that changed.
    pub fn want_queues(&mut self) {
        self.queues_wanted = true;
    }

    /// The orders of one level in queue order, as subscribers of level 3 know them.
    #[must_use]
    pub fn queued(&self, symbol: SymbolNo, side: Side, price: Price) -> Vec<QueuedOrder> {
        let queued = |order: &Resting| QueuedOrder {
            no: order.no,
            qty: order.qty,
            placed_ns: order.placed_ns,
            account_id: match order.owner {
                Owner::Flow => None,
                Owner::Account => {
                    let own = self.account.orders.get(&order.no);
                    own.map(|own| Arc::from(own.txid.as_str()))
                }
            },
        };
        self.market(symbol).book.queue(side, price).map(queued).collect()
    }

    /// Number of the newest private event: a snapshot taken now contains everything up to it.
    #[must_use]
    pub fn private_count(&self) -> u64 {
        self.private_count + self.private.len() as u64
    }

    /// The best `levels` levels of a side, best first.
    #[must_use]
    pub fn depth(&self, symbol: SymbolNo, side: Side, levels: usize) -> Vec<(Price, Qty)> {
        self.market(symbol).book.levels(side).take(levels).collect()
    }

    /// Takes all events since the last call, in order: public, then private.
    pub fn take_events(&mut self) -> (Vec<PublicEvent>, Vec<PrivateEvent>) {
        self.private_count = self.private_count();
        (std::mem::take(&mut self.public), std::mem::take(&mut self.private))
    }

    /// Changes the venue's status.
    pub fn set_status(&mut self, status: SystemStatus, now_us: i64) {
        self.begin(now_us);
        if status != self.status {
            self.status = status;
            self.public.push(PublicEvent::Status(status));
            self.private.push(PrivateEvent::Status(status));
        }
    }

    /// Changes a pair's status.
    pub fn set_pair_status(&mut self, symbol: SymbolNo, status: PairStatus, now_us: i64) {
        self.change_instrument(symbol, now_us, |instrument| instrument.status = status);
    }

    /// Changes a pair's minimums or status. Precision must stay as long as orders rest.
    pub fn change_instrument(
        &mut self,
        symbol: SymbolNo,
        now_us: i64,
        change: impl FnOnce(&mut Instrument),
    ) {
        self.begin(now_us);
        change(&mut self.markets[symbol.0].instrument);
        self.public.push(PublicEvent::Instrument(symbol));
    }

    /// The clock is set forward or, the only time that it goes there, back.
    pub(crate) fn shift_clock(&mut self, by_us: i64) {
        self.now_us = self.now_us.saturating_add(by_us);
    }

    /// Lets time pass: orders whose time has come end, the dead man's switch fires.
    pub fn tick(&mut self, now_us: i64) {
        self.begin(now_us);
    }

    /// A limit order of the flow: trades what crosses, rests with the remainder. Refused (nothing
    /// traded, nothing resting) when the market's mode forbids it, when quantity or price is not
    /// positive, or when the book is full.
    pub fn flow_limit(
        &mut self,
        symbol: SymbolNo,
        side: Side,
        price: Price,
        qty: Qty,
        now_us: i64,
    ) -> FlowPlaced {
        self.begin(now_us);
        let refused = FlowPlaced { resting: None, filled: Qty::ZERO };
        if !self.flow_allowed(symbol) || qty.0 <= 0 || price.0 <= 0 {
            return refused;
        }
        let taker = Taker::flow(side, Some(price), false);
        if !self.matches(symbol) && self.crosses(symbol, &taker) {
            return refused;
        }
        let no = self.next_no();
        let filled = self.take(symbol, &taker, qty).filled;
        let left = qty.less(filled);
        let placed_ns = self.next_place_ns();
        let market = &mut self.markets[symbol.0];
        let rests = !left.is_zero() && market.book.len() < FLOW_ORDERS_LIMIT;
        if rests {
            let order = Resting { no, owner: Owner::Flow, qty: left, placed_ns };
            market.book.add(side, price, order);
            market.touch(side, price);
        }
        self.finish(symbol);
        FlowPlaced { resting: rests.then_some(no), filled }
    }

    /// A market order of the flow; what traded.
    pub fn flow_market(&mut self, symbol: SymbolNo, side: Side, qty: Qty, now_us: i64) -> Qty {
        self.begin(now_us);
        if !self.flow_allowed(symbol) || !self.matches(symbol) || qty.0 <= 0 {
            return Qty::ZERO;
        }
        let filled = self.take(symbol, &Taker::flow(side, None, true), qty).filled;
        self.finish(symbol);
        filled
    }

    /// Cancels a flow order; what was left of it, zero when it is not there any more.
    pub fn flow_cancel(&mut self, symbol: SymbolNo, no: OrderNo, now_us: i64) -> Qty {
        self.flow_reduce(symbol, no, Qty(i64::MAX), now_us)
    }

    /// Takes up to `by` off a flow order, which keeps its place in the queue; what was taken off.
    pub fn flow_reduce(&mut self, symbol: SymbolNo, no: OrderNo, by: Qty, now_us: i64) -> Qty {
        self.begin(now_us);
        let market = &mut self.markets[symbol.0];
        let Some((side, price, order)) = market.book.find(no) else { return Qty::ZERO };
        if order.owner != Owner::Flow || by.0 <= 0 || self.status == SystemStatus::Maintenance {
            return Qty::ZERO;
        }
        market.book.reduce(no, by);
        market.touch(side, price);
        self.finish(symbol);
        by.min(order.qty)
    }

    /// What is left of a flow order, with its side and price; `None` when it is gone.
    #[must_use]
    pub fn flow_order(&self, symbol: SymbolNo, no: OrderNo) -> Option<(Side, Price, Qty)> {
        let (side, price, order) = self.market(symbol).book.find(no)?;
        (order.owner == Owner::Flow).then_some((side, price, order.qty))
    }

    /// True when orders of this pair may match now.
    #[must_use]
    pub fn matches(&self, symbol: SymbolNo) -> bool {
        let pair = self.market(symbol).instrument.status;
        let system = matches!(self.status, SystemStatus::Online | SystemStatus::LimitOnly);
        let pair_ok =
            matches!(pair, PairStatus::Online | PairStatus::LimitOnly | PairStatus::ReduceOnly);
        system && pair_ok
    }

    fn flow_allowed(&self, symbol: SymbolNo) -> bool {
        let pair = self.market(symbol).instrument.status;
        let system = !matches!(self.status, SystemStatus::Maintenance | SystemStatus::CancelOnly);
        system
            && (self.matches(symbol) || pair == PairStatus::PostOnly || pair == PairStatus::Online)
    }

    /// Place of an order that joins a queue now: no two orders share one, so that a client that
    /// sorts by time gets the queue.
    pub(crate) fn next_place_ns(&mut self) -> i64 {
        self.last_place_ns = (self.now_us.saturating_mul(1_000)).max(self.last_place_ns + 1);
        self.last_place_ns
    }

    pub(crate) fn next_no(&mut self) -> OrderNo {
        self.last_no += 1;
        OrderNo(self.last_no)
    }

    /// Every operation starts here: engine time moves on, and what is due by then happens first.
    pub(crate) fn begin(&mut self, now_us: i64) {
        self.now_us = self.now_us.max(now_us);
        self.end_due_orders();
        self.work_sliced();
    }

    /// Every operation on a symbol ends here: stops fire until none is due, and what changed
    /// becomes one event.
    pub(crate) fn finish(&mut self, symbol: SymbolNo) {
        self.fire_stops(symbol);
        let market = &mut self.markets[symbol.0];
        let dirty = std::mem::take(&mut market.dirty);
        let prints = std::mem::take(&mut market.prints);
        if !dirty.is_empty() || !prints.is_empty() {
            let total =
                |(side, price)| LevelChange { side, price, qty: market.book.total(side, price) };
            let levels: Vec<LevelChange> = dirty.into_iter().map(total).collect();
            let top = market.top();
            let top_changed = top != market.top;
            market.top = top;
            if top_changed {
                self.timeline.record_top(TopEntry {
                    ts_us: self.stamp_us.unwrap_or(self.now_us),
                    symbol,
                    top,
                });
            }
            self.seq += 1;
            let queues = if self.queues_wanted {
                levels.iter().map(|one| self.queued(symbol, one.side, one.price)).collect()
            } else {
                Vec::new()
            };
            self.public.push(PublicEvent::Market(MarketUpdate {
                seq: self.seq,
                symbol,
                ts_us: self.now_us,
                levels,
                queues,
                prints,
                top,
                top_changed,
            }));
        }
        self.sample_exposure(symbol);
    }
}
