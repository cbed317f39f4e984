//! What happens at the best prices of one symbol, order by order: the figures of a queue.
//!
//! Input: changes of the book, prints, and the time at which each came. Output: a [`Level3Sample`], without the
//! venue's time. A quantity that went at a price which traded within 250 ms before or after is filled, up to
//! what traded there; the rest is cancelled. That is decided a second after it came, or with a sample that is
//! taken 250 ms after it or later, so it does not matter whether the print or the change came first. Ratios and
//! the cancelled amount cover the sixty seconds
//! up to the second of the sample, at prices that were the best ones when it happened; counts cover
//! the time since the sample before. Times are milliseconds of the clock that stamps what is received.

use std::collections::VecDeque;

use penstock_types::level3::{Level3Sample, TakerQuotes};
use penstock_types::vocab::Side;
use rust_decimal::{Decimal, RoundingStrategy};

use super::book::Precision;
use super::level3_book::{Change, Level3Book, OrderLevel};

/// How far a print may be from a change that it explains, milliseconds.
pub const ATTRIBUTION_MS: i64 = 250;
/// Age at which a quantity is decided between samples: what its prints may be late is passed, and what waits
/// stays a handful. Waiting for the next sample, a book kept as much as its liveliest five seconds had brought.
const DECIDED_AFTER_MS: i64 = 4 * ATTRIBUTION_MS;
/// Seconds that ratios and amounts cover.
const WINDOW_S: i64 = 60;
/// Longest estimate of a fill, milliseconds: a day.
pub const FILL_ESTIMATE_MS_MAX: i64 = 86_400_000;
/// Largest ratio of what came to what went.
const REFILL_RATIO_MAX: i64 = 10;
/// Undecided quantities and prints that are kept; a burst beyond it is decided early.
const PENDING_LEN_MAX: usize = 4_096;
/// Room for a lively second, taken at the start.
const PENDING_LEN: usize = 64;
/// Seconds of the window and one more on both sides.
const SECONDS_LEN: usize = WINDOW_S as usize + 2;

/// A quantity that went and is not decided yet.
#[derive(Clone, Copy, Debug)]
struct Gone {
    at_ms: i64,
    side: Side,
    price: i64,
    qty: i64,
    at_best: bool,
}

/// A print, and what of it has not explained anything yet.
#[derive(Clone, Copy, Debug)]
struct Print {
    at_ms: i64,
    price: i64,
    left: i64,
}

/// What happened at the best prices within one second.
#[derive(Clone, Copy, Debug, Default)]
struct Second {
    second: i64,
    added: i128,
    filled: i128,
    cancelled: i128,
    cancelled_bid_quote: i128,
    cancelled_ask_quote: i128,
}

/// Events since the last sample.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    adds: u32,
    cancels: u32,
    fills: u32,
    modifies: u32,
}

/// Flow of one symbol.
#[derive(Clone, Debug)]
pub struct QueueFlow {
    precision: Precision,
    gone: VecDeque<Gone>,
    prints: VecDeque<Print>,
    seconds: VecDeque<Second>,
    counts: Counts,
}

impl QueueFlow {
    /// Nothing has happened.
    pub fn new(precision: Precision) -> Self {
        Self {
            precision,
            gone: VecDeque::with_capacity(PENDING_LEN),
            prints: VecDeque::with_capacity(PENDING_LEN),
            seconds: VecDeque::with_capacity(SECONDS_LEN),
            counts: Counts::default(),
        }
    }

    /// Nothing has happened any more; the memory stays.
    pub fn clear(&mut self) {
        self.gone.clear();
        self.prints.clear();
        self.seconds.clear();
        self.counts = Counts::default();
    }

    /// Bytes that the flow holds beside its own value: what is reserved counts.
    pub fn heap_bytes(&self) -> usize {
        self.gone.capacity() * size_of::<Gone>()
            + self.prints.capacity() * size_of::<Print>()
            + self.seconds.capacity() * size_of::<Second>()
    }

    /// An order of the book changed.
    pub fn change(&mut self, change: Change, at_ms: i64) {
        match change {
            Change::Added { qty, at_best, .. } => {
                self.counts.adds += 1;
                self.came(qty, at_best, at_ms);
            }
            Change::Deleted { side, price, qty, at_best } => {
                self.went(Gone { at_ms, side, price, qty, at_best });
            }
            Change::Modified { side, price, qty, at_best } if price.0 == price.1 => {
                let less = qty.0 - qty.1;
                if less > 0 {
                    self.went(Gone { at_ms, side, price: price.0, qty: less, at_best: at_best.0 });
                } else {
                    self.counts.modifies += 1;
                    self.came(-less, at_best.1, at_ms);
                }
            }
            // To another price: it goes there and comes here.
            Change::Modified { side, price, qty, at_best } => {
                self.counts.modifies += 1;
                let (price, gone) = (price.0, qty.0);
                self.went(Gone { at_ms, side, price, qty: gone, at_best: at_best.0 });
                self.came(qty.1, at_best.1, at_ms);
            }
        }
    }

    /// A print: price and quantity in the book's own digits.
    pub fn print(&mut self, price: i64, qty: i64, at_ms: i64) {
        self.settle(at_ms, DECIDED_AFTER_MS);
        if self.prints.len() == PENDING_LEN_MAX {
            self.prints.pop_front();
        }
        self.prints.push_back(Print { at_ms, price, left: qty });
    }

    /// The figures now; none while a side of the book is empty. Counts begin anew.
    pub fn sample(
        &mut self,
        book: &Level3Book,
        takers: TakerQuotes,
        now_ms: i64,
    ) -> Option<Level3Sample> {
        self.settle(now_ms, ATTRIBUTION_MS);
        let (bid, ask) = (book.bids().next()?, book.asks().next()?);
        let counts = core::mem::take(&mut self.counts);
        let sum = self.window(now_ms);
        let went = sum.filled + sum.cancelled;
        let ten = Decimal::from(REFILL_RATIO_MAX);
        let queue_bid_quote = self.quote(i128::from(bid.price).checked_mul(bid.qty())?)?;
        let queue_ask_quote = self.quote(i128::from(ask.price).checked_mul(ask.qty())?)?;
        let fill = |queue: Decimal, taken_1m: Decimal, cancelled: i128| {
            estimate_ms(queue, taken_1m, self.quote(cancelled)?)
        };
        Some(Level3Sample {
            ts_exchange: None,
            bid: super::number::unscaled(bid.price, self.precision.price),
            ask: super::number::unscaled(ask.price, self.precision.price),
            orders_at_bid: u32::try_from(bid.orders.len()).unwrap_or(u32::MAX),
            orders_at_ask: u32::try_from(ask.orders.len()).unwrap_or(u32::MAX),
            queue_bid_quote,
            queue_ask_quote,
            avg_age_bid_ms: mean_age_ms(bid, now_ms),
            avg_age_ask_ms: mean_age_ms(ask, now_ms),
            adds: counts.adds,
            cancels: counts.cancels,
            fills: counts.fills,
            modifies: counts.modifies,
            refill_ratio: ratio(sum.added, went).map(|ratio| ratio.min(ten)),
            cancel_ratio: ratio(sum.cancelled, went),
            est_fill_bid_ms: fill(queue_bid_quote, takers.sell_1m, sum.cancelled_bid_quote),
            est_fill_ask_ms: fill(queue_ask_quote, takers.buy_1m, sum.cancelled_ask_quote),
        })
    }

    /// Decides what came so long ago, and lets go of the prints that explain nothing any more.
    fn settle(&mut self, now_ms: i64, age_ms: i64) {
        while self.gone.front().is_some_and(|gone| now_ms - gone.at_ms >= age_ms) {
            self.decide_first();
        }
        let decided = now_ms - age_ms + ATTRIBUTION_MS;
        let oldest =
            self.gone.front().map_or(decided, |gone| gone.at_ms.min(decided)) - ATTRIBUTION_MS;
        while self.prints.front().is_some_and(|print| print.at_ms < oldest) {
            self.prints.pop_front();
        }
    }

    fn went(&mut self, gone: Gone) {
        self.settle(gone.at_ms, DECIDED_AFTER_MS);
        if self.gone.len() == PENDING_LEN_MAX {
            self.decide_first();
        }
        self.gone.push_back(gone);
    }

    fn decide_first(&mut self) {
        let Some(gone) = self.gone.pop_front() else { return };
        let mut left = gone.qty;
        for print in &mut self.prints {
            let near = (print.at_ms - gone.at_ms).abs() <= ATTRIBUTION_MS;
            if near && print.price == gone.price {
                let taken = left.min(print.left);
                print.left -= taken;
                left -= taken;
            }
        }
        let filled = gone.qty - left;
        self.counts.fills += u32::from(filled > 0);
        self.counts.cancels += u32::from(left > 0);
        if !gone.at_best {
            return;
        }
        let second = self.second(gone.at_ms);
        second.filled += i128::from(filled);
        second.cancelled += i128::from(left);
        let quote = i128::from(left) * i128::from(gone.price);
        match gone.side {
            Side::Buy => second.cancelled_bid_quote += quote,
            Side::Sell => second.cancelled_ask_quote += quote,
        }
    }

    fn came(&mut self, qty: i64, at_best: bool, at_ms: i64) {
        if at_best {
            self.second(at_ms).added += i128::from(qty);
        }
    }

    /// The bucket of a time; those that no sample can reach any more are given up.
    fn second(&mut self, at_ms: i64) -> &mut Second {
        let second = at_ms.div_euclid(1_000);
        let newest = self.seconds.back().map_or(second, |held| held.second.max(second));
        // One second more than the window, for what is decided late.
        while self.seconds.front().is_some_and(|held| held.second < newest - WINDOW_S) {
            self.seconds.pop_front();
        }
        let at = self.seconds.partition_point(|held| held.second < second);
        if self.seconds.get(at).is_none_or(|held| held.second != second) {
            self.seconds.insert(at, Second { second, ..Second::default() });
        }
        &mut self.seconds[at]
    }

    fn window(&self, now_ms: i64) -> Second {
        let now = now_ms.div_euclid(1_000);
        let mut sum = Second::default();
        for held in
            self.seconds.iter().filter(|held| (now - WINDOW_S + 1..=now).contains(&held.second))
        {
            sum.added += held.added;
            sum.filled += held.filled;
            sum.cancelled += held.cancelled;
            sum.cancelled_bid_quote += held.cancelled_bid_quote;
            sum.cancelled_ask_quote += held.cancelled_ask_quote;
        }
        sum
    }

    /// Price times quantity in the book's own digits, as an amount; none beyond 28 digits.
    fn quote(&self, value: i128) -> Option<Decimal> {
        let scale = u32::from(self.precision.price) + u32::from(self.precision.qty);
        Decimal::try_from_i128_with_scale(value, scale).ok()
    }
}

fn ratio(part: i128, whole: i128) -> Option<Decimal> {
    let exact = |value| Decimal::try_from_i128_with_scale(value, 0).ok();
    exact(part)?.checked_div(exact(whole)?)
}

/// What waits, over what takers take per second plus half of what is cancelled per second.
fn estimate_ms(queue: Decimal, taken_1m: Decimal, cancelled_1m: Decimal) -> Option<i64> {
    use rust_decimal::prelude::ToPrimitive;
    let half = cancelled_1m.checked_div(Decimal::TWO)?;
    let per_minute = taken_1m.checked_add(half)?;
    if per_minute <= Decimal::ZERO {
        return None;
    }
    let longest = Some(FILL_ESTIMATE_MS_MAX);
    // Beyond 28 digits it is longer than a day, too.
    let Some(waiting) = queue.checked_mul(Decimal::from(60_000)) else { return longest };
    let Some(ms) = waiting.checked_div(per_minute) else { return longest };
    let ms = ms.round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven);
    Some(ms.to_i64().unwrap_or(FILL_ESTIMATE_MS_MAX).min(FILL_ESTIMATE_MS_MAX))
}

/// Mean age of a level's orders; one that is stamped later than now has none.
fn mean_age_ms(level: &OrderLevel, now_ms: i64) -> i64 {
    let ages = level.orders.iter().map(|order| {
        i128::from(now_ms).saturating_sub(i128::from(order.time_ns.div_euclid(1_000_000))).max(0)
    });
    let count = i128::try_from(level.orders.len().max(1)).unwrap_or(1);
    i64::try_from(ages.sum::<i128>() / count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
