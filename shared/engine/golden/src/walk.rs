//! A short walk of one token: a market that stacks, breaks and settles, from integers alone.
//!
//! Input: nothing. Output: the engine's chain behind it, all zeros when the engine refuses. Invariants: it needs
//! an allocator and nothing else, so that a program without a standard library runs it too.

extern crate alloc;

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use penstock_engine::config::{Class, InstrumentConfig, Profile, Roles};
use penstock_engine::{Engine, EngineConfig, FrameView};
use penstock_types::frame::{FrameEvent, FrameFlags};
use penstock_types::vocab::Venue;

const FIRST: u64 = 7_084_972_800;
const TICKS: u64 = 6_000;

/// The configuration of one token.
pub(crate) fn config() -> EngineConfig {
    let mut config = EngineConfig::default();
    let roles = Roles {
        price_ref: true,
        deriv_primary: true,
        flow: true,
        oi_set: true,
        spot_primary: false,
    };
    let instrument = InstrumentConfig {
        venue: Venue::KrakenFutures,
        symbol: String::from("PF_AAAUSD"),
        roles,
        qty_exp: 3,
        multiplier: 1,
        funding_interval_h: 8,
    };
    let token = config.token(1, "A", Class::Gma, Profile::Deriv, vec![instrument]);
    config.tokens.push(token);
    config
}

/// Events of a tick: after a quarter of an hour of calm leverage stacks for five minutes, then it breaks.
fn events(at: u64, out: &mut Vec<FrameEvent>) {
    out.clear();
    let n = i64::try_from(at).unwrap_or(0);
    let (stacked, broken) = ((n - 3_600).clamp(0, 1_200), (n - 4_800).clamp(0, 200));
    let price = 1_000_000_000_000 + n % 97 * 20_000_000 - broken * 300_000_000;
    let qty = 500 + n * 31 % 700 + broken * 40;
    let values = [
        (1, 0, price - 100_000_000, price + 100_000_000 + broken * 5_000_000),
        (0, u16::from(at % 5 > 0 && broken == 0), price, qty),
        (3, 0, price, 1 + qty * i64::from(broken > 0) / 10),
        (2, 0, price + stacked * 2_700_000, 0),
        (4, 0, 50_000_000 + stacked * 2_000 - broken * 6_000, 0),
        (5, 0, 100_000_000 + stacked * 1_200_000, 0),
    ];
    for (place, (source, flags, a, b)) in (0..).zip(values) {
        out.push(FrameEvent {
            token_id: 1,
            source,
            venue: 1,
            flags,
            instrument_id: 0,
            exchange_ts: i64::try_from(FIRST + at).unwrap_or(0) * 250_000 + place,
            venue_seq: 0,
            local_seq: 0,
            a,
            b,
            c: 0,
            d: 0,
        });
    }
}

/// The chain behind the walk.
pub(crate) fn chain() -> [u8; 32] {
    let Ok(mut engine) = Engine::new(&config()) else { return [0; 32] };
    let mut out = engine.output();
    let mut frame = Vec::with_capacity(6);
    for at in 0..TICKS {
        events(at, &mut frame);
        let view = FrameView {
            tick_id: FIRST + at,
            flags: FrameFlags(0),
            is_gap_fill: false,
            events: &frame,
        };
        if engine.step(&view, &mut out).is_err() {
            return [0; 32];
        }
    }
    engine.chain()
}
