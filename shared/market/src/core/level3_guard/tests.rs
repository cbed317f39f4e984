//! Every pair of state and event, the limit at its edge, the end of a block, and waves.

use super::*;
use crate::fixtures::{at_ms, symbol};
use core::slice::from_ref;

const A: &str = "AAA/USD";

#[test]
fn every_pair_of_state_and_event_has_its_successor() {
    use {Action as A, Event as E, State as S};
    for (state, event, want) in [
        (S::Free, E::Resync, (S::Free, A::Count)),
        (S::Free, E::Limit, (S::Blocked, A::Block)),
        (S::Free, E::Wave, (S::Free, A::Forgive)),
        (S::Free, E::TimeOver, (S::Free, A::None)),
        (S::Blocked, E::Resync, (S::Blocked, A::None)),
        (S::Blocked, E::Limit, (S::Blocked, A::None)),
        (S::Blocked, E::Wave, (S::Blocked, A::None)),
        (S::Blocked, E::TimeOver, (S::Free, A::Clear)),
    ] {
        assert_eq!(step(state, event), want, "{state:?} on {event:?}");
    }
}

/// Loses one of ten books at a time; returns the count and whether it was blocked.
fn lose(guard: &mut Guard, ms: i64) -> (u32, Option<UtcMicros>) {
    let mut notes = Vec::new();
    let missing = [(symbol(A), at_ms(ms - 100))];
    guard.judge(&[symbol(A)], &missing, 10, at_ms(ms), &mut notes);
    let mut told = (0, None);
    for note in notes {
        match note {
            Note::Level3Resync { count, .. } => told.0 = count,
            Note::Level3Blocked(block) => told.1 = Some(block.until),
            other => panic!("not of the guard: {other:?}"),
        }
    }
    told
}

#[test]
fn the_fifth_resync_within_ten_minutes_blocks_and_the_end_clears_the_counter() {
    let mut guard = Guard::new(5, 1_800);
    for (n, ms) in [(1, 0), (2, 100_000), (3, 200_000), (4, 300_000)] {
        assert_eq!(lose(&mut guard, ms), (n, None));
    }
    // The first has left its ten minutes.
    assert_eq!(lose(&mut guard, 600_000), (4, None));
    let until = at_ms(601_000 + 1_800_000);
    assert_eq!(lose(&mut guard, 601_000), (5, Some(until)));
    assert_eq!(guard.blocks(), [Level3Block { symbol: symbol(A), resyncs: 5, until }]);
    assert_eq!(lose(&mut guard, 602_000), (5, None), "blocked once");
    assert!(guard.expire(UtcMicros(until.0 - 1)).is_empty());
    assert_eq!(guard.blocks()[0].until, until, "a resync within it does not extend it");
    assert_eq!(guard.expire(until), [symbol(A)]);
    assert!(guard.blocks().is_empty());
    assert_eq!(lose(&mut guard, 2_402_000), (1, None), "counted from one again");
}

#[test]
fn what_no_longer_counts_is_forgotten() {
    let mut guard = Guard::new(5, 1_800);
    lose(&mut guard, 0);
    assert!(guard.expire(at_ms(599_999)).is_empty());
    assert_eq!(guard.entries.len(), 1);
    assert!(guard.expire(at_ms(600_000)).is_empty());
    assert!(guard.entries.is_empty());
}

#[test]
fn more_than_half_at_once_is_a_wave_that_blocks_nobody() {
    let mut guard = Guard::new(1, 1_800);
    let (mut notes, names) = (Vec::new(), ["A/USD", "B/USD", "C/USD"]);
    let missing = |n: usize| -> Vec<(Symbol, UtcMicros)> {
        names.iter().take(n).map(|name| (symbol(name), at_ms(0))).collect()
    };
    let all: Vec<Symbol> = names.iter().map(|name| symbol(name)).collect();
    guard.judge(&all, &missing(3), 5, at_ms(250), &mut notes);
    assert!(matches!(notes[0], Note::Level3Systemic { lost: 3, tracked: 5 }));
    assert_eq!((guard.blocks().len(), guard.systemic_at()), (0, Some(at_ms(250))));
    assert!(notes[1..].iter().all(|n| matches!(n, Note::Level3Resync { count: 0, .. })));
    // Half is not more than half.
    guard.judge(&all[..2], &missing(2), 4, at_ms(500), &mut notes);
    assert_eq!((guard.blocks().len(), guard.systemic_at()), (2, Some(at_ms(250))));
}

#[test]
fn the_only_book_that_is_lost_is_no_wave() {
    let mut guard = Guard::new(1, 1_800);
    let mut notes = Vec::new();
    guard.judge(&[symbol(A)], &[(symbol(A), at_ms(0))], 1, at_ms(250), &mut notes);
    assert_eq!((guard.blocks().len(), guard.systemic_at()), (1, None));
}

/// Two of four are lost first and counted; the third makes it a wave, and their loss is forgiven.
#[test]
fn what_was_counted_before_the_wave_was_seen_is_forgiven() {
    let mut guard = Guard::new(3, 1_800);
    let mut notes = Vec::new();
    let (a, b, c) = (symbol("A/USD"), symbol("B/USD"), symbol("C/USD"));
    // An earlier loss of its own stays counted.
    guard.judge(from_ref(&a), &[(a.clone(), at_ms(0))], 4, at_ms(250), &mut notes);
    let two = [(a.clone(), at_ms(1_100)), (b.clone(), at_ms(1_100))];
    guard.judge(&[a.clone(), b.clone()], &two, 4, at_ms(1_250), &mut notes);
    assert_eq!((guard.count(&a, at_ms(1_250)), guard.count(&b, at_ms(1_250))), (2, 1));
    let three = [two[0].clone(), two[1].clone(), (c.clone(), at_ms(1_300))];
    guard.judge(from_ref(&c), &three, 4, at_ms(1_500), &mut notes);
    let counts = [&a, &b, &c].map(|s| guard.count(s, at_ms(1_500)));
    assert_eq!(counts, [1, 0, 0]);
}

#[test]
fn what_an_earlier_process_knew_goes_on_and_blocks_nothing_by_itself() {
    let mut guard = Guard::new(5, 1_800);
    let (b, until) = (symbol("BBB/USD"), at_ms(900_000));
    guard.restore(vec![Level3Block { symbol: b.clone(), resyncs: 5, until }]);
    for ms in [0, 1_000, 2_000, 3_000, 4_000, 5_000] {
        guard.recall(symbol(A), at_ms(ms));
        guard.recall(b.clone(), at_ms(ms));
    }
    assert_eq!(guard.blocks(), [Level3Block { symbol: b.clone(), resyncs: 5, until }]);
    let (count, blocked) = lose(&mut guard, 10_000);
    assert_eq!((count, blocked), (5, Some(at_ms(10_000 + 1_800_000))), "one more is the fifth");
    assert_eq!(guard.expire(until), [b], "a block ends by the time that it was set with");
}
