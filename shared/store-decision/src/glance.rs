//! A look at the newest generation, cheap enough for ten a second.
//!
//! Purpose: what tells whether a generation is due for an evaluation, and what it guarantees. Inputs: a pool,
//! a domain, the generation that the caller knows. Outputs: clock, pointer and fence of one instant; the rows'
//! generations and regimes of the same instant when the generation is another one. Invariants: one statement;
//! nothing is written. It judges nothing.

use penstock_store::StoreError;
use penstock_store::numeric::Numeric;
use penstock_types::rows::{FenceRow, PublicationRow};
use penstock_types::{Decimal, FencingToken, GenerationId, LineageId, RunId, Symbol, UtcMicros};
use sqlx::PgPool;

use crate::CLUSTER;
use crate::cycle_input::{fence, publication_row};
use crate::read_error::ReadError;

/// A symbol's row, as far as it is looked at between evaluations.
#[derive(Debug, Clone, PartialEq)]
pub struct RowGlance {
    /// Symbol.
    pub symbol: Symbol,
    /// Generation of the row.
    pub generation_id: GenerationId,
    /// Regime.
    pub regime: String,
    /// Volatility against its half hour.
    pub vol_expansion: Option<Decimal>,
    /// Mid price.
    pub mid: Option<Decimal>,
    /// The book is whole.
    pub book_ok: bool,
    /// Age of the newest message about the symbol, at the cut.
    pub msg_age_ms: i32,
}

/// The newest generation of a domain.
#[derive(Debug, Clone, PartialEq)]
pub struct Glanced {
    /// Decision clock.
    pub now: UtcMicros,
    /// Pointer.
    pub publication: Option<PublicationRow>,
    /// Fence of ingest.
    pub ingest_fence: Option<FenceRow>,
    /// Rows of the pointer's run, ascending by symbol; none while the generation is the known one.
    pub rows: Option<Vec<RowGlance>>,
}

/// Looks at the newest generation; its rows come when it is not the one that is `known`.
///
/// # Errors
/// [`ReadError`].
pub async fn glance(
    pool: &PgPool,
    domain: &str,
    known: Option<GenerationId>,
) -> Result<Glanced, ReadError> {
    let found = sqlx::query!(
        r#"select clock_timestamp() as "now!", p.run_id as "run_id?", p.lineage_id as "lineage_id?",
             p.generation_id as "generation_id?", p.fencing_token as "fencing_token?",
             p.as_of as "as_of?", p.as_of_lag_ms as "as_of_lag_ms?",
             p.last_msg_age_ms as "last_msg_age_ms?", p.published_at as "published_at?",
             p.row_count as "row_count?", encode(p.content_hash, 'hex') as "content_hash?",
             p.gap_open as "gap_open?", i.fencing_token as "ingest_token?",
             i.lease_expires_at as "ingest_lease?", s.symbol as "symbol?",
             s.generation_id as "row_generation_id?", s.regime as "regime?",
             s.vol_expansion as "vol_expansion?: Numeric", s.mid as "mid?: Numeric",
             s.book_ok as "book_ok?", s.msg_age_ms as "msg_age_ms?"
         from (select $1::text as domain) d
         left join state_publication p using (domain)
         left join service_fences i on i.service = 'ingest' and i.domain = d.domain
         left join run_symbol_state s
             on s.run_id = case when p.generation_id is distinct from $2 then p.run_id end
         order by s.symbol collate "C""#,
        domain,
        known.map(|generation| generation.0),
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("look at the newest generation", CLUSTER, e))?;
    let first = found.first().ok_or_else(|| {
        StoreError::sql("look at the newest generation", CLUSTER, sqlx::Error::RowNotFound)
    })?;
    let publication = publication_row!(first, domain);
    let ingest_fence = fence(first.ingest_token, first.ingest_lease);
    let now = first.now.into();
    let is_known = publication.as_ref().map(|p: &PublicationRow| p.generation_id) == known;
    let mut rows = Vec::new();
    for row in found {
        let (Some(symbol), Some(generation), Some(regime)) =
            (row.symbol, row.row_generation_id, row.regime)
        else {
            continue;
        };
        rows.push(RowGlance {
            symbol: Symbol::new(&symbol)?,
            generation_id: GenerationId(generation),
            regime,
            vol_expansion: row.vol_expansion.map(|v| v.0),
            mid: row.mid.map(|v| v.0),
            book_ok: row.book_ok.unwrap_or(false),
            msg_age_ms: row.msg_age_ms.unwrap_or(i32::MAX),
        });
    }
    Ok(Glanced { now, publication, ingest_fence, rows: (!is_known).then_some(rows) })
}
