//! What happens to an order of the account once the engine has decided: fills and ends.
//!
//! Inputs: price and quantity of a fill, the reason of an end. Outputs: balances, holds, reports
//! in the venue's order (`trade` says `partially_filled` even when it completes the order, then
//! `filled` without an id). Invariants: only a fill moves quantity; balances move by exactly
//! price × quantity and the rounded fee.

use super::fees::fee;
use super::order::{
    AccountTrade, BalanceChange, ExecReport, ExecType, FeePreference, Order, OrderEvent, OrderKind,
    step,
};
use crate::exchange::{Exchange, OrderNo, Price, PrivateEvent, Qty, Side, SymbolNo};
use rust_decimal::{Decimal, RoundingStrategy};

/// Why an order ends without being filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// Its owner cancelled it.
    User,
    /// It would have traded with the account's own order.
    SelfTrade,
    /// It is post-only and would have taken.
    PostOnly,
    /// What an IOC, FOK or market order did not get.
    Unfilled,
    /// Its time is over.
    Expired,
    /// The account could not pay for it when its trigger fired.
    NoFunds,
    /// Nobody renewed the switch.
    DeadMansSwitch,
}

impl EndReason {
    fn text(self) -> &'static str {
        match self {
            EndReason::User => "User requested",
            EndReason::SelfTrade => "Self trade prevention",
            EndReason::PostOnly => "Post only order",
            EndReason::Unfilled => "Immediate or cancel remainder",
            EndReason::Expired => "Order expired",
            EndReason::NoFunds => "Insufficient funds",
            EndReason::DeadMansSwitch => "Cancel all orders after",
        }
    }

    fn event(self) -> OrderEvent {
        match self {
            EndReason::Expired => OrderEvent::Expired,
            EndReason::User
            | EndReason::SelfTrade
            | EndReason::PostOnly
            | EndReason::Unfilled
            | EndReason::NoFunds
            | EndReason::DeadMansSwitch => OrderEvent::Canceled,
        }
    }
}

impl Exchange {
    /// Moves an order through its state machine.
    ///
    /// # Panics
    /// The transition is impossible: a bug of this venue, whose answers would be worthless after.
    pub(crate) fn step_order(&mut self, no: OrderNo, event: OrderEvent) {
        let Some(order) = self.account.orders.get_mut(&no) else { return };
        match step(order.status, event) {
            Ok(next) => order.status = next,
            Err(error) => panic!("order {}: {error}", order.txid),
        }
        if order.status.terminal() {
            order.closed_us = Some(self.now_us);
            self.account.open.remove(&no);
        }
    }

    /// Books one fill.
    pub(crate) fn fill_order(
        &mut self,
        no: OrderNo,
        price: Price,
        qty: Qty,
        trade_id: u64,
        maker: bool,
    ) {
        let Some(order) = self.account.orders.get(&no) else { return };
        let order = order.clone();
        let instrument = self.markets[order.symbol.0].instrument.clone();
        let qty = self.overfilled(&order, price, qty);
        let cost = instrument.cost(price, qty);
        let base_qty = instrument.qty(qty);
        let (tier, _) = self.account.fee_tier();
        let rate_bps = if maker { tier.maker_bps } else { tier.taker_bps };
        let in_base = self.fee_in_base(&order, base_qty, rate_bps);
        let (fee_quote, fee_base) = if in_base {
            (Decimal::ZERO, fee(base_qty, rate_bps, instrument.qty_decimals))
        } else {
            (fee(cost, rate_bps, instrument.cost_decimals), Decimal::ZERO)
        };
        let txid = self.account.ids.next('T');
        let sign = if order.side == Side::Buy { Decimal::ONE } else { Decimal::NEGATIVE_ONE };
        let now_us = self.now_us;
        let account = &mut self.account;
        let base = account.book(
            now_us,
            "trade",
            txid.clone(),
            &instrument.base,
            base_qty * sign,
            fee_base,
        );
        let quote =
            account.book(now_us, "trade", txid.clone(), &instrument.quote, -cost * sign, fee_quote);
        let trade = AccountTrade {
            txid: txid.clone(),
            trade_id,
            order_txid: order.txid.clone(),
            cl_ord_id: order.cl_ord_id.clone(),
            symbol: order.symbol,
            side: order.side,
            kind: order.kind,
            price,
            qty,
            cost,
            fee: if in_base { fee_base } else { fee_quote },
            fee_asset: if in_base { instrument.base.clone() } else { instrument.quote.clone() },
            maker,
            ts_us: now_us,
            ledgers: [base.ledger_id.clone(), quote.ledger_id.clone()],
        };
        account.trades.push(trade.clone());
        if let Some(order) = account.orders.get_mut(&no) {
            order.cum_qty = order.cum_qty.plus(qty);
            order.cum_cost += cost;
            order.fee_quote += fee_quote;
            order.fee_base += fee_base;
            order.trades.push(txid);
        }
        self.report_fill(no, trade, [base, quote]);
    }

    /// From now on so many fills that complete an order trade more than was ordered.
    pub(crate) const fn overfill_next(&mut self, count: u32, bps: u32) {
        self.account.overfill = (count, bps);
    }

    /// The quantity of a fill with what a fault adds to it, as far as the account can pay for it.
    fn overfilled(&mut self, order: &Order, price: Price, qty: Qty) -> Qty {
        let (count, bps) = self.account.overfill;
        if count == 0 || qty < order.left() {
            return qty;
        }
        let more = i128::from(order.qty.0) * i128::from(bps) / 10_000;
        let more = Qty(i64::try_from(more).unwrap_or(i64::MAX).max(1));
        let instrument = &self.markets[order.symbol.0].instrument;
        let (asset, needed) = match order.side {
            Side::Sell => (&instrument.base, instrument.qty(more)),
            Side::Buy => {
                (&instrument.quote, self.with_fee(order.symbol, instrument.cost(price, more)))
            }
        };
        if needed > self.account.available(asset) {
            return qty;
        }
        self.account.overfill.0 -= 1;
        qty.plus(more)
    }

    fn report_fill(&mut self, no: OrderNo, trade: AccountTrade, entries: [BalanceChange; 2]) {
        let complete = self.account.orders.get(&no).is_some_and(|order| order.left().is_zero());
        // The stream's quirk: the fill that completes an order still says partially_filled.
        self.step_order(no, OrderEvent::TradedPart);
        self.rehold(no);
        self.report(no, ExecType::Trade, Some(trade));
        if complete {
            self.step_order(no, OrderEvent::TradedRest);
            self.report(no, ExecType::Filled, None);
        }
        self.private.extend(entries.into_iter().map(PrivateEvent::Balance));
    }

    /// A fee in base is a preference: without enough base beside the fill it is taken in quote.
    fn fee_in_base(&self, order: &Order, base_qty: Decimal, rate_bps: i64) -> bool {
        let instrument = &self.markets[order.symbol.0].instrument;
        let spare = match order.side {
            Side::Buy => base_qty,
            Side::Sell => self.account.available(&instrument.base),
        };
        let fee = fee(base_qty, rate_bps, instrument.qty_decimals);
        order.fee_preference == FeePreference::Base && spare >= fee
    }

    /// Ends an order: out of the book, hold released, reported.
    pub(crate) fn end_order(&mut self, no: OrderNo, reason: EndReason) {
        let Some(order) = self.account.orders.get_mut(&no) else { return };
        if order.status.terminal() {
            return;
        }
        order.reason = Some(reason.text().to_owned());
        let symbol = order.symbol;
        let market = &mut self.markets[symbol.0];
        if let Some((side, price, _)) = market.book.remove(no) {
            market.touch(side, price);
        }
        self.step_order(no, reason.event());
        self.rehold(no);
        let expired = reason == EndReason::Expired;
        let exec_type = if expired { ExecType::Expired } else { ExecType::Canceled };
        self.report(no, exec_type, None);
    }

    /// Queues a report of the order as it is now.
    pub(crate) fn report(&mut self, no: OrderNo, exec_type: ExecType, trade: Option<AccountTrade>) {
        let Some(order) = self.account.orders.get(&no).cloned() else { return };
        let ratecount = self.account.ratecount(order.symbol, self.now_us);
        let report = ExecReport { exec_type, order, trade, ts_us: self.now_us, ratecount };
        self.timeline.record(&report);
        self.private.push(PrivateEvent::Execution(Box::new(report)));
    }

    /// Sets an order's hold to what its remainder may cost.
    pub(crate) fn rehold(&mut self, no: OrderNo) {
        let Some(order) = self.account.orders.get(&no) else { return };
        let (asset, amount) = self.needed(order);
        self.account.set_hold(no, &asset, amount);
    }

    /// Asset and amount that an order needs: base for a sell, cost with the taker fee for a buy.
    pub(crate) fn needed(&self, order: &Order) -> (String, Decimal) {
        let instrument = &self.markets[order.symbol.0].instrument;
        let left = if order.status.terminal() { Qty::ZERO } else { order.left() };
        if order.side == Side::Sell {
            return (instrument.base.clone(), instrument.qty(left));
        }
        let price = match order.kind {
            OrderKind::Limit => order.limit,
            OrderKind::StopLoss => order.trigger,
            // A market buy is paid at once; its cost is checked against the book.
            OrderKind::Market => None,
        };
        let cost = price.map_or(Decimal::ZERO, |price| instrument.cost(price, left));
        (instrument.quote.clone(), self.with_fee(order.symbol, cost))
    }

    /// A cost with the account's taker fee, rounded up to the pair's cost decimals.
    pub(crate) fn with_fee(&self, symbol: SymbolNo, cost: Decimal) -> Decimal {
        let decimals = self.markets[symbol.0].instrument.cost_decimals;
        let (tier, _) = self.account.fee_tier();
        let rate = Decimal::new(tier.taker_bps, 4);
        (cost + cost * rate).round_dp_with_strategy(decimals, RoundingStrategy::AwayFromZero)
    }
}
