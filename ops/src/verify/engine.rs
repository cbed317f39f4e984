//! `penstock verify log|journal|manifest|bundle`: the engine's files, verified from themselves alone.
//!
//! Inputs: the folder of the engine's directories, or a bundle. Outputs: a table or JSON; status 0, 15 for a
//! difference, else that of the family of the first thing that is wrong. Invariants: nothing below the folder is
//! written; no database, no secret and no clock but for the speeds is needed.

use std::path::{Path, PathBuf};
use std::time::Instant;

use comfy_table::Table;
use penstock_engine_io::bundle::verify_bundle;
use penstock_engine_io::manifest::{days, verify_day, verify_document};
use penstock_engine_io::replay::{ReplayStart, Verdict, level_a, level_b};
use penstock_engine_io::{Code, Day, EngineDirs, Fault, retention};
use serde_json::{Value, json};

use crate::arguments::Output;
use crate::engine_files::{
    archived_config, day, day_start, failed, print_report, report_json, report_table,
};
use crate::exit;
use crate::progress::Progress;

/// Which files.
#[derive(Debug, Clone, clap::Args)]
pub struct Of {
    /// Folder of the engine's directories by their default names
    #[arg(long, value_name = "DIR")]
    pub engine_dir: PathBuf,
    /// Only this day
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub day: Option<Day>,
    /// Form of the report
    #[arg(long, value_enum, default_value = "human")]
    pub output: Output,
}

/// Which bundle.
#[derive(Debug, Clone, clap::Args)]
pub struct BundleArgs {
    /// The file
    pub file: PathBuf,
    /// Form of the report
    #[arg(long, value_enum, default_value = "human")]
    pub output: Output,
}

/// States, clusters, phases and alerts follow from the records.
pub(super) fn log(of: &Of, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let began = Instant::now();
    let dirs = EngineDirs::under(&of.engine_dir);
    let report = {
        let _progress = Progress::start("deriving states and alerts from the logs");
        archived_config(&dirs, config_file).and_then(|config| level_a(&dirs, &config, of.day))
    };
    match report {
        Ok(report) => print_report(&report, began.elapsed(), of.output),
        Err(fault) => failed(&fault, of.output),
    }
}

/// Every byte follows from the journal.
pub(super) fn journal(of: &Of, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let began = Instant::now();
    let dirs = EngineDirs::under(&of.engine_dir);
    let progress = Progress::start("deriving everything from the journal");
    let report = archived_config(&dirs, config_file).and_then(|config| {
        let start = of.day.map_or(Ok(ReplayStart::Genesis), |day| day_start(&dirs, day))?;
        level_b(&dirs, &config, start, of.day.map(Day::last_tick), None)
    });
    drop(progress);
    match report {
        Ok(report) => print_report(&report, began.elapsed(), of.output),
        Err(fault) => failed(&fault, of.output),
    }
}

/// Manifests, their signatures and chain, and the files that they name.
pub(super) fn manifest(of: &Of) -> anyhow::Result<i32> {
    let found = {
        let _progress = Progress::start("hashing what the manifests name");
        manifests(of)
    };
    match found {
        Ok(rows) => {
            print_days(&rows, of.output);
            Ok(exit::CLEAN)
        }
        Err(fault) => failed(&fault, of.output),
    }
}

fn manifests(of: &Of) -> Result<Vec<Value>, Fault> {
    let dirs = EngineDirs::under(&of.engine_dir);
    let all = of.day.map_or_else(|| days(&dirs), |day| Ok(vec![day]))?;
    if all.is_empty() {
        let what = "no day has a manifest";
        return Err(Fault::new(Code::ManMissing, what).of(&dirs.manifests));
    }
    let mut rows = Vec::with_capacity(all.len());
    for day in all {
        // A day that had its time has its manifest alone, which still links those around it.
        let has_files = of.day.is_some() || !retention::has_gone(&dirs, day)?;
        let verified =
            if has_files { verify_day(&dirs, day)? } else { verify_document(&dirs, day)? };
        rows.push(json!({
            "date": day.to_string(),
            "signed": verified.is_signed,
            "unlinked": verified.is_unlinked,
            "late": verified.manifest.late,
            "files": has_files,
            "bytes": verified.bytes,
            "day_root": verified.manifest.day_root,
            "key_id": verified.manifest.key_id,
        }));
    }
    Ok(rows)
}

fn print_days(rows: &[Value], output: Output) {
    if output == Output::Json {
        println!("{}", json!({ "verdict": "IDENTICAL", "days": rows }));
        return;
    }
    let mut table = Table::new();
    table.set_header(["day", "signed", "unlinked", "late", "files", "bytes", "day root"]);
    for row in rows {
        let text =
            |name: &str| row[name].as_str().map_or_else(|| row[name].to_string(), str::to_owned);
        let names = ["date", "signed", "unlinked", "late", "files", "bytes", "day_root"];
        table.add_row(names.map(text));
    }
    println!("{table}");
}

/// All of it on one file.
pub(super) fn bundle(args: &BundleArgs) -> anyhow::Result<i32> {
    let began = Instant::now();
    let scratch = Scratch::new()?;
    let found = {
        let _progress = Progress::start("verifying the bundle");
        verify_bundle(&args.file, &scratch.0)
    };
    let verified = match found {
        Ok(verified) => verified,
        Err(fault) => return failed(&scratch.without(fault), args.output),
    };
    let (a, b) = (&verified.level_a, &verified.level_b);
    let elapsed = began.elapsed();
    let status = if verified.verdict == Verdict::Identical { exit::CLEAN } else { exit::DIFFERENT };
    let manifest = &verified.day.manifest;
    let (a, b) = (report_json(a, elapsed)?, report_json(b, elapsed)?);
    let report = json!({
        "date": manifest.date,
        "signed": verified.day.is_signed,
        "unlinked": verified.day.is_unlinked,
        "key_id": manifest.key_id,
        "day_root": manifest.day_root,
        "state_chain_close": manifest.state_chain_close,
        "level_a": a,
        "level_b": b,
        "verdict": verified.verdict,
    });
    match args.output {
        Output::Json => println!("{report}"),
        Output::Human => {
            let mut table = Table::new();
            for name in ["date", "signed", "unlinked", "key_id", "day_root", "verdict"] {
                let text =
                    report[name].as_str().map_or_else(|| report[name].to_string(), str::to_owned);
                table.add_row([name.replace('_', " "), text]);
            }
            println!("{table}\n{}\n{}", report_table(&a), report_table(&b));
        }
    }
    Ok(status)
}

/// A folder that goes with the process.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Self> {
        let mut random = [0; 8];
        getrandom::fill(&mut random)
            .map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
        let path = std::env::temp_dir().join(format!("penstock-bundle-{}", hex::encode(random)));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }

    /// The fault with the file's name in the bundle instead of the place of an unpacked copy.
    fn without(&self, fault: Fault) -> Fault {
        let file = fault.file.as_deref().map(|path| {
            path.strip_prefix(&self.0).map(Path::to_owned).unwrap_or_else(|_| path.to_owned())
        });
        Fault { file: file.map(PathBuf::into_boxed_path), ..fault }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed lies in the machine's place for temporary files and goes with it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
