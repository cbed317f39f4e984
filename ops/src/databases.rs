//! Pools of the tool's reading and asking commands.

use penstock_clusters::ClusterKind;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
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
