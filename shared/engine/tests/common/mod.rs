//! A market made of integers: tokens that walk through calm, pump, stacking, tension, cascade and recovery.
//!
//! Input: a script of segments and a seed. Output: events of a tick in canonical order. Invariants: the same
//! script and seed give the same events on every machine; it shares no arithmetic with the engine.
#![expect(dead_code, reason = "each test file uses its own part of this module")]

use penstock_engine::config::{Class, InstrumentConfig, Profile, Roles};
use penstock_engine::{Engine, EngineConfig, FrameView, TickOutput, Transition};
use penstock_types::engine_view::{FsmState, Tier, TokenView};
use penstock_types::frame::{FrameEvent, FrameFlags};
use penstock_types::vocab::Venue;

/// 2026-02-16T12:00:00Z.
pub(crate) const NOON: u64 = 7_084_972_800;
/// Ticks of a minute.
pub(crate) const MINUTE: u64 = 240;
/// 100 quote as a price.
const PRICE: i64 = 1_000_000_000_000;

/// A derivative that supplies everything, and a spot book beside it.
pub(crate) fn derivative() -> Vec<InstrumentConfig> {
    let everything = Roles {
        price_ref: true,
        deriv_primary: true,
        flow: true,
        oi_set: true,
        spot_primary: false,
    };
    let spot = Roles { spot_primary: true, ..Roles::default() };
    vec![
        instrument(Venue::KrakenFutures, "PF_AAAUSD", everything),
        instrument(Venue::KrakenSpot, "AAA/USD", spot),
    ]
}

/// Spot alone.
pub(crate) fn spot_only() -> Vec<InstrumentConfig> {
    let spot = Roles { price_ref: true, flow: true, spot_primary: true, ..Roles::default() };
    vec![instrument(Venue::KrakenSpot, "AAA/USD", spot)]
}

fn instrument(venue: Venue, symbol: &str, roles: Roles) -> InstrumentConfig {
    InstrumentConfig {
        venue,
        symbol: symbol.to_owned(),
        roles,
        qty_exp: 3,
        multiplier: 1,
        funding_interval_h: 8,
    }
}

/// Defaults with derivative tokens 1..=n in their class's cluster.
pub(crate) fn config(n: u16) -> EngineConfig {
    let mut config = EngineConfig::default();
    for id in 1..=n {
        let token = config.token(id, &format!("T{id}"), Class::Gma, Profile::Deriv, derivative());
        config.tokens.push(token);
    }
    config
}

/// A random stream of integers.
#[derive(Debug, Clone)]
pub(crate) struct Stream(u64);

impl Stream {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from(self.0 >> 33).unwrap() % n
    }
}

/// How a market behaves for a while.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) ticks: u64,
    /// A trade every so many ticks; 1 with `trades` of them.
    pub(crate) every: u64,
    pub(crate) trades: i64,
    /// Mean quantity of a trade, 1e-3.
    pub(crate) qty: i64,
    /// Share of buys in quantity and count, 1e-4.
    pub(crate) buys: i64,
    /// Half of the minute's wave, 1e-6 of the price.
    pub(crate) wave: i64,
    /// Drift per minute, 1e-6 of the price.
    pub(crate) drift: i64,
    /// Half spread, 1e-6 of the price.
    pub(crate) half_spread: i64,
    /// Open interest per minute, 1e-6.
    pub(crate) oi: i64,
    /// Funding at the end of the segment, 1e-12; it moves there evenly.
    pub(crate) funding: i64,
    /// Mark price above the middle, 1e-6.
    pub(crate) mark: i64,
    /// Liquidations in the volume, 1e-4; forced sells.
    pub(crate) liq: i64,
}

/// An ordinary market.
pub(crate) const CALM: Segment = Segment {
    ticks: 20 * MINUTE,
    every: 1,
    trades: 3,
    qty: 1_000,
    buys: 5_000,
    wave: 1_000,
    drift: 0,
    half_spread: 100,
    oi: 0,
    funding: 100_000_000,
    mark: 0,
    liq: 0,
};
pub(crate) const PUMP: Segment =
    Segment { ticks: 3 * MINUTE, qty: 3_000, buys: 7_500, drift: 4_000, oi: 9_000, ..CALM };
pub(crate) const STACKING: Segment = Segment {
    ticks: 4 * MINUTE,
    qty: 1_200,
    buys: 6_000,
    wave: 100,
    half_spread: 60,
    oi: 9_000,
    funding: 1_500_000_000,
    ..CALM
};
pub(crate) const TENSION: Segment =
    Segment { ticks: MINUTE, oi: 6_000, mark: 3_300, liq: 60, ..STACKING };
pub(crate) const CASCADE: Segment = Segment {
    ticks: 160,
    qty: 8_000,
    buys: 1_500,
    wave: 500,
    drift: -60_000,
    half_spread: 500,
    oi: -20_000,
    mark: -500,
    liq: 800,
    funding: 1_500_000_000,
    ..CALM
};
/// Funding comes back in two minutes, then nothing happens.
pub(crate) const DEAD: [Segment; 2] = [
    Segment { ticks: 2 * MINUTE, qty: 300, wave: 400, ..CALM },
    Segment { ticks: 18 * MINUTE, qty: 300, wave: 400, ..CALM },
];

/// The whole walk.
pub(crate) fn w1() -> Vec<Segment> {
    let mut script = vec![CALM, PUMP, STACKING, TENSION, CASCADE];
    script.extend(DEAD);
    script
}

/// One token's market.
#[derive(Debug, Clone)]
pub(crate) struct Market {
    pub(crate) token_id: u16,
    script: Vec<Segment>,
    at: usize,
    into: u64,
    stream: Stream,
    local_seq: u64,
    trade_no: u64,
    /// Price before wave, 1e-12 of the start price added up, to keep drifts exact.
    base: i128,
    oi: i128,
    funding: i64,
    funding_from: i64,
    is_derivative: bool,
    /// No event at all while it is set.
    pub(crate) silent: bool,
    /// A forced sale of this quantity in the next tick.
    pub(crate) print: i64,
}

impl Market {
    pub(crate) fn new(token_id: u16, script: Vec<Segment>, seed: u64) -> Self {
        Self {
            token_id,
            script,
            at: 0,
            into: 0,
            stream: Stream::new(seed),
            local_seq: 0,
            trade_no: 0,
            base: i128::from(PRICE) * 1_000_000,
            oi: 50_000_000 * 1_000_000,
            funding: CALM.funding,
            funding_from: CALM.funding,
            is_derivative: true,
            silent: false,
            print: 0,
        }
    }

    pub(crate) fn spot(token_id: u16, script: Vec<Segment>, seed: u64) -> Self {
        Self { is_derivative: false, ..Self::new(token_id, script, seed) }
    }

    /// Number of the segment, or of the last one behind the script's end.
    pub(crate) fn segment(&self) -> usize {
        self.at
    }

    /// Events of the next tick.
    pub(crate) fn tick(&mut self, tick: u64, out: &mut Vec<FrameEvent>) {
        let s = self.script[self.at];
        // `base` counts millionths of a price unit, `drift` millionths of the price: one cancels the other.
        self.base += i128::from(PRICE) * i128::from(s.drift) / i128::from(MINUTE);
        self.oi += 50_000_000 * i128::from(s.oi) / i128::from(MINUTE);
        let span = i64::try_from(s.ticks).unwrap();
        let into = i64::try_from(self.into).unwrap();
        self.funding = self.funding_from + (s.funding - self.funding_from) * (into + 1) / span;
        let mid = self.middle(&s, tick);
        if !self.silent {
            self.events(&s, tick, mid, out);
        }
        self.into += 1;
        if self.into == s.ticks && self.at + 1 < self.script.len() {
            self.at += 1;
            self.into = 0;
            self.funding_from = self.funding;
        } else if self.into == s.ticks {
            self.into -= 1;
        }
    }

    /// A triangle of one minute around the drifting price.
    fn middle(&self, s: &Segment, tick: u64) -> i64 {
        let phase = i64::try_from(tick % MINUTE).unwrap();
        let triangle = if phase < 120 { phase - 60 } else { 180 - phase };
        let price = i64::try_from(self.base / 1_000_000).unwrap();
        price + price / 1_000_000 * s.wave * triangle / 60
    }

    fn events(&mut self, s: &Segment, tick: u64, mid: i64, out: &mut Vec<FrameEvent>) {
        let first = out.len();
        let ppm = mid / 1_000_000;
        let jitter = 95 + self.stream.below(11);
        let half = ppm * s.half_spread * jitter / 100;
        out.push(self.event(0, 1, [mid - half, mid + half]));
        if tick.is_multiple_of(s.every) {
            for _ in 0..s.trades {
                let noise = ppm * (self.stream.below(2 * s.wave + 1) - s.wave) / 8;
                let qty = s.qty / 2 + self.stream.below(s.qty);
                let is_buy = self.stream.below(10_000) < s.buys;
                let mut trade = self.event(0, 0, [mid + noise, qty]);
                trade.flags = u16::from(is_buy);
                self.trade_no += 1;
                trade.venue_seq = self.trade_no;
                out.push(trade);
                if s.liq > 0 && qty * s.liq / 10_000 > 0 {
                    out.push(self.event(0, 3, [mid + noise, qty * s.liq / 10_000]));
                }
            }
        }
        if self.is_derivative && tick.is_multiple_of(4) {
            out.push(self.event(0, 2, [mid + ppm * s.mark, 0]));
            out.push(self.event(0, 4, [i64::try_from(self.oi / 1_000_000).unwrap(), 0]));
            out.push(self.event(0, 5, [self.funding, 0]));
            out.push(self.event(1, 1, [mid - half * 2, mid + half * 2]));
        }
        if self.print > 0 {
            out.push(self.event(0, 3, [mid, self.print]));
            self.print = 0;
        }
        let start_us = i64::try_from(tick * 250_000).unwrap();
        for (place, event) in (0_i64..).zip(&mut out[first..]) {
            event.exchange_ts = start_us + place * 1_000;
        }
    }

    fn event(&mut self, instrument_id: u16, source: u8, [a, b]: [i64; 2]) -> FrameEvent {
        self.local_seq += 1;
        let venue = if instrument_id == 1 || !self.is_derivative { 0 } else { 1 };
        FrameEvent {
            token_id: self.token_id,
            source,
            venue,
            flags: 0,
            instrument_id,
            exchange_ts: 0,
            venue_seq: 0,
            local_seq: self.local_seq,
            a,
            b,
            c: 0,
            d: 0,
        }
    }
}

/// What a run left behind.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) first_tick: u64,
    pub(crate) transitions: Vec<Transition>,
    pub(crate) alerts: Vec<penstock_engine::alert::Alert>,
    /// Segment of the first market, tier, cost, state of the first token, per tick.
    pub(crate) rows: Vec<(usize, Tier, i32, FsmState)>,
    pub(crate) records: Vec<[u8; 64]>,
    pub(crate) chain: [u8; 32],
}

/// Runs markets through an engine from `first_tick` for `ticks` ticks; `at` may change a market before a tick.
pub(crate) fn run(
    config: &EngineConfig,
    markets: &mut [Market],
    first_tick: u64,
    ticks: u64,
    mut at: impl FnMut(u64, &mut [Market]),
) -> Journal {
    let mut engine = Engine::new(config).unwrap();
    let mut out: TickOutput = engine.output();
    let mut journal = Journal { first_tick, ..Journal::default() };
    let mut events = Vec::new();
    let mut view: Vec<TokenView> = Vec::new();
    for tick in first_tick..first_tick + ticks {
        at(tick - first_tick, markets);
        let segment = markets[0].segment();
        events.clear();
        for market in markets.iter_mut() {
            market.tick(tick, &mut events);
        }
        let frame =
            FrameView { tick_id: tick, flags: FrameFlags(0), is_gap_fill: false, events: &events };
        engine.step(&frame, &mut out).unwrap_or_else(|fault| panic!("{fault}"));
        journal.transitions.extend_from_slice(&out.transitions);
        journal.alerts.extend_from_slice(&out.alerts);
        journal.records.extend_from_slice(&out.records);
        engine.view(&mut view);
        let token = &view[0];
        journal.rows.push((segment, token.tier, token.trigger_cost, token.fsm_state));
    }
    journal.chain = engine.chain();
    journal
}

/// Token transitions as (tick from the start, token, from, to, edge).
pub(crate) fn token_steps(journal: &Journal) -> Vec<(u64, u16, FsmState, FsmState, &'static str)> {
    let mut steps = Vec::new();
    for transition in &journal.transitions {
        if let Transition::Token(t) = transition {
            let at = t.tick_id - journal.first_tick;
            steps.push((at, t.token_id, t.from, t.to, t.edge.name()));
        }
    }
    steps
}

/// SHA-256 of all records in hexadecimal.
pub(crate) fn digest(journal: &Journal) -> String {
    hex::encode(penstock_types::frame::sha256(&journal.records.concat()))
}

/// The walk of a calm market in which half of a minute's volume is liquidated in one tick.
pub(crate) fn w3(config: &EngineConfig) -> Journal {
    // 720 trades of one unit a minute: a print of half of them.
    let mut markets = [Market::new(1, vec![Segment { ticks: 30 * MINUTE, ..CALM }], 3)];
    run(config, &mut markets, NOON, 30 * MINUTE, |at, markets| {
        markets[0].print = if at == 20 * MINUTE { 360_000 } else { 0 };
    })
}

/// The hashes of a walk with four tiers and with five are those of the file of pinned hashes.
///
/// After a deliberate change of a rule or default, print the new ones with `PRINT_PINNED=1 cargo test -p
/// penstock-engine --test pinned --test walks -- --nocapture` and say in the change why.
#[track_caller]
pub(crate) fn assert_pinned(name: &str, hashes: &[String; 2]) {
    let [four, five] = hashes;
    let line = format!("{name}: {four} {five}");
    if std::env::var_os("PRINT_PINNED").is_some() {
        println!("{line}");
        return;
    }
    let pinned = include_str!("../walks.txt");
    assert!(pinned.lines().any(|known| known == line), "not pinned: {line}");
}
