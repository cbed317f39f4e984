//! The snapshot of a finalist from the bound generation, the quotes of the sealed ticks and rows of the cluster.
//!
//! Purpose: fix and hash what the decision sees. Inputs: the case. Outputs: a valid [`Snapshot`], or its first breach.
//! Invariants: pure; a window that is not whole, a figure that is not published and a quote that does not stand are
//! missing fields.

use penstock_contracts::amount::AmountKind;
use penstock_contracts::snapshot::{
    ConfigurationGroup, DepthGroup, FlowGroup, HealthGroup, LineageGroup, MetadataGroup,
    MicrostructureGroup, PricesGroup, RegimeGroup, ReturnsGroup, SnapshotContext, VolatilityGroup,
    label_of,
};
use penstock_contracts::units::{Bps, Hex16, Hex64, TsMs, X10000};
use penstock_contracts::vocab::{FeeSource, Timeframe};
use penstock_contracts::{DecStr, Invalid, Snapshot, risk::CostsSnapshot};
use penstock_types::Decimal;
use penstock_types::vocab::Regime;

use super::{amount, fits, int, present, ts, unusable};
use crate::decide::case::Case;
use crate::engine_gate::EngineGates;
use crate::select::Returns;

pub(super) fn build(case: &Case<'_>) -> Result<Snapshot, Invalid> {
    let snapshot = Snapshot {
        symbol: case.candidate.symbol.clone(),
        regime: regime(case)?,
        microstructure_60s: microstructure(case)?,
        volatility: volatility(case)?,
        flow: flow(case)?,
        depth: depth(case)?,
        prices: prices(case)?,
        costs: costs(case)?,
        health_flags: health(case),
        returns_series: returns(case)?,
        configuration_reference: configuration(case)?,
        lineage: lineage(case)?,
        metadata: metadata(case)?,
    };
    let snapshot = snapshot
        .with_hash()
        .map_err(|error| unusable("metadata.snapshot_hash", &error.to_string()))?;
    let frame = case.cycle.input.frame.filter(|_| case.quote.is_some());
    snapshot.validate(&SnapshotContext {
        generation_id: present("lineage", case.cycle.input.publication.as_ref())?.generation_id,
        quote_age_ms: frame.map(|frame| frame.age_ms),
        quote_age_ms_max: case.cycle.config.quote_max_age_ms,
    })?;
    Ok(snapshot)
}

fn regime(case: &Case<'_>) -> Result<RegimeGroup, Invalid> {
    let state = case.state;
    // Both scores are for display: without a strength of the trend neither is known.
    let trend = match state.trend_strength {
        Some(strength) => {
            let held = strength.clamp(Decimal::ZERO, Decimal::ONE);
            Some(fits("regime.trend_score_x10000", X10000::of(held))?)
        }
        None => None,
    };
    Ok(RegimeGroup {
        market_regime: state.regime,
        regime_sub: state.regime_sub.filter(|_| state.regime == Regime::Chaos),
        regime_since_ms: ts(state.regime_since),
        label: label_of(state.regime),
        trend_score_x10000: trend.unwrap_or(X10000(0)),
        range_score_x10000: trend.map_or(X10000(0), |trend| X10000(10_000 - trend.0)),
        confidence_x10000: fits("regime.confidence_x10000", X10000::of(state.regime_confidence))?,
    })
}

fn microstructure(case: &Case<'_>) -> Result<MicrostructureGroup, Invalid> {
    let symbol = &case.candidate.symbol;
    let of = |w: &&crate::windows::QuoteWindow| &w.symbol == symbol && w.is_whole();
    let window = present("microstructure_60s", case.cycle.input.windows.iter().find(of))?;
    Ok(MicrostructureGroup {
        spread_bps_p50_60s: Bps(window.spread_p50_bps),
        spread_bps_p90_60s: Bps(window.spread_p90_bps),
        spread_current_bps: Bps(window.spread_now_bps),
        delta_spread_bps_p90_10s: Bps(window.spread_p90_delta_bps),
        bid_ask_imbalance_p50_10s_x10000: X10000(window.imbalance_p50_x10000),
        microvol_60s_bps: Bps(window.microvol_bps),
    })
}

fn optional(
    field: &'static str,
    value: Option<Decimal>,
    kind: AmountKind,
) -> Result<Option<DecStr>, Invalid> {
    value.map(|value| amount(field, value, kind)).transpose()
}

fn volatility(case: &Case<'_>) -> Result<VolatilityGroup, Invalid> {
    let state = case.state;
    let of = |field, value| amount(field, present(field, value)?, AmountKind::Bps);
    Ok(VolatilityGroup {
        atr_15m_bps: optional("volatility.atr_15m_bps", state.atr_15m_bps, AmountKind::Bps)?,
        rv_5m_bps: of("volatility.rv_5m_bps", state.rv_5m_bps)?,
        rv_15m_bps: of("volatility.rv_15m_bps", state.rv_15m_bps)?,
    })
}

fn flow(case: &Case<'_>) -> Result<FlowGroup, Invalid> {
    let state = case.state;
    let bps = |field, value| optional(field, value, AmountKind::Bps);
    let ratio = |field, value| optional(field, value, AmountKind::Ratio);
    Ok(FlowGroup {
        trades_1m: state.trades_1m,
        trades_5m: state.trades_5m,
        ofi_1m: ratio("flow.ofi_1m", state.ofi_1m)?,
        vwap_dev_bps: bps("flow.vwap_dev_bps", state.vwap_dev_bps)?,
        drift_1m_bps: bps("flow.drift_1m_bps", state.drift_1m_bps)?,
        drift_5m_bps: bps("flow.drift_5m_bps", state.drift_5m_bps)?,
        drift_15m_bps: bps("flow.drift_15m_bps", state.drift_15m_bps)?,
        trend_strength: ratio("flow.trend_strength", state.trend_strength)?,
        vol_expansion: ratio("flow.vol_expansion", state.vol_expansion)?,
    })
}

fn depth(case: &Case<'_>) -> Result<DepthGroup, Invalid> {
    let state = case.state;
    let of = |field, value| amount(field, present(field, value)?, AmountKind::StateAmount);
    Ok(DepthGroup {
        bid_10bps_quote: of("depth.bid_10bps_quote", state.depth_bid_10bps_quote)?,
        ask_10bps_quote: of("depth.ask_10bps_quote", state.depth_ask_10bps_quote)?,
        l3_quality: amount("depth.l3_quality", state.l3_quality, AmountKind::Ratio)?,
    })
}

fn prices(case: &Case<'_>) -> Result<PricesGroup, Invalid> {
    let quote = present("prices.quote", case.quote)?;
    let tick = AmountKind::Price { tick: case.tick() };
    let of = |field, value| amount(field, present(field, value)?, AmountKind::StatePrice);
    Ok(PricesGroup {
        best_bid: amount("prices.best_bid", quote.bid, tick)?,
        best_ask: amount("prices.best_ask", quote.ask, tick)?,
        // Half a tick may be needed: exact, not at the tick's digits.
        mid_price: DecStr::of(quote.mid()),
        last_price: of("prices.last_price", case.state.last)?,
        state_mid: of("prices.state_mid", case.state.mid)?,
    })
}

fn costs(case: &Case<'_>) -> Result<CostsSnapshot, Invalid> {
    let t = case.terms;
    let fees = present("costs.fee_source", case.cycle.input.fees.as_ref())?;
    let source = FeeSource::parse(&fees.source)
        .map_err(|error| unusable("costs.fee_source", &error.to_string()))?;
    let of = |field, value| amount(field, value, AmountKind::Bps);
    let terms = [
        of("costs.fee_entry", t.fee_entry_bps)?,
        of("costs.fee_exit", t.fee_exit_bps)?,
        of("costs.slip_entry", t.slip_entry_bps)?,
        of("costs.slip_exit", t.slip_exit_bps)?,
        of("costs.spread_net", t.spread_net_bps)?,
        of("costs.exit_drag", t.exit_drag_bps)?,
        of("costs.tsl_drag", t.tsl_drag_bps)?,
        of("costs.wait_risk", t.wait_risk_bps)?,
    ];
    let total = terms.iter().map(|term| term.value()).sum();
    let [fee_entry, fee_exit, slip_entry, slip_exit, spread_net, exit_drag, tsl_drag, wait_risk] =
        terms;
    Ok(CostsSnapshot {
        fee_entry,
        fee_exit,
        slip_entry,
        slip_exit,
        spread_net,
        exit_drag,
        tsl_drag,
        wait_risk,
        total: of("costs.total", total)?,
        fee_source: source,
    })
}

fn health(case: &Case<'_>) -> HealthGroup {
    let quiet = case.cycle.index.safety.get(&case.candidate.symbol);
    HealthGroup {
        book_ok: case.state.book_ok,
        feature_complete: case.state.feature_complete,
        symbol_mode: case.safety,
        quiet_until_ms: quiet.and_then(|row| row.quiet_until).map_or(TsMs(0), ts),
        symbol_status: case.instrument.status.clone(),
    }
}

fn returns(case: &Case<'_>) -> Result<ReturnsGroup, Invalid> {
    let config = &case.cycle.config.selection;
    let points = usize::try_from(config.corr_window_points).unwrap_or(0);
    let series = Returns::new(&case.cycle.input.returns, config).of(&case.candidate.symbol);
    let (filled, missing): (Vec<Bps>, i64) = match series {
        Some(series) => (series.filled().map(Bps).collect(), series.missing()),
        None => (vec![Bps(0); points], config.corr_window_points),
    };
    Ok(ReturnsGroup {
        timeframe: Timeframe::FiveMinutes,
        window_points: int("returns_series.window_points", config.corr_window_points)?,
        log_return_bps: filled,
        missing_count: int("returns_series.missing_count", missing)?,
    })
}

fn configuration(case: &Case<'_>) -> Result<ConfigurationGroup, Invalid> {
    let contract = &case.cycle.config.contract;
    let hash =
        |field, text: &str| Hex64::parse(text).map_err(|error| unusable(field, &error.to_string()));
    Ok(ConfigurationGroup {
        config_hash: hash("configuration_reference.config_hash", &contract.config_hash)?,
        thresholds_hash: hash(
            "configuration_reference.thresholds_hash",
            &contract.thresholds_hash,
        )?,
        filters_hash: hash("configuration_reference.filters_hash", &case.instrument.content_hash)?,
    })
}

fn lineage(case: &Case<'_>) -> Result<LineageGroup, Invalid> {
    let input = case.cycle.input;
    let publication = present("lineage", input.publication.as_ref())?;
    let binding = present("lineage.epoch_id", case.cycle.assessment.binding.as_ref())?;
    let on = case.cycle.config.engine_gates != EngineGates::Off;
    let engine = input.engine.as_ref().filter(|_| on);
    let chain = engine.and_then(|engine| engine.chain.as_deref()).map(Hex16::parse).transpose();
    let chain = chain.map_err(|error| unusable("lineage.engine_chain", &error.to_string()))?;
    Ok(LineageGroup {
        run_id: publication.run_id,
        lineage_id: publication.lineage_id,
        epoch_id: binding.epoch_id,
        snapshot_id: binding.snapshot_id,
        generation_id: publication.generation_id,
        engine_tick_id: engine.and_then(|engine| engine.tick_id).map(|tick| tick.0),
        engine_chain: chain,
    })
}

fn metadata(case: &Case<'_>) -> Result<MetadataGroup, Invalid> {
    let input = case.cycle.input;
    let publication = present("metadata.as_of_ms", input.publication.as_ref())?;
    let age = present("metadata.state_age_ms", case.cycle.assessment.state_age_ms)?;
    Ok(MetadataGroup {
        as_of_ms: ts(publication.as_of),
        state_age_ms: int("metadata.state_age_ms", age)?,
        quote_tick_id: present("prices.quote", case.quote)?.tick_id.0,
        created_ts_ms: ts(input.t0),
        snapshot_hash: Hex64::of_bytes(&[]),
    })
}
