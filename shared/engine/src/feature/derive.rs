//! From sums and held values to the feature frame.
//!
//! Input: the memory after a tick's events. Output: a [`FeatureFrame`]. Invariant: an input that is absent,
//! stale or warming up becomes `None`; a market without volume has no ratio to its own baseline, because a
//! dead market is not a compressed one.

use super::events::Tick;
use super::memory::{SumsF, SumsS};
use super::{FeatureFrame, Features, INACTIVE_TICKS, SUPPRESS_TICKS, Wiring, is_stale};
use crate::config::{EngineConfig, Profile};
use crate::fault::LayerFault;
use crate::num::{
    RATIO_ONE, abs, add, add32, inc, middle, mul, mul_div, range, ratio, rel, sdiv, sub,
};
use penstock_types::engine_view::{Direction, DivergenceLabel, TokenFlags};

/// Ticks of a minute times 10,000: pace per minute over the baseline, as a multiplier.
const PACE: i64 = 2_400_000;
/// Four ticks of a second times 1.0: relative change per second in 1e-8.
const PER_SECOND: i64 = 4 * RATIO_ONE;
/// Open interest over a minute from which a trap is labelled, Ratio.
const TRAP_OI: i64 = 200_000;
/// Basis from which a trap is labelled, Ratio.
const TRAP_BASIS: i64 = 150_000;
/// Imbalance of liquidations that gives a direction, 1e-4.
const LIQ_SIDE: i64 = 2_000;
/// Pace and one-sidedness that give a direction without a derivative.
const SPOT_PACE: i64 = 10_000;
const SPOT_SIDED: i64 = 30_000_000;

/// Windows of a tick.
struct Windows {
    f: SumsF,
    s: SumsS,
    ticks_v: u32,
}

/// What is stale.
struct Stale {
    book: bool,
    spot: bool,
    mark: bool,
    oi: bool,
    funding: bool,
}

/// The book's own.
#[derive(Clone, Copy)]
struct Spread {
    mid: i64,
    spread_pct: i64,
}

/// What held prices say of each other.
struct Prices {
    mark_vs_mid: Option<i64>,
    spot_mid: i64,
    basis: Option<i64>,
}

/// What open interest and funding say.
struct Leverage {
    oi_delta: i64,
    oi_velocity: Option<i64>,
    oi_chg_60s: Option<i64>,
    funding: Option<i64>,
    funding_abs: Option<i64>,
}

/// Which side the windows are on.
struct Sides {
    delta_abs_ratio: i64,
    aggression: i64,
    delta_flip: bool,
}

/// Ratios to the token's own baselines.
#[derive(Default)]
struct Relative {
    vol: Option<i64>,
    range: Option<i64>,
    range_f: Option<i64>,
    spread: Option<i64>,
}

/// What the frame is put together from.
struct Parts {
    book: Spread,
    /// Of the windows F and S.
    ranges: [i64; 2],
    liq_s: i64,
    /// Forced buys less forced sells of the window S.
    liq_surplus: i64,
    trade_count: u32,
    vwap: Option<i64>,
    prices: Prices,
    leverage: Leverage,
    sides: Sides,
    relative: Relative,
    flags: TokenFlags,
}

// The parts hand their values on by value and are always inlined: each has one caller, and what is handed on stays in
// registers. As functions of their own they cost a step a tenth.
impl Features {
    pub(super) fn derive(
        &mut self,
        config: &EngineConfig,
        wiring: &Wiring,
        tick: &Tick,
        oi_before: Option<i64>,
    ) -> Result<FeatureFrame, LayerFault> {
        let stale = self.stale(config, wiring, tick.id);
        let book = self.spread(&stale)?;
        let (f, s) = (self.memory.window_f()?, self.memory.window_s()?);
        let windows = Windows { f, s, ticks_v: self.memory.ticks_v() };
        let ranges = [range(f.hi, f.lo), range(s.hi, s.lo)];
        let parts = Parts {
            book,
            ranges,
            liq_s: add(s.liq_buy, s.liq_sell)?,
            liq_surplus: sub(s.liq_buy, s.liq_sell)?,
            trade_count: add32(tick.buy_count, tick.sell_count)?,
            vwap: vwap(tick, wiring.reference_divisor)?,
            prices: self.prices(book.mid, &stale)?,
            leverage: self.leverage(&stale, &windows, oi_before)?,
            sides: sides(&windows)?,
            relative: self.relative(config, &stale, &windows, ranges, book.spread_pct)?,
            flags: self.flags(config, &stale, tick.is_anomaly, s.vol),
        };
        let mut frame = self.frame(tick, &windows, parts);
        frame.direction = direction(wiring.profile, &frame);
        frame.divergence_label = label(&frame);
        Ok(frame)
    }

    /// The frame but for what is judged of it as a whole.
    #[inline(always)]
    fn frame(&self, tick: &Tick, windows: &Windows, parts: Parts) -> FeatureFrame {
        let (f, s) = (&windows.f, &windows.s);
        let Parts { book, prices, leverage, sides, relative, .. } = parts;
        let [range_f, range_s] = parts.ranges;
        let base = &self.memory.baselines;
        FeatureFrame {
            trade_volume: tick.volume,
            trade_delta: tick.delta,
            trade_count: parts.trade_count,
            buy_count: tick.buy_count,
            sell_count: tick.sell_count,
            vwap: parts.vwap,
            micro_range: range(tick.hi, tick.lo),
            bid: self.book.bid,
            ask: self.book.ask,
            mid: book.mid,
            spread_pct: book.spread_pct,
            mark: self.mark.value,
            mark_vs_mid: prices.mark_vs_mid,
            spot_mid: prices.spot_mid,
            basis: prices.basis,
            liq_buy: tick.liq_buy,
            liq_sell: tick.liq_sell,
            liq_s: parts.liq_s,
            liq_share: ratio(parts.liq_s, s.vol),
            liq_imbalance: rel(parts.liq_surplus, parts.liq_s),
            oi_total: self.oi.total.unwrap_or(0),
            oi_delta: leverage.oi_delta,
            oi_velocity: leverage.oi_velocity,
            oi_chg_60s: leverage.oi_chg_60s,
            funding: leverage.funding,
            funding_abs: leverage.funding_abs,
            vol_f: f.vol,
            delta_f: f.delta,
            vol_s: s.vol,
            delta_s: s.delta,
            spot_delta_s: s.spot_delta,
            delta_abs_ratio: sides.delta_abs_ratio,
            aggression: sides.aggression,
            delta_flip: sides.delta_flip,
            range_f,
            range_s,
            base_vol: base.vol,
            base_range: base.range,
            base_spread: base.spread,
            vol_ratio: relative.vol,
            range_ratio: relative.range,
            range_f_ratio: relative.range_f,
            spread_ratio: relative.spread,
            direction: Direction::Neutral,
            divergence_label: DivergenceLabel::None,
            flags: parts.flags,
        }
    }

    /// Middle and spread of the book, which the open minute adds up while it is fresh.
    #[inline(always)]
    fn spread(&mut self, stale: &Stale) -> Result<Spread, LayerFault> {
        let mid = if self.book.tick.is_some() { middle(self.book.bid, self.book.ask) } else { 0 };
        let spread_pct = ratio(sub(self.book.ask, self.book.bid)?, mid);
        if !stale.book {
            let minute = &mut self.memory.minute;
            minute.spread_sum = add(minute.spread_sum, spread_pct)?;
            minute.spread_n = inc(minute.spread_n)?;
        }
        Ok(Spread { mid, spread_pct })
    }

    #[inline(always)]
    fn stale(&self, config: &EngineConfig, wiring: &Wiring, tick: u64) -> Stale {
        let limits = &config.stale;
        Stale {
            book: is_stale(self.book.tick, tick, limits.book),
            spot: is_stale(self.spot.tick, tick, limits.book),
            mark: wiring.has_derivative && is_stale(self.mark.tick, tick, limits.mark),
            oi: wiring.has_oi
                && (self.oi.total.is_none() || is_stale(self.oi.tick(), tick, limits.oi)),
            funding: wiring.has_derivative && is_stale(self.funding.tick, tick, limits.funding),
        }
    }

    #[inline(always)]
    fn prices(&self, mid: i64, stale: &Stale) -> Result<Prices, LayerFault> {
        let has_mark = self.mark.tick.is_some() && !stale.mark && !stale.book;
        let off = if has_mark { Some(ratio(sub(self.mark.value, mid)?, mid)) } else { None };
        let has_spot = self.spot.tick.is_some();
        let spot_mid = if has_spot { middle(self.spot.bid, self.spot.ask) } else { 0 };
        let has_basis = !stale.spot && !stale.book;
        let basis = if has_basis { Some(ratio(sub(mid, spot_mid)?, spot_mid)) } else { None };
        Ok(Prices { mark_vs_mid: off, spot_mid, basis })
    }

    #[inline(always)]
    fn leverage(
        &self,
        stale: &Stale,
        windows: &Windows,
        oi_before: Option<i64>,
    ) -> Result<Leverage, LayerFault> {
        let mut leverage = Leverage {
            oi_delta: 0,
            oi_velocity: None,
            oi_chg_60s: None,
            funding: None,
            funding_abs: None,
        };
        if let (Some(before), Some(now)) = (oi_before, self.oi.total) {
            leverage.oi_delta = sub(now, before)?;
        }
        if let Some(total) = self.oi.total
            && !stale.oi
        {
            let (open_v, open_s) = (self.memory.oi_open_v(), self.memory.oi_open_s());
            let change = sdiv(sub(total, open_v)?, PER_SECOND, open_v);
            leverage.oi_velocity = change.checked_div(i64::from(windows.ticks_v));
            leverage.oi_chg_60s = Some(ratio(sub(total, open_s)?, open_s));
        }
        if self.funding.tick.is_some() && !stale.funding {
            leverage.funding = Some(self.funding.value);
            leverage.funding_abs = Some(abs(self.funding.value)?);
        }
        Ok(leverage)
    }

    #[inline(always)]
    fn relative(
        &self,
        config: &EngineConfig,
        stale: &Stale,
        windows: &Windows,
        [range_f, range_s]: [i64; 2],
        spread_pct: i64,
    ) -> Result<Relative, LayerFault> {
        if self.is_warming_up(config) || windows.s.vol == 0 {
            return Ok(Relative::default());
        }
        let base = &self.memory.baselines;
        let pace = mul(i64::from(windows.f.ticks), base.vol)?;
        let has_spread = base.has_spread && !stale.book;
        Ok(Relative {
            vol: Some(sdiv(windows.f.vol, PACE, pace)),
            range: Some(rel(range_s, base.range)),
            range_f: Some(rel(range_f, base.range)),
            spread: has_spread.then(|| rel(spread_pct, base.spread)),
        })
    }

    fn is_warming_up(&self, config: &EngineConfig) -> bool {
        i64::from(self.memory.baselines.minutes) < config.warmup_minutes
    }

    #[inline(always)]
    fn flags(
        &self,
        config: &EngineConfig,
        stale: &Stale,
        is_anomaly: bool,
        vol_s: i64,
    ) -> TokenFlags {
        let is_warming_up = self.is_warming_up(config);
        let is_suppressed = is_warming_up || self.degraded_ticks >= SUPPRESS_TICKS;
        TokenFlags::default()
            .with_if(TokenFlags::WARMUP, is_warming_up)
            .with_if(TokenFlags::BOOK_STALE, stale.book)
            .with_if(TokenFlags::MARK_STALE, stale.mark)
            .with_if(TokenFlags::OI_STALE, stale.oi)
            .with_if(TokenFlags::FUNDING_STALE, stale.funding)
            .with_if(TokenFlags::FLOW_QUIET, vol_s == 0)
            .with_if(TokenFlags::DEGRADED, self.degraded_ticks > 0)
            .with_if(TokenFlags::SUPPRESS_ALERTS, is_suppressed)
            .with_if(TokenFlags::ANOMALY, is_anomaly)
            .with_if(TokenFlags::INACTIVE, self.idle_ticks >= INACTIVE_TICKS)
    }
}

#[inline(always)]
fn sides(windows: &Windows) -> Result<Sides, LayerFault> {
    let (f, s) = (&windows.f, &windows.s);
    let (buys, sells) = (i64::from(f.n_buy), i64::from(f.n_sell));
    let rest = sub(s.delta, f.delta)?;
    Ok(Sides {
        delta_abs_ratio: ratio(abs(f.delta)?, f.vol),
        aggression: ratio(abs(sub(buys, sells)?)?, add(buys, sells)?),
        delta_flip: f.delta != 0 && rest != 0 && (f.delta > 0) != (rest > 0),
    })
}

/// First match wins.
#[inline(always)]
fn direction(profile: Profile, frame: &FeatureFrame) -> Direction {
    match profile {
        Profile::Deriv => {
            let stacks = frame.oi_chg_60s.is_some_and(|change| change > 0);
            if frame.delta_s > 0 && stacks {
                Direction::Long
            } else if (frame.delta_s < 0 && stacks) || frame.liq_imbalance <= -LIQ_SIDE {
                Direction::Short
            } else if frame.liq_imbalance >= LIQ_SIDE {
                Direction::Long
            } else {
                Direction::Neutral
            }
        }
        Profile::SpotOnly => {
            let paced = frame.vol_ratio.is_some_and(|pace| pace >= SPOT_PACE);
            if !paced || frame.delta_abs_ratio < SPOT_SIDED || frame.delta_s == 0 {
                Direction::Neutral
            } else if frame.delta_s > 0 {
                Direction::Long
            } else {
                Direction::Short
            }
        }
    }
}

fn label(frame: &FeatureFrame) -> DivergenceLabel {
    let (Some(oi), Some(basis)) = (frame.oi_chg_60s, frame.basis) else {
        return DivergenceLabel::None;
    };
    if oi < TRAP_OI {
        DivergenceLabel::None
    } else if basis >= TRAP_BASIS && frame.delta_s > 0 && frame.spot_delta_s <= 0 {
        DivergenceLabel::PrepLongTrap
    } else if basis <= -TRAP_BASIS && frame.delta_s < 0 && frame.spot_delta_s >= 0 {
        DivergenceLabel::PrepShortTrap
    } else {
        DivergenceLabel::None
    }
}

/// Mean price of the tick's reference trades.
fn vwap(tick: &Tick, divisor: i64) -> Result<Option<i64>, LayerFault> {
    if tick.reference_qty == 0 {
        return Ok(None);
    }
    Ok(Some(mul_div(tick.reference_notional, divisor, tick.reference_qty)?))
}
