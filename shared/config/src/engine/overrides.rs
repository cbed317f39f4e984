//! Purpose: thresholds of single classes and tokens. Inputs: `[engine.class.<X>.fsm]` and
//! `[engine.override.<token>.fsm]`. Outputs: the tokens' own numbers. Invariants: a token's own number beats
//! its class's, which beats the common one; a number is judged by the range of the key that it replaces; a
//! table of a token that is not bound is refused. Nothing is looked up at run time.

use penstock_engine::config::{Class, TokenConfig};

use crate::bindings::Bindings;
use crate::engine::{E_CFG_PARSE, E_CFG_RANGE, E_CFG_TOKEN};
use crate::error::Problem;
use crate::file::File;
use crate::table;
use crate::value::{self, OUT_OF_RANGE, Value};

/// Whom a number is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Class(Class),
    Token(u16),
}

/// One number.
#[derive(Debug, Clone)]
pub(super) struct Override {
    owner: Owner,
    /// Path below `fsm`.
    path: String,
    number: i64,
    name: String,
    origin: String,
}

/// Owner and path of a name; `None` when it is no override.
fn split(name: &str) -> Option<(Owner, &str)> {
    if let Some(rest) = name.strip_prefix("engine.class.") {
        let (class, path) = rest.split_once(".fsm.")?;
        let class = Class::ALL.into_iter().find(|known| known.key() == class)?;
        return Some((Owner::Class(class), path));
    }
    let (id, path) = name.strip_prefix("engine.override.")?.split_once(".fsm.")?;
    let token: u16 = id.parse().ok()?;
    // One spelling of a number, so that a table cannot stand twice.
    (token > 0 && token.to_string() == id).then_some((Owner::Token(token), path))
}

/// Whether a name is an override of a known key.
pub(crate) fn is_override(name: &str) -> bool {
    split(name).is_some_and(|(_, path)| table::find(&format!("engine.fsm.{path}")).is_some())
}

/// Reads all of them.
pub(super) fn read(file: &File, file_name: &str, problems: &mut Vec<Problem>) -> Vec<Override> {
    let mut found = Vec::new();
    for (name, entry) in &file.entries {
        let Some((owner, path)) = split(name) else { continue };
        // An unknown name was refused with its neighbours.
        let Some(key) = table::find(&format!("engine.fsm.{path}")) else { continue };
        let origin = format!("{file_name}:{}", entry.line);
        let refused = |reason: String, allowed: String| Problem {
            key: name.clone(),
            origin: origin.clone(),
            value: entry.input.shown(),
            engine_code: Some(if reason == OUT_OF_RANGE { E_CFG_RANGE } else { E_CFG_PARSE }),
            reason,
            allowed,
            next: format!("correct it, or remove it so that {} holds", key.name),
        };
        match value::read(key, &entry.input) {
            Ok(Value::Int(number)) => found.push(Override {
                owner,
                path: path.to_owned(),
                number,
                name: name.clone(),
                origin,
            }),
            Ok(_) => {
                let reason = "is one switch for all tokens".to_owned();
                problems.push(refused(reason, "the numbers of engine.fsm".to_owned()));
            }
            Err(reason) => problems.push(refused(reason, key.range())),
        }
    }
    found
}

/// Refuses numbers of tokens that are not bound.
pub(super) fn judge(overrides: &[Override], bindings: &Bindings, problems: &mut Vec<Problem>) {
    for one in overrides {
        let Owner::Token(id) = one.owner else { continue };
        if !bindings.tokens().iter().any(|token| token.id == i64::from(id)) {
            problems.push(Problem {
                key: one.name.clone(),
                origin: one.origin.clone(),
                value: one.number.to_string(),
                reason: format!("no [[engine.token]] has the id {id}"),
                allowed: "ids of bound tokens".to_owned(),
                next: "bind the token, or remove the table".to_owned(),
                engine_code: Some(E_CFG_TOKEN),
            });
        }
    }
}

/// Puts the numbers of its class and then its own into a token.
pub(super) fn apply(overrides: &[Override], token: &mut TokenConfig) {
    for owner in [Owner::Class(token.class), Owner::Token(token.id)] {
        for one in overrides.iter().filter(|one| one.owner == owner) {
            token.fsm.set(&one.path, one.number);
        }
    }
}
