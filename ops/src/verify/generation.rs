//! `penstock verify generation --run R (--generation G | --all)`: the recorded rows through the same
//! aggregator.
//!
//! Inputs: raw rows, cut times and checkpoints of the ingest cluster; the published rows of the decision
//! cluster, when it answers, to name symbol and column. Output: counts and the first difference.

use std::ops::ControlFlow;

use penstock_clusters::ClusterKind;
use penstock_ingest::verify::{Difference, Scope, VerifyError, verify};
use penstock_store_decision::cycle_input::states;
use penstock_types::state_row::StateRow;
use penstock_types::{GenerationId, RunId};
use serde_json::{Value, json};

use super::report::{Report, Verdict};
use super::{Clusters, Of};
use crate::exit;
use crate::progress::Bar;

/// Arguments of `penstock verify generation`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Run and form
    #[command(flatten)]
    pub of: Of,
    /// This generation, from the newest checkpoint before it
    #[arg(long, required_unless_present = "all", conflicts_with = "all")]
    pub generation: Option<i64>,
    /// Every generation of the run, in one pass
    #[arg(long)]
    pub all: bool,
}

pub(super) async fn run(args: &Args, clusters: &Clusters) -> anyhow::Result<i32> {
    let run_id = RunId(args.of.run);
    let pool = match args.of.opened(clusters).await? {
        ControlFlow::Continue((pool, _)) => pool,
        ControlFlow::Break(status) => return Ok(status),
    };
    let (published, note) = match published(clusters, run_id).await {
        Ok(rows) => (rows, None),
        // Without it the hashes are compared all the same.
        Err(error) => (Vec::new(), Some(format!("no symbol and column: {error:#}"))),
    };
    let scope = args.generation.map_or(Scope::All, |g| Scope::One(GenerationId(g)));
    let mut bar = Bar::new("deriving generations");
    let checked = verify(&pool, run_id, scope, &published, |at, last| bar.at(at.0, last.0)).await;
    drop(bar);
    let report = match checked {
        Ok(report) => report,
        Err(error @ VerifyError::NoSuchGeneration { .. }) => {
            eprintln!("{error}");
            return Ok(exit::USAGE);
        }
        Err(error) => return Err(error.into()),
    };
    let different = u64::try_from(report.different.len()).unwrap_or(u64::MAX);
    let same = report.first == report.published;
    let report = Report::new(Verdict::of(report.incomplete, different))
        .line("run_id", run_id.0)
        .line("equal", report.equal)
        .line("incomplete", report.incomplete)
        .line("different", different)
        .line("first_difference", shown(report.first.as_ref()))
        .line("published_difference", shown(report.published.as_ref().filter(|_| !same)))
        .line("note", note);
    Ok(report.print(args.of.output))
}

/// Rows of the run's published generation.
async fn published(clusters: &Clusters, run_id: RunId) -> anyhow::Result<Vec<StateRow>> {
    let pool = clusters.reader(ClusterKind::Decision).await?;
    let mut conn = pool.acquire().await?;
    Ok(states(&mut conn, run_id).await?)
}

fn shown(difference: Option<&Difference>) -> Value {
    let Some(found) = difference else { return Value::Null };
    let mut value = json!({ "generation": found.generation_id.0 });
    match &found.place {
        Some(place) => {
            value["symbol"] = json!(place.symbol);
            value["column"] = json!(place.column);
            value["expected"] = json!(place.expected);
            value["got"] = json!(place.got);
        }
        None => {
            value["expected"] = json!(hex::encode(found.expected));
            value["got"] = json!(hex::encode(found.got));
        }
    }
    value
}
