//! One event applied to a token's memory.
//!
//! Input: an event of a bound instrument. Output: changed sums, held values and candles, and what the tick
//! alone adds up. Invariant: an event whose role the instrument does not have changes nothing but the token's
//! activity.

use super::memory::{Clock, lower};
use super::wiring::{Bound, Wiring};
use super::{Book, Features, Held, ohlc};
use crate::fault::LayerFault;
use crate::frame_view::{EVENT_BUY, Source};
use crate::num::{add, inc, mul, mul_div, sub};
use core::num::NonZeroU64;
use penstock_types::frame::FrameEvent;

/// What one tick adds up.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tick {
    pub id: u64,
    future_after: i64,
    pub volume: i64,
    pub delta: i64,
    pub buy_count: u32,
    pub sell_count: u32,
    pub reference_notional: i64,
    pub reference_qty: i64,
    pub hi: i64,
    pub lo: i64,
    pub liq_buy: i64,
    pub liq_sell: i64,
    pub is_anomaly: bool,
}

impl Tick {
    pub(super) fn new(clock: &Clock, is_burst: bool) -> Self {
        let Clock { tick: id, future_after, .. } = *clock;
        Self { id, future_after, is_anomaly: is_burst, ..Self::default() }
    }
}

/// A number that the contract of its source excludes.
const CONTRACT: LayerFault = LayerFault::Invariant("an event breaks the contract of its source");

impl Features {
    pub(super) fn apply(
        &mut self,
        wiring: &Wiring,
        tick: &mut Tick,
        event: &FrameEvent,
    ) -> Result<(), LayerFault> {
        let (Some((at, bound)), Some(source)) =
            (wiring.instrument(event.instrument_id, event.venue), Source::from_code(event.source))
        else {
            return Err(LayerFault::Invariant("an event has no binding"));
        };
        if event.exchange_ts > tick.future_after {
            tick.is_anomaly = true;
        }
        let held = Held { value: event.a, tick: NonZeroU64::new(tick.id) };
        match source {
            Source::Trade => self.trade(bound, tick, event)?,
            Source::Book => self.top_of_book(bound, tick.id, event)?,
            Source::Liquidation => self.liquidation(bound, tick, event)?,
            Source::Mark if event.a <= 0 => return Err(CONTRACT),
            Source::Mark if bound.roles.deriv_primary => self.mark = held,
            Source::OpenInterest if event.a < 0 => return Err(CONTRACT),
            Source::OpenInterest if bound.roles.oi_set => {
                self.open_interest(wiring, at, mul(event.a, bound.oi_scale())?, tick.id)?;
            }
            Source::Funding if bound.roles.deriv_primary => self.funding = held,
            Source::Mark | Source::OpenInterest | Source::Funding => {}
        }
        Ok(())
    }

    fn trade(
        &mut self,
        bound: &Bound,
        tick: &mut Tick,
        event: &FrameEvent,
    ) -> Result<(), LayerFault> {
        let (price, qty) = (event.a, event.b);
        if price <= 0 || qty <= 0 || event.exchange_ts <= 0 {
            return Err(CONTRACT);
        }
        let notional = mul_div(price, qty, bound.notional_divisor())?;
        let is_buy = event.flags & EVENT_BUY != 0;
        let signed = if is_buy { notional } else { sub(0, notional)? };
        if bound.roles.price_ref {
            self.reference_trade(tick, event, notional)?;
        }
        if bound.roles.flow {
            tick.volume = add(tick.volume, notional)?;
            tick.delta = add(tick.delta, signed)?;
            self.memory.minute.vol = add(self.memory.minute.vol, notional)?;
            let slot = self.memory.current();
            slot.vol = add(slot.vol, notional)?;
            slot.delta = add(slot.delta, signed)?;
            if is_buy {
                tick.buy_count = inc(tick.buy_count)?;
                slot.n_buy = inc(slot.n_buy)?;
            } else {
                tick.sell_count = inc(tick.sell_count)?;
                slot.n_sell = inc(slot.n_sell)?;
            }
        }
        if bound.roles.spot_primary {
            let slot = self.memory.current();
            slot.spot_delta = add(slot.spot_delta, signed)?;
        }
        Ok(())
    }

    fn reference_trade(
        &mut self,
        tick: &mut Tick,
        event: &FrameEvent,
        notional: i64,
    ) -> Result<(), LayerFault> {
        let price = event.a;
        tick.reference_notional = add(tick.reference_notional, notional)?;
        tick.reference_qty = add(tick.reference_qty, event.b)?;
        tick.hi = tick.hi.max(price);
        tick.lo = lower(tick.lo, price);
        let minute = &mut self.memory.minute;
        minute.hi = minute.hi.max(price);
        minute.lo = lower(minute.lo, price);
        let slot = self.memory.current();
        slot.hi = slot.hi.max(price);
        slot.lo = lower(slot.lo, price);
        if event.exchange_ts > tick.future_after {
            return Ok(());
        }
        let second = u64::try_from(event.exchange_ts / 1_000_000).map_err(|_| CONTRACT)?;
        let late_1m = ohlc::apply(&mut self.ohlc_1m, second / 60, price, notional)?;
        let late_5m = ohlc::apply(&mut self.ohlc_5m, second / 300, price, notional)?;
        tick.is_anomaly |= late_1m || late_5m;
        Ok(())
    }

    fn top_of_book(
        &mut self,
        bound: &Bound,
        tick: u64,
        event: &FrameEvent,
    ) -> Result<(), LayerFault> {
        let book = Book { bid: event.a, ask: event.b, tick: NonZeroU64::new(tick) };
        if book.bid <= 0 || book.bid >= book.ask {
            return Err(CONTRACT);
        }
        if bound.roles.price_ref {
            self.book = book;
        }
        if bound.roles.spot_primary {
            self.spot = book;
        }
        Ok(())
    }

    fn liquidation(
        &mut self,
        bound: &Bound,
        tick: &mut Tick,
        event: &FrameEvent,
    ) -> Result<(), LayerFault> {
        if event.a <= 0 || event.b <= 0 {
            return Err(CONTRACT);
        }
        if !bound.roles.flow {
            return Ok(());
        }
        let notional = mul_div(event.a, event.b, bound.notional_divisor())?;
        let slot = self.memory.current();
        if event.flags & EVENT_BUY != 0 {
            tick.liq_buy = add(tick.liq_buy, notional)?;
            slot.liq_buy = add(slot.liq_buy, notional)?;
        } else {
            tick.liq_sell = add(tick.liq_sell, notional)?;
            slot.liq_sell = add(slot.liq_sell, notional)?;
        }
        Ok(())
    }

    fn open_interest(
        &mut self,
        wiring: &Wiring,
        at: usize,
        value: i64,
        tick: u64,
    ) -> Result<(), LayerFault> {
        self.oi.by_instrument[at] = Held { value, tick: NonZeroU64::new(tick) };
        if !wiring.all_reported(&self.oi.reported()) {
            return Ok(());
        }
        let mut total = 0;
        for part in self.oi.by_instrument {
            total = add(total, part.value)?;
        }
        if self.oi.total.is_none() {
            self.memory.set_oi_open(total);
        }
        self.oi.total = Some(total);
        Ok(())
    }
}
