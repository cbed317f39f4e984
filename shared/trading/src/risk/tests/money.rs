//! Cases of the rules on losses, exposure, size, prices and budgets.

use penstock_types::vocab::ReasonCode as C;

use super::super::rule::Rule as R;
use super::cases::{Case, nothing};
use super::world::World;
use crate::fixtures::dec;

/// The relative drawdown alone; then the absolute one alone.
fn fall(w: &mut World, absolute: &str, hwm: &str, equity: &str) {
    w.config.risk_max_drawdown_quote = dec(absolute);
    (w.inputs.hwm_quote, w.inputs.equity_quote) = (dec(hwm), dec(equity));
}

/// The caps of quote are out of the way, so that the shares of equity refuse.
fn no_absolute_caps(w: &mut World) {
    w.config.risk_max_exposure_symbol_quote = dec("1000000");
    w.config.risk_max_exposure_total_quote = dec("1000000");
}

fn between(w: &mut World, state_mid: &str, bid: &str, ask: &str) {
    w.inputs.state_mid = Some(dec(state_mid));
    w.inputs.quote = Some((dec(bid), dec(ask)));
}

pub(super) fn of_amounts() -> Vec<Case> {
    vec![
        (
            R::KillSwitch,
            C::RiskDailyLossLimit,
            |w| {
                w.inputs.day_result_quote = dec("-49.9999999999");
            },
            |w| w.inputs.day_result_quote = dec("-50"),
        ),
        (
            R::KillSwitch,
            C::RiskDrawdownLimit,
            |w| fall(w, "100000", "10000", "9500.0000000001"),
            |w| fall(w, "100000", "10000", "9500"),
        ),
        (
            R::KillSwitch,
            C::RiskDrawdownLimit,
            |w| fall(w, "500", "100000", "99500.0000000001"),
            |w| fall(w, "500", "100000", "99500"),
        ),
        (
            R::DailyShare,
            C::RiskDailyLossPct,
            |w| {
                w.inputs.day_open_quote = Some(dec("2000"));
                w.inputs.day_result_quote = dec("-39.9999999999");
            },
            |w| {
                w.inputs.day_open_quote = Some(dec("2000"));
                w.inputs.day_result_quote = dec("-40");
            },
        ),
        // 0.002 at 64250.1 is 128.5002.
        (
            R::Exposure,
            C::RiskExposureLimit,
            |w| w.inputs.exposure_symbol_quote = dec("71.4998"),
            |w| w.inputs.exposure_symbol_quote = dec("71.4998000001"),
        ),
        (
            R::Exposure,
            C::RiskExposureLimit,
            |w| w.inputs.exposure_total_quote = dec("371.4998"),
            |w| w.inputs.exposure_total_quote = dec("371.4998000001"),
        ),
        (
            R::TotalShare,
            C::RiskExposurePctTotal,
            |w| {
                no_absolute_caps(w);
                w.inputs.exposure_total_quote = dec("2721.4998");
            },
            |w| {
                no_absolute_caps(w);
                w.inputs.exposure_total_quote = dec("2721.4998000001");
            },
        ),
        (
            R::SymbolShare,
            C::RiskExposurePctSymbol,
            |w| {
                no_absolute_caps(w);
                w.inputs.exposure_symbol_quote = dec("821.4998");
            },
            |w| {
                no_absolute_caps(w);
                w.inputs.exposure_symbol_quote = dec("821.4998000001");
            },
        ),
        (
            R::Size,
            C::RiskSizeInvalid,
            |w| {
                w.state.depth_bid_10bps_quote = Some(dec("3000"));
                let qty = w.sized_qty();
                w.set_qty(qty);
            },
            |w| {
                w.state.depth_bid_10bps_quote = Some(dec("3000"));
                let qty = w.sized_qty() + dec("0.00000001");
                w.set_qty(qty);
            },
        ),
        // The floor is 15: 0.00023347 pays 15.0004, one step less 14.9998.
        (
            R::Size,
            C::ProtectionInvalidMinNotional,
            |w| w.set_qty(dec("0.00023347")),
            |w| w.set_qty(dec("0.00023346")),
        ),
        (
            R::Size,
            C::ProtectionInvalidFilter,
            |w| w.instrument.qty_increment = dec("0.002"),
            |w| w.instrument.qty_increment = dec("0.0015"),
        ),
        (
            R::Size,
            C::ProtectionInvalidFilter,
            |w| w.instrument.price_increment = dec("0.2"),
            |w| w.instrument.price_increment = dec("0.7"),
        ),
        (
            R::Size,
            C::RiskInsufficientFreeBalance,
            |w| w.inputs.free_quote = dec("128.75721"),
            |w| w.inputs.free_quote = dec("128.75720"),
        ),
        (
            R::SpreadJump,
            C::RiskSpreadJump,
            |w| between(w, "100000", "99988.75", "100011.25"),
            |w| between(w, "100000", "99988.75", "100011.26"),
        ),
        (R::SpreadJump, C::RiskSpreadJump, nothing, |w| w.inputs.spread_avg_bps = None),
        (
            R::PriceMoved,
            C::RiskPriceMoved,
            |w| between(w, "100000", "100099", "100101"),
            |w| between(w, "100000", "100099.1", "100101.1"),
        ),
        (
            R::PriceMoved,
            C::RiskPriceMoved,
            |w| between(w, "100000", "99899", "99901"),
            |w| between(w, "100000", "99898.9", "99900.9"),
        ),
        (
            R::PriceMoved,
            C::RiskPriceMoved,
            |w| {
                w.inputs.rv_5m_bps = Some(dec("40"));
                between(w, "100000", "100199", "100201");
            },
            |w| {
                w.inputs.rv_5m_bps = Some(dec("40"));
                between(w, "100000", "100199.1", "100201.1");
            },
        ),
        (R::PriceMoved, C::RiskPriceMoved, nothing, |w| w.inputs.state_mid = None),
        (
            R::Budget,
            C::RiskCapitalExhausted,
            |w| w.inputs.strategy_used_quote = dec("71.4998"),
            |w| w.inputs.strategy_used_quote = dec("71.4998000001"),
        ),
        (
            R::Budget,
            C::RiskCapitalExhausted,
            |w| w.inputs.group_used_quote = dec("121.4998"),
            |w| w.inputs.group_used_quote = dec("121.4998000001"),
        ),
    ]
}
