//! The inputs of one finalist's decision, fixed and hashed.
//!
//! Input: the bound generation's row of state, the quotes of the sealed ticks, rows of the decision cluster. Output: the
//! contract and its hash. Invariants: the hash covers what decides and leaves out what only tells of health and time;
//! nothing absent is replaced by a default. It reads no source and computes no figure.

use crate::amount::DecStr;
use crate::invalid::{Invalid, unreadable};
use crate::risk::CostsSnapshot;
use crate::shape::contract;
use crate::units::{Bps, Hex16, Hex64, TsMs, X10000};
use crate::vocab::{RegimeLabel, Timeframe};
use penstock_types::canonical::{self, CanonicalError};
use penstock_types::vocab::{ReasonCode, Regime, RegimeSub, SafetyMode};
use penstock_types::{EpochId, GenerationId, LineageId, RunId, SnapshotId, Symbol};
use serde::Serialize;

/// Points of a returns series: six hours of five minutes.
pub const RETURNS_POINTS: usize = 72;
/// Longest snapshot as a document, in bytes.
pub const SNAPSHOT_BYTES_MAX: usize = 16 * 1024;

contract! {
    /// Regime, as it was published.
    pub RegimeGroup {
        /// Regime.
        market_regime: Regime,
        /// Refinement of CHAOS.
        regime_sub: Option<RegimeSub>,
        /// When it was adopted.
        regime_since_ms: TsMs,
        /// The regime in one of two words.
        label: RegimeLabel,
        /// Strength of the trend times 10,000; for display.
        trend_score_x10000: X10000,
        /// What is missing to a full trend; for display.
        range_score_x10000: X10000,
        /// Confidence times 10,000.
        confidence_x10000: X10000,
    }
}

contract! {
    /// Windows over the quotes of the last minute.
    pub MicrostructureGroup {
        /// Median of the spread.
        spread_bps_p50_60s: Bps,
        /// Its 90th percentile.
        spread_bps_p90_60s: Bps,
        /// Spread now.
        spread_current_bps: Bps,
        /// 90th percentile now less that of ten seconds ago.
        delta_spread_bps_p90_10s: Bps,
        /// Median share of the bid in the best quantities, times 10,000.
        bid_ask_imbalance_p50_10s_x10000: X10000,
        /// Root mean square of returns between quotes.
        microvol_60s_bps: Bps,
    }
}

contract! {
    /// Volatility, from the state.
    pub VolatilityGroup {
        /// Mean true range of 15-minute bars; none for the first 45 minutes of a lineage.
        atr_15m_bps: Option<DecStr>,
        /// Realised, 5 minutes, bps per root minute.
        rv_5m_bps: DecStr,
        /// Realised, 15 minutes.
        rv_15m_bps: DecStr,
    }
}

contract! {
    /// Trade and drift, from the state.
    pub FlowGroup {
        /// Trades of 60 s.
        trades_1m: i32,
        /// Trades of 300 s.
        trades_5m: i32,
        /// Balance of takers in 60 s.
        ofi_1m: Option<DecStr>,
        /// Mid against the volume-weighted price.
        vwap_dev_bps: Option<DecStr>,
        /// Drift of 1 minute.
        drift_1m_bps: Option<DecStr>,
        /// Drift of 5 minutes.
        drift_5m_bps: Option<DecStr>,
        /// Drift of 15 minutes.
        drift_15m_bps: Option<DecStr>,
        /// Strength of the trend.
        trend_strength: Option<DecStr>,
        /// Volatility now against that of half an hour.
        vol_expansion: Option<DecStr>,
    }
}

contract! {
    /// Depth, from the state.
    pub DepthGroup {
        /// Bids within 10 bps in quote.
        bid_10bps_quote: DecStr,
        /// Asks within 10 bps in quote.
        ask_10bps_quote: DecStr,
        /// Quality of the order-by-order book, 0 without one.
        l3_quality: DecStr,
    }
}

contract! {
    /// Prices: the quote of the engine's tick, and the state's.
    pub PricesGroup {
        /// Best bid of the quote.
        best_bid: DecStr,
        /// Best ask of the quote.
        best_ask: DecStr,
        /// Half their sum, exact.
        mid_price: DecStr,
        /// Last trade, from the state.
        last_price: DecStr,
        /// Mid, from the state.
        state_mid: DecStr,
    }
}

contract! {
    /// Health; not hashed.
    pub HealthGroup {
        /// The book is live.
        book_ok: bool,
        /// The state has what decisions need.
        feature_complete: bool,
        /// Safety mode.
        symbol_mode: SafetyMode,
        /// End of the rest, 0 when there is none.
        quiet_until_ms: TsMs,
        /// Status at the venue.
        symbol_status: String,
    }
}

contract! {
    /// Returns of five minutes, oldest first.
    pub ReturnsGroup {
        /// Length of a bar.
        timeframe: Timeframe,
        /// Number of points.
        window_points: i32,
        /// Log returns; a missing point is 0.
        log_return_bps: Vec<Bps>,
        /// Points that are missing.
        missing_count: i32,
    }
}

contract! {
    /// Which configuration and which rules were in force.
    pub ConfigurationGroup {
        /// Hash of the whole configuration without secrets.
        config_hash: Hex64,
        /// Hash of the thresholds of ranking and filters.
        thresholds_hash: Hex64,
        /// Hash of the pair's rules.
        filters_hash: Hex64,
    }
}

contract! {
    /// What the cycle was bound to.
    pub LineageGroup {
        /// Run.
        run_id: RunId,
        /// Lineage.
        lineage_id: LineageId,
        /// Epoch.
        epoch_id: EpochId,
        /// Snapshot of the universe.
        snapshot_id: SnapshotId,
        /// Generation.
        generation_id: GenerationId,
        /// Tick of the engine; none without its gates.
        engine_tick_id: Option<i64>,
        /// First eight bytes of the engine's chain; none without its gates.
        engine_chain: Option<Hex16>,
    }
}

contract! {
    /// Times and the hash; not hashed.
    pub MetadataGroup {
        /// When the state was cut.
        as_of_ms: TsMs,
        /// Its age.
        state_age_ms: i32,
        /// Tick of the quote.
        quote_tick_id: i64,
        /// When the snapshot was made.
        created_ts_ms: TsMs,
        /// Hash of the groups that decide.
        snapshot_hash: Hex64,
    }
}

contract! {
    /// The inputs of one finalist's decision.
    pub Snapshot {
        /// Symbol.
        symbol: Symbol,
        /// Regime.
        regime: RegimeGroup,
        /// Windows over quotes.
        microstructure_60s: MicrostructureGroup,
        /// Volatility.
        volatility: VolatilityGroup,
        /// Trade and drift.
        flow: FlowGroup,
        /// Depth.
        depth: DepthGroup,
        /// Prices.
        prices: PricesGroup,
        /// Costs.
        costs: CostsSnapshot,
        /// Health.
        health_flags: HealthGroup,
        /// Returns.
        returns_series: ReturnsGroup,
        /// Configuration.
        configuration_reference: ConfigurationGroup,
        /// What the cycle was bound to.
        lineage: LineageGroup,
        /// Times and the hash.
        metadata: MetadataGroup,
    }
}

/// What the hash of a snapshot is taken of.
#[derive(Debug, Serialize)]
pub struct SnapshotHashPayload<'a> {
    symbol: &'a Symbol,
    regime: &'a RegimeGroup,
    microstructure_60s: &'a MicrostructureGroup,
    volatility: &'a VolatilityGroup,
    flow: &'a FlowGroup,
    depth: &'a DepthGroup,
    prices: &'a PricesGroup,
    costs: &'a CostsSnapshot,
    returns_series: &'a ReturnsGroup,
    configuration_reference: &'a ConfigurationGroup,
    lineage: &'a LineageGroup,
}

/// What a snapshot is judged by, beside itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotContext {
    /// Generation of the cycle.
    pub generation_id: GenerationId,
    /// Age of the quote in milliseconds; `None` when it is withdrawn or was never there.
    pub quote_age_ms: Option<i64>,
    /// Greatest age of a quote for a submit in milliseconds, from the configuration.
    pub quote_age_ms_max: i64,
}

/// The regime in one of two words: what moves, and what rests.
#[must_use]
pub const fn label_of(regime: Regime) -> RegimeLabel {
    match regime {
        Regime::Trend | Regime::HighVolatility => RegimeLabel::Trend,
        Regime::Range | Regime::LowLiquidity | Regime::Chaos => RegimeLabel::Range,
    }
}

impl Snapshot {
    /// Reads a document.
    ///
    /// # Errors
    /// [`Invalid`] when it is too long, has a field too few or too many, or a value that cannot be used.
    pub fn read(bytes: &[u8]) -> Result<Self, Invalid> {
        if bytes.len() > SNAPSHOT_BYTES_MAX {
            return Err(Invalid {
                field: "snapshot",
                problem: format!("{} bytes, at most {SNAPSHOT_BYTES_MAX}", bytes.len()),
                reason: ReasonCode::StratInputInvalid,
            });
        }
        serde_json::from_slice(bytes).map_err(|error| unreadable("snapshot", &error))
    }

    /// What is hashed.
    #[must_use]
    pub fn hash_payload(&self) -> SnapshotHashPayload<'_> {
        SnapshotHashPayload {
            symbol: &self.symbol,
            regime: &self.regime,
            microstructure_60s: &self.microstructure_60s,
            volatility: &self.volatility,
            flow: &self.flow,
            depth: &self.depth,
            prices: &self.prices,
            costs: &self.costs,
            returns_series: &self.returns_series,
            configuration_reference: &self.configuration_reference,
            lineage: &self.lineage,
        }
    }

    /// The hash that belongs to its contents.
    ///
    /// # Errors
    /// [`CanonicalError`] when a number is beyond what every reader keeps.
    pub fn computed_hash(&self) -> Result<Hex64, CanonicalError> {
        Ok(Hex64::of_bytes(&canonical::to_bytes(&self.hash_payload())?))
    }

    /// The same with the hash of its contents.
    ///
    /// # Errors
    /// As [`Self::computed_hash`].
    pub fn with_hash(mut self) -> Result<Self, CanonicalError> {
        self.metadata.snapshot_hash = self.computed_hash()?;
        Ok(self)
    }

    /// Judges it.
    ///
    /// # Errors
    /// The first of [`Self::breaches`].
    pub fn validate(&self, context: &SnapshotContext) -> Result<(), Invalid> {
        crate::invalid::first(self.breaches(context))
    }
}

mod check;
#[cfg(test)]
mod tests;
