//! `--check`: look at everything a start needs, change nothing, exit.
//!
//! Purpose: say before a deploy whether a start would succeed. Inputs: settings. Outputs: one line per
//! look on stdout and an exit code. Invariants: no fence is taken, nothing is migrated, no order path is
//! touched.

use std::io::Write;

use penstock_store::fence::refuse_network_filesystem;
use penstock_store::migrate;
use penstock_store::pools::{self, ActAs, PoolSettings};
use penstock_store::{ClusterRole, StoreError};
use penstock_store_decision::cycle_input;
use penstock_trading::decide::DecideConfig;
use penstock_types::vocab::EpochStatus;
use secrecy::ExposeSecret;
use sqlx::PgPool;

use super::startup::decision_pool;
use crate::exit::{self, StartError};
use crate::settings::Settings;

/// Runs all looks.
///
/// # Errors
/// [`StartError`] for the first that would refuse a start.
pub async fn run_check(settings: &Settings) -> Result<u8, StartError> {
    say("configuration", "ok", &format!("hash {}", settings.config_hash));
    let pool = decision_pool(settings).await?;
    say("decision cluster", "ok", "identity judged");
    let clusters = &settings.config.areas.clusters;
    let url = clusters.decision_database_url.as_ref().map_or("", |u| u.expose_secret());
    let options = PoolSettings::service("run-execution-live check", 1);
    let mut conn = pools::connect_single(url, ClusterRole::Decision, &options).await?;
    // The history of migrations is the owner's; it is only read.
    pools::set_role(&mut conn, ActAs::Owner)
        .await
        .map_err(|e| StoreError::sql("act as the owner", ClusterRole::Decision, e))?;
    for report in migrate::check(&mut conn, ClusterRole::Decision).await? {
        say("schema", "ok", &format!("{} at version {}", report.set, report.version));
    }
    drop(conn);
    let state_dir = &settings.config.areas.clusters.state_directory;
    if state_dir.exists() {
        refuse_network_filesystem(state_dir).map_err(penstock_store::fence::FenceError::from)?;
    }
    say("state directory", "ok", &state_dir.display().to_string());
    data(settings, &pool).await?;
    Ok(exit::CLEAN)
}

/// Publication age, epoch and coverage: told, not judged; a start would wait for them.
async fn data(settings: &Settings, pool: &PgPool) -> Result<(), StartError> {
    let mut tx = cycle_input::begin(pool).await?;
    let pointer = cycle_input::pointer(&mut tx, settings.domain()).await?;
    let Some(publication) = pointer.publication else {
        say("publication", "warn", "none yet; next: start run-ingest");
        return Ok(());
    };
    let decide: &DecideConfig = &settings.decide;
    let age = publication.state_age_ms(pointer.now);
    let fresh = age <= decide.state_max_age_secs * 1_000;
    say("publication", if fresh { "ok" } else { "warn" }, &format!("age {age} ms"));
    let unreadable = |e: penstock_store_decision::ReadError| StartError::Refused(e.to_string());
    let (epochs, _) =
        cycle_input::epochs(&mut tx, publication.lineage_id).await.map_err(unreadable)?;
    let valid = epochs.iter().any(|e| e.status == EpochStatus::Valid);
    say("epoch", if valid { "ok" } else { "warn" }, if valid { "valid" } else { "no valid one" });
    let states = cycle_input::states(&mut tx, publication.run_id).await.map_err(unreadable)?;
    let complete = states.iter().filter(|s| s.feature_complete).count();
    say("coverage", "ok", &format!("{complete} of {} symbols complete", states.len()));
    Ok(())
}

fn say(what: &str, verdict: &str, detail: &str) {
    // A closed pipe must not turn a check into a failure: the exit code is the answer.
    let _ = writeln!(std::io::stdout(), "{verdict:<5} {what:<18} {detail}");
}
