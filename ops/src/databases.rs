//! Pools of the tool's reading and asking commands.

use crate::stack::StackOptions;
use anyhow::Context;
use penstock_clusters::ClusterKind;
use penstock_config::{Config, Process};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use std::path::Path;
use std::time::Duration;

/// Connections of a command: it reads one thing after another.
const CONNECTIONS_MAX: u32 = 2;
/// Longest wait for a connection.
const ACQUIRE_LIMIT: Duration = Duration::from_secs(5);

/// A pool on one cluster, with the schema as search path.
///
/// # Errors
/// A cluster that does not answer within five seconds.
pub async fn pool(url: &str, kind: ClusterKind) -> Result<PgPool, sqlx::Error> {
    let role = match kind {
        ClusterKind::Ingest => penstock_store::ClusterRole::Ingest,
        ClusterKind::Decision => penstock_store::ClusterRole::Decision,
    };
    let options = penstock_store::pools::connect_options(url, role)
        .map_err(|error| sqlx::Error::Configuration(Box::new(error)))?
        // Compiling a plan over all partitions takes longer than running it.
        .options([("search_path", "penstock"), ("jit", "off")]);
    PgPoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_LIMIT)
        .connect_with(options)
        .await
}

/// The tool's configuration, and the decision cluster through the eyes of the role that can only look.
///
/// # Errors
/// A configuration that is refused, or a cluster that does not answer.
pub async fn observe_decisions(config_file: Option<&Path>) -> anyhow::Result<(Config, PgPool)> {
    let config = penstock_config::load(Process::Tool, config_file)?;
    let options = StackOptions::from_config(&config, config_file)?;
    let url = options.url(ClusterKind::Decision, "observer_ro")?;
    let pool = pool(&url, ClusterKind::Decision)
        .await
        .context("the decision cluster does not answer; next: `penstock up`")?;
    Ok((config, pool))
}
