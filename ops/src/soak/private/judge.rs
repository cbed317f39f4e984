//! The verdicts on a finished run of the private side.
//!
//! Inputs: the venue's account, both clusters, the services' logs, the faults that were staged. Output: [`Judged`].
//! Invariants: the venue is asked once, after the services have stopped; an interval without cover is listed
//! whether it is allowed or not.

use super::course::Happened;
use super::deeds::Hands;
use super::money::{self, Money};
use super::panel::leaks;
use super::plan::Over;
use super::report::{Judged, Met};
use super::second;
use crate::demo::gather::{VenueAccount, gather};
use crate::demo::venue::Venue;
use crate::invariants::{
    CoverFacts, CoverFault, CoverPhase, CriticalFact, Facts, Invariant, UncoveredFact, Verdict,
    cover_verdict, judge as judge_run, judge_cover,
};
use crate::soak::Args;
use crate::stack::{EXECUTION, StackOptions};
use crate::validate::Lines;
use anyhow::{Context, ensure};
use penstock_clusters::ClusterKind;
use penstock_store_decision::ledger_read::{Books, books};
use penstock_store_decision::{alerts, evidence};
use penstock_types::UtcMicros;
use penstock_types::vocab::Severity;
use serde_json::Value;
use sqlx::PgPool;
use std::collections::BTreeSet;
use std::time::Duration;

/// Requests that place, change or end an order.
const ORDER_METHODS: [&str; 6] =
    ["add_order", "amend_order", "cancel_order", "batch_cancel", "AmendOrder", "CancelOrder"];
/// Alerts that are kept at most; with so many the oldest may be missing.
const ALERTS_MAX: usize = 1_024;

/// A run whose services have stopped and whose clusters and venue still answer.
pub(super) struct Run<'a> {
    pub(super) args: &'a Args,
    pub(super) options: &'a StackOptions,
    pub(super) venue: &'a Venue,
    pub(super) hands: &'a Hands,
    pub(super) happened: Vec<Happened>,
    /// Faults that were planned and not staged.
    pub(super) unstaged: Vec<String>,
    pub(super) length: Duration,
    pub(super) ended_at: UtcMicros,
}

/// What an hour has to reach, and what was reached.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// Positions that were closed, by anything but the end of the run.
    pub(super) closed: u64,
    /// Their pairs.
    pub(super) symbols: u64,
    /// Requests about orders that reached the venue.
    pub(super) order_requests: u64,
    /// Fills that left their order unfilled.
    pub(super) partial_fills: u64,
    /// Orders that went through `submit_unknown`.
    pub(super) unknown: u64,
}

/// Judges a run.
///
/// # Errors
/// When the venue, a cluster or a log cannot be read.
pub(super) async fn judge(run: &Run<'_>) -> anyhow::Result<Judged> {
    let pool = async |kind| {
        let url = run.options.url(kind, "observer_ro")?;
        anyhow::Ok(crate::databases::pool(&url, kind).await?)
    };
    let (decision, ingest) = (pool(ClusterKind::Decision).await?, pool(ClusterKind::Ingest).await?);
    let account = VenueAccount::of(&run.venue.addresses.admin, &decision).await?;
    let (ledger, exposure) = (account.ledger.clone(), account.exposure.clone());
    let (mut facts, _) = gather(account, &decision, &ingest).await?;
    facts.venue_orders.retain(|order| !run.hands.own_orders.contains(&order.order_id));
    let books = books(&decision).await?;
    let counts = counts(&facts, &books, &ledger, &decision).await?;
    let starts = starts(run)?;
    let looks = looks(&decision, &starts).await?;
    let cover = CoverFacts {
        intervals: intervals(&ledger, &exposure, run.ended_at)?,
        faults: faults(run, &starts, &looks),
        critical: critical(&decision).await?,
        looks,
    };
    let uncovered = judge_cover(&cover);
    let mut invariants = judge_run(&facts);
    invariants.put(Invariant::J5, cover_verdict(&facts, &uncovered));
    let Money { verdict, figures } = money::judge(&facts, &books);
    let others = vec![("money", verdict), ("staged", staged(run)), ("J16", j16(run)?)];
    Ok(Judged {
        minutes: run.args.minutes,
        seed: run.args.seed,
        length: run.length,
        faults: run.happened.iter().map(|happened| met(happened, &facts)).collect(),
        counts,
        uncovered,
        invariants,
        money: figures,
        others,
    })
}

/// A fault with the requests about orders that came while it lasted: one that nobody met has shown nothing.
fn met(happened: &Happened, facts: &Facts) -> Met {
    let Happened { staged, from, to, .. } = happened;
    let within = facts.requests.iter().filter(|request| {
        let at = request.first_byte_at;
        *from <= at && at <= *to && ORDER_METHODS.contains(&request.method.as_str())
    });
    Met { what: staged.what.clone(), from: *from, to: *to, order_requests: within.count() as u64 }
}

async fn counts(
    facts: &Facts,
    books: &Books,
    ledger: &Value,
    decision: &PgPool,
) -> anyhow::Result<Counts> {
    let positions = evidence::positions(decision).await?;
    let closed = positions.iter().filter(|position| {
        position.status == "closed" && position.exit_reason.as_deref() != Some("operator")
    });
    let symbols: BTreeSet<&str> = closed.clone().map(|one| one.symbol.as_str()).collect();
    let about_orders = |method: &str| ORDER_METHODS.contains(&method);
    let requests = facts.requests.iter().filter(|request| about_orders(&request.method));
    let timeline = ledger["timeline"].as_array().context("the venue's ledger has no timeline")?;
    let partial =
        |event: &&Value| event["exec_type"] == "trade" && event["cum_qty"] != event["qty"];
    let unknown = books.events.iter().filter(|event| event.to_state == "submit_unknown");
    let unknown: BTreeSet<i64> = unknown.map(|event| event.order_id).collect();
    Ok(Counts {
        closed: closed.count() as u64,
        symbols: symbols.len() as u64,
        order_requests: requests.count() as u64,
        partial_fills: timeline.iter().filter(partial).count() as u64,
        unknown: unknown.len() as u64,
    })
}

/// Every uncovered interval; a close is a maker's while a limit order that rests sells.
fn intervals(
    ledger: &Value,
    exposure: &Value,
    ended_at: UtcMicros,
) -> anyhow::Result<Vec<UncoveredFact>> {
    let rows = exposure["intervals"].as_array().context("the venue's exposure has no intervals")?;
    let orders = ledger["orders"].as_array().context("the venue's ledger has no orders")?;
    let mut found = Vec::new();
    for row in rows {
        let symbol = row["symbol"].as_str().context("an interval without a pair")?;
        let from_us = row["from_us"].as_i64().context("an interval without a beginning")?;
        let to_us = row["to_us"].as_i64().unwrap_or(ended_at.0);
        let rests = |order: &&Value| {
            let tif = order["time_in_force"].as_str().unwrap_or_default();
            order["symbol"] == symbol
                && order["side"] == "sell"
                && order["order_type"] == "limit"
                && !["ioc", "fok"].iter().any(|word| tif.eq_ignore_ascii_case(word))
                && order["opened_us"].as_i64().is_some_and(|at| at <= to_us)
                && order["closed_us"].as_i64().is_none_or(|at| at >= from_us)
        };
        let phase = match row["phase"].as_str() {
            Some("closing") if orders.iter().any(|order| rests(&order)) => CoverPhase::MakerClosing,
            Some("closing") => CoverPhase::Closing,
            Some("holding") => CoverPhase::Holding,
            other => anyhow::bail!("an interval of the phase {other:?}"),
        };
        let (from, to) = (UtcMicros(from_us), UtcMicros(to_us));
        found.push(UncoveredFact { symbol: symbol.to_owned(), phase, from, to });
    }
    Ok(found)
}

/// When a trading service had reconciled for the first time in its life, by both logs.
fn starts(run: &Run<'_>) -> anyhow::Result<Vec<UtcMicros>> {
    let log = run.options.root.log();
    let mut files = vec![log.join(format!("{EXECUTION}.jsonl"))];
    files.extend(Some(second::log_file(run.options)).filter(|file| file.exists()));
    let lines = Lines::read(&files, UtcMicros(0))?;
    let starts = lines.of("RECONCILE_COMPLETE").filter(|line| line.text("kind") == "START");
    Ok(starts.map(|line| line.ts).collect())
}

/// Ends of all whole looks, those of the starts among them.
async fn looks(decision: &PgPool, starts: &[UtcMicros]) -> anyhow::Result<Vec<UtcMicros>> {
    let rows = evidence::reconciles(decision).await?;
    let ends = rows
        .into_iter()
        .map(|row| UtcMicros::from(row.started_at).plus_millis(i64::from(row.dur_ms)));
    let mut looks: Vec<UtcMicros> = ends.chain(starts.iter().copied()).collect();
    looks.sort_unstable();
    Ok(looks)
}

/// The faults with their ends; that of a process or a cluster is the first reconciliation after it.
fn faults(run: &Run<'_>, starts: &[UtcMicros], looks: &[UtcMicros]) -> Vec<CoverFault> {
    let one = |happened: &Happened| {
        let Happened { staged, from, to, .. } = happened;
        let to = match staged.over {
            Over::After(_) => *to,
            Over::Reconciled(least_ms) => {
                let since = from.plus_millis(least_ms);
                let is_process = staged.kind.is_process();
                let ends = if is_process { starts } else { looks };
                ends.iter().copied().find(|end| *end >= since).unwrap_or(run.ended_at)
            }
        };
        let (what, venue_answers) = (staged.what.clone(), staged.venue_answers);
        CoverFault { what, from: *from, to, venue_answers }
    };
    run.happened.iter().map(one).collect()
}

async fn critical(decision: &PgPool) -> anyhow::Result<Vec<CriticalFact>> {
    let rows = alerts::stored(decision).await?;
    ensure!(rows.len() < ALERTS_MAX, "{ALERTS_MAX} alerts are kept, older ones may be missing");
    let critical = rows.into_iter().map(|row| row.alert);
    let critical = critical.filter(|alert| alert.severity == Severity::Crit);
    Ok(critical
        .map(|alert| CriticalFact {
            symbol: alert.symbol.as_str().to_owned(),
            reason: alert.reason_code.as_str().to_owned(),
            first: UtcMicros(alert.first_ts_ms.0.saturating_mul(1_000)),
            last: UtcMicros(alert.last_ts_ms.0.saturating_mul(1_000)),
        })
        .collect())
}

/// Every fault that was planned was staged, all of it.
fn staged(run: &Run<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    for happened in &run.happened {
        verdict.check(happened.missed == 0, || {
            format!("{}: {} deeds were not possible", happened.staged.what, happened.missed)
        });
    }
    for what in &run.unstaged {
        verdict.check(false, || format!("{what}: not staged before the end"));
    }
    verdict
}

/// J16: the panel refused what it must refuse, and nothing that was written shows a secret.
fn j16(run: &Run<'_>) -> anyhow::Result<Verdict> {
    let mut verdict = Verdict::default();
    let panel = &run.hands.panel;
    (0..panel.answered).for_each(|_| verdict.saw());
    panel.wrong.iter().for_each(|wrong| verdict.fail(wrong.clone()));
    let log = run.options.root.log();
    verdict.saw();
    for leak in leaks(&log, &run.hands.secrets).context("look for secrets in the logs")? {
        verdict.fail(leak);
    }
    Ok(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_close_is_a_makers_while_a_limit_order_that_rests_sells() {
        let order = |tif: &str, closed: i64| {
            json!({
                "symbol": "A/USD", "side": "sell", "order_type": "limit", "time_in_force": tif,
                "opened_us": 5, "closed_us": closed,
            })
        };
        let exposure = json!({"intervals": [
            {"symbol": "A/USD", "phase": "closing", "from_us": 10, "to_us": 20},
            {"symbol": "B/USD", "phase": "holding", "from_us": 10, "to_us": null},
        ]});
        let phases = |orders: Value| -> Vec<CoverPhase> {
            let found = intervals(&json!({ "orders": orders }), &exposure, UtcMicros(99)).unwrap();
            assert_eq!(found[1].to, UtcMicros(99));
            found.into_iter().map(|one| one.phase).collect()
        };
        let expected = [CoverPhase::MakerClosing, CoverPhase::Holding];
        assert_eq!(phases(json!([order("gtc", 15)])), expected);
        assert_eq!(phases(json!([order("ioc", 15)]))[0], CoverPhase::Closing);
        assert_eq!(phases(json!([order("gtc", 9)]))[0], CoverPhase::Closing, "it had ended");
    }
}
