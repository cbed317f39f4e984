//! REST methods about the venue itself: time, status, assets, pairs.
//!
//! Input: the public side. Output: results. Invariant: a pair's entry names assets by their REST
//! codes. It reads no book.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::{Answer, Params, UNKNOWN_ASSET, pairs};
use crate::account::fees::FEE_TIERS;
use crate::exchange::Instrument;
use crate::instruments::Asset;
use crate::public::PublicSide;

pub(super) fn time(side: &PublicSide) -> Value {
    let now = DateTime::<Utc>::from_timestamp_micros(side.venue.now_us()).unwrap_or_default();
    json!({
        "unixtime": now.timestamp(),
        "rfc1123": now.format("%a, %d %b %y %H:%M:%S +0000").to_string(),
    })
}

pub(super) fn system_status(side: &PublicSide) -> Value {
    let (status, now_us) = side.venue.with(|exchange, now_us| (exchange.status(), now_us));
    let now = DateTime::<Utc>::from_timestamp_micros(now_us).unwrap_or_default();
    json!({
        "status": status.text(),
        "timestamp": now.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
    })
}

pub(super) fn assets(side: &PublicSide, params: &Params) -> Answer {
    let wanted: Vec<&Asset> = match params.get("asset") {
        None => side.catalog.assets().iter().collect(),
        Some(list) => list
            .split(',')
            .map(|name| side.catalog.asset(name.trim()).ok_or(UNKNOWN_ASSET))
            .collect::<Result<_, _>>()?,
    };
    let tokenised = params.get("aclass").is_some_and(|class| class == "tokenized_asset");
    let entry = |one: &&Asset| {
        let value = json!({
            "aclass": "currency",
            "altname": one.altname,
            "decimals": one.decimals,
            "display_decimals": one.display_decimals,
            "status": "enabled",
        });
        (one.code.clone(), value)
    };
    let listed = wanted.iter().filter(|_| !tokenised).map(entry);
    Ok(Value::Object(listed.collect()))
}

pub(super) fn asset_pairs(side: &PublicSide, params: &Params) -> Answer {
    let wanted = pairs(side, params)?;
    let asked: Vec<&str> =
        params.get("pair").map_or_else(Vec::new, |list| list.split(',').map(str::trim).collect());
    let listed: Map<String, Value> = side.venue.with(|exchange, _| {
        let entry = |(place, symbol): (usize, crate::exchange::SymbolNo)| {
            let one = &exchange.market(symbol).instrument;
            // A pair that is asked for by its slash form is listed under it: clients of others
            // look their answer up by the name that they sent. All other names give the id.
            let slash = asked.get(place).filter(|name| name.contains('/'));
            let key = slash.map_or_else(|| one.pair_id.clone(), |name| (*name).to_owned());
            (key, pair_entry(one))
        };
        wanted.into_iter().enumerate().map(entry).collect()
    });
    Ok(Value::Object(listed))
}

fn pair_entry(one: &Instrument) -> Value {
    let fees = |rate: fn(&crate::account::fees::FeeTier) -> i64| -> Vec<Value> {
        let percent = |bps: i64| bps as f64 / 100.0;
        FEE_TIERS.iter().map(|tier| json!([tier.volume_usd, percent(rate(tier))])).collect()
    };
    json!({
        "altname": one.altname,
        "wsname": one.wsname,
        "aclass_base": "currency",
        "base": one.base_code,
        "aclass_quote": "currency",
        "quote": one.quote_code,
        "lot": "unit",
        "cost_decimals": one.cost_decimals,
        "pair_decimals": one.price_decimals,
        "lot_decimals": one.qty_decimals,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": fees(|tier| tier.taker_bps),
        "fees_maker": fees(|tier| tier.maker_bps),
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": one.qty(one.qty_min).normalize().to_string(),
        "costmin": one.cost_min.normalize().to_string(),
        "tick_size": one.price_text(one.tick),
        "status": one.status.text(),
        "execution_venue": "international",
    })
}
