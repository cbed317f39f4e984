//! What the process tells about itself, as events: recoveries, samples of health, days, and the stages that go with them.
//!
//! Input: the broadcast of the mode's owner. Output: events, stages. Invariants: changes of the mode are said by their
//! owner, in their order, and only their stage here; a sample waits for room and may be dropped where configuration
//! allows it, everything else is posted; a listener that lagged says how much it missed and goes on.

use penstock_audit::Draft;
use penstock_store_decision::daily::DailySummary;
use penstock_store_decision::health::HealthSample;
use penstock_types::Decimal;
use penstock_types::vocab::{AuditEventType, StageName, SysMode};
use serde_json::json;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::handle::AuditHandle;
use super::process::{Loop, StageNote};
use crate::mode::{RecoveryReport, Told};

/// Says what is told, until the end.
pub(crate) async fn say_told(audit: AuditHandle, mut told: Receiver<Told>, end: CancellationToken) {
    loop {
        // The end first, then what is still there.
        let next = tokio::select! {
            biased;
            () = end.cancelled() => break,
            next = told.recv() => next,
        };
        match next {
            // A sample that waits for room must not keep the end waiting.
            Ok(told) => {
                if end.run_until_cancelled(say(&audit, told)).await.is_none() {
                    break;
                }
            }
            Err(RecvError::Lagged(missed)) => missed_some(missed),
            Err(RecvError::Closed) => return,
        }
    }
    while let Ok(last) = told.try_recv() {
        if !matches!(last, Told::Health(_)) {
            say(&audit, last).await;
        }
    }
}

fn missed_some(missed: u64) {
    tracing::warn!("{missed} changes of the process are in their rows and not in the trail");
}

async fn say(audit: &AuditHandle, told: Told) {
    let enter = |stage, summary: String| {
        audit.enter(Loop::Service, stage, StageNote { summary, ..StageNote::default() });
    };
    match told {
        Told::Mode { change, .. } => match change.to {
            SysMode::Normal => {}
            SysMode::Degrade => enter(StageName::Degrade, causes(&change)),
            SysMode::Pause => enter(StageName::Pause, causes(&change)),
            SysMode::Exit => enter(StageName::Shutdown, String::new()),
        },
        Told::Recovery(report) => {
            let (class, orders) = (report.class.as_str(), report.orders_found);
            let positions = report.positions_found;
            let summary = format!("{class}, {orders} orders, {positions} positions");
            enter(StageName::StartupRecover, summary);
            audit.post(recovery(&report));
        }
        // A sample that nobody waits for may wait itself.
        Told::Health(sample) => audit.normal(health(&sample)).await,
        Told::Daily(summary) => {
            let (day, net) = (summary.day, summary.net_pnl_quote);
            let said = format!("{day}: {} trades, net {net}", summary.trades);
            enter(StageName::ReportDailySummary, said);
            audit.post(daily(&summary));
        }
    }
}

fn causes(change: &penstock_trading::mode::ModeChange) -> String {
    change.reasons.iter().map(|code| code.as_str()).collect::<Vec<_>>().join(" ")
}

/// A recovery that was judged.
#[must_use]
pub(crate) fn recovery(report: &RecoveryReport) -> Draft {
    let ms = report.at.millis();
    Draft::new(StageName::StartupRecover, AuditEventType::StartupRecovery, ms)
        .with("resume_class", report.class.as_str())
        .with("orders_found", report.orders_found)
        .with("positions_found", report.positions_found)
        .with("orders_resolved", report.orders_resolved)
}

/// A look at disk and database.
#[must_use]
pub(crate) fn health(sample: &HealthSample) -> Draft {
    let ms = sample.ts.millis();
    Draft::new(StageName::PositionManage, AuditEventType::DiskHealthSample, ms)
        .with("free_bytes", sample.disk_free_bytes)
        .with("db_bytes", sample.db_bytes)
        .with("wal_bytes", sample.wal_bytes)
        .with("jsonl_bytes", sample.jsonl_bytes)
}

/// A day that was summed up: its row, without the time at which that was written.
#[must_use]
pub(crate) fn daily(day: &DailySummary) -> Draft {
    let text = |amount: Decimal| amount.normalize().to_string();
    let ms = day.created_at.millis();
    Draft::new(StageName::ReportDailySummary, AuditEventType::DailySummary, ms)
        .with("day", day.day.to_string())
        .with("late", day.late)
        .with("trades", day.trades)
        .with("wins", day.wins)
        .with("losses", day.losses)
        .with("gross_pnl_quote", text(day.gross_pnl_quote))
        .with("fees_quote", text(day.fees_quote))
        .with("net_pnl_quote", text(day.net_pnl_quote))
        .with("slippage_bps_avg", json!(day.slippage_bps_avg.map(text)))
        .with("max_drawdown_quote", text(day.max_drawdown_quote))
        .with("maker_ratio_x10000", json!(day.maker_ratio_x10000))
        .with("blocks_by_code", day.blocks_by_code.clone())
        .with("dust_value_quote", text(day.dust_value_quote))
        .with("uptime_s_by_mode", day.uptime_s_by_mode.clone())
        .with("fill_to_protection_ms_p50", json!(day.fill_to_protection_ms_p50))
        .with("fill_to_protection_ms_p99", json!(day.fill_to_protection_ms_p99))
        .with("fill_to_protection_ms_max", json!(day.fill_to_protection_ms_max))
        .with("uncovered_seconds", text(day.uncovered_seconds))
}
