//! The canonical text of a configuration: one object with sorted keys, whole numbers, no blanks (RFC 8785).
//!
//! Input: a resolved configuration. Output: text. Invariants: the same configuration gives the same bytes in
//! whatever order it was assembled; every key that [`EngineConfig::visit`] names is in it, defaults too.

use super::{EngineConfig, EventConfig, Field, InstrumentConfig, SCHEMA, TokenConfig};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Paths with their JSON values.
type Pairs = Vec<(String, String)>;

pub(super) fn text(config: &EngineConfig) -> String {
    let mut copy = config.clone();
    let mut pairs = Pairs::new();
    copy.visit(&mut |path, field| pairs.push((String::from(path), value(&field))));
    pairs.push((String::from("schema"), quoted(SCHEMA)));
    pairs.push((String::from("token"), list(config.tokens.iter().map(token))));
    pairs.push((String::from("event"), list(config.events.iter().map(event))));
    object(pairs)
}

fn value(field: &Field<'_>) -> String {
    match field {
        Field::Int { value, .. } => format!("{value}"),
        Field::Bool(value) => format!("{value}"),
        Field::Weights(values) => list(values.iter().map(|value| format!("{value}"))),
    }
}

fn token(token: &TokenConfig) -> String {
    let mut pairs = Pairs::new();
    let mut fsm = token.fsm;
    fsm.visit("fsm", &mut |path, field| pairs.push((String::from(path), value(&field))));
    let mut add = |key: &str, json: String| pairs.push((String::from(key), json));
    add("id", format!("{}", token.id));
    add("symbol", quoted(&token.symbol));
    add("class", quoted(token.class.name()));
    add("cluster", format!("{}", token.cluster));
    add("profile", quoted(token.profile.name()));
    add("w_oi", format!("{}", token.w_oi));
    add("w_funding", format!("{}", token.w_funding));
    add("instruments", list(token.instruments.iter().map(instrument)));
    object(pairs)
}

fn instrument(instrument: &InstrumentConfig) -> String {
    let roles = instrument.roles.list().into_iter().filter(|(_, has)| *has);
    object(Pairs::from([
        (String::from("venue"), quoted(instrument.venue.as_str())),
        (String::from("symbol"), quoted(&instrument.symbol)),
        (String::from("roles"), list(roles.map(|(name, _)| quoted(name)))),
        (String::from("qty_exp"), format!("{}", instrument.qty_exp)),
        (String::from("multiplier"), format!("{}", instrument.multiplier)),
        (String::from("funding_interval_h"), format!("{}", instrument.funding_interval_h)),
    ]))
}

fn event(event: &EventConfig) -> String {
    let ticks = [
        ("prep", event.prep),
        ("start", event.start),
        ("mid", event.mid),
        ("end", event.end),
        ("post", event.post),
    ];
    let mut pairs: Pairs =
        ticks.into_iter().map(|(key, tick)| (String::from(key), format!("{tick}"))).collect();
    pairs.push((String::from("id"), quoted(&event.id)));
    pairs.push((String::from("cluster"), format!("{}", event.cluster)));
    object(pairs)
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    format!("[{}]", items.join(","))
}

/// Nested objects of dotted paths, keys sorted at every depth.
fn object(mut pairs: Pairs) -> String {
    // Component by component: a separator that sorts below every letter keeps siblings together.
    pairs.sort_by_cached_key(|(path, _)| path.replace('.', "\0"));
    let mut out = String::from("{");
    let mut open: Vec<&str> = Vec::new();
    for (path, json) in &pairs {
        let parts: Vec<&str> = path.split('.').collect();
        let (leaf, dirs) = match parts.split_last() {
            Some(split) => split,
            None => continue,
        };
        let shared = open.iter().zip(dirs).take_while(|(a, b)| a == b).count();
        for _ in shared..open.len() {
            out.push('}');
        }
        open.truncate(shared);
        if !out.ends_with('{') {
            out.push(',');
        }
        for dir in dirs.iter().skip(shared) {
            out.push_str(&quoted(dir));
            out.push_str(":{");
            open.push(dir);
        }
        out.push_str(&quoted(leaf));
        out.push(':');
        out.push_str(json);
    }
    for _ in &open {
        out.push('}');
    }
    out.push('}');
    out
}

/// A JSON string.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
