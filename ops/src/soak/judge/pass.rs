//! One pass over everything that was recorded, beside everything that was sent.
//!
//! Inputs: raw rows of all runs in their order, the send log, when each tick became visible. Outputs: numbers of
//! trades, gaps, verdicts on books, times. Memory grows with the number of trades, by some bytes each; books
//! and frames pass by.

use super::books::{Books, Found, Sample};
use super::gaps::{Gaps, LIMIT_MS};
use super::log::SendLog;
use super::trades::Ids;
use crate::invariants::Verdict;
use crate::progress::Bar;
use crate::soak::course::venue_of;
use crate::soak::figures::Times;
use penstock_sim::server::SendLine;
use penstock_store_ingest::raw_read::RawReader;
use penstock_store_ingest::runs::load_cursor;
use penstock_types::raw::{CONN_BACKFILL, L2Row, L3Row, RawBody, RawRow, TradeRow};
use penstock_types::vocab::Venue;
use penstock_types::{RunId, Seq, UtcMicros};
use sqlx::PgPool;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The log is read so far ahead of the rows: a frame is logged after it was written, and may be recorded first.
const AHEAD_US: i64 = 2_000_000;

/// Channels whose numbers are those of trades.
const TRADES: [&str; 3] = ["trade", "futures/trade", "binance/aggTrade"];

/// Everything that the pass found.
pub(super) struct Pass {
    log: SendLog,
    l2: Books,
    l3: Books,
    /// When each tick's frame became visible.
    visible: HashMap<i64, UtcMicros>,
    pub ids: BTreeMap<(Venue, String), Ids>,
    pub gaps: Gaps,
    /// Samples of books against what was sent.
    pub books: Verdict,
    /// Samples of order-by-order books.
    pub level3: Verdict,
    /// From a newer book on its way to a sample that does not have it.
    pub behind: Times,
    /// From the send of a trade to its row's receipt.
    pub received: Times,
    /// From the send of a trade to its frame.
    pub frame_visible: Times,
    /// Last sample of each symbol.
    sampled: HashMap<String, UtcMicros>,
    /// Symbols without a sample although books were sent: symbol, from, to.
    pub holes: Vec<(String, UtcMicros, UtcMicros)>,
    /// The number of a run's last row that is loaded, and whether that is its end.
    pub unloaded: Vec<RunId>,
}

impl Pass {
    /// A pass that has not begun.
    ///
    /// # Errors
    /// The send log cannot be read.
    pub(super) fn new(
        log: &Path,
        digits: &[(String, u32, u32)],
        visible: HashMap<i64, UtcMicros>,
    ) -> std::io::Result<Self> {
        Ok(Self {
            log: SendLog::open(log)?,
            l2: Books::new(digits),
            l3: Books::new(digits),
            visible,
            ids: BTreeMap::new(),
            gaps: Gaps::default(),
            books: Verdict::default(),
            level3: Verdict::default(),
            behind: Times::default(),
            received: Times::default(),
            frame_visible: Times::default(),
            sampled: HashMap::new(),
            holes: Vec::new(),
            unloaded: Vec::new(),
        })
    }

    /// Reads all runs and the whole log; how many lines it had.
    ///
    /// # Errors
    /// The cluster or the log cannot be read.
    pub(super) async fn run(&mut self, ingest: &PgPool, runs: &[RunId]) -> anyhow::Result<u64> {
        for run_id in runs {
            let Some(cursor) = load_cursor(ingest, *run_id).await? else { continue };
            if !cursor.complete {
                self.unloaded.push(*run_id);
            }
            let mut reader = RawReader::new(ingest.clone(), *run_id, Seq(0), cursor.last_seq);
            let mut bar = Bar::new("holding rows against the send log");
            while let Some(window) = reader.next_window().await? {
                for row in &window {
                    self.row(row)?;
                }
                bar.at(window.last().map_or(0, |row| row.seq.0), cursor.last_seq.0);
            }
        }
        self.read_log(UtcMicros(i64::MAX))?;
        Ok(self.log.lines)
    }

    fn read_log(&mut self, until: UtcMicros) -> std::io::Result<()> {
        let (l2, l3, ids) = (&mut self.l2, &mut self.l3, &mut self.ids);
        self.log.until(until.0.saturating_add(AHEAD_US), |line| {
            let SendLine { us, channel, symbol, content, .. } = *line;
            let (sent, stamp) = (UtcMicros(us), UtcMicros(content.ts_us));
            match (channel, content.top) {
                ("book", Some(top)) => l2.sent(symbol, stamp, sent, top),
                ("level3", Some(top)) => l3.sent(symbol, stamp, sent, top),
                _ if TRADES.contains(&channel) => {
                    let ids = ids.entry((venue_of(channel), symbol.to_owned())).or_default();
                    let number = |id: u64| i64::try_from(id).unwrap_or(i64::MAX);
                    let (first, last) = (number(content.first), number(content.last));
                    if content.events == 0 {
                        ids.told(first, last);
                    } else {
                        ids.sent(first, last, sent);
                    }
                }
                _ => {}
            }
        })
    }

    fn row(&mut self, row: &RawRow) -> std::io::Result<()> {
        let at = row.ts_local;
        self.read_log(at)?;
        match &row.body {
            RawBody::Trade(body) => self.trade(at, body),
            RawBody::L2(body) => self.l2_sample(at, body),
            RawBody::L3(body) => self.l3_sample(at, body),
            RawBody::Status(body) => self.gaps.row(at, body),
            RawBody::Ticker(_) | RawBody::DerivTicker(_) | RawBody::Liquidation(_) => {}
        }
        Ok(())
    }

    fn trade(&mut self, at: UtcMicros, body: &TradeRow) {
        let is_fetched = body.conn_id == CONN_BACKFILL;
        let ids = self.ids.entry((body.venue, body.symbol.as_str().to_owned())).or_default();
        let sent = ids.row(body.trade_id, at, is_fetched);
        let Some(sent) = sent.filter(|_| !is_fetched) else { return };
        self.received.push_us(at.0 - sent.0);
        if let Some(visible) = self.visible.get(&at.tick().0) {
            self.frame_visible.push_us(visible.0 - sent.0);
        }
    }

    fn l2_sample(&mut self, at: UtcMicros, body: &L2Row) {
        let symbol = body.symbol.as_str();
        let sample = Sample {
            stamp: body.ts_exchange,
            prices: [body.bid, body.ask],
            quantities: Some([body.bid_qty, body.ask_qty]),
        };
        let found = self.l2.find(symbol, at, &sample);
        if let Found::Equal(behind_ms) = found {
            self.behind.push_us(behind_ms * 1_000);
        }
        // A book that newer ones have overtaken for longer is one that should have been given up.
        let ok = matches!(found, Found::Equal(behind_ms) if behind_ms <= LIMIT_MS);
        self.books.check(ok, || format!("{symbol} at {at}: {found:?} of {sample:?}"));
        let before = match self.sampled.get_mut(symbol) {
            Some(before) => std::mem::replace(before, at),
            None => {
                self.sampled.insert(symbol.to_owned(), at);
                return;
            }
        };
        if at.millis_since(before) > LIMIT_MS && self.l2.any_between(symbol, before, at) {
            self.holes.push((symbol.to_owned(), before, at));
        }
    }

    fn l3_sample(&mut self, at: UtcMicros, body: &L3Row) {
        let symbol = body.symbol.as_str();
        let sample =
            Sample { stamp: body.ts_exchange, prices: [body.bid, body.ask], quantities: None };
        let found = self.l3.find(symbol, at, &sample);
        self.level3.check(matches!(found, Found::Equal(_)), || {
            format!("{symbol} at {at}: {found:?} of {sample:?}")
        });
    }
}
