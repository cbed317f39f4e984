//! Time of a tick per token, for 30, 300 and 3,000 tokens of six events each, with records, CRCs and chain.
//!
//! Target on two cores: 120 ns per token and tick without hashing; the chain adds a SHA-256 of 64 bytes per
//! token. Every fourth tick is one on which clusters move.

use criterion::{BenchmarkId, Criterion, Throughput};
use penstock_engine::config::{Class, InstrumentConfig, Profile, Roles};
use penstock_engine::{Engine, EngineConfig, FrameView};
use penstock_types::frame::{FrameEvent, FrameFlags};
use penstock_types::vocab::Venue;
use std::hint::black_box;

const TICK: u64 = 7_084_972_800;
const PRICE: i64 = 1_000_000_000_000;

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
fn events(tokens: u16, tick: u64, out: &mut Vec<FrameEvent>) {
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

fn step(c: &mut Criterion) {
    let mut group = c.benchmark_group("engine step, per token");
    for tokens in [30_u16, 300, 3_000] {
        let mut engine = Engine::new(&config(tokens)).unwrap_or_else(|e| panic!("{e}"));
        let mut out = engine.output();
        // 64 different ticks of events, used in turn with their times moved on.
        let mut frames: Vec<Vec<FrameEvent>> = vec![Vec::new(); 64];
        for (n, frame) in (0..).zip(&mut frames) {
            events(tokens, TICK + n, frame);
        }
        let mut tick = TICK;
        group.throughput(Throughput::Elements(u64::from(tokens)));
        group.bench_function(BenchmarkId::from_parameter(tokens), |b| {
            b.iter(|| {
                let at = usize::try_from(tick % 64).unwrap_or(0);
                let frame = FrameView {
                    tick_id: tick,
                    flags: FrameFlags(0),
                    is_gap_fill: false,
                    events: &frames[at],
                };
                engine.step(black_box(&frame), &mut out).unwrap_or_else(|e| panic!("{e}"));
                tick += 1;
                out.chain
            });
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    step(&mut criterion);
    criterion.final_summary();
}
