//! Changing an order in place: same ids, fills kept.
//!
//! Inputs: an order's name and its new terms. Outputs: an amend id, or the refusal. Invariants:
//! the place in the queue is kept only when nothing but the quantity goes down; an amend that the
//! account cannot pay for, or a post-only one that would take, leaves the order as it was.

use super::error::VenueError;
use super::fill::EndReason;
use super::limits::Transaction;
use super::order::{ExecType, Order, OrderEvent, OrderKind};
use super::place::{account_taker, check_deadline, price_of, qty_of};
use super::request::OrderRef;
use crate::exchange::{Exchange, OrderNo, Qty, SystemStatus};
use rust_decimal::Decimal;

/// New terms; what is `None` stays.
#[derive(Clone, Debug)]
pub struct AmendOrder {
    /// The order, by one of its ids.
    pub order: OrderRef,
    /// New total quantity, fills included.
    pub qty: Option<Decimal>,
    /// New limit price.
    pub limit: Option<Decimal>,
    /// New trigger price.
    pub trigger: Option<Decimal>,
    /// Refuse rather than take.
    pub post_only: bool,
    /// The engine refuses the request after this time, µs.
    pub deadline_us: Option<i64>,
}

/// What the gateway answers to an accepted amend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amended {
    /// Id of the amend.
    pub amend_id: String,
    /// The order's venue id.
    pub txid: String,
    /// The order's client id.
    pub cl_ord_id: Option<String>,
}

impl Exchange {
    /// Changes an open order.
    ///
    /// # Errors
    /// The venue refuses; the order stays as it was.
    pub fn amend_order(
        &mut self,
        request: &AmendOrder,
        now_us: i64,
    ) -> Result<Amended, VenueError> {
        self.begin(now_us);
        check_deadline(request.deadline_us, now_us)?;
        let no = self.find_open(&request.order)?;
        let old = self.account.orders.get(&no).cloned().ok_or(VenueError::UnknownOrder)?;
        let age_us = self.now_us - old.changed_us;
        self.account.counters.charge(old.symbol, Transaction::Amend, age_us, self.now_us)?;
        match self.status() {
            SystemStatus::Maintenance => return Err(VenueError::Unavailable),
            SystemStatus::CancelOnly => return Err(VenueError::MarketMode("cancel_only")),
            SystemStatus::PostOnly if !(request.post_only || old.post_only) => {
                return Err(VenueError::MarketMode("post_only"));
            }
            SystemStatus::Online | SystemStatus::PostOnly | SystemStatus::LimitOnly => {}
        }
        let new = self.amended(&old, request)?;
        let amend_id = self.account.ids.next('T');
        let answer = Amended { amend_id, txid: old.txid.clone(), cl_ord_id: old.cl_ord_id.clone() };
        if new.qty <= old.cum_qty {
            self.account.counters.charge(old.symbol, Transaction::Cancel, age_us, self.now_us)?;
            self.end_order(no, EndReason::User);
        } else {
            self.replace_terms(&old, new);
        }
        self.finish(old.symbol);
        Ok(answer)
    }

    /// The order with its new terms, checked.
    fn amended(&self, old: &Order, request: &AmendOrder) -> Result<Order, VenueError> {
        let instrument = &self.market(old.symbol).instrument;
        let mut new = old.clone();
        if request.qty.is_none() && request.limit.is_none() && request.trigger.is_none() {
            return Err(VenueError::argument("order_qty"));
        }
        if let Some(value) = request.qty {
            new.qty = qty_of(instrument, value)?;
        }
        if let Some(value) = request.limit {
            if old.kind != OrderKind::Limit {
                return Err(VenueError::argument("limit_price"));
            }
            new.limit = Some(price_of(instrument, value)?);
        }
        if let Some(value) = request.trigger {
            if !old.armed() {
                return Err(VenueError::argument("trigger_price"));
            }
            new.trigger = Some(price_of(instrument, value)?);
        }
        self.check_minimums(old.symbol, new.qty, new.limit.or(new.trigger))?;
        let crossing = self.crosses(old.symbol, &account_taker(&new));
        let maker_only = request.post_only || old.post_only || !self.matches(old.symbol);
        if old.kind == OrderKind::Limit && crossing && maker_only {
            return Err(VenueError::PostOnly);
        }
        let (asset, needed) = self.needed(&new);
        if needed > self.account.available(&asset) + old.hold {
            return Err(VenueError::InsufficientFunds);
        }
        Ok(new)
    }

    fn replace_terms(&mut self, old: &Order, mut new: Order) {
        let no = old.no;
        let keeps_place = new.limit == old.limit && new.qty <= old.qty;
        new.changed_us = self.now_us;
        new.amended = true;
        new.reason = Some("User requested".to_owned());
        self.account.orders.insert(no, new.clone());
        self.step_order(no, OrderEvent::Amended);
        self.rehold(no);
        self.report(no, ExecType::Amended, None);
        if let Some(order) = self.account.orders.get_mut(&no) {
            order.reason = None;
        }
        if new.kind != OrderKind::Limit {
            return;
        }
        if keeps_place {
            self.shrink(no, old.qty.less(new.qty));
        } else {
            let market = &mut self.markets[old.symbol.0];
            if let Some((side, price, _)) = market.book.remove(no) {
                market.touch(side, price);
            }
            self.work(no);
        }
    }

    fn shrink(&mut self, no: OrderNo, by: Qty) {
        let Some(order) = self.account.orders.get(&no) else { return };
        let market = &mut self.markets[order.symbol.0];
        if let Some((side, price)) = market.book.reduce(no, by) {
            market.touch(side, price);
        }
    }
}
