//! The golden day: thirty tokens of both profiles on a day that is made of integers, and its hashes.
//!
//! Input: nothing. Output: the configuration, the frames of the day tick by tick, hashes of everything that the
//! engine says about them. Invariants: the same on every machine, compiler and level of optimisation; the
//! headers of the log files are written here a second time, from their layout. It reads no file.
//!
//! About six events per token and tick. A fifth of the tokens walk through pump, stacking, cascade and recovery
//! again and again, a fifth through a pump that fades, two are in scheduled events; the rest is noise of four
//! regimes. Venues degrade, a token falls silent, ticks are missing, trades come late and from the future.
#![expect(dead_code, reason = "each program uses its own part of this module")]

use super::common::{CALM, MINUTE, Market, PUMP, STACKING, Segment, derivative, spot_only, w1};
use penstock_engine::alert::Alert;
use penstock_engine::config::{Class, EventConfig, Profile};
use penstock_engine::frame_view::order_key;
use penstock_engine::{Engine, EngineConfig, FrameView, TickOutput, Transition};
use penstock_types::frame::{FrameEvent, FrameFlags, crc32c};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// First tick of 2026-02-16.
pub(crate) const FIRST: u64 = 7_084_800_000;
/// Ticks of an hour.
pub(crate) const HOUR: u64 = 60 * MINUTE;
/// Ticks of the day.
pub(crate) const DAY: u64 = 24 * HOUR;
/// Tokens.
pub(crate) const TOKENS: u16 = 30;

/// Class of each token, and with it its cluster.
fn class(id: u16) -> Class {
    match id {
        1 | 2 => Class::Gma,
        3 => Class::Hma,
        4 => Class::Hec,
        5..=9 => Class::Mea,
        10..=15 => Class::Iat,
        16..=21 => Class::Lcla,
        22..=28 => Class::Mspc,
        _ => Class::Fct,
    }
}

fn is_spot_only(id: u16) -> bool {
    id.is_multiple_of(5) && id < 29
}

/// The configuration of the day.
pub(crate) fn config() -> EngineConfig {
    let mut config = EngineConfig::default();
    for id in 1..=TOKENS {
        let (profile, instruments) = match is_spot_only(id) {
            true => (Profile::SpotOnly, spot_only()),
            false => (Profile::Deriv, derivative()),
        };
        let mut token = config.token(id, &format!("T{id}"), class(id), profile, instruments);
        if id == 7 {
            (token.fsm.h1, token.fsm.p1) = (22, 410_000);
        }
        config.tokens.push(token);
    }
    let event = |id: &str, [prep, start, mid, end, post]: [u64; 5]| EventConfig {
        id: id.to_owned(),
        cluster: 16,
        prep: FIRST + prep * MINUTE,
        start: FIRST + start * MINUTE,
        mid: FIRST + mid * MINUTE,
        end: FIRST + end * MINUTE,
        post: FIRST + post * MINUTE,
    };
    config.events =
        vec![event("first", [5, 10, 45, 300, 600]), event("second", [700, 720, 900, 1_200, 1_300])];
    config
}

/// The same segments again and again for more than a day.
fn repeated(calm: u64, walk: &[Segment]) -> Vec<Segment> {
    let mut script = vec![Segment { ticks: calm, ..CALM }];
    let mut ticks = calm;
    while ticks < DAY {
        script.extend_from_slice(walk);
        ticks += walk.iter().map(|s| s.ticks).sum::<u64>();
    }
    script
}

fn script(id: u16) -> Vec<Segment> {
    let shift = u64::from(id) * 37;
    let noise = |segment: Segment| vec![Segment { ticks: 2 * DAY, trades: 4, ..segment }];
    match id {
        // The second token of the events follows the first after twenty seconds.
        29 => repeated(80, &w1()),
        30 => repeated(160, &w1()),
        _ if id % 5 == 1 => repeated(shift, &w1()),
        _ if id % 5 == 3 => {
            let fade = Segment { ticks: 12 * MINUTE, ..CALM };
            repeated(shift, &[CALM, PUMP, fade, CALM, PUMP, STACKING, fade, fade])
        }
        _ if id.is_multiple_of(4) => noise(CALM),
        _ if id % 4 == 1 => noise(Segment { buys: 5_800, ..CALM }),
        _ if id % 4 == 2 => noise(Segment { wave: 2_000, half_spread: 200, ..CALM }),
        _ => vec![Segment { ticks: 2 * DAY, every: 9, trades: 1, ..CALM }],
    }
}

/// The market of the day.
pub(crate) struct Day {
    markets: Vec<Market>,
    tick: u64,
    events: Vec<FrameEvent>,
}

impl Day {
    pub(crate) fn new() -> Self {
        let markets = (1..=TOKENS)
            .map(|id| match is_spot_only(id) {
                true => Market::spot(id, script(id), u64::from(id) * 101),
                false => Market::new(id, script(id), u64::from(id) * 101),
            })
            .collect();
        Self { markets, tick: FIRST, events: Vec::new() }
    }

    /// Events of the next tick, all tokens ascending.
    pub(crate) fn events(&mut self) -> (u64, &[FrameEvent]) {
        let (tick, at) = (self.tick, self.tick - FIRST);
        self.events.clear();
        for market in &mut self.markets {
            // One token is silent for ten minutes of every hour.
            market.silent = market.token_id == 12 && (9_000..11_400).contains(&(at % HOUR));
            let first = self.events.len();
            market.tick(tick, &mut self.events);
            disturb(at, &mut self.events[first..]);
        }
        self.tick += 1;
        (tick, &self.events)
    }
}

/// Once a minute a trade of token 2 is late by three minutes; ten seconds later one of token 9 is from a minute
/// ahead. Events stay in the canonical order.
fn disturb(at: u64, events: &mut [FrameEvent]) {
    let shift_us = match (at % MINUTE, events.first().map(|event| event.token_id)) {
        (30, Some(2)) => -180_000_000,
        (70, Some(9)) => 60_000_000,
        _ => return,
    };
    if let Some(trade) = events.iter_mut().find(|event| event.source == 0) {
        trade.exchange_ts += shift_us;
    }
    events.sort_by_key(order_key);
}

/// Flags of a tick's frame; `None` when nobody sealed it.
pub(crate) fn flags(at: u64) -> Option<FrameFlags> {
    match at % HOUR {
        0 => Some(FrameFlags::SESSION_START),
        // Forty ticks are missing in the middle of each hour.
        7_200..7_240 => None,
        12_000..12_300 => Some(FrameFlags::DEGRADED_KRAKEN_FUTURES),
        12_300 => Some(FrameFlags::RESYNC),
        13_000..13_040 => Some(FrameFlags::DEGRADED_KRAKEN_SPOT),
        _ => Some(FrameFlags(0)),
    }
}

/// Hashes of what was said so far.
#[derive(Debug, Clone)]
pub(crate) struct Hashes {
    chain: [u8; 32],
    files: Vec<Sha256>,
    alerts: (u64, Sha256),
    transitions: (u64, Sha256),
    events: u64,
}

/// Header of a token's log of the day: schema 1.0, records of 64 bytes, no file before it.
fn header(token: u16, config_sha256: &[u8; 32]) -> [u8; 64] {
    let mut out = [0; 64];
    out[..4].copy_from_slice(b"ENG3");
    out[4..8].copy_from_slice(&[0x00, 0x01, 64, 0]);
    out[8..10].copy_from_slice(&token.to_le_bytes());
    out[16..24].copy_from_slice(&(FIRST / DAY).to_le_bytes());
    out[24..28].copy_from_slice(&config_sha256[..4]);
    let crc = crc32c(&out);
    out[28..32].copy_from_slice(&crc.to_le_bytes());
    out
}

impl Hashes {
    fn new(config: &EngineConfig) -> Self {
        let hash = config.sha256();
        let file = |id| Sha256::new().chain_update(header(id, &hash));
        Self {
            chain: hash,
            files: (1..=TOKENS).map(file).collect(),
            alerts: (0, Sha256::new()),
            transitions: (0, Sha256::new()),
            events: 0,
        }
    }

    fn add(&mut self, config: &EngineConfig, out: &TickOutput) {
        self.chain = out.chain;
        for (file, record) in self.files.iter_mut().zip(&out.records) {
            file.update(record);
        }
        for alert in &out.alerts {
            self.alerts.0 += 1;
            self.alerts.1.update(alert.payload_with_id(symbol(config, alert)).as_bytes());
            self.alerts.1.update(b"\n");
        }
        for transition in &out.transitions {
            self.transitions.0 += 1;
            self.transitions.1.update(transition.line(config).as_bytes());
            self.transitions.1.update(b"\n");
        }
    }

    /// One line per hash.
    fn lines(&self, name: &str, out: &mut String) {
        let hex = |hash: &Sha256| hex::encode(hash.clone().finalize());
        let ((alerts, a), (transitions, t)) = (&self.alerts, &self.transitions);
        // Writing to a string does not fail.
        let _ = writeln!(out, "{name} events {}", self.events);
        let _ = writeln!(out, "{name} chain {}", hex::encode(self.chain));
        let _ = writeln!(out, "{name} alerts {alerts} {}", hex(a));
        let _ = writeln!(out, "{name} transitions {transitions} {}", hex(t));
        for (id, file) in (1..=TOKENS).zip(&self.files) {
            let _ = writeln!(out, "{name} file {id} {}", hex(file));
        }
    }
}

fn symbol<'a>(config: &'a EngineConfig, alert: &Alert) -> &'a str {
    let id = match &alert.body {
        penstock_engine::alert::AlertBody::Token { record, .. } => record.token_id,
        penstock_engine::alert::AlertBody::Cluster { .. } => return "",
    };
    config.tokens.iter().find(|token| token.id == id).map_or("", |token| token.symbol.as_str())
}

/// Executes the first `ticks` of the day; `see` looks at every tick.
pub(crate) fn run(ticks: u64, mut see: impl FnMut(u64, &TickOutput)) -> Hashes {
    let config = config();
    let mut engine = Engine::new(&config).unwrap_or_else(|error| panic!("{error}"));
    let mut out = engine.output();
    let mut hashes = Hashes::new(&config);
    let mut day = Day::new();
    for at in 0..ticks {
        let (tick_id, events) = day.events();
        let frame = match flags(at) {
            Some(flags) => FrameView { tick_id, flags, is_gap_fill: false, events },
            None => FrameView::gap(tick_id),
        };
        engine.step(&frame, &mut out).unwrap_or_else(|fault| panic!("tick {at}: {fault}"));
        hashes.events += u64::try_from(frame.events.len()).unwrap_or(0);
        hashes.add(&config, &out);
        see(at, &out);
    }
    hashes
}

/// The configuration's line and those of the first hour.
pub(crate) fn first_hour() -> String {
    let mut text = format!("config {}\n", hex::encode(config().sha256()));
    run(HOUR, |_, _| {}).lines("hour", &mut text);
    text
}

/// The lines of the whole day.
pub(crate) fn whole_day() -> String {
    let mut text = String::new();
    run(DAY, |_, _| {}).lines("day", &mut text);
    text
}

/// Kinds of transitions that were seen, for a test that the day is not dull.
pub(crate) fn kinds(out: &TickOutput) -> impl Iterator<Item = &'static str> + '_ {
    out.transitions.iter().map(|transition| match transition {
        Transition::Token(_) => "token",
        Transition::Cluster(_) => "cluster",
        Transition::Phase(_) => "phase",
    })
}
