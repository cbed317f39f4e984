//! The features of a token in a snapshot: held values, rings, candles, and what has lasted how long.
//!
//! Input: the state after a tick, or the bytes of a block's sections. Output: bytes, or the state. Invariants:
//! a state that went through bytes gives the same features for ever; what follows from the rest is derived
//! again and not stored. Whether the bytes are whole is judged before they come here.

use super::memory::{MEMORY_LEN, Memory};
use super::{Book, Features, Held, OpenInterest, Wiring};
use crate::config::EngineConfig;
use crate::snapshot::{Pack, Unpack};
use penstock_types::engine_view::{Candle, Candles};

/// Bytes of the features of a token.
pub(crate) const FEATURES_LEN: usize = HELD_LEN + MEMORY_LEN + 4 * CANDLE_LEN;
/// Bytes of the held values.
const HELD_LEN: usize = 160;
/// Bytes of a candle.
const CANDLE_LEN: usize = 56;

impl Features {
    /// Ticks in a row in which the token was degraded, and without an event.
    pub(crate) const fn runs(&self) -> (u32, u32) {
        (self.degraded_ticks, self.idle_ticks)
    }

    /// Held values, rings and candles: 160, 1,488 and 224 bytes.
    pub(crate) fn save(&self, pack: &mut Pack<'_>) {
        let mut own = pack.section(HELD_LEN);
        for book in [&self.book, &self.spot] {
            own.i64(book.bid);
            own.i64(book.ask);
            own.tick(book.tick);
        }
        let held = [&self.mark, &self.funding];
        for held in held.into_iter().chain(&self.oi.by_instrument) {
            own.i64(held.value);
            own.tick(held.tick);
        }
        own.i64(self.oi.total.unwrap_or(0));
        self.memory.save(pack.section(MEMORY_LEN));
        for candles in [&self.ohlc_1m, &self.ohlc_5m] {
            candle(pack.section(CANDLE_LEN), &candles.forming);
            candle(pack.section(CANDLE_LEN), &candles.closed);
        }
    }

    /// Reads what [`Features::save`] wrote of a token whose last executed tick is `tick`.
    pub(crate) fn load(
        config: &EngineConfig,
        wiring: &Wiring,
        bytes: &[u8],
        tick: u64,
        (degraded_ticks, idle_ticks): (u32, u32),
    ) -> Result<Self, &'static str> {
        let mut read = Unpack::new(bytes);
        let mut book = || Book { bid: read.i64(), ask: read.i64(), tick: read.tick() };
        let (price, spot) = (book(), book());
        let mut held = || Held { value: read.i64(), tick: read.tick() };
        let (mark, funding) = (held(), held());
        let mut oi = OpenInterest::default();
        for one in &mut oi.by_instrument {
            *one = held();
        }
        let total = read.i64();
        oi.total = (wiring.has_oi && wiring.all_reported(&oi.reported())).then_some(total);
        let rings = bytes.get(HELD_LEN..).unwrap_or(&[]);
        let memory = Memory::load(rings, tick, &config.base)?;
        read.seek(HELD_LEN.saturating_add(MEMORY_LEN));
        Ok(Self {
            memory,
            book: price,
            spot,
            mark,
            funding,
            oi,
            idle_ticks,
            degraded_ticks,
            ohlc_1m: candles(&mut read),
            ohlc_5m: candles(&mut read),
        })
    }
}

fn candle(mut own: Pack<'_>, candle: &Candle) {
    own.u64(candle.bucket_id);
    for value in [candle.open, candle.high, candle.low, candle.close, candle.volume] {
        own.i64(value);
    }
    own.u32(candle.count);
}

fn candles(read: &mut Unpack<'_>) -> Candles {
    let mut one = || {
        let bucket_id = read.u64();
        let [open, high, low, close, volume] = core::array::from_fn(|_| read.i64());
        let count = read.u32();
        let _: [u8; 4] = read.take();
        Candle { bucket_id, open, high, low, close, volume, count }
    };
    Candles { forming: one(), closed: one() }
}
