//! A chain of rows as sentences, in the order in which things happened.
//!
//! Input: a [`Chain`]. Output: a [`Story`]: one part for each link, and what is missing. Invariants: every
//! number is one of a row or the difference of two; a link without a row has a sentence that says so.

mod after;
mod before;

use chrono::{DateTime, Utc};
use penstock_store_decision::explain::{Chain, Subject};
use penstock_types::Decimal;

/// One link of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub title: &'static str,
    /// What is to be said of it.
    pub sentences: Vec<String>,
}

/// The chain in sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// What it is about.
    pub subject: String,
    /// Links in their order.
    pub parts: Vec<Part>,
    /// Links without a row.
    pub missing: Vec<String>,
}

impl Story {
    /// All sentences, each behind the name of its link.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let of = |part: &Part| {
            let title = part.title;
            let said = part.sentences.iter().map(move |sentence| format!("{title}: {sentence}"));
            said.collect::<Vec<_>>()
        };
        self.parts.iter().flat_map(of).collect()
    }

    /// For eyes.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.subject);
        for part in &self.parts {
            text.push_str(&format!("\n{}\n", part.title));
            for sentence in &part.sentences {
                text.push_str(&format!("  {sentence}\n"));
            }
        }
        if self.missing.is_empty() {
            text.push_str("\nNothing is missing in this chain.\n");
        } else {
            text.push_str(&format!("\nMissing: {}.\n", self.missing.join("; ")));
        }
        text
    }
}

/// Tells a chain.
pub(super) fn of(subject: &Subject, chain: &Chain) -> Story {
    let mut story =
        Story { subject: title(subject, chain), parts: Vec::new(), missing: Vec::new() };
    before::tell(chain, &mut story);
    after::tell(chain, &mut story);
    story
}

fn title(subject: &Subject, chain: &Chain) -> String {
    match &chain.order {
        Some(order) => format!(
            "{subject}: {} {} {} on {}, client id {}, venue id {}.",
            order.role,
            order.side,
            number(order.qty),
            order.symbol,
            order.cl_ord_id,
            order.exchange_order_id.as_deref().unwrap_or("none"),
        ),
        None => format!("{subject}."),
    }
}

impl Story {
    /// Adds a link.
    fn part(&mut self, title: &'static str, sentences: Vec<String>) {
        self.parts.push(Part { title, sentences });
    }

    /// Adds a link without a row.
    fn lacks(&mut self, title: &'static str, what: &str) {
        self.missing.push(what.to_owned());
        self.part(title, vec![format!("There is {what}.")]);
    }
}

fn number(value: Decimal) -> String {
    value.normalize().to_string()
}

fn or_unknown(value: Option<Decimal>) -> String {
    value.map_or_else(|| "unknown".to_owned(), number)
}

fn text(value: Option<&str>) -> &str {
    value.unwrap_or("unknown")
}

fn at(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S%.3f UTC").to_string()
}

/// Codes as a list; without one the word for that.
fn codes(all: &[String]) -> String {
    if all.is_empty() { "no reason".to_owned() } else { all.join(", ") }
}

#[cfg(test)]
mod tests;
