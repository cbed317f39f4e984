//! What several sections need, read once: the clock, the last evaluation and selection, positions, states.
//!
//! Input: rows of the decision cluster. Output: [`Sight`]. Invariants: one moment is used for every age and span: that
//! of the process; nothing here is cut before a section cuts it, but by the limit of its query.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, Utc};
use penstock_types::{Decimal, Symbol};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::error::ReadError;
use super::form::symbol;
use crate::live::Live;
use crate::settings::Identity;

/// Most positions, live orders and states that are read; the pool of symbols is smaller.
pub(super) const READ_MAX: i64 = 1_000;

/// The last evaluation that ended.
pub(super) struct Evaluation {
    pub id: i64,
    pub started_at: DateTime<Utc>,
    pub snapshot_id: Option<i64>,
    pub generation_id: Option<i64>,
    pub verdict: String,
}

/// The last selection.
pub(super) struct Selection {
    pub id: i64,
    pub ts: DateTime<Utc>,
    /// The pre-selection, best first.
    pub topn: Vec<Symbol>,
    /// Finalists, best first.
    pub finalists: Vec<Symbol>,
    pub churn_guard_applied: bool,
    pub max_corr_x10000: i32,
    pub pairs: Value,
}

/// What ingest has published last.
pub(super) struct Publication {
    pub run_id: i64,
    pub lineage_id: Uuid,
    pub generation_id: i64,
    pub published_at: DateTime<Utc>,
    pub as_of_lag_ms: i32,
}

/// A position that has not ended, with its plan.
pub(super) struct Position {
    pub id: i64,
    pub symbol: Symbol,
    pub is_dust: bool,
    pub opened_at: DateTime<Utc>,
    pub qty: Decimal,
    pub cost: Decimal,
    pub avg_entry: Option<Decimal>,
    pub protected: Decimal,
    pub plan: Option<Plan>,
}

/// An exit plan.
pub(super) struct Plan {
    pub id: i64,
    pub state: String,
    pub since: DateTime<Utc>,
    pub sl: Decimal,
    pub tp: Option<Decimal>,
}

/// The published state of a symbol.
#[derive(Default)]
pub(super) struct State {
    pub bid: Option<Decimal>,
    pub mid: Option<Decimal>,
    pub regime: String,
    pub regime_sub: Option<String>,
    pub trend_strength: Option<Decimal>,
    pub l3_quality: Decimal,
}

/// What was read once.
pub(super) struct Sight<'a> {
    pub live: &'a Live,
    pub now: DateTime<Utc>,
    /// Begin of the UTC day.
    pub today: DateTime<Utc>,
    pub evaluation: Option<Evaluation>,
    /// First evaluation of the last 24 hours.
    pub since_id: i64,
    pub selection: Option<Selection>,
    pub publication: Option<Publication>,
    pub positions: Vec<Position>,
    /// Symbols of live orders, ascending.
    pub ordered: Vec<Symbol>,
    pub states: BTreeMap<Symbol, State>,
}

impl<'a> Sight<'a> {
    /// Reads it.
    pub(super) async fn read(
        conn: &mut PgConnection,
        identity: &Identity,
        live: &'a Live,
    ) -> Result<Self, ReadError> {
        let now = DateTime::from_timestamp_millis(live.now_ms).unwrap_or_default();
        let mut sight = Self {
            live,
            now,
            today: now.date_naive().and_time(chrono::NaiveTime::MIN).and_utc(),
            evaluation: evaluation(conn).await?,
            since_id: since_id(conn, now - Days::new(1)).await?,
            selection: selection(conn).await?,
            publication: publication(conn, &identity.domain).await?,
            positions: positions(conn).await?,
            ordered: ordered(conn).await?,
            states: BTreeMap::new(),
        };
        if let Some(run_id) = sight.publication.as_ref().map(|p| p.run_id) {
            sight.states = states(conn, run_id, &sight.symbols()).await?;
        }
        Ok(sight)
    }

    /// Symbols that are shown: what is held or ordered, ascending; finalists; the pre-selection.
    pub(super) fn symbols(&self) -> Vec<Symbol> {
        let held: BTreeSet<&Symbol> =
            self.positions.iter().map(|p| &p.symbol).chain(&self.ordered).collect();
        once_each(held.into_iter().chain(self.chosen()))
    }

    /// Symbols with a chart: held ones, finalists, the pre-selection.
    pub(super) fn charts(&self) -> Vec<Symbol> {
        once_each(self.positions.iter().map(|p| &p.symbol).chain(self.chosen()))
    }

    fn chosen(&self) -> impl Iterator<Item = &Symbol> {
        self.selection.iter().flat_map(|s| s.finalists.iter().chain(&s.topn))
    }

    /// What a unit of a symbol could be sold for now: the bid of the quote, else the published one.
    pub(super) fn bid(&self, symbol: &Symbol) -> Option<Decimal> {
        let quote = self.live.quotes.get(symbol).map(|best| best.bid);
        quote.or_else(|| self.states.get(symbol).and_then(|state| state.bid))
    }
}

fn once_each<'s>(symbols: impl Iterator<Item = &'s Symbol>) -> Vec<Symbol> {
    let mut seen = BTreeSet::new();
    symbols.filter(|symbol| seen.insert(*symbol)).cloned().collect()
}

async fn evaluation(conn: &mut PgConnection) -> Result<Option<Evaluation>, ReadError> {
    let row = sqlx::query!(
        r#"select evaluation_id as "id!", started_at as "started_at!", snapshot_id,
               cycle_generation_id, verdict as "verdict!"
           from evaluation_cycles where verdict is not null
           order by evaluation_id desc limit 1"#
    )
    .fetch_optional(conn)
    .await
    .map_err(ReadError::sql("the last evaluation"))?;
    Ok(row.map(|r| Evaluation {
        id: r.id,
        started_at: r.started_at,
        snapshot_id: r.snapshot_id,
        generation_id: r.cycle_generation_id,
        verdict: r.verdict,
    }))
}

/// The first evaluation since then. Their times rise with their ids, so halving finds it without an index of times.
async fn since_id(conn: &mut PgConnection, since: DateTime<Utc>) -> Result<i64, ReadError> {
    sqlx::query_scalar!(
        r#"with recursive search (lo, hi) as (
               select coalesce(min(evaluation_id), 0), coalesce(max(evaluation_id), -1) + 1
               from evaluation_cycles
               union all
               select case when e.started_at < $1 then e.evaluation_id + 1 else s.lo end,
                   case when e.started_at < $1 then s.hi else (s.lo + s.hi) / 2 end
               from search s
               cross join lateral (
                   select evaluation_id, started_at from evaluation_cycles
                   where evaluation_id >= (s.lo + s.hi) / 2 order by evaluation_id limit 1
               ) e
               where s.lo < s.hi
           )
           select lo as "lo!" from search order by hi - lo, lo desc limit 1"#,
        since
    )
    .fetch_one(conn)
    .await
    .map_err(ReadError::sql("the first evaluation of the last day"))
}

async fn selection(conn: &mut PgConnection) -> Result<Option<Selection>, ReadError> {
    const WHAT: &str = "the last selection";
    let row = sqlx::query!(
        r#"select evaluation_id as "id!", ts as "ts!", topn as "topn!", topk_final as "topk_final!",
               churn_guard_applied as "churn!", max_pairwise_corr_x10000 as "corr!",
               corr_pairs as "pairs!"
           from cycle_selections order by evaluation_id desc limit 1"#
    )
    .fetch_optional(conn)
    .await
    .map_err(ReadError::sql(WHAT))?;
    let Some(row) = row else { return Ok(None) };
    let ranked = row.topn.as_array().into_iter().flatten();
    let topn = ranked.filter_map(|one| one["symbol"].as_str()).map(|text| symbol(WHAT, text));
    let finalists = row.topk_final.iter().map(|text| symbol(WHAT, text));
    Ok(Some(Selection {
        id: row.id,
        ts: row.ts,
        topn: topn.collect::<Result<_, _>>()?,
        finalists: finalists.collect::<Result<_, _>>()?,
        churn_guard_applied: row.churn,
        max_corr_x10000: row.corr,
        pairs: row.pairs,
    }))
}

async fn publication(
    conn: &mut PgConnection,
    domain: &str,
) -> Result<Option<Publication>, ReadError> {
    let row = sqlx::query!(
        r#"select run_id as "run_id!", lineage_id as "lineage_id!", generation_id as "generation_id!",
               published_at as "published_at!", as_of_lag_ms as "as_of_lag_ms!"
           from state_publication where domain = $1 order by domain limit 1"#,
        domain
    )
    .fetch_optional(conn)
    .await
    .map_err(ReadError::sql("the newest generation"))?;
    Ok(row.map(|r| Publication {
        run_id: r.run_id,
        lineage_id: r.lineage_id,
        generation_id: r.generation_id,
        published_at: r.published_at,
        as_of_lag_ms: r.as_of_lag_ms,
    }))
}

async fn positions(conn: &mut PgConnection) -> Result<Vec<Position>, ReadError> {
    const WHAT: &str = "positions";
    let rows = sqlx::query!(
        r#"select p.position_id as "id!", p.symbol as "symbol!", p.status = 'dust' as "is_dust!",
               p.opened_at as "opened_at!", p.base_qty as "qty!", p.cost_basis_quote as "cost!",
               p.avg_entry_price, p.protected_qty as "protected!", e.plan_id as "plan_id?",
               e.state as "state?", e.state_since as "since?", e.sl_price as "sl?", e.tp_price
           from positions p left join exit_plans e on e.position_id = p.position_id
           where p.status <> 'closed' order by p.opened_at, p.position_id limit $1"#,
        READ_MAX
    )
    .fetch_all(conn)
    .await
    .map_err(ReadError::sql(WHAT))?;
    rows.into_iter()
        .map(|r| {
            let plan = match (r.plan_id, r.state, r.since, r.sl) {
                (Some(id), Some(state), Some(since), Some(sl)) => {
                    Some(Plan { id, state, since, sl, tp: r.tp_price })
                }
                _ => None,
            };
            Ok(Position {
                id: r.id,
                symbol: symbol(WHAT, &r.symbol)?,
                is_dust: r.is_dust,
                opened_at: r.opened_at,
                qty: r.qty,
                cost: r.cost,
                avg_entry: r.avg_entry_price,
                protected: r.protected,
                plan,
            })
        })
        .collect()
}

async fn ordered(conn: &mut PgConnection) -> Result<Vec<Symbol>, ReadError> {
    const WHAT: &str = "symbols of live orders";
    let rows = sqlx::query_scalar!(
        r#"select distinct symbol collate "C" as "symbol!" from execution_orders
           where not terminal and state <> 'created' order by 1 limit $1"#,
        READ_MAX
    )
    .fetch_all(conn)
    .await
    .map_err(ReadError::sql(WHAT))?;
    rows.iter().map(|text| symbol(WHAT, text)).collect()
}

async fn states(
    conn: &mut PgConnection,
    run_id: i64,
    symbols: &[Symbol],
) -> Result<BTreeMap<Symbol, State>, ReadError> {
    const WHAT: &str = "published states";
    let wanted: Vec<String> = symbols.iter().map(|s| s.as_str().to_owned()).collect();
    let rows = sqlx::query!(
        r#"select symbol as "symbol!", bid, mid, regime as "regime!", regime_sub, trend_strength,
               l3_quality as "l3_quality!"
           from run_symbol_state where run_id = $1 and symbol = any($2)
           order by symbol limit $3"#,
        run_id,
        &wanted,
        READ_MAX
    )
    .fetch_all(conn)
    .await
    .map_err(ReadError::sql(WHAT))?;
    rows.into_iter()
        .map(|r| {
            let state = State {
                bid: r.bid,
                mid: r.mid,
                regime: r.regime,
                regime_sub: r.regime_sub,
                trend_strength: r.trend_strength,
                l3_quality: r.l3_quality,
            };
            Ok((symbol(WHAT, &r.symbol)?, state))
        })
        .collect()
}
