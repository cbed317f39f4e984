//! Closed days of the audit trail: compressed, then removed when they have had their time.
//!
//! Input: the trail's directory, today, the limits of the configuration. Output: a line for each day that was
//! compressed, went or is kept. Invariants: the newest day and one without its seal are never touched; a day that
//! differs from its seal stays, because it is evidence; a day goes without a backup only when that was asked for, or
//! when space is so low that nothing else may be done.

use std::path::{Path, PathBuf};

use anyhow::Context;
use penstock_audit::{Day, rotation};
use penstock_config::{Config, Origin};

use super::{Args, Done};

/// The trail's directory: as configured, else beside the clusters.
pub(crate) fn dir_of(config: &Config, root: &Path) -> PathBuf {
    let origin = config.values().get("audit_dir").map(|resolved| &resolved.origin);
    match origin {
        None | Some(Origin::Default) => root.join("audit"),
        Some(_) => config.areas.audit.audit_dir.clone(),
    }
}

/// Compresses what is closed and removes what is old.
///
/// # Errors
/// When the disk refuses.
pub(super) fn clean(
    dir: &Path,
    config: &Config,
    args: &Args,
    done: &mut Done,
) -> anyhow::Result<()> {
    let Some(today) = today(dir) else { return Ok(()) };
    if !args.dry_run {
        let packed = rotation::compress(dir, today)?;
        for day in packed.compressed {
            println!("{}: compressed", day.file());
        }
        for finding in packed.findings {
            println!("kept, it is evidence: {finding}");
        }
    }
    expire(dir, config, args.dry_run, args.without_backup, done)
}

/// Removes what is old; where nothing else may be done, without a backup. Adds to `done` what went.
///
/// # Errors
/// When the disk refuses.
pub(super) fn expire(
    dir: &Path,
    config: &Config,
    is_rehearsal: bool,
    without_backup: bool,
    done: &mut Done,
) -> anyhow::Result<()> {
    let Some(today) = today(dir) else { return Ok(()) };
    let keep = i64::from(config.areas.retention.retention_jsonl_days);
    for day in rotation::expired(dir, today, keep)? {
        let name = day.compressed_file();
        let bytes = std::fs::metadata(dir.join(&name)).map(|file| file.len());
        if !dir.join(&name).exists() {
            // It was never compressed, because it differs from its seal.
            println!("{}: kept, it is evidence", day.file());
        } else if !without_backup {
            println!("{name}: kept, there is no backup of it; next: --without-backup");
        } else if is_rehearsal {
            println!("{name}: would be removed");
        } else if rotation::remove(dir, day).with_context(|| format!("remove {name}"))? {
            println!("{name}: removed");
            done.days += 1;
            done.bytes += bytes.unwrap_or(0);
        }
    }
    Ok(())
}

/// Today; none where there is no trail.
fn today(dir: &Path) -> Option<Day> {
    Day::of_date(chrono::Utc::now().date_naive()).filter(|_| dir.is_dir())
}
