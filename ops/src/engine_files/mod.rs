//! What all commands over the engine's files share: where they are, under which configuration they were made, how
//! a fault and a report are said.
//!
//! Inputs: the command line, the configuration, the files. Outputs: directories, text, an exit status. Invariants:
//! a fault carries its code and its family's status; in JSON everything stands in one object on one line.

pub mod key;

use std::path::{Path, PathBuf};
use std::time::Duration;

use comfy_table::Table;
use penstock_config::{Config, Process};
use penstock_engine::EngineConfig;
use penstock_engine_io::replay::{ReplayStart, Report};
use penstock_engine_io::{Code, Day, EngineDirs, Fault, origin, snapshots, stored};
use serde_json::{Value, json};

use crate::arguments::Output;
use crate::exit;
use crate::stack::StackOptions;

/// A day of the command line.
///
/// # Errors
/// No day of the calendar.
pub(crate) fn day(text: &str) -> Result<Day, String> {
    Day::parse(text).ok_or_else(|| "a day such as 2026-02-16".to_owned())
}

/// Where a configuration puts the engine's files.
#[derive(Debug, Clone)]
pub struct Places {
    /// Directories.
    pub dirs: EngineDirs,
    /// Private key.
    pub signing_key_file: PathBuf,
}

impl Places {
    /// Of a configuration, with `root` as the data root that its services get.
    #[must_use]
    pub fn of(config: &Config, root: &Path) -> Self {
        let named = config.areas.clusters.penstock_data.as_deref();
        let own = named.unwrap_or(Path::new(DATA_ROOT_DEFAULT));
        let below =
            |path: &Path| path.strip_prefix(own).map_or_else(|_| path.to_owned(), |p| root.join(p));
        let local = &config.engine.local;
        Self {
            dirs: EngineDirs {
                log: below(&local.log_dir),
                journal: below(&local.journal_dir),
                snapshots: below(&local.snapshot_dir),
                alerts: below(&local.alerts_dir),
                manifests: below(&local.manifest_dir),
            },
            signing_key_file: below(&local.signing_key_file),
        }
    }
}

/// Data root of a configuration that names none.
const DATA_ROOT_DEFAULT: &str = ".data";

/// The places of this machine's configuration; nothing when it is refused, which was printed then.
///
/// # Errors
/// No data root can be found.
pub(crate) fn places(config_file: Option<PathBuf>) -> anyhow::Result<Option<Places>> {
    let config = match penstock_config::load(Process::Tool, config_file.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return Ok(None);
        }
    };
    let options = StackOptions::from_config(&config, config_file.as_deref())?;
    Ok(Some(Places::of(&config, options.root.path())))
}

/// The configuration that files were made under: the archived one, else that of a file that is named.
///
/// # Errors
/// What is wrong with the archive, when no file is named; [`Code::CfgParse`] for a file that is refused.
pub(crate) fn archived_config(
    dirs: &EngineDirs,
    config_file: Option<PathBuf>,
) -> Result<EngineConfig, Fault> {
    let why = match origin::config_of(dirs) {
        Ok(config) => return Ok(config),
        Err(fault) => fault,
    };
    // Only what is missing is replaced; what is there and wrong is said.
    let Some(file) = config_file.filter(|_| why.code == Code::ManMissing) else { return Err(why) };
    let config = penstock_config::load(Process::Tool, Some(&file))
        .map_err(|error| Fault::new(Code::CfgParse, error.to_string()).of(&file))?;
    Ok(config.engine.config)
}

/// Where level B of one day begins: behind the snapshot that opens it, or at the engine's first frame.
///
/// # Errors
/// [`Code::Storage`].
pub(crate) fn day_start(dirs: &EngineDirs, day: Day) -> Result<ReplayStart, Fault> {
    let tick = day.first_tick().saturating_sub(1);
    let is_there = stored::form(&snapshots::place(dirs, tick)?)?.is_some();
    Ok(if is_there { ReplayStart::Snapshot(tick) } else { ReplayStart::Genesis })
}

/// A fault as one object.
pub(crate) fn fault_json(fault: &Fault) -> Value {
    json!({
        "marker": "ENGINE_FATAL",
        "verdict": "FAULT",
        "code": fault.code.name(),
        "what": fault.what,
        "file": fault.file.as_ref().map(|path| path.display().to_string()),
        "offset": fault.offset,
        "tick": fault.tick,
        "token": fault.token,
        "expected": fault.expected,
        "actual": fault.actual,
    })
}

/// Says a fault; the status of its family.
///
/// # Errors
/// None; the answer fits where a command returns.
pub(crate) fn failed(fault: &Fault, output: Output) -> anyhow::Result<i32> {
    match output {
        Output::Human => eprintln!("ENGINE_FATAL {fault}"),
        Output::Json => println!("{}", fault_json(fault)),
    }
    Ok(i32::from(fault.code.exit()))
}

/// The report of a replay with its speeds as one object.
///
/// # Errors
/// A number without a canonical form.
pub(crate) fn report_json(report: &Report, elapsed: Duration) -> anyhow::Result<Value> {
    Ok(serde_json::from_slice(&report.json(elapsed)?)?)
}

/// The report as a table.
pub(crate) fn report_table(report: &Value) -> Table {
    let order = [
        "replay_level",
        "start",
        "ticks",
        "tokens",
        "token_ticks_per_s",
        "bytes_hashed_per_s",
        "first_mismatch",
        "state_chain",
        "alerts_hash",
        "verdict",
    ];
    let mut table = Table::new();
    for name in order {
        let text = match &report[name] {
            Value::Null => "none".to_owned(),
            Value::String(text) => text.clone(),
            Value::Object(fields) => {
                let shown = |(key, value): (&String, &Value)| {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    format!("{key} {text}")
                };
                fields.iter().map(shown).collect::<Vec<_>>().join("\n")
            }
            other => other.to_string(),
        };
        table.add_row([name.replace('_', " "), text]);
    }
    table
}

/// Prints a report; its status.
///
/// # Errors
/// A number without a canonical form.
pub(crate) fn print_report(
    report: &Report,
    elapsed: Duration,
    output: Output,
) -> anyhow::Result<i32> {
    let value = report_json(report, elapsed)?;
    match output {
        Output::Human => println!("{}", report_table(&value)),
        Output::Json => println!("{value}"),
    }
    Ok(i32::from(report.exit()))
}

/// Says on which configuration files a command works when it needs them and none is good.
pub(crate) const NO_CONFIG: i32 = exit::CONFIG;
