//! All facts of a finished run: the venue's own account beside what both clusters hold.
//!
//! Inputs: the venue's admin interface, or what it said, and a reading pool per cluster. Output: the
//! facts that the checker judges. Invariants: the venue is asked once, so that the same account can be
//! held against the rows again; nothing is written.

use super::evidence::{self, RouteLimits};
use super::tops::Tops;
use super::venue::{VenueError, ask};
use super::{ledger, replays};
use crate::invariants::Facts;
use penstock_types::{Symbol, UtcMicros};
use serde_json::Value;
use sqlx::PgPool;
use std::collections::BTreeSet;

/// Age limits of an entry's state by class of route, ms.
const LIMITS: RouteLimits = RouteLimits { fast_ms: 30_000, slow_ms: 45_000 };

/// What the venue says about a run.
#[derive(Clone, Debug)]
pub struct VenueAccount {
    /// Orders, trades, balances, requests.
    pub ledger: Value,
    /// Time without cover.
    pub exposure: Value,
    /// History of best prices per symbol.
    pub tops: Vec<(Symbol, Value)>,
}

impl VenueAccount {
    /// Asks the venue whose admin interface is at `admin`, about every symbol that a frame may name.
    ///
    /// # Errors
    /// When the venue or the decision cluster does not answer.
    pub async fn of(admin: &str, decision: &PgPool) -> anyhow::Result<Self> {
        let rows = penstock_store_decision::evidence::symbols(decision).await?;
        let names: BTreeSet<String> = rows.into_iter().map(|row| row.symbol).collect();
        let mut tops = Vec::new();
        for name in names {
            let answer = ask(admin, &format!("/tops?symbol={name}")).await?;
            tops.push((Symbol::new(&name)?, answer));
        }
        let get = async |path: &str| -> Result<Value, VenueError> { ask(admin, path).await };
        Ok(Self { ledger: get("/ledger").await?, exposure: get("/exposure").await?, tops })
    }
}

/// Facts of a run whose services have stopped, and the venue's time of its first trade.
///
/// # Errors
/// When a cluster does not answer, or something that it or the venue says does not read.
pub async fn gather(
    account: VenueAccount,
    decision: &PgPool,
    ingest: &PgPool,
) -> anyhow::Result<(Facts, Option<UtcMicros>)> {
    let mut facts = Facts::default();
    let first_trade = ledger::fill(&mut facts, account.ledger, account.exposure)?;
    let mut tops = Tops::default();
    for (symbol, history) in &account.tops {
        tops.add(symbol, history).map_err(anyhow::Error::msg)?;
    }
    evidence::trading(&mut facts, decision, LIMITS).await?;
    evidence::recording(&mut facts, ingest).await?;
    evidence::frames(&mut facts, decision, &tops).await?;
    replays::cycles(&mut facts, decision).await?;
    replays::generations(&mut facts, ingest).await?;
    Ok((facts, first_trade))
}
