//! How a verification says what it found: a table of a few lines, or one JSON object.

use crate::arguments::Output;
use comfy_table::Table;
use serde_json::{Map, Value};

/// What was found, over everything that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Everything is as recorded.
    Equal,
    /// Nothing differs, and of a part nothing can be proven.
    Incomplete,
    /// Something differs.
    Different,
}

impl Verdict {
    /// Of counts.
    pub(super) const fn of(incomplete: u64, different: u64) -> Self {
        match (incomplete, different) {
            (_, 1..) => Self::Different,
            (1.., 0) => Self::Incomplete,
            (0, 0) => Self::Equal,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "Equal",
            Self::Incomplete => "Incomplete",
            Self::Different => "Different",
        }
    }
}

/// Named values in the order in which they are shown.
pub(super) struct Report {
    verdict: Verdict,
    lines: Vec<(&'static str, Value)>,
}

impl Report {
    pub(super) const fn new(verdict: Verdict) -> Self {
        Self { verdict, lines: Vec::new() }
    }

    /// Adds a line.
    pub(super) fn line(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.lines.push((name, value.into()));
        self
    }

    /// Prints it; the exit status.
    pub(super) fn print(self, output: Output) -> i32 {
        match output {
            Output::Human => println!("{}", self.table()),
            Output::Json => println!("{}", self.json()),
        }
        match self.verdict {
            Verdict::Equal | Verdict::Incomplete => crate::exit::CLEAN,
            Verdict::Different => crate::exit::DIFFERENT,
        }
    }

    fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("verdict".to_owned(), self.verdict.as_str().into());
        for (name, value) in &self.lines {
            object.insert((*name).to_owned(), value.clone());
        }
        Value::Object(object)
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.add_row(["verdict", self.verdict.as_str()]);
        for (name, value) in &self.lines {
            let name = name.replace('_', " ");
            match value {
                Value::Null => {}
                Value::String(text) => {
                    table.add_row([name.as_str(), text]);
                }
                Value::Object(fields) => {
                    let shown = |(key, value): (&String, &Value)| {
                        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                        format!("{key} {text}")
                    };
                    let text = fields.iter().map(shown).collect::<Vec<_>>().join("\n");
                    table.add_row([name, text]);
                }
                other => {
                    table.add_row([name, other.to_string()]);
                }
            }
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::{Report, Verdict};

    #[test]
    fn one_difference_outweighs_everything_that_is_equal_or_unproven() {
        let verdicts = [(0, 0), (3, 0), (0, 1), (9, 2)].map(|(i, d)| Verdict::of(i, d));
        let [equal, incomplete, different, both] = verdicts;
        assert_eq!((equal, incomplete), (Verdict::Equal, Verdict::Incomplete));
        assert_eq!((different, both), (Verdict::Different, Verdict::Different));
    }

    #[test]
    fn table_and_json_say_the_same() {
        let report = || {
            Report::new(Verdict::Different)
                .line("run_id", 7)
                .line("first_difference", serde_json::json!({ "symbol": "BTC/USD", "got": 1 }))
                .line("note", serde_json::Value::Null)
        };
        let table = report().table().to_string();
        for part in ["Different", "run id", "7", "symbol BTC/USD", "got 1"] {
            assert!(table.contains(part), "{part}: {table}");
        }
        assert!(!table.contains("note"), "{table}");
        let json = report().json();
        assert_eq!(json["verdict"], "Different");
        assert_eq!(json["first_difference"]["symbol"], "BTC/USD");
    }
}
