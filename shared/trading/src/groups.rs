//! Correlation groups: symbols that move together and share one budget.
//!
//! Purpose: read the file of groups, and say how much of its budget each group of a symbol has used.
//! Inputs: the text of the file; exposure per symbol. Outputs: groups; quote. Invariants: reading is total
//! and names the line of an error; a symbol in no group is its own group. It opens no file.
//!
//! One group per line: a name, a colon, symbols with blanks between them. A hash sign begins a comment.

use std::collections::{BTreeMap, BTreeSet};

use penstock_types::{Decimal, Symbol};
use serde::{Deserialize, Serialize};

/// Longest file in bytes: every pair of the venue fits several times.
pub const GROUPS_BYTES_MAX: usize = 256 * 1024;
/// Most groups.
pub const GROUPS_MAX: usize = 1_000;

/// Symbols that move together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrelationGroup {
    /// Name.
    pub name: String,
    /// Symbols, ascending.
    pub symbols: BTreeSet<Symbol>,
}

/// A file of groups that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupsError {
    /// The file is too long.
    #[error("{bytes} bytes, at most {GROUPS_BYTES_MAX}; next: remove groups")]
    Bytes {
        /// Its length.
        bytes: usize,
    },
    /// There are too many groups.
    #[error("line {line}: more than {GROUPS_MAX} groups; next: remove groups")]
    Groups {
        /// Line, from 1.
        line: usize,
    },
    /// A line has another form.
    #[error("line {line}: {problem}; next: write NAME: BASE/QUOTE BASE/QUOTE")]
    Line {
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
}

/// Reads the file of groups.
///
/// # Errors
/// [`GroupsError`] naming the line.
pub fn parse(text: &str) -> Result<Vec<CorrelationGroup>, GroupsError> {
    if text.len() > GROUPS_BYTES_MAX {
        return Err(GroupsError::Bytes { bytes: text.len() });
    }
    let mut groups: Vec<CorrelationGroup> = Vec::new();
    for (line, whole) in (1..).zip(text.lines()) {
        let told = |problem: String| GroupsError::Line { line, problem };
        let content = whole.split('#').next().unwrap_or_default().trim();
        if content.is_empty() {
            continue;
        }
        let Some((name, members)) = content.split_once(':') else {
            return Err(told("no colon after a name".to_owned()));
        };
        let name = name.trim();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(told(format!("{name:?} is no name of one word")));
        }
        if groups.iter().any(|group| group.name == name) {
            return Err(told(format!("group {name} stands twice")));
        }
        let mut symbols = BTreeSet::new();
        for text in members.split_ascii_whitespace() {
            let symbol = Symbol::new(text).map_err(|error| told(error.to_string()))?;
            if symbol.base().is_empty() || symbol.quote().is_empty() {
                return Err(told(format!("{text} is not BASE/QUOTE")));
            }
            if !symbols.insert(symbol) {
                return Err(told(format!("{text} stands twice in group {name}")));
            }
        }
        if symbols.is_empty() {
            return Err(told(format!("group {name} has no symbol")));
        }
        if groups.len() == GROUPS_MAX {
            return Err(GroupsError::Groups { line });
        }
        groups.push(CorrelationGroup { name: name.to_owned(), symbols });
    }
    Ok(groups)
}

/// What the fullest group of a symbol has used, quote.
#[must_use]
pub fn used_quote(
    groups: &[CorrelationGroup],
    symbol: &Symbol,
    exposure: &BTreeMap<Symbol, Decimal>,
) -> Decimal {
    let of = |symbol: &Symbol| exposure.get(symbol).copied().unwrap_or(Decimal::ZERO);
    groups
        .iter()
        .filter(|group| group.symbols.contains(symbol))
        .map(|group| group.symbols.iter().map(of).sum())
        .max()
        .unwrap_or_else(|| of(symbol))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn symbol(text: &str) -> Symbol {
        Symbol::new(text).unwrap()
    }

    #[test]
    fn groups_are_read_with_comments_and_blanks() {
        let text = "# majors\nmajors: BTC/USD  ETH/USD # two\n\nmemes:DOGE/USD\r\n";
        let groups = parse(text).unwrap();
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0].symbols, BTreeSet::from([symbol("BTC/USD"), symbol("ETH/USD")]));
        assert_eq!(groups[1].name, "memes");
        assert_eq!(parse(""), Ok(Vec::new()));
    }

    #[test]
    fn each_wrong_line_is_named() {
        for (text, words) in [
            ("a: BTC/USD\nBTC/USD", "line 2: no colon"),
            (": BTC/USD", "is no name"),
            ("a b: BTC/USD", "is no name"),
            ("a:", "has no symbol"),
            ("a: BTC/USD BTC/USD", "stands twice in group"),
            ("a: BTC/USD\na: ETH/USD", "line 2: group a stands twice"),
            ("a: not-a-symbol", "line 1"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text:?}: {error}");
            assert!(error.contains("next: "), "{error}");
        }
        let long = "#".repeat(GROUPS_BYTES_MAX + 1);
        assert_eq!(parse(&long), Err(GroupsError::Bytes { bytes: GROUPS_BYTES_MAX + 1 }));
        let many: String = (0..=GROUPS_MAX).map(|n| format!("g{n}: BTC/USD\n")).collect();
        assert_eq!(parse(&many), Err(GroupsError::Groups { line: GROUPS_MAX + 1 }));
    }

    #[test]
    fn a_symbol_uses_the_budget_of_its_fullest_group() {
        let text = "a: BTC/USD ETH/USD\nb: BTC/USD SOL/USD XRP/USD";
        let groups = parse(text).unwrap();
        let exposure = [("BTC/USD", 10), ("ETH/USD", 20), ("SOL/USD", 5), ("ADA/USD", 7)]
            .map(|(text, quote)| (symbol(text), Decimal::from(quote)));
        let exposure = BTreeMap::from(exposure);
        let used = |text: &str| used_quote(&groups, &symbol(text), &exposure);
        assert_eq!(used("BTC/USD"), Decimal::from(30));
        assert_eq!(used("XRP/USD"), Decimal::from(15));
        assert_eq!(used("ADA/USD"), Decimal::from(7), "its own group");
        assert_eq!(used("DOT/USD"), Decimal::ZERO);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_is_read_can_be_written(text in "\\PC{0,200}") {
            if let Ok(groups) = parse(&text) {
                let written: String = groups
                    .iter()
                    .map(|group| {
                        let symbols: Vec<&str> =
                            group.symbols.iter().map(Symbol::as_str).collect();
                        format!("{}: {}\n", group.name, symbols.join(" "))
                    })
                    .collect();
                prop_assert_eq!(parse(&written), Ok(groups));
            }
        }
    }
}
