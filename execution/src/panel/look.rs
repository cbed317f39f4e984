//! What the process knows for the panel: copies of figures, taken when they are asked for.
//!
//! Input: the handles of the session. Output: [`Live`]. Invariants: each look is the copy of values that others keep
//! up to date; nothing is computed for the panel's sake that costs more than the copy.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use penstock_contracts::dashboard::{AuditPressure, Check, Limits, SymbolInfo};
use penstock_contracts::units::X10000;
use penstock_panel::live::{Best, Live, Look, Window, Writer};
use penstock_telemetry::resources::{Resources, Usage};
use penstock_trading::windows::QuoteWindow;
use penstock_types::engine_view::{ClusterState, TokenView};
use penstock_types::vocab::{ReasonCode, StageName};
use penstock_types::{Decimal, Symbol};
use penstock_venue_orders::SharedVenueState;

use crate::audit::Pressure;
use crate::boot::checklist::Finding;
use crate::context::Context;
use crate::desk::DeskHandle;
use crate::health::{Totals, counters};

/// Least time between two looks at the process's own use of the machine.
const USAGE_EVERY: Duration = Duration::from_millis(900);
/// Percent of memory and processor are told times so much.
const PCT_UNIT: u64 = 10_000;
/// An even book, times 10,000: below it the bid is the smaller side.
const EVEN_X10000: i32 = 5_000;

/// What has to be remembered from look to look.
#[derive(Debug)]
struct Remembered {
    resources: Resources,
    usage: Option<(Instant, Usage)>,
    totals: Totals,
}

/// Looks.
#[derive(Debug)]
pub(super) struct Looker {
    context: Context,
    desk: DeskHandle,
    venue: SharedVenueState,
    started: Instant,
    remembered: Mutex<Remembered>,
}

impl Looker {
    pub(super) fn new(context: Context, desk: DeskHandle, venue: SharedVenueState) -> Self {
        let remembered =
            Remembered { resources: Resources::new(), usage: None, totals: Totals::default() };
        let started = Instant::now();
        Self { context, desk, venue, started, remembered: Mutex::new(remembered) }
    }

    /// What of the machine is used, and events and drops of the last minute.
    fn used(&self) -> (Usage, (i64, i64)) {
        // A holder that panicked has only replaced plain values.
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let usage = match remembered.usage {
            Some((at, usage)) if now.duration_since(at) < USAGE_EVERY => usage,
            Some(_) | None => {
                let usage = remembered.resources.look();
                remembered.usage = Some((now, usage));
                usage
            }
        };
        (usage, remembered.totals.per_minute(now, self.context.mode.progress().trail()))
    }

    fn writer(&self, (events_per_min, drops_per_min): (i64, i64)) -> Writer {
        let figures = self.context.audit.figures();
        Writer {
            queue_pct_x10000: figures.queue_pct_x10000,
            queue_len: i64::try_from(figures.queue_len).unwrap_or(i64::MAX),
            lag_ms: figures.lag_ms,
            pressure: match figures.pressure {
                Pressure::Ok => AuditPressure::Ok,
                Pressure::High => AuditPressure::High,
                Pressure::Full => AuditPressure::Full,
            },
            events_per_min,
            drops_per_min,
            last_commit_ms: figures.committed_ms,
        }
    }

    /// Quotes that stand, and windows over those of the last minute.
    fn quotes(&self) -> (BTreeMap<Symbol, Best>, BTreeMap<Symbol, Window>) {
        let table = self.context.quotes.table();
        let best = table.quotes.iter().filter(|(_, quote)| quote.is_sound());
        let quotes = best.map(|(s, q)| (s.clone(), Best { bid: q.bid, ask: q.ask })).collect();
        let delta_max = &self.context.settings.decide.pullback.max_delta_spread_bps_10s;
        let windows = self.context.quotes.windows();
        let one = |w: QuoteWindow| {
            let flags = flags(&w, delta_max);
            let window = Window {
                spread_now_bps: w.spread_now_bps,
                spread_p50_bps: w.spread_p50_bps,
                spread_p90_bps: w.spread_p90_bps,
                spread_p90_delta_bps: w.spread_p90_delta_bps,
                imbalance_x10000: w.imbalance_p50_x10000,
                flags,
            };
            (w.symbol, window)
        };
        (quotes, windows.into_iter().filter(QuoteWindow::is_whole).map(one).collect())
    }

    fn checklist(&self) -> Vec<Check> {
        let findings = self.context.figures.findings();
        let check = |(item, finding): (crate::boot::checklist::Item, Finding)| Check {
            name: item.as_str().to_owned(),
            ok: finding == Finding::Holds,
        };
        findings.into_iter().map(check).collect()
    }

    fn limits(&self) -> Limits {
        let (rest, engine) = counters(&self.venue);
        let share = |value: Decimal| X10000::of(value).unwrap_or(X10000(i32::MAX));
        Limits { rest_counter_x10000: share(rest), engine_counter_x10000: share(engine) }
    }

    fn engine(&self) -> (Vec<SymbolInfo>, Vec<String>, String) {
        let Some(view) = self.context.engine.view() else { return Default::default() };
        let bound = self.context.engine.bound();
        let symbols = bound.iter().filter_map(|(symbol, id)| {
            let token = view.tokens.iter().find(|token| token.token_id == *id)?;
            Some(info(symbol, token))
        });
        let clusters: BTreeMap<u8, ClusterState> =
            view.tokens.iter().map(|token| (token.cluster_id, token.cluster_state)).collect();
        let clusters = clusters.iter().map(|(id, state)| format!("{id} {}", state.name()));
        let phase = view.tokens.iter().map(|token| token.event_phase).max();
        let phase = phase.map_or_else(String::new, |phase| phase.name().to_owned());
        (symbols.collect(), clusters.collect(), phase)
    }
}

/// What is remarkable of a window and stops nothing.
fn flags(window: &QuoteWindow, delta_max: &Decimal) -> Vec<ReasonCode> {
    let normal = window.microvol_normal_bps.unwrap_or(0).max(1);
    let all = [
        (window.imbalance_p50_x10000 < EVEN_X10000, ReasonCode::ImbalanceAgainst),
        (window.microvol_bps >= normal.saturating_mul(3), ReasonCode::MicrovolSpike),
        (
            i64::from(window.spread_now_bps) * 2 > i64::from(window.spread_p50_bps) * 3,
            ReasonCode::SpreadBadVsNormal,
        ),
        (Decimal::from(window.spread_p90_delta_bps) > *delta_max, ReasonCode::SpreadOpening),
    ];
    all.into_iter().filter_map(|(is_so, flag)| is_so.then_some(flag)).collect()
}

/// What the engine says of a symbol; regime and mode are those of the rows.
fn info(symbol: &Symbol, token: &TokenView) -> SymbolInfo {
    SymbolInfo {
        symbol: symbol.clone(),
        market_regime: String::new(),
        regime_sub: String::new(),
        token_fsm: token.fsm_state.name().to_owned(),
        tier: token.tier.name().to_owned(),
        trigger_cost: token.trigger_cost.into(),
        direction: token.direction.name().to_owned(),
        symbol_mode: String::new(),
        pressure: token.scores.pressure.into(),
        fragile: token.scores.fragile.into(),
        trigger: token.scores.trigger.into(),
        unwind: token.scores.unwind.into(),
    }
}

impl Look for Looker {
    fn look(&self) -> Live {
        let context = &self.context;
        let mode = context.mode.view();
        let evaluated = context.figures.evaluated();
        let now_ms = chrono::Utc::now().timestamp_millis();
        let stage = context.audit.stage_now();
        let desk = self.desk.status();
        let (usage, rates) = self.used();
        let (quotes, windows) = self.quotes();
        let (symbols, cluster_fsm, event_phase) = self.engine();
        let whole = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        Live {
            now_ms,
            sys_mode: mode.mode,
            sys_mode_since_ms: mode.since.millis(),
            reasons: mode.reasons.iter().map(|code| code.reason()).collect(),
            uptime_s: whole(self.started.elapsed().as_secs()),
            run_id: evaluated.and_then(|e| e.run_id),
            cycle_id: evaluated.map(|e| e.evaluation_id),
            last_cycle_ms: evaluated.map_or(0, |e| e.ended_ms),
            decision_id: stage.as_ref().map(|s| s.decision_id.clone()).unwrap_or_default(),
            stage: stage.as_ref().map_or(StageName::Boot, |s| s.stage),
            stage_since_ms: stage.as_ref().map_or(now_ms, |s| s.since_ms),
            alerts: context.alerts.active(),
            disk_free_bytes: context.mode.progress().disk_free_bytes().unwrap_or(0),
            rss_bytes: whole(usage.rss_kb.saturating_mul(1_024)),
            cpu_pct_x10000: whole(usage.cpu_pct.saturating_mul(PCT_UNIT)),
            writer: self.writer(rates),
            quotes,
            windows,
            symbols,
            cluster_fsm,
            event_phase,
            limits: self.limits(),
            checklist: self.checklist(),
            confirm_pending: desk.confirming.iter().cloned().collect(),
            foreign_holds_quote: desk.foreign_holds_quote,
        }
    }
}
