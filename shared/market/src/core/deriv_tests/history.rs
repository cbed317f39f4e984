//! Trades that Kraken Futures is asked for by time: counted once, and only when their numbers are the
//! stream's.

use super::*;

/// A rig of Futures whose stream went from 5 to `next`, with unique ids.
fn gapped(next: i64) -> Rig {
    let mut rig = Rig::new(Venue::KrakenFutures);
    stream(&mut rig, 10, 5);
    stream(&mut rig, 30, next);
    rig
}

fn uid(id: i64) -> TradeUid {
    TradeUid::of(&format!("print {id}"))
}

fn stream(rig: &mut Rig, ms: i64, id: i64) {
    rig.to(ms);
    let trade = DerivTradeIn { uid: Some(uid(id)), ..rig.trade_in(ms, id) };
    rig.core.deriv_trade(at_ms(ms), trade, &mut rig.out);
}

/// A row of REST: the print `id` under the number `shown`.
fn row(rig: &Rig, id: i64, shown: i64) -> DerivTradeIn {
    DerivTradeIn { uid: Some(uid(id)), conn_id: 0, ..rig.trade_in(20, shown) }
}

fn page(rig: &mut Rig, first_id: i64, ids: impl IntoIterator<Item = i64>) {
    let rows: Vec<_> = ids.into_iter().map(|id| row(rig, id, id)).collect();
    rig.core.deriv_history(rig.venue, &symbol(PERP), first_id, rows);
}

fn ended(rig: &mut Rig, first_id: i64, ms: i64) {
    rig.core.deriv_backfill_ended(rig.venue, &symbol(PERP), first_id, at_ms(ms), &mut rig.out);
}

fn recovered(rig: &Rig) -> Vec<String> {
    let all = rig.statuses().into_iter();
    all.filter(|(kind, _)| *kind == StatusKind::Recovered).map(|(_, detail)| detail).collect()
}

fn counted(backfilled: i64, missing: i64) -> String {
    format!(r#"{{"backfilled":{backfilled},"missing":{missing}}}"#)
}

#[test]
fn pages_that_overlap_the_stream_fill_the_gap_once_and_give_no_event() {
    let mut rig = gapped(10);
    assert_eq!(rig.asked(), [(6, 9, at_ms(30))]);
    page(&mut rig, 6, [10, 9, 8]);
    page(&mut rig, 6, [8, 7, 6, 5, 4]);
    assert_eq!(rig.trade_ids(), [5, 10], "held until the fetch has ended");
    ended(&mut rig, 6, 60);
    assert_eq!(rig.trade_ids(), [5, 10, 6, 7, 8, 9]);
    assert_eq!(recovered(&rig), [counted(4, 0)]);
    page(&mut rig, 6, [9]);
    ended(&mut rig, 6, 70);
    assert_eq!((rig.trade_ids().len(), recovered(&rig).len()), (6, 1), "it is closed");
    rig.to(250);
    assert_eq!(rig.events().len(), 2, "what was fetched gives no event");
}

#[test]
fn numbers_that_are_not_the_streams_count_nothing() {
    for (shown, why) in [(110, "other numbers"), (10, "")] {
        let mut rig = gapped(10);
        // On the last page one known print has another number.
        page(&mut rig, 6, [9, 8]);
        let last = [row(&rig, 7, 7), row(&rig, 6, 6), row(&rig, 10, shown), row(&rig, 5, 5)];
        rig.core.deriv_history(rig.venue, &symbol(PERP), 6, last.into());
        ended(&mut rig, 6, 60);
        let refused = rig.out.notes.iter().find_map(|note| match note {
            Note::Refused { reason, .. } => Some(*reason),
            _ => None,
        });
        let is_counted = why.is_empty();
        assert_eq!(recovered(&rig), [if is_counted { counted(4, 0) } else { counted(0, 4) }]);
        assert_eq!(refused.is_none(), is_counted);
        assert!(refused.is_none_or(|reason| reason.contains(why)), "{refused:?}");
    }
}

#[test]
fn rows_of_which_the_stream_knows_none_count_nothing() {
    let mut rig = gapped(10);
    page(&mut rig, 6, [9, 8, 7, 6]);
    ended(&mut rig, 6, 60);
    assert_eq!(recovered(&rig), [counted(0, 4)]);
}

#[test]
fn the_print_that_showed_the_gap_is_known_however_many_follow_it() {
    let mut rig = gapped(10);
    for id in 11..1_000 {
        stream(&mut rig, 40, id);
    }
    page(&mut rig, 6, [10, 9]);
    ended(&mut rig, 6, 60);
    assert_eq!(recovered(&rig), [counted(1, 3)]);
}

#[test]
fn what_came_within_five_minutes_counts_and_nothing_after_them() {
    let mut rig = gapped(10);
    page(&mut rig, 6, [10, 9]);
    rig.to(300_500);
    assert_eq!(recovered(&rig), [counted(1, 3)]);
    page(&mut rig, 6, [8, 7]);
    ended(&mut rig, 6, 300_600);
    assert_eq!((rig.trade_ids(), recovered(&rig).len()), (vec![5, 10, 9], 1));
}

#[test]
fn two_gaps_of_one_symbol_are_filled_each_by_its_own_fetch() {
    let mut rig = gapped(8);
    stream(&mut rig, 50, 11);
    assert_eq!(rig.asked(), [(6, 7, at_ms(30)), (9, 10, at_ms(50))]);
    page(&mut rig, 9, [11, 10, 9, 8, 7]);
    ended(&mut rig, 9, 60);
    assert_eq!(rig.trade_ids(), [5, 8, 11, 9, 10], "a fetch fills its own gap alone");
    page(&mut rig, 6, [8, 7, 6, 5]);
    ended(&mut rig, 6, 70);
    assert_eq!(rig.trade_ids(), [5, 8, 11, 9, 10, 6, 7]);
    assert_eq!(recovered(&rig), [counted(2, 0), counted(2, 0)]);
}

#[test]
fn a_subscription_that_brings_everything_asks_for_nothing() {
    let mut rig = Rig::new(Venue::KrakenFutures);
    stream(&mut rig, 10, 5);
    let image = [7, 6, 5].map(|id| row(&rig, id, id));
    rig.core.deriv_snapshot(image.into());
    stream(&mut rig, 30, 8);
    assert_eq!((rig.asked(), rig.trade_ids()), (Vec::new(), vec![5, 7, 6, 8]));
    assert_eq!(recovered(&rig), [counted(2, 0)]);
}

proptest! {
    /// Whatever comes on whatever pages, once or often: each number once, and the sum is the gap's width.
    #[test]
    fn counted_and_missing_are_the_width_of_the_gap(
        pages in proptest::collection::vec(proptest::collection::vec(0i64..40, 0..12), 0..6),
        is_known in any::<bool>(),
    ) {
        let mut rig = gapped(30);
        for ids in &pages {
            page(&mut rig, 6, ids.iter().copied().filter(|id| *id != 5 && *id != 30));
        }
        if is_known {
            page(&mut rig, 6, [30]);
        }
        ended(&mut rig, 6, 60);
        let mut wanted: Vec<i64> = pages.concat();
        wanted.retain(|id| is_known && (6..30).contains(id));
        wanted.sort_unstable();
        wanted.dedup();
        let back = i64::try_from(wanted.len()).unwrap();
        prop_assert_eq!(recovered(&rig), [counted(back, 24 - back)]);
        prop_assert_eq!(rig.trade_ids()[2..].to_vec(), wanted);
    }
}
