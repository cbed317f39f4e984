//! A small exchange for tests: BTC/USD with a book of ten levels a side, and the story that its
//! stream has told.

use crate::account::{AddOrder, ExecType, OrderKind, VenueError};
use crate::exchange::instrument::tests::btc_usd;
use crate::exchange::{Exchange, ExchangeConfig, Price, PrivateEvent, Qty, Side, SymbolNo};
use rust_decimal::Decimal;
use std::str::FromStr;

/// The only symbol.
pub(super) const BTC: SymbolNo = SymbolNo(0);
/// One second.
pub(super) const S: i64 = 1_000_000;

/// A decimal from its text.
pub(super) fn dec(text: &str) -> Decimal {
    Decimal::from_str(text).expect("a decimal")
}

/// Exchange and clock.
pub(super) struct Desk {
    pub(super) exchange: Exchange,
    pub(super) now_us: i64,
}

impl Desk {
    /// Bids 50000.0 … 49991.0 and asks 50001.0 … 50010.0, one BTC each; last price 50001.0;
    /// 10,000 USD at 10/20 bps.
    pub(super) fn new() -> Desk {
        let config = ExchangeConfig {
            instruments: vec![btc_usd()],
            seed: 7,
            cash_usd: Decimal::from(10_000),
            volume_30d_usd: Decimal::from(250_000),
            recorded: false,
            start_us: 0,
        };
        let exchange = Exchange::new(config).expect("BTC/USD is there");
        let mut desk = Desk { exchange, now_us: 1_000 * S };
        for level in 0..10 {
            desk.flow(Side::Buy, 500_000 - level * 10, 100_000_000);
            desk.flow(Side::Sell, 500_010 + level * 10, 100_000_000);
        }
        desk.sweep(Side::Buy, 1);
        desk.exchange.take_events();
        desk
    }

    pub(super) fn flow(&mut self, side: Side, price: i64, qty: i64) {
        let placed = self.exchange.flow_limit(BTC, side, Price(price), Qty(qty), self.now_us);
        assert!(placed.resting.is_some() || placed.filled.0 > 0);
    }

    pub(super) fn sweep(&mut self, side: Side, qty: i64) {
        self.exchange.flow_market(BTC, side, Qty(qty), self.now_us);
    }

    pub(super) fn add(&mut self, order: &AddOrder) -> Result<String, VenueError> {
        self.exchange.add_order(order, self.now_us).map(|added| added.txid)
    }

    /// The story since the last call: kind and status of every report.
    pub(super) fn story(&mut self) -> Vec<(ExecType, &'static str)> {
        let (_, private) = self.exchange.take_events();
        let report = |event: PrivateEvent| match event {
            PrivateEvent::Execution(report) => Some((report.exec_type, report.order.status.text())),
            PrivateEvent::Balance(_) | PrivateEvent::Status(_) => None,
        };
        private.into_iter().filter_map(report).collect()
    }

    pub(super) fn balance(&self, asset: &str) -> String {
        self.exchange.account().balance(asset).to_string()
    }
}

/// A limit order.
pub(super) fn limit(side: Side, qty: &str, price: &str) -> AddOrder {
    let mut order = AddOrder::new(BTC, side, OrderKind::Limit);
    order.qty = Some(dec(qty));
    order.limit = Some(dec(price));
    order.fee_preference = Some(crate::account::FeePreference::Quote);
    order
}

/// A market order.
pub(super) fn market(side: Side, qty: &str) -> AddOrder {
    let mut order = AddOrder::new(BTC, side, OrderKind::Market);
    order.qty = Some(dec(qty));
    order.fee_preference = Some(crate::account::FeePreference::Quote);
    order
}

/// A stop.
pub(super) fn stop(side: Side, qty: &str, trigger: &str) -> AddOrder {
    let mut order = AddOrder::new(BTC, side, OrderKind::StopLoss);
    order.qty = Some(dec(qty));
    order.trigger = Some(dec(trigger));
    order.fee_preference = Some(crate::account::FeePreference::Quote);
    order
}
