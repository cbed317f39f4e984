//! What `explain` walks: an order or a decision and every row behind and after it. Read-only.
//!
//! Inputs: what an operator types, then numbers found on the way. Outputs: plain rows, ascending in time.
//! Invariants: nothing is judged and nothing is left out: a row that is not there is an empty list or none.

mod after;
mod before;

use serde::Serialize;
use sqlx::types::Uuid;
use sqlx::{PgConnection, PgPool};

pub use after::{
    Event, ExitEvent, ExitPlan, Fill, Latency, Order, Position, Realised, RelatedOrder, Reservation,
};
pub use before::{Answer, Candidate, Cycle, Decision, Epoch, Frame, Snapshot, Verdict};

/// Matches of an ambiguous prefix that are listed at most.
const MATCHES_MAX: i64 = 12;
/// Least hexadecimal digits of a decision's number: as many as the console shows.
const PREFIX_DIGITS_MIN: usize = 12;

/// Something that can be explained.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// An order by its number.
    Order(i64),
    /// A decision by its whole id.
    Decision(String),
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Order(id) => write!(f, "order {id}"),
            Self::Decision(id) => write!(f, "decision {id}"),
        }
    }
}

/// Everything about one subject.
#[derive(Debug, Clone, Serialize)]
pub struct Chain {
    /// The order that was asked for, or the entry of the decision; none when the decision made none.
    pub order: Option<Order>,
    /// The entry behind it, when the order is another one.
    pub entry: Option<Order>,
    /// Frame that priced the entry.
    pub frame: Option<Frame>,
    /// Epoch.
    pub epoch: Option<Epoch>,
    /// Cycle.
    pub cycle: Option<Cycle>,
    /// Candidate of the finalist.
    pub candidate: Option<Candidate>,
    /// Its snapshot.
    pub snapshot: Option<Snapshot>,
    /// Decisions, proposed first.
    pub decisions: Vec<Decision>,
    /// Questions to the AI gate.
    pub answers: Vec<Answer>,
    /// Verdict of risk.
    pub verdict: Option<Verdict>,
    /// Reservation of the entry.
    pub reservation: Option<Reservation>,
    /// Events of the order in their order.
    pub events: Vec<Event>,
    /// Fills of the order.
    pub fills: Vec<Fill>,
    /// Times of the order.
    pub latency: Option<Latency>,
    /// Position.
    pub position: Option<Position>,
    /// Its exit plan.
    pub plan: Option<ExitPlan>,
    /// What happened to the plan.
    pub exit_events: Vec<ExitEvent>,
    /// The other orders of the position.
    pub related: Vec<RelatedOrder>,
    /// What was earned, per closing fill.
    pub realised: Vec<Realised>,
}

/// What a text may mean: none, one or several.
///
/// # Errors
/// When the cluster does not answer.
pub async fn find(pool: &PgPool, text: &str) -> Result<Vec<Subject>, sqlx::Error> {
    let number = text.strip_prefix("oi_").unwrap_or(text).parse::<i64>().ok();
    let client = Uuid::parse_str(text).ok();
    let orders = sqlx::query_scalar!(
        "select order_id from execution_orders
         where order_id = $1 or cl_ord_id = $2 or exchange_order_id = $3
         order by order_id limit $4",
        number,
        client,
        text,
        MATCHES_MAX,
    )
    .fetch_all(pool)
    .await?;
    let mut found: Vec<Subject> = orders.into_iter().map(Subject::Order).collect();
    let digits = text.strip_prefix("dec_").unwrap_or(text).to_ascii_lowercase();
    let is_hex = digits.len() >= PREFIX_DIGITS_MIN
        && digits.len() <= 64
        && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if is_hex {
        let decisions = sqlx::query_scalar!(
            "select decision_id from decisions where starts_with(decision_id, 'dec_' || $1::text)
             order by decision_id limit $2",
            digits,
            MATCHES_MAX,
        )
        .fetch_all(pool)
        .await?;
        found.extend(decisions.into_iter().map(Subject::Decision));
    }
    Ok(found)
}

/// Walks from a subject to everything before and after it, in one snapshot of the database.
///
/// # Errors
/// When the cluster does not answer.
pub async fn chain(pool: &PgPool, subject: &Subject) -> Result<Chain, sqlx::Error> {
    let mut tx = pool.begin_with("begin isolation level repeatable read, read only").await?;
    let chain = walk(&mut tx, subject).await?;
    tx.rollback().await?;
    Ok(chain)
}

async fn walk(tx: &mut PgConnection, subject: &Subject) -> Result<Chain, sqlx::Error> {
    let (order, entry, key) = match subject {
        Subject::Order(id) => {
            let order = after::order(tx, *id).await?;
            let entry = match &order {
                Some(order) => after::entry_of(tx, order).await?,
                None => None,
            };
            let first = entry.as_ref().or(order.as_ref());
            let key = first.and_then(|o| Some((o.evaluation_id?, o.symbol.clone())));
            (order, entry, key)
        }
        Subject::Decision(id) => {
            let key = before::key_of(tx, id).await?;
            let order = match &key {
                Some((evaluation, symbol)) => after::entry_for(tx, *evaluation, symbol).await?,
                None => None,
            };
            (order, None, key)
        }
    };
    let first = entry.as_ref().or(order.as_ref());
    let frame = before::frame(tx, first.and_then(|o| o.quote_tick_id)).await?;
    let reservation = after::reservation(tx, first.map(|o| o.order_id)).await?;
    let past = before::past(tx, key).await?;
    let order_id = order.as_ref().map(|o| o.order_id);
    let position_id = match &order {
        Some(order) => after::position_of(tx, order).await?,
        None => None,
    };
    Ok(Chain {
        frame,
        reservation,
        epoch: past.epoch,
        cycle: past.cycle,
        candidate: past.candidate,
        snapshot: past.snapshot,
        decisions: past.decisions,
        answers: past.answers,
        verdict: past.verdict,
        events: after::events(tx, order_id).await?,
        fills: after::fills(tx, order_id).await?,
        latency: after::latency(tx, order_id).await?,
        position: after::position(tx, position_id).await?,
        plan: after::plan(tx, position_id).await?,
        exit_events: after::exit_events(tx, position_id).await?,
        related: after::related(tx, position_id, order_id).await?,
        realised: after::realised(tx, position_id).await?,
        order,
        entry,
    })
}
