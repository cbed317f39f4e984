//! Requests on the socket, as text.
//!
//! Input: typed parameters. Output: one frame. Invariants: a number is written from its decimal, with
//! a point and at least one fractional digit, because the venue refuses integers in float fields;
//! never through binary floating point and never with an exponent. Strings are escaped. The token is
//! a bearer secret inside the text: [`redacted`] removes it before anything is logged or stored.

use chrono::SecondsFormat;
use penstock_types::UtcMicros;
use rust_decimal::Decimal;

use super::json_text::Object;
pub use super::json_text::float_text;
use super::vocabulary::{
    EventTrigger, OrderType, PriceType, Side, StpType, TimeInForce, TriggerReference,
};
use super::wire::Vocabulary;

/// A subscription to one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subscription<'a> {
    /// Best prices and statistics.
    Ticker {
        /// Symbols.
        symbols: &'a [&'a str],
        /// When it speaks.
        trigger: EventTrigger,
    },
    /// Prints.
    Trade {
        /// Symbols.
        symbols: &'a [&'a str],
        /// Whether the last 50 prints come first.
        snapshot: bool,
    },
    /// Books.
    Book {
        /// Symbols.
        symbols: &'a [&'a str],
        /// One of the venue's depths.
        depth: u32,
    },
    /// Order-by-order books; on their own socket.
    Level3 {
        /// Symbols.
        symbols: &'a [&'a str],
        /// One of the venue's depths of this channel, price levels.
        depth: u32,
        /// Session token.
        token: &'a str,
    },
    /// Candles.
    Ohlc {
        /// Symbols.
        symbols: &'a [&'a str],
        /// Minutes.
        interval: u32,
    },
    /// Assets and pairs.
    Instrument,
    /// Own orders: image of open orders, of the last fills, every transition, rate counter.
    Executions {
        /// Session token.
        token: &'a str,
    },
    /// Own balances.
    Balances {
        /// Session token.
        token: &'a str,
    },
}

impl Subscription<'_> {
    /// The channel's wire word.
    pub const fn channel(&self) -> &'static str {
        match self {
            Self::Ticker { .. } => "ticker",
            Self::Trade { .. } => "trade",
            Self::Book { .. } => "book",
            Self::Level3 { .. } => "level3",
            Self::Ohlc { .. } => "ohlc",
            Self::Instrument => "instrument",
            Self::Executions { .. } => "executions",
            Self::Balances { .. } => "balances",
        }
    }

    fn params(&self) -> Object {
        let mut params = Object::new();
        params.str("channel", self.channel());
        match self {
            Self::Ticker { symbols, trigger } => {
                params.strs("symbol", symbols);
                params.str("event_trigger", trigger.wire());
            }
            Self::Trade { symbols, snapshot } => {
                params.strs("symbol", symbols);
                params.bool("snapshot", *snapshot);
            }
            Self::Book { symbols, depth } => {
                params.strs("symbol", symbols);
                params.int("depth", i64::from(*depth));
            }
            Self::Level3 { symbols, depth, token } => {
                params.strs("symbol", symbols);
                params.int("depth", i64::from(*depth));
                params.str("token", token);
            }
            Self::Ohlc { symbols, interval } => {
                params.strs("symbol", symbols);
                params.int("interval", i64::from(*interval));
            }
            Self::Instrument => {}
            Self::Executions { token } => {
                params.bool("snap_orders", true);
                params.bool("snap_trades", true);
                params.bool("order_status", true);
                params.bool("ratecounter", true);
                params.str("token", token);
            }
            Self::Balances { token } => {
                params.bool("snapshot", true);
                params.str("token", token);
            }
        }
        params
    }
}

/// Subscribe request.
pub fn subscribe(subscription: &Subscription<'_>, req_id: u64) -> String {
    request("subscribe", subscription.params(), req_id)
}

/// Unsubscribe request with the same parameters.
pub fn unsubscribe(subscription: &Subscription<'_>, req_id: u64) -> String {
    request("unsubscribe", subscription.params(), req_id)
}

/// Ping of the application; the venue answers with its own times.
pub fn ping(req_id: u64) -> String {
    format!("{{\"method\":\"ping\",\"req_id\":{req_id}}}")
}

/// Trigger of a stop or take-profit order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// Price that fires it.
    pub reference: TriggerReference,
    /// Trigger price.
    pub price: Decimal,
    /// How it is to be read.
    pub price_type: PriceType,
}

/// A new order. The fee is always asked for in the quote asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddOrder<'a> {
    /// Type.
    pub order_type: OrderType,
    /// Side.
    pub side: Side,
    /// Symbol.
    pub symbol: &'a str,
    /// Quantity, base asset.
    pub order_qty: Decimal,
    /// Limit price; of the limit types.
    pub limit_price: Option<Decimal>,
    /// Trigger; of the triggered types.
    pub trigger: Option<Trigger>,
    /// How long it stays.
    pub time_in_force: Option<TimeInForce>,
    /// End of a GTD order, whole seconds.
    pub expire_time: Option<UtcMicros>,
    /// The engine refuses it after this time, milliseconds.
    pub deadline: Option<UtcMicros>,
    /// Cancelled if it would take.
    pub post_only: bool,
    /// What happens against another own order.
    pub stp_type: Option<StpType>,
    /// Our order id.
    pub cl_ord_id: Option<&'a str>,
    /// Only check.
    pub validate: bool,
}

/// Add request.
pub fn add_order(order: &AddOrder<'_>, token: &str, req_id: u64) -> String {
    let mut params = Object::new();
    params.str("order_type", order.order_type.wire());
    params.str("side", order.side.wire());
    params.str("symbol", order.symbol);
    params.number("order_qty", order.order_qty);
    params.opt_number("limit_price", order.limit_price);
    if let Some(trigger) = &order.trigger {
        let mut inner = Object::new();
        inner.str("reference", trigger.reference.wire());
        inner.number("price", trigger.price);
        inner.str("price_type", trigger.price_type.wire());
        params.object("triggers", inner);
    }
    params.opt_str("time_in_force", order.time_in_force.map(Vocabulary::wire));
    params.opt_time("expire_time", order.expire_time, SecondsFormat::Secs);
    params.opt_time("deadline", order.deadline, SecondsFormat::Millis);
    if order.post_only {
        params.bool("post_only", true);
    }
    params.opt_str("stp_type", order.stp_type.map(Vocabulary::wire));
    params.opt_str("cl_ord_id", order.cl_ord_id);
    params.str("fee_preference", "quote");
    if order.validate {
        params.bool("validate", true);
    }
    params.str("token", token);
    request("add_order", params, req_id)
}

/// Which order a request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderRef<'a> {
    /// The venue's id.
    OrderId(&'a str),
    /// Our id.
    ClOrdId(&'a str),
}

/// Changes to a resting order; absent terms stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmendOrder<'a> {
    /// The order.
    pub order: OrderRef<'a>,
    /// New quantity (total, fills included).
    pub order_qty: Option<Decimal>,
    /// New limit price.
    pub limit_price: Option<Decimal>,
    /// New trigger price.
    pub trigger_price: Option<Decimal>,
    /// Refused if it would take.
    pub post_only: bool,
    /// The engine refuses it after this time, milliseconds.
    pub deadline: Option<UtcMicros>,
}

/// Amend request.
pub fn amend_order(amend: &AmendOrder<'_>, token: &str, req_id: u64) -> String {
    let mut params = Object::new();
    match amend.order {
        OrderRef::OrderId(id) => params.str("order_id", id),
        OrderRef::ClOrdId(id) => params.str("cl_ord_id", id),
    }
    params.opt_number("order_qty", amend.order_qty);
    params.opt_number("limit_price", amend.limit_price);
    params.opt_number("trigger_price", amend.trigger_price);
    if amend.post_only {
        params.bool("post_only", true);
    }
    params.opt_time("deadline", amend.deadline, SecondsFormat::Millis);
    params.str("token", token);
    request("amend_order", params, req_id)
}

/// Cancel request for one order: one request, one answer.
pub fn cancel_order(order: OrderRef<'_>, token: &str, req_id: u64) -> String {
    let mut params = Object::new();
    match order {
        OrderRef::OrderId(id) => params.strs("order_id", &[id]),
        OrderRef::ClOrdId(id) => params.strs("cl_ord_id", &[id]),
    }
    params.str("token", token);
    request("cancel_order", params, req_id)
}

/// Cancel of every order of the account.
pub fn cancel_all(token: &str, req_id: u64) -> String {
    let mut params = Object::new();
    params.str("token", token);
    request("cancel_all", params, req_id)
}

/// Dead man's switch of the whole account; 0 seconds disarms it.
pub fn cancel_all_orders_after(timeout_s: u32, token: &str, req_id: u64) -> String {
    let mut params = Object::new();
    params.int("timeout", i64::from(timeout_s));
    params.str("token", token);
    request("cancel_all_orders_after", params, req_id)
}

/// The text with every session token replaced; for logs and records.
pub fn redacted(frame: &str) -> String {
    const KEY: &str = "\"token\":\"";
    let mut out = String::with_capacity(frame.len());
    let mut rest = frame;
    while let Some(at) = rest.find(KEY) {
        let (before, secret) = rest.split_at(at + KEY.len());
        out.push_str(before);
        out.push_str("redacted");
        rest = secret.find('"').map_or("", |end| &secret[end..]);
    }
    out.push_str(rest);
    out
}

fn request(method: &str, params: Object, req_id: u64) -> String {
    let params = params.close();
    format!("{{\"method\":\"{method}\",\"params\":{params},\"req_id\":{req_id}}}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kraken::{Frame, decode};
    use proptest::prelude::*;

    fn order(qty: &str, price: &str) -> AddOrder<'static> {
        AddOrder {
            order_type: OrderType::Limit,
            side: Side::Buy,
            symbol: "BTC/USD",
            order_qty: qty.parse().unwrap(),
            limit_price: Some(price.parse().unwrap()),
            trigger: None,
            time_in_force: Some(TimeInForce::Gtd),
            expire_time: Some(UtcMicros(1_771_243_260_000_000)),
            deadline: Some(UtcMicros(1_771_243_202_012_000)),
            post_only: true,
            stp_type: Some(StpType::CancelNewest),
            cl_ord_id: Some("019c6652-5e0c-8005-8000-0000002a944f"),
            validate: false,
        }
    }

    #[test]
    fn an_order_is_written_with_its_own_digits() {
        let text = add_order(&order("0.00100000", "37500"), "T", 7);
        assert_eq!(
            text,
            r#"{"method":"add_order","params":{"order_type":"limit","side":"buy","symbol":"BTC/USD","order_qty":0.00100000,"limit_price":37500.0,"time_in_force":"gtd","expire_time":"2026-02-16T12:01:00Z","deadline":"2026-02-16T12:00:02.012Z","post_only":true,"stp_type":"cancel_newest","cl_ord_id":"019c6652-5e0c-8005-8000-0000002a944f","fee_preference":"quote","token":"T"},"req_id":7}"#
        );
    }

    #[test]
    fn a_stop_carries_its_trigger() {
        let stop = AddOrder {
            order_type: OrderType::StopLoss,
            side: Side::Sell,
            limit_price: None,
            trigger: Some(Trigger {
                reference: TriggerReference::Last,
                price: "36000.1".parse().unwrap(),
                price_type: PriceType::Static,
            }),
            time_in_force: None,
            expire_time: None,
            deadline: None,
            post_only: false,
            stp_type: None,
            cl_ord_id: None,
            ..order("1", "1")
        };
        let text = add_order(&stop, "T", 1);
        assert!(text.contains(
            r#""order_qty":1.0,"triggers":{"reference":"last","price":36000.1,"price_type":"static"},"fee_preference":"quote""#
        ));
    }

    #[test]
    fn other_requests_name_what_they_mean() {
        let amend = AmendOrder {
            order: OrderRef::ClOrdId("c"),
            order_qty: None,
            limit_price: None,
            trigger_price: Some("2".parse().unwrap()),
            post_only: false,
            deadline: None,
        };
        assert_eq!(
            amend_order(&amend, "T", 3),
            r#"{"method":"amend_order","params":{"cl_ord_id":"c","trigger_price":2.0,"token":"T"},"req_id":3}"#
        );
        assert_eq!(
            cancel_order(OrderRef::OrderId("O"), "T", 4),
            r#"{"method":"cancel_order","params":{"order_id":["O"],"token":"T"},"req_id":4}"#
        );
        assert_eq!(
            cancel_all_orders_after(60, "T", 5),
            r#"{"method":"cancel_all_orders_after","params":{"timeout":60,"token":"T"},"req_id":5}"#
        );
        assert_eq!(
            cancel_all("T", 6),
            r#"{"method":"cancel_all","params":{"token":"T"},"req_id":6}"#
        );
        assert_eq!(
            subscribe(&Subscription::Book { symbols: &["BTC/USD", "ETH/USD"], depth: 10 }, 8),
            r#"{"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD","ETH/USD"],"depth":10},"req_id":8}"#
        );
        assert_eq!(ping(9), r#"{"method":"ping","req_id":9}"#);
    }

    #[test]
    fn tokens_do_not_reach_a_log() {
        let text = subscribe(&Subscription::Executions { token: "s3cret" }, 1);
        let shown = redacted(&text);
        assert!(!shown.contains("s3cret"));
        assert!(shown.ends_with(r#""token":"redacted"},"req_id":1}"#), "{shown}");
        assert_eq!(redacted(r#"{"token":"cut"#), r#"{"token":"redacted"#);
    }

    proptest! {
        #[test]
        fn every_request_is_json_and_keeps_its_numbers(
            mantissa in 0i64..i64::MAX, scale in 0u32..=18, id in "\\PC{0,40}",
        ) {
            let qty = Decimal::new(mantissa, scale);
            let id = id.as_str();
            let mut add = order("1", "1");
            add.order_qty = qty;
            add.cl_ord_id = Some(id);
            let text = add_order(&add, "T", 1);
            let is_request = matches!(decode(&text), Ok(Frame::Request { .. }));
            prop_assert!(is_request);
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(value["params"]["cl_ord_id"].as_str(), Some(id));
            let written = float_text(qty);
            prop_assert!(written.contains('.') && !written.contains('e'));
            prop_assert_eq!(penstock_types::decimal::parse_wire(&written).unwrap(), qty);
        }
    }
}
