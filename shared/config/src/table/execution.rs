//! Purpose: keys of execution: evaluation, routes, capital, orders, exits. Invariants: as in
//! [`crate::area`]. It holds no logic.

use std::path::PathBuf;

use rust_decimal::Decimal;

use crate::area::{area, choice};
use crate::key::{any, dec, int};

choice! {
    /// Whether a strategy or a route trades.
    pub enum RouteMode {
        /// It trades.
        Live = "live",
        /// It is evaluated and recorded, and never trades.
        Shadow = "shadow",
        /// It is left out.
        Off = "off",
    }
}

choice! {
    /// Where the equity that sizes orders comes from.
    pub enum EquityMode {
        /// Balances and positions; profits and losses compound.
        Live = "live",
        /// A fixed number.
        Fixed = "fixed",
    }
}

choice! {
    /// What a reached take-profit does.
    pub enum TpAction {
        /// The stop is raised.
        RaiseStop = "raise_stop",
        /// The position is closed.
        Close = "close",
    }
}

choice! {
    /// The venue's dead man's switch.
    pub enum DmsMode {
        /// Never armed.
        Never = "never",
        /// Armed only while there is no position.
        FlatOnly = "flat_only",
    }
}

choice! {
    /// Kind of the protective order.
    pub enum ProtectionKind {
        /// A stop whose level execution moves.
        StaticStop = "static_stop",
        /// The venue's trailing stop.
        NativeTrailing = "native_trailing",
    }
}

area! {
    /// Switches and the evaluation cycle.
    pub struct Evaluation ("evaluation") {
        /// Off: everything runs to the risk verdict, nothing is sent.
        [E] execution_enable: bool = Some("false"), any();
        /// Execution never runs ingest; false is refused.
        [E] execution_only: bool = Some("true"), any();
        /// Least seconds between two evaluations; a regime change comes sooner.
        [E] live_evaluation_interval_secs: u64 = Some("5"), int(1, 600);
        /// Minutes after which execution ends; 0 is unbounded.
        [E] live_validation_runtime_minutes: u64 = Some("0"), int(0, 525_600);
        /// Oldest message in seconds; ceiling of all route limits.
        [E I] live_data_max_age_secs: u64 = Some("60"), int(1, 3_600);
        /// Oldest state in seconds.
        [E] state_max_age_secs: u64 = Some("15"), int(3, 60);
        /// Most generations between the cycle's and the visible one.
        [E] generation_max_lag: u64 = Some("5"), int(1, 60);
        /// Oldest state in seconds for fast routes.
        [E] route_freshness_fast_secs: u64 = Some("30"), int(1, 3_600);
        /// Oldest state in seconds for slow routes.
        [E] route_freshness_slow_secs: u64 = Some("45"), int(1, 3_600);
        /// Oldest quote in milliseconds for a submit.
        [E] quote_max_age_ms: u64 = Some("2000"), int(250, 10_000);
        /// Oldest quote in milliseconds for an exit.
        [E] exit_quote_max_age_ms: u64 = Some("3000"), int(250, 30_000);
        /// Milliseconds without the decision cluster after which DEGRADE becomes PAUSE.
        [E] db_unavailable_pause_ms: u64 = Some("30000"), int(1_000, 120_000);
        /// Most entries of one evaluation.
        [E] max_executes_per_cycle: u32 = Some("1"), int(1, 2);
        /// Milliseconds after which an evaluation counts as slow.
        [E] evaluation_cycle_budget_ms: u64 = Some("250"), int(1, 60_000);
        /// Evaluations between two checks of the state's content hash.
        [E] state_hash_check_every: u64 = Some("20"), int(1, 100_000);
        /// Evaluations without entries after a lineage break.
        [E] lineage_grace_cycles: u32 = Some("1"), int(0, 1_000);
        /// Candidates of an evaluation that are stored.
        [E] cdv_persist_top_n: u32 = Some("20"), int(0, 1_000);
        /// Shadow trades that one evaluation opens at most; 0 opens none.
        [E] shadow_max_per_cycle: u32 = Some("20"), int(0, 1_000);
        /// Evaluations that the evaluation proof demands.
        [X] min_evaluations: u32 = Some("3"), int(1, 1_000);
        /// The console shows the stage of an evaluation.
        [E] console_stage: ConsoleStage = Some("line"), any();
        /// A file must exist before orders are placed.
        [E] live_require_ok_file: bool = Some("false"), any();
        /// That file.
        [E] live_ok_file_path: PathBuf = Some("${PENSTOCK_DATA}/LIVE.ok"), any();
        /// Force one entry, for the lifecycle proof in once mode.
        [E] route_proof_mode: bool = Some("false"), any();
        /// Greatest size of that entry in quote.
        [E] route_proof_max_order_quote: Decimal = Some("25"), dec("0.01", "1000000");
        /// It may have a negative edge; simulated venue only.
        [E] route_proof_allow_negative_edge: bool = Some("false"), any();
    }
}

choice! {
    /// How the console shows stages.
    pub enum ConsoleStage {
        /// A line each.
        Line = "line",
        /// One line that changes.
        Update = "update",
        /// Not at all.
        Off = "off",
    }
}

area! {
    /// Strategies and routes.
    pub struct Routes ("routes") {
        /// Strategy Liquidity.
        [E] strategy_liquidity: RouteMode = Some("live"), any();
        /// Strategy Momentum.
        [E] strategy_momentum: RouteMode = Some("live"), any();
        /// Strategy Volume.
        [E] strategy_volume: RouteMode = Some("live"), any();
        /// Route PassiveSpreadCapture.
        [E] route_passivespreadcapture: RouteMode = Some("live"), any();
        /// Route MakerUnwindMeanReversion.
        [E] route_makerunwindmeanreversion: RouteMode = Some("live"), any();
        /// Route BreakoutContinuation.
        [E] route_breakoutcontinuation: RouteMode = Some("live"), any();
        /// Route PullbackContinuation.
        [E] route_pullbackcontinuation: RouteMode = Some("live"), any();
        /// Route DumpReversal.
        [E] route_dumpreversal: RouteMode = Some("live"), any();
        /// Route PumpFadeExhaustion, which is short: it is never traded.
        [E] route_pumpfadeexhaustion: RouteMode = Some("shadow"), any().without("live");
        /// Least confidence of a route.
        [E] min_confidence: Decimal = Some("0.35"), dec("0", "1");
        /// Least surplus of Liquidity over costs in bps.
        [E] surplus_floor_liquidity_bps: Decimal = Some("2"), dec("0", "10000");
        /// Least surplus of Momentum over costs in bps.
        [E] surplus_floor_momentum_bps: Decimal = Some("5"), dec("0", "10000");
        /// Least surplus of Volume over costs in bps.
        [E] surplus_floor_volume_bps: Decimal = Some("3"), dec("0", "10000");
    }
}

area! {
    /// Money that may be used.
    pub struct Capital ("capital") {
        /// Where equity comes from.
        [E] equity_mode: EquityMode = Some("live"), any();
        /// Equity in quote when it is fixed.
        [E] execution_equity_quote: Decimal = Some("220"), dec("0.01", "1000000000");
        /// Share of the equity that is never used.
        [E] equity_reserve_pct: Decimal = Some("0.05"), dec("0", "0.99");
        /// Greatest open notional as a share of equity.
        [E] max_open_notional_pct_of_equity: Decimal = Some("0.30"), dec("0.001", "1");
        /// Greatest notional of a symbol as a share of equity.
        [E] max_symbol_notional_pct_of_equity: Decimal = Some("0.10"), dec("0.001", "1");
        /// Most open positions, dust excluded.
        [E] max_open_positions: u32 = Some("5"), int(1, 200);
        /// Least notional of an order in quote.
        [E] min_order_notional_quote: Decimal = Some("10"), dec("0", "1000000");
        /// Share of the open cap for Liquidity.
        [E] capital_share_liquidity: Decimal = Some("0.40"), dec("0", "1");
        /// Share of the open cap for Momentum.
        [E] capital_share_momentum: Decimal = Some("0.40"), dec("0", "1");
        /// Share of the open cap for Volume.
        [E] capital_share_volume: Decimal = Some("0.20"), dec("0", "1");
        /// File with groups of symbols that move together.
        [E] correlation_groups_file: Option<PathBuf> = None, any();
        /// Loss of a day in quote that ends entries.
        [E] daily_loss_limit_quote: Decimal = Some("50"), dec("0.01", "1000000000");
        /// Loss of a day in bps of the equity at 00:00 UTC that ends entries.
        [E] daily_loss_limit_bps: u32 = Some("200"), int(1, 10_000);
        /// Drawdown in bps of the high-water mark that ends entries.
        [E] drawdown_exit_only_bps: u32 = Some("500"), int(1, 10_000);
        /// Most entry orders of a minute.
        [E] order_rate_limit_per_min: u32 = Some("10"), int(1, 1_000);
    }
}

area! {
    /// Orders on their way.
    pub struct Orders ("orders") {
        /// Seconds that an entry of Liquidity rests.
        [E] entry_ttl_secs_liquidity: u64 = Some("40"), int(1, 3_600);
        /// Seconds that an entry of Momentum rests.
        [E] entry_ttl_secs_momentum: u64 = Some("10"), int(1, 3_600);
        /// Seconds that an entry of Volume rests.
        [E] entry_ttl_secs_volume: u64 = Some("60"), int(1, 3_600);
        /// Taker entries are immediate-or-cancel limits.
        [E] taker_as_ioc: bool = Some("true"), any();
        /// Milliseconds without an answer after which a submit is unknown.
        [E] submit_ack_timeout_ms: u64 = Some("3000"), int(100, 60_000);
        /// Seconds after the deadline until absence at the venue is proof.
        [E] unknown_order_grace_secs: u64 = Some("90"), int(60, 600);
        /// Seconds for which a symbol is left alone after rejections.
        [E I] quiet_mode_secs: u64 = Some("120"), int(1, 86_400);
        /// Seconds of a silent private stream.
        [E] private_stream_silent_secs: u64 = Some("15"), int(2, 600);
        /// The venue's dead man's switch.
        [E] kraken_dms_mode: DmsMode = Some("never"), any();
        /// Foreign orders at the venue are cancelled at attach when they look like ours.
        [E] cancel_unknown_orders: bool = Some("true"), any();
        /// Seconds for which a standby row may be used without a write.
        [E] preauth_max_secs: u64 = Some("300"), int(1, 3_600);
        /// Seconds between two audits of the ledger.
        [E] ledger_audit_interval_secs: u64 = Some("300"), int(1, 86_400);
    }
}

area! {
    /// Positions and how they end.
    pub struct Exits ("exits") {
        /// What a reached take-profit does.
        [E] tp_action: TpAction = Some("raise_stop"), any();
        /// A close may rest as maker first.
        [E] maker_close_enable: bool = Some("true"), any();
        /// Seconds for which it may.
        [E] maker_close_max_secs: u64 = Some("10"), int(1, 600);
        /// Milliseconds between two looks of the exit supervisor.
        [E] exit_tick_ms: u64 = Some("250"), int(50, 10_000);
        /// Milliseconds from a fill to its acknowledged stop.
        [E] protection_grace_ms: u64 = Some("1500"), int(100, 60_000);
        /// Seconds without a stop after which a position is closed at market.
        [E] protection_sla_hard_secs: u64 = Some("20"), int(1, 600);
        /// Loss of a position in bps at which it is closed.
        [E] hard_loss_cap_bps: u32 = Some("100"), int(1, 10_000);
        /// Least milliseconds between two small raises of a stop.
        [E] trail_amend_min_interval_ms: u64 = Some("5000"), int(0, 600_000);
        /// Kind of the protective order.
        [E] exit_protection_kind: ProtectionKind = Some("static_stop"), any().without("native_trailing");
        /// Notional in quote below which a position is dust.
        [E] dust_notional_quote: Decimal = Some("5"), dec("0", "1000000");
        /// Dust is bought up to the venue's minimum so that it can be sold.
        [E] dust_topup_enable: bool = Some("false"), any().only("false");
    }
}
