//! `penstock verify ledger`: orders, fills, positions, results and balances are folded again from their rows and compared
//! with what the venue said.
//!
//! Inputs: the decision cluster, read-only; with a key of its own also the venue's history of trades and its balances,
//! asked for now, else the recorded messages. Outputs: which of them it was, how much was compared; each difference with the row or the asset and
//! both numbers. Status 0 when all are equal, 15 when one differs. Invariants: nothing is written; what the venue did not
//! say is counted and never called equal; every amount is compared to its last digit.

mod balances;
mod history;
mod orders;
mod positions;
#[cfg(test)]
mod tests;
mod told;
pub mod venue;

use std::time::Duration;

use penstock_clusters::ClusterKind;
use penstock_store_decision::ledger_read::{self, Books};
use penstock_types::{Decimal, UtcMicros};
use serde_json::json;
use sqlx::PgPool;

use self::venue::{Reader, Word};
use super::Clusters;
use crate::arguments::Output;
use crate::exit;

/// Differences that are printed; the number of the others is said.
const SHOWN_MAX: usize = 20;
/// Readings before a difference of a balance is believed: beside a running service the venue's word about a trade and
/// about its money are two messages.
const READINGS: u32 = 4;
/// Pause between two readings.
const READ_AGAIN: Duration = Duration::from_millis(700);
/// Time by which the venue's REST side may lag behind its stream: until it has passed since the newest booking, a
/// difference to it may be one of time.
const REST_LAG_SECS: i64 = 60;
/// Readings of the venue in that time; each costs a page of four points and a look at the balances.
const VENUE_READINGS: u32 = 6;
/// Pause between two of them.
const VENUE_READ_AGAIN: Duration = Duration::from_secs(12);

/// Options of `penstock verify ledger`.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Args {
    /// Form of the report
    #[arg(long, value_enum, default_value = "human")]
    pub output: Output,
}

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Row or asset.
    pub at: String,
    /// What of it.
    pub field: &'static str,
    /// What is stored, or what the venue said.
    pub stored: String,
    /// What was derived.
    pub derived: String,
}

impl Difference {
    fn new(at: String, field: &'static str, stored: impl ToString, derived: impl ToString) -> Self {
        Self { at, field, stored: stored.to_string(), derived: derived.to_string() }
    }
}

/// Collects differences.
#[derive(Debug, Default)]
struct Found(Vec<Difference>);

impl Found {
    /// Two numbers that must be the same.
    fn same(&mut self, at: &str, field: &'static str, stored: Decimal, derived: Decimal) {
        if stored != derived {
            let (stored, derived) = (stored.normalize(), derived.normalize());
            self.0.push(Difference::new(at.to_owned(), field, stored, derived));
        }
    }

    /// Two texts or numbers of rows that must be the same.
    fn equal<T: PartialEq + ToString>(
        &mut self,
        at: &str,
        field: &'static str,
        stored: T,
        derived: T,
    ) {
        if stored != derived {
            self.0.push(Difference::new(at.to_owned(), field, stored, derived));
        }
    }

    fn say(&mut self, at: &str, field: &'static str, stored: &str, derived: &str) {
        self.0.push(Difference::new(at.to_owned(), field, stored, derived));
    }
}

/// What came of the books.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// Orders, events, fills, ledger rows, positions, results, assets, trades told by the stream.
    pub compared: [usize; 8],
    /// Fills that the venue's stream told, and so were compared with it.
    pub fills_told: usize,
    /// What the venue's own history came to; none when it was not asked.
    pub asked: Option<Asked>,
    /// Assets of which the venue has said no balance.
    pub assets_unsaid: usize,
    /// Everything that differs, in the order of the rows.
    pub differences: Vec<Difference>,
}

/// Names of [`Verified::compared`].
const COMPARED: [&str; 8] =
    ["orders", "events", "fills", "ledger_rows", "positions", "results", "assets", "trades_told"];

/// What the venue's own history came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    /// Trades of the account since the opening.
    pub trades: usize,
    /// Fills that are in it.
    pub fills: usize,
    /// Trades of orders that are not ours; they move the balances.
    pub foreign: usize,
    /// Balances that no order can use, which are left out.
    pub locked: usize,
}

/// Folds the books and compares: with the venue's word, or with what was recorded of it.
#[must_use]
pub fn judge(books: &Books, word: Option<&Word>) -> Verified {
    let mut found = Found::default();
    orders::judge(books, &mut found);
    positions::judge(books, &mut found);
    let past = word.map(|word| history::judge(books, word, &mut found)).unwrap_or_default();
    let said = word.map_or(&books.balances, |word| &word.balances);
    let (assets, assets_unsaid) = balances::judge(books, said, &past.foreign, &mut found);
    let fills_told = told::judge(books, &mut found);
    let asked = word.map(|word| Asked {
        trades: word.trades.len(),
        fills: past.both,
        foreign: past.foreign.len(),
        locked: word.locked,
    });
    Verified {
        compared: [
            books.orders.len(),
            books.events.len(),
            books.fills.len(),
            books.ledger.len(),
            books.positions.len(),
            books.results.len(),
            assets,
            books.told.len(),
        ],
        fills_told,
        asked,
        assets_unsaid,
        differences: found.0,
    }
}

/// Runs the command.
///
/// # Errors
/// When the cluster cannot be read, or the venue does not answer the key that it was given.
pub(super) async fn run(args: Args, clusters: &Clusters) -> anyhow::Result<i32> {
    let pool = clusters.reader(ClusterKind::Decision).await?;
    let verified = match clusters.verify_key() {
        Some((base, key, secret)) => {
            let mut reader = Reader::new(base, key, secret)?;
            asked(&pool, &mut reader).await?.0
        }
        None => recorded(&pool).await?,
    };
    Ok(print(&verified, args.output))
}

/// Compares with what was recorded of the venue.
async fn recorded(pool: &PgPool) -> anyhow::Result<Verified> {
    let mut verified = judge(&ledger_read::books(pool).await?, None);
    for _ in 1..READINGS {
        if verified.differences.is_empty() {
            break;
        }
        tokio::time::sleep(READ_AGAIN).await;
        verified = judge(&ledger_read::books(pool).await?, None);
    }
    Ok(verified)
}

/// Compares with what the venue says now. The books are read after it: what they have and it has not was booked since.
async fn asked(pool: &PgPool, reader: &mut Reader) -> anyhow::Result<(Verified, Word)> {
    let opened_at = ledger_read::opened_at(pool).await?;
    let mut reading = 1;
    loop {
        let word = reader.read(opened_at).await?;
        let books = ledger_read::books(pool).await?;
        let verified = judge(&books, Some(&word));
        let now = UtcMicros::from(chrono::Utc::now());
        let may_lag = books.newest_at.is_some_and(|at| now.secs() - at.secs() <= REST_LAG_SECS);
        if verified.differences.is_empty() || !may_lag || reading >= VENUE_READINGS {
            return Ok((verified, word));
        }
        tokio::time::sleep(VENUE_READ_AGAIN).await;
        reading += 1;
    }
}

fn print(verified: &Verified, output: Output) -> i32 {
    let is_equal = verified.differences.is_empty();
    let verdict = if is_equal { "Equal" } else { "Different" };
    let counts = COMPARED.iter().zip(verified.compared);
    match output {
        Output::Json => {
            let compared: serde_json::Map<_, _> =
                counts.map(|(name, n)| ((*name).to_owned(), json!(n))).collect();
            let differences: Vec<_> = verified
                .differences
                .iter()
                .map(|d| json!({ "at": d.at, "field": d.field, "stored": d.stored, "derived": d.derived }))
                .collect();
            let report = json!({
                "verdict": verdict, "compared": compared, "fills_told": verified.fills_told,
                "assets_unsaid": verified.assets_unsaid, "venue": source(verified),
                "asked": verified.asked.map(|a| json!({
                    "trades": a.trades, "fills": a.fills, "foreign": a.foreign, "locked": a.locked,
                })),
                "differences": differences,
            });
            println!("{report}");
        }
        Output::Human => {
            for d in verified.differences.iter().take(SHOWN_MAX) {
                println!("  {} {}: stored {}, derived {}", d.at, d.field, d.stored, d.derived);
            }
            let more = verified.differences.len().saturating_sub(SHOWN_MAX);
            if more > 0 {
                println!("  and {more} more");
            }
            let compared: Vec<String> =
                counts.map(|(name, n)| format!("{n} {}", name.replace('_', " "))).collect();
            println!("{verdict}: {}", compared.join(", "));
            println!("venue: {}", source(verified));
            match verified.asked {
                Some(a) => println!(
                    "{} of the fills are among its {} trades; {} trades of other orders, {} locked balances",
                    a.fills, a.trades, a.foreign, a.locked
                ),
                None => println!("{} of the fills are in it", verified.fills_told),
            }
            if verified.assets_unsaid > 0 {
                println!("{} assets without a balance of the venue", verified.assets_unsaid);
            }
        }
    }
    if is_equal { exit::CLEAN } else { exit::DIFFERENT }
}

/// Where the venue's word is taken from.
const fn source(verified: &Verified) -> &'static str {
    match verified.asked {
        Some(_) => "its history of trades and its balances, asked for with KRAKEN_VERIFY_API_KEY",
        None => {
            "the recorded messages of its private stream and its last balances; KRAKEN_VERIFY_API_KEY is not set"
        }
    }
}
