//! Purpose: the tokens that the engine binds to instruments. Inputs: the `[[engine.token]]` tables.
//! Outputs: [`Bindings`] with canonical bytes and their SHA-256. Invariants: both services resolve the
//! same tables to the same bytes (defaults filled in, ascending by id), so that a difference is found by
//! comparing hashes; a token is bound once. It does not know prices or scales of a venue.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Problem;
use crate::file::{Field, File, Row};
use crate::value::Input;

/// Most instruments of a token.
const INSTRUMENTS_MAX: usize = 4;
/// Digits of quantities when nothing is said.
const QTY_EXP_DEFAULT: i64 = 8;
/// Hours between two fundings when nothing is said.
const FUNDING_INTERVAL_H_DEFAULT: i64 = 8;
/// Venues that an instrument can be on.
const VENUES: [&str; 3] = ["kraken", "kraken_futures", "binance_um"];
/// What an instrument supplies.
const ROLES: [&str; 5] = ["price_ref", "deriv_primary", "flow", "oi_set", "spot_primary"];
/// Classes of tokens.
const CLASSES: [&str; 8] = ["GMA", "HMA", "HEC", "MEA", "IAT", "LCLA", "MSPC", "FCT"];
const PROFILES: [&str; 2] = ["DERIV", "SPOT_ONLY"];

/// One instrument of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instrument {
    /// Venue.
    pub venue: String,
    /// Symbol at that venue.
    pub symbol: String,
    /// What it supplies, in the order of the role table.
    pub roles: Vec<String>,
    /// Decimal digits of its quantities.
    pub qty_exp: i64,
    /// Units of the base asset in one contract.
    pub multiplier: i64,
    /// Hours between two fundings.
    pub funding_interval_h: i64,
}

/// A base asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// 1 to 65,535.
    pub id: i64,
    /// Name of the asset.
    pub symbol: String,
    /// Its instruments; the position is the instrument's id.
    pub instruments: Vec<Instrument>,
    /// Class, not part of the canonical bytes.
    #[serde(skip)]
    pub class: String,
    /// Profile, not part of the canonical bytes.
    #[serde(skip)]
    pub profile: String,
    /// Cluster, that of the class when nothing is said; not part of the canonical bytes.
    #[serde(skip)]
    pub cluster: Option<i64>,
}

/// All tokens, ascending by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bindings {
    tokens: Vec<Token>,
}

impl Bindings {
    /// The tokens, ascending by id.
    #[must_use]
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// Those of a run row: what its tokens were bound to, without class and profile.
    ///
    /// # Errors
    /// JSON that no run row carries.
    pub fn of_run(bindings: serde_json::Value) -> Result<Self, serde_json::Error> {
        serde_json::from_value(bindings).map(|tokens| Self { tokens })
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        // Texts, whole numbers and lists always serialise.
        serde_json::to_value(&self.tokens).unwrap_or(serde_json::Value::Null)
    }

    /// The canonical JSON that a run row carries.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        // Whole numbers are within limits and there are no fractions, so a canonical form exists.
        penstock_types::canonical::to_bytes(&self.tokens).unwrap_or_default()
    }

    /// SHA-256 of [`Bindings::canonical`].
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.canonical()).into()
    }
}

struct Reader<'a> {
    file_name: &'a str,
    problems: &'a mut Vec<Problem>,
}

/// Reads the tokens of a file.
pub(crate) fn read(file: &File, file_name: &str, problems: &mut Vec<Problem>) -> Bindings {
    let mut reader = Reader { file_name, problems };
    let mut tokens: Vec<Token> = file.tokens.iter().filter_map(|row| reader.token(row)).collect();
    tokens.sort_by_key(|token| token.id);
    let (mut ids, mut symbols) = (BTreeSet::new(), BTreeSet::new());
    for token in &tokens {
        if !ids.insert(token.id) || !symbols.insert(token.symbol.clone()) {
            reader.refuse(0, "id", &token.id.to_string(), "is bound twice", "one table per token");
        }
    }
    Bindings { tokens }
}

impl Reader<'_> {
    fn refuse(&mut self, line: usize, key: &str, value: &str, reason: &str, allowed: &str) {
        let place = if line == 0 { String::new() } else { format!(":{line}") };
        self.problems.push(Problem {
            key: format!("engine.token {key}"),
            origin: format!("{}{place}", self.file_name),
            value: value.to_owned(),
            reason: reason.to_owned(),
            allowed: allowed.to_owned(),
            next: "correct the table; every field and its limits stand in docs/configuration.md"
                .to_owned(),
            engine_code: Some(crate::engine::E_CFG_TOKEN),
        });
    }

    fn unknown(&mut self, row: &Row, known: &[&str]) {
        let strange: Vec<String> =
            row.fields.keys().filter(|name| !known.contains(&name.as_str())).cloned().collect();
        for name in strange {
            self.refuse(row.line, &name, "(any)", "is not a known field", &known.join(", "));
        }
    }

    fn token(&mut self, row: &Row) -> Option<Token> {
        self.unknown(row, &["id", "symbol", "class", "cluster", "profile", "instruments"]);
        let id = self.int(row, "id", None, 1, 65_535);
        let symbol = self.text(row, "symbol", None, &[]);
        let class = self.text(row, "class", Some("MSPC"), &CLASSES);
        let profile = self.text(row, "profile", Some("SPOT_ONLY"), &PROFILES);
        let cluster = match row.fields.contains_key("cluster") {
            true => Some(self.int(row, "cluster", None, 1, 255)?),
            false => None,
        };
        let rows = match row.fields.get("instruments") {
            Some(Field::Rows(rows)) if (1..=INSTRUMENTS_MAX).contains(&rows.len()) => {
                rows.as_slice()
            }
            _ => {
                self.refuse(
                    row.line,
                    "instruments",
                    "(missing or too many)",
                    "must be a list of tables",
                    "1 to 4 tables",
                );
                return None;
            }
        };
        let instruments: Vec<Instrument> =
            rows.iter().filter_map(|row| self.instrument(row)).collect();
        let complete = instruments.len() == rows.len();
        if complete {
            self.check_roles(row.line, &instruments, profile.as_deref());
        }
        complete.then_some(())?;
        let (id, symbol, class, profile) = (id?, symbol?, class?, profile?);
        Some(Token { id, symbol, instruments, class, profile, cluster })
    }

    fn instrument(&mut self, row: &Row) -> Option<Instrument> {
        let known = ["venue", "symbol", "roles", "qty_exp", "multiplier", "funding_interval_h"];
        self.unknown(row, &known);
        let venue = self.text(row, "venue", None, &VENUES);
        let symbol = self.text(row, "symbol", None, &[]);
        let qty_exp = self.int(row, "qty_exp", Some(QTY_EXP_DEFAULT), 0, 8);
        let multiplier = self.int(row, "multiplier", Some(1), 1, 1_000_000_000);
        let funding = self.int(row, "funding_interval_h", Some(FUNDING_INTERVAL_H_DEFAULT), 1, 24);
        let written = match row.fields.get("roles") {
            Some(Field::Plain(Input::List(roles))) if !roles.is_empty() => roles.clone(),
            _ => {
                self.refuse(
                    row.line,
                    "roles",
                    "(missing)",
                    "must be a list of roles",
                    &ROLES.join(", "),
                );
                return None;
            }
        };
        if let Some(strange) = written.iter().find(|role| !ROLES.contains(&role.as_str())) {
            self.refuse(row.line, "roles", strange, "is not a role", &ROLES.join(", "));
            return None;
        }
        // One order and no repetition, so that the bytes do not depend on how it was written.
        let roles: Vec<String> = ROLES
            .iter()
            .filter(|role| written.iter().any(|one| one == *role))
            .map(|role| (*role).to_owned())
            .collect();
        Some(Instrument {
            venue: venue?,
            symbol: symbol?,
            roles,
            qty_exp: qty_exp?,
            multiplier: multiplier?,
            funding_interval_h: funding?,
        })
    }

    fn check_roles(&mut self, line: usize, instruments: &[Instrument], profile: Option<&str>) {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for role in instruments.iter().flat_map(|instrument| &instrument.roles) {
            *counts.entry(role).or_default() += 1;
        }
        let count = |role: &str| counts.get(role).copied().unwrap_or(0);
        for (role, min, max) in [
            ("price_ref", 1, 1),
            ("deriv_primary", 0, 1),
            ("flow", 1, 4),
            ("oi_set", 0, 3),
            ("spot_primary", 0, 1),
        ] {
            let found = count(role);
            if !(min..=max).contains(&found) {
                self.refuse(
                    line,
                    role,
                    &found.to_string(),
                    "instruments have this role",
                    &format!("{min}..{max}"),
                );
            }
        }
        let apart = instruments.iter().any(|one| {
            let has = |role: &str| one.roles.iter().any(|own| own == role);
            has("deriv_primary") && !has("price_ref")
        });
        if apart {
            self.refuse(
                line,
                "deriv_primary",
                "another instrument",
                "must be the price_ref too",
                "the same instrument",
            );
        }
        let derivative = count("deriv_primary") > 0;
        if profile.is_some_and(|profile| (profile == "DERIV") != derivative) {
            self.refuse(
                line,
                "profile",
                profile.unwrap_or(""),
                "does not fit the roles",
                "DERIV exactly with a deriv_primary",
            );
        }
    }

    fn int(
        &mut self,
        row: &Row,
        name: &str,
        default: Option<i64>,
        min: i64,
        max: i64,
    ) -> Option<i64> {
        let range = format!("{min}..{max}");
        match (row.fields.get(name), default) {
            (None, Some(default)) => Some(default),
            (Some(Field::Plain(Input::Int(text))), _) => {
                let number = text.parse::<i64>().ok().filter(|number| (min..=max).contains(number));
                if number.is_none() {
                    self.refuse(row.line, name, text, "is out of range", &range);
                }
                number
            }
            (None, None) => {
                self.refuse(row.line, name, "(missing)", "is required", &range);
                None
            }
            (Some(_), _) => {
                self.refuse(row.line, name, "(other type)", "is not a whole number", &range);
                None
            }
        }
    }

    fn text(
        &mut self,
        row: &Row,
        name: &str,
        default: Option<&str>,
        words: &[&str],
    ) -> Option<String> {
        let allowed =
            if words.is_empty() { "1 to 64 characters".to_owned() } else { words.join(", ") };
        match (row.fields.get(name), default) {
            (None, Some(default)) => Some(default.to_owned()),
            (Some(Field::Plain(Input::Text(text))), _) => {
                let fits = if words.is_empty() {
                    (1..=64).contains(&text.len())
                } else {
                    words.contains(&text.as_str())
                };
                if !fits {
                    self.refuse(row.line, name, text, "does not fit", &allowed);
                }
                fits.then(|| text.clone())
            }
            (found, _) => {
                let what = if found.is_some() { "(other type)" } else { "(missing)" };
                self.refuse(row.line, name, what, "must be text", &allowed);
                None
            }
        }
    }
}
