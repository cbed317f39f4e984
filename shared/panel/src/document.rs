//! A document from its two halves, as bytes within their limit.
//!
//! Input: figures of the process, sections of the database, identity. Output: the document and its text on one line.
//! Invariants: the fields that live in the process are of now, also when the database's are old; a text beyond
//! [`BYTES_MAX`] loses its series, then its candles, and nothing else.

use std::cmp::Reverse;

use bytes::Bytes;
use penstock_contracts::alert::Alert;
use penstock_contracts::dashboard::{AlertAggregateRow, DashboardSnapshot, HealthSnapshot, List};
use penstock_contracts::units::{PctX10000, TsMs};
use penstock_contracts::vocab::Mode;
use penstock_types::vocab::Severity;

use crate::live::Live;
use crate::rows::Stored;

/// Longest document; what a browser takes once a second without effort.
pub const BYTES_MAX: usize = 256 * 1_024;

/// Puts a document together. `stale_ms` is the age of the sections from the database, 0 when they are of now.
#[must_use]
pub fn assemble(live: &Live, stored: &Stored, stale_ms: i64) -> DashboardSnapshot {
    let mut ext = stored.ext.clone();
    ext.symbols = merged(live, stored);
    ext.cluster_fsm = live.cluster_fsm.iter().cloned().collect();
    ext.event_phase.clone_from(&live.event_phase);
    ext.limits = live.limits.clone();
    ext.checklist = live.checklist.iter().cloned().collect();
    ext.stale_ms = stale_ms;
    DashboardSnapshot {
        ts_ms: TsMs(live.now_ms),
        mode: Mode::Live,
        sys_mode: live.sys_mode,
        sys_mode_since_ts_ms: TsMs(live.sys_mode_since_ms),
        active_reason_codes: live.reasons.iter().copied().collect(),
        uptime_s: live.uptime_s,
        run_id: id(live.run_id.map(|run| run.0)),
        cycle_id: id(live.cycle_id.map(|cycle| cycle.0)),
        decision_id: live.decision_id.clone(),
        stage: live.stage,
        stage_since_ts_ms: TsMs(live.stage_since_ms),
        alerts_active: alerts(live),
        stage_history: stored.stage_history.clone(),
        health: health(live, stored),
        intents: stored.intents.clone(),
        reconcile: stored.reconcile.clone(),
        market: stored.market.clone(),
        risk: stored.risk.clone(),
        aigate: stored.aigate.clone(),
        topk: stored.topk.clone(),
        ext,
    }
}

/// The document on one line.
#[must_use]
pub fn text(mut document: DashboardSnapshot) -> Bytes {
    let mut text = line(&document);
    if text.len() > BYTES_MAX {
        document.ext.series = List::default();
        text = line(&document);
    }
    if text.len() > BYTES_MAX {
        document.ext.candles = List::default();
        text = line(&document);
    }
    Bytes::from(text)
}

fn line(document: &DashboardSnapshot) -> Vec<u8> {
    serde_json::to_vec(document).expect("the document has text keys and plain values only")
}

/// An id as text; empty for none and for 0, which no row has.
fn id(number: Option<i64>) -> String {
    number.filter(|number| *number > 0).map(|number| number.to_string()).unwrap_or_default()
}

/// CRIT, WARN, INFO, then the newest first.
fn alerts<const MAX: usize>(live: &Live) -> List<AlertAggregateRow, MAX> {
    let mut active: Vec<&Alert> = live.alerts.iter().collect();
    active.sort_by_key(|alert| (Reverse(alert.severity), Reverse(alert.last_ts_ms)));
    active.into_iter().map(row).collect()
}

/// An alert as its row.
#[must_use]
pub fn row(alert: &Alert) -> AlertAggregateRow {
    AlertAggregateRow {
        severity: alert.severity,
        reason_code: alert.reason_code,
        count: alert.count,
        first_ts_ms: alert.first_ts_ms,
        last_ts_ms: alert.last_ts_ms,
        stage: alert.stage,
        cycle_id: id(Some(alert.cycle_id.0)),
        decision_id: alert.decision_id.clone(),
        order_intent_id: alert.order_intent_id.clone(),
        source: alert.source,
        symbol: alert.symbol.as_str().to_owned(),
        summary: alert.summary.as_str().to_owned(),
    }
}

/// Alerts that were not there, or are worse than they were.
#[must_use]
pub fn risen(before: &[Alert], now: &[Alert]) -> Vec<AlertAggregateRow> {
    let was = |alert: &Alert| -> Option<Severity> {
        let same = |other: &&Alert| {
            other.source == alert.source
                && other.reason_code == alert.reason_code
                && other.symbol == alert.symbol
                && other.first_ts_ms == alert.first_ts_ms
        };
        before.iter().find(same).map(|other| other.severity)
    };
    now.iter().filter(|alert| was(alert).is_none_or(|s| s < alert.severity)).map(row).collect()
}

fn health(live: &Live, stored: &Stored) -> HealthSnapshot {
    let pct = |value: i64| PctX10000(i32::try_from(value).unwrap_or(i32::MAX));
    let writer = &live.writer;
    HealthSnapshot {
        disk_free_bytes: live.disk_free_bytes,
        sqlite_bytes: stored.db_bytes,
        wal_bytes: stored.wal_bytes,
        process_rss_bytes: live.rss_bytes,
        process_cpu_pct_x10000: pct(live.cpu_pct_x10000),
        audit_writer_queue_pct_x10000: pct(writer.queue_pct_x10000),
        audit_writer_queue_len: writer.queue_len,
        audit_writer_lag_ms: writer.lag_ms,
        audit_writer_pressure: writer.pressure,
        events_per_min: writer.events_per_min,
        drops_per_min: writer.drops_per_min,
        last_cycle_ts_ms: TsMs(live.last_cycle_ms),
        last_writer_commit_ts_ms: TsMs(writer.last_commit_ms),
    }
}

/// What the database says of symbols, with the engine's figures of now.
fn merged<const MAX: usize>(
    live: &Live,
    stored: &Stored,
) -> List<penstock_contracts::dashboard::SymbolInfo, MAX> {
    let now = |old: &penstock_contracts::dashboard::SymbolInfo| {
        let Some(new) = live.symbols.iter().find(|new| new.symbol == old.symbol) else {
            return old.clone();
        };
        penstock_contracts::dashboard::SymbolInfo {
            market_regime: old.market_regime.clone(),
            regime_sub: old.regime_sub.clone(),
            symbol_mode: old.symbol_mode.clone(),
            ..new.clone()
        }
    };
    stored.ext.symbols.items().iter().map(now).collect()
}
