//! `audit_events`: the rows of the audit trail, one for each line of its files.
//!
//! Inputs: lines that are on disk. Outputs: rows; how far they go; rows for verification. Invariants: a row
//! that is there is never changed, a second copy of a line is nothing; rows of a session are written in the
//! order of their lines, so that the last one says what is missing; what a row says is compared column by
//! column, and a value that no line can have is named as such.

use std::collections::VecDeque;

use chrono::{DateTime, NaiveDate, Utc};
use penstock_audit::database::{Row, Told};
use penstock_audit::{Day, Draft, Event, Hash, Line};
use penstock_store::StoreError;
use penstock_types::vocab::{AuditEventType, ReasonCode, StageName};
use penstock_types::{
    EpochId, EvaluationId, GenerationId, OrderId, RunId, SessionId, SnapshotId, Symbol, TickId,
    Uuid,
};
use sqlx::PgPool;

use crate::CLUSTER;

/// Rows of one read for verification.
const CHUNK: i64 = 2_000;

/// Appends the rows of lines; those that are there stay. The partitions of their days must exist.
///
/// # Errors
/// [`StoreError`].
pub async fn insert(pool: &PgPool, lines: &[Line]) -> Result<u64, StoreError> {
    let columns = Columns::of(lines);
    sqlx::query!(
        "insert into audit_events (day, session_id, seq, ts, local_received_at, exchange_ts, run_id,
             cycle_id, mode, stage, event_type, reasons, snapshot_id, generation_id, epoch_id, tick_id,
             decision_id, order_intent_id, symbol, data, line_hash)
         select day, session_id, seq, ts, local_received_at, exchange_ts, run_id, cycle_id, 'LIVE', stage,
             event_type, reasons::text[], snapshot_id, generation_id, epoch_id, tick_id, decision_id,
             order_intent_id, symbol, data::jsonb, line_hash
         from unnest($1::date[], $2::uuid[], $3::bigint[], $4::timestamptz[], $5::timestamptz[],
             $6::timestamptz[], $7::bigint[], $8::bigint[], $9::text[], $10::text[], $11::text[],
             $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::text[], $17::text[],
             $18::text[], $19::text[], $20::text[])
             as t (day, session_id, seq, ts, local_received_at, exchange_ts, run_id, cycle_id, stage,
                 event_type, reasons, snapshot_id, generation_id, epoch_id, tick_id, decision_id,
                 order_intent_id, symbol, data, line_hash)
         on conflict do nothing",
        &columns.day,
        &columns.session_id,
        &columns.seq,
        &columns.ts,
        &columns.local_received_at,
        &columns.exchange_ts as &[Option<DateTime<Utc>>],
        &columns.run_id,
        &columns.cycle_id,
        &columns.stage,
        &columns.event_type,
        &columns.reasons,
        &columns.snapshot_id,
        &columns.generation_id,
        &columns.epoch_id,
        &columns.tick_id,
        &columns.decision_id,
        &columns.order_intent_id,
        &columns.symbol,
        &columns.data,
        &columns.line_hash,
    )
    .execute(pool)
    .await
    .map(|done| done.rows_affected())
    .map_err(|e| StoreError::sql("write audit events", CLUSTER, e))
}

/// The last line that has a row, with the day of the newest row; none when there is no row.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn last_row(pool: &PgPool) -> Result<Option<(SessionId, i64, Day)>, StoreError> {
    // Sessions are in the order of their ids; an event may be a day older than its line's neighbours.
    let row = sqlx::query!(
        r#"select day, session_id, seq from audit_events
           where day >= (select max(day) - 1 from audit_events)
           order by session_id desc, seq desc limit 1"#
    )
    .fetch_optional(pool)
    .await
    .map_err(|e| StoreError::sql("find the last audit event", CLUSTER, e))?;
    Ok(row.and_then(|r| Some((SessionId(r.session_id), r.seq, Day::of_date(r.day)?))))
}

/// Every session with each day on which it has rows, ascending.
///
/// # Errors
/// [`StoreError::Sql`].
pub async fn session_days(pool: &PgPool) -> Result<Vec<(SessionId, NaiveDate)>, StoreError> {
    let rows = sqlx::query!(
        "select session_id, day from audit_events group by session_id, day order by session_id, day"
    )
    .fetch_all(pool)
    .await
    .map_err(|e| StoreError::sql("list sessions of audit events", CLUSTER, e))?;
    Ok(rows.into_iter().map(|r| (SessionId(r.session_id), r.day)).collect())
}

/// Rows of a session in their order, in bounded memory.
#[derive(Debug)]
pub struct SessionRows {
    session_id: SessionId,
    days: Vec<DayRows>,
}

/// Rows of a session on one day: the key's order within that day.
#[derive(Debug)]
struct DayRows {
    day: NaiveDate,
    after: i64,
    is_over: bool,
    ahead: VecDeque<Row>,
}

impl SessionRows {
    /// The rows of these days.
    #[must_use]
    pub fn new(session_id: SessionId, days: &[NaiveDate]) -> Self {
        let rows = |day: &NaiveDate| DayRows {
            day: *day,
            after: 0,
            is_over: false,
            ahead: VecDeque::new(),
        };
        Self { session_id, days: days.iter().map(rows).collect() }
    }

    /// The next row by number; none behind the last.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub async fn next(&mut self, pool: &PgPool) -> Result<Option<Row>, StoreError> {
        for rows in &mut self.days {
            if rows.ahead.is_empty() && !rows.is_over {
                rows.read(pool, self.session_id).await?;
            }
        }
        let next = self.days.iter_mut().filter(|rows| !rows.ahead.is_empty());
        let next = next.min_by_key(|rows| rows.ahead.front().map(|row| row.seq));
        Ok(next.and_then(|rows| rows.ahead.pop_front()))
    }
}

impl DayRows {
    async fn read(&mut self, pool: &PgPool, session_id: SessionId) -> Result<(), StoreError> {
        let rows = sqlx::query_as!(
            Stored,
            "select day, seq, ts, local_received_at, exchange_ts, run_id, cycle_id, mode, stage,
                 event_type, reasons, snapshot_id, generation_id, epoch_id, tick_id, decision_id,
                 order_intent_id, symbol, data, line_hash
             from audit_events
             where day = $1 and session_id = $2 and seq > $3
             order by day, session_id, seq
             limit $4",
            self.day,
            session_id.0,
            self.after,
            CHUNK
        )
        .fetch_all(pool)
        .await
        .map_err(|e| StoreError::sql("read audit events", CLUSTER, e))?;
        self.is_over = rows.len() < usize::try_from(CHUNK).unwrap_or(usize::MAX);
        self.after = rows.last().map_or(self.after, |row| row.seq);
        self.ahead = rows.into_iter().map(Stored::row).collect();
        Ok(())
    }
}

/// Columns of an insert.
#[derive(Debug, Default)]
struct Columns {
    day: Vec<NaiveDate>,
    session_id: Vec<Uuid>,
    seq: Vec<i64>,
    ts: Vec<DateTime<Utc>>,
    local_received_at: Vec<DateTime<Utc>>,
    exchange_ts: Vec<Option<DateTime<Utc>>>,
    run_id: Vec<i64>,
    cycle_id: Vec<i64>,
    stage: Vec<String>,
    event_type: Vec<String>,
    reasons: Vec<String>,
    snapshot_id: Vec<i64>,
    generation_id: Vec<i64>,
    epoch_id: Vec<i64>,
    tick_id: Vec<i64>,
    decision_id: Vec<String>,
    order_intent_id: Vec<String>,
    symbol: Vec<String>,
    data: Vec<String>,
    line_hash: Vec<String>,
}

impl Columns {
    fn of(lines: &[Line]) -> Self {
        let mut columns = Self::default();
        for line in lines {
            columns.push(line);
        }
        columns
    }

    fn push(&mut self, line: &Line) {
        let fields = line.event.fields();
        self.day.push(line.event.day().date());
        self.session_id.push(line.session_id.0);
        self.seq.push(line.seq);
        self.ts.push(time_of(fields.ts_ms).unwrap_or_default());
        self.local_received_at.push(time_of(fields.local_received_ms).unwrap_or_default());
        self.exchange_ts.push(time_of(fields.exchange_time_ms));
        self.run_id.push(fields.run_id.get());
        self.cycle_id.push(fields.cycle_id.get());
        self.stage.push(fields.stage.as_str().to_owned());
        self.event_type.push(fields.event_type.as_str().to_owned());
        // Codes are capital letters, digits and underscores: an array's text needs no quotes for them.
        let reasons: Vec<&str> = fields.reasons.iter().map(|reason| reason.as_str()).collect();
        self.reasons.push(format!("{{{}}}", reasons.join(",")));
        self.snapshot_id.push(fields.snapshot_id.get());
        self.generation_id.push(fields.generation_id.get());
        self.epoch_id.push(fields.epoch_id.get());
        self.tick_id.push(fields.tick_id.0);
        self.decision_id.push(fields.decision_id.clone());
        self.order_intent_id.push(fields.order_id.map_or(String::new(), |id| format!("oi_{id}")));
        let symbol = fields.symbol.as_ref().map_or("", Symbol::as_str);
        self.symbol.push(symbol.to_owned());
        self.data.push(serde_json::Value::Object(fields.data.clone()).to_string());
        self.line_hash.push(line.hash.to_string());
    }
}

/// A time in milliseconds; none for 0.
fn time_of(millis: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(millis).filter(|_| millis != 0)
}

/// A row as it is stored.
struct Stored {
    day: NaiveDate,
    seq: i64,
    ts: DateTime<Utc>,
    local_received_at: DateTime<Utc>,
    exchange_ts: Option<DateTime<Utc>>,
    run_id: i64,
    cycle_id: i64,
    mode: String,
    stage: String,
    event_type: String,
    reasons: Vec<String>,
    snapshot_id: i64,
    generation_id: i64,
    epoch_id: i64,
    tick_id: i64,
    decision_id: String,
    order_intent_id: String,
    symbol: String,
    data: serde_json::Value,
    line_hash: String,
}

impl Stored {
    fn row(self) -> Row {
        let seq = self.seq;
        // The column refuses another form.
        let line_hash = Hash::parse(&self.line_hash).unwrap_or(Hash::ZERO);
        let told = self.event().map_or(Told::Illegible, |event| Told::Event(Box::new(event)));
        Row { seq, line_hash, told }
    }

    /// What the columns say; none when no line can say it.
    fn event(self) -> Option<Event> {
        if self.mode != penstock_audit::event::MODE {
            return None;
        }
        let order_id = match self.order_intent_id.strip_prefix("oi_") {
            Some(number) => Some(OrderId(number.parse().ok()?)),
            None if self.order_intent_id.is_empty() => None,
            None => return None,
        };
        let symbol = match self.symbol.as_str() {
            "" => None,
            text => Some(Symbol::new(text).ok()?),
        };
        let reasons = self.reasons.iter().map(|reason| ReasonCode::parse(reason));
        let serde_json::Value::Object(data) = self.data else { return None };
        let event = Event::stored(Draft {
            ts_ms: millis_of(self.ts)?,
            local_received_ms: millis_of(self.local_received_at)?,
            exchange_time_ms: self.exchange_ts.map_or(Some(0), millis_of)?,
            run_id: RunId(self.run_id),
            cycle_id: EvaluationId(self.cycle_id),
            stage: StageName::parse(&self.stage).ok()?,
            event_type: AuditEventType::parse(&self.event_type).ok()?,
            reasons: reasons.collect::<Result<_, _>>().ok()?,
            snapshot_id: SnapshotId(self.snapshot_id),
            generation_id: GenerationId(self.generation_id),
            epoch_id: EpochId(self.epoch_id),
            tick_id: TickId(self.tick_id),
            decision_id: self.decision_id,
            order_id,
            symbol,
            data,
        });
        event.ok().filter(|event| event.day().date() == self.day)
    }
}

/// Milliseconds of a time that has no smaller part: a line has none.
fn millis_of(at: DateTime<Utc>) -> Option<i64> {
    at.timestamp_subsec_nanos().is_multiple_of(1_000_000).then(|| at.timestamp_millis())
}
