//! The rolling memory of a token: twelve buckets of five seconds, fifteen closed minutes, the open one.
//!
//! Input: what a tick's events add. Output: sums over the last seconds (F, 5 to 10 s), a quarter of a minute
//! (V, 15 to 20 s) and a minute (S, 55 to 60 s), and baselines over closed minutes. Invariants: every window
//! is a function of the tick id alone; sums over closed slots are kept beside the ring and equal what adding
//! the slots again would give. It knows no event and no threshold.

use crate::config::Base;
use crate::num::{ArithError, add, add32, div, inc, range, slot, slot_before, window_end_us};
use crate::snapshot::{Pack, Unpack};

/// Buckets of five seconds.
pub(super) const R5: usize = 12;
/// Ticks of a bucket.
const BUCKET_TICKS: u8 = 20;
/// Closed minutes.
pub(super) const RM: usize = 15;
/// How far an event may lie ahead of its tick's window before it counts as one of the future.
const FUTURE_US: i64 = 5_000_000;

/// What follows from a tick's number alone, worked out once for all tokens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    pub(super) tick: u64,
    /// Place of the tick's bucket.
    pub(super) bucket_at: usize,
    /// The tick is the first of its bucket, every 20 ticks.
    pub(super) opens_bucket: bool,
    /// Place of the minute that ended before this tick, every 240 ticks.
    pub(super) closes_minute: Option<usize>,
    /// Venue time beyond which an event lies in the future.
    pub(super) future_after: i64,
}

impl Clock {
    pub(crate) fn new(tick: u64) -> Self {
        let minute_at = slot_before(slot(tick / 240, RM), 1, RM);
        Self {
            tick,
            bucket_at: slot(tick / 20, R5),
            opens_bucket: tick.is_multiple_of(20),
            closes_minute: tick.is_multiple_of(240).then_some(minute_at),
            future_after: window_end_us(tick).saturating_add(FUTURE_US),
        }
    }
}

/// A bucket of five seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Slot {
    pub vol: i64,
    pub delta: i64,
    pub liq_buy: i64,
    pub liq_sell: i64,
    pub spot_delta: i64,
    pub n_buy: u32,
    pub n_sell: u32,
    /// 0 = no trade.
    pub hi: i64,
    pub lo: i64,
    pub oi_open: i64,
}

/// A closed minute; `ticks` is 0 for a slot that was never filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Minute {
    pub vol: i64,
    pub range: i64,
    pub spread_sum: i64,
    pub spread_n: u32,
    pub is_closed: bool,
}

/// The minute that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct OpenMinute {
    pub vol: i64,
    pub spread_sum: i64,
    pub spread_n: u32,
    pub hi: i64,
    pub lo: i64,
}

/// Sums over the window F: two buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct SumsF {
    pub ticks: u32,
    pub vol: i64,
    pub delta: i64,
    pub n_buy: u32,
    pub n_sell: u32,
    pub hi: i64,
    pub lo: i64,
}

/// Sums over the window S: twelve buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct SumsS {
    pub vol: i64,
    pub delta: i64,
    pub liq_buy: i64,
    pub liq_sell: i64,
    pub spot_delta: i64,
    pub hi: i64,
    pub lo: i64,
}

/// The lower of two prices, of which 0 is none.
pub(super) fn lower(a: i64, b: i64) -> i64 {
    if a == 0 || (b != 0 && b < a) { b } else { a }
}

impl SumsF {
    fn of(a: &Slot, b: &Slot, ticks: u32) -> Result<Self, ArithError> {
        Ok(Self {
            ticks,
            vol: add(a.vol, b.vol)?,
            delta: add(a.delta, b.delta)?,
            n_buy: add32(a.n_buy, b.n_buy)?,
            n_sell: add32(a.n_sell, b.n_sell)?,
            hi: a.hi.max(b.hi),
            lo: lower(a.lo, b.lo),
        })
    }
}

impl SumsS {
    fn with(&self, slot: &Slot) -> Result<Self, ArithError> {
        Ok(Self {
            vol: add(self.vol, slot.vol)?,
            delta: add(self.delta, slot.delta)?,
            liq_buy: add(self.liq_buy, slot.liq_buy)?,
            liq_sell: add(self.liq_sell, slot.liq_sell)?,
            spot_delta: add(self.spot_delta, slot.spot_delta)?,
            hi: self.hi.max(slot.hi),
            lo: lower(self.lo, slot.lo),
        })
    }
}

/// Means of the closed minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Baselines {
    /// Closed minutes, 0..=15.
    pub minutes: u32,
    /// Ntl per minute, floored.
    pub vol: i64,
    /// Ratio, floored.
    pub range: i64,
    /// Ratio, floored.
    pub spread: i64,
    /// A closed minute saw a book.
    pub has_spread: bool,
}

/// Rings and what is kept beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Memory {
    r5: [Slot; R5],
    /// Executed ticks of each bucket, at most [`BUCKET_TICKS`].
    ticks: [u8; R5],
    rm: [Minute; RM],
    pub minute: OpenMinute,
    at: usize,
    closed_s: SumsS,
    pub baselines: Baselines,
}

impl Memory {
    pub(super) fn new(base: &Base) -> Self {
        let mut memory = Self {
            r5: [Slot::default(); R5],
            ticks: [0; R5],
            rm: [Minute::default(); RM],
            minute: OpenMinute::default(),
            at: 0,
            closed_s: SumsS::default(),
            baselines: Baselines::default(),
        };
        memory.baselines.vol = base.vol_min;
        memory.baselines.range = base.range_min;
        memory.baselines.spread = base.spread_min;
        memory
    }

    /// Opens the tick: a new bucket every 20 ticks, a closed minute every 240.
    pub(super) fn begin(
        &mut self,
        clock: &Clock,
        oi_total: i64,
        base: &Base,
    ) -> Result<(), ArithError> {
        let at = clock.bucket_at;
        if clock.opens_bucket {
            // A minute of which no tick was executed was never open and cannot close.
            let was_open = self.ticks[slot_before(at, 1, R5)] > 0;
            self.ticks[at] = 0;
            self.r5[at] = Slot { oi_open: oi_total, ..Slot::default() };
            self.sum_closed(at)?;
            if let Some(minute_at) = clock.closes_minute
                && was_open
            {
                self.close_minute(minute_at, base)?;
            }
        }
        self.at = at;
        self.ticks[at] = self.ticks[at].checked_add(1).ok_or(ArithError)?;
        Ok(())
    }

    fn sum_closed(&mut self, at: usize) -> Result<(), ArithError> {
        let before = |back: usize| slot_before(at, back, R5);
        let mut all = SumsS::default();
        for back in 1..R5 {
            all = all.with(&self.r5[before(back)])?;
        }
        self.closed_s = all;
        Ok(())
    }

    fn close_minute(&mut self, at: usize, base: &Base) -> Result<(), ArithError> {
        let open = self.minute;
        self.rm[at] = Minute {
            vol: open.vol,
            range: range(open.hi, open.lo),
            spread_sum: open.spread_sum,
            spread_n: open.spread_n,
            is_closed: true,
        };
        self.minute = OpenMinute::default();
        self.baselines = self.means(base)?;
        Ok(())
    }

    fn means(&self, base: &Base) -> Result<Baselines, ArithError> {
        let (mut minutes, mut spread_n) = (0, 0_u32);
        let (mut vol, mut range, mut spread_sum) = (0, 0, 0);
        for minute in self.rm.iter().filter(|minute| minute.is_closed) {
            minutes = inc(minutes)?;
            vol = add(vol, minute.vol)?;
            range = add(range, minute.range)?;
            spread_sum = add(spread_sum, minute.spread_sum)?;
            spread_n = add32(spread_n, minute.spread_n)?;
        }
        let n = i64::from(minutes.max(1));
        let has_spread = spread_n > 0;
        let spread = div(spread_sum, i64::from(spread_n.max(1)))?;
        Ok(Baselines {
            minutes,
            vol: div(vol, n)?.max(base.vol_min),
            range: div(range, n)?.max(base.range_min),
            spread: spread.max(base.spread_min),
            has_spread,
        })
    }

    /// Bucket of this tick.
    pub(super) fn current(&mut self) -> &mut Slot {
        &mut self.r5[self.at]
    }

    /// Sums over this bucket and the one before.
    pub(super) fn window_f(&self) -> Result<SumsF, ArithError> {
        let before = slot_before(self.at, 1, R5);
        SumsF::of(&self.r5[before], &self.r5[self.at], self.ticks_of(&[before, self.at]))
    }

    /// Executed ticks of this bucket and the three before.
    pub(super) fn ticks_v(&self) -> u32 {
        let before = |back| slot_before(self.at, back, R5);
        self.ticks_of(&[before(3), before(2), before(1), self.at])
    }

    fn ticks_of(&self, buckets: &[usize]) -> u32 {
        buckets.iter().fold(0, |sum, at| sum.saturating_add(u32::from(self.ticks[*at])))
    }

    /// Sums over all twelve buckets.
    pub(super) fn window_s(&self) -> Result<SumsS, ArithError> {
        self.closed_s.with(&self.r5[self.at])
    }

    /// Open interest when the window V opened.
    pub(super) const fn oi_open_v(&self) -> i64 {
        self.r5[slot_before(self.at, 3, R5)].oi_open
    }

    /// Open interest when the oldest bucket opened.
    pub(super) const fn oi_open_s(&self) -> i64 {
        self.r5[slot_before(self.at, R5 - 1, R5)].oi_open
    }

    /// The open interest is known for the first time: no bucket may show a jump from nothing.
    pub(super) fn set_oi_open(&mut self, oi_total: i64) {
        for slot in &mut self.r5 {
            slot.oi_open = oi_total;
        }
    }
}

/// Bytes of a bucket, a closed minute and the open minute in a snapshot.
const SLOT_LEN: usize = 80;
const MINUTE_LEN: usize = 32;
const OPEN_LEN: usize = 48;
/// Bytes of both rings and the open minute.
pub(super) const MEMORY_LEN: usize = 12 * 80 + 15 * 32 + 48;

impl Memory {
    /// Rings and the open minute; sums, means and the place in the ring follow from them and the tick.
    pub(super) fn save(&self, mut pack: Pack<'_>) {
        for (slot, ticks) in self.r5.iter().zip(self.ticks) {
            let mut own = pack.section(SLOT_LEN);
            own.u32(u32::from(ticks));
            for value in [slot.vol, slot.delta, slot.liq_buy, slot.liq_sell, slot.spot_delta] {
                own.i64(value);
            }
            own.u32(slot.n_buy);
            own.u32(slot.n_sell);
            for value in [slot.hi, slot.lo, slot.oi_open] {
                own.i64(value);
            }
        }
        for minute in &self.rm {
            let mut own = pack.section(MINUTE_LEN);
            for value in [minute.vol, minute.range, minute.spread_sum] {
                own.i64(value);
            }
            own.u32(minute.spread_n);
            own.bool(minute.is_closed);
        }
        let mut own = pack.section(OPEN_LEN);
        for value in [self.minute.vol, self.minute.spread_sum, self.minute.hi, self.minute.lo] {
            own.i64(value);
        }
        own.u32(self.minute.spread_n);
    }

    /// Reads what [`Memory::save`] wrote of a token whose last executed tick is `tick`.
    pub(super) fn load(bytes: &[u8], tick: u64, base: &Base) -> Result<Self, &'static str> {
        let mut memory = Self::new(base);
        let mut read = Unpack::new(bytes);
        let mut end = 0_usize;
        for (slot, ticks) in memory.r5.iter_mut().zip(&mut memory.ticks) {
            let got = u8::try_from(read.u32()).ok().filter(|got| *got <= BUCKET_TICKS);
            *ticks = got.ok_or("a bucket has more ticks than it can have")?;
            slot.vol = read.i64();
            slot.delta = read.i64();
            slot.liq_buy = read.i64();
            slot.liq_sell = read.i64();
            slot.spot_delta = read.i64();
            slot.n_buy = read.u32();
            slot.n_sell = read.u32();
            slot.hi = read.i64();
            slot.lo = read.i64();
            slot.oi_open = read.i64();
            end = end.saturating_add(SLOT_LEN);
            read.seek(end);
        }
        for minute in &mut memory.rm {
            minute.vol = read.i64();
            minute.range = read.i64();
            minute.spread_sum = read.i64();
            minute.spread_n = read.u32();
            minute.is_closed = read.bool("a minute is neither closed nor empty")?;
            end = end.saturating_add(MINUTE_LEN);
            read.seek(end);
        }
        memory.minute.vol = read.i64();
        memory.minute.spread_sum = read.i64();
        memory.minute.hi = read.i64();
        memory.minute.lo = read.i64();
        memory.minute.spread_n = read.u32();
        memory.at = slot(tick / 20, R5);
        memory.sum_closed(memory.at).map_err(|_| "the sums of the buckets leave their range")?;
        memory.baselines = memory.means(base).map_err(|_| "the minutes leave their range")?;
        Ok(memory)
    }
}
