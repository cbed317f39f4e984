//! From sums and held values to the feature frame.
//!
//! Input: the memory after a tick's events. Output: a [`FeatureFrame`]. Invariant: an input that is absent,
//! stale or warming up becomes `None`; a market without volume has no ratio to its own baseline, because a
//! dead market is not a compressed one.

use super::events::Tick;
use super::memory::Sums;
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
    f: Sums,
    s: Sums,
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

/// Ratios to the token's own baselines.
#[derive(Default)]
struct Relative {
    vol: Option<i64>,
    range: Option<i64>,
    range_f: Option<i64>,
    spread: Option<i64>,
}

impl Features {
    pub(super) fn derive(
        &mut self,
        config: &EngineConfig,
        wiring: &Wiring,
        tick: &Tick,
        oi_before: Option<i64>,
    ) -> Result<FeatureFrame, LayerFault> {
        let stale = self.stale(config, wiring, tick.id);
        let mid = if self.book.tick.is_some() { middle(self.book.bid, self.book.ask) } else { 0 };
        let spread_pct = ratio(sub(self.book.ask, self.book.bid)?, mid);
        if !stale.book {
            let minute = &mut self.memory.minute;
            minute.spread_sum = add(minute.spread_sum, spread_pct)?;
            minute.spread_n = inc(minute.spread_n)?;
        }
        let (f, s) = (self.memory.window_f()?, self.memory.window_s()?);
        let windows = Windows { f, s, ticks_v: self.memory.ticks_v()? };
        let mut frame = self.blank(tick, &windows)?;
        frame.vwap = vwap(tick, wiring.reference_divisor)?;
        frame.mid = mid;
        frame.spread_pct = spread_pct;
        self.prices(&mut frame, &stale)?;
        self.leverage(&mut frame, &stale, &windows, oi_before)?;
        self.one_sidedness(&mut frame, &windows)?;
        self.baselines(&mut frame, config, &stale, windows.f.ticks)?;
        frame.flags = self.flags(config, &stale, tick.is_anomaly, s.vol);
        frame.direction = direction(wiring.profile, &frame);
        frame.divergence_label = label(&frame);
        Ok(frame)
    }

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

    /// What the tick and the windows say without a held value.
    fn blank(&self, tick: &Tick, windows: &Windows) -> Result<FeatureFrame, LayerFault> {
        let (f, s) = (&windows.f, &windows.s);
        let liq_s = add(s.liq_buy, s.liq_sell)?;
        Ok(FeatureFrame {
            trade_volume: tick.volume,
            trade_delta: tick.delta,
            trade_count: add32(tick.buy_count, tick.sell_count)?,
            buy_count: tick.buy_count,
            sell_count: tick.sell_count,
            vwap: None,
            micro_range: range(tick.hi, tick.lo),
            bid: self.book.bid,
            ask: self.book.ask,
            mid: 0,
            spread_pct: 0,
            mark: self.mark.value,
            mark_vs_mid: None,
            spot_mid: 0,
            basis: None,
            liq_buy: tick.liq_buy,
            liq_sell: tick.liq_sell,
            liq_s,
            liq_share: ratio(liq_s, s.vol),
            liq_imbalance: rel(sub(s.liq_buy, s.liq_sell)?, liq_s),
            oi_total: self.oi.total.unwrap_or(0),
            oi_delta: 0,
            oi_velocity: None,
            oi_chg_60s: None,
            funding: None,
            funding_abs: None,
            vol_f: f.vol,
            delta_f: f.delta,
            vol_s: s.vol,
            delta_s: s.delta,
            spot_delta_s: s.spot_delta,
            delta_abs_ratio: 0,
            aggression: 0,
            delta_flip: false,
            range_f: range(f.hi, f.lo),
            range_s: range(s.hi, s.lo),
            base_vol: 0,
            base_range: 0,
            base_spread: 0,
            vol_ratio: None,
            range_ratio: None,
            range_f_ratio: None,
            spread_ratio: None,
            direction: Direction::Neutral,
            divergence_label: DivergenceLabel::None,
            flags: TokenFlags::default(),
        })
    }

    fn prices(&self, frame: &mut FeatureFrame, stale: &Stale) -> Result<(), LayerFault> {
        if self.mark.tick.is_some() && !stale.mark && !stale.book {
            frame.mark_vs_mid = Some(ratio(sub(self.mark.value, frame.mid)?, frame.mid));
        }
        if self.spot.tick.is_some() {
            frame.spot_mid = middle(self.spot.bid, self.spot.ask);
        }
        if !stale.spot && !stale.book {
            frame.basis = Some(ratio(sub(frame.mid, frame.spot_mid)?, frame.spot_mid));
        }
        Ok(())
    }

    fn leverage(
        &self,
        frame: &mut FeatureFrame,
        stale: &Stale,
        windows: &Windows,
        oi_before: Option<i64>,
    ) -> Result<(), LayerFault> {
        if let (Some(before), Some(now)) = (oi_before, self.oi.total) {
            frame.oi_delta = sub(now, before)?;
        }
        if let Some(total) = self.oi.total
            && !stale.oi
        {
            let (open_v, open_s) = (self.memory.oi_open_v(), self.memory.oi_open_s());
            let change = sdiv(sub(total, open_v)?, PER_SECOND, open_v);
            frame.oi_velocity = change.checked_div(i64::from(windows.ticks_v));
            frame.oi_chg_60s = Some(ratio(sub(total, open_s)?, open_s));
        }
        if self.funding.tick.is_some() && !stale.funding {
            frame.funding = Some(self.funding.value);
            frame.funding_abs = Some(abs(self.funding.value)?);
        }
        Ok(())
    }

    fn one_sidedness(&self, frame: &mut FeatureFrame, windows: &Windows) -> Result<(), LayerFault> {
        let (f, s) = (&windows.f, &windows.s);
        frame.delta_abs_ratio = ratio(abs(f.delta)?, f.vol);
        let (buys, sells) = (i64::from(f.n_buy), i64::from(f.n_sell));
        frame.aggression = ratio(abs(sub(buys, sells)?)?, add(buys, sells)?);
        let rest = sub(s.delta, f.delta)?;
        frame.delta_flip = f.delta != 0 && rest != 0 && (f.delta > 0) != (rest > 0);
        Ok(())
    }

    fn baselines(
        &self,
        frame: &mut FeatureFrame,
        config: &EngineConfig,
        stale: &Stale,
        ticks_f: u32,
    ) -> Result<(), LayerFault> {
        let base = &self.memory.baselines;
        frame.base_vol = base.vol;
        frame.base_range = base.range;
        frame.base_spread = base.spread;
        let relative = if self.is_warming_up(config) || frame.vol_s == 0 {
            Relative::default()
        } else {
            let has_spread = base.has_spread && !stale.book;
            Relative {
                vol: Some(sdiv(frame.vol_f, PACE, mul(i64::from(ticks_f), base.vol)?)),
                range: Some(rel(frame.range_s, base.range)),
                range_f: Some(rel(frame.range_f, base.range)),
                spread: has_spread.then(|| rel(frame.spread_pct, base.spread)),
            }
        };
        frame.vol_ratio = relative.vol;
        frame.range_ratio = relative.range;
        frame.range_f_ratio = relative.range_f;
        frame.spread_ratio = relative.spread;
        Ok(())
    }

    fn is_warming_up(&self, config: &EngineConfig) -> bool {
        i64::from(self.memory.baselines.minutes) < config.warmup_minutes
    }

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

/// First match wins.
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
