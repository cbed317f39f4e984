//! Facts of both clusters for the invariant checker.
//!
//! Inputs: a reading pool per cluster, the venue's book history. Outputs: the product's half of
//! [`Facts`] and the counts of the summary. Reads page by page, so that a long run fits into memory.

use super::tops::Tops;
use crate::invariants::{
    CycleFact, EntryFact, Facts, FillFact, FrameFact, GenerationFact, LedgerFact, OrderFact,
    PositionFact, ProtectionFact, QuoteFact, RunFact,
};
use penstock_store_decision::evidence as decision;
use penstock_store_ingest::evidence as ingest;
use penstock_types::frame::{decode_frame, decode_header, decode_quotes, sha256};
use penstock_types::vocab::{OrderRole, RouteType, Side};
use penstock_types::{FencingToken, GenerationId, RunId, Symbol, TickId, UtcMicros};
use sqlx::PgPool;
use std::collections::BTreeMap;

/// Frames per page; a frame with its quotes is some kilobytes.
const FRAMES_PER_PAGE: i64 = 500;
/// A stop that lived shorter than this may have ended before its confirming look was due, ms.
const LOOK_DUE_MS: i64 = 2_500;

/// Why facts could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// A cluster did not answer.
    #[error("evidence of the {cluster} cluster: {source}")]
    Sql {
        /// Which.
        cluster: &'static str,
        /// Cause.
        source: sqlx::Error,
    },
    /// A row holds what its column never may.
    #[error("evidence row does not read: {0}")]
    Row(String),
}

fn row(error: impl std::fmt::Display) -> EvidenceError {
    EvidenceError::Row(error.to_string())
}

fn on(cluster: &'static str) -> impl Fn(sqlx::Error) -> EvidenceError {
    move |source| EvidenceError::Sql { cluster, source }
}

/// Limits of the two classes of routes, ms.
#[derive(Clone, Copy, Debug)]
pub struct RouteLimits {
    /// Breakout, pump fade, dump reversal.
    pub fast_ms: i64,
    /// The others.
    pub slow_ms: i64,
}

impl RouteLimits {
    fn of(self, route: Option<&str>) -> i64 {
        match route.and_then(|text| RouteType::parse(text).ok()) {
            Some(
                RouteType::BreakoutContinuation
                | RouteType::PumpFadeExhaustion
                | RouteType::DumpReversal,
            )
            | None => self.fast_ms,
            Some(
                RouteType::PullbackContinuation
                | RouteType::PassiveSpreadCapture
                | RouteType::MakerUnwindMeanReversion,
            ) => self.slow_ms,
        }
    }
}

/// Orders, fills, ledger, positions, protections, entries, sessions.
///
/// # Errors
/// [`EvidenceError`].
pub async fn trading(
    facts: &mut Facts,
    pool: &PgPool,
    limits: RouteLimits,
) -> Result<(), EvidenceError> {
    let sql = on("decision");
    for order in decision::orders(pool).await.map_err(&sql)? {
        facts.orders.push(OrderFact {
            order_id: order.order_id,
            cl_ord_id: order.cl_ord_id,
            exchange_order_id: order.exchange_order_id,
            role: OrderRole::parse(&order.role).map_err(row)?,
            token: FencingToken(order.fencing_token),
            committed_at: order.committed_at.map(UtcMicros::from),
        });
    }
    for fill in decision::fills(pool).await.map_err(&sql)? {
        facts.fills.push(FillFact {
            exec_id: fill.exec_id,
            symbol: Symbol::new(&fill.symbol).map_err(row)?,
            side: Side::parse(&fill.side).map_err(row)?,
            price: fill.price,
            qty: fill.qty,
            fee: fill.fee_quote,
        });
    }
    let ledger = decision::ledger(pool).await.map_err(&sql)?;
    facts.ledger.extend(ledger.into_iter().map(|line| LedgerFact {
        position_id: line.position_id,
        ledger_seq: line.ledger_seq,
        delta_base: line.delta_base,
        base_after: line.base_after,
        realized_quote: line.realized_quote,
    }));
    for position in decision::positions(pool).await.map_err(&sql)? {
        facts.positions.push(PositionFact {
            position_id: position.position_id,
            symbol: Symbol::new(&position.symbol).map_err(row)?,
            base_qty: position.base_qty,
            realized_quote: position.realized_quote,
        });
    }
    let protections = decision::protections(pool).await.map_err(&sql)?;
    facts.protections.extend(protections.into_iter().map(|stop| ProtectionFact {
        order_id: stop.order_id,
        stream_witnesses: stop.stream_witnesses,
        look_witnesses: stop.look_witnesses,
        look_excused: stop.lived_ms.is_some_and(|ms| ms < LOOK_DUE_MS),
    }));
    for entry in decision::entries(pool).await.map_err(&sql)? {
        facts.entries.push(EntryFact {
            order_id: entry.order_id,
            cycle_generation: GenerationId(entry.cycle_generation_id.unwrap_or_default()),
            visible_generation: entry.visible_generation_id.map(GenerationId),
            state_age_ms: entry.state_age_ms.unwrap_or(i64::MAX),
            route_limit_ms: limits.of(entry.route_type.as_deref()),
        });
    }
    let tokens = decision::session_tokens(pool).await.map_err(&sql)?;
    facts.session_tokens = tokens.into_iter().map(FencingToken).collect();
    Ok(())
}

/// Runs and generations.
///
/// # Errors
/// [`EvidenceError`].
pub async fn recording(facts: &mut Facts, pool: &PgPool) -> Result<(), EvidenceError> {
    let sql = on("ingest");
    for generation in ingest::generations(pool).await.map_err(&sql)? {
        facts.generations.push(GenerationFact {
            generation_id: GenerationId(generation.generation_id),
            published: generation.sync_status == "published",
        });
    }
    for run in ingest::runs(pool).await.map_err(&sql)? {
        facts.runs.push(RunFact {
            run_id: RunId(run.run_id),
            rows: u64::try_from(run.rows).unwrap_or_default(),
            unexplained_holes: u64::try_from(run.unexplained_holes).unwrap_or_default(),
            unexplained_trades: u64::try_from(run.unexplained_trades).unwrap_or_default(),
            joined: run.joined,
        });
    }
    Ok(())
}

/// What a symbol number means, by (run, number).
type Symbols = BTreeMap<(i64, u16), (Symbol, u32)>;

async fn symbols(pool: &PgPool) -> Result<Symbols, EvidenceError> {
    let rows = decision::symbols(pool).await.map_err(on("decision"))?;
    rows.into_iter()
        .map(|line| {
            let no = u16::try_from(line.symbol_no).map_err(row)?;
            let decimals = u32::try_from(line.price_decimals).map_err(row)?;
            let symbol = Symbol::new(&line.symbol).map_err(row)?;
            Ok(((line.run_id, no), (symbol, decimals)))
        })
        .collect()
}

/// Frames with their chain, and every quote beside the venue's book at its stamp.
///
/// # Errors
/// [`EvidenceError`].
pub async fn frames(facts: &mut Facts, pool: &PgPool, tops: &Tops) -> Result<(), EvidenceError> {
    let symbols = symbols(pool).await?;
    let mut after = i64::MIN;
    loop {
        let page = decision::frames(pool, after, FRAMES_PER_PAGE).await.map_err(on("decision"))?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.tick_id;
        for line in &page {
            facts.frames.push(frame(line));
            quotes(facts, line, &symbols, tops);
        }
    }
}

fn frame(line: &decision::FrameEvidence) -> FrameFact {
    let mut error = decode_frame(&line.frame).err().map(|error| error.to_string());
    if error.is_none() {
        error = decode_quotes(&line.quotes).err().map(|error| error.to_string());
    }
    let previous = decode_header(&line.frame).map(|header| header.previous);
    FrameFact {
        tick_id: TickId(line.tick_id),
        error,
        previous_sha256: previous.unwrap_or_default(),
        sha256: sha256(&line.frame),
        row_sha256: line.frame_sha256.as_slice().try_into().unwrap_or_default(),
    }
}

fn quotes(facts: &mut Facts, line: &decision::FrameEvidence, symbols: &Symbols, tops: &Tops) {
    let Ok(block) = decode_quotes(&line.quotes) else { return };
    for entry in block.entries.iter().filter(|entry| entry.bid != 0 && entry.ask != 0) {
        let Some((symbol, decimals)) = symbols.get(&(line.run_id, entry.symbol_no)) else {
            if let Some(frame) = facts.frames.last_mut() {
                let no = entry.symbol_no;
                frame.error = Some(format!("its quotes name symbol number {no}, which has no row"));
            }
            continue;
        };
        let price = |units| penstock_types::decimal::from_scaled(units, *decimals);
        let ours = (price(entry.bid), price(entry.ask));
        let theirs = tops.at(symbol, UtcMicros(entry.exchange_ts), ours);
        facts.quotes.push(QuoteFact {
            tick_id: TickId(line.tick_id),
            symbol: symbol.clone(),
            ours,
            theirs,
        });
    }
}

/// Evaluations in order; the rows' generations come from the stored input.
///
/// # Errors
/// [`EvidenceError`].
pub fn cycle(evidence: &decision::CycleEvidence, generations_in_input: u64) -> CycleFact {
    CycleFact {
        evaluation_id: evidence.evaluation_id,
        session_id: evidence.session_id,
        generation: evidence.cycle_generation_id.map(GenerationId),
        generations_in_input,
    }
}
