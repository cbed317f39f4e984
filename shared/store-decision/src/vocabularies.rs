//! The closed vocabularies as functions of the decision cluster.
//!
//! Input: the types. Output: the text of the newest vocabulary migration (a test compares). Invariants: a list only
//! grows, so a row that was accepted stays acceptable; a vocabulary that grew gets a migration of a new number, because
//! an applied one may not change.

use std::fmt::Write as _;

use penstock_types::vocab::{AuditEventType, ReasonCode, StageName};

/// Characters of a line of SQL.
const LINE_CHARS_MAX: usize = 100;
/// Oldest schema whose binary works with these functions: they are new objects.
const OLDEST_BINARY: i32 = 6;

/// The migration that creates or replaces the three functions.
#[must_use]
pub fn migration(version: i32) -> String {
    let mut text = String::from(
        "-- What a stage, an event and a reason may be, written from the types by a test of store-decision\n\
         -- (UPDATE_DOCS=1 cargo test -p penstock-store-decision --lib vocabularies). NULL passes, as in any check.\n\
         -- Functions only: milliseconds.\n",
    );
    let stages: Vec<&str> = StageName::ALL.iter().map(|s| s.as_str()).collect();
    let events: Vec<&str> = AuditEventType::ALL.iter().map(|e| e.as_str()).collect();
    let reasons: Vec<&str> = ReasonCode::ALL.iter().map(|r| r.as_str()).collect();
    function(&mut text, "stage_ok(stage text)", "select stage = any (array[", &stages);
    function(&mut text, "event_ok(event_type text)", "select event_type = any (array[", &events);
    let all_of = "select array_remove(reasons, null) <@ array[";
    function(&mut text, "reasons_ok(reasons text[])", all_of, &reasons);
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\ninsert into schema_compat (set_name, version, min_binary_schema) values ('decision', {version}, {OLDEST_BINARY})\n  on conflict do nothing;\n"
    );
    text
}

fn function(text: &mut String, signature: &str, opens: &str, words: &[&str]) {
    let closes = if opens.ends_with("any (array[") { "]::text[])" } else { "]::text[]" };
    let _ = write!(
        text,
        "\ncreate or replace function {signature} returns boolean language sql immutable parallel safe\n\
         as $$\n  {opens}\n"
    );
    let mut line = String::from("   ");
    for (at, word) in words.iter().enumerate() {
        let comma = if at + 1 == words.len() { "" } else { "," };
        let piece = format!(" '{word}'{comma}");
        if line.len() + piece.len() > LINE_CHARS_MAX {
            let _ = writeln!(text, "{line}");
            line = String::from("   ");
        }
        line.push_str(&piece);
    }
    let _ = write!(text, "{line}\n  {closes}\n$$;\n");
}

#[cfg(test)]
mod tests {
    /// Version of the migration that holds the lists as they are now.
    const NEWEST: i32 = 8;

    #[test]
    fn the_newest_migration_of_the_vocabularies_is_what_the_types_say() {
        let name = format!("/../../migrations/decision/V{NEWEST}__vocabularies.sql");
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "").to_owned() + &name;
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, super::migration(NEWEST)).expect("written");
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == super::migration(NEWEST),
            "{path} is not what the types say; next: if it was released, raise NEWEST, then UPDATE_DOCS=1 cargo test \
             -p penstock-store-decision --lib vocabularies"
        );
    }
}
