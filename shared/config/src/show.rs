//! Purpose: the configuration for people. Inputs: [`Config`], the table. Outputs: rows of `penstock
//! config show`, the places where a profile differs from the defaults, the document of all keys.
//! Invariants: a secret is never shown; the document is made of the table and of nothing else.

use std::fmt::Write as _;

use crate::key::{Key, Status};
use crate::resolve::{Config, Origin};
use crate::table;
use crate::value::Value;

/// One row of `penstock config show`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Name in the file.
    pub key: &'static str,
    /// Name in the environment.
    pub variable: String,
    /// Value, `[redacted]` for secrets.
    pub value: String,
    /// Where it comes from.
    pub origin: String,
    /// What is allowed.
    pub range: String,
}

/// All keys with value, origin and range.
#[must_use]
pub fn rows(config: &Config) -> Vec<Row> {
    table::keys()
        .filter_map(|key| {
            let resolved = config.values().get(key.name)?;
            Some(Row {
                key: key.name,
                variable: key.env(),
                value: resolved.value.shown(),
                origin: resolved.origin.to_string(),
                range: key.range(),
            })
        })
        .collect()
}

/// One difference between what is in force and the compiled defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Name in the file.
    pub key: &'static str,
    /// The compiled default.
    pub default: String,
    /// What is in force.
    pub value: String,
}

/// Where a configuration differs from the defaults, secrets and the tool's own names left out.
#[must_use]
pub fn differences(config: &Config) -> Vec<Difference> {
    table::keys()
        .filter(|key| !key.is_secret() && !key.is_tool_name())
        .filter_map(|key| {
            let resolved = config.values().get(key.name)?;
            if resolved.origin == Origin::Default {
                return None;
            }
            let default = key.default.map_or(Value::Unset, |text| {
                crate::value::read(key, &crate::value::Input::Env(text.to_owned()))
                    .unwrap_or(Value::Unset)
            });
            (!default.same(&resolved.value)).then(|| Difference {
                key: key.name,
                default: default.shown(),
                value: resolved.value.shown(),
            })
        })
        .collect()
}

/// The document of all keys, in Markdown.
#[must_use]
pub fn document() -> String {
    let mut text = INTRODUCTION.to_owned();
    let mut group = "";
    for key in table::keys() {
        if key.group != group {
            group = key.group;
            let _ = write!(
                text,
                "\n## {group}\n\n| Key | Environment | P | Default | Range | Meaning |\n|---|---|---|---|---|---|\n"
            );
        }
        let _ = writeln!(text, "{}", document_row(key));
    }
    text
}

fn document_row(key: &Key) -> String {
    let owners: String = key.owners.iter().map(|owner| owner.letter()).collect();
    let default = match key.default {
        None => "unset".to_owned(),
        Some("") => "empty".to_owned(),
        Some(text) => format!("`{text}`"),
    };
    let status = match key.shape.status {
        Status::Active => String::new(),
        Status::WithoutEffect => " *Without effect in this version.*".to_owned(),
        Status::OnlyOff("") => " *Not in this version: any value is refused.*".to_owned(),
        Status::OnlyOff(off) => format!(" *Not in this version: only `{off}` is accepted.*"),
        Status::WithoutWord(word) => format!(" *`{word}` is not in this version and refused.*"),
    };
    format!(
        "| `{}` | `{}` | {owners} | {default} | {} | {}{status} |",
        key.name,
        key.env(),
        key.range().replace('|', "\\|"),
        key.meaning.trim()
    )
}

const INTRODUCTION: &str = "# Configuration

Compiled defaults < `penstock.toml` < environment. The file is `penstock.toml` in the working directory, or the one that `--config` names. Each key has one name in the file and one in the environment (upper case, `_` for `.`). An empty variable counts as unset. Booleans are `1`, `0`, `true`, `false`, `yes`, `no`; lists are separated by commas, or arrays in the file. A default that begins with `${PENSTOCK_DATA}` lies in the data root.

Secrets come from the environment, or from a file of mode 0600 named by `<NAME>_FILE`; never from `penstock.toml`.

Refused before anything is connected to, with exit status 78 and a line per problem (key, value, origin, range, next step): an unknown key in the file, an unknown variable that begins with `PENSTOCK_`, a wrong type, a value out of range, keys that do not fit each other, a part that this version does not contain, `ws://` or `http://` or an unencrypted database connection to a host that is not loopback, both database URLs naming one server, the ingest URL in the execution process, `EXECUTION_ONLY=false`.

Column P: I `run-ingest`, E `run-execution-live`, X the tool. `penstock config show` prints value, origin and range of every key.

Tokens of the engine are tables of the file and have no environment form:

```toml
[[engine.token]]
id = 1                      # 1..65535, unique
symbol = \"BTC\"
class = \"GMA\"               # GMA, HMA, HEC, MEA, IAT, LCLA, MSPC, FCT
cluster = 1                 # 1..255; without it the cluster of the class
profile = \"SPOT_ONLY\"       # DERIV with a deriv_primary, else SPOT_ONLY
instruments = [             # 1 to 4
  { venue = \"kraken\", symbol = \"BTC/USD\", roles = [\"price_ref\", \"flow\", \"spot_primary\"], qty_exp = 8, multiplier = 1, funding_interval_h = 8 },
]
```

`[engine.class.<X>.fsm]` and `[engine.override.<token id>.fsm]` take the numbers of `engine.fsm`; a token's own beat those of its class.

Events of a cluster are tables too; who takes part in one is of class FCT. Times are UTC and strictly increase, an event begins when the one ahead of it in its cluster has ended:

```toml
[[engine.event]]
id = \"listing\"              # unique
cluster = 16                # a cluster that tokens are in
prep = 2026-02-16T12:00:00Z
start = 2026-02-16T13:00:00Z
mid = 2026-02-16T14:00:00Z
end = 2026-02-16T16:00:00Z
post = 2026-02-16T18:00:00Z
```

What the engine reads is resolved once: defaults filled in, overrides put into their tokens, tokens ascending by id, events by cluster and start. Its canonical JSON has the SHA-256 that begins the engine's chain and is kept in every snapshot. Directories, gates, retention, compression, polls, `disk_free_min_bytes`, `journal.group_ms`, `signing_key_file` and `alerts.publish_build` are no part of it. A refusal names one of the codes `E_CFG_PARSE`, `E_CFG_RANGE`, `E_CFG_SCHEDULE`, `E_CFG_TOKEN`, `E_CFG_SCHEMA` beside `STRAT_CONFIG_INVALID`.

<!-- This file is written by `UPDATE_DOCS=1 cargo test -p penstock-config --test document`. -->
";
