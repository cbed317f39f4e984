//! Ending orders on request: one, all, or all unless renewed.
//!
//! Inputs: names of orders, a timeout. Outputs: what was cancelled, or the refusal. Invariants:
//! cancels are never refused for the engine counter; in maintenance nothing is cancelled.

use super::error::VenueError;
use super::fill::EndReason;
use super::limits::Transaction;
use super::order::Order;
use super::place::same_id;
use super::request::OrderRef;
use crate::exchange::{Exchange, OrderNo, SystemStatus};

/// Timeouts of the dead man's switch stay below a day.
const SWITCH_S_MAX: i64 = 86_400;

impl Exchange {
    /// Cancels the open orders that a reference names; the orders as they ended.
    ///
    /// # Errors
    /// Nothing open has that name, or the venue is in maintenance.
    pub fn cancel_order(
        &mut self,
        order: &OrderRef,
        now_us: i64,
    ) -> Result<Vec<Order>, VenueError> {
        self.begin(now_us);
        self.check_cancel()?;
        let numbers = match order {
            OrderRef::Userref(userref) => {
                let tagged = |order: &&Order| order.userref == *userref;
                self.account.open_orders().filter(tagged).map(|order| order.no).collect()
            }
            OrderRef::Txid(_) | OrderRef::Client(_) => vec![self.find_open(order)?],
        };
        if numbers.is_empty() {
            return Err(VenueError::UnknownOrder);
        }
        for no in &numbers {
            self.cancel_one(*no, EndReason::User);
        }
        Ok(numbers.iter().filter_map(|no| self.account.orders.get(no).cloned()).collect())
    }

    /// Cancels everything that is open; how many orders that were.
    ///
    /// # Errors
    /// The venue is in maintenance.
    pub fn cancel_all(&mut self, now_us: i64) -> Result<usize, VenueError> {
        self.begin(now_us);
        self.check_cancel()?;
        Ok(self.cancel_every_order(EndReason::User))
    }

    /// Arms the dead man's switch, or disarms it with 0; when it will fire, µs.
    ///
    /// # Errors
    /// The timeout is not in `0..86400`.
    pub fn cancel_all_after(
        &mut self,
        timeout_s: i64,
        now_us: i64,
    ) -> Result<Option<i64>, VenueError> {
        self.begin(now_us);
        if !(0..SWITCH_S_MAX).contains(&timeout_s) {
            return Err(VenueError::argument("timeout"));
        }
        let fires = (timeout_s > 0).then(|| self.now_us + timeout_s * 1_000_000);
        self.account.switch_us = fires;
        Ok(fires)
    }

    /// Cancels all open orders and disarms the switch.
    pub(crate) fn cancel_every_order(&mut self, reason: EndReason) -> usize {
        self.account.switch_us = None;
        let open: Vec<OrderNo> = self.account.open_orders().map(|order| order.no).collect();
        for no in &open {
            self.cancel_one(*no, reason);
        }
        open.len()
    }

    fn cancel_one(&mut self, no: OrderNo, reason: EndReason) {
        let Some(order) = self.account.orders.get(&no) else { return };
        let (symbol, age_us) = (order.symbol, self.now_us - order.changed_us);
        // A cancel is charged but never refused, so the result carries nothing.
        let charged =
            self.account.counters.charge(symbol, Transaction::Cancel, age_us, self.now_us);
        debug_assert!(charged.is_ok());
        self.end_order(no, reason);
        self.finish(symbol);
    }

    fn check_cancel(&self) -> Result<(), VenueError> {
        match self.status() {
            SystemStatus::Maintenance => Err(VenueError::Unavailable),
            SystemStatus::Online
            | SystemStatus::CancelOnly
            | SystemStatus::PostOnly
            | SystemStatus::LimitOnly => Ok(()),
        }
    }

    /// The open order that a reference names.
    pub(super) fn find_open(&self, order: &OrderRef) -> Result<OrderNo, VenueError> {
        let found = match order {
            OrderRef::Txid(txid) if !txid.starts_with('O') || txid.len() > 32 => {
                return Err(VenueError::InvalidOrderId);
            }
            OrderRef::Txid(txid) => self.account.order_by_txid(txid),
            OrderRef::Client(id) => {
                let named =
                    |order: &&Order| order.cl_ord_id.as_deref().is_some_and(|own| same_id(own, id));
                self.account.open_orders().find(named)
            }
            OrderRef::Userref(userref) => {
                self.account.open_orders().find(|order| order.userref == *userref)
            }
        };
        match found {
            Some(order) if !order.status.terminal() => Ok(order.no),
            Some(_) | None => Err(VenueError::UnknownOrder),
        }
    }
}
