//! The verdicts on a finished run.
//!
//! Inputs: both clusters, the venue's send log and figures, the faults that were staged. Output: [`Verdicts`].
//! Parts: `pass` reads rows and log side by side, `trades`, `books` and `gaps` compare, `without` derives
//! generations without what was fetched, `outages` holds the mode against the faults. It changes nothing.

mod books;
mod gaps;
mod log;
mod outages;
mod pass;
mod trades;
mod without;

use super::Args;
use super::course::{Processes, digits};
use super::figures::{Quantiles, Times};
use super::plan::Staged;
use super::processes::kept_memory;
use crate::invariants::{Facts, Invariant, Report, Verdict, judge as judge_run, judge_outages};
use crate::stack::StackOptions;
use crate::verify::checked_frames;
use anyhow::Context;
use gaps::{Known, LIMIT_MS, allowed_ms, connect_pause_ms};
use pass::Pass;
use penstock_clusters::ClusterKind;
use penstock_ingest::verify::verify_generations;
use penstock_store_decision::frames_read::frames_after;
use penstock_store_ingest::evidence::{Lags, RunTimes, load_lag, publication_times, run_times};
use penstock_store_ingest::runs::load_cursor;
use penstock_types::vocab::{Blocker, Venue};
use penstock_types::{RunId, TickId, UtcMicros};
use serde_json::{Value, json};
use sqlx::PgPool;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;
use trades::Counts;

/// Frames per page.
const FRAMES_PER_PAGE: i64 = 240;
/// Time after a rollover in which every feature must be there.
const AFTER_ROLLOVER_MS: i64 = 60_000;
/// Findings that are shown of each verdict.
const FINDINGS_SHOWN: usize = 10;
/// The venues with the names of their figures.
const VENUES: [(Venue, &str); 3] = [
    (Venue::KrakenSpot, "kraken_spot"),
    (Venue::KrakenFutures, "kraken_futures"),
    (Venue::BinanceUm, "binance_um"),
];

/// A fault that was staged.
#[derive(Clone, Debug)]
pub(super) struct Happened {
    /// What it was.
    pub staged: Staged,
    /// Before it was asked for.
    pub from: UtcMicros,
    /// After it was asked for.
    pub until: UtcMicros,
}

/// A run whose services and venue have stopped.
pub(super) struct Run<'a> {
    pub args: &'a Args,
    pub options: &'a StackOptions,
    pub send_log: &'a Path,
    /// Lines that the venue wrote.
    pub lines: u64,
    pub stats: &'a Value,
    pub markets: &'a Value,
    pub happened: Vec<Happened>,
    /// How long it went.
    pub length: Duration,
    /// Memory is compared from here on.
    pub growth_from: Duration,
    pub began_at: UtcMicros,
    pub ready_at: UtcMicros,
    pub stopping_at: UtcMicros,
    pub ended_at: UtcMicros,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Verdicts {
    pub faults: u64,
    pub seal_lag: Quantiles,
    pub frame_visible: Quantiles,
    pub received: Quantiles,
    pub behind: Quantiles,
    pub load_lag: Lags,
    pub publication: Lags,
    pub trades: Vec<(&'static str, Counts)>,
    pub gap_rows: u64,
    /// Venue, blind milliseconds, allowed ones.
    pub blind: Vec<(&'static str, i64, i64)>,
    pub samples: [u64; 2],
    pub runs: u64,
    pub rollovers: u64,
    pub generations: Derived,
    pub frames: Derived,
    pub without_fetched: Option<Derived>,
    pub invariants: Report,
    /// Further verdicts with their names.
    pub others: Vec<(&'static str, Verdict)>,
    pub requests: Value,
}

/// Counts of a derivation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Derived {
    pub equal: u64,
    pub incomplete: u64,
    pub different: u64,
}

impl Derived {
    /// As JSON.
    pub(super) fn json(&self) -> Value {
        json!({
            "equal": self.equal, "incomplete": self.incomplete, "different": self.different,
        })
    }
}

impl Verdicts {
    /// Nothing is false, and everything that was derived is equal.
    pub(super) fn passes(&self) -> bool {
        let derived = [Some(self.generations), Some(self.frames), self.without_fetched];
        self.invariants.passes(&[Invariant::J9, Invariant::J10])
            && self.others.iter().all(|(_, verdict)| verdict.holds() != Some(false))
            && derived.into_iter().flatten().all(|one| one.different == 0 && one.equal > 0)
    }

    /// The first findings of everything that is false.
    pub(super) fn findings(&self) -> Vec<String> {
        let of_run = self.invariants.findings().map(|(name, text)| format!("{name}: {text}"));
        let others = self.others.iter().flat_map(|(name, verdict)| {
            let shown = verdict.findings.iter().take(FINDINGS_SHOWN);
            shown.map(move |finding| format!("{name}: {}", finding.0))
        });
        of_run.chain(others).collect()
    }
}

/// Judges a run.
///
/// # Errors
/// When a cluster or the send log cannot be read.
pub(super) async fn judge(run: &Run<'_>, processes: &Processes) -> anyhow::Result<Verdicts> {
    let pool = async |kind| {
        let url = run.options.url(kind, "observer_ro")?;
        anyhow::Ok(crate::databases::pool(&url, kind).await?)
    };
    let (ingest, decision) = (pool(ClusterKind::Ingest).await?, pool(ClusterKind::Decision).await?);
    let times = run_times(&ingest).await?;
    let runs: Vec<RunId> = times.iter().map(|times| RunId(times.run_id)).collect();
    let (visible, seal_lag) = frames(&decision).await?;
    let faults = outages::faults(run, &decision).await?;
    let kills = known(run, faults.iter().filter(|fault| fault.costs_frames));
    let mut others = vec![("frames", delivered(&visible, run, &kills))];
    let known = known(run, &faults);
    let mut pass = Pass::new(run.send_log, &digits(run.markets), visible)?;
    let lines = pass.run(&ingest, &runs).await.context("hold the rows against the send log")?;
    let mut whole = Verdict::default();
    whole.check(lines == run.lines, || format!("{lines} lines of {} were read", run.lines));
    whole.check(pass.unloaded.is_empty(), || format!("not loaded to the end: {:?}", pass.unloaded));
    others.push(("recorded", whole));
    let trades = trades(&mut pass, &mut others);
    if run.args.cut_s.is_some() {
        others.push(("fetched", fetched(&trades)));
    }
    let blind = blind(run, &pass, &faults, &known, &mut others);
    others.push(("samples", samples(&pass, &known)));
    let services = [("ingest", &processes.ingest), ("execution", &processes.execution)];
    others.push(("memory", kept_memory(services, run.growth_from, run.length)));
    let rollovers = rollovers(&times, &decision, &mut others).await?;
    let (generations, frames, without_fetched) = derived(run, &runs, &ingest, &decision).await?;
    let mut invariants = recorded(&decision, &ingest).await?;
    let outages = outages::facts(run, faults, &decision, processes).await?;
    let judged = judge_outages(&outages);
    for name in [Invariant::J13, Invariant::J14, Invariant::J15] {
        invariants.put(name, judged.verdict(name).cloned().unwrap_or_default());
    }
    invariants.put(Invariant::J9, std::mem::take(&mut pass.books));
    others.push(("level3", std::mem::take(&mut pass.level3)));
    let books = invariants.verdict(Invariant::J9).map_or(0, |verdict| verdict.judged);
    let level3 = others.last().map_or(0, |(_, verdict)| verdict.judged);
    Ok(Verdicts {
        faults: run.happened.len() as u64,
        seal_lag,
        frame_visible: pass.frame_visible.quantiles(),
        received: pass.received.quantiles(),
        behind: pass.behind.quantiles(),
        load_lag: load_lag(&ingest).await?,
        publication: publication_times(&ingest).await?,
        trades,
        gap_rows: pass.gaps.count(),
        blind,
        samples: [books, level3],
        runs: runs.len() as u64,
        rollovers,
        generations,
        frames,
        without_fetched,
        invariants,
        others,
        requests: run.stats["rest"].clone(),
    })
}

/// When each tick became visible, and how long that took from its end.
async fn frames(decision: &PgPool) -> anyhow::Result<(HashMap<i64, UtcMicros>, Quantiles)> {
    let (mut visible, mut lags) = (HashMap::new(), Times::default());
    let mut after = TickId(i64::MIN);
    loop {
        let page = frames_after(decision, after, FRAMES_PER_PAGE).await?;
        let Some(last) = page.last() else { return Ok((visible, lags.quantiles())) };
        after = last.tick_id;
        for frame in &page {
            visible.insert(frame.tick_id.0, frame.published_at);
            lags.push_us(i64::from(frame.seal_lag_ms) * 1_000);
        }
    }
}

/// Each tick has its frame on the decision cluster, but for those that a kill of ingest explains: no other
/// fault that is staged can cost one.
fn delivered(visible: &HashMap<i64, UtcMicros>, run: &Run<'_>, kills: &[Known]) -> Verdict {
    let mut verdict = Verdict::default();
    let first = run.ready_at.tick().0 + 1;
    for tick in (first..run.stopping_at.tick().0).map(TickId) {
        let is_known = || {
            let near = |one: &Known| {
                one.from <= tick.end() && tick.start() <= one.to.plus_millis(LIMIT_MS)
            };
            kills.iter().any(near)
        };
        verdict.check(visible.contains_key(&tick.0) || is_known(), || {
            format!("tick {tick} has no frame and no kill of ingest explains it")
        });
    }
    verdict
}

/// What explains blind time: faults, the start, the stop.
fn known<'a>(run: &Run<'_>, faults: impl IntoIterator<Item = &'a outages::Timed>) -> Vec<Known> {
    let all = VENUES.map(|(venue, _)| venue).to_vec();
    let mut known: Vec<Known> = faults
        .into_iter()
        .map(|fault| Known {
            venues: fault.venues.clone(),
            from: fault.fact.from,
            to: fault.fact.to,
        })
        .collect();
    // The start until everything was there, and the stop.
    for (from, to) in [(run.began_at, run.ready_at), (run.stopping_at, run.ended_at)] {
        known.push(Known { venues: all.clone(), from, to });
    }
    known
}

fn trades(
    pass: &mut Pass,
    others: &mut Vec<(&'static str, Verdict)>,
) -> Vec<(&'static str, Counts)> {
    let mut by_venue: HashMap<Venue, Counts> = HashMap::new();
    let mut verdict = Verdict::default();
    let gaps = std::mem::take(&mut pass.gaps);
    for ((venue, symbol), ids) in std::mem::take(&mut pass.ids) {
        let covered = |from, to| gaps.covers(venue, &symbol, from, to);
        *by_venue.entry(venue).or_default() += ids.judge(&symbol, covered, &mut verdict);
    }
    pass.gaps = gaps;
    others.push(("trades", verdict));
    VENUES.map(|(venue, name)| (name, by_venue.get(&venue).copied().unwrap_or_default())).to_vec()
}

/// After a cut everything that the venue can be asked for has come back.
fn fetched(trades: &[(&'static str, Counts)]) -> Verdict {
    let mut verdict = Verdict::default();
    for (name, counts) in trades {
        verdict
            .check(counts.missing == 0, || format!("{name}: {} did not come back", counts.missing));
        verdict.check(counts.fetched > 0, || format!("{name}: nothing was fetched"));
    }
    verdict
}

fn blind(
    run: &Run<'_>,
    pass: &Pass,
    faults: &[outages::Timed],
    known: &[Known],
    others: &mut Vec<(&'static str, Verdict)>,
) -> Vec<(&'static str, i64, i64)> {
    others.push(("gaps", pass.gaps.explained(known)));
    let of_faults = &known[..faults.len()];
    let mut verdict = Verdict::default();
    let mut blind = Vec::new();
    for (venue, name) in VENUES {
        let ms = pass.gaps.blind_ms(venue, run.ready_at, run.stopping_at);
        let paused = run.args.cut_s.map_or(0, |_| connect_pause_ms(venue));
        let allowed = allowed_ms(of_faults, venue) + paused;
        verdict.check(ms <= allowed, || format!("{name} was blind for {ms} ms of {allowed}"));
        blind.push((name, ms, allowed));
    }
    others.push(("blind", verdict));
    blind
}

/// A symbol whose books were sent has a sample, a gap or a fault.
fn samples(pass: &Pass, known: &[Known]) -> Verdict {
    let mut verdict = Verdict::default();
    for (symbol, from, to) in &pass.holes {
        let is_known = known.iter().any(|one| {
            one.venues.contains(&Venue::KrakenSpot)
                && *from <= one.to.plus_millis(LIMIT_MS)
                && *to >= one.from.plus_millis(-LIMIT_MS)
        });
        let ok = is_known || pass.gaps.covers(Venue::KrakenSpot, symbol, *from, *to);
        verdict.check(ok, || format!("{symbol}: books were sent, no sample from {from} to {to}"));
    }
    verdict
}

/// Rollovers, and whether a feature was missing in the minute after one.
async fn rollovers(
    times: &[RunTimes],
    decision: &PgPool,
    others: &mut Vec<(&'static str, Verdict)>,
) -> anyhow::Result<u64> {
    let mut verdict = Verdict::default();
    let rolled = times.iter().filter(|run| run.end_reason.as_deref() == Some("rollover"));
    let mut count = 0;
    for run in rolled {
        count += 1;
        let Some(from) = run.ended_at.map(UtcMicros::from) else { continue };
        let to = from.plus_millis(AFTER_ROLLOVER_MS);
        let (Some(from), Some(to)) = (from.to_chrono(), to.to_chrono()) else { continue };
        for cycle in penstock_store_decision::evidence::blockers(decision, from, to).await? {
            let counts = cycle.blocker_counts.unwrap_or_default();
            let missing = counts[Blocker::FeatureIncomplete.as_str()].as_i64().unwrap_or(0);
            verdict.check(missing == 0, || {
                let (run, at) = (run.run_id, cycle.started_at);
                format!("after run {run}, at {at}: a feature is missing of {missing} symbols")
            });
        }
    }
    others.push(("rollovers", verdict));
    Ok(count)
}

/// Everything derived again.
async fn derived(
    run: &Run<'_>,
    runs: &[RunId],
    ingest: &PgPool,
    decision: &PgPool,
) -> anyhow::Result<(Derived, Derived, Option<Derived>)> {
    let (mut generations, mut frames) = (Derived::default(), Derived::default());
    let mut without = run.args.cut_s.map(|_| Derived::default());
    for run_id in runs {
        let report = verify_generations(ingest, *run_id).await?;
        generations.equal += report.equal;
        generations.incomplete += report.incomplete;
        generations.different += report.different.len() as u64;
        if let Some(cursor) = load_cursor(ingest, *run_id).await?.filter(|c| c.last_seq.0 > 0) {
            let found = checked_frames(ingest, decision, &cursor).await?;
            frames.equal += found.equal;
            frames.incomplete += found.incomplete;
            frames.different += found.different;
            if let Some(first) = found.first {
                eprintln!("frames of run {run_id}: {first:?}");
            }
        }
        if let Some(without) = without.as_mut() {
            let found = without::without_fetched(ingest, *run_id).await?;
            without.equal += found.equal;
            without.different += found.different;
        }
    }
    Ok((generations, frames, without))
}

/// J8 and J10 by the clusters' own rows.
async fn recorded(decision: &PgPool, ingest: &PgPool) -> anyhow::Result<Report> {
    let mut facts = Facts::default();
    crate::demo::evidence::recording(&mut facts, ingest).await?;
    crate::demo::replays::cycles(&mut facts, decision).await?;
    Ok(judge_run(&facts))
}
