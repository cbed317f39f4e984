//! Settings of the service, from the resolved configuration to what each part reads.
//!
//! Purpose: one value with every number that execution needs, checked before any connection. Inputs: the
//! configuration and how the process was called. Outputs: [`Settings`]. Invariants: no default stands
//! here; what this version does not contain is refused by key.

mod selection;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use penstock_config::table::execution::{
    DmsMode, EquityMode, RouteMode, TpAction as ConfigTpAction,
};
use penstock_config::{Config, is_loopback};
use penstock_trading::decide::config::{
    ContractConfig, DecideConfig, Participation, PerRoute, PerStrategy, ProofConfig, TpAction,
};
use penstock_trading::groups::{self, CorrelationGroup};
use penstock_trading::mode::{ModeTiming, Thresholds};
use penstock_trading::quarantine::QuarantineSettings;
use penstock_trading::risk::{AdaptiveEdge, RiskSettings, counters};
use penstock_types::Decimal;
use penstock_types::canonical::{self, CanonicalError};
use penstock_types::rows::CounterSpans;

use crate::desk::DeskConfig;
use crate::engine::{EngineRun, gates};

/// How the process was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunMode {
    /// Until stopped.
    Attach,
    /// One evaluation, its position managed to the end.
    Once,
    /// The same with a forced entry.
    Proof,
}

impl RunMode {
    /// Text in `execution_sessions`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attach => "attach",
            Self::Once => "once",
            Self::Proof => "proof",
        }
    }
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A key has a value that this version does not support in execution.
    #[error("{key} = {value}: {problem}; next: {next}")]
    Unsupported {
        /// Key.
        key: &'static str,
        /// Value.
        value: String,
        /// What is wrong.
        problem: &'static str,
        /// What to do.
        next: &'static str,
    },
    /// The file of correlation groups cannot be used.
    #[error("correlation_groups_file = {}: {problem}", path.display())]
    Groups {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and the next step.
        problem: String,
    },
    /// The settings have no canonical form.
    #[error("settings cannot be hashed: {0}")]
    Canonical(#[from] CanonicalError),
}

/// Everything that the parts of execution read.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The configuration in force.
    pub config: Arc<Config>,
    /// How the process was called.
    pub run_mode: RunMode,
    /// What decides.
    pub decide: Arc<DecideConfig>,
    /// Hash of configuration and decision settings together: the key of `exec_configs`.
    pub config_hash: String,
    /// What stands behind that hash.
    pub stored_config: serde_json::Value,
    /// Timing of the mode.
    pub mode: ModeTiming,
    /// Where each signal changes the mode.
    pub thresholds: Thresholds,
    /// Least time between two evaluations.
    pub evaluation_interval: Duration,
    /// The deterministic engine; none without tokens or with its gates off.
    pub engine: Option<EngineRun>,
    /// How far back the counters of the risk rules look.
    pub counter_spans: CounterSpans,
}

impl Settings {
    /// Reads the configuration.
    ///
    /// # Errors
    /// [`SettingsError`] naming the key.
    pub fn new(config: Config, run_mode: RunMode) -> Result<Self, SettingsError> {
        let areas = &config.areas;
        if areas.evaluation.max_executes_per_cycle != 1 {
            return Err(SettingsError::Unsupported {
                key: "max_executes_per_cycle",
                value: areas.evaluation.max_executes_per_cycle.to_string(),
                problem: "version 0.1 sends one entry per evaluation",
                next: "set it to 1",
            });
        }
        refuse_losing_proof(&config)?;
        let mut decide =
            DecideConfig { risk: risk_settings(&config)?, ..decide_config(&config, run_mode) };
        let resolved = config.canonical();
        decide.contract.thresholds_hash = canonical::hash(&selection::thresholds(&resolved))?;
        // The hash is that of everything but itself: whoever reads the row puts it back in.
        let stored_config = serde_json::json!({ "config": resolved, "decide": decide });
        decide.contract.config_hash = canonical::hash(&stored_config)?;
        let live = &areas.liveness;
        Ok(Self {
            config_hash: decide.contract.config_hash.clone(),
            stored_config,
            run_mode,
            mode: ModeTiming {
                stable_window_ms: int(live.degrade_exit_stable_window_ms),
                pause_auto_recover_feed: live.pause_auto_recover_feed,
            },
            thresholds: thresholds(&config),
            evaluation_interval: Duration::from_secs(
                areas.evaluation.live_evaluation_interval_secs,
            ),
            engine: EngineRun::of(&config),
            counter_spans: counters::spans(&decide.risk, decide.risk_cooldown_seconds),
            decide: Arc::new(decide),
            config: Arc::new(config),
        })
    }

    /// The engine begins anew over the files that are there.
    #[must_use]
    pub fn with_cold_engine(mut self) -> Self {
        if let Some(engine) = &mut self.engine {
            engine.options.is_cold = true;
        }
        self
    }

    /// The engine takes its state over from a snapshot of another configuration, when the operator names the one in
    /// force by its SHA-256.
    #[must_use]
    pub fn accepting(mut self, config: Option<[u8; 32]>) -> Self {
        if let Some(engine) = &mut self.engine {
            engine.options.accept_config = config;
        }
        self
    }

    /// Limits of the desk.
    #[must_use]
    pub fn desk(&self) -> DeskConfig {
        let a = &self.config.areas;
        let (orders, exits, evaluation) = (&a.orders, &a.exits, &a.evaluation);
        DeskConfig {
            execution_enable: evaluation.execution_enable,
            quote_asset: self.decide.quote_asset.clone(),
            exit_quote_age_ms_max: int(evaluation.exit_quote_max_age_ms),
            quote_age_ms_max: int(evaluation.quote_max_age_ms),
            ack_timeout_ms: int(orders.submit_ack_timeout_ms),
            unknown_grace_ms: int(orders.unknown_order_grace_secs) * 1_000,
            protection_grace_ms: int(exits.protection_grace_ms),
            protection_hard_ms: int(exits.protection_sla_hard_secs) * 1_000,
            loss_cap_bps: exits.hard_loss_cap_bps.into(),
            trail_interval_ms: int(exits.trail_amend_min_interval_ms),
            maker_close: exits.maker_close_enable,
            maker_close_ms: int(exits.maker_close_max_secs) * 1_000,
            tp_closes: exits.tp_action == ConfigTpAction::Close,
            dms_flat_only: orders.kraken_dms_mode == DmsMode::FlatOnly,
            cancel_unknown_orders: orders.cancel_unknown_orders,
            dust_notional_quote: exits.dust_notional_quote,
            exit_tick_ms: exits.exit_tick_ms,
            light_interval_ms: int(a.reconcile.reconcile_rest_interval_ms),
            confirm_delay_ms: int(a.reconcile.reconcile_confirm_delay_ms),
            settle_ms: int(a.reconcile.reconcile_settle_ms),
            ledger_audit_ms: int(orders.ledger_audit_interval_secs) * 1_000,
            stream_silent_ms: int(orders.private_stream_silent_secs) * 1_000,
            preauth_ms_max: int(orders.preauth_max_secs) * 1_000,
            quiet_ms: int(orders.quiet_mode_secs) * 1_000,
            quarantine: QuarantineSettings {
                refusals_max: a.churn.risk_quarantine_max_rejects_per_hour.into(),
                timeouts_max: a.churn.risk_quarantine_max_timeouts_consecutive.into(),
                ttl_secs: int(a.churn.risk_quarantine_ttl_seconds),
                auto_release: a.churn.risk_quarantine_auto_release,
            },
            time_sync_ms: int(a.time.time_sync_interval_ms),
            engine_gates: gates(&self.config),
            ..DeskConfig::default()
        }
    }

    /// Domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.config.areas.clusters.domain
    }
}

/// A proof entry may have a negative edge at the simulated venue alone: one that listens on this machine.
fn refuse_losing_proof(config: &Config) -> Result<(), SettingsError> {
    let (evaluation, venues) = (&config.areas.evaluation, &config.areas.venues);
    let urls = [&venues.kraken_rest_url, &venues.kraken_ws_auth_url];
    let is_simulated = urls.iter().all(|url| is_loopback(url));
    if !evaluation.route_proof_allow_negative_edge || is_simulated {
        return Ok(());
    }
    Err(SettingsError::Unsupported {
        key: "route_proof_allow_negative_edge",
        value: "true".to_owned(),
        problem: "the venue is not on this machine, and an order at a loss is for the simulated one",
        next: "set it to false, or KRAKEN_REST_URL and KRAKEN_WS_AUTH_URL to venue-sim",
    })
}

fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn thresholds(config: &Config) -> Thresholds {
    let a = &config.areas;
    let (live, audit) = (&a.liveness, &a.audit);
    Thresholds {
        loop_stuck_ms: (int(live.loop_stuck_ms_degrade), int(live.loop_stuck_ms_pause)),
        ws_stale_ms: (int(live.ws_stale_ms_degrade), int(live.ws_stale_ms_pause)),
        rest_stale_ms: (int(live.rest_stale_ms_degrade), int(live.rest_stale_ms_pause)),
        private_stream_silent_ms: int(a.orders.private_stream_silent_secs) * 1_000,
        disk_free_bytes: (int(a.disk.disk_free_degrade_bytes), int(a.disk.disk_free_pause_bytes)),
        audit_queue_pct: (
            audit.audit_writer_queue_hi_watermark_pct.into(),
            audit.audit_writer_queue_full_pct.into(),
        ),
        audit_lag_ms: int(audit.audit_writer_max_lag_ms),
        drift_score_x10000: (
            int(a.reconcile.reconcile_drift_degrade_score_x10000),
            int(a.reconcile.reconcile_drift_pause_score_x10000),
        ),
        db_unavailable_pause_ms: int(a.evaluation.db_unavailable_pause_ms),
        clock_offset_ms: (int(a.time.clock_drift_max_ms_live), int(a.time.clock_drift_pause_ms)),
    }
}

const fn participation(mode: RouteMode) -> Participation {
    match mode {
        RouteMode::Live => Participation::Live,
        RouteMode::Shadow => Participation::Shadow,
        RouteMode::Off => Participation::Off,
    }
}

/// The settings of `decide`.
fn decide_config(config: &Config, run_mode: RunMode) -> DecideConfig {
    let a = &config.areas;
    let (e, c, r, s) = (&a.evaluation, &a.capital, &a.risk, &a.selection);
    DecideConfig {
        quote_asset: a.universe.universe_quotes.first().cloned().unwrap_or_default(),
        execution_enable: e.execution_enable,
        live_data_max_age_secs: int(e.live_data_max_age_secs),
        state_max_age_secs: int(e.state_max_age_secs),
        epoch_max_age_secs: int(config.epoch_max_age_secs()),
        generation_max_lag: int(e.generation_max_lag),
        route_freshness_fast_secs: int(e.route_freshness_fast_secs),
        route_freshness_slow_secs: int(e.route_freshness_slow_secs),
        execution_min_universe_size: a.universe.execution_min_universe_size.into(),
        private_stream_silent_secs: int(a.orders.private_stream_silent_secs),
        quote_max_age_ms: int(e.quote_max_age_ms),
        lineage_grace_cycles: e.lineage_grace_cycles.into(),
        topn_size: s.topn_size.into(),
        topk_size: s.topk_size.into(),
        rank_weight_liquidity_x10000: s.rank_weight_liquidity_x10000.into(),
        rank_weight_momentum_x10000: s.rank_weight_momentum_x10000.into(),
        rank_weight_spread_x10000: s.rank_weight_spread_x10000.into(),
        max_executes_per_cycle: e.max_executes_per_cycle.into(),
        tp_action: match a.exits.tp_action {
            ConfigTpAction::RaiseStop => TpAction::RaiseStop,
            ConfigTpAction::Close => TpAction::Close,
        },
        maker_close_enable: a.exits.maker_close_enable,
        taker_as_ioc: a.orders.taker_as_ioc,
        fixed_equity_quote: match c.equity_mode {
            EquityMode::Live => None,
            EquityMode::Fixed => Some(c.execution_equity_quote),
        },
        equity_reserve_pct: c.equity_reserve_pct,
        max_open_notional_pct_of_equity: c.max_open_notional_pct_of_equity,
        max_symbol_notional_pct_of_equity: c.max_symbol_notional_pct_of_equity,
        max_open_positions: c.max_open_positions.into(),
        min_order_notional_quote: c.min_order_notional_quote,
        daily_loss_limit_quote: c.daily_loss_limit_quote,
        daily_loss_limit_bps: c.daily_loss_limit_bps.into(),
        drawdown_exit_only_bps: c.drawdown_exit_only_bps.into(),
        order_rate_limit_per_min: c.order_rate_limit_per_min.into(),
        risk_max_drawdown_quote: r.risk_max_drawdown_quote,
        risk_per_trade_quote: r.risk_per_trade_quote,
        risk_max_exposure_symbol_quote: r.risk_max_exposure_symbol_quote,
        risk_max_exposure_total_quote: r.risk_max_exposure_total_quote,
        risk_max_open_orders_per_symbol: r.risk_max_open_orders_per_symbol.into(),
        risk_max_open_orders_total: r.risk_max_open_orders_total.into(),
        risk_max_trades_per_day: r.risk_max_trades_per_day.into(),
        risk_max_trades_per_window: r.risk_max_trades_per_window.into(),
        risk_cooldown_seconds: int(r.risk_cooldown_seconds),
        risk_feed_latency_threshold_ms: int(r.risk_feed_latency_threshold_ms),
        engine_gates: gates(config),
        selection: selection::selection(config),
        pullback: selection::pullback(config),
        contract: ContractConfig {
            ai_dec: a.ai_gate.ai_dec.into(),
            max_qty: r.constraints_max_qty,
            max_num_orders: selection::orders_of(a.venues.kraken_tier),
            ..ContractConfig::default()
        },
        ..strategies(config, run_mode)
    }
}

/// The counting rules of the risk gate and the raised least edge; reads the file of correlation groups.
fn risk_settings(config: &Config) -> Result<RiskSettings, SettingsError> {
    let (r, a, c) = (&config.areas.risk, &config.areas.adaptive, &config.areas.churn);
    let x10000 = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    Ok(RiskSettings {
        max_consecutive_losses: r.risk_max_consecutive_losses.into(),
        loss_streak_reset_secs: int(r.risk_loss_streak_reset_seconds),
        trades_window_secs: int(r.risk_trades_window_seconds),
        adaptive: AdaptiveEdge {
            spread_factor_x10000: x10000(a.risk_adaptive_spread_factor_x10000),
            volatility_factor_x10000: x10000(a.risk_adaptive_volatility_factor_x10000),
            imbalance_floor_x10000: x10000(a.risk_adaptive_liquidity_floor_x10000),
            cap_x10000: x10000(a.risk_adaptive_max_multiplier_x10000),
            normal_atr_bps: a.risk_adaptive_normal_atr_bps,
            spread_step_x10000: x10000(a.risk_adaptive_spread_step_x10000),
            volatility_step_x10000: x10000(a.risk_adaptive_volatility_step_x10000),
            imbalance_step_x10000: x10000(a.risk_adaptive_liquidity_step_x10000),
        },
        churn_cancel_replace_max: c.risk_churn_max_cancel_replace_10s.into(),
        churn_cancel_max: c.risk_churn_max_cancel_10s.into(),
        churn_new_orders_max: c.risk_churn_max_new_orders_10s.into(),
        churn_cooldown_secs: int(c.risk_churn_cooldown_seconds),
        counter_entry_pct: c.risk_counter_entry_pct.into(),
        groups: match &config.areas.capital.correlation_groups_file {
            Some(path) => read_groups(path)?,
            None => Vec::new(),
        },
    })
}

fn read_groups(path: &Path) -> Result<Vec<CorrelationGroup>, SettingsError> {
    let refused = |problem: String| SettingsError::Groups { path: path.to_owned(), problem };
    let file = File::open(path).map_err(|error| refused(error.to_string()))?;
    let mut text = String::new();
    let most = u64::try_from(groups::GROUPS_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    // One byte more than is allowed shows that there is too much of it.
    file.take(most).read_to_string(&mut text).map_err(|error| refused(error.to_string()))?;
    groups::parse(&text).map_err(|error| refused(error.to_string()))
}

/// The part of the settings that stands per strategy and route.
fn strategies(config: &Config, run_mode: RunMode) -> DecideConfig {
    let (e, routes) = (&config.areas.evaluation, &config.areas.routes);
    let (capital, orders) = (&config.areas.capital, &config.areas.orders);
    let per =
        |l: Decimal, m: Decimal, v: Decimal| PerStrategy { liquidity: l, momentum: m, volume: v };
    DecideConfig {
        min_confidence: routes.min_confidence,
        surplus_floor_bps: per(
            routes.surplus_floor_liquidity_bps,
            routes.surplus_floor_momentum_bps,
            routes.surplus_floor_volume_bps,
        ),
        strategy: PerStrategy {
            liquidity: participation(routes.strategy_liquidity),
            momentum: participation(routes.strategy_momentum),
            volume: participation(routes.strategy_volume),
        },
        route: PerRoute {
            breakout_continuation: participation(routes.route_breakoutcontinuation),
            pump_fade_exhaustion: participation(routes.route_pumpfadeexhaustion),
            dump_reversal: participation(routes.route_dumpreversal),
            pullback_continuation: participation(routes.route_pullbackcontinuation),
            passive_spread_capture: participation(routes.route_passivespreadcapture),
            maker_unwind_mean_reversion: participation(routes.route_makerunwindmeanreversion),
        },
        entry_ttl_secs: PerStrategy {
            liquidity: int(orders.entry_ttl_secs_liquidity),
            momentum: int(orders.entry_ttl_secs_momentum),
            volume: int(orders.entry_ttl_secs_volume),
        },
        capital_share: per(
            capital.capital_share_liquidity,
            capital.capital_share_momentum,
            capital.capital_share_volume,
        ),
        proof: (run_mode == RunMode::Proof).then_some(ProofConfig {
            max_order_quote: e.route_proof_max_order_quote,
            allow_negative_edge: e.route_proof_allow_negative_edge,
        }),
        ..DecideConfig::default()
    }
}
