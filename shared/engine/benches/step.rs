//! Time of a tick per token, for 30, 300 and 3,000 tokens of six events each, with records, CRCs and chain; of a
//! copy-out of the whole state; and the number of allocations, which must be zero.
//!
//! Target on one core: 120 ns per token and tick without hashing; the chain adds a SHA-256 of 64 bytes per token.
//! The table at the end stands beside the targets and beside the machine's own speed of hashing the same bytes.
//! Every fourth tick is one on which clusters move.

use criterion::{BenchmarkId, Criterion, Throughput};
use penstock_engine::config::{Class, InstrumentConfig, Profile, Roles};
use penstock_engine::snapshot::{LogPosition, SnapshotContext};
use penstock_engine::{Engine, EngineConfig, FrameView, TickOutput};
use penstock_types::frame::{FrameEvent, FrameFlags, sha256};
use penstock_types::vocab::Venue;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::hint::black_box;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TICK: u64 = 7_084_972_800;
const PRICE: i64 = 1_000_000_000_000;
/// Different ticks of events, used in turn.
const FRAMES: usize = 64;
/// Ticks of the table at the end, after as many that warm it up.
const MEASURED: u64 = 4_000;

fn config(tokens: u16) -> EngineConfig {
    let roles = Roles {
        price_ref: true,
        deriv_primary: true,
        flow: true,
        oi_set: true,
        spot_primary: false,
    };
    let instrument = InstrumentConfig {
        venue: Venue::KrakenFutures,
        symbol: "A".to_owned(),
        roles,
        qty_exp: 3,
        multiplier: 1,
        funding_interval_h: 8,
    };
    let mut config = EngineConfig::default();
    for id in 1..=tokens {
        let instruments = vec![instrument.clone()];
        let token = config.token(id, "A", Class::Mea, Profile::Deriv, instruments);
        config.tokens.push(token);
    }
    config
}

/// Six events of each token: a book, two trades, mark, open interest, funding.
fn events(tokens: u16, tick: u64) -> Vec<FrameEvent> {
    let mut out = Vec::new();
    let at = i64::try_from(tick).unwrap_or(0);
    for token_id in 1..=tokens {
        let swing = (at * 31 + i64::from(token_id) * 17) % 997;
        let mid = PRICE + swing * 1_000_000;
        let numbers = [
            (1, 0, mid - 100_000_000, mid + 100_000_000),
            (0, 1, mid, 500 + swing),
            (0, 0, mid + 1_000_000, 700 + swing),
            (2, 0, mid + 10_000_000, 0),
            (4, 0, 50_000_000 + swing, 0),
            (5, 0, 100_000_000 + swing * 100_000, 0),
        ];
        for (place, (source, flags, a, b)) in (0_i64..).zip(numbers) {
            out.push(FrameEvent {
                token_id,
                source,
                venue: 1,
                flags,
                instrument_id: 0,
                exchange_ts: at * 250_000 + place,
                venue_seq: 0,
                local_seq: 0,
                a,
                b,
                c: 0,
                d: 0,
            });
        }
    }
    out
}

/// An engine with frames to feed it.
struct Load {
    engine: Engine,
    out: TickOutput,
    frames: Vec<Vec<FrameEvent>>,
    tick: u64,
}

impl Load {
    fn new(tokens: u16) -> Self {
        let engine = Engine::new(&config(tokens)).unwrap_or_else(|e| panic!("{e}"));
        let out = engine.output();
        let frames = (TICK..).take(FRAMES).map(|tick| events(tokens, tick)).collect();
        Self { engine, out, frames, tick: TICK }
    }

    fn step(&mut self) -> [u8; 32] {
        let at = usize::try_from(self.tick).unwrap_or(0) % FRAMES;
        let frame = FrameView {
            tick_id: self.tick,
            flags: FrameFlags(0),
            is_gap_fill: false,
            events: &self.frames[at],
        };
        self.engine.step(black_box(&frame), &mut self.out).unwrap_or_else(|e| panic!("{e}"));
        self.tick += 1;
        self.out.chain
    }
}

fn step(c: &mut Criterion) {
    let mut group = c.benchmark_group("engine step, per token");
    for tokens in [30_u16, 300, 3_000] {
        let mut load = Load::new(tokens);
        group.throughput(Throughput::Elements(u64::from(tokens)));
        group.bench_function(BenchmarkId::from_parameter(tokens), |b| b.iter(|| load.step()));
    }
    group.finish();
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Mean time of hashing the chain's bytes of one tick.
fn hashing(tokens: u16) -> u64 {
    let bytes = vec![7_u8; 32 + 64 * usize::from(tokens)];
    let start = Instant::now();
    for _ in 0..MEASURED {
        black_box(sha256(black_box(&bytes)));
    }
    nanos(start.elapsed()) / MEASURED
}

fn copy_out(load: &Load, tokens: u16) -> u64 {
    let position = LogPosition { segment: 0, offset: 64, record_crc: 0 };
    let context = SnapshotContext {
        frame_seq: 1,
        frame_sha256: [0; 32],
        run_id: 1,
        fencing_token: 1,
        logs: vec![position; usize::from(tokens)],
    };
    let mut bytes = Vec::new();
    load.engine.export(&context, &mut bytes);
    let start = Instant::now();
    for _ in 0..20 {
        load.engine.export(black_box(&context), &mut bytes);
    }
    nanos(start.elapsed()) / 20
}

fn table() {
    println!(
        "tokens | ns per token-tick | without the chain (target 120) | step p99 (target) | export | allocations"
    );
    for (tokens, target_us) in [(30_u16, 15), (300, 150), (3_000, 1_500)] {
        let mut load = Load::new(tokens);
        (0..MEASURED).for_each(|_| {
            load.step();
        });
        let mut times = Vec::with_capacity(usize::try_from(MEASURED).unwrap_or(0));
        let region = Region::new(ALLOCATOR);
        for _ in 0..MEASURED {
            let start = Instant::now();
            load.step();
            times.push(nanos(start.elapsed()));
        }
        let change = region.change();
        let allocated = change.allocations + change.reallocations;
        let mean = times.iter().sum::<u64>() / MEASURED;
        times.sort_unstable();
        let p99 = times[times.len() * 99 / 100];
        let each = |ns: u64| ns / u64::from(tokens);
        println!(
            "{tokens} | {} | {} | {}.{} us ({target_us} us) | {} us | {allocated}",
            each(mean),
            each(mean.saturating_sub(hashing(tokens))),
            p99 / 1_000,
            p99 % 1_000 / 100,
            copy_out(&load, tokens) / 1_000,
        );
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    step(&mut criterion);
    criterion.final_summary();
    if !std::env::args().any(|word| word == "--test" || word == "--list") {
        table();
    }
}
