//! The rules of a snapshot, in the order of its groups.
//!
//! Input: a snapshot and what it is judged by. Output: every breach. Invariants: each rule names one field; a candidate
//! with a breach is dropped.

use super::{RETURNS_POINTS, SNAPSHOT_BYTES_MAX, Snapshot, SnapshotContext, label_of};
use crate::amount::DecStr;
use crate::invalid::{Checks, Invalid};
use penstock_types::Decimal;
use penstock_types::canonical::{self, INTEGER_MAX};
use penstock_types::vocab::Regime;

/// One as times 10,000.
const ONE_X10000: i64 = 10_000;

impl Snapshot {
    /// Every breach.
    #[must_use]
    pub fn breaches(&self, context: &SnapshotContext) -> Vec<Invalid> {
        let mut checks = Checks::default();
        let named = !self.symbol.base().is_empty() && !self.symbol.quote().is_empty();
        checks.value("symbol", named, || format!("{} is not BASE/QUOTE", self.symbol));
        self.check_regime(&mut checks);
        self.check_windows(&mut checks);
        self.check_state(&mut checks);
        self.check_prices(&mut checks);
        checks.also(self.costs.breaches());
        self.check_returns(&mut checks);
        self.check_lineage(&mut checks, context);
        self.check_metadata(&mut checks);
        self.check_quote(&mut checks, context);
        checks.finish()
    }

    fn check_regime(&self, checks: &mut Checks) {
        let regime = &self.regime;
        let refined = regime.regime_sub.is_none() || regime.market_regime == Regime::Chaos;
        checks.value("regime.regime_sub", refined, || {
            format!("{} has no refinement", regime.market_regime)
        });
        checks.range("regime.regime_since_ms", regime.regime_since_ms.0, 1, INTEGER_MAX);
        let label = label_of(regime.market_regime);
        checks.value("regime.label", regime.label == label, || {
            format!("{} is {label}, not {}", regime.market_regime, regime.label)
        });
        for (field, score) in [
            ("regime.trend_score_x10000", regime.trend_score_x10000),
            ("regime.range_score_x10000", regime.range_score_x10000),
            ("regime.confidence_x10000", regime.confidence_x10000),
        ] {
            checks.range(field, i64::from(score.0), 0, ONE_X10000);
        }
    }

    fn check_windows(&self, checks: &mut Checks) {
        let windows = &self.microstructure_60s;
        let most = i64::from(i32::MAX);
        for (field, spread) in [
            ("microstructure_60s.spread_bps_p50_60s", windows.spread_bps_p50_60s),
            ("microstructure_60s.spread_bps_p90_60s", windows.spread_bps_p90_60s),
            ("microstructure_60s.spread_current_bps", windows.spread_current_bps),
        ] {
            checks.range(field, i64::from(spread.0), 1, most);
        }
        let imbalance = i64::from(windows.bid_ask_imbalance_p50_10s_x10000.0);
        let field = "microstructure_60s.bid_ask_imbalance_p50_10s_x10000";
        checks.range(field, imbalance, 0, ONE_X10000);
        let microvol = i64::from(windows.microvol_60s_bps.0);
        checks.range("microstructure_60s.microvol_60s_bps", microvol, 0, most);
    }

    fn check_state(&self, checks: &mut Checks) {
        let (volatility, depth) = (&self.volatility, &self.depth);
        for (field, value) in [
            ("volatility.atr_15m_bps", volatility.atr_15m_bps),
            ("volatility.rv_5m_bps", Some(volatility.rv_5m_bps)),
            ("volatility.rv_15m_bps", Some(volatility.rv_15m_bps)),
            ("depth.bid_10bps_quote", Some(depth.bid_10bps_quote)),
            ("depth.ask_10bps_quote", Some(depth.ask_10bps_quote)),
            ("depth.l3_quality", Some(depth.l3_quality)),
        ] {
            let holds = !value.is_some_and(DecStr::is_negative);
            checks.value(field, holds, || format!("{value:?} is below 0"));
        }
        let quality = depth.l3_quality.value() <= Decimal::ONE;
        checks.value("depth.l3_quality", quality, || format!("{} is above 1", depth.l3_quality));
        let most = i64::from(i32::MAX);
        checks.range("flow.trades_1m", i64::from(self.flow.trades_1m), 0, most);
        checks.range("flow.trades_5m", i64::from(self.flow.trades_5m), 0, most);
    }

    fn check_prices(&self, checks: &mut Checks) {
        let prices = &self.prices;
        for (field, price) in [
            ("prices.best_bid", prices.best_bid),
            ("prices.best_ask", prices.best_ask),
            ("prices.mid_price", prices.mid_price),
            ("prices.last_price", prices.last_price),
            ("prices.state_mid", prices.state_mid),
        ] {
            checks.value(field, price.is_positive(), || format!("{price} is not above 0"));
        }
        let (bid, ask) = (prices.best_bid.value(), prices.best_ask.value());
        checks.value("prices.best_ask", bid < ask, || format!("{ask} is not above the bid {bid}"));
        let twice = prices.mid_price.value().checked_mul(Decimal::TWO);
        let exact = twice.is_some() && twice == bid.checked_add(ask);
        checks.value("prices.mid_price", exact, || {
            format!("{} is not half of {bid} and {ask}", prices.mid_price)
        });
    }

    fn check_returns(&self, checks: &mut Checks) {
        let returns = &self.returns_series;
        let points = i64::try_from(RETURNS_POINTS).unwrap_or(i64::MAX);
        let window = i64::from(returns.window_points);
        checks.range("returns_series.window_points", window, points, points);
        let count = returns.log_return_bps.len();
        checks.value("returns_series.log_return_bps", count == RETURNS_POINTS, || {
            format!("{count} points, not {RETURNS_POINTS}")
        });
        let missing = i64::from(returns.missing_count);
        checks.range("returns_series.missing_count", missing, 0, points);
        let zeros = returns.log_return_bps.iter().filter(|bps| bps.0 == 0).count();
        let marked = i64::try_from(zeros).is_ok_and(|zeros| missing <= zeros);
        checks.value("returns_series.missing_count", marked, || {
            format!("{missing} points are missing, but only {zeros} are 0")
        });
    }

    fn check_lineage(&self, checks: &mut Checks, context: &SnapshotContext) {
        let lineage = &self.lineage;
        for (field, id) in [
            ("lineage.run_id", lineage.run_id.get()),
            ("lineage.epoch_id", lineage.epoch_id.get()),
            ("lineage.snapshot_id", lineage.snapshot_id.get()),
            ("lineage.generation_id", lineage.generation_id.get()),
        ] {
            checks.range(field, id, 0, INTEGER_MAX);
        }
        checks.range("lineage.engine_tick_id", lineage.engine_tick_id.unwrap_or(0), 0, INTEGER_MAX);
        let paired = lineage.engine_tick_id.is_some() == lineage.engine_chain.is_some();
        checks.value("lineage.engine_chain", paired, || {
            "tick and chain of the engine come together or not at all".to_owned()
        });
        let (own, cycle) = (lineage.generation_id, context.generation_id);
        checks.value("lineage.generation_id", own == cycle, || {
            format!("{own} is not the cycle's generation {cycle}")
        });
    }

    fn check_metadata(&self, checks: &mut Checks) {
        let metadata = &self.metadata;
        checks.range("metadata.as_of_ms", metadata.as_of_ms.0, 1, INTEGER_MAX);
        checks.range("metadata.created_ts_ms", metadata.created_ts_ms.0, 1, INTEGER_MAX);
        let age = i64::from(metadata.state_age_ms);
        checks.range("metadata.state_age_ms", age, 0, i64::from(i32::MAX));
        checks.range("metadata.quote_tick_id", metadata.quote_tick_id, 0, INTEGER_MAX);
        let quiet = self.health_flags.quiet_until_ms.0;
        checks.range("health_flags.quiet_until_ms", quiet, 0, INTEGER_MAX);
        let status = !self.health_flags.symbol_status.is_empty();
        checks.present("health_flags.symbol_status", status);
        let computed = self.computed_hash();
        let same = computed.as_ref().is_ok_and(|hash| *hash == metadata.snapshot_hash);
        checks.value("metadata.snapshot_hash", same, || {
            format!("{} is not the hash of the contents, {computed:?}", metadata.snapshot_hash)
        });
        let bytes = canonical::to_bytes(self).map_or(usize::MAX, |bytes| bytes.len());
        checks.value("snapshot", bytes <= SNAPSHOT_BYTES_MAX, || {
            format!("{bytes} bytes, at most {SNAPSHOT_BYTES_MAX}")
        });
    }

    fn check_quote(&self, checks: &mut Checks, context: &SnapshotContext) {
        checks.present("prices.quote", context.quote_age_ms.is_some());
        let age = context.quote_age_ms.unwrap_or(0);
        let young = (0..=context.quote_age_ms_max).contains(&age);
        checks.value("prices.quote", young, || {
            format!("quote is {age} ms old, at most {} ms", context.quote_age_ms_max)
        });
    }
}
