//! `penstock verify run|generation|frames|log|journal|manifest|bundle|decisions|audit|ledger`: derive again what was recorded and
//! compare.
//!
//! Inputs: both clusters, read-only, and a run; or files of the engine alone. Outputs: a table or JSON, an exit
//! status: 0 nothing differs, 15 something does and the first difference is named, 2 there is no such run; of
//! files the family of what is wrong. Invariants: nothing is written; what cannot be proven is called
//! `Incomplete`, never `Equal`.

pub mod audit;
mod compare;
pub mod decisions;
mod engine;
mod frames;
mod generation;
pub mod ledger;
mod report;
mod run;

use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use penstock_clusters::ClusterKind;
use penstock_config::Process;
use penstock_store_ingest::runs::{LoadCursor, load_cursor};
use penstock_store_ingest::verify_read::dropped_tables;
use penstock_types::RunId;
use report::{Report, Verdict};
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;

use crate::arguments::Output;
use crate::stack::StackOptions;
use crate::{databases, exit};

pub(crate) use frames::checked as checked_frames;

/// Arguments of `penstock verify`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What to derive
    #[command(subcommand)]
    pub what: What,
}

/// Which run, and how to say what was found.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Of {
    /// Run
    #[arg(long)]
    pub run: i64,
    /// Form of the report
    #[arg(long, value_enum, default_value = "human")]
    pub output: Output,
}

impl Of {
    /// A reader of the ingest cluster and how far the run is loaded. The status instead, when there is no
    /// such run, or when a partition of it is dropped, so that nothing can be proven.
    async fn opened(
        self,
        clusters: &Clusters,
    ) -> anyhow::Result<ControlFlow<i32, (PgPool, LoadCursor)>> {
        let run_id = RunId(self.run);
        let ingest = clusters.reader(ClusterKind::Ingest).await?;
        let Some(cursor) = load_cursor(&ingest, run_id).await? else {
            return Ok(ControlFlow::Break(no_such_run(run_id)));
        };
        let dropped = dropped_tables(&ingest, run_id).await?;
        if !dropped.is_empty() {
            let report = Report::new(Verdict::Incomplete)
                .line("run_id", run_id.0)
                .line("dropped_partitions", dropped.join(", "));
            return Ok(ControlFlow::Break(report.print(self.output)));
        }
        Ok(ControlFlow::Continue((ingest, cursor)))
    }
}

/// What is derived.
#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// Every number of a run has a row, or a gap row that says why not
    Run(Of),
    /// The recorded rows give the published state, bit for bit
    Generation(generation::Args),
    /// The recorded rows give the published frames: flags, events, quotes
    Frames(Of),
    /// States and alerts of the engine follow from its logs
    Log(engine::Of),
    /// Every byte of the engine's files follows from its journal
    Journal(engine::Of),
    /// Manifests of the engine's days, their signatures and chain, and the files that they name
    Manifest(engine::Of),
    /// A day of the engine in one file: all of the above on it
    Bundle(engine::BundleArgs),
    /// Every stored cycle of a session, decided again from its stored input
    Decisions(decisions::Args),
    /// The audit trail: its chain, seals and links, and each line against its row
    Audit(audit::Args),
    /// Orders, fills, positions, results and balances, folded again, beside what the venue said
    Ledger(ledger::Args),
}

/// Runs the command.
///
/// # Errors
/// Whatever has no status of its own.
pub async fn run(args: Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    use tokio::task::block_in_place;
    match args.what {
        What::Log(of) => block_in_place(|| engine::log(&of, config_file)),
        What::Journal(of) => block_in_place(|| engine::journal(&of, config_file)),
        What::Manifest(of) => block_in_place(|| engine::manifest(&of)),
        What::Audit(args) => audit::run(args, config_file).await,
        What::Bundle(args) => block_in_place(|| engine::bundle(&args)),
        What::Decisions(args) => match Clusters::load(config_file)? {
            Some(clusters) => decisions::run(args, &clusters).await,
            None => Ok(exit::CONFIG),
        },
        What::Ledger(args) => match Clusters::load(config_file)? {
            Some(clusters) => ledger::run(args, &clusters).await,
            None => Ok(exit::CONFIG),
        },
        What::Run(args) => match Clusters::load(config_file)? {
            Some(clusters) => run::run(args, &clusters).await,
            None => Ok(exit::CONFIG),
        },
        What::Generation(args) => match Clusters::load(config_file)? {
            Some(clusters) => generation::run(&args, &clusters).await,
            None => Ok(exit::CONFIG),
        },
        What::Frames(args) => match Clusters::load(config_file)? {
            Some(clusters) => frames::run(args, &clusters).await,
            None => Ok(exit::CONFIG),
        },
    }
}

/// Where the clusters are.
pub(crate) struct Clusters {
    options: StackOptions,
    rest_url: String,
    verify_key: Option<(SecretString, SecretString)>,
}

impl Clusters {
    /// Reads the configuration; nothing when it is refused, which was printed then.
    ///
    /// # Errors
    /// When PostgreSQL or a directory is missing.
    pub(crate) fn load(config_file: Option<PathBuf>) -> anyhow::Result<Option<Self>> {
        let config = match penstock_config::load(Process::Tool, config_file.as_deref()) {
            Ok(config) => config,
            Err(error) => {
                eprintln!("{error}");
                return Ok(None);
            }
        };
        let options = StackOptions::from_config(&config, config_file.as_deref())?;
        let venues = &config.areas.venues;
        let key = venues.kraken_verify_api_key.clone();
        Ok(Some(Self {
            options,
            rest_url: venues.kraken_rest_url.to_string(),
            verify_key: key.zip(venues.kraken_verify_api_secret.clone()),
        }))
    }

    /// Address of the venue's REST side, key and secret of the looks, when there is such a key.
    pub(crate) fn verify_key(&self) -> Option<(&str, &str, &str)> {
        let (key, secret) = self.verify_key.as_ref()?;
        Some((&self.rest_url, key.expose_secret(), secret.expose_secret()))
    }

    /// A pool for a role of a cluster.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub(crate) async fn pool(&self, kind: ClusterKind, role: &str) -> anyhow::Result<PgPool> {
        let url = self.options.url(kind, role)?;
        let opened = databases::pool(&url, kind).await;
        opened.with_context(|| format!("the {kind} cluster does not answer; next: `penstock up`"))
    }

    /// A pool that can only look.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub(crate) async fn reader(&self, kind: ClusterKind) -> anyhow::Result<PgPool> {
        self.pool(kind, "observer_ro").await
    }
}

/// Says that a run is not there; the status for it.
pub(crate) fn no_such_run(run_id: RunId) -> i32 {
    eprintln!(
        "--run {run_id}: the ingest cluster has no such run; next: `penstock psql ingest -- -c 'select run_id, started_at, ended_at from observation_runs order by 1'`"
    );
    exit::USAGE
}
