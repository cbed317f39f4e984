//! Whole, valid contracts, to be spoiled in one place: for tests, benches and examples only.
//!
//! Input: nothing. Output: values. Invariants: each passes every rule; nothing here is used by a service.

use crate::amount::DecStr;
use crate::decision::Decision;
use crate::order_intent::OrderIntentHashPayload;
use crate::plans::{DecisionConstraints, EntryPlan, ExitPlan, FallbackPlan};
use crate::risk::{CostsSnapshot, RiskLimitsSnapshot, RiskVerdict};
use crate::snapshot::{
    ConfigurationGroup, DepthGroup, FlowGroup, HealthGroup, LineageGroup, MetadataGroup,
    MicrostructureGroup, PricesGroup, RETURNS_POINTS, RegimeGroup, ReturnsGroup, Snapshot,
    SnapshotContext, VolatilityGroup,
};
use crate::units::{Bps, DecisionId, Hex16, Hex64, TsMs, X10000};
use crate::vocab as own;
use penstock_types::vocab::{
    ExitPolicy, Horizon, OrderRole, OrderType, QueueDecision, ReasonCode, Regime, SafetyMode,
    StageName, Strategy,
};
use penstock_types::{
    EpochId, EvaluationId, GenerationId, LineageId, RunId, SnapshotId, Symbol, Uuid,
};

/// Decision clock of the fixtures.
pub const NOW_MS: i64 = 1_771_243_200_000;

/// An amount from its text.
///
/// # Panics
/// When the text is no amount.
#[must_use]
pub fn amount(text: &str) -> DecStr {
    DecStr::parse(text).expect("a fixture's amount is an amount")
}

fn symbol() -> Symbol {
    Symbol::new("BTC/USD").expect("a symbol")
}

/// Costs whose total is their sum.
#[must_use]
pub fn costs() -> CostsSnapshot {
    CostsSnapshot {
        fee_entry: amount("10.0000"),
        fee_exit: amount("20.0000"),
        slip_entry: amount("0.6000"),
        slip_exit: amount("2.5000"),
        spread_net: amount("-1.0000"),
        exit_drag: amount("1.0000"),
        tsl_drag: amount("18.0000"),
        wait_risk: amount("0.7500"),
        total: amount("51.8500"),
        fee_source: own::FeeSource::Live,
    }
}

/// A snapshot of a calm symbol, with its hash.
///
/// # Panics
/// Never: its numbers are small.
#[must_use]
pub fn snapshot() -> Snapshot {
    let hash = Hex64::of_bytes(b"configuration");
    let snapshot = Snapshot {
        symbol: symbol(),
        regime: RegimeGroup {
            market_regime: Regime::Trend,
            regime_sub: None,
            regime_since_ms: TsMs(NOW_MS - 60_000),
            label: own::RegimeLabel::Trend,
            trend_score_x10000: X10000(7_000),
            range_score_x10000: X10000(3_000),
            confidence_x10000: X10000(8_000),
        },
        microstructure_60s: MicrostructureGroup {
            spread_bps_p50_60s: Bps(2),
            spread_bps_p90_60s: Bps(3),
            spread_current_bps: Bps(2),
            delta_spread_bps_p90_10s: Bps(-1),
            bid_ask_imbalance_p50_10s_x10000: X10000(5_600),
            microvol_60s_bps: Bps(1),
        },
        volatility: VolatilityGroup {
            atr_15m_bps: Some(amount("42.5000")),
            rv_5m_bps: amount("4.2000"),
            rv_15m_bps: amount("4.0000"),
        },
        flow: flow(),
        depth: DepthGroup {
            bid_10bps_quote: amount("81234.1234567890"),
            ask_10bps_quote: amount("79999.0000000000"),
            l3_quality: amount("0.800000"),
        },
        prices: PricesGroup {
            best_bid: amount("64250.1"),
            best_ask: amount("64250.2"),
            mid_price: amount("64250.15"),
            last_price: amount("64250.100000000000"),
            state_mid: amount("64250.150000000000"),
        },
        costs: costs(),
        health_flags: HealthGroup {
            book_ok: true,
            feature_complete: true,
            symbol_mode: SafetyMode::Normal,
            quiet_until_ms: TsMs(0),
            symbol_status: "online".to_owned(),
        },
        returns_series: ReturnsGroup {
            timeframe: own::Timeframe::FiveMinutes,
            window_points: 72,
            log_return_bps: (0..RETURNS_POINTS).map(|at| Bps((at % 5) as i32 - 2)).collect(),
            missing_count: 1,
        },
        configuration_reference: ConfigurationGroup {
            config_hash: hash.clone(),
            thresholds_hash: hash.clone(),
            filters_hash: hash.clone(),
        },
        lineage: lineage(),
        metadata: MetadataGroup {
            as_of_ms: TsMs(NOW_MS - 900),
            state_age_ms: 900,
            quote_tick_id: 7_084_972_799,
            created_ts_ms: TsMs(NOW_MS),
            snapshot_hash: hash,
        },
    };
    snapshot.with_hash().expect("small numbers have a hash")
}

fn flow() -> FlowGroup {
    FlowGroup {
        trades_1m: 40,
        trades_5m: 160,
        ofi_1m: Some(amount("0.120000")),
        vwap_dev_bps: Some(amount("-12.0000")),
        drift_1m_bps: Some(amount("1.5000")),
        drift_5m_bps: Some(amount("9.0000")),
        drift_15m_bps: Some(amount("25.0000")),
        trend_strength: Some(amount("0.700000")),
        vol_expansion: None,
    }
}

fn lineage() -> LineageGroup {
    LineageGroup {
        run_id: RunId(3),
        lineage_id: LineageId(Uuid::from_u128(7)),
        epoch_id: EpochId(7_000_000_001),
        snapshot_id: SnapshotId(7_000_000_001),
        generation_id: GenerationId(7_000_000_100),
        engine_tick_id: Some(7_084_972_799),
        engine_chain: Some(Hex16::parse("0123456789abcdef").expect("sixteen digits")),
    }
}

/// What the snapshot is judged by.
#[must_use]
pub fn context() -> SnapshotContext {
    SnapshotContext {
        generation_id: GenerationId(7_000_000_100),
        quote_age_ms: Some(250),
        quote_age_ms_max: 2_000,
    }
}

/// Rules of a pair.
#[must_use]
pub fn constraints() -> DecisionConstraints {
    DecisionConstraints {
        tick_size: amount("0.1"),
        step_size: amount("0.00000001"),
        min_qty: amount("0.00005000"),
        min_notional: amount("0.50000"),
        price_precision: 1,
        qty_precision: 8,
        max_qty: amount("100.00000000"),
        max_num_orders: 80,
        max_algo_orders: 80,
        max_notional: None,
        quantization_policy: own::QuantizationPolicy::Enforced,
    }
}

/// A maker entry.
#[must_use]
pub fn entry_plan() -> EntryPlan {
    EntryPlan {
        kind: own::EntryKind::MakerFirst,
        queue_decision: Some(QueueDecision::Join),
        desired_price: amount("64250.17"),
        limit_price: amount("64250.1"),
        qty: amount("0.00200000"),
        time_in_force: own::TimeInForce::Gtd,
        ttl_ms: 10_000,
        max_repegs: 5,
        fallback: FallbackPlan {
            enabled: true,
            kind: own::FallbackKind::IocLimit,
            max_slippage_bps: Bps(5),
        },
    }
}

/// A trailing exit.
#[must_use]
pub fn exit_plan() -> ExitPlan {
    ExitPlan {
        policy: ExitPolicy::TrailingStop,
        sl_bps: amount("63.7500"),
        panic_bps: amount("200.0000"),
        tp_bps: None,
        trail_bps: Some(amount("63.7500")),
        breakeven_arm_bps: Some(amount("30.0000")),
        sl_price: amount("63840.6"),
        tp_price: None,
        time_stop_secs: 900,
        protection_kind: own::ProtectionKind::StaticStop,
    }
}

/// An exit with a target.
#[must_use]
pub fn ladder_exit() -> ExitPlan {
    ExitPlan {
        policy: ExitPolicy::MakerLadder,
        sl_bps: amount("20.0000"),
        tp_bps: Some(amount("40.0000")),
        trail_bps: None,
        sl_price: amount("64121.6"),
        tp_price: Some(amount("64507.1")),
        time_stop_secs: 300,
        ..exit_plan()
    }
}

/// A proposal, with its id.
///
/// # Panics
/// Never: its numbers are small.
#[must_use]
pub fn decision() -> Decision {
    let decision = Decision {
        mode: own::Mode::Live,
        ts_ms: TsMs(NOW_MS),
        symbol: symbol(),
        side: own::Side::Buy,
        intent: own::Intent::Entry,
        strategy: Strategy::Momentum,
        route: own::Route::PullbackContinuation,
        horizon: Horizon::Medium,
        entry_plan: Some(entry_plan()),
        exit_plan: Some(exit_plan()),
        edge_score_x10000: X10000(8_000),
        edge_bps_expected: Bps(14),
        reasons: vec![ReasonCode::StratOk, ReasonCode::StratRegimeTrendOk],
        snapshot_hash: snapshot().metadata.snapshot_hash,
        decision_id: DecisionId::of(&Hex64::of_bytes(b"")),
        cycle_id: EvaluationId(42),
        stage: StageName::StrategyPropose,
        constraints: constraints(),
        ai_gate: None,
        risk_verdict: None,
    };
    decision.with_id().expect("small numbers have a hash")
}

/// Limits and counters of a quiet day.
#[must_use]
pub fn risk_limits() -> RiskLimitsSnapshot {
    RiskLimitsSnapshot {
        equity_quote: amount("10000.00"),
        max_exposure_symbol_quote: amount("1000.00"),
        max_exposure_total_quote: amount("3000.00"),
        max_daily_loss_quote: amount("200.00"),
        max_drawdown_quote: amount("500.00"),
        risk_per_trade_quote: amount("50.00"),
        max_open_positions: 5,
        max_open_orders: 20,
        max_trades_day: 50,
        max_trades_window: 3,
        trades_window_seconds: 3_600,
        post_stop_cooldown_seconds: 900,
        orders_per_min: 10,
        exposure_symbol_quote: amount("0.00"),
        exposure_total_quote: amount("120.00"),
        daily_pnl_quote: amount("-3.20"),
        drawdown_quote: amount("3.20"),
        trades_today: 4,
        trades_window: 0,
        orders_60s: 1,
        loss_streak: 0,
        balance_age_ms: 400,
    }
}

/// A permission.
#[must_use]
pub fn risk_verdict() -> RiskVerdict {
    RiskVerdict {
        verdict: own::RiskVerdictType::Allow,
        reasons: Vec::new(),
        risk_limits: risk_limits(),
        costs: costs(),
        adjusted_min_edge_bps: amount("5.0000"),
        multiplier_x10000: X10000(10_000),
        sized_qty: amount("0.00200000"),
        sized_quote: amount("128.50020"),
    }
}

/// The intent of an entry order.
#[must_use]
pub fn entry_intent() -> OrderIntentHashPayload {
    OrderIntentHashPayload {
        mode: own::Mode::Live,
        role: OrderRole::Entry,
        intent_seq: 0,
        symbol: symbol(),
        side: own::Side::Buy,
        order_type: OrderType::Limit,
        qty: amount("0.00200000"),
        limit_price: Some(amount("64250.1")),
        trigger_price: None,
        exit_plan_sl: Some(amount("63840.6")),
        exit_plan_tp: None,
        snapshot_hash: Some(Hex64::of_bytes(b"snapshot")),
        constraints_hash: Hex64::of_bytes(b"constraints"),
        position_id: None,
        parent_intent_hash: None,
    }
}
