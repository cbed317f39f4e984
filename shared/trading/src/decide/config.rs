//! Settings of the decision: every number that `decide` takes from the configuration.
//!
//! Purpose: one value that is stored beside the inputs and makes a decision repeatable. Inputs: the
//! resolved configuration. Outputs: plain fields. Invariants: fractions are decimals, so that the
//! stored form is exact. Defaults are those of the product's configuration.

use penstock_types::Decimal;
use penstock_types::vocab::{RouteType, Strategy};
use serde::{Deserialize, Serialize};

use penstock_types::closed_vocabulary;

use crate::engine_gate::EngineGates;
use crate::risk::RiskSettings;

closed_vocabulary! {
    /// How a strategy or route takes part.
    pub Participation {
        /// Trades.
        Live = "live",
        /// Is judged and recorded, never traded.
        Shadow = "shadow",
        /// Is not judged.
        Off = "off",
    }
}

closed_vocabulary! {
    /// What becomes of a pair whose correlation is not known.
    pub MissingAction {
        /// It counts as alike.
        Reject = "reject",
        /// It is not limited.
        Allow = "allow",
    }
}

closed_vocabulary! {
    /// What take-profit does.
    pub TpAction {
        /// Raises the stop.
        RaiseStop = "raise_stop",
        /// Closes.
        Close = "close",
    }
}

/// One value per strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerStrategy<T> {
    /// Of Liquidity.
    pub liquidity: T,
    /// Of Momentum.
    pub momentum: T,
    /// Of Volume.
    pub volume: T,
}

impl<T: Copy> PerStrategy<T> {
    /// The value of a strategy.
    pub const fn get(&self, strategy: Strategy) -> T {
        match strategy {
            Strategy::Liquidity => self.liquidity,
            Strategy::Momentum => self.momentum,
            Strategy::Volume => self.volume,
        }
    }
}

/// One value per route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerRoute<T> {
    /// Of BreakoutContinuation.
    pub breakout_continuation: T,
    /// Of PumpFadeExhaustion.
    pub pump_fade_exhaustion: T,
    /// Of DumpReversal.
    pub dump_reversal: T,
    /// Of PullbackContinuation.
    pub pullback_continuation: T,
    /// Of PassiveSpreadCapture.
    pub passive_spread_capture: T,
    /// Of MakerUnwindMeanReversion.
    pub maker_unwind_mean_reversion: T,
}

impl<T: Copy> PerRoute<T> {
    /// The value of a route.
    pub const fn get(&self, route: RouteType) -> T {
        match route {
            RouteType::BreakoutContinuation => self.breakout_continuation,
            RouteType::PumpFadeExhaustion => self.pump_fade_exhaustion,
            RouteType::DumpReversal => self.dump_reversal,
            RouteType::PullbackContinuation => self.pullback_continuation,
            RouteType::PassiveSpreadCapture => self.passive_spread_capture,
            RouteType::MakerUnwindMeanReversion => self.maker_unwind_mean_reversion,
        }
    }
}

/// Who becomes a finalist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelectionConfig {
    /// Members are guarded.
    pub churn_guard_enabled: bool,
    /// Evaluations for which a new member is guarded.
    pub churn_guard_min_cycles: i64,
    /// What a challenger has to be better by, of 10 000.
    pub churn_guard_min_score_delta_x10000: i64,
    /// Correlation from which two symbols are alike, times 10 000.
    pub corr_max_x10000: i64,
    /// Returns of five minutes that are compared.
    pub corr_window_points: i64,
    /// Share of them that may be missing, percent.
    pub corr_missing_max_pct: i64,
    /// What becomes of a pair that cannot be compared.
    pub corr_missing_action: MissingAction,
}

impl Default for SelectionConfig {
    fn default() -> Self {
        Self {
            churn_guard_enabled: true,
            churn_guard_min_cycles: 6,
            churn_guard_min_score_delta_x10000: 1_000,
            corr_max_x10000: 8_000,
            corr_window_points: 72,
            corr_missing_max_pct: 10,
            corr_missing_action: MissingAction::Reject,
        }
    }
}

/// Filters of the maker form of Momentum's pullback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullbackConfig {
    /// Greatest spread now, bps.
    pub max_spread_bps: Decimal,
    /// Greatest widening of the spread in ten seconds, bps.
    pub max_delta_spread_bps_10s: Decimal,
    /// Least share of the bid, times 10 000.
    pub min_imbalance_x10000: i64,
    /// Least pace of the last minute against the last five, times 10 000.
    pub min_volume_ratio_x10000: i64,
    /// Least distance below the volume-weighted price, bps.
    pub min_bps: Decimal,
    /// Greatest.
    pub max_bps: Decimal,
}

impl Default for PullbackConfig {
    fn default() -> Self {
        Self {
            max_spread_bps: Decimal::from(20),
            max_delta_spread_bps_10s: Decimal::from(5),
            min_imbalance_x10000: 5_500,
            min_volume_ratio_x10000: 12_000,
            min_bps: Decimal::from(10),
            max_bps: Decimal::from(80),
        }
    }
}

/// What contracts carry of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractConfig {
    /// How strict the AI gate is: 0 off, 1 conservative, 2 mandatory.
    pub ai_dec: i64,
    /// Greatest quantity of an order; the venue has none.
    pub max_qty: Decimal,
    /// Open orders of a pair at the account's tier.
    pub max_num_orders: i64,
    /// Hash of the whole configuration without secrets, 64 hex digits; empty in settings that were stored without it.
    pub config_hash: String,
    /// Hash of the thresholds of ranking, selection and filters, likewise.
    pub thresholds_hash: String,
}

impl Default for ContractConfig {
    fn default() -> Self {
        Self {
            ai_dec: 0,
            max_qty: Decimal::from(1_000_000_000),
            max_num_orders: 80,
            config_hash: String::new(),
            thresholds_hash: String::new(),
        }
    }
}

/// Forced entry of a proof run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofConfig {
    /// Largest forced order in quote.
    pub max_order_quote: Decimal,
    /// A negative edge may be forced; the simulated venue only.
    pub allow_negative_edge: bool,
}

/// Settings of `decide`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecideConfig {
    /// Asset that is paid.
    pub quote_asset: String,
    /// Orders may be sent.
    pub execution_enable: bool,
    /// Ceiling of the message age, seconds.
    pub live_data_max_age_secs: i64,
    /// Ceiling of the state age, seconds.
    pub state_max_age_secs: i64,
    /// Ceiling of the epoch age, seconds.
    pub epoch_max_age_secs: i64,
    /// Generations between decision and submit.
    pub generation_max_lag: i64,
    /// State age limit of fast routes, seconds.
    pub route_freshness_fast_secs: i64,
    /// State age limit of slow routes, seconds.
    pub route_freshness_slow_secs: i64,
    /// Least number of symbols to trade on.
    pub execution_min_universe_size: i64,
    /// Silence of the private stream that counts as loss, seconds.
    pub private_stream_silent_secs: i64,
    /// Quote age limit of a submit.
    pub quote_max_age_ms: i64,
    /// Evaluations of grace after a lineage break.
    pub lineage_grace_cycles: i64,
    /// Symbols that are looked at in depth.
    pub topn_size: i64,
    /// Finalists.
    pub topk_size: i64,
    /// Weight of liquidity in the pre-selection, of 10 000.
    pub rank_weight_liquidity_x10000: i64,
    /// Weight of momentum.
    pub rank_weight_momentum_x10000: i64,
    /// Weight of the spread.
    pub rank_weight_spread_x10000: i64,
    /// Entries per evaluation.
    pub max_executes_per_cycle: i64,
    /// Least confidence.
    pub min_confidence: Decimal,
    /// Least surplus above the edge, bps.
    pub surplus_floor_bps: PerStrategy<Decimal>,
    /// Participation of strategies.
    pub strategy: PerStrategy<Participation>,
    /// Participation of routes.
    pub route: PerRoute<Participation>,
    /// Life of a resting entry, seconds.
    pub entry_ttl_secs: PerStrategy<i64>,
    /// A taking entry is a limit with immediate-or-cancel.
    pub taker_as_ioc: bool,
    /// What take-profit does.
    pub tp_action: TpAction,
    /// Closing may rest in the book first.
    pub maker_close_enable: bool,
    /// Sizing equity that replaces the account's; none follows the account.
    pub fixed_equity_quote: Option<Decimal>,
    /// Part of the equity that is never sized with.
    pub equity_reserve_pct: Decimal,
    /// Share of the open cap per strategy.
    pub capital_share: PerStrategy<Decimal>,
    /// Open notional over sizing equity.
    pub max_open_notional_pct_of_equity: Decimal,
    /// Notional of a symbol over sizing equity.
    pub max_symbol_notional_pct_of_equity: Decimal,
    /// Open positions.
    pub max_open_positions: i64,
    /// Least order in quote.
    pub min_order_notional_quote: Decimal,
    /// Daily loss that stops entries, quote.
    pub daily_loss_limit_quote: Decimal,
    /// Daily loss that stops entries, bps of the day's opening equity.
    pub daily_loss_limit_bps: Decimal,
    /// Drawdown that stops entries, bps of the mark.
    pub drawdown_exit_only_bps: Decimal,
    /// Drawdown that stops entries, quote.
    pub risk_max_drawdown_quote: Decimal,
    /// Entry orders per minute.
    pub order_rate_limit_per_min: i64,
    /// Loss at the stop per trade, quote.
    pub risk_per_trade_quote: Decimal,
    /// Exposure of a symbol, quote.
    pub risk_max_exposure_symbol_quote: Decimal,
    /// Exposure in total, quote.
    pub risk_max_exposure_total_quote: Decimal,
    /// Open entry orders of a symbol.
    pub risk_max_open_orders_per_symbol: i64,
    /// Open entry orders in total.
    pub risk_max_open_orders_total: i64,
    /// Positions opened per UTC day.
    pub risk_max_trades_per_day: i64,
    /// Positions opened per symbol in the sliding window.
    pub risk_max_trades_per_window: i64,
    /// Pause of a symbol after its stop executed, seconds.
    pub risk_cooldown_seconds: i64,
    /// Frame age at use, 90th percentile, that stops entries.
    pub risk_feed_latency_threshold_ms: i64,
    /// Counting rules of the risk gate and the raised least edge; settings that were stored without them
    /// had the defaults.
    #[serde(default)]
    pub risk: RiskSettings,
    /// What the gates of the deterministic engine do; settings that were stored without it had none.
    #[serde(default = "without_engine")]
    pub engine_gates: EngineGates,
    /// Set in a proof run only.
    pub proof: Option<ProofConfig>,
    /// Who becomes a finalist.
    #[serde(default)]
    pub selection: SelectionConfig,
    /// Filters of the pullback's maker form.
    #[serde(default)]
    pub pullback: PullbackConfig,
    /// What contracts carry of the configuration.
    #[serde(default)]
    pub contract: ContractConfig,
}

const fn without_engine() -> EngineGates {
    EngineGates::Off
}

/// All strategies trade.
const ALL_LIVE: PerStrategy<Participation> = PerStrategy {
    liquidity: Participation::Live,
    momentum: Participation::Live,
    volume: Participation::Live,
};

/// Every route trades but the one that sells first.
const LONG_LIVE: PerRoute<Participation> = PerRoute {
    breakout_continuation: Participation::Live,
    pump_fade_exhaustion: Participation::Shadow,
    dump_reversal: Participation::Live,
    pullback_continuation: Participation::Live,
    passive_spread_capture: Participation::Live,
    maker_unwind_mean_reversion: Participation::Live,
};

impl Default for DecideConfig {
    fn default() -> Self {
        let d = Decimal::new;
        Self {
            quote_asset: "USD".to_owned(),
            execution_enable: false,
            live_data_max_age_secs: 60,
            state_max_age_secs: 15,
            epoch_max_age_secs: 420,
            generation_max_lag: 5,
            route_freshness_fast_secs: 30,
            route_freshness_slow_secs: 45,
            execution_min_universe_size: 5,
            private_stream_silent_secs: 15,
            quote_max_age_ms: 2_000,
            lineage_grace_cycles: 1,
            topn_size: 20,
            topk_size: 3,
            rank_weight_liquidity_x10000: 5_500,
            rank_weight_momentum_x10000: 3_000,
            rank_weight_spread_x10000: 1_500,
            max_executes_per_cycle: 1,
            min_confidence: d(35, 2),
            surplus_floor_bps: PerStrategy {
                liquidity: d(2, 0),
                momentum: d(5, 0),
                volume: d(3, 0),
            },
            strategy: ALL_LIVE,
            route: LONG_LIVE,
            entry_ttl_secs: PerStrategy { liquidity: 40, momentum: 10, volume: 60 },
            taker_as_ioc: true,
            tp_action: TpAction::RaiseStop,
            maker_close_enable: true,
            fixed_equity_quote: None,
            equity_reserve_pct: d(5, 2),
            capital_share: PerStrategy {
                liquidity: d(40, 2),
                momentum: d(40, 2),
                volume: d(20, 2),
            },
            max_open_notional_pct_of_equity: d(30, 2),
            max_symbol_notional_pct_of_equity: d(10, 2),
            max_open_positions: 5,
            min_order_notional_quote: d(10, 0),
            daily_loss_limit_quote: d(50, 0),
            daily_loss_limit_bps: d(200, 0),
            drawdown_exit_only_bps: d(500, 0),
            risk_max_drawdown_quote: d(500, 0),
            order_rate_limit_per_min: 10,
            risk_per_trade_quote: d(100, 0),
            risk_max_exposure_symbol_quote: d(200, 0),
            risk_max_exposure_total_quote: d(500, 0),
            risk_max_open_orders_per_symbol: 1,
            risk_max_open_orders_total: 10,
            risk_max_trades_per_day: 20,
            risk_max_trades_per_window: 3,
            risk_cooldown_seconds: 300,
            risk_feed_latency_threshold_ms: 1_000,
            risk: RiskSettings::default(),
            engine_gates: EngineGates::Enforce,
            proof: None,
            selection: SelectionConfig::default(),
            pullback: PullbackConfig::default(),
            contract: ContractConfig::default(),
        }
    }
}
