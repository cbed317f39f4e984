//! Purpose: put defaults, file and environment together. Inputs: [`Sources`]. Outputs: [`Config`] or
//! all problems. Invariants: environment beats file beats default; an unknown name in the file, an
//! unknown variable that begins with `PENSTOCK_`, a value out of range and a feature that this version
//! lacks are refused; the same sources give the same hash on every machine. It reads no clock, no file
//! and no environment by itself.

use std::collections::BTreeMap;
use std::path::Path;

use crate::bindings::{self, Bindings};
use crate::engine::{self, EngineSettings};
use crate::error::{ConfigError, Problem};
use crate::file::{self, File};
use crate::key::{Key, Process};
use crate::rules;
use crate::table::{self, Areas};
use crate::value::{self, Field, Input, Value};

/// Where paths of the data root begin in defaults.
const DATA_ROOT: &str = "${PENSTOCK_DATA}";
/// The data root when nothing is set.
const DATA_ROOT_DEFAULT: &str = ".data";

/// What a configuration is made of.
#[derive(Debug, Clone)]
pub struct Sources {
    /// Who asks.
    pub process: Process,
    /// Name and text of the file, if there is one.
    pub file: Option<(String, String)>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// Texts of files that `<NAME>_FILE` variables name, by the name without `_FILE`.
    pub secret_files: BTreeMap<String, String>,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Compiled.
    Default,
    /// A file, with the line.
    File {
        /// Its name.
        name: String,
        /// The line.
        line: usize,
    },
    /// A variable of the environment.
    Environment,
    /// A file named by `<NAME>_FILE`.
    SecretFile,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Environment => f.write_str("environment"),
            Self::SecretFile => f.write_str("secret file"),
        }
    }
}

/// A value with its origin.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The value as written, before the data root is put in.
    pub value: Value,
    /// Where it comes from.
    pub origin: Origin,
}

/// All values by name.
#[derive(Debug, Clone, Default)]
pub struct Values {
    map: BTreeMap<&'static str, Resolved>,
}

impl Values {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Resolved> {
        self.map.get(name)
    }

    /// A whole number, for rules over several keys.
    #[must_use]
    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        if let Value::Int(number) = self.map.get(name)?.value { Some(number) } else { None }
    }

    /// The data root.
    pub(crate) fn data_root(&self) -> String {
        match self.map.get("penstock_data").map(|resolved| &resolved.value) {
            Some(Value::Text(path)) => path.clone(),
            _ => DATA_ROOT_DEFAULT.to_owned(),
        }
    }

    /// A typed field, with the data root put in.
    pub(crate) fn field<T: Field>(&self, name: &str) -> Option<T> {
        match &self.map.get(name)?.value {
            Value::Text(text) if text.starts_with(DATA_ROOT) => {
                let rest = text[DATA_ROOT.len()..].trim_start_matches('/');
                let path = Path::new(&self.data_root()).join(rest);
                T::from_value(&Value::Text(path.to_string_lossy().into_owned()))
            }
            value => T::from_value(value),
        }
    }
}

/// A configuration in force.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who asked.
    pub process: Process,
    /// The typed areas.
    pub areas: Areas,
    /// Tokens of the engine.
    pub bindings: Bindings,
    /// The engine, resolved.
    pub engine: EngineSettings,
    /// What is allowed and still worth saying.
    pub warnings: Vec<String>,
    values: Values,
    hash: String,
}

impl Config {
    /// All values with their origins.
    #[must_use]
    pub const fn values(&self) -> &Values {
        &self.values
    }

    /// SHA-256 of [`Config::canonical`], 64 lower-case hex digits.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// What is in force as JSON: every key but secrets and the tool's own names, and the tokens. Paths
    /// are as written, so that two data roots have the same configuration.
    #[must_use]
    pub fn canonical(&self) -> serde_json::Value {
        canonical(&self.values, &self.bindings, &self.engine)
    }

    /// Oldest epoch in seconds that execution binds: what is set, else the greater of twice the data age
    /// and the epoch interval plus 120.
    #[must_use]
    pub fn epoch_max_age_secs(&self) -> u64 {
        let epochs = &self.areas.epochs;
        epochs.epoch_max_age_secs.unwrap_or_else(|| {
            (2 * self.areas.evaluation.live_data_max_age_secs).max(epochs.epoch_interval_secs + 120)
        })
    }

    /// Connections of a pool: what is set, else 8 for ingest and 6 otherwise.
    #[must_use]
    pub fn db_pool_max(&self) -> u32 {
        self.areas.clusters.db_pool_max.unwrap_or(match self.process {
            Process::Ingest => 8,
            Process::Execution | Process::Tool => 6,
        })
    }
}

fn canonical(values: &Values, bindings: &Bindings, engine: &EngineSettings) -> serde_json::Value {
    let mut object: serde_json::Map<String, serde_json::Value> = table::keys()
        .filter(|key| !key.is_secret() && !key.is_tool_name())
        .filter_map(|key| Some((key.name.to_owned(), values.get(key.name)?.value.to_json())))
        .collect();
    object.insert("engine.token".to_owned(), bindings.to_json());
    // Classes, overrides and events have no key of their own; their resolved text has this hash.
    object.insert("engine.sha256".to_owned(), hex::encode(engine.sha256).into());
    serde_json::Value::Object(object)
}

/// Puts the sources together and judges them.
///
/// # Errors
/// [`ConfigError`] with every problem found.
pub fn resolve(sources: &Sources) -> Result<Config, ConfigError> {
    let mut problems = Vec::new();
    let (file_name, file) = read_file(sources, &mut problems);
    refuse_unknown(sources, &file_name, &file, &mut problems);
    let mut values = Values::default();
    for key in table::keys() {
        match value_of(key, sources, &file_name, &file) {
            Ok(resolved) => {
                values.map.insert(key.name, resolved);
            }
            Err(problem) => problems.push(*problem),
        }
    }
    let bindings = bindings::read(&file, &file_name, &mut problems);
    let tables = engine::read(&file, &file_name, &mut problems);
    let mut resolved = None;
    if problems.is_empty() {
        rules::check(sources.process, &values, &mut problems);
        resolved = engine::resolve(&values, &bindings, tables, &mut problems);
    }
    let (Some(engine), true) = (resolved, problems.is_empty()) else {
        return Err(ConfigError { problems });
    };
    let internal = |what: &str| ConfigError { problems: vec![internal_problem(what)] };
    let areas = Areas::build(&values).ok_or_else(|| internal("a key and its field disagree"))?;
    let hash = penstock_types::canonical::hash(&canonical(&values, &bindings, &engine))
        .map_err(|error| internal(&error.to_string()))?;
    let warnings = rules::warnings(&values);
    Ok(Config { process: sources.process, areas, bindings, engine, warnings, values, hash })
}

pub(crate) fn internal_problem(what: &str) -> Problem {
    Problem {
        key: "configuration table".to_owned(),
        origin: "compiled".to_owned(),
        value: "-".to_owned(),
        reason: what.to_owned(),
        allowed: String::new(),
        next: "report this: it is a defect of this version".to_owned(),
        engine_code: None,
    }
}

fn engine_key(name: &str) -> bool {
    name.starts_with("engine.")
}

fn read_file(sources: &Sources, problems: &mut Vec<Problem>) -> (String, File) {
    let Some((name, text)) = &sources.file else { return (String::new(), File::default()) };
    match file::parse(text) {
        Ok(file) => (name.clone(), file),
        Err(error) => {
            problems.push(Problem {
                key: name.clone(),
                origin: format!("line {}", error.line),
                value: "the file".to_owned(),
                reason: error.reason,
                allowed: "TOML".to_owned(),
                next: "correct the line".to_owned(),
                engine_code: Some(engine::E_CFG_PARSE),
            });
            (name.clone(), File::default())
        }
    }
}

fn refuse_unknown(sources: &Sources, name: &str, file: &File, problems: &mut Vec<Problem>) {
    let mut refuse = |key: &str, origin: String, hint: Option<&'static Key>| {
        problems.push(Problem {
            key: key.to_owned(),
            origin,
            value: "(any)".to_owned(),
            engine_code: engine_key(key).then_some(engine::E_CFG_PARSE),
            reason: "is not a known key".to_owned(),
            allowed: String::new(),
            next: hint.map_or_else(
                || "remove it; `penstock config show` lists all keys".to_owned(),
                |key| format!("did you mean {}? in the environment {}", key.name, key.env()),
            ),
        });
    };
    for (key, entry) in &file.entries {
        if table::find(key).is_none() && !engine::is_override(key) {
            refuse(key, format!("{name}:{}", entry.line), table::nearest(key));
        }
    }
    let known: std::collections::BTreeSet<String> = table::keys().map(Key::env).collect();
    for variable in sources.environment.keys().filter(|variable| variable.starts_with("PENSTOCK_"))
    {
        if !known.contains(variable) {
            refuse(
                variable,
                "environment".to_owned(),
                table::nearest(&variable.to_ascii_lowercase()),
            );
        }
    }
}

/// The value of one key, or what is wrong with it.
fn value_of(
    key: &Key,
    sources: &Sources,
    file_name: &str,
    file: &File,
) -> Result<Resolved, Box<Problem>> {
    let variable = key.env();
    let in_file = file.entries.get(key.name);
    if key.is_secret()
        && let Some(entry) = in_file
    {
        let origin = Origin::File { name: file_name.to_owned(), line: entry.line };
        let next = format!("set {variable}, or {variable}_FILE with the name of a 0600 file");
        return Err(problem(
            key,
            &origin,
            None,
            "secrets never stand in the file".to_owned(),
            next,
        ));
    }
    let from_environment = sources.environment.get(&variable).filter(|text| !text.is_empty());
    let from_secret = sources.secret_files.get(&variable).filter(|_| key.is_secret());
    if from_environment.is_some() && from_secret.is_some() {
        let reason = format!("both {variable} and {variable}_FILE are set");
        return Err(problem(key, &Origin::Environment, None, reason, "remove one".to_owned()));
    }
    let (input, origin) = if let Some(text) = from_environment {
        (Input::Env(text.clone()), Origin::Environment)
    } else if let Some(text) = from_secret {
        (Input::Env(text.clone()), Origin::SecretFile)
    } else if let Some(entry) = in_file {
        let origin = Origin::File { name: file_name.to_owned(), line: entry.line };
        (entry.input.clone(), origin)
    } else {
        let Some(default) = key.default else {
            return Ok(Resolved { value: Value::Unset, origin: Origin::Default });
        };
        (Input::Env(default.to_owned()), Origin::Default)
    };
    match value::read(key, &input) {
        Ok(value) => Ok(Resolved { value, origin }),
        Err(reason) => {
            let next = match key.shape.status {
                crate::key::Status::OnlyOff(off) => format!("remove it, or set {off:?}"),
                crate::key::Status::WithoutWord(word) => format!("choose another word than {word}"),
                _ => {
                    format!("set {} (file) or {variable} (environment) within the range", key.name)
                }
            };
            Err(problem(key, &origin, Some(&input), reason, next))
        }
    }
}

fn problem(
    key: &Key,
    origin: &Origin,
    input: Option<&Input>,
    reason: String,
    next: String,
) -> Box<Problem> {
    let value = match input {
        Some(input) if !key.is_secret() => input.shown(),
        _ => "[redacted]".to_owned(),
    };
    let code =
        if reason == value::OUT_OF_RANGE { engine::E_CFG_RANGE } else { engine::E_CFG_PARSE };
    Box::new(Problem {
        key: key.env(),
        origin: origin.to_string(),
        value,
        reason,
        allowed: key.range(),
        next,
        engine_code: engine_key(key.name).then_some(code),
    })
}
