//! What REST shows of the account: balances, volume and fees, the key.
//!
//! Inputs: the account. Outputs: the JSON of `result`.

use super::auth::Fields;
use super::render::asset_code;
use crate::account::VenueError;
use crate::exchange::Exchange;
use crate::private::Object;
use rust_decimal::Decimal;

/// `Balance`.
pub(crate) fn balance(exchange: &Exchange) -> String {
    let mut object = Object::new();
    for (asset, total) in exchange.account().balances() {
        object = object.text(&asset_code(exchange, asset), &total.to_string());
    }
    object.end()
}

/// `BalanceEx`.
pub(crate) fn balance_ex(exchange: &Exchange) -> String {
    let account = exchange.account();
    let mut object = Object::new();
    for (asset, total) in account.balances() {
        let row = Object::new()
            .text("balance", &total.to_string())
            .text("hold_trade", &account.hold(asset).to_string())
            .end();
        object = object.raw(&asset_code(exchange, asset), &row);
    }
    object.end()
}

/// `TradeBalance`: everything at last prices, no margin.
pub(crate) fn trade_balance(exchange: &Exchange) -> String {
    let account = exchange.account();
    let mut equity = Decimal::ZERO;
    for (asset, total) in account.balances() {
        let pair = exchange
            .markets()
            .iter()
            .find(|market| market.instrument.base == asset && market.instrument.quote == "USD");
        let price = match (asset, pair) {
            ("USD", _) => Some(Decimal::ONE),
            (_, Some(market)) => market.last.map(|last| market.instrument.price(last)),
            (_, None) => None,
        };
        equity += total * price.unwrap_or_default();
    }
    let equity = equity.round_dp(4).to_string();
    let mut object = Object::new();
    for (name, value) in [("eb", equity.as_str()), ("tb", equity.as_str()), ("e", equity.as_str())]
    {
        object = object.text(name, value);
    }
    for name in ["m", "n", "c", "v", "uv"] {
        object = object.text(name, "0.0000");
    }
    object.text("mf", &equity).end()
}

/// `TradeVolume`.
pub(crate) fn trade_volume(exchange: &Exchange, fields: &Fields) -> Result<String, VenueError> {
    let account = exchange.account();
    let (tier, next) = account.fee_tier();
    let row = |rate_bps: i64, next_bps: Option<i64>, floor_bps: i64, ceiling_bps: i64| {
        let percent = |bps: i64| Decimal::new(bps * 100, 4).to_string();
        let mut object = Object::new()
            .text("fee", &percent(rate_bps))
            .text("min_fee", &percent(floor_bps))
            .text("max_fee", &percent(ceiling_bps));
        object = match (next_bps, next) {
            (Some(bps), Some(next)) => object
                .text("next_fee", &percent(bps))
                .text("next_volume", &format!("{}.0000", next.volume_usd)),
            (None, _) | (_, None) => object.raw("next_fee", "null").raw("next_volume", "null"),
        };
        object.text("tier_volume", &format!("{}.0000", tier.volume_usd)).end()
    };
    let mut takers = Object::new();
    let mut makers = Object::new();
    for pair in fields.list("pair") {
        let symbol = exchange.pair_no(pair).ok_or(VenueError::UnknownPair)?;
        let id = &exchange.market(symbol).instrument.pair_id;
        takers = takers.raw(id, &row(tier.taker_bps, next.map(|tier| tier.taker_bps), 5, 40));
        makers = makers.raw(id, &row(tier.maker_bps, next.map(|tier| tier.maker_bps), 0, 25));
    }
    let object = Object::new()
        .text("currency", "ZUSD")
        .text("volume", &account.volume_30d_usd().round_dp(4).to_string())
        .raw("fees", &takers.end())
        .raw("fees_maker", &makers.end());
    Ok(object.end())
}

/// `GetApiKeyInfo`: a key that may trade and look, and may not withdraw unless a fault says so.
pub(crate) fn key_info(nonce: u64, withdraws: bool) -> String {
    const MAY: &str = r#""query-funds","query-open-trades","query-closed-trades","modify-trades","close-trades","query-ledger","access-websockets""#;
    let more = if withdraws { r#","withdraw-funds""# } else { "" };
    Object::new()
        .text("apiKeyName", "venue-sim")
        .raw("permissions", &format!("[{MAY}{more}]"))
        .text("nonce", &nonce.to_string())
        .text("nonceWindow", "0")
        .raw("ipAllowlist", "[]")
        .text("validUntil", "0")
        .text("queryFrom", "0")
        .text("queryTo", "0")
        .end()
}
