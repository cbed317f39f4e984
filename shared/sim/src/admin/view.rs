//! The ledger as JSON: numbers as strings with all their digits, times in µs.
//!
//! Inputs: the venue. Outputs: text. It computes nothing but the exposure.

use crate::account::{AccountTrade, BalanceChange, Order};
use crate::exchange::{Exchange, SymbolNo};
use crate::ledger::TimelineEntry;
use crate::ledger::exposure::{Phase, intervals, ms_max};
use crate::server::Venue;
use serde_json::{Value, json};

/// `GET /ledger`.
pub(super) fn ledger(venue: &Venue) -> String {
    let (requests, requests_truncated) = venue.requests.all();
    let mut ledger = venue.with(|exchange, now_us| {
        let account = exchange.account();
        let orders: Vec<Value> = account.orders().map(|one| order(exchange, one)).collect();
        let trades: Vec<Value> = account.trades().iter().map(|one| trade(exchange, one)).collect();
        let busts: Vec<Value> = account.busts().iter().map(|one| trade(exchange, one)).collect();
        let entries: Vec<Value> = account.entries().iter().map(entry_value).collect();
        let timeline = exchange.timeline().entries().iter();
        let timeline: Vec<Value> = timeline.map(|one| event(exchange, one)).collect();
        let balances: serde_json::Map<String, Value> = account
            .balances()
            .map(|(asset, total)| {
                let hold = account.hold(asset).to_string();
                (asset.to_owned(), json!({ "balance": total.to_string(), "hold": hold }))
            })
            .collect();
        json!({
            "now_us": now_us,
            "balances": balances,
            "orders": orders,
            "timeline": timeline,
            "trades": trades,
            "busts": busts,
            "entries": entries,
            "timeline_truncated": exchange.timeline().truncated(),
        })
    });
    ledger["requests"] = json!(requests);
    ledger["requests_truncated"] = json!(requests_truncated);
    ledger.to_string()
}

fn symbol(exchange: &Exchange, symbol: SymbolNo) -> &str {
    &exchange.market(symbol).instrument.symbol
}

fn order(exchange: &Exchange, order: &Order) -> Value {
    let one = &exchange.market(order.symbol).instrument;
    json!({
        "order_id": order.txid,
        "cl_ord_id": order.cl_ord_id,
        "userref": order.userref,
        "symbol": one.symbol,
        "side": order.side.text(),
        "order_type": order.kind.text(),
        "qty": one.qty_text(order.qty),
        "limit_price": order.limit.map(|price| one.price_text(price)),
        "trigger_price": order.trigger.map(|price| one.price_text(price)),
        "triggered": order.triggered,
        "post_only": order.post_only,
        "time_in_force": order.tif.text(),
        "status": order.status.text(),
        "cum_qty": one.qty_text(order.cum_qty),
        "cum_cost": order.cum_cost.to_string(),
        "fee_quote": order.fee_quote.to_string(),
        "fee_base": order.fee_base.to_string(),
        "opened_us": order.opened_us,
        "closed_us": order.closed_us,
        "expire_us": order.expire_us,
        "reason": order.reason,
        "hold": order.hold.to_string(),
        "trades": order.trades,
    })
}

fn trade(exchange: &Exchange, trade: &AccountTrade) -> Value {
    let one = &exchange.market(trade.symbol).instrument;
    json!({
        "exec_id": trade.txid,
        "trade_id": trade.trade_id,
        "order_id": trade.order_txid,
        "cl_ord_id": trade.cl_ord_id,
        "symbol": one.symbol,
        "side": trade.side.text(),
        "order_type": trade.kind.text(),
        "price": one.price_text(trade.price),
        "qty": one.qty_text(trade.qty),
        "cost": trade.cost.to_string(),
        "fee": trade.fee.to_string(),
        "fee_asset": trade.fee_asset,
        "maker": trade.maker,
        "ts_us": trade.ts_us,
        "ledgers": trade.ledgers,
    })
}

pub(super) fn entry_value(entry: &BalanceChange) -> Value {
    json!({
        "ledger_id": entry.ledger_id,
        "ref_id": entry.ref_id,
        "ts_us": entry.ts_us,
        "type": entry.kind,
        "asset": entry.asset,
        "amount": entry.amount.to_string(),
        "fee": entry.fee.to_string(),
        "balance": entry.balance.to_string(),
    })
}

/// One ledger entry.
pub(super) fn entry(entry: &BalanceChange) -> String {
    entry_value(entry).to_string()
}

fn event(exchange: &Exchange, entry: &TimelineEntry) -> Value {
    let found = exchange.account().order_by_txid(&entry.txid);
    let one = found.map(|order| &exchange.market(order.symbol).instrument);
    json!({
        "ts_us": entry.ts_us,
        "order_id": entry.txid,
        "exec_type": entry.exec_type.text(),
        "order_status": entry.status.text(),
        "qty": one.map(|one| one.qty_text(entry.qty)),
        "cum_qty": one.map(|one| one.qty_text(entry.cum_qty)),
        "limit_price": entry.limit.zip(one).map(|(price, one)| one.price_text(price)),
        "trigger_price": entry.trigger.zip(one).map(|(price, one)| one.price_text(price)),
        "exec_id": entry.trade,
        "reason": entry.reason,
    })
}

/// `GET /exposure`.
pub(super) fn exposure(venue: &Venue) -> String {
    venue.with(|exchange, now_us| {
        let found = intervals(exchange.timeline().samples());
        let rows: Vec<Value> = found
            .iter()
            .map(|interval| {
                json!({
                    "symbol": symbol(exchange, interval.symbol),
                    "phase": interval.phase,
                    "from_us": interval.from_us,
                    "to_us": interval.to_us,
                    "ms": interval.ms(now_us),
                })
            })
            .collect();
        json!({
            "open": ms_max(&found, Phase::Holding, now_us),
            "close": ms_max(&found, Phase::Closing, now_us),
            "intervals": rows,
        })
        .to_string()
    })
}

/// `GET /markets`: digits of every pair, and the number of its newest trade.
pub(super) fn markets(venue: &Venue) -> String {
    let rows = venue.with(|exchange, _| {
        let row = |market: &crate::exchange::Market| {
            json!({
                "symbol": market.instrument.symbol,
                "price_decimals": market.instrument.price_decimals,
                "qty_decimals": market.instrument.qty_decimals,
                "last_trade_id": market.last_trade_id,
            })
        };
        exchange.markets().iter().map(row).collect::<Vec<_>>()
    });
    json!({ "markets": rows }).to_string()
}

/// `GET /counters`: both rate counters as they stand, beside the limits of the tier.
pub(super) fn counters(venue: &Venue) -> String {
    let rest = venue.rest_count();
    venue.with(|exchange, now_us| {
        let account = exchange.account();
        let tier = account.tier();
        let centi = |value: i64| rust_decimal::Decimal::new(value, 2).to_string();
        let numbers = (0..exchange.markets().len()).map(SymbolNo);
        let pairs: serde_json::Map<String, Value> = numbers
            .map(|no| {
                let open = account.open_orders().filter(|order| order.symbol == no).count();
                let count = account.ratecount(no, now_us).to_string();
                let row = json!({ "count": count, "open_orders": open });
                (symbol(exchange, no).to_owned(), row)
            })
            .collect();
        json!({
            "now_us": now_us,
            "tier": tier.name(),
            "engine": {
                "limit": tier.threshold,
                "decay_per_s": centi(tier.decay_centi),
                "open_orders_limit": tier.open_orders_limit,
                "pairs": pairs,
            },
            "rest": {
                "count": rest.round_dp(2).to_string(),
                "limit": tier.rest_ceiling,
                "decay_per_s": centi(tier.rest_decay_centi),
            },
        })
        .to_string()
    })
}

/// `GET /tops`: every top of book of a symbol, oldest first, as
/// `[ts_us, bid, bid_qty, ask, ask_qty]` with null for an empty side.
pub(super) fn tops(venue: &Venue, name: &str) -> Option<String> {
    venue.with(|exchange, _| {
        let no = exchange.symbol_no(name)?;
        let one = &exchange.market(no).instrument;
        let of_symbol = exchange.timeline().tops().filter(|entry| entry.symbol == no);
        let rows: Vec<Value> = of_symbol
            .map(|entry| {
                let price = |side: Option<(crate::exchange::Price, _)>| {
                    side.map(|(price, _)| one.price_text(price))
                };
                let qty = |side: Option<(_, crate::exchange::Qty)>| {
                    side.map(|(_, qty)| one.qty_text(qty))
                };
                let top = entry.top;
                json!([entry.ts_us, price(top.bid), qty(top.bid), price(top.ask), qty(top.ask)])
            })
            .collect();
        let truncated = exchange.timeline().tops_truncated();
        Some(json!({ "symbol": name, "tops": rows, "truncated": truncated }).to_string())
    })
}
