//! Purpose: the part of the execution service that both of its benches run beside what they time: its lease, its
//! listener, its reader of quotes. Inputs: databases of a rig, settings. Outputs: a context, its wakes, tasks.
//! Invariants: the same code with the same settings as in the service; whoever starts it ends it.

use std::sync::Arc;

use penstock_execution::attach::{Session, run_renewal, start};
use penstock_execution::context::Context;
use penstock_execution::quotes::run_reader;
use penstock_execution::settings::Settings;
use penstock_execution::wake::{Wakes, run_listener};
use penstock_store::ClusterRole;
use tokio::task::JoinHandle;

use super::rig::Databases;

/// An attached session with its tasks.
pub(super) struct Attached {
    /// Context of the session.
    pub(super) context: Context,
    /// What notifications wake.
    pub(super) wakes: Arc<Wakes>,
    /// Lease, listener, quotes.
    pub(super) tasks: Vec<JoinHandle<()>>,
}

/// Attaches to the decision cluster.
///
/// # Errors
/// What the cluster said; settings that refuse a start.
pub(super) async fn attach(databases: &Databases, settings: Settings) -> anyhow::Result<Attached> {
    let connections = settings.config.db_pool_max();
    let pool = databases.pool(ClusterRole::Decision, "exec_rw", connections).await?;
    let Session { context, fence, changes: _, audit: _ } = start(settings, pool).await?;
    let wakes = Arc::new(Wakes::default());
    let end = &context.end;
    let renewal = run_renewal(fence, context.clone(), end.clone());
    let tasks = vec![
        tokio::spawn(async move { drop(renewal.await) }),
        tokio::spawn(run_listener(context.pool.clone(), Arc::clone(&wakes), end.clone())),
        tokio::spawn(run_reader(
            context.pool.clone(),
            context.quotes.clone(),
            Arc::clone(&wakes),
            end.clone(),
        )),
    ];
    Ok(Attached { context, wakes, tasks })
}
