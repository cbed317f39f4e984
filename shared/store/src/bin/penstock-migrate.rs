//! Prepares one scratch cluster: `penstock-migrate ingest|decision SUPERUSER_URL` makes roles and
//! schema where they are missing, then migrates. Used by `scripts/prepare-sql`; the services migrate
//! by themselves at their start.

use std::process::ExitCode;

use penstock_clusters::{ClusterKind, roles};
use penstock_store::pools::{PoolSettings, connect_single};
use penstock_store::{ClusterRole, migrate};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let role = match args.next().as_deref() {
        Some("ingest") => ClusterRole::Ingest,
        Some("decision") => ClusterRole::Decision,
        _ => return usage(),
    };
    let Some(url) = args.next() else { return usage() };
    match run(role, &url).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(78)
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: penstock-migrate ingest|decision SUPERUSER_URL");
    ExitCode::from(2)
}

async fn run(role: ClusterRole, url: &str) -> Result<(), String> {
    let mut conn = connect_single(url, role, &PoolSettings::service("penstock-migrate", 1))
        .await
        .map_err(|e| e.to_string())?;
    let kind = match role {
        ClusterRole::Ingest => ClusterKind::Ingest,
        ClusterRole::Decision => ClusterKind::Decision,
    };
    roles::install(&mut conn, kind).await.map_err(|e| e.to_string())?;
    let reports = migrate::migrate(&mut conn, role).await.map_err(|e| e.to_string())?;
    for report in reports {
        println!(
            "{role}: set {} at version {}, applied {:?}",
            report.set, report.version, report.applied
        );
    }
    Ok(())
}
