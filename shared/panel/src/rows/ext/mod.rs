//! What the page shows beyond version 1 of the document.
//!
//! Input: rows, the session's identity, the figures of the process. Output: [`Ext`]. Invariants: what only the process
//! knows is copied; what nobody stores is empty: ages of routes, the age of a backup.

mod candles;
mod day;
mod ingest;
mod positions;
mod series;
mod symbols;

use penstock_contracts::dashboard::{CodeCount, Ext, Funnel, Latency, List, NoOrderClass, Series};
use penstock_types::vocab::Verdict;
use sqlx::PgConnection;

use super::empty;
use super::error::ReadError;
use super::sight::Sight;
use crate::settings::Identity;

/// What is counted over 24 hours.
pub(super) struct Day {
    funnel: Funnel,
    blocks: List<CodeCount, 20>,
    latency: Latency,
    series: List<Series, 16>,
}

impl Day {
    /// Reads it.
    pub(super) async fn read(
        conn: &mut PgConnection,
        sight: &Sight<'_>,
    ) -> Result<Self, ReadError> {
        let (funnel, blocks) = day::funnel(conn, sight).await?;
        let latency = day::latency(conn, sight).await?;
        Ok(Self { funnel, blocks, latency, series: series::read(conn, sight).await? })
    }

    /// That of a document.
    pub(super) fn of(ext: &Ext) -> Self {
        Self {
            funnel: ext.funnel.clone(),
            blocks: ext.blocks_by_code.clone(),
            latency: ext.latency.clone(),
            series: ext.series.clone(),
        }
    }
}

pub(super) async fn read(
    conn: &mut PgConnection,
    sight: &Sight<'_>,
    identity: &Identity,
    day: Day,
) -> Result<Ext, ReadError> {
    let live = sight.live;
    let beats = ingest::heartbeats(conn, sight, &identity.domain).await?;
    Ok(Ext {
        ingest: ingest::bound(conn, sight, &identity.domain).await?,
        heartbeats: beats.services,
        standby_orders: positions::standby_orders(conn).await?,
        symbols: symbols::merged(conn, sight).await?,
        gates: symbols::gates(conn, &identity.domain).await?,
        stream_ages: beats.streams,
        cluster_fsm: live.cluster_fsm.iter().cloned().collect(),
        event_phase: live.event_phase.clone(),
        engine_alerts: symbols::engine_alerts(conn).await?,
        positions: positions::cards(conn, sight).await?,
        candles: candles::read(conn, sight).await?,
        funnel: day.funnel,
        blocks_by_code: day.blocks,
        no_order_class: no_order_class(sight)?,
        latency: day.latency,
        limits: live.limits.clone(),
        churn: day::churn(conn, sight).await?,
        series: day.series,
        checklist: live.checklist.iter().cloned().collect(),
        ..empty::ext(identity)
    })
}

fn no_order_class(sight: &Sight<'_>) -> Result<NoOrderClass, ReadError> {
    let Some(last) = &sight.evaluation else { return Ok(NoOrderClass::None) };
    let verdict = Verdict::parse(&last.verdict);
    verdict.map(NoOrderClass::from).map_err(ReadError::row("the verdict of the last evaluation"))
}
