//! The best candidate of each symbol of an evaluation.
//!
//! Input: `evaluation_candidates`. Output: figures by symbol. Invariants: a finalist's candidate before others, then the
//! greater score, then the lower number; only the days around the evaluation are looked at.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, Utc};
use penstock_types::{Decimal, Symbol};
use sqlx::PgConnection;

use super::error::ReadError;
use super::form::symbol;

/// Most candidates of an evaluation that are read.
const CANDIDATES_MAX: i64 = 2_000;

/// A candidate's figures.
#[derive(Debug, Default)]
pub(super) struct Candidate {
    /// Edge that was decided with: adjusted by past results where it was, bps.
    pub edge_bps: Option<Decimal>,
    pub surplus_bps: Option<Decimal>,
    pub confidence: Option<Decimal>,
    pub p_fill: Option<Decimal>,
    pub score: Option<Decimal>,
    pub fees_bps: Decimal,
    pub slippage_bps: Decimal,
    pub spread_bps: Decimal,
}

pub(super) async fn read(
    conn: &mut PgConnection,
    evaluation_id: i64,
    at: DateTime<Utc>,
) -> Result<BTreeMap<Symbol, Candidate>, ReadError> {
    const WHAT: &str = "candidates of an evaluation";
    let day = at.date_naive();
    let rows = sqlx::query!(
        r#"select distinct on (symbol) symbol as "symbol!", edge_bps,
               inputs ->> 'edge_adj_bps' as edge_adj, surplus_bps, confidence, p_fill, score,
               coalesce(fee_entry_bps, 0) + coalesce(fee_exit_bps, 0) as "fees!",
               coalesce(slip_entry_bps, 0) + coalesce(slip_exit_bps, 0) as "slippage!",
               coalesce(spread_net_bps, 0) + coalesce(exit_drag_bps, 0) as "spread!"
           from evaluation_candidates
           where day >= $1 and day <= $2 and evaluation_id = $3
           order by symbol, rank nulls last, score desc nulls last, ordinal limit $4"#,
        day - Days::new(1),
        day + Days::new(1),
        evaluation_id,
        CANDIDATES_MAX
    )
    .fetch_all(conn)
    .await
    .map_err(ReadError::sql(WHAT))?;
    rows.into_iter()
        .map(|r| {
            let adjusted = r.edge_adj.and_then(|text| Decimal::from_str_exact(&text).ok());
            let candidate = Candidate {
                edge_bps: adjusted.or(r.edge_bps),
                surplus_bps: r.surplus_bps,
                confidence: r.confidence,
                p_fill: r.p_fill,
                score: r.score,
                fees_bps: r.fees,
                slippage_bps: r.slippage,
                spread_bps: r.spread,
            };
            Ok((symbol(WHAT, &r.symbol)?, candidate))
        })
        .collect()
}
