//! A tick allocates nothing, with events, transitions and alerts in it.
//!
//! The counting allocator is the process's own, so this file holds one test and nothing runs beside it.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod common;

use common::*;
use penstock_engine::{Engine, FrameView};
use penstock_types::frame::FrameFlags;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const WARM_UP: u64 = 1_000;
const TICKS: u64 = 100_000;

#[test]
fn d17_a_tick_allocates_nothing() {
    let mut config = config(3);
    // Every kind of transition and alert happens: tokens walk again and again.
    let mut script = Vec::new();
    while script.iter().map(|s: &Segment| s.ticks).sum::<u64>() < TICKS {
        script.extend(w1());
    }
    config.tokens[2].cluster = 9;
    let mut markets: Vec<Market> =
        (1..=3).map(|id| Market::new(id, script.clone(), u64::from(id))).collect();
    let mut engine = Engine::new(&config).unwrap();
    let mut out = engine.output();
    let mut view = Vec::with_capacity(3);
    let mut events = Vec::with_capacity(10_000);
    let (mut allocated, mut transitions, mut alerts) = (0, 0, 0);
    for tick in NOON..NOON + TICKS {
        events.clear();
        for market in &mut markets {
            market.tick(tick, &mut events);
        }
        let frame =
            FrameView { tick_id: tick, flags: FrameFlags(0), is_gap_fill: false, events: &events };
        let region = Region::new(ALLOCATOR);
        engine.step(&frame, &mut out).unwrap();
        engine.view(&mut view);
        let change = region.change();
        if tick >= NOON + WARM_UP {
            allocated += change.allocations + change.reallocations;
        }
        transitions += out.transitions.len();
        alerts += out.alerts.len();
    }
    assert_eq!(allocated, 0);
    assert!(transitions > 100 && alerts > 60, "{transitions} transitions, {alerts} alerts");
}
