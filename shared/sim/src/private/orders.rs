//! Order requests of the socket: from parameters to the exchange and to the answer's `result`.
//!
//! Inputs: parameters of one request. Outputs: the JSON of `result`, with the ids for the request
//! log. Both arrive together, so that a swallowed answer is logged like a sent one. Invariant:
//! parsing refuses with the same words as the engine; nothing is carried out before all
//! parameters are read.

use super::json::{Object, array};
use super::params::{Envelope, Params};
use crate::account::{
    AddOrder, Added, AmendOrder, FeePreference, OrderKind, OrderRef, SelfTrade, TimeInForce,
    VenueError,
};
use crate::exchange::{Exchange, Side, SymbolNo};

/// Orders per batch request.
const BATCH_ADD: std::ops::RangeInclusive<usize> = 2..=15;
/// Names per batch cancel.
const BATCH_CANCEL: std::ops::RangeInclusive<usize> = 2..=50;

/// Ids that a request named or got, for the request log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) cl_ord_id: Vec<String>,
    pub(crate) order_id: Vec<String>,
}

impl Ids {
    fn add(&mut self, order: &OrderRef) {
        match order {
            OrderRef::Txid(txid) => self.order_id.push(txid.clone()),
            OrderRef::Client(id) => self.cl_ord_id.push(id.clone()),
            OrderRef::Userref(_) => {}
        }
    }
}

/// Reads a request frame as a session does, without token and without carrying it out; false for
/// a method that is no order request. It exists for fuzzing.
///
/// # Errors
/// The venue's refusal of the frame.
pub fn read_order_request(exchange: &Exchange, text: &str) -> Result<bool, VenueError> {
    let envelope = Envelope::parse(text)?;
    let params = Params::parse(envelope.params.as_deref())?;
    match OrderRequest::parse(exchange, &envelope.method, params) {
        None => Ok(false),
        Some(request) => request.map(|_| true),
    }
}

/// Ids that a request frame names, token and all: for those that are noted and not carried out.
pub(crate) fn ids_of(exchange: &Exchange, envelope: &Envelope) -> Ids {
    let read = || {
        let mut params = Params::parse(envelope.params.as_deref()).ok()?;
        params.text("token").ok()?;
        OrderRequest::parse(exchange, &envelope.method, params)?.ok()
    };
    read().map(|request| request.ids()).unwrap_or_default()
}

/// One answer of a request: `result` or refusal. A cancel of n ids has n answers.
pub(crate) type Answers = Vec<Result<String, VenueError>>;

/// An order request, read.
#[derive(Clone, Debug)]
pub(crate) enum OrderRequest {
    Add(Box<AddOrder>),
    Amend(AmendOrder),
    Cancel(Vec<OrderRef>),
    CancelAll,
    CancelAllAfter(i64),
    BatchAdd(Vec<AddOrder>),
    BatchCancel(Vec<OrderRef>),
}

impl OrderRequest {
    /// Reads the parameters of a method; `None` for a method that is no order request.
    pub(crate) fn parse(
        exchange: &Exchange,
        method: &str,
        mut params: Params,
    ) -> Option<Result<OrderRequest, VenueError>> {
        let request = match method {
            "add_order" => add(exchange, &mut params).map(Box::new).map(OrderRequest::Add),
            "amend_order" => amend(&mut params).map(OrderRequest::Amend),
            "cancel_order" => names(&mut params).map(OrderRequest::Cancel),
            "cancel_all" => Ok(OrderRequest::CancelAll),
            "cancel_all_orders_after" => {
                let timeout = params.integer("timeout");
                timeout
                    .and_then(|timeout| timeout.ok_or_else(|| VenueError::argument("timeout")))
                    .map(OrderRequest::CancelAllAfter)
            }
            "batch_add" => batch_add(exchange, &mut params).map(OrderRequest::BatchAdd),
            "batch_cancel" => batch_names(&mut params).map(OrderRequest::BatchCancel),
            _ => return None,
        };
        Some(request.and_then(|request| params.end().map(|()| request)))
    }

    /// Ids that the request names.
    pub(crate) fn ids(&self) -> Ids {
        let mut ids = Ids::default();
        match self {
            OrderRequest::Add(add) => ids.cl_ord_id.extend(add.cl_ord_id.clone()),
            OrderRequest::Amend(amend) => ids.add(&amend.order),
            OrderRequest::Cancel(names) | OrderRequest::BatchCancel(names) => {
                names.iter().for_each(|name| ids.add(name));
            }
            OrderRequest::BatchAdd(adds) => {
                ids.cl_ord_id.extend(adds.iter().filter_map(|add| add.cl_ord_id.clone()));
            }
            OrderRequest::CancelAll | OrderRequest::CancelAllAfter(_) => {}
        }
        ids
    }

    /// Carries the request out; its answers, and ids that it gave.
    pub(crate) fn run(&self, exchange: &mut Exchange, now_us: i64) -> (Answers, Vec<String>) {
        match self {
            OrderRequest::Add(add) => {
                let added = exchange.add_order(add, now_us);
                let given = added.iter().map(|added| added.txid.clone()).collect();
                (vec![added.map(|added| added_json(&added))], given)
            }
            OrderRequest::Amend(amend) => {
                let amended = exchange.amend_order(amend, now_us);
                let given = amended.iter().map(|amended| amended.txid.clone()).collect();
                let answer = amended.map(|amended| {
                    Object::new()
                        .text("amend_id", &amended.amend_id)
                        .text("order_id", &amended.txid)
                        .maybe_text("cl_ord_id", amended.cl_ord_id.as_deref())
                        .end()
                });
                (vec![answer], given)
            }
            OrderRequest::Cancel(names) => cancel(exchange, names, now_us),
            OrderRequest::CancelAll => {
                let count = exchange.cancel_all(now_us);
                (vec![count.map(count_json)], Vec::new())
            }
            OrderRequest::CancelAllAfter(timeout_s) => {
                let answer = exchange.cancel_all_after(*timeout_s, now_us).map(|fires_us| {
                    Object::new()
                        .time("currentTime", now_us)
                        .time("triggerTime", fires_us.unwrap_or(0))
                        .end()
                });
                (vec![answer], Vec::new())
            }
            OrderRequest::BatchAdd(adds) => run_batch_add(exchange, adds, now_us),
            OrderRequest::BatchCancel(names) => {
                let (answers, given) = cancel(exchange, names, now_us);
                let count = answers.iter().filter(|answer| answer.is_ok()).count();
                (vec![Ok(count_json(count))], given)
            }
        }
    }
}

fn added_json(added: &Added) -> String {
    let object = Object::new()
        .text("order_id", &added.txid)
        .maybe_text("cl_ord_id", added.cl_ord_id.as_deref());
    match added.userref {
        0 => object.end(),
        userref => object.integer("order_userref", userref).end(),
    }
}

fn count_json(count: usize) -> String {
    Object::new().raw("count", &count.to_string()).end()
}

fn cancel(exchange: &mut Exchange, names: &[OrderRef], now_us: i64) -> (Answers, Vec<String>) {
    let mut answers = Vec::new();
    let mut given = Vec::new();
    for name in names {
        match exchange.cancel_order(name, now_us) {
            Ok(orders) => {
                for order in orders {
                    let object = Object::new()
                        .text("order_id", &order.txid)
                        .maybe_text("cl_ord_id", order.cl_ord_id.as_deref());
                    answers.push(Ok(object.end()));
                    given.push(order.txid);
                }
            }
            Err(error) => answers.push(Err(error)),
        }
    }
    (answers, given)
}

fn run_batch_add(
    exchange: &mut Exchange,
    adds: &[AddOrder],
    now_us: i64,
) -> (Answers, Vec<String>) {
    let results = match exchange.add_batch(adds, now_us) {
        Ok(results) => results,
        Err(error) => return (vec![Err(error)], Vec::new()),
    };
    let mut items = Vec::new();
    let mut given = Vec::new();
    for (add, result) in adds.iter().zip(results) {
        match result {
            Ok(added) => {
                items.push(added_json(&added));
                given.push(added.txid);
            }
            Err(error) => {
                let object = Object::new().maybe_text("cl_ord_id", add.cl_ord_id.as_deref());
                items.push(object.text("error", &error.to_string()).end());
            }
        }
    }
    (vec![Ok(array(&items))], given)
}

fn add(exchange: &Exchange, params: &mut Params) -> Result<AddOrder, VenueError> {
    let symbol = params.required_text("symbol")?;
    let symbol = exchange.symbol_no(&symbol).ok_or(VenueError::PairNotSupported(symbol))?;
    add_for(symbol, params)
}

fn add_for(symbol: SymbolNo, params: &mut Params) -> Result<AddOrder, VenueError> {
    let side = side_of(&params.required_text("side")?)?;
    let kind = kind_of(&params.required_text("order_type")?, "order_type")?;
    let mut add = AddOrder::new(symbol, side, kind);
    add.qty = params.decimal("order_qty")?;
    add.cash_qty = params.decimal("cash_order_qty")?;
    add.limit = params.decimal("limit_price")?;
    if let Some(mut triggers) = params.object("triggers")? {
        add.trigger = triggers.decimal("price")?;
        // Only the last trade triggers here; the index falls back to it, as the venue documents.
        one_of(triggers.text("reference")?, &["last", "index"], "reference")?;
        one_of(triggers.text("price_type")?, &["static"], "price_type")?;
        triggers.end()?;
    }
    if let Some(word) = params.text("time_in_force")? {
        add.tif = tif_of(&word)?;
    }
    add.expire_us = params.time("expire_time")?;
    add.deadline_us = params.time("deadline")?;
    add.post_only = params.flag("post_only")?.unwrap_or(false);
    if let Some(word) = params.text("stp_type")? {
        add.self_trade = self_trade_of(&word)?;
    }
    if let Some(word) = params.text("fee_preference")? {
        add.fee_preference = Some(match word.as_str() {
            "base" => FeePreference::Base,
            "quote" => FeePreference::Quote,
            _ => return Err(VenueError::argument("fee_preference")),
        });
    }
    add.cl_ord_id = params.text("cl_ord_id")?;
    add.userref = params.integer("order_userref")?.unwrap_or(0);
    add.validate = params.flag("validate")?.unwrap_or(false);
    // Deprecated and without effect at the venue too.
    params.flag("no_mpp")?;
    for margin in ["margin", "reduce_only"] {
        if params.flag(margin)?.unwrap_or(false) {
            return Err(VenueError::argument(margin));
        }
    }
    Ok(add)
}

fn amend(params: &mut Params) -> Result<AmendOrder, VenueError> {
    let order = one_name(params)?;
    Ok(AmendOrder {
        order,
        qty: params.decimal("order_qty")?,
        limit: params.decimal("limit_price")?,
        trigger: params.decimal("trigger_price")?,
        post_only: params.flag("post_only")?.unwrap_or(false),
        deadline_us: params.time("deadline")?,
    })
}

fn one_name(params: &mut Params) -> Result<OrderRef, VenueError> {
    match (params.text("order_id")?, params.text("cl_ord_id")?) {
        (Some(txid), None) => Ok(OrderRef::Txid(txid)),
        (None, Some(id)) => Ok(OrderRef::Client(id)),
        (None, None) | (Some(_), Some(_)) => Err(VenueError::argument("order_id")),
    }
}

fn names(params: &mut Params) -> Result<Vec<OrderRef>, VenueError> {
    let mut names: Vec<OrderRef> = Vec::new();
    names.extend(params.texts("order_id")?.into_iter().map(OrderRef::Txid));
    names.extend(params.texts("cl_ord_id")?.into_iter().map(OrderRef::Client));
    names.extend(params.integers("order_userref")?.into_iter().map(OrderRef::Userref));
    if names.is_empty() {
        return Err(VenueError::argument("order_id"));
    }
    Ok(names)
}

fn batch_names(params: &mut Params) -> Result<Vec<OrderRef>, VenueError> {
    let mut names: Vec<OrderRef> = Vec::new();
    names.extend(params.texts("orders")?.into_iter().map(OrderRef::Txid));
    names.extend(params.texts("cl_ord_id")?.into_iter().map(OrderRef::Client));
    if !BATCH_CANCEL.contains(&names.len()) {
        return Err(VenueError::argument("orders"));
    }
    Ok(names)
}

fn batch_add(exchange: &Exchange, params: &mut Params) -> Result<Vec<AddOrder>, VenueError> {
    let symbol = params.required_text("symbol")?;
    let symbol = exchange.symbol_no(&symbol).ok_or(VenueError::PairNotSupported(symbol))?;
    let deadline_us = params.time("deadline")?;
    let validate = params.flag("validate")?.unwrap_or(false);
    let mut adds = Vec::new();
    for mut order in params.objects("orders")? {
        let add = add_for(symbol, &mut order)?;
        order.end()?;
        adds.push(AddOrder { deadline_us, validate, ..add });
    }
    if !BATCH_ADD.contains(&adds.len()) {
        return Err(VenueError::argument("orders"));
    }
    Ok(adds)
}

/// Side of a wire word.
pub(crate) fn side_of(word: &str) -> Result<Side, VenueError> {
    match word {
        "buy" => Ok(Side::Buy),
        "sell" => Ok(Side::Sell),
        _ => Err(VenueError::argument("side")),
    }
}

/// Kind of a wire word; kinds that this venue does not have are refused by the field's name.
pub(crate) fn kind_of(word: &str, field: &str) -> Result<OrderKind, VenueError> {
    match word {
        "limit" => Ok(OrderKind::Limit),
        "market" => Ok(OrderKind::Market),
        "stop-loss" => Ok(OrderKind::StopLoss),
        _ => Err(VenueError::argument(field)),
    }
}

/// Time in force of a wire word, in either case.
pub(crate) fn tif_of(word: &str) -> Result<TimeInForce, VenueError> {
    match word.to_ascii_lowercase().as_str() {
        "gtc" => Ok(TimeInForce::Gtc),
        "gtd" => Ok(TimeInForce::Gtd),
        "ioc" => Ok(TimeInForce::Ioc),
        "fok" => Ok(TimeInForce::Fok),
        _ => Err(VenueError::argument("time_in_force")),
    }
}

/// Self-trade prevention of a wire word, with underscores (socket) or hyphens (REST).
pub(crate) fn self_trade_of(word: &str) -> Result<SelfTrade, VenueError> {
    match word.replace('-', "_").as_str() {
        "cancel_newest" => Ok(SelfTrade::CancelNewest),
        "cancel_oldest" => Ok(SelfTrade::CancelOldest),
        "cancel_both" => Ok(SelfTrade::CancelBoth),
        _ => Err(VenueError::argument("stp_type")),
    }
}

fn one_of(value: Option<String>, words: &[&str], name: &str) -> Result<(), VenueError> {
    match value {
        Some(word) if !words.contains(&word.as_str()) => Err(VenueError::argument(name)),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::ExchangeConfig;
    use crate::exchange::instrument::tests::btc_usd;
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    fn exchange() -> Exchange {
        Exchange::new(ExchangeConfig {
            instruments: vec![btc_usd()],
            seed: 1,
            cash_usd: Decimal::ZERO,
            volume_30d_usd: Decimal::ZERO,
            recorded: false,
            start_us: 0,
        })
        .expect("BTC/USD is listed")
    }

    /// A whole request, from which the property below cuts and into which it writes.
    const WHOLE: &str = r#"{"method":"add_order","req_id":7,"params":{"order_type":"stop-loss",
        "side":"sell","symbol":"BTC/USD","order_qty":0.5,"triggers":{"reference":"last",
        "price":1e4},"time_in_force":"gtd","expire_time":"2026-01-01T00:00:00Z",
        "deadline":"2026-01-01T00:00:00.5Z","stp_type":"cancel_oldest","fee_preference":"quote",
        "cl_ord_id":"a","validate":false}}"#;

    #[test]
    fn a_whole_request_is_read_and_a_foreign_method_is_not_one() {
        assert_eq!(read_order_request(&exchange(), WHOLE), Ok(true));
        assert_eq!(read_order_request(&exchange(), r#"{"method":"edit_order"}"#), Ok(false));
    }

    proptest! {
        #[test]
        fn any_text_and_any_damage_is_answered(
            text in ".{0,80}",
            at in 0..WHOLE.len(),
            byte in prop::char::range(' ', '~'),
        ) {
            let exchange = exchange();
            prop_assert!(read_order_request(&exchange, &text).is_err());
            let mut damaged = WHOLE.to_owned();
            damaged.replace_range(at..=at, &byte.to_string());
            let first = read_order_request(&exchange, &damaged);
            prop_assert_eq!(read_order_request(&exchange, &damaged), first);
            prop_assert!(read_order_request(&exchange, &WHOLE[..at]).is_err());
        }
    }
}
