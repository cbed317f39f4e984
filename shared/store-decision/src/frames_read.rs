//! Reading sealed frames with their quote blocks in tick order.
//!
//! Purpose: what a reader of prices needs: where to start, what follows, which number means which
//! symbol. Inputs: a pool, the last applied tick. Outputs: rows as they stand. Invariants: nothing is
//! written; bytes are handed on unread.

use penstock_store::StoreError;
use penstock_store::again;
use penstock_types::{RunId, Symbol, TickId, UtcMicros};
use sqlx::PgPool;

use crate::CLUSTER;
use crate::read_error::ReadError;

/// A frame as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadFrame {
    /// Tick.
    pub tick_id: TickId,
    /// Run that sealed it.
    pub run_id: RunId,
    /// Flags of the header.
    pub flags: i32,
    /// Events.
    pub n_events: i32,
    /// Header and events.
    pub frame: Vec<u8>,
    /// Quote block.
    pub quotes: Vec<u8>,
    /// Decision clock of its insert.
    pub published_at: UtcMicros,
    /// From the end of its tick to the insert.
    pub seal_lag_ms: i32,
    /// Decision clock of this read.
    pub now: UtcMicros,
}

/// Where a reader that attaches starts: the newest row whose block holds every tracked symbol. Such a
/// block stands every 60 s and at the start of a run; the search looks back two minutes and a bit.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn newest_full_tick(pool: &PgPool) -> Result<Option<TickId>, StoreError> {
    Ok(full_ticks(pool).await?.first().copied())
}

/// Ticks of the full quote blocks among the newest 600 frames, newest first.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn full_ticks(pool: &PgPool) -> Result<Vec<TickId>, StoreError> {
    // The flag FULL is bit 0 of the two bytes at offset 6 of the block.
    sqlx::query_scalar!(
        r#"select tick_id from engine_tick_frames
         where tick_id > (select max(tick_id) - 600 from engine_tick_frames)
           and get_byte(quotes, 6) & 1 = 1
         order by tick_id desc"#
    )
    .fetch_all(pool)
    .await
    .map(|ticks| ticks.into_iter().map(TickId).collect())
    .map_err(|e| StoreError::sql("find the full quote blocks", CLUSTER, e))
}

/// Frames above a tick, ascending, at most `limit`.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn frames_after(
    pool: &PgPool,
    after: TickId,
    limit: i64,
) -> Result<Vec<ReadFrame>, StoreError> {
    let read = || {
        sqlx::query!(
            r#"select tick_id, run_id, flags, n_events, frame, quotes, published_at, seal_lag_ms,
             clock_timestamp() as "now!"
         from engine_tick_frames where tick_id > $1 order by tick_id limit $2"#,
            after.0,
            limit,
        )
        .fetch_all(pool)
    };
    let rows = again::once_more(pool, read)
        .await
        .map_err(|e| StoreError::sql("read the frames", CLUSTER, e))?;
    Ok(rows
        .into_iter()
        .map(|r| ReadFrame {
            tick_id: TickId(r.tick_id),
            run_id: RunId(r.run_id),
            flags: r.flags,
            n_events: r.n_events,
            frame: r.frame,
            quotes: r.quotes,
            published_at: r.published_at.into(),
            seal_lag_ms: r.seal_lag_ms,
            now: r.now.into(),
        })
        .collect())
}

/// Newest tick that stands.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn newest_tick(pool: &PgPool) -> Result<Option<TickId>, StoreError> {
    sqlx::query_scalar!("select max(tick_id) from engine_tick_frames")
        .fetch_one(pool)
        .await
        .map(|tick| tick.map(TickId))
        .map_err(|e| StoreError::sql("read the newest tick", CLUSTER, e))
}

/// A frame and its quote block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedFrame {
    /// Tick.
    pub tick_id: TickId,
    /// Number.
    pub frame_seq: i64,
    /// Header and events.
    pub frame: Vec<u8>,
    /// Quote block.
    pub quotes: Vec<u8>,
}

/// The first frame with a number above `frame_seq`, sought from tick `after` on; numbers ascend with ticks.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn frame_behind(
    pool: &PgPool,
    after: TickId,
    frame_seq: i64,
) -> Result<Option<NumberedFrame>, StoreError> {
    sqlx::query!(
        "select tick_id, frame_seq, frame, quotes from engine_tick_frames
         where tick_id > $1 and frame_seq > $2 order by tick_id limit 1",
        after.0,
        frame_seq,
    )
    .fetch_optional(pool)
    .await
    .map(|row| {
        row.map(|r| NumberedFrame {
            tick_id: TickId(r.tick_id),
            frame_seq: r.frame_seq,
            frame: r.frame,
            quotes: r.quotes,
        })
    })
    .map_err(|e| StoreError::sql("read a frame by its number", CLUSTER, e))
}

/// Number of the first frame at or above a tick.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn number_from(pool: &PgPool, tick: TickId) -> Result<Option<i64>, StoreError> {
    sqlx::query_scalar!(
        "select frame_seq from engine_tick_frames where tick_id >= $1 order by tick_id limit 1",
        tick.0,
    )
    .fetch_optional(pool)
    .await
    .map_err(|e| StoreError::sql("read the number of a frame", CLUSTER, e))
}

/// What a symbol number of a run means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SymbolScale {
    /// Number.
    pub symbol_no: u16,
    /// Symbol.
    pub symbol: Symbol,
    /// Digits of its prices.
    pub price_decimals: u32,
    /// Digits of its quantities.
    pub qty_decimals: u32,
}

/// The numbers of a run.
///
/// # Errors
/// [`ReadError`].
pub async fn run_symbols(pool: &PgPool, run_id: RunId) -> Result<Vec<SymbolScale>, ReadError> {
    let rows = sqlx::query!(
        "select symbol_no, symbol, price_decimals, qty_decimals from run_symbols
         where run_id = $1 order by symbol_no",
        run_id.0,
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("read the symbol numbers of a run", CLUSTER, e))?;
    rows.into_iter()
        .map(|r| {
            Ok(SymbolScale {
                symbol_no: u16::try_from(r.symbol_no).unwrap_or(0),
                symbol: Symbol::new(&r.symbol)?,
                price_decimals: u32::try_from(r.price_decimals).unwrap_or(0),
                qty_decimals: u32::try_from(r.qty_decimals).unwrap_or(0),
            })
        })
        .collect()
}
