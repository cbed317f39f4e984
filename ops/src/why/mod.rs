//! `penstock why SYMBOL`: the first closed gate of a symbol, what it compared, since when, what to do.
//!
//! Input: the decision cluster, read-only, and a symbol. Output: sentences or JSON. Status 0 for a symbol that
//! is known, 2 for one that is not. Invariants: what is said was stored by the evaluation; nothing is judged
//! again; an answer that an old evaluation gave says how old it is.

mod answer;
mod next;

use std::path::PathBuf;

use anyhow::Context;
use penstock_store_decision::why;
use penstock_types::Symbol;
use sqlx::PgPool;

use crate::arguments::Output;
use crate::{databases, exit};

pub use answer::{Answer, Standing};

/// Options of `penstock why`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Symbol, base and quote: BTC/USD
    pub symbol: String,
    /// Form of the output
    #[arg(long, value_enum, default_value = "human")]
    pub output: Output,
}

/// Runs the command.
///
/// # Errors
/// When the decision cluster does not answer.
pub async fn run(args: Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let name = args.symbol.to_uppercase();
    let symbol = match Symbol::new(&name) {
        Ok(symbol) => symbol,
        Err(error) => {
            eprintln!("{name}: {error}; next: give base and quote, as in `penstock why BTC/USD`");
            return Ok(exit::USAGE);
        }
    };
    let (config, pool) = databases::observe_decisions(config_file.as_deref()).await?;
    let answer = ask(&pool, &config.areas.clusters.domain, &symbol).await?;
    match args.output {
        Output::Human => print!("{}", answer.text()),
        Output::Json => println!("{}", serde_json::to_string(&answer)?),
    }
    Ok(if answer.standing == Standing::Unknown { exit::USAGE } else { exit::CLEAN })
}

/// Why a symbol is or is not traded.
///
/// # Errors
/// When the cluster does not answer.
pub async fn ask(pool: &PgPool, domain: &str, symbol: &Symbol) -> anyhow::Result<Answer> {
    let facts = why::facts(pool, domain, symbol.as_str())
        .await
        .with_context(|| format!("read what is stored of {symbol}"))?;
    Ok(answer::of(symbol.as_str(), &facts, chrono::Utc::now()))
}
