//! Purpose: read the text of `penstock.toml`. Inputs: text. Outputs: what was written for each name,
//! with its line; the `[[engine.token]]` and `[[engine.event]]` tables. Invariants: numbers keep the
//! text that was written; any text gives a result or an error with a line, never a panic. It does not
//! know which keys exist.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use crate::value::Input;

/// Longest file that is read. A configuration is a few kilobytes; this keeps a wrong path (a log, a
/// device) from filling memory.
pub const FILE_BYTES_LIMIT: usize = 1_048_576;

/// What was written for one name.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) input: Input,
    pub(crate) line: usize,
}

/// The contents of a file.
#[derive(Debug, Clone, Default)]
pub struct File {
    pub(crate) entries: BTreeMap<String, Entry>,
    pub(crate) tokens: Vec<Row>,
    pub(crate) events: Vec<Row>,
    /// A name that stands twice in two spellings, and its second line.
    twice: Option<(String, usize)>,
}

/// One table of an array of tables.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) line: usize,
    pub(crate) fields: BTreeMap<String, Field>,
}

/// A field of such a table.
#[derive(Debug, Clone)]
pub(crate) enum Field {
    Plain(Input),
    /// A date or time as TOML knows them.
    Date(String),
    Rows(Vec<Row>),
}

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct FileError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

/// Reads a file's text.
///
/// # Errors
/// [`FileError`] with the line of the first thing that is not TOML.
pub fn parse(text: &str) -> Result<File, FileError> {
    if text.len() > FILE_BYTES_LIMIT {
        let reason = format!("{} bytes, at most {FILE_BYTES_LIMIT}", text.len());
        return Err(FileError { line: 1, reason });
    }
    let table = DeTable::parse(text).map_err(|error| FileError {
        line: line_of(text, error.span().map_or(0, |span| span.start)),
        reason: error.message().to_owned(),
    })?;
    let mut file = File::default();
    flatten(text, "", table.get_ref(), &mut file);
    match file.twice {
        Some((name, line)) => Err(FileError { line, reason: format!("{name} stands twice") }),
        None => Ok(file),
    }
}

fn flatten(text: &str, prefix: &str, table: &DeTable<'_>, file: &mut File) {
    for (key, value) in table {
        let name = match prefix {
            "" => key.get_ref().to_string(),
            // A class is written as people know it, `[engine.class.GMA]`, or as its key.
            "engine.class" => format!("{prefix}.{}", key.get_ref().to_ascii_lowercase()),
            _ => format!("{prefix}.{}", key.get_ref()),
        };
        let line = line_of(text, key.span().start);
        match (name.as_str(), value.get_ref()) {
            (_, DeValue::Table(inner)) => flatten(text, &name, inner, file),
            ("engine.token", DeValue::Array(_)) => file.tokens = rows(text, value.get_ref()),
            ("engine.event", DeValue::Array(_)) => file.events = rows(text, value.get_ref()),
            (_, plain) => {
                let entry = Entry { input: input(plain), line };
                if file.entries.insert(name.clone(), entry).is_some() {
                    file.twice = Some((name, line));
                }
            }
        }
    }
}

/// The tables of an array; what is no table in it becomes a row without fields, which is refused later.
fn rows(text: &str, value: &DeValue<'_>) -> Vec<Row> {
    let DeValue::Array(items) = value else { return Vec::new() };
    items
        .iter()
        .map(|item| {
            let line = line_of(text, item.span().start);
            let mut fields = BTreeMap::new();
            if let DeValue::Table(table) = item.get_ref() {
                for (key, value) in table {
                    let field = match value.get_ref() {
                        DeValue::Array(inner)
                            if inner
                                .iter()
                                .any(|one| matches!(one.get_ref(), DeValue::Table(_))) =>
                        {
                            Field::Rows(rows(text, value.get_ref()))
                        }
                        DeValue::Datetime(date) => Field::Date(date.to_string()),
                        plain => Field::Plain(input(plain)),
                    };
                    fields.insert(key.get_ref().to_string(), field);
                }
            }
            Row { line, fields }
        })
        .collect()
}

fn input(value: &DeValue<'_>) -> Input {
    match value {
        DeValue::String(text) => Input::Text(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Input::Int(number.as_str().to_owned()),
        DeValue::Integer(_) => Input::Other("number that is not decimal"),
        DeValue::Float(number) => Input::Float(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Input::Bool(*flag),
        DeValue::Datetime(_) => Input::Other("date"),
        DeValue::Table(_) => Input::Other("table"),
        DeValue::Array(items) => {
            let texts: Option<Vec<String>> =
                items.iter().map(|item| scalar(item.get_ref())).collect();
            texts.map_or(Input::Other("mixed array"), Input::List)
        }
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        _ => None,
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let end = offset.min(text.len());
    1 + text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{FILE_BYTES_LIMIT, parse};
    use crate::value::Input;

    #[test]
    fn numbers_keep_their_text_and_lines_are_known() {
        let file = parse(
            "# c\nmin_confidence = 0.35\n\n[engine]\ncompress = true\n[engine.stale]\nbook = 4_0\n",
        )
        .expect("is TOML");
        let entry = &file.entries["min_confidence"];
        assert_eq!((entry.input.clone(), entry.line), (Input::Float("0.35".to_owned()), 2));
        assert_eq!(file.entries["engine.compress"].input, Input::Bool(true));
        assert_eq!(file.entries["engine.stale.book"].input, Input::Int("40".to_owned()));
        assert_eq!(file.entries["engine.stale.book"].line, 7);
    }

    #[test]
    fn a_broken_file_names_its_line() {
        let error = parse("a = 1\nb = \n").expect_err("refused");
        assert_eq!(error.line, 2, "{error}");
        assert!(parse(&"#".repeat(FILE_BYTES_LIMIT + 1)).is_err());
        assert!(parse("a = 1\na = 2\n").is_err(), "a key stands once");
    }

    proptest! {
        #[test]
        fn any_text_gives_a_result(text in "(?s).{0,200}") {
            // The property is that it returns at all; what it returns is checked where it can be known.
            if let Err(error) = parse(&text) {
                prop_assert!(error.line >= 1);
                prop_assert!(error.line <= text.lines().count() + 1);
            }
        }

        #[test]
        fn whole_numbers_come_back_as_written(number in any::<i64>()) {
            let file = parse(&format!("x = {number}\n")).expect("is TOML");
            prop_assert_eq!(&file.entries["x"].input, &Input::Int(number.to_string()));
        }
    }
}
