//! What the process tells about itself, as events: recoveries, samples of health, days, and the stages that go with them.
//!
//! Input: the broadcast of the mode's owner. Output: events, stages. Invariants: changes of the mode are said by their
//! owner, in their order, and only their stage here; nothing waits, so that a disk that hangs costs samples and no
//! recovery and no day: a sample without room is dropped and counted, everything else is posted; what a listener that
//! lagged missed is counted.

use penstock_audit::Draft;
use penstock_store_decision::daily::DailySummary;
use penstock_store_decision::health::HealthSample;
use penstock_types::Decimal;
use penstock_types::vocab::{AuditEventType, StageName, SysMode};
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
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
            Ok(told) => say(&audit, told),
            Err(RecvError::Lagged(missed)) => missed_some(&audit, missed),
            Err(RecvError::Closed) => return,
        }
    }
    loop {
        match told.try_recv() {
            Ok(last) => say(&audit, last),
            Err(TryRecvError::Lagged(missed)) => missed_some(&audit, missed),
            Err(TryRecvError::Empty | TryRecvError::Closed) => return,
        }
    }
}

fn missed_some(audit: &AuditHandle, missed: u64) {
    audit.shared.queue.miss(missed);
    tracing::warn!("{missed} changes of the process are in their rows and not in the trail");
}

fn say(audit: &AuditHandle, told: Told) {
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
        Told::Health(sample) => {
            audit.sample(health(&sample));
        }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use penstock_config::table::execution::ConsoleStage;
    use penstock_trading::recover::RecoveryFacts;
    use penstock_types::{SessionId, UtcMicros, Uuid};
    use tokio::sync::broadcast;

    use super::*;
    use crate::audit::console::Console;
    use crate::audit::handle::Shared;
    use crate::audit::pressure::PressureLimits;

    /// Longest wait for a listener that waits for nobody.
    const LIMIT: Duration = Duration::from_secs(60);

    /// A writer whose disk hangs: nothing is taken out of its queue of eight.
    fn stuck() -> AuditHandle {
        let console = Console::start(ConsoleStage::Off, false, Box::new(std::io::sink()));
        let limits = PressureLimits { capacity: 8, high_pct: 80, full_pct: 95, lag_ms_max: 60_000 };
        AuditHandle { shared: Arc::new(Shared::new(limits, false, console)) }
    }

    fn sample() -> Told {
        let sample = HealthSample {
            session_id: SessionId(Uuid::from_u128(1)),
            ts: UtcMicros(1_771_243_200_000_000),
            disk_free_bytes: 1,
            db_bytes: 1,
            wal_bytes: 1,
            jsonl_bytes: 1,
            queue_len: 0,
            queue_pct_x10000: 0,
            lag_ms: 0,
            rss_bytes: 1,
            cpu_pct_x10000: 0,
            events_per_min: 0,
            drops_per_min: 0,
            rest_counter: Decimal::ZERO,
            engine_counter_max: Decimal::ZERO,
        };
        Told::Health(Box::new(sample))
    }

    fn recovered() -> Told {
        let facts = RecoveryFacts::default();
        Told::Recovery(RecoveryReport {
            at: UtcMicros(1_771_243_200_000_000),
            at_start: true,
            class: facts.class(),
            facts,
            orders_found: 0,
            positions_found: 0,
            orders_resolved: 0,
        })
    }

    #[tokio::test]
    async fn a_disk_that_hangs_costs_samples_and_no_recovery() {
        // given more samples than there is room for, and a recovery after them
        let audit = stuck();
        let (tell, told) = broadcast::channel(64);
        for _ in 0..20 {
            tell.send(sample()).unwrap();
        }
        tell.send(recovered()).unwrap();
        drop(tell);

        // when they are said, then nothing waits
        let said = say_told(audit.clone(), told, CancellationToken::new());
        tokio::time::timeout(LIMIT, said).await.expect("it waits for no disk");

        // and what had no room is counted: three quarters of the queue are for samples
        let lost = audit.figures().lost;
        assert_eq!((lost.samples, lost.missed), (14, 0));
        let (taken, _) = audit.shared.queue.take(64, Duration::ZERO);
        let types: Vec<_> = taken.iter().map(|waiting| waiting.draft.event_type).collect();
        assert_eq!(types[0], AuditEventType::StartupRecovery);
        assert_eq!(types[1..7], [AuditEventType::DiskHealthSample; 6]);
        assert_eq!(types[7..], [AuditEventType::StageChanged]);
    }

    #[tokio::test]
    async fn what_a_listener_that_lagged_missed_is_counted_at_the_end_too() {
        for is_ended in [false, true] {
            let audit = stuck();
            let (tell, told) = broadcast::channel(2);
            for _ in 0..5 {
                tell.send(recovered()).unwrap();
            }
            drop(tell);
            let end = CancellationToken::new();
            if is_ended {
                end.cancel();
            }
            say_told(audit.clone(), told, end).await;
            let lost = audit.figures().lost;
            assert_eq!((lost.missed, lost.total()), (3, 3), "ended {is_ended}");
        }
    }
}
