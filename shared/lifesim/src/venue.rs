//! The venue: the simulated exchange with one market, what of it the account is told, and what REST shows of the past.
//!
//! Input: requests of lives, moves of the market, the clock. Output: reports, images, looks. Invariants: matching and
//! account are the simulator's own and share no code with the product; REST at a time shows exactly what was true then.

use std::collections::BTreeMap;

use penstock_sim::account::{AmendOrder, ExecReport, ExecType, OrderKind, OrderRef};
use penstock_sim::exchange::{
    Exchange, ExchangeConfig, Instrument, OrderNo, PairStatus, Price, PrivateEvent, Qty, Side,
    SymbolNo, SystemStatus,
};
use penstock_types::Decimal;

use crate::book::Trade;
use crate::rows::Id;
use crate::wire::{add_order, answer_of};

/// The one market.
pub(crate) const BTC: SymbolNo = SymbolNo(0);
/// Opening balance in quote.
pub const CASH: i64 = 100_000;
/// Smallest cost of an order, quote: at 1,000 four fifths of a coin.
pub const COST_MIN: i64 = 800;
/// Quantity on each side of the book, lots.
const DEPTH: i64 = 100_000;
/// The same when it is thin.
const THIN: i64 = 45;
/// Trades in an image.
const IMAGE_TRADES: usize = 50;

/// What a report is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Said {
    /// Accepted.
    Pending,
    /// Live, changed or triggered.
    Live,
    /// A trade.
    Trade,
    /// Complete.
    Filled,
    /// Ended.
    Canceled,
    /// Ended by time.
    Expired,
}

/// A report, or one order as a look or an image shows it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Report {
    /// What it is about.
    pub said: Said,
    /// The venue's number.
    pub venue: u64,
    /// Our row, when it is one of ours, with the token in its id.
    pub own: Option<(Id, u32)>,
    /// Open after it.
    pub open: bool,
    /// It sells.
    pub sells: bool,
    /// A stop.
    pub stop: bool,
    /// Quantity.
    pub qty: Decimal,
    /// Executed.
    pub cum: Decimal,
    /// Trigger.
    pub trigger: Option<Decimal>,
    /// The trigger was reached.
    pub triggered: bool,
    /// The trade.
    pub trade: Option<Trade>,
    /// The venue's time, µs.
    pub at: i64,
}

/// What a life asks the venue to do.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Ask {
    /// A new order.
    Add {
        /// It sells.
        sells: bool,
        /// Quantity.
        qty: Decimal,
        /// Limit; none: market or stop.
        limit: Option<Decimal>,
        /// Trigger of a stop.
        trigger: Option<Decimal>,
        /// Never takes.
        rests: bool,
        /// End of an entry, ms.
        expires: Option<i64>,
        /// Refused from then on, ms.
        deadline: Option<i64>,
    },
    /// Change in place.
    Amend {
        /// Quantity.
        qty: Option<Decimal>,
        /// Trigger.
        trigger: Option<Decimal>,
        /// Refused from then on, ms.
        deadline: i64,
    },
    /// Cancel.
    Cancel,
}

/// What the gateway answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Taken; the venue's number.
    Acked(u64),
    /// Refused for good.
    Refused(Refusal),
    /// The deadline was over.
    Expired,
    /// It proves nothing.
    Unknown,
}

/// Why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Funds.
    Funds,
    /// The market's mode.
    Mode,
    /// Nothing open has that id.
    UnknownOrder,
    /// Anything else.
    Other,
}

/// The venue.
#[derive(Debug)]
pub struct Venue {
    /// The exchange.
    pub ex: Exchange,
    flow: Vec<OrderNo>,
    /// Middle of the market, ticks.
    pub mid: i64,
    thin: bool,
    /// Every report, oldest first.
    pub log: Vec<Report>,
    /// Base that came or went without a trade, with the time, ms.
    pub transfers: Vec<(i64, Decimal)>,
    /// Base after each change, with the time, ms.
    bases: Vec<(i64, Decimal)>,
    /// Highest trigger of each stop so far.
    triggers: BTreeMap<u64, Decimal>,
    /// What the venue saw that must not be.
    pub broken: Option<&'static str>,
}

fn instrument() -> Instrument {
    Instrument {
        symbol: "BTC/USD".to_owned(),
        base: "BTC".to_owned(),
        quote: "USD".to_owned(),
        pair_id: "XXBTZUSD".to_owned(),
        altname: "XBTUSD".to_owned(),
        wsname: "XBT/USD".to_owned(),
        base_code: "XXBT".to_owned(),
        quote_code: "ZUSD".to_owned(),
        price_decimals: 1,
        qty_decimals: 2,
        cost_decimals: 5,
        tick: Price(1),
        qty_min: Qty(10),
        cost_min: Decimal::from(COST_MIN),
        status: PairStatus::Online,
    }
}

/// The client id of a row.
#[must_use]
pub fn client_id(id: Id, token: u32) -> String {
    format!("{token}-{id}")
}

fn own_of(text: &str) -> Option<(Id, u32)> {
    let (token, id) = text.split_once('-')?;
    Some((id.parse().ok()?, token.parse().ok()?))
}

impl Venue {
    /// A market at 1,000.
    ///
    /// # Panics
    /// Never: the one instrument is the one that an exchange must have.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let config = ExchangeConfig {
            instruments: vec![instrument()],
            seed,
            cash_usd: Decimal::from(CASH),
            volume_30d_usd: Decimal::from(250_000),
            recorded: false,
            start_us: 0,
        };
        let ex = Exchange::new(config).expect("the list has BTC/USD once");
        let mut venue = Self {
            ex,
            flow: Vec::new(),
            mid: 10_000,
            thin: false,
            log: Vec::new(),
            transfers: Vec::new(),
            bases: vec![(0, Decimal::ZERO)],
            triggers: BTreeMap::new(),
            broken: None,
        };
        venue.move_to(10_000, 0);
        venue.ex.take_events();
        venue
    }

    /// Base of the account.
    #[must_use]
    pub fn base(&self) -> Decimal {
        self.ex.account().balance("BTC")
    }

    /// Quote of the account.
    #[must_use]
    pub fn cash(&self) -> Decimal {
        self.ex.account().balance("USD")
    }

    /// Best bid and ask.
    #[must_use]
    pub fn top(&self) -> Option<(Decimal, Decimal)> {
        let market = self.ex.market(BTC);
        let top = market.top();
        let price = |level: Option<(Price, Qty)>| level.map(|(p, _)| market.instrument.price(p));
        price(top.bid).zip(price(top.ask))
    }

    /// The flow goes to another price; what of ours lies between trades, and a print follows.
    pub fn move_to(&mut self, mid: i64, now: i64) {
        let us = now * 1_000;
        self.mid = mid;
        if self.ex.status() != SystemStatus::Online {
            return;
        }
        for no in std::mem::take(&mut self.flow) {
            self.ex.flow_cancel(BTC, no, us);
        }
        let depth = if self.thin { THIN } else { DEPTH };
        for (side, price) in [(Side::Buy, mid - 1), (Side::Sell, mid + 1)] {
            let placed = self.ex.flow_limit(BTC, side, Price(price), Qty(depth), us);
            self.flow.extend(placed.resting);
        }
        self.ex.flow_market(BTC, Side::Buy, Qty(1), us);
    }

    /// The book becomes thin or deep again.
    pub fn set_thin(&mut self, thin: bool, now: i64) {
        self.thin = thin;
        self.move_to(self.mid, now);
    }

    /// A taker sells so many lots, first to our own bid if it is the best.
    pub fn sell_into(&mut self, lots: i64, now: i64) {
        self.ex.flow_market(BTC, Side::Sell, Qty(lots), now * 1_000);
    }

    /// A taker buys so many lots.
    pub fn buy_from(&mut self, lots: i64, now: i64) {
        self.ex.flow_market(BTC, Side::Buy, Qty(lots), now * 1_000);
    }

    /// The mode of the market.
    pub fn set_status(&mut self, status: SystemStatus, now: i64) {
        self.ex.set_status(status, now * 1_000);
    }

    /// A stop executes over time from now on, or at once.
    pub const fn set_slow(&mut self, slow: bool) {
        self.ex.set_stop_slice(if slow { Some(Qty(40)) } else { None });
    }

    /// Base comes or goes without a trade; false when it cannot.
    pub fn transfer(&mut self, amount: Decimal, now: i64) -> bool {
        let done = self.ex.transfer("BTC", amount, now * 1_000).is_ok();
        if done {
            self.transfers.push((now, amount));
        }
        done
    }

    /// Carries out a request.
    pub fn take(&mut self, id: Id, token: u32, ask: &Ask, now: i64) -> Answer {
        let client = client_id(id, token);
        let us = now * 1_000;
        match *ask {
            Ask::Add { .. } => {
                let order = add_order(ask, client);
                match self.ex.add_order(&order, us) {
                    Ok(added) => Answer::Acked(self.number(&added.txid)),
                    Err(error) => answer_of(&error),
                }
            }
            Ask::Amend { qty, trigger, deadline } => {
                let before = self.executing(&client);
                let amend = AmendOrder {
                    order: OrderRef::Client(client.clone()),
                    qty,
                    limit: None,
                    trigger,
                    post_only: false,
                    deadline_us: Some(deadline * 1_000),
                };
                match self.ex.amend_order(&amend, us) {
                    Ok(done) => {
                        let ended = self.ex.account().order_by_txid(&done.txid);
                        let cut = ended.is_some_and(|o| o.status.terminal() && !o.left().is_zero());
                        // An amend to what was sold already ends the order.
                        if before && cut {
                            self.broken = Some("an amend ended a stop that was executing");
                        }
                        Answer::Acked(self.number(&done.txid))
                    }
                    Err(error) => answer_of(&error),
                }
            }
            Ask::Cancel => match self.ex.cancel_order(&OrderRef::Client(client), us) {
                Ok(ended) => Answer::Acked(ended.first().map_or(0, |order| order.no.0)),
                Err(error) => answer_of(&error),
            },
        }
    }

    /// A stop of this id has fired and is not complete.
    fn executing(&self, client: &str) -> bool {
        let named = |o: &&penstock_sim::account::Order| o.cl_ord_id.as_deref() == Some(client);
        let order = self.ex.account().open_orders().find(named);
        order.is_some_and(|o| o.triggered)
    }

    fn number(&self, txid: &str) -> u64 {
        self.ex.account().order_by_txid(txid).map_or(0, |order| order.no.0)
    }

    /// Somebody cancels one of our open orders by hand.
    pub fn cancel_by_hand(&mut self, own: Id, now: i64) {
        let found = self.open().find(|r| r.own.is_some_and(|(id, _)| id == own));
        let Some((id, token)) = found.and_then(|r| r.own) else { return };
        let by = OrderRef::Client(client_id(id, token));
        // In maintenance it is not possible; nothing follows from that.
        let _ = self.ex.cancel_order(&by, now * 1_000);
    }

    /// News since the last call: reports, and base when it changed, in the venue's order.
    pub fn news(&mut self, now: i64) -> (Vec<Report>, Vec<(Decimal, bool)>) {
        let (_, private) = self.ex.take_events();
        let (mut reports, mut balances) = (Vec::new(), Vec::new());
        for event in private {
            match event {
                PrivateEvent::Execution(report) => reports.push(self.note(&report)),
                PrivateEvent::Balance(change) if change.asset == "BTC" => {
                    self.bases.push((now, change.balance));
                    balances.push((change.balance, change.kind == "trade"));
                }
                PrivateEvent::Balance(_) | PrivateEvent::Status(_) => {}
            }
        }
        (reports, balances)
    }

    fn note(&mut self, report: &ExecReport) -> Report {
        let told = self.report_of(report);
        if let Some(trigger) = told.trigger {
            let highest = self.triggers.entry(told.venue).or_insert(trigger);
            if trigger < *highest {
                self.broken = Some("the trigger of a stop fell");
            }
            *highest = trigger.max(*highest);
        }
        self.log.push(told);
        told
    }

    fn report_of(&self, report: &ExecReport) -> Report {
        let instrument = &self.ex.market(BTC).instrument;
        let order = &report.order;
        let said = match report.exec_type {
            ExecType::PendingNew => Said::Pending,
            ExecType::New | ExecType::Amended | ExecType::Status => Said::Live,
            ExecType::Trade => Said::Trade,
            ExecType::Filled => Said::Filled,
            ExecType::Canceled => Said::Canceled,
            ExecType::Expired => Said::Expired,
        };
        let trade = report.trade.as_ref().map(|trade| Trade {
            exec: trade.trade_id,
            price: instrument.price(trade.price),
            qty: instrument.qty(trade.qty),
            fee: trade.fee,
        });
        Report {
            said,
            venue: order.no.0,
            own: order.cl_ord_id.as_deref().and_then(own_of),
            open: !order.status.terminal(),
            sells: order.side == Side::Sell,
            stop: order.kind == OrderKind::StopLoss,
            qty: instrument.qty(order.qty),
            cum: instrument.qty(order.cum_qty),
            trigger: order.trigger.map(|price| instrument.price(price)),
            triggered: order.triggered,
            trade,
            at: report.ts_us,
        }
    }

    /// Our open orders as they are.
    pub fn open(&self) -> impl Iterator<Item = Report> + '_ {
        self.ex.account().open_orders().filter_map(|order| {
            let last = self.log.iter().rev().find(|r| r.venue == order.no.0)?;
            let unit = &self.ex.market(BTC).instrument;
            Some(Report { said: Said::Live, trade: None, cum: unit.qty(order.cum_qty), ..*last })
        })
    }

    /// What live sell orders of ours still sell.
    #[must_use]
    pub fn selling(&self) -> Decimal {
        self.ex.account().hold("BTC")
    }

    /// The image: open orders and the newest trades, as they are now.
    #[must_use]
    pub fn image(&self) -> (Vec<Report>, Vec<Report>) {
        let trades: Vec<Report> = self.log.iter().filter(|r| r.trade.is_some()).copied().collect();
        let from = trades.len().saturating_sub(IMAGE_TRADES);
        (self.open().collect(), trades.get(from..).unwrap_or_default().to_vec())
    }

    /// Orders as REST shows them at a time, ms: the last word on each until then.
    #[must_use]
    pub fn orders_at(&self, at: i64) -> Vec<Report> {
        let mut last: BTreeMap<u64, Report> = BTreeMap::new();
        for report in self.log.iter().take_while(|r| r.at <= at * 1_000) {
            last.insert(report.venue, *report);
        }
        last.into_values().filter(|r| r.own.is_some()).collect()
    }

    /// Trades until a time, ms.
    #[must_use]
    pub fn trades_at(&self, at: i64) -> Vec<Report> {
        let until = self.log.iter().take_while(|r| r.at <= at * 1_000);
        until.filter(|r| r.trade.is_some() && r.own.is_some()).copied().collect()
    }

    /// Base at a time, ms.
    #[must_use]
    pub fn base_at(&self, at: i64) -> Decimal {
        let until = self.bases.iter().take_while(|(then, _)| *then <= at);
        until.last().map_or(Decimal::ZERO, |(_, base)| *base)
    }
}
