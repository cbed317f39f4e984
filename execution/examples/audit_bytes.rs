//! Is every changed byte of a trail named? One byte at a time, by the library that `penstock verify audit` calls.
//!
//! Input: `--config FILE --dir DIR [--offsets N] [--seed N] [--without-database]`; the trail is one that nobody writes,
//! its decision cluster runs. Output: a line for each file with how many changes were named, and how; status 0 when all
//! were, by file and line or by session and number, else 1. Invariants: the directory is only read, a copy is damaged;
//! the same seed changes the same bits. Files count by their length, seals among them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use penstock_audit::Report;
use penstock_clusters::ClusterKind;
use penstock_config::Process;
use penstock_ops::databases;
use penstock_ops::stack::StackOptions;
use penstock_ops::verify::audit::judge;
use sqlx::PgPool;

struct Asked {
    config: PathBuf,
    dir: PathBuf,
    offsets: u32,
    seed: u64,
    with_rows: bool,
}

impl Asked {
    fn of(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let (mut config, mut dir) = (None, None);
        let (mut offsets, mut seed, mut with_rows) = (1_000, 1, true);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--config" => config = Some(PathBuf::from(words.next()?)),
                "--dir" => dir = Some(PathBuf::from(words.next()?)),
                "--offsets" => offsets = words.next()?.parse().ok()?,
                "--seed" => seed = words.next()?.parse().ok()?,
                "--without-database" => with_rows = false,
                _ => return None,
            }
        }
        Some(Self { config: config?, dir: dir?, offsets, seed, with_rows })
    }
}

/// Bits that are the same for the same seed (splitmix64).
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit.max(1)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let asked = Asked::of(std::env::args().skip(1)).context(
        "usage: audit_bytes --config FILE --dir DIR [--offsets N] [--seed N] [--without-database]",
    )?;
    let config = penstock_config::load(Process::Tool, Some(&asked.config))?;
    let options = StackOptions::from_config(&config, Some(&asked.config))?;
    let pool = if asked.with_rows {
        let url = options.url(ClusterKind::Decision, "observer_ro")?;
        Some(databases::pool(&url, ClusterKind::Decision).await?)
    } else {
        None
    };
    let copy = tempfile::tempdir()?;
    let files = copied(&asked.dir, copy.path())?;
    let untouched = judge(copy.path().to_owned(), pool.clone(), None, None).await?;
    ensure!(untouched.is_sound(), "the trail is damaged already: {:?}", untouched.findings);
    println!(
        "untouched: {} files, {} lines, {} sessions, {} rows compared",
        untouched.files, untouched.lines, untouched.sessions, untouched.rows
    );
    let missed = change_all(&asked, copy.path(), &files, pool).await?;
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Copies the trail's files; their names and bytes.
fn copied(from: &Path, to: &Path) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if name.to_string_lossy().starts_with("audit-") {
            let bytes = std::fs::read(&path)?;
            std::fs::write(to.join(name), &bytes)?;
            files.push((PathBuf::from(name), bytes));
        }
    }
    files.sort();
    ensure!(!files.is_empty(), "no trail in {}", from.display());
    Ok(files)
}

/// Changes one bit after another, each in an otherwise whole trail; how many were not named.
async fn change_all(
    asked: &Asked,
    copy: &Path,
    files: &[(PathBuf, Vec<u8>)],
    pool: Option<PgPool>,
) -> anyhow::Result<u32> {
    let (mut seeded, began) = (Seeded(asked.seed), Instant::now());
    let total: u64 = files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    let mut named: BTreeMap<&Path, (u32, u32)> = BTreeMap::new();
    let (mut missed, mut by_line, mut by_place) = (0, 0, 0);
    for _ in 0..asked.offsets {
        let (mut at, bit) = (seeded.below(total), 1_u8 << seeded.below(8));
        let mut which = files.iter();
        let (name, whole) = loop {
            let (name, bytes) = which.next().context("an offset beyond the files")?;
            match at.checked_sub(bytes.len() as u64) {
                Some(rest) => at = rest,
                None => break (name, bytes),
            }
        };
        let at = usize::try_from(at)?;
        let mut damaged = whole.clone();
        damaged[at] ^= bit;
        std::fs::write(copy.join(name), &damaged)?;
        let report = judge(copy.to_owned(), pool.clone(), None, None).await?;
        std::fs::write(copy.join(name), whole)?;
        let (tried, found) = named.entry(name).or_default();
        *tried += 1;
        if is_named(&report) {
            *found += 1;
            let first = &report.findings[0];
            by_line += u32::from(!first.file.is_empty());
            by_place += u32::from(first.place.is_some());
        } else {
            missed += 1;
            println!("not named: {} byte {at} bit {bit}: {:?}", name.display(), report.findings);
        }
    }
    for (name, (tried, found)) in named {
        println!("{}: {found} of {tried} changed bytes named", name.display());
    }
    println!(
        "{} of {} offsets of {total} bytes named ({by_line} by file, {by_place} by session and number), {missed} not, seed {}, {:.1} s",
        asked.offsets - missed,
        asked.offsets,
        asked.seed,
        began.elapsed().as_secs_f64()
    );
    Ok(missed)
}

/// Something is found, and where: a file, or a session's number.
fn is_named(report: &Report) -> bool {
    report.findings.first().is_some_and(|found| !found.file.is_empty() || found.place.is_some())
}
