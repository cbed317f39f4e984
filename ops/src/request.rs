//! Requests to the running execution service: one row each, and its answer.
//!
//! Inputs: a kind with its arguments. Outputs: the answer, or none with the next step said. The tool never talks to
//! the venue with the service's key.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use penstock_clusters::ClusterKind;
use penstock_config::Process;
use penstock_store_decision::control;
use sqlx::PgPool;
use tokio::time::{Instant, sleep};

use crate::databases;
use crate::stack::StackOptions;

/// Longest wait for the service's answer; it looks once a second.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// How often the answer is looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Asks and waits.
///
/// # Errors
/// When the decision cluster does not answer.
pub(crate) async fn asked(
    kind: &str,
    args: &serde_json::Value,
    config_file: Option<PathBuf>,
) -> anyhow::Result<Option<String>> {
    let config = penstock_config::load(Process::Tool, config_file.as_deref())?;
    let options = StackOptions::from_config(&config, config_file.as_deref())?;
    let url = options.url(ClusterKind::Decision, "ops_rw")?;
    let pool = databases::pool(&url, ClusterKind::Decision)
        .await
        .context("the decision cluster does not answer; next: `penstock up`")?;
    let id = control::ask(&pool, kind, args, &penstock_clusters::caller_name()).await?;
    answered(&pool, id).await
}

/// Waits for execution's answer to a request; none, with the next step said, when it does not come.
///
/// # Errors
/// When the decision cluster does not answer.
pub(crate) async fn answered(pool: &PgPool, id: i64) -> anyhow::Result<Option<String>> {
    let until = Instant::now() + ANSWER_LIMIT;
    while Instant::now() < until {
        if let Some(answer) = control::answer_of(pool, id).await? {
            return Ok(Some(answer));
        }
        sleep(LOOK_INTERVAL).await;
    }
    eprintln!(
        "execution has not taken request {id} within {ANSWER_LIMIT:?}; next: `penstock status`"
    );
    Ok(None)
}
