//! Derives again what was stored: decisions from their inputs, generations from their raw rows.

use super::evidence::cycle;
use crate::invariants::{Facts, ReplayFact};
use anyhow::Context;
use penstock_ingest::verify::verify_generations;
use penstock_store_decision::evidence as decision;
use penstock_trading::cycle::CycleInput;
use penstock_trading::decide::{DecideConfig, decide};
use penstock_types::RunId;
use sqlx::PgPool;
use std::collections::{BTreeMap, BTreeSet};

/// Cycles per page; an input is some ten kilobytes compressed.
const CYCLES_PER_PAGE: i64 = 50;
/// Largest stored input, unpacked.
const INPUT_BYTES_MAX: usize = 64 << 20;

/// Every evaluation: its generations, and whether its stored input gives its stored outcome.
///
/// # Errors
/// When the cluster does not answer.
pub(crate) async fn cycles(facts: &mut Facts, pool: &PgPool) -> anyhow::Result<()> {
    let mut configs: BTreeMap<String, DecideConfig> = BTreeMap::new();
    let mut after = 0;
    loop {
        let page = decision::cycles(pool, after, CYCLES_PER_PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.evaluation_id;
        for evidence in &page {
            let Some(stored) = &evidence.input else {
                facts.cycles.push(cycle(evidence, 0));
                continue;
            };
            let what = format!("evaluation {}", evidence.evaluation_id);
            let outcome = again(pool, &mut configs, evidence, stored).await;
            let (generations, equal, what) = match outcome {
                Ok((generations, equal)) => (generations, equal, what),
                Err(error) => (0, false, format!("{what} ({error:#})")),
            };
            facts.cycles.push(cycle(evidence, generations));
            facts.replays.push(ReplayFact { what, equal });
        }
    }
}

/// Every run: whether its raw rows give its generations. One fact per generation with whole inputs.
///
/// # Errors
/// When the cluster does not answer.
pub(super) async fn generations(facts: &mut Facts, pool: &PgPool) -> anyhow::Result<()> {
    let runs: BTreeSet<RunId> = facts.runs.iter().map(|run| run.run_id).collect();
    for run_id in runs {
        let (equal, what) = match verify_generations(pool, run_id).await {
            Ok(report) => {
                for _ in 0..report.equal {
                    let what = format!("a generation of run {run_id}");
                    facts.replays.push(ReplayFact { what, equal: true });
                }
                (report.is_equal(), format!("generations {:?} of run {run_id}", report.different))
            }
            Err(error) => (false, format!("run {run_id} ({error})")),
        };
        facts.replays.push(ReplayFact { what, equal });
    }
    Ok(())
}

async fn again(
    pool: &PgPool,
    configs: &mut BTreeMap<String, DecideConfig>,
    evidence: &decision::CycleEvidence,
    stored: &[u8],
) -> anyhow::Result<(u64, bool)> {
    let hash = evidence.config_hash.as_deref().context("no configuration is named")?;
    if !configs.contains_key(hash) {
        let value = decision::config(pool, hash).await?;
        let mut config: DecideConfig = serde_json::from_value(value["decide"].clone())?;
        // The row's key is part of what decides and of no row.
        hash.clone_into(&mut config.contract.config_hash);
        configs.insert(hash.to_owned(), config);
    }
    let text = zstd::bulk::decompress(stored, INPUT_BYTES_MAX)?;
    let input: CycleInput = serde_json::from_slice(&text)?;
    let generations: BTreeSet<_> = input.states.iter().map(|row| row.generation_id).collect();
    let outcome = decide(&input, &configs[hash]).outcome_hash()?;
    Ok((generations.len() as u64, Some(outcome) == evidence.outcome_hash))
}
