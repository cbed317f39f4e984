//! Rows of the engine: transitions, alerts, checkpoints, manifests of days.
//!
//! Purpose: what the engine's files say, for whoever looks with SQL. Inputs: values read from those files.
//! Outputs: rows, or the first one that stands there with other content. Invariants: a row is written once
//! and never changed; writing it again compares it; session and time of the row are no part of its content,
//! and neither is an alert's `integrity`, which names the program that wrote it.

use penstock_store::{ClusterRole, StoreError};
use penstock_types::SessionId;
use sqlx::PgPool;

/// Most rows of one statement.
pub const ROWS_PER_STATEMENT_MAX: usize = 500;

fn sql(action: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |e| StoreError::sql(action, ClusterRole::Decision, e)
}

/// A transition of a token, a cluster or an event's phase.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransitionRow {
    /// Tick.
    pub tick_id: i64,
    /// `token`, `cluster` or `phase`.
    pub kind: String,
    /// Token or cluster.
    pub subject_id: i32,
    /// Cycle of a token.
    pub cycle_id: Option<i64>,
    /// Event of a phase.
    pub event_id: Option<String>,
    /// Code of the state before.
    pub from_code: i16,
    /// Code of the state after.
    pub to_code: i16,
    /// Way.
    pub edge: String,
    /// Scores of a token.
    pub pressure: Option<i32>,
    /// Density of leverage, Score.
    pub fragile: Option<i32>,
    /// Nearness of a trigger, Score.
    pub trigger: Option<i32>,
    /// Strength of a cascade, Score.
    pub unwind: Option<i32>,
    /// Trigger cost, Score.
    pub cost: Option<i32>,
    /// Code of the tier.
    pub tier: Option<i16>,
    /// One bit per condition that held.
    pub reason_bits: Option<i64>,
}

/// An alert.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertRow {
    /// Its id, which follows from its payload.
    pub alert_id: String,
    /// Tick.
    pub tick_id: i64,
    /// Code of its kind, 1 to 6.
    pub kind: i16,
    /// `TOKEN` or `CLUSTER`.
    pub scope: String,
    /// Token.
    pub token_id: Option<i32>,
    /// Cluster.
    pub cluster_id: i32,
    /// Symbol of the token.
    pub symbol: Option<String>,
    /// Code of the direction; 0 for a cluster.
    pub direction: i16,
    /// 0 to 100.
    pub confidence: i16,
    /// The exact canonical line.
    pub payload: String,
    /// Who wrote it and where it stands in the files, an object.
    pub integrity: serde_json::Value,
}

/// Chains after a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointRow {
    /// Tick.
    pub tick_id: i64,
    /// State chain.
    pub state_chain: [u8; 32],
    /// SHA-256 of the last frame.
    pub frame_chain: [u8; 32],
}

/// The manifest of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestRow {
    /// Day.
    pub day: chrono::NaiveDate,
    /// The exact bytes of the file.
    pub manifest: String,
    /// Their SHA-256.
    pub sha256: [u8; 32],
    /// Root over the day's logs.
    pub day_root: [u8; 32],
    /// Key that signed it.
    pub key_id: Option<String>,
    /// It was written behind its time.
    pub late: bool,
}

/// Writes transitions and compares those that stand; names the first that differs.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn put_transitions(
    pool: &PgPool,
    session: SessionId,
    rows: &[TransitionRow],
) -> Result<Option<String>, StoreError> {
    for rows in rows.chunks(ROWS_PER_STATEMENT_MAX) {
        let big = |f: fn(&TransitionRow) -> i64| -> Vec<i64> { rows.iter().map(f).collect() };
        let word =
            |f: fn(&TransitionRow) -> String| -> Vec<String> { rows.iter().map(f).collect() };
        let code = |f: fn(&TransitionRow) -> i16| -> Vec<i16> { rows.iter().map(f).collect() };
        let score = |f: fn(&TransitionRow) -> Option<i32>| -> Vec<Option<i32>> {
            rows.iter().map(f).collect()
        };
        let subjects: Vec<i32> = rows.iter().map(|r| r.subject_id).collect();
        let cycles: Vec<Option<i64>> = rows.iter().map(|r| r.cycle_id).collect();
        let events: Vec<Option<String>> = rows.iter().map(|r| r.event_id.clone()).collect();
        let tiers: Vec<Option<i16>> = rows.iter().map(|r| r.tier).collect();
        let bits: Vec<Option<i64>> = rows.iter().map(|r| r.reason_bits).collect();
        let other = sqlx::query_file_scalar!(
            "queries/put_transitions.sql",
            &big(|r| r.tick_id),
            &word(|r| r.kind.clone()),
            &subjects,
            &cycles as &[Option<i64>],
            &events as &[Option<String>],
            &code(|r| r.from_code),
            &code(|r| r.to_code),
            &word(|r| r.edge.clone()),
            &score(|r| r.pressure) as &[Option<i32>],
            &score(|r| r.fragile) as &[Option<i32>],
            &score(|r| r.trigger) as &[Option<i32>],
            &score(|r| r.unwind) as &[Option<i32>],
            &score(|r| r.cost) as &[Option<i32>],
            &tiers as &[Option<i16>],
            &bits as &[Option<i64>],
            session.0,
        )
        .fetch_optional(pool)
        .await
        .map_err(sql("write transitions of the engine"))?;
        if let Some(other) = other {
            return Ok(other);
        }
    }
    Ok(None)
}

/// Writes alerts and compares those that stand; names the first that differs.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn put_alerts(
    pool: &PgPool,
    session: SessionId,
    rows: &[AlertRow],
) -> Result<Option<String>, StoreError> {
    for rows in rows.chunks(ROWS_PER_STATEMENT_MAX) {
        let word = |f: fn(&AlertRow) -> String| -> Vec<String> { rows.iter().map(f).collect() };
        let small = |f: fn(&AlertRow) -> i16| -> Vec<i16> { rows.iter().map(f).collect() };
        let ticks: Vec<i64> = rows.iter().map(|r| r.tick_id).collect();
        let tokens: Vec<Option<i32>> = rows.iter().map(|r| r.token_id).collect();
        let clusters: Vec<i32> = rows.iter().map(|r| r.cluster_id).collect();
        let symbols: Vec<Option<String>> = rows.iter().map(|r| r.symbol.clone()).collect();
        let integrity: Vec<serde_json::Value> = rows.iter().map(|r| r.integrity.clone()).collect();
        let other = sqlx::query_file_scalar!(
            "queries/put_alerts.sql",
            &word(|r| r.alert_id.clone()),
            &ticks,
            &small(|r| r.kind),
            &word(|r| r.scope.clone()),
            &tokens as &[Option<i32>],
            &clusters,
            &symbols as &[Option<String>],
            &small(|r| r.direction),
            &small(|r| r.confidence),
            &word(|r| r.payload.clone()),
            &integrity,
            session.0,
        )
        .fetch_optional(pool)
        .await
        .map_err(sql("write alerts of the engine"))?;
        if let Some(other) = other {
            return Ok(other);
        }
    }
    Ok(None)
}

/// Writes a checkpoint and compares the one that stands; false when it differs.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn put_checkpoint(pool: &PgPool, row: &CheckpointRow) -> Result<bool, StoreError> {
    let other = sqlx::query_scalar!(
        "with had as (
             select state_chain, frame_chain from engine_checkpoints where tick_id = $1
         ), added as (
             insert into engine_checkpoints (tick_id, state_chain, frame_chain)
             values ($1, $2, $3)
             on conflict (tick_id) do nothing
         )
         select 1 from had where (state_chain, frame_chain) is distinct from ($2, $3)",
        row.tick_id,
        &row.state_chain[..],
        &row.frame_chain[..],
    )
    .fetch_optional(pool)
    .await
    .map_err(sql("write a checkpoint of the engine"))?;
    Ok(other.is_none())
}

/// Writes a day's manifest and compares the one that stands; false when it differs.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn put_manifest(pool: &PgPool, row: &ManifestRow) -> Result<bool, StoreError> {
    let other = sqlx::query_scalar!(
        "with had as (
             select sha256 from engine_day_manifests where day = $1
         ), added as (
             insert into engine_day_manifests (day, manifest, sha256, day_root, key_id, late)
             values ($1, $2, $3, $4, $5, $6)
             on conflict (day) do nothing
         )
         select 1 from had where sha256 is distinct from $3",
        row.day,
        row.manifest,
        &row.sha256[..],
        &row.day_root[..],
        row.key_id,
        row.late,
    )
    .fetch_optional(pool)
    .await
    .map_err(sql("write a manifest of the engine"))?;
    Ok(other.is_none())
}

/// Newest ticks that stand as rows: of transitions and of alerts.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn newest_ticks(pool: &PgPool) -> Result<(Option<i64>, Option<i64>), StoreError> {
    let row = sqlx::query!(
        "select (select max(tick_id) from engine_transitions) as transition,
             (select max(tick_id) from engine_alerts) as alert"
    )
    .fetch_one(pool)
    .await
    .map_err(sql("read the newest rows of the engine"))?;
    Ok((row.transition, row.alert))
}

/// The newest checkpoint that stands as a row.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn newest_checkpoint(pool: &PgPool) -> Result<Option<CheckpointRow>, StoreError> {
    let row = sqlx::query!(
        "select tick_id, state_chain, frame_chain
         from engine_checkpoints
         order by tick_id desc
         limit 1"
    )
    .fetch_optional(pool)
    .await
    .map_err(sql("read the newest checkpoint of the engine"))?;
    // The table checks the length of both.
    let chain = |bytes: Vec<u8>| <[u8; 32]>::try_from(bytes).unwrap_or_default();
    Ok(row.map(|row| CheckpointRow {
        tick_id: row.tick_id,
        state_chain: chain(row.state_chain),
        frame_chain: chain(row.frame_chain),
    }))
}
