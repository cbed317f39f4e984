//! `penstock psql ingest|decision`: a shell on a managed cluster.
//!
//! Inputs: which cluster, a role, arguments for psql. Outputs: this process becomes psql. Invariants:
//! the default role can only look; the shell runs against a server that is there, and is refused with
//! the next step when it is not.

use std::path::PathBuf;

use penstock_clusters::{ClusterKind, ClusterSpec, SUPERUSER};
use penstock_config::Process;

use crate::exit;
use crate::stack::StackOptions;

/// Arguments of `penstock psql`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Which cluster
    pub cluster: Cluster,
    /// Role to log in as; `observer_ro` can only look
    #[arg(long, default_value = "observer_ro")]
    pub role: String,
    /// Arguments for psql, after `--`
    #[arg(last = true)]
    pub arguments: Vec<String>,
}

/// A cluster on the command line.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Cluster {
    /// Raw rows.
    Ingest,
    /// Published state, orders, ledger.
    Decision,
}

impl Cluster {
    const fn kind(self) -> ClusterKind {
        match self {
            Self::Ingest => ClusterKind::Ingest,
            Self::Decision => ClusterKind::Decision,
        }
    }
}

/// Runs the command. Returns only when psql could not be started.
///
/// # Errors
/// None at present beyond those it prints.
pub fn run(args: &Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    use std::os::unix::process::CommandExt;
    let config = match penstock_config::load(Process::Tool, config_file.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return Ok(exit::CONFIG);
        }
    };
    let kind = args.cluster.kind();
    if args.role != SUPERUSER && !kind.login_roles().contains(&args.role.as_str()) {
        let roles = kind.login_roles().join(", ");
        eprintln!(
            "--role {}: no such role on the {kind} cluster; next: {roles}, {SUPERUSER}",
            args.role
        );
        return Ok(exit::USAGE);
    }
    let found = StackOptions::from_config(&config, config_file.as_deref())
        .and_then(|options| Ok((options.url(kind, &args.role)?, options.cluster(kind)?)));
    let (url, managed) = match found {
        Ok(found) => found,
        Err(error) => {
            eprintln!("{error}");
            return Ok(exit::UNAVAILABLE);
        }
    };
    if let Some(spec) = &managed
        && !socket(spec).exists()
    {
        eprintln!(
            "the {kind} cluster does not run ({} is missing); next: penstock up",
            socket(spec).display()
        );
        return Ok(exit::UNAVAILABLE);
    }
    let program = managed
        .map(|spec| spec.binaries.program("psql"))
        .filter(|program| program.exists())
        .unwrap_or_else(|| PathBuf::from("psql"));
    let error = std::process::Command::new(&program).arg(url).args(&args.arguments).exec();
    eprintln!("start {}: {error}; next: install the PostgreSQL client", program.display());
    Ok(exit::UNAVAILABLE)
}

fn socket(spec: &ClusterSpec) -> PathBuf {
    spec.socket_directory.join(format!(".s.PGSQL.{}", spec.kind.port()))
}
