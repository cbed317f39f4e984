//! `penstock replay --run R [--write-state]`: the state of a run's last generation from its raw rows.
//!
//! Inputs: raw rows, cut times and checkpoints of the ingest cluster. Output: what was derived; with
//! `--write-state` the rows of `run_symbol_state` and the watermarks there are written again. Invariants:
//! nothing is written that does not have the recorded hash; nothing beside a service, because the run must
//! be closed and the newest of its domain; the decision cluster is never touched.

use std::path::PathBuf;

use penstock_clusters::ClusterKind;
use penstock_ingest::verify::last_generation;
use penstock_market::replay::{Derived, Verdict};
use penstock_store::state_copy::encode_state;
use penstock_store_ingest::generations::{Watermark, rewrite_state};
use penstock_store_ingest::runs::{LoadCursor, load_cursor};
use penstock_store_ingest::verify_read::{dropped_tables, newest_run_beside};
use penstock_types::RunId;
use sqlx::PgPool;

use crate::exit;
use crate::progress::Bar;
use crate::verify::{Clusters, no_such_run};

/// Runs the command.
///
/// # Errors
/// Whatever has no status of its own.
pub(super) async fn run(
    run: i64,
    write_state: bool,
    config_file: Option<PathBuf>,
) -> anyhow::Result<i32> {
    let Some(clusters) = Clusters::load(config_file)? else { return Ok(exit::CONFIG) };
    let run_id = RunId(run);
    let pool = clusters.reader(ClusterKind::Ingest).await?;
    let Some(cursor) = load_cursor(&pool, run_id).await? else { return Ok(no_such_run(run_id)) };
    let dropped = dropped_tables(&pool, run_id).await?;
    if !dropped.is_empty() {
        anyhow::bail!("run {run_id}: the partitions of {} are dropped", dropped.join(", "));
    }
    if write_state && let Some(why) = owned_by_another(&pool, &cursor).await? {
        eprintln!("--write-state: {why}");
        return Ok(exit::USAGE);
    }
    let mut bar = Bar::new("deriving the last state");
    let derived = last_generation(&pool, run_id, |at, last| bar.at(at.0, last.0)).await?;
    drop(bar);
    let Some(derived) = derived else {
        anyhow::bail!("run {run_id} has no generation: there is no state to derive");
    };
    let generation_id = derived.recorded.generation_id;
    match derived.verdict {
        Verdict::Equal => {}
        Verdict::Incomplete => anyhow::bail!(
            "generation {generation_id} is Incomplete: rows before it were shed, refused or are not loaded, so its state cannot be derived"
        ),
        Verdict::Different => {
            eprintln!(
                "generation {generation_id} is Different: recorded {}, derived {}; next: `penstock verify generation --run {run_id} --all` names the first",
                hex::encode(derived.recorded.content_hash),
                hex::encode(derived.cut.content_hash),
            );
            return Ok(exit::DIFFERENT);
        }
    }
    println!(
        "run {run_id}, generation {generation_id}: {} rows, hash {} as recorded",
        derived.cut.rows.len(),
        hex::encode(derived.cut.content_hash),
    );
    if write_state {
        let rows = write(&clusters, &derived).await?;
        println!("{rows} rows and {} watermarks written", derived.cut.watermarks.len());
    }
    Ok(exit::CLEAN)
}

/// Why the state must not be written from this run; none when nothing forbids it.
async fn owned_by_another(pool: &PgPool, cursor: &LoadCursor) -> anyhow::Result<Option<String>> {
    let run_id = cursor.run_id;
    let newest = newest_run_beside(pool, run_id).await?.unwrap_or(run_id);
    Ok(if newest != run_id {
        Some(format!(
            "the state belongs to run {newest}, the newest of the domain; next: --run {newest}"
        ))
    } else if cursor.complete {
        None
    } else {
        Some(format!(
            "run {run_id} is open: its service writes the state each second; next: stop `run-ingest`"
        ))
    })
}

async fn write(clusters: &Clusters, derived: &Derived) -> anyhow::Result<u64> {
    let pool = clusters.pool(ClusterKind::Ingest, "ingest_rw").await?;
    let cut = &derived.cut;
    let watermarks: Vec<Watermark> = cut
        .watermarks
        .iter()
        .map(|(stream, mark)| Watermark {
            stream: *stream,
            last_seq: mark.last_seq,
            last_ts_local: Some(mark.last_ts_local),
        })
        .collect();
    let encoded = encode_state(&cut.rows);
    Ok(rewrite_state(&pool, cut.run_id, cut.generation_id, &watermarks, &encoded).await?)
}
