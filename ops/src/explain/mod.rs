//! `penstock explain ORDER|DECISION`: the whole causal chain, from the frame that priced an entry to its exits.
//!
//! Input: the decision cluster, read-only; an order's number, client id or venue id, or a decision's id or its
//! first twelve digits. Output: sentences or JSON. Status 0 when it is found, 2 when nothing or more than one
//! thing has that name. Invariants: what is said was stored; what is missing in the chain is said to be.

mod story;

use std::path::PathBuf;

use anyhow::Context;
use penstock_store_decision::explain::{self, Chain, Subject};
use sqlx::PgPool;

use crate::arguments::Output;
use crate::{databases, exit};

pub use story::Story;

/// Options of `penstock explain`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Order: number, client id or the venue's id; decision: id or its first 12 hexadecimal digits
    #[arg(value_name = "ORDER|DECISION")]
    pub what: String,
    /// Form of the output
    #[arg(long, value_enum, default_value = "human")]
    pub output: Output,
}

/// What a name came to.
#[derive(Debug)]
pub enum Found {
    /// One thing, with its chain and its story.
    One(Box<Chain>, Story),
    /// Nothing.
    Nothing,
    /// Several things.
    Several(Vec<Subject>),
}

/// Runs the command.
///
/// # Errors
/// When the decision cluster does not answer.
pub async fn run(args: Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let (_config, pool) = databases::observe_decisions(config_file.as_deref()).await?;
    match ask(&pool, &args.what).await? {
        Found::One(chain, story) => match args.output {
            Output::Human => print!("{}", story.text()),
            Output::Json => {
                let value = serde_json::json!({
                    "subject": story.subject, "sentences": story.sentences(),
                    "missing": story.missing, "facts": chain,
                });
                println!("{value}");
            }
        },
        Found::Nothing => {
            eprintln!("{}", nothing(&args.what));
            return Ok(exit::USAGE);
        }
        Found::Several(subjects) => {
            eprintln!("{}", several(&args.what, &subjects));
            return Ok(exit::USAGE);
        }
    }
    Ok(exit::CLEAN)
}

/// Looks for the thing and walks its chain.
///
/// # Errors
/// When the cluster does not answer.
pub async fn ask(pool: &PgPool, what: &str) -> anyhow::Result<Found> {
    let mut subjects = explain::find(pool, what.trim()).await.context("look for the name")?;
    if subjects.len() > 1 {
        return Ok(Found::Several(subjects));
    }
    let Some(subject) = subjects.pop() else { return Ok(Found::Nothing) };
    let chain = explain::chain(pool, &subject).await.context("read the chain")?;
    let story = story::of(&subject, &chain);
    Ok(Found::One(Box::new(chain), story))
}

/// Nothing has that name.
#[must_use]
pub fn nothing(what: &str) -> String {
    format!(
        "{what}: no order has that number, client id or venue id, and no decision begins with it (at least 12 hexadecimal digits); next: `penstock psql decision -- -c 'select order_id, cl_ord_id, exchange_order_id, symbol, role, state from execution_orders order by 1 desc limit 20'`"
    )
}

/// More than one thing has that name.
#[must_use]
pub fn several(what: &str, subjects: &[Subject]) -> String {
    let list: Vec<String> = subjects.iter().map(ToString::to_string).collect();
    format!("{what} is ambiguous: {}; next: give the whole id of one of them", list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_found_and_what_is_ambiguous_name_the_next_step() {
        assert!(nothing("4711").contains("4711") && nothing("4711").contains("next: "));
        let both = [Subject::Order(7), Subject::Decision("dec_ab".to_owned())];
        assert_eq!(
            several("x", &both),
            "x is ambiguous: order 7, decision dec_ab; next: give the whole id of one of them"
        );
    }
}
