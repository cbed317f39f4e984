//! Time of a tick per token, for 30, 300 and 3,000 tokens of six events each, with records, CRCs and chain; of a
//! copy-out of the whole state; what a token occupies; and the number of allocations, which must be zero.
//!
//! Target on one core: 120 ns per token and tick without hashing, the same for every number of tokens; the chain
//! adds a SHA-256 of 64 bytes per token. The tables at the end stand beside the targets and beside the machine's own
//! speed of hashing. A step's p99 is that of whole ticks; every fourth is one on which clusters move.
//!
//! As in the services, a tick's events stand in one buffer that was written right before the step; writing them is
//! not timed. `stored` is the mean of the same steps over 64 ticks of events written long before, which for many
//! tokens come from behind the caches. A token's bytes are those on the heap that an engine holds after it was made,
//! less those of its configuration.

use criterion::{BenchmarkId, Criterion, Throughput};
use penstock_engine::config::{Class, InstrumentConfig, Profile, Roles};
use penstock_engine::snapshot::{LogPosition, SnapshotContext, seal};
use penstock_engine::{Engine, EngineConfig, FrameView, TickOutput};
use penstock_types::frame::{FrameEvent, FrameFlags, crc32c, sha256};
use penstock_types::vocab::Venue;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::hint::black_box;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TICK: u64 = 7_084_972_800;
const PRICE: i64 = 1_000_000_000_000;
/// Ticks of events that are stored and used in turn.
const STORED: usize = 64;
/// Ticks of the table at the end, after as many that warm it up.
const MEASURED: u64 = 4_000;
/// Copies of the state.
const EXPORTS: u64 = 20;
/// Numbers of tokens, each with its targets: step p99 and copy-out in microseconds.
const SIZES: [(u16, u64, u64); 3] = [(30, 15, 20), (300, 150, 200), (3_000, 1_500, 2_000)];
/// Most bytes that a token occupies in memory.
const TOKEN_BYTES_MAX: u64 = 2_304;

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

/// Writes six events of each token: a book, two trades, mark, open interest, funding.
fn write_events(tokens: u16, tick: u64, out: &mut Vec<FrameEvent>) {
    out.clear();
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
}

/// An engine and the next tick's events.
struct Load {
    engine: Engine,
    out: TickOutput,
    tokens: u16,
    events: Vec<FrameEvent>,
    tick: u64,
}

impl Load {
    fn new(tokens: u16) -> Self {
        let engine = Engine::new(&config(tokens)).unwrap_or_else(|e| panic!("{e}"));
        let out = engine.output();
        Self { engine, out, tokens, events: Vec::new(), tick: TICK }
    }

    /// Time of a step over events that were just written.
    fn step(&mut self) -> Duration {
        write_events(self.tokens, self.tick, &mut self.events);
        let events = std::mem::take(&mut self.events);
        let time = self.step_over(&events);
        self.events = events;
        time
    }

    fn step_over(&mut self, events: &[FrameEvent]) -> Duration {
        let (tick_id, flags) = (self.tick, FrameFlags(0));
        let frame = FrameView { tick_id, flags, is_gap_fill: false, events };
        let start = Instant::now();
        self.engine.step(black_box(&frame), &mut self.out).unwrap_or_else(|e| panic!("{e}"));
        let time = start.elapsed();
        black_box(self.out.chain);
        self.tick += 1;
        time
    }
}

fn step(c: &mut Criterion) {
    let mut group = c.benchmark_group("engine step, per token");
    for tokens in [30_u16, 300, 3_000] {
        let mut load = Load::new(tokens);
        group.throughput(Throughput::Elements(u64::from(tokens)));
        group.bench_function(BenchmarkId::from_parameter(tokens), |b| {
            b.iter_custom(|steps| (0..steps).map(|_| load.step()).sum());
        });
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

/// Mean time of a step over stored events, of which every tick's lie elsewhere.
fn stored(load: &mut Load) -> u64 {
    let mut frames = vec![Vec::new(); STORED];
    for (tick, events) in (load.tick..).zip(&mut frames) {
        write_events(load.tokens, tick, events);
    }
    let mut time = 0;
    for events in frames.iter().cycle().take(usize::try_from(MEASURED).unwrap_or(0)) {
        time += nanos(load.step_over(events));
    }
    time / MEASURED
}

/// Mean time of a copy-out, of sealing it, and the size of the snapshot.
fn copy_out(load: &Load, tokens: u16) -> (u64, u64, usize) {
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
    let (mut copied, mut sealed) = (0, 0);
    for _ in 0..EXPORTS {
        let start = Instant::now();
        load.engine.copy_out(black_box(&context), &mut bytes);
        copied += nanos(start.elapsed());
        let start = Instant::now();
        seal(black_box(&mut bytes));
        sealed += nanos(start.elapsed());
    }
    (copied / EXPORTS, sealed / EXPORTS, bytes.len())
}

/// Bytes of the heap that a value holds.
fn held<T>(make: impl FnOnce() -> T) -> u64 {
    let region = Region::new(ALLOCATOR);
    let value = make();
    let change = region.change();
    drop(black_box(value));
    let held = change.bytes_allocated.saturating_sub(change.bytes_deallocated);
    u64::try_from(held).unwrap_or(u64::MAX)
}

/// Bytes of the heap that an engine of so many tokens holds per token, and those of its configuration.
fn token_bytes(tokens: u16) -> (u64, u64) {
    let config = config(tokens);
    let engine = held(|| Engine::new(&config).unwrap_or_else(|e| panic!("{e}")));
    let own = held(|| config.clone());
    (engine.saturating_sub(own) / u64::from(tokens), own / u64::from(tokens))
}

fn us(nanos: u64) -> String {
    format!("{}.{} us", nanos / 1_000, nanos % 1_000 / 100)
}

fn table() {
    println!(
        "\ntokens | ns per token-tick | without the chain (120) | stored | step p99 (target) | copy-out (target) | sealing | snapshot | state per token ({TOKEN_BYTES_MAX} B) | its configuration | allocations (0)"
    );
    for (tokens, step_us, copy_us) in SIZES {
        let mut load = Load::new(tokens);
        (0..MEASURED).for_each(|_| {
            load.step();
        });
        let mut times = Vec::with_capacity(usize::try_from(MEASURED).unwrap_or(0));
        let region = Region::new(ALLOCATOR);
        for _ in 0..MEASURED {
            times.push(nanos(load.step()));
        }
        let change = region.change();
        let allocated = change.allocations + change.reallocations;
        let mean = times.iter().sum::<u64>() / MEASURED;
        times.sort_unstable();
        let p99 = times[times.len() * 99 / 100];
        let each = |ns: u64| ns / u64::from(tokens);
        let stored = stored(&mut load);
        let (copied, sealed, bytes) = copy_out(&load, tokens);
        let (state, own) = token_bytes(tokens);
        println!(
            "{tokens} | {} | {} | {} | {} ({step_us} us) | {} ({copy_us} us) | {} | {bytes} B | {state} B | {own} B | {allocated}",
            each(mean),
            each(mean.saturating_sub(hashing(tokens))),
            each(stored),
            us(p99),
            us(copied),
            us(sealed),
        );
    }
}

/// What the machine gives at best to what the core does with bytes.
fn floor() {
    let rate = |len: usize, hash: fn(&[u8])| {
        let bytes = vec![7_u8; len];
        let rounds = 64 * 1_024 * 1_024 / len;
        let start = Instant::now();
        for _ in 0..rounds {
            hash(black_box(&bytes));
        }
        // Bytes per nanosecond, times a thousand: megabytes per second.
        let total = u64::try_from(rounds * len).unwrap_or(u64::MAX);
        total.saturating_mul(1_000) / nanos(start.elapsed()).max(1)
    };
    let sha: fn(&[u8]) = |bytes| {
        black_box(sha256(bytes));
    };
    let crc: fn(&[u8]) = |bytes| {
        black_box(crc32c(bytes));
    };
    println!(
        "machine: SHA-256 {} MB/s in messages of 64 B, {} MB/s of 1920 B; CRC-32C of a record's 60 B {} MB/s; chain of 30 tokens {} a tick",
        rate(64, sha),
        rate(1_920, sha),
        rate(60, crc),
        us(hashing(30)),
    );
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    step(&mut criterion);
    criterion.final_summary();
    if !std::env::args().any(|word| word == "--test" || word == "--list") {
        table();
        floor();
    }
}
