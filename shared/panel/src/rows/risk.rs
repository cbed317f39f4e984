//! Exposure, results, limits, in the quote asset.
//!
//! Input: positions, reservations, live orders, balances, results, snapshots of the equity, the settings that decide.
//! Output: the section. Invariants: dust is no exposure but part of the unrealised result; what cannot be computed for
//! want of a row is 0, and never more than it is.

mod capital;
mod cooldowns;

use std::collections::BTreeMap;

use penstock_contracts::dashboard::{RiskSnapshot, SymbolExposure};
use penstock_types::{Decimal, Symbol};
use sqlx::PgConnection;

use super::error::ReadError;
use super::form::amount;
use super::sight::Sight;
use crate::settings::Identity;
use capital::Money;

/// Ten thousand basis points.
const BPS_OF_ONE: Decimal = Decimal::from_parts(10_000, 0, 0, false, 0);

pub(super) async fn read(
    conn: &mut PgConnection,
    sight: &Sight<'_>,
    identity: &Identity,
) -> Result<RiskSnapshot, ReadError> {
    let settings = capital::settings(conn, identity).await?;
    let money = capital::money(conn, sight, &identity.quote_asset).await?;
    let exposures = exposures(sight);
    let total: Decimal = exposures.values().sum();
    let unrealized = unrealized(sight);
    let mut by_symbol: Vec<(&Symbol, Decimal)> =
        exposures.iter().map(|(symbol, value)| (*symbol, *value)).collect();
    by_symbol.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let one = |(symbol, value): (&Symbol, Decimal)| SymbolExposure {
        symbol: symbol.clone(),
        quote: amount(value),
    };
    Ok(RiskSnapshot {
        exposure_total_quote: amount(total),
        exposure_by_symbol_quote: by_symbol.into_iter().map(one).collect(),
        locked_quote: amount(money.reserved + money.held),
        free_quote: amount(capital::free(sight, &money, settings.as_ref())),
        daily_pnl_realized_quote: amount(money.realized_today),
        daily_pnl_unrealized_quote: amount(unrealized),
        daily_loss_limit_remaining_quote: amount(remaining(identity, &money, unrealized)),
        drawdown_quote: amount(money.drawdown),
        trades_today: money.trades_today,
        cooldowns: cooldowns::read(conn, sight, identity.cooldown_s, settings.as_ref()).await?,
    })
}

/// Value of what is held of each symbol, at its bid, else at cost.
fn exposures<'s>(sight: &'s Sight<'_>) -> BTreeMap<&'s Symbol, Decimal> {
    let mut values = BTreeMap::new();
    for position in sight.positions.iter().filter(|p| !p.is_dust) {
        let bid = sight.bid(&position.symbol);
        *values.entry(&position.symbol).or_insert(Decimal::ZERO) +=
            bid.map_or(position.cost, |bid| bid * position.qty);
    }
    values
}

/// Result at the bids; a symbol without one has none.
fn unrealized(sight: &Sight<'_>) -> Decimal {
    let of = |p: &super::sight::Position| Some(sight.bid(&p.symbol)? * p.qty - p.cost);
    sight.positions.iter().filter_map(of).sum()
}

/// What of the smaller daily limit is left: the limit, what the day has realised, and what open positions stand at,
/// because the switch counts both.
fn remaining(identity: &Identity, money: &Money, unrealized: Decimal) -> Decimal {
    let share = money.day_open.map(|open| open * identity.daily_loss_limit_bps / BPS_OF_ONE);
    let limit = identity.daily_loss_limit_quote;
    let limit = share.map_or(limit, |share| limit.min(share));
    (limit + money.realized_today + unrealized).max(Decimal::ZERO)
}
