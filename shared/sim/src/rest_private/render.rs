//! Orders, trades and ledger entries as REST shows them: numbers as strings, times as float
//! seconds, assets by their REST codes.
//!
//! Inputs: the account. Outputs: JSON text. It selects nothing.

use crate::account::{AccountTrade, BalanceChange, Order, OrderKind};
use crate::exchange::{Exchange, Instrument};
use crate::private::Object;
use rust_decimal::Decimal;

/// One order.
pub(crate) fn order(exchange: &Exchange, order: &Order, with_trades: bool) -> String {
    let instrument = &exchange.market(order.symbol).instrument;
    let zero = || "0".to_owned();
    let price_text = |price| instrument.price_text(price);
    let average = order.cum_cost.checked_div(instrument.qty(order.cum_qty)).unwrap_or_default();
    let average = average.round_dp(instrument.price_decimals + 6);
    let mut object = Object::new()
        .raw("refid", "null")
        .integer("userref", order.userref)
        .maybe_text("cl_ord_id", order.cl_ord_id.as_deref())
        .text("status", order.status.rest_text())
        .raw("opentm", &seconds(order.opened_us))
        .integer("starttm", 0)
        .raw("expiretm", &order.expire_us.map_or_else(zero, seconds))
        .raw("descr", &description(instrument, order))
        .text("vol", &instrument.qty_text(order.qty))
        .text("vol_exec", &instrument.qty_text(order.cum_qty))
        .text("cost", &order.cum_cost.to_string())
        .text("fee", &order.fee_quote.to_string())
        .text("price", &average.to_string())
        .text("stopprice", &order.trigger.map_or_else(zero, price_text))
        .text("limitprice", &order.limit.map_or_else(zero, price_text))
        .text("misc", misc(order))
        .text("oflags", &flags(order));
    if order.kind == OrderKind::StopLoss {
        object = object.text("trigger", "last");
    }
    if let Some(closed_us) = order.closed_us {
        object = object.raw("closetm", &seconds(closed_us));
        object = match &order.reason {
            Some(reason) => object.text("reason", reason),
            None => object.raw("reason", "null"),
        };
    }
    if with_trades && !order.trades.is_empty() {
        let ids: Vec<String> = order.trades.iter().map(|id| format!("\"{id}\"")).collect();
        object = object.raw("trades", &format!("[{}]", ids.join(",")));
    }
    object.end()
}

fn description(instrument: &Instrument, order: &Order) -> String {
    let price = order.limit.or(order.trigger);
    let price = price.map_or_else(|| "0".to_owned(), |price| instrument.price_text(price));
    Object::new()
        .text("pair", &instrument.altname)
        .text("type", order.side.text())
        .text("ordertype", order.kind.text())
        .text("price", &price)
        .text("price2", "0")
        .text("leverage", "none")
        .text("order", &sentence(instrument, order))
        .text("close", "")
        .end()
}

/// `buy 0.10000000 XBTUSD @ limit 45281.0`, as `descr.order` says it.
pub(crate) fn sentence(instrument: &Instrument, order: &Order) -> String {
    let qty = instrument.qty_text(order.qty);
    let head =
        format!("{} {qty} {} @ {}", order.side.text(), instrument.altname, order.kind.text());
    match order.limit.or(order.trigger) {
        Some(price) => format!("{head} {}", instrument.price_text(price)),
        None => head,
    }
}

fn misc(order: &Order) -> &'static str {
    match (order.triggered, order.amended) {
        (true, true) => "stopped,amended",
        (true, false) => "stopped",
        (false, true) => "amended",
        (false, false) => "",
    }
}

fn flags(order: &Order) -> String {
    let fee = match order.fee_preference {
        crate::account::FeePreference::Base => "fcib",
        crate::account::FeePreference::Quote => "fciq",
    };
    let mut flags = vec![fee];
    if order.post_only {
        flags.push("post");
    }
    if order.cash_qty.is_some() {
        flags.push("viqc");
    }
    flags.join(",")
}

/// One trade.
pub(crate) fn trade(exchange: &Exchange, trade: &AccountTrade, with_ledgers: bool) -> String {
    let instrument = &exchange.market(trade.symbol).instrument;
    let object = Object::new()
        .text("ordertxid", &trade.order_txid)
        .text("postxid", "TKH2SE-M7IF5-CFI7LT")
        .text("pair", &instrument.pair_id)
        .raw("time", &seconds(trade.ts_us))
        .text("type", trade.side.text())
        .text("ordertype", trade.kind.text())
        .text("price", &instrument.price_text(trade.price))
        .text("cost", &trade.cost.to_string())
        .text("fee", &trade.fee.to_string())
        .text("vol", &instrument.qty_text(trade.qty))
        .text("margin", "0.00000")
        .text("leverage", "0")
        .text("misc", "")
        .raw("trade_id", &trade.trade_id.to_string())
        .flag("maker", trade.maker);
    if with_ledgers {
        let ids = format!("[\"{}\",\"{}\"]", trade.ledgers[0], trade.ledgers[1]);
        return object.raw("ledgers", &ids).end();
    }
    object.end()
}

/// One ledger entry.
pub(crate) fn ledger(exchange: &Exchange, entry: &BalanceChange) -> String {
    Object::new()
        .text("refid", &entry.ref_id)
        .raw("time", &seconds(entry.ts_us))
        .text("type", entry.kind)
        .text("subtype", "")
        .text("aclass", "currency")
        .text("asset", &asset_code(exchange, &entry.asset))
        .text("amount", &entry.amount.to_string())
        .text("fee", &entry.fee.to_string())
        .text("balance", &entry.balance.to_string())
        .end()
}

/// REST code of a plain asset name.
pub(crate) fn asset_code(exchange: &Exchange, asset: &str) -> String {
    let code = exchange.markets().iter().find_map(|market| {
        let one = &market.instrument;
        if one.base == asset {
            Some(&one.base_code)
        } else if one.quote == asset {
            Some(&one.quote_code)
        } else {
            None
        }
    });
    // The opening balance exists even when no pair of a recording uses dollars.
    let fallback = || if asset == "USD" { "ZUSD".to_owned() } else { asset.to_owned() };
    code.map_or_else(fallback, Clone::clone)
}

/// µs as float seconds, digit by digit.
pub(crate) fn seconds(us: i64) -> String {
    Decimal::new(us, 6).to_string()
}
