//! Loads the SQL facts of the proofs: read-only, one pool per cluster, two samples for what must grow.

use super::{DecisionFacts, IngestFacts, Lines, OrderStory, SqlFacts, candidates, sockets};
use penstock_store_decision::proof as decision;
use penstock_store_ingest::proof as ingest;
use penstock_types::{UtcMicros, Uuid};
use sqlx::PgPool;
use std::time::Duration;

/// Time between the two samples of what must grow: several load batches.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(3);

/// What to ask, and where.
#[derive(Debug)]
pub struct Sources {
    /// Ingest cluster; `None` when it is not reachable.
    pub ingest: Option<PgPool>,
    /// Decision cluster; `None` when it is not reachable.
    pub decision: Option<PgPool>,
    /// Market data endpoints of the configuration, as URLs.
    pub market_endpoints: Vec<String>,
    /// Name of this host, as heartbeats carry it.
    pub host: String,
}

/// Facts since `from`. A cluster that does not answer leaves its half empty, with the reason.
pub async fn load(sources: &Sources, lines: &Lines, from: UtcMicros) -> (SqlFacts, Vec<String>) {
    let mut facts = SqlFacts::default();
    let mut trouble = Vec::new();
    // The decision cluster first: its count of evaluations is compared with logs that were read just now.
    if let Some(pool) = &sources.decision {
        match decision_facts(pool, lines, from).await {
            Ok(found) => facts.decision = Some(found),
            Err(error) => trouble.push(format!("decision cluster: {error}")),
        }
        match decision::execution_pid(pool, &sources.host).await {
            Ok(Some(pid)) => {
                facts.market_sockets = sockets::connected(pid, &sources.market_endpoints).await;
            }
            Ok(None) => trouble.push("no execution process on this host".to_owned()),
            Err(error) => trouble.push(format!("decision cluster: {error}")),
        }
    }
    if let Some(pool) = &sources.ingest {
        match ingest_facts(pool).await {
            Ok(found) => facts.ingest = Some(found),
            Err(error) => trouble.push(format!("ingest cluster: {error}")),
        }
    }
    (facts, trouble)
}

async fn ingest_facts(pool: &PgPool) -> Result<IngestFacts, sqlx::Error> {
    let Some(run) = ingest::newest_run(pool).await? else {
        return Ok(IngestFacts::default());
    };
    let sample = |rows: Vec<ingest::RowsProof>| {
        rows.into_iter().map(|row| (row.stream, row.rows)).collect::<Vec<_>>()
    };
    let before = sample(ingest::rows(pool, run).await?);
    tokio::time::sleep(SAMPLE_INTERVAL).await;
    let after = sample(ingest::rows(pool, run).await?);
    let cluster = ingest::cluster(pool, run).await?;
    Ok(IngestFacts {
        system_identifier: cluster.system_identifier,
        rows_before: before,
        rows_after: after,
        unexplained_holes: cluster.unexplained_holes,
        execution_connections: cluster.execution_connections,
    })
}

async fn decision_facts(
    pool: &PgPool,
    lines: &Lines,
    from: UtcMicros,
) -> Result<DecisionFacts, sqlx::Error> {
    let from = from.to_chrono().unwrap_or_default();
    let window = decision::window(pool, from).await?;
    Ok(DecisionFacts {
        system_identifier: window.system_identifier,
        frames: window.frames,
        ticks: window.ticks,
        frames_without_quotes: window.frames_without_quotes,
        feature_complete: window.feature_complete,
        bound_epoch_status: window.bound_epoch_status,
        cycles: window.cycles,
        order: order(pool, lines).await?,
    })
}

/// The best witness of a whole life: a filled entry whose position closed, else any whose life ended.
async fn order(pool: &PgPool, lines: &Lines) -> Result<Option<OrderStory>, sqlx::Error> {
    let mut fallback = None;
    for id in candidates(lines) {
        let Ok(uuid) = Uuid::parse_str(&id) else { continue };
        let Some(row) = decision::order(pool, uuid).await? else { continue };
        let closed = row.position_status.as_deref() == Some("closed");
        let story = OrderStory {
            cl_ord_id: id,
            state: row.state,
            events: row.events,
            event_seq_max: row.event_seq_max,
            fills: row.fills,
            ledger_rows: row.ledger_rows,
            latency: row.latency,
            position_id: row.position_id,
            position_status: row.position_status,
            position_base: row.position_base.unwrap_or_default(),
            folded_base: row.folded_base.unwrap_or_default(),
            realized_net: row.realized_net,
            net_from_fills: row.net_from_fills,
        };
        if closed {
            return Ok(Some(story));
        }
        fallback = fallback.or(Some(story));
    }
    Ok(fallback)
}
