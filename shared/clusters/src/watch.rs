//! Purpose: look at a server from outside: has it ended, does it answer. Inputs: a process or a
//! [`ClusterSpec`]. Outputs: futures that return when it is so. Invariants: an adopted process is polled
//! because only a parent can wait; readiness is an answered query, not a line in a file alone. It
//! decides nothing.

use std::time::Duration;

use sqlx::{ConnectOptions, Connection};
use tokio::time::sleep;

use crate::ClusterError;
use crate::cluster::ClusterSpec;
use crate::pidfile;

/// How often pid files are looked at.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_millis(10);
/// How often an adopted process is looked at.
const ADOPTED_INTERVAL: Duration = Duration::from_millis(100);

/// The process of a server.
#[derive(Debug)]
pub(crate) enum Process {
    /// There is none.
    None,
    /// Ours.
    Child(tokio::process::Child),
    /// That of an earlier supervisor.
    Adopted(i32),
}

/// Returns when the process has ended.
pub(crate) async fn gone(process: &mut Process) {
    match process {
        Process::None => {}
        Process::Child(child) => {
            if let Err(error) = child.wait().await {
                tracing::warn!("wait for a server: {error}");
            }
        }
        Process::Adopted(pid) => {
            while pidfile::is_alive(*pid) {
                sleep(ADOPTED_INTERVAL).await;
            }
        }
    }
}

/// Returns when the server says `ready` in its pid file and answers a query.
pub(crate) async fn ready(spec: &ClusterSpec) {
    loop {
        if pidfile::read(&spec.data).is_some_and(|file| file.ready) && answers(spec).await.is_ok() {
            return;
        }
        sleep(LOOK_INTERVAL).await;
    }
}

async fn answers(spec: &ClusterSpec) -> Result<(), sqlx::Error> {
    let mut connection = spec.superuser("postgres").connect().await?;
    sqlx::query("select 1").execute(&mut connection).await?;
    connection.close().await
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ClusterError> + Send + 'static,
) -> Result<T, ClusterError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(ClusterError::Test(format!("a helper thread ended: {error}"))),
    }
}
