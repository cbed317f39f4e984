//! Taking a new order: checks in the venue's order, then the engine's answer.
//!
//! Inputs: an `AddOrder` and the time of its arrival. Outputs: ids, or the refusal; the story goes
//! out as reports (`pending_new`, `new`, trades, end). Invariants: a refused order leaves no trace
//! but its charge on the engine counter; an accepted one is covered by available funds.

use super::error::VenueError;
use super::fill::EndReason;
use super::limits::Transaction;
use super::order::{
    ExecType, FeePreference, Order, OrderEvent, OrderKind, OrderStatus, TimeInForce,
};
use super::request::AddOrder;
use crate::exchange::matching::Taker;
use crate::exchange::{
    Exchange, Instrument, OrderNo, Owner, PairStatus, Price, Qty, Resting, Side, SymbolNo,
    SystemStatus,
};
use rust_decimal::Decimal;

/// A GTD order may end at most this far ahead: one month.
const EXPIRE_AHEAD_US_MAX: i64 = 31 * 86_400 * 1_000_000;
/// A deadline may lie at most this far ahead.
const DEADLINE_AHEAD_US_MAX: i64 = 60 * 1_000_000;

/// What the gateway answers to an accepted order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The venue's id; empty when the request was a check only.
    pub txid: String,
    /// The client's id.
    pub cl_ord_id: Option<String>,
    /// The client's tag.
    pub userref: i64,
}

/// Terms in the engine's own units.
struct Terms {
    qty: Qty,
    limit: Option<Price>,
    trigger: Option<Price>,
}

impl Exchange {
    /// Takes a new order.
    ///
    /// # Errors
    /// The venue refuses it; the text is the venue's.
    pub fn add_order(&mut self, request: &AddOrder, now_us: i64) -> Result<Added, VenueError> {
        self.begin(now_us);
        check_deadline(request.deadline_us, now_us)?;
        self.account.counters.charge(request.symbol, Transaction::Add, 0, self.now_us)?;
        self.add_charged(request)
    }

    /// Takes several new orders of one pair. A refusal by validation rejects the whole batch, one
    /// for funds only its order.
    ///
    /// # Errors
    /// The batch as a whole is refused.
    pub fn add_batch(
        &mut self,
        requests: &[AddOrder],
        now_us: i64,
    ) -> Result<Vec<Result<Added, VenueError>>, VenueError> {
        self.begin(now_us);
        let Some(first) = requests.first() else { return Ok(Vec::new()) };
        check_deadline(first.deadline_us, now_us)?;
        self.account.counters.charge_batch(first.symbol, requests.len(), self.now_us)?;
        for request in requests {
            let check = AddOrder { validate: true, ..request.clone() };
            match self.add_charged(&check) {
                Ok(_) | Err(VenueError::InsufficientFunds) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(requests.iter().map(|request| self.add_charged(request)).collect())
    }

    fn add_charged(&mut self, request: &AddOrder) -> Result<Added, VenueError> {
        self.check_mode(request)?;
        self.check_combination(request)?;
        self.check_identity(request)?;
        let terms = self.terms(request)?;
        let order = self.build(request, &terms);
        self.check_funds(&order)?;
        let mut added = Added {
            txid: String::new(),
            cl_ord_id: order.cl_ord_id.clone(),
            userref: order.userref,
        };
        if request.validate {
            return Ok(added);
        }
        added.txid = self.enter(order);
        Ok(added)
    }

    /// Puts a checked order to work; its venue id.
    fn enter(&mut self, mut order: Order) -> String {
        let txid = self.account.ids.next('O');
        let (no, symbol) = (self.next_no(), order.symbol);
        order.no = no;
        order.txid.clone_from(&txid);
        self.account.by_txid.insert(txid.clone(), no);
        self.account.open.insert(no);
        self.account.orders.insert(no, order);
        self.rehold(no);
        self.report(no, ExecType::PendingNew, None);
        self.go_live(no);
        self.finish(symbol);
        txid
    }

    fn go_live(&mut self, no: OrderNo) {
        let Some(order) = self.account.orders.get(&no).cloned() else { return };
        let taker = account_taker(&order);
        let crosses = self.crosses(order.symbol, &taker);
        if order.kind == OrderKind::Limit && crosses {
            let blocked = order.post_only || !self.matches(order.symbol);
            if blocked {
                return self.end_order(no, EndReason::PostOnly);
            }
        }
        self.step_order(no, OrderEvent::Accepted);
        self.report(no, ExecType::New, None);
        if order.kind == OrderKind::StopLoss {
            return;
        }
        let (reachable, _) = self.reachable(order.symbol, &taker, order.qty);
        if order.tif == TimeInForce::Fok && reachable < order.qty {
            return self.end_order(no, EndReason::Unfilled);
        }
        self.work(no);
    }

    /// Matches a live order and places or ends its remainder.
    pub(super) fn work(&mut self, no: OrderNo) {
        let Some(order) = self.account.orders.get(&no).cloned() else { return };
        let taker = account_taker(&order);
        let taken = self.take(order.symbol, &taker, order.left());
        let left = order.left().less(taken.filled);
        if taken.stopped {
            return self.end_order(no, EndReason::SelfTrade);
        }
        if left.is_zero() {
            return;
        }
        let rests = order.kind == OrderKind::Limit
            && matches!(order.tif, TimeInForce::Gtc | TimeInForce::Gtd);
        match order.limit {
            Some(price) if rests => {
                let placed_ns = self.next_place_ns();
                let market = &mut self.markets[order.symbol.0];
                let resting = Resting { no, owner: Owner::Account, qty: left, placed_ns };
                market.book.add(order.side, price, resting);
                market.touch(order.side, price);
            }
            Some(_) | None => self.end_order(no, EndReason::Unfilled),
        }
    }

    /// Fires a stop: it becomes a market order at once.
    pub(crate) fn fire_stop(&mut self, no: OrderNo) {
        let Some(order) = self.account.orders.get_mut(&no) else { return };
        order.triggered = true;
        let order = order.clone();
        self.step_order(no, OrderEvent::Triggered);
        self.report(no, ExecType::Status, None);
        let (_, cost) = self.reachable(order.symbol, &account_taker(&order), order.left());
        let quote = &self.markets[order.symbol.0].instrument.quote;
        let spare = self.account.available(quote) + order.hold;
        if order.side == Side::Buy && self.with_fee(order.symbol, cost) > spare {
            return self.end_order(no, EndReason::NoFunds);
        }
        match self.stop_slice {
            None => self.work(no),
            Some(slice) => {
                self.sliced.push(no);
                self.work_slice(no, slice);
            }
        }
    }

    /// The next part of every fired stop that executes over time.
    pub(crate) fn work_sliced(&mut self) {
        for no in std::mem::take(&mut self.sliced) {
            let Some(order) = self.account.orders.get(&no) else { continue };
            let (symbol, ended) = (order.symbol, order.status.terminal());
            if ended {
                continue;
            }
            match self.stop_slice.filter(|_| self.matches(symbol)) {
                Some(slice) => self.work_slice(no, slice),
                None if self.matches(symbol) => self.work(no),
                None => {}
            }
            let open = self.account.orders.get(&no).is_some_and(|order| !order.status.terminal());
            if open {
                self.sliced.push(no);
            }
            self.finish(symbol);
        }
    }

    /// Matches a part of a fired stop; it ends when the book has less.
    fn work_slice(&mut self, no: OrderNo, slice: Qty) {
        let Some(order) = self.account.orders.get(&no).cloned() else { return };
        let wanted = order.left().min(slice);
        let taken = self.take(order.symbol, &account_taker(&order), wanted);
        if taken.stopped {
            return self.end_order(no, EndReason::SelfTrade);
        }
        if taken.filled < wanted {
            self.end_order(no, EndReason::Unfilled);
        }
    }

    fn check_mode(&self, request: &AddOrder) -> Result<(), VenueError> {
        let pair = self.market(request.symbol).instrument.status;
        let limit = request.kind == OrderKind::Limit;
        let maker = limit && request.post_only;
        match self.status() {
            SystemStatus::Maintenance => return Err(VenueError::Unavailable),
            SystemStatus::CancelOnly => return Err(VenueError::MarketMode("cancel_only")),
            SystemStatus::PostOnly if !maker => return Err(VenueError::MarketMode("post_only")),
            SystemStatus::LimitOnly if !limit => return Err(VenueError::MarketMode("limit_only")),
            SystemStatus::Online | SystemStatus::PostOnly | SystemStatus::LimitOnly => {}
        }
        match pair {
            PairStatus::Online => Ok(()),
            PairStatus::PostOnly if maker => Ok(()),
            PairStatus::LimitOnly if limit => Ok(()),
            PairStatus::ReduceOnly if request.side == Side::Sell => Ok(()),
            PairStatus::CancelOnly => Err(VenueError::MarketMode("cancel_only")),
            PairStatus::PostOnly => Err(VenueError::MarketMode("post_only")),
            PairStatus::LimitOnly => Err(VenueError::MarketMode("limit_only")),
            PairStatus::ReduceOnly => Err(VenueError::ReduceOnly),
            PairStatus::Maintenance | PairStatus::Delisted | PairStatus::WorkInProgress => {
                Err(VenueError::Unavailable)
            }
        }
    }

    fn check_combination(&self, request: &AddOrder) -> Result<(), VenueError> {
        let limit = request.kind == OrderKind::Limit;
        let instant = matches!(request.tif, TimeInForce::Ioc | TimeInForce::Fok);
        if request.post_only && (!limit || instant) {
            return Err(VenueError::InvalidOrder);
        }
        if request.tif == TimeInForce::Fok && !limit {
            return Err(VenueError::InvalidOrder);
        }
        if request.cash_qty.is_some() {
            let market_buy = request.kind == OrderKind::Market && request.side == Side::Buy;
            if !market_buy || request.qty.is_some() {
                return Err(VenueError::argument("cash_order_qty"));
            }
        }
        match (request.tif, request.expire_us) {
            (TimeInForce::Gtd, Some(at)) if at <= self.now_us => {
                Err(VenueError::argument("expire_time"))
            }
            (TimeInForce::Gtd, Some(at)) if at - self.now_us > EXPIRE_AHEAD_US_MAX => {
                Err(VenueError::argument("expire_time"))
            }
            (TimeInForce::Gtd, Some(_)) => Ok(()),
            (TimeInForce::Gtd, None) => Err(VenueError::argument("expire_time")),
            (TimeInForce::Gtc | TimeInForce::Ioc | TimeInForce::Fok, Some(_)) => {
                Err(VenueError::argument("expire_time"))
            }
            (TimeInForce::Gtc | TimeInForce::Ioc | TimeInForce::Fok, None) => Ok(()),
        }
    }

    fn check_identity(&self, request: &AddOrder) -> Result<(), VenueError> {
        let of_pair = |order: &&Order| order.symbol == request.symbol;
        let open = self.account.open_orders().filter(of_pair).count();
        if open >= self.account.tier().open_orders_limit {
            return Err(VenueError::OrdersLimit);
        }
        let Some(id) = &request.cl_ord_id else { return Ok(()) };
        if !client_id_valid(id) || request.userref != 0 {
            return Err(VenueError::argument("cl_ord_id"));
        }
        let same = |order: &Order| order.cl_ord_id.as_deref().is_some_and(|old| same_id(old, id));
        if self.account.open_orders().any(same) {
            return Err(VenueError::DuplicateClientId);
        }
        Ok(())
    }

    fn terms(&self, request: &AddOrder) -> Result<Terms, VenueError> {
        let instrument = &self.market(request.symbol).instrument;
        let limit = match (request.kind, request.limit) {
            (OrderKind::Limit, Some(value)) => Some(price_of(instrument, value)?),
            (OrderKind::Limit, None) => return Err(VenueError::argument("limit_price")),
            (OrderKind::Market | OrderKind::StopLoss, Some(_)) => {
                return Err(VenueError::argument("limit_price"));
            }
            (OrderKind::Market | OrderKind::StopLoss, None) => None,
        };
        let trigger = match (request.kind, request.trigger) {
            (OrderKind::StopLoss, Some(value)) => Some(price_of(instrument, value)?),
            (OrderKind::StopLoss, None) => return Err(VenueError::argument("triggers")),
            (OrderKind::Limit | OrderKind::Market, Some(_)) => {
                return Err(VenueError::argument("triggers"));
            }
            (OrderKind::Limit | OrderKind::Market, None) => None,
        };
        let qty = match (request.qty, request.cash_qty) {
            (Some(value), _) => qty_of(instrument, value)?,
            (None, Some(cash)) => self.qty_for_cash(request.symbol, cash),
            (None, None) => return Err(VenueError::argument("order_qty")),
        };
        self.check_minimums(request.symbol, qty, limit.or(trigger))?;
        Ok(Terms { qty, limit, trigger })
    }

    /// Both minimums; a market order's cost is judged by the last price.
    pub(super) fn check_minimums(
        &self,
        symbol: SymbolNo,
        qty: Qty,
        price: Option<Price>,
    ) -> Result<(), VenueError> {
        let market = self.market(symbol);
        if qty < market.instrument.qty_min {
            return Err(VenueError::OrderMinimum);
        }
        match price.or(market.last) {
            Some(price) if market.instrument.cost(price, qty) < market.instrument.cost_min => {
                Err(VenueError::CostMinimum)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Quantity that an amount of quote buys from the book as it is.
    fn qty_for_cash(&self, symbol: SymbolNo, cash: Decimal) -> Qty {
        let market = self.market(symbol);
        let unit = Decimal::new(1, market.instrument.qty_decimals);
        let mut left = cash;
        let mut qty = Qty::ZERO;
        for (price, total) in market.book.levels(Side::Sell) {
            let unit_cost = market.instrument.price(price) * unit;
            let affordable = left.checked_div(unit_cost).unwrap_or_default().floor();
            let part = Qty(i64::try_from(affordable.mantissa()).unwrap_or(0)).min(total);
            qty = qty.plus(part);
            left -= market.instrument.cost(price, part);
            if part < total {
                break;
            }
        }
        qty
    }

    fn build(&self, request: &AddOrder, terms: &Terms) -> Order {
        let default_fee = match request.side {
            Side::Buy => FeePreference::Quote,
            Side::Sell => FeePreference::Base,
        };
        Order {
            no: OrderNo(0),
            txid: String::new(),
            cl_ord_id: request.cl_ord_id.clone(),
            userref: request.userref,
            symbol: request.symbol,
            side: request.side,
            kind: request.kind,
            qty: terms.qty,
            limit: terms.limit,
            trigger: terms.trigger,
            triggered: false,
            tif: if request.kind == OrderKind::Market { TimeInForce::Ioc } else { request.tif },
            expire_us: request.expire_us,
            post_only: request.post_only,
            self_trade: request.self_trade,
            fee_preference: request.fee_preference.unwrap_or(default_fee),
            cash_qty: request.cash_qty,
            status: OrderStatus::PendingNew,
            cum_qty: Qty::ZERO,
            cum_cost: Decimal::ZERO,
            fee_quote: Decimal::ZERO,
            fee_base: Decimal::ZERO,
            opened_us: self.now_us,
            changed_us: self.now_us,
            closed_us: None,
            reason: None,
            amended: false,
            trades: Vec::new(),
            hold: Decimal::ZERO,
        }
    }

    fn check_funds(&self, order: &Order) -> Result<(), VenueError> {
        let (asset, mut amount) = self.needed(order);
        if order.kind == OrderKind::Market && order.side == Side::Buy {
            let (_, cost) = self.reachable(order.symbol, &account_taker(order), order.qty);
            amount = self.with_fee(order.symbol, cost);
        }
        if amount > self.account.available(&asset) {
            return Err(VenueError::InsufficientFunds);
        }
        Ok(())
    }
}

/// The order as it takes from the book.
pub(super) fn account_taker(order: &Order) -> Taker {
    Taker {
        side: order.side,
        limit: order.limit,
        market_order: order.limit.is_none(),
        account: Some((order.no, order.self_trade)),
    }
}

/// A deadline must lie ahead, at most a minute.
pub(super) fn check_deadline(deadline_us: Option<i64>, now_us: i64) -> Result<(), VenueError> {
    match deadline_us {
        Some(deadline) if deadline <= now_us => Err(VenueError::DeadlineElapsed),
        Some(deadline) if deadline - now_us > DEADLINE_AHEAD_US_MAX => {
            Err(VenueError::argument("deadline"))
        }
        Some(_) | None => Ok(()),
    }
}

/// A price in the engine's units.
pub(super) fn price_of(instrument: &Instrument, value: Decimal) -> Result<Price, VenueError> {
    let price = instrument.price_of(value).ok_or(VenueError::InvalidPrice)?;
    if price.0 <= 0 {
        return Err(VenueError::InvalidPrice);
    }
    if price.0 % instrument.tick.0.max(1) != 0 {
        return Err(VenueError::TickSize);
    }
    Ok(price)
}

/// A quantity in the engine's units.
pub(super) fn qty_of(instrument: &Instrument, value: Decimal) -> Result<Qty, VenueError> {
    match instrument.qty_of(value) {
        Some(qty) if qty.0 > 0 => Ok(qty),
        Some(_) | None => Err(VenueError::argument("order_qty")),
    }
}

/// UUID with hyphens, 32 hex digits, or up to 18 printable characters.
fn client_id_valid(id: &str) -> bool {
    let hex = |text: &str| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let hyphens = id.len() == 36
        && id.bytes().enumerate().all(|(i, b)| (b == b'-') == matches!(i, 8 | 13 | 18 | 23))
        && hex(&id.replace('-', ""));
    let free = (1..=18).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    hyphens || hex(id) || free
}

/// The same id in either of its two UUID forms.
pub(crate) fn same_id(left: &str, right: &str) -> bool {
    let plain = |id: &str| match id.len() {
        36 => id.replace('-', "").to_ascii_lowercase(),
        32 => id.to_ascii_lowercase(),
        _ => id.to_owned(),
    };
    plain(left) == plain(right)
}
