//! Windows, baselines, held values and flags by hand, over short streams of events.

use super::*;
use crate::config::{Class, InstrumentConfig, Profile, Roles};
use crate::frame_view::FrameView;
use penstock_types::engine_view::{Direction, DivergenceLabel, TokenFlags};
use penstock_types::frame::FrameFlags;
use penstock_types::vocab::Venue;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

/// 100 quote.
const PX: i64 = 1_000_000_000_000;
/// A tick at which a minute, a bucket and a day begin.
const T0: u64 = 345_600 * 20_000;

struct Bench {
    config: EngineConfig,
    wiring: Wiring,
    features: Features,
    tick: u64,
}

impl Bench {
    fn new(first_tick: u64) -> Self {
        let config = EngineConfig::default();
        let instrument = |venue, roles, qty_exp| InstrumentConfig {
            venue,
            symbol: "A".to_string(),
            roles,
            qty_exp,
            multiplier: 1,
            funding_interval_h: 8,
        };
        let main = Roles {
            price_ref: true,
            deriv_primary: true,
            flow: true,
            oi_set: true,
            spot_primary: false,
        };
        let second = Roles { flow: true, oi_set: true, ..Roles::default() };
        let spot = Roles { spot_primary: true, ..Roles::default() };
        let instruments = vec![
            instrument(Venue::KrakenFutures, main, 3),
            instrument(Venue::BinanceUm, second, 1),
            instrument(Venue::KrakenSpot, spot, 3),
        ];
        let token = config.token(1, "A", Class::Gma, Profile::Deriv, instruments);
        let wiring = Wiring::new(&token).unwrap();
        let features = Features::new(&config);
        Self { config, wiring, features, tick: first_tick }
    }

    fn step(&mut self, events: &[FrameEvent]) -> FeatureFrame {
        let mut events = events.to_vec();
        for (place, event) in (0_i64..).zip(&mut events) {
            if event.exchange_ts == 0 {
                event.exchange_ts = i64::try_from(self.tick * 250_000).unwrap() + place;
            }
        }
        let clock = Clock::new(self.tick);
        self.tick += 1;
        let frame = (&clock, FrameFlags(0));
        self.features.extract(&self.config, &self.wiring, frame, &events).unwrap()
    }

    /// Empty ticks until `tick` is next.
    fn until(&mut self, tick: u64) {
        while self.tick < tick {
            self.step(&[]);
        }
    }

    /// Four minutes of one trade and one book per tick, so that baselines exist.
    fn warm() -> Self {
        let mut bench = Self::new(T0);
        while bench.tick < T0 + 960 {
            bench.step(&[book(PX - PX / 10_000, PX + PX / 10_000), trade(PX, 1_000, true)]);
        }
        bench
    }
}

fn event(instrument_id: u16, source: u8, a: i64, b: i64) -> FrameEvent {
    let venue = [1, 2, 0][usize::from(instrument_id)];
    FrameEvent {
        token_id: 1,
        source,
        venue,
        flags: 0,
        instrument_id,
        exchange_ts: 0,
        venue_seq: 0,
        local_seq: 0,
        a,
        b,
        c: 0,
        d: 0,
    }
}

fn trade(price: i64, qty: i64, is_buy: bool) -> FrameEvent {
    FrameEvent { flags: u16::from(is_buy), ..event(0, 0, price, qty) }
}

fn book(bid: i64, ask: i64) -> FrameEvent {
    event(0, 1, bid, ask)
}

fn liquidation(qty: i64, is_buy: bool) -> FrameEvent {
    FrameEvent { flags: u16::from(is_buy), ..event(0, 3, PX, qty) }
}

#[test]
fn a_tick_adds_up_its_own_trades() {
    let mut bench = Bench::new(T0);
    // 1.000 at 100 and 3.000 at 102 bought, 2.000 at 101 sold; 4.0 of the other derivative sold.
    let other = event(1, 0, PX, 40);
    let f = bench.step(&[
        trade(PX, 1_000, true),
        trade(PX / 100 * 102, 3_000, true),
        trade(PX / 100 * 101, 2_000, false),
        other,
    ]);
    let (bought, sold) = (1_000_000 + 3_060_000, 2_020_000 + 4_000_000);
    assert_eq!((f.trade_volume, f.trade_delta), (bought + sold, bought - sold));
    assert_eq!((f.trade_count, f.buy_count, f.sell_count), (4, 2, 2));
    // (100 + 306 + 202) / 6, of the reference instrument alone.
    assert_eq!(f.vwap, Some(1_013_333_333_333));
    assert_eq!(f.micro_range, 100_000_000 * 2 / 101);
    assert_eq!((f.vol_f, f.vol_s, f.range_s), (bought + sold, bought + sold, f.micro_range));
    let empty = bench.step(&[]);
    assert_eq!((empty.trade_volume, empty.vwap, empty.micro_range), (0, None, 0));
    assert_eq!(empty.vol_s, bought + sold);
}

#[test]
fn windows_are_functions_of_the_tick() {
    // A trade in the last tick of a bucket leaves F after the next bucket, S after eleven more.
    let mut bench = Bench::new(T0 + 7);
    bench.until(T0 + 19);
    bench.step(&[trade(PX, 1_000, true)]);
    for tick in T0 + 20..T0 + 40 {
        assert_eq!(bench.step(&[]).vol_f, 1_000_000, "tick {tick}");
    }
    assert_eq!(bench.step(&[]).vol_f, 0);
    bench.until(T0 + 239);
    assert_eq!(bench.step(&[]).vol_s, 1_000_000);
    let f = bench.step(&[]);
    assert_eq!((f.vol_s, f.flags.contains(TokenFlags::FLOW_QUIET)), (0, true));
}

#[test]
fn sums_beside_the_ring_equal_those_over_the_ring() {
    let mut bench = Bench::new(T0 + 3);
    let mut seed = 1_u64;
    let mut trades: Vec<(u64, i64)> = Vec::new();
    for tick in T0 + 3..T0 + 1_500 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
        let qty = i64::try_from(seed >> 54).unwrap() + 1;
        let f = bench.step(&[trade(PX, qty, seed & 1 == 0)]);
        trades.push((tick, qty * 1_000));
        let since = |buckets: u64| {
            let first = (tick / 20 + 1 - buckets) * 20;
            let inside = trades.iter().filter(|(at, _)| *at >= first);
            inside.map(|(_, notional)| notional).sum::<i64>()
        };
        assert_eq!((f.vol_f, f.vol_s), (since(2), since(12)), "tick {tick}");
    }
}

#[test]
fn baselines_need_three_minutes_and_compare_pace() {
    let mut bench = Bench::new(T0);
    bench.step(&[]);
    while bench.tick < T0 + 720 {
        let f = bench.step(&[book(PX - PX / 10_000, PX + PX / 10_000), trade(PX, 1_000, true)]);
        assert!(f.flags.contains(TokenFlags::WARMUP));
        assert_eq!((f.vol_ratio, f.range_ratio, f.spread_ratio), (None, None, None));
    }
    let f = bench.step(&[trade(PX, 1_000, true)]);
    assert!(!f.flags.contains(TokenFlags::WARMUP));
    // The first minute lacks the tick without a trade: 240 + 240 + 239 units over three minutes.
    assert_eq!(f.base_vol, (240 + 240 + 239) * 1_000_000 / 3);
    assert_eq!(f.vol_ratio, Some(10_013));
    // No range at all: the floor of one basis point; a spread of two.
    assert_eq!((f.base_range, f.base_spread), (10_000, 20_000));
    assert_eq!((f.range_ratio, f.spread_ratio), (Some(0), Some(10_000)));
}

#[test]
fn a_minute_of_which_no_tick_was_executed_does_not_close() {
    let aligned = Bench::new(T0).step(&[]);
    assert!(aligned.flags.contains(TokenFlags::WARMUP));
    let mut bench = Bench::new(T0);
    bench.until(T0 + 719);
    assert!(bench.step(&[]).flags.contains(TokenFlags::WARMUP));
    assert!(!bench.step(&[]).flags.contains(TokenFlags::WARMUP));
}

#[test]
fn a_quiet_market_has_no_ratio_to_its_baseline() {
    let mut bench = Bench::warm();
    bench.until(T0 + 940 + 239);
    let f = bench.step(&[]);
    assert!(f.vol_ratio.is_some() && f.vol_s > 0);
    let f = bench.step(&[]);
    assert_eq!(
        (f.vol_ratio, f.range_ratio, f.range_f_ratio, f.spread_ratio),
        (None, None, None, None)
    );
}

#[test]
fn held_values_go_stale_by_their_age_and_count_no_more() {
    let mut bench = Bench::warm();
    let known = [
        book(PX - 100, PX + 100),
        event(0, 2, PX + PX / 1_000, 0),
        event(0, 5, -400_000_000, 0),
        event(2, 1, PX - PX / 100 - 50, PX - PX / 100 + 50),
        trade(PX, 1_000, true),
    ];
    let f = bench.step(&known);
    assert_eq!((f.bid, f.ask, f.mid), (PX - 100, PX + 100, PX));
    assert_eq!(f.mark_vs_mid, Some(100_000));
    assert_eq!((f.funding, f.funding_abs), (Some(-400_000_000), Some(400_000_000)));
    assert_eq!(f.basis, Some(1_010_101));
    let since = bench.tick;
    bench.until(since + 38);
    let f = bench.step(&[]);
    assert_eq!(f.flags.0 & 0x30, 0, "39 ticks old");
    let f = bench.step(&[]);
    assert!(f.flags.contains(TokenFlags::BOOK_STALE.with(TokenFlags::MARK_STALE)));
    assert_eq!((f.mark_vs_mid, f.basis, f.spread_ratio), (None, None, None));
    // The spread is still shown, and funding is still young.
    assert_eq!((f.spread_pct, f.mid), (20_000_000_000 / PX, PX));
    assert_eq!(f.funding, Some(-400_000_000));
    bench.until(since + 28_798);
    assert!(!bench.step(&[]).flags.contains(TokenFlags::FUNDING_STALE));
    let f = bench.step(&[]);
    assert!(f.flags.contains(TokenFlags::FUNDING_STALE));
    assert_eq!(f.funding, None);
}

#[test]
fn open_interest_exists_when_all_have_reported_and_does_not_jump_into_being() {
    let mut bench = Bench::warm();
    let f = bench.step(&[event(0, 4, 1_000_000, 0)]);
    assert_eq!((f.oi_total, f.oi_velocity, f.oi_chg_60s), (0, None, None));
    assert!(f.flags.contains(TokenFlags::OI_STALE));
    // 1,000.000 and 900.0 in the finest scale of the set.
    let f = bench.step(&[event(1, 4, 9_000, 0)]);
    assert_eq!((f.oi_total, f.oi_delta), (1_900_000, 0));
    assert_eq!((f.oi_velocity, f.oi_chg_60s), (Some(0), Some(0)));
    // Two ticks of this bucket and 60 before it are inside V.
    let f = bench.step(&[event(0, 4, 1_019_000, 0)]);
    assert_eq!(f.oi_delta, 19_000);
    assert_eq!(f.oi_chg_60s, Some(1_000_000));
    assert_eq!(f.oi_velocity, Some(1_000_000 * 4 / 63));
    bench.until(bench.tick + 239);
    let f = bench.step(&[]);
    assert!(f.flags.contains(TokenFlags::OI_STALE));
    assert_eq!((f.oi_velocity, f.oi_chg_60s), (None, None));
}

#[test]
fn liquidations_are_a_share_of_the_volume_and_have_a_side() {
    let mut bench = Bench::warm();
    bench.until(T0 + 960 + 240);
    let f =
        bench.step(&[trade(PX, 10_000, false), liquidation(300, true), liquidation(700, false)]);
    assert_eq!((f.liq_buy, f.liq_sell, f.liq_s), (300_000, 700_000, 1_000_000));
    assert_eq!((f.liq_share, f.liq_imbalance), (10_000_000, -4_000));
    // Without open interest the side of the liquidations leads.
    assert_eq!(f.direction, Direction::Short);
}

#[test]
fn one_sidedness_and_its_flip_compare_the_last_seconds_with_the_rest() {
    let mut bench = Bench::warm();
    let f = bench.step(&[trade(PX, 1_000, true)]);
    assert_eq!((f.delta_abs_ratio, f.aggression, f.delta_flip), (100_000_000, 100_000_000, false));
    bench.until(T0 + 1_000);
    let f = bench.step(&[trade(PX, 3_000, false), trade(PX, 1_000, true), trade(PX, 1, false)]);
    assert_eq!(f.delta_abs_ratio, 100_000_000 * 2_001 / 4_001);
    assert_eq!((f.aggression, f.delta_flip), (33_333_333, true));
}

#[test]
fn late_and_future_events_and_bursts_are_marked() {
    let mut bench = Bench::warm();
    let at = |tick: u64, us: i64| i64::try_from(tick * 250_000).unwrap() + us;
    let end = at(bench.tick + 1, 0);
    let edge = FrameEvent { exchange_ts: end + 5_000_000, ..trade(PX, 1, true) };
    assert!(!bench.step(&[edge]).flags.contains(TokenFlags::ANOMALY));
    let end = at(bench.tick + 1, 0);
    let future = FrameEvent { exchange_ts: end + 5_000_001, ..trade(PX * 2, 1, true) };
    let before = *bench.features.candles().0;
    let f = bench.step(&[future]);
    assert!(f.flags.contains(TokenFlags::ANOMALY));
    assert_eq!(f.trade_volume, 2_000, "it is accepted");
    assert_eq!(*bench.features.candles().0, before, "and in no candle");
    let late = FrameEvent { exchange_ts: at(bench.tick - 480, 0), ..trade(PX, 1, true) };
    assert!(bench.step(&[late]).flags.contains(TokenFlags::ANOMALY));
    let burst: Vec<FrameEvent> = (0..1_001).map(|_| trade(PX, 1, true)).collect();
    assert!(!bench.step(&burst[..1_000]).flags.contains(TokenFlags::ANOMALY));
    assert!(bench.step(&burst).flags.contains(TokenFlags::ANOMALY));
}

#[test]
fn a_trap_is_labelled_when_spot_does_not_follow() {
    let mut bench = Bench::warm();
    bench.step(&[event(0, 4, 1_000_000, 0), event(1, 4, 1, 0)]);
    let spot = |side: bool| FrameEvent { flags: u16::from(side), ..event(2, 0, PX, 500) };
    let f = bench.step(&[
        event(0, 4, 1_003_000, 0),
        book(PX - 100, PX + 100),
        event(2, 1, PX / 1_000 * 998 - 50, PX / 1_000 * 998 + 50),
        spot(false),
    ]);
    assert_eq!(f.direction, Direction::Long);
    assert_eq!(f.divergence_label, DivergenceLabel::PrepLongTrap);
    let f = bench.step(&[spot(true), spot(true)]);
    assert_eq!(f.divergence_label, DivergenceLabel::None);
}

#[test]
fn a_token_without_events_becomes_inactive_and_a_degraded_one_holds_its_alerts_back() {
    let mut bench = Bench::warm();
    let since = bench.tick;
    bench.until(since + 1_199);
    assert!(bench.step(&[]).flags.contains(TokenFlags::INACTIVE));
    let f = bench.step(&[event(1, 2, PX, 0)]);
    assert!(!f.flags.contains(TokenFlags::INACTIVE), "an event without a role is activity");
    let mut flags = Vec::new();
    for n in 0..241 {
        let clock = Clock::new(bench.tick);
        let frame = (&clock, FrameView::gap(bench.tick).flags);
        bench.tick += 1;
        let f = bench.features.extract(&bench.config, &bench.wiring, frame, &[]).unwrap();
        assert!(f.flags.contains(TokenFlags::DEGRADED));
        if f.flags.contains(TokenFlags::SUPPRESS_ALERTS) {
            flags.push(n);
        }
    }
    assert_eq!(flags, [239, 240]);
}
