//! Order calls of REST.
//!
//! Inputs: the fields of a call. Outputs: the JSON of `result`, and the ids for the request log.
//! The words differ from the socket's (`ordertype`, `volume`, `price`, hyphens in `stptype`); the
//! engine behind them is the same.

use super::auth::Fields;
use super::render::sentence;
use crate::account::{AddOrder, AmendOrder, FeePreference, OrderKind, OrderRef, VenueError};
use crate::exchange::Exchange;
use crate::private::{Object, decimal_text, kind_of, self_trade_of, side_of, tif_of, time_text};
use chrono::DateTime;
use rust_decimal::Decimal;

/// Answer of an order call, and the venue ids that it gave.
pub(crate) type OrderAnswer = Result<(String, Vec<String>), VenueError>;

/// `AddOrder`.
pub(crate) fn add(exchange: &mut Exchange, fields: &Fields, now_us: i64) -> OrderAnswer {
    let add = parse_add(exchange, fields, now_us)?;
    let added = exchange.add_order(&add, now_us)?;
    let given: Vec<String> = Some(added.txid).filter(|txid| !txid.is_empty()).into_iter().collect();
    let instrument = &exchange.market(add.symbol).instrument;
    let order = given.first().and_then(|txid| exchange.account().order_by_txid(txid));
    let words = order.map(|order| sentence(instrument, order)).unwrap_or_default();
    let description = Object::new().text("order", &words).end();
    let mut object = Object::new().raw("descr", &description);
    if let Some(txid) = given.first() {
        object = object.raw("txid", &format!("[\"{txid}\"]"));
    }
    object = object.maybe_text("cl_ord_id", add.cl_ord_id.as_deref());
    Ok((object.end(), given))
}

fn parse_add(exchange: &Exchange, fields: &Fields, now_us: i64) -> Result<AddOrder, VenueError> {
    let symbol = exchange.pair_no(fields.required("pair")?).ok_or(VenueError::UnknownPair)?;
    let side = side_of(fields.required("type")?)?;
    let kind = kind_of(fields.required("ordertype")?, "ordertype")?;
    let mut add = AddOrder::new(symbol, side, kind);
    let flags = fields.list("oflags");
    let volume = decimal(fields, "volume")?;
    if flags.contains(&"viqc") {
        add.cash_qty = volume;
    } else {
        add.qty = volume;
    }
    match kind {
        OrderKind::Limit => add.limit = decimal(fields, "price")?,
        OrderKind::StopLoss => add.trigger = decimal(fields, "price")?,
        OrderKind::Market => {}
    }
    for flag in flags {
        match flag {
            "post" => add.post_only = true,
            "fcib" => add.fee_preference = Some(FeePreference::Base),
            "fciq" => add.fee_preference = Some(FeePreference::Quote),
            "viqc" | "nompp" => {}
            _ => return Err(VenueError::argument("oflags")),
        }
    }
    if let Some(word) = fields.text("timeinforce") {
        add.tif = tif_of(word)?;
    }
    add.expire_us = expire(fields, now_us)?;
    if let Some(word) = fields.text("stptype") {
        add.self_trade = self_trade_of(word)?;
    }
    add.deadline_us = deadline(fields)?;
    add.cl_ord_id = fields.text("cl_ord_id").map(ToOwned::to_owned);
    add.userref = fields.integer("userref")?.unwrap_or(0);
    add.validate = fields.flag("validate")?.unwrap_or(false);
    for margin in ["leverage", "close[ordertype]", "displayvol"] {
        if fields.text(margin).is_some_and(|text| text != "none") {
            return Err(VenueError::argument(margin));
        }
    }
    Ok(add)
}

/// `AmendOrder`.
pub(crate) fn amend(exchange: &mut Exchange, fields: &Fields, now_us: i64) -> OrderAnswer {
    let request = AmendOrder {
        order: name(fields)?,
        qty: decimal(fields, "order_qty")?,
        limit: decimal(fields, "limit_price")?,
        trigger: decimal(fields, "trigger_price")?,
        post_only: fields.flag("post_only")?.unwrap_or(false),
        deadline_us: deadline(fields)?,
    };
    let amended = exchange.amend_order(&request, now_us)?;
    Ok((Object::new().text("amend_id", &amended.amend_id).end(), vec![amended.txid]))
}

/// `CancelOrder`.
pub(crate) fn cancel(exchange: &mut Exchange, fields: &Fields, now_us: i64) -> OrderAnswer {
    let orders = exchange.cancel_order(&name(fields)?, now_us)?;
    let given: Vec<String> = orders.into_iter().map(|order| order.txid).collect();
    Ok((count(given.len()), given))
}

/// `CancelAll`.
pub(crate) fn cancel_all(exchange: &mut Exchange, now_us: i64) -> OrderAnswer {
    Ok((count(exchange.cancel_all(now_us)?), Vec::new()))
}

/// `CancelAllOrdersAfter`.
pub(crate) fn cancel_all_after(
    exchange: &mut Exchange,
    fields: &Fields,
    now_us: i64,
) -> OrderAnswer {
    let timeout = fields.integer("timeout")?.ok_or_else(|| VenueError::argument("timeout"))?;
    let fires_us = exchange.cancel_all_after(timeout, now_us)?;
    let object = Object::new()
        .text("currentTime", &time_text(now_us))
        .text("triggerTime", &fires_us.map_or_else(|| "0".to_owned(), time_text));
    Ok((object.end(), Vec::new()))
}

fn count(count: usize) -> String {
    Object::new().raw("count", &count.to_string()).end()
}

/// The order that a call names: venue id, client id, or a number as the client's tag.
fn name(fields: &Fields) -> Result<OrderRef, VenueError> {
    match (fields.text("txid"), fields.text("cl_ord_id")) {
        (Some(txid), None) => {
            Ok(txid.parse().map_or_else(|_| OrderRef::Txid(txid.to_owned()), OrderRef::Userref))
        }
        (None, Some(id)) => Ok(OrderRef::Client(id.to_owned())),
        (None, None) | (Some(_), Some(_)) => Err(VenueError::argument("txid")),
    }
}

fn decimal(fields: &Fields, name: &str) -> Result<Option<Decimal>, VenueError> {
    let parse = |text| decimal_text(text).ok_or_else(|| VenueError::argument(name));
    fields.text(name).map(parse).transpose()
}

fn deadline(fields: &Fields) -> Result<Option<i64>, VenueError> {
    let Some(text) = fields.text("deadline") else { return Ok(None) };
    let time = DateTime::parse_from_rfc3339(text).map_err(|_| VenueError::argument("deadline"))?;
    Ok(Some(time.timestamp_micros()))
}

/// `0` for none, seconds since the epoch, or `+s` from now.
fn expire(fields: &Fields, now_us: i64) -> Result<Option<i64>, VenueError> {
    let Some(text) = fields.text("expiretm") else { return Ok(None) };
    let wrong = || VenueError::argument("expiretm");
    let (from_us, digits) = match text.strip_prefix('+') {
        Some(digits) => (now_us, digits),
        None => (0, text),
    };
    let seconds: i64 = digits.parse().map_err(|_| wrong())?;
    if seconds == 0 {
        return Ok(None);
    }
    let us = seconds.checked_mul(1_000_000).and_then(|us| us.checked_add(from_us));
    us.map(Some).ok_or_else(wrong)
}
