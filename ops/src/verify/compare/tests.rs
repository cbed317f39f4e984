//! What counts as equal, what as a difference, and how long a missing row leaves everything unproven.

use super::*;
use penstock_market::sealer::Sealed;
use penstock_types::frame::{FrameHeader, encode_frame, encode_quotes};
use penstock_types::{FencingToken, RunId, Seq, UtcMicros};

fn event(local_seq: u64, price: i64) -> FrameEvent {
    FrameEvent {
        token_id: 3,
        source: 0,
        venue: 0,
        flags: 1,
        instrument_id: 0,
        exchange_ts: 5,
        venue_seq: 9,
        local_seq,
        a: price,
        b: 1,
        c: 0,
        d: 0,
    }
}

fn quote(symbol_no: u16, bid: i64) -> QuoteEntry {
    QuoteEntry { symbol_no, bid, ask: bid + 1, bid_qty: 1, ask_qty: 1, exchange_ts: 1, seq: Seq(4) }
}

fn derived(tick: i64, full: bool, events: &[FrameEvent], entries: &[QuoteEntry]) -> DerivedTick {
    let quotes = QuoteBlock { tick_id: TickId(tick), full, entries: entries.to_vec() };
    let sealed = Sealed { flags: FrameFlags::default(), events: events.to_vec(), quotes };
    DerivedTick { tick_id: TickId(tick), sealed }
}

/// The frame of a tick as it was delivered.
fn frame(tick: &DerivedTick, flags: FrameFlags) -> ReadFrame {
    let header = FrameHeader {
        flags,
        tick_id: tick.tick_id,
        frame_seq: 7,
        run_id: RunId(1),
        fencing_token: FencingToken(1),
        n_events: 0,
        gap_ticks: u32::from(flags.contains(FrameFlags::GAP_BEFORE)),
        previous: [1; 32],
        sealed_at: UtcMicros(1),
    };
    ReadFrame {
        tick_id: tick.tick_id,
        run_id: RunId(1),
        flags: 0,
        n_events: 0,
        frame: encode_frame(&header, &tick.sealed.events).unwrap(),
        quotes: encode_quotes(&tick.sealed.quotes).unwrap(),
        published_at: UtcMicros(1),
        seal_lag_ms: 0,
        now: UtcMicros(1),
    }
}

fn what(comparer: &Comparer) -> &str {
    comparer.first.as_ref().map_or("", |first| first.what.as_str())
}

#[test]
fn numbers_of_a_token_go_on_from_where_the_run_found_them_and_the_delivery_has_its_own_flag() {
    let mut comparer = Comparer::default();
    for (tick, made, published) in [(1, 1, 101), (2, 2, 102)] {
        let told = derived(tick, false, &[event(published, 50)], &[quote(1, 9)]);
        let made = derived(tick, false, &[event(made, 50)], &[quote(1, 9)]);
        comparer.compare(&made, &frame(&told, FrameFlags::GAP_BEFORE));
    }
    assert_eq!((comparer.equal, comparer.different), (2, 0), "{:?}", comparer.first);
    let told = derived(3, false, &[event(104, 50)], &[]);
    comparer.compare(&derived(3, false, &[event(3, 50)], &[]), &frame(&told, FrameFlags(0)));
    assert_eq!(what(&comparer), "number of event 0 of token 3");
}

#[test]
fn the_first_difference_names_its_part() {
    let base = || derived(1, false, &[event(1, 50)], &[quote(1, 9), quote(2, 9)]);
    let cases = [
        (derived(1, false, &[event(1, 51)], &[quote(1, 9), quote(2, 9)]), "event 0 of token 3"),
        (derived(1, false, &[], &[quote(1, 9), quote(2, 9)]), "flags"),
        (derived(1, false, &[event(1, 50); 2], &[quote(1, 9), quote(2, 9)]), "events"),
        (derived(1, true, &[event(1, 50)], &[quote(1, 9), quote(2, 9)]), "all quotes in the block"),
        (derived(1, false, &[event(1, 50)], &[quote(1, 9), quote(2, 8)]), "quote of number 2"),
        (derived(1, false, &[event(1, 50)], &[quote(1, 9)]), "quote of number 2"),
    ];
    for (made, part) in cases {
        let mut comparer = Comparer::default();
        comparer.compare(&made, &frame(&base(), FrameFlags(0)));
        assert_eq!((comparer.different, what(&comparer)), (1, part));
    }
    let mut comparer = Comparer::default();
    comparer.compare(&base(), &frame(&base(), FrameFlags::RESYNC));
    assert_eq!(what(&comparer), "flags");
}

#[test]
fn behind_a_missing_row_nothing_is_proven_until_all_quotes_are_equal_again() {
    let mut comparer = Comparer::default();
    comparer.doubt();
    let plain = |tick, bid| derived(tick, false, &[], &[quote(1, bid)]);
    let all = |tick, bid| derived(tick, true, &[event(4, 50)], &[quote(1, bid)]);
    comparer.compare(&plain(1, 9), &frame(&plain(1, 8), FrameFlags(0)));
    comparer.compare(&plain(2, 9), &frame(&plain(2, 9), FrameFlags(0)));
    comparer.compare(&all(3, 9), &frame(&all(3, 8), FrameFlags(0)));
    comparer.compare(&all(4, 9), &frame(&all(4, 9), FrameFlags(0)));
    assert_eq!((comparer.incomplete, comparer.equal, comparer.different), (4, 0, 0));
    comparer.compare(&plain(5, 9), &frame(&plain(5, 9), FrameFlags(0)));
    comparer.compare(&plain(6, 9), &frame(&plain(6, 8), FrameFlags(0)));
    assert_eq!((comparer.incomplete, comparer.equal, comparer.different), (4, 1, 1));
}
