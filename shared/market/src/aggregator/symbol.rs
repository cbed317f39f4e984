//! What the aggregator keeps of one symbol, and how each kind of row changes it.
//!
//! Every change is driven by a row or a cut; nothing reads a clock. Times that run backwards are lifted
//! to the symbol's newest time, so that a row is always folded into the present.

use super::minutes::Minutes;
use super::queue::Queue;
use super::window::{Bucket, Seconds};
use crate::regime::RegimeState;
use crate::sample::spread_bps;
use crate::units::units;
use penstock_types::decimal::{round_to, scale, to_feature};
use penstock_types::raw::{L2Row, L3Row, TickerRow, TradeRow};
use penstock_types::state_row::StateRow;
use penstock_types::{Decimal, Symbol, UtcMicros, vocab::Side};
use serde::{Deserialize, Serialize};

/// Columns of the newest L2 sample that the state repeats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct BookFigures {
    pub spread_bps: Option<Decimal>,
    pub microprice_dev_bps: Option<Decimal>,
    pub imbalance_l1: Option<Decimal>,
    pub imbalance_10: Option<Decimal>,
    pub depth_bid: Option<Decimal>,
    pub depth_ask: Option<Decimal>,
}

/// Top of book as the state shows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Top {
    pub bid: Option<Decimal>,
    pub ask: Option<Decimal>,
    pub bid_qty: Option<Decimal>,
    pub ask_qty: Option<Decimal>,
    pub mid: Option<Decimal>,
}

/// Row counts of a stream: of the run, newest time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Count {
    pub rows: i64,
    pub last_at: Option<UtcMicros>,
}

/// The memory of one symbol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SymbolState {
    pub symbol: Symbol,
    pub since: UtcMicros,
    pub now_us: i64,
    pub ticker: Count,
    pub trade: Count,
    pub l2: Count,
    pub l2_lineage: i64,
    pub has_l2: bool,
    pub book_ok: bool,
    pub conn_id: i16,
    pub top: Top,
    pub book: BookFigures,
    pub last: Option<Decimal>,
    #[serde(with = "crate::text::bits_one")]
    pub log_mid: f64,
    log_mid_due: bool,
    pub seconds: Seconds,
    pub minutes: Minutes,
    pub regime: RegimeState,
    #[serde(default)]
    pub queue: Queue,
    pub published: Option<StateRow>,
}

impl SymbolState {
    pub(crate) fn new(symbol: Symbol, at: UtcMicros, epoch_window_secs: u16) -> Self {
        Self {
            symbol,
            since: at,
            now_us: at.0,
            ticker: Count::default(),
            trade: Count::default(),
            l2: Count::default(),
            l2_lineage: 0,
            has_l2: false,
            book_ok: false,
            conn_id: 0,
            top: Top::default(),
            book: BookFigures::default(),
            last: None,
            log_mid: f64::NAN,
            log_mid_due: false,
            seconds: Seconds::new(at.0, epoch_window_secs),
            minutes: Minutes::new(at.0),
            regime: RegimeState::default(),
            queue: Queue::default(),
            published: None,
        }
    }

    /// Becomes the same as another one, in the memory that is there: a copy of every symbol is taken again and
    /// again, and what came and went in the meantime would keep it from its old place.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        // Without `..`: a further field is not forgotten.
        let Self {
            symbol,
            since,
            now_us,
            ticker,
            trade,
            l2,
            l2_lineage,
            has_l2,
            book_ok,
            conn_id,
            top,
            book,
            last,
            log_mid,
            log_mid_due,
            seconds,
            minutes,
            regime,
            queue,
            published,
        } = other;
        self.symbol.clone_from(symbol);
        (self.since, self.now_us) = (*since, *now_us);
        (self.ticker, self.trade, self.l2, self.l2_lineage) = (*ticker, *trade, *l2, *l2_lineage);
        (self.has_l2, self.book_ok, self.conn_id) = (*has_l2, *book_ok, *conn_id);
        (self.top, self.book, self.last) = (*top, *book, *last);
        (self.log_mid, self.log_mid_due) = (*log_mid, *log_mid_due);
        self.seconds.copy_from(seconds);
        self.minutes.copy_from(minutes);
        self.regime.clone_from(regime);
        self.queue.copy_from(queue);
        self.published.clone_from(published);
    }

    /// Moves to `us` (never backwards) and closes the seconds before it.
    pub(crate) fn advance(&mut self, us: i64) {
        if us <= self.now_us {
            return;
        }
        if us.div_euclid(1_000_000) > self.now_us.div_euclid(1_000_000) {
            self.settle_mid();
            let minutes = &mut self.minutes;
            self.seconds.advance(us, self.log_mid, |closed| {
                minutes.second_closed(closed.second, closed.log_mid);
            });
        }
        self.now_us = us;
    }

    /// The logarithm is taken once a second and at cuts, not per event.
    pub(crate) fn settle_mid(&mut self) {
        if self.log_mid_due {
            self.log_mid_due = false;
            let mid = if self.book_ok { self.top.mid } else { None };
            self.log_mid = mid.map_or(f64::NAN, |m| libm::log(to_feature(m)));
        }
    }

    fn set_top(&mut self, top: Top, spread: Option<Decimal>) {
        self.log_mid_due |= top.mid != self.top.mid || !self.book_ok;
        self.top = top;
        let spread = spread.and_then(|s| i64::try_from(units(s, scale::BPS)).ok());
        self.seconds.set_spread(self.now_us, spread);
    }

    pub(crate) fn on_ticker(&mut self, at: UtcMicros, row: &TickerRow) {
        self.advance(at.0);
        self.ticker.rows += 1;
        self.ticker.last_at = Some(at);
        self.seconds.add(&Bucket { tickers: 1, ..Bucket::default() });
        if self.trade.rows == 0 {
            self.last = row.last;
        }
        if self.has_l2 {
            return;
        }
        let mid = mid_of(row.bid, row.ask);
        let spread = match (row.bid, row.ask) {
            (Some(bid), Some(ask)) => spread_bps(bid, ask),
            (Some(_) | None, None) | (None, Some(_)) => None,
        };
        self.book.spread_bps = spread;
        let (bid, ask, bid_qty, ask_qty) = (row.bid, row.ask, row.bid_qty, row.ask_qty);
        self.set_top(Top { bid, ask, bid_qty, ask_qty, mid }, spread);
    }

    pub(crate) fn on_trade(&mut self, at: UtcMicros, row: &TradeRow) {
        self.advance(at.0);
        self.trade.rows += 1;
        self.trade.last_at = Some(at);
        self.last = Some(row.price);
        let base = units(row.qty, scale::QTY);
        let quote = row.price.normalize().checked_mul(row.qty.normalize());
        let quote = quote.map_or(0, |q| units(q, scale::AMT));
        let (buy_quote, sell_quote) = match row.side {
            Side::Buy => (quote, 0),
            Side::Sell => (0, quote),
        };
        self.seconds.add(&Bucket { trades: 1, buy_quote, sell_quote, base, ..Bucket::default() });
        self.minutes.trade(row, base, quote);
    }

    pub(crate) fn on_l2(&mut self, at: UtcMicros, row: &L2Row) {
        self.advance(at.0);
        self.l2.rows += 1;
        self.l2.last_at = Some(at);
        self.l2_lineage += 1;
        self.seconds.add(&Bucket { l2: 1, ..Bucket::default() });
        self.conn_id = row.conn_id;
        self.book = BookFigures {
            spread_bps: row.spread_bps,
            microprice_dev_bps: row.microprice_dev_bps,
            imbalance_l1: row.imbalance_l1,
            imbalance_10: row.imbalance_10,
            depth_bid: row.depth_bid_10bps_quote,
            depth_ask: row.depth_ask_10bps_quote,
        };
        let top = Top {
            bid: Some(row.bid),
            ask: Some(row.ask),
            bid_qty: Some(row.bid_qty),
            ask_qty: Some(row.ask_qty),
            mid: mid_of(Some(row.bid), Some(row.ask)),
        };
        self.log_mid_due |= !self.has_l2 || !self.book_ok;
        self.has_l2 = true;
        self.book_ok = row.checksum_ok;
        self.set_top(top, row.spread_bps.filter(|_| row.checksum_ok));
    }

    /// The book is no longer the venue's: checksum, resync, disconnect.
    pub(crate) fn on_book_lost(&mut self, at: UtcMicros, is_checksum: bool) {
        self.advance(at.0);
        if is_checksum {
            self.seconds.add(&Bucket { checksum_fails: 1, ..Bucket::default() });
        }
        if self.book_ok {
            self.book_ok = false;
            self.log_mid_due = true;
            self.seconds.set_spread(self.now_us, None);
        }
    }

    /// A sample of the order-by-order book; nothing but its own columns follows from it.
    pub(crate) fn on_l3(&mut self, at: UtcMicros, row: &L3Row) {
        self.advance(at.0);
        self.queue.take(at, self.seconds.second(), row);
    }

    /// The order-by-order book is no longer the venue's: checksum, resync.
    pub(crate) fn on_level3_lost(&mut self, at: UtcMicros) {
        self.advance(at.0);
        self.seconds.add(&Bucket { l3_resyncs: 1, ..Bucket::default() });
    }

    /// Time of the newest ticker, trade or L2 message.
    pub(crate) fn newest_message(&self) -> Option<UtcMicros> {
        self.ticker.last_at.max(self.trade.last_at).max(self.l2.last_at)
    }

    /// After a hole: what stood before it says nothing about the present.
    pub(crate) fn forget_present(&mut self) {
        self.queue.forget_present();
        self.book_ok = false;
        self.log_mid_due = true;
        self.seconds.set_spread(self.now_us, None);
    }
}

fn mid_of(bid: Option<Decimal>, ask: Option<Decimal>) -> Option<Decimal> {
    let sum = bid?.checked_add(ask?)?;
    // Without trailing zeros: a value read back from its column has other ones, and the conversion to a
    // float must not depend on them.
    Some(round_to(sum / Decimal::TWO, scale::PX).normalize())
}
