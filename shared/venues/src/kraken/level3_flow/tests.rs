//! Figures that were worked out by hand, and what must not depend on the order of arrival.

use super::*;
use crate::kraken::{Frame, decode};
use proptest::prelude::*;

const PRECISION: Precision = Precision { price: 1, qty: 2 };

fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn no_takers() -> TakerQuotes {
    TakerQuotes { sell_1m: Decimal::ZERO, buy_1m: Decimal::ZERO }
}

/// Bids 3.00 (two orders) at 10.0; asks 4.00 at 10.5; the orders are of second 100 and 101.
fn book() -> Level3Book {
    let order = |id: u32, price: &str, qty: &str, second: u32| {
        format!(
            r#"{{"order_id":"O{id}","limit_price":{price},"order_qty":{qty},"timestamp":"1970-01-01T00:01:{second:02}Z"}}"#
        )
    };
    let bids = [order(1, "10.0", "1.00", 40), order(2, "10.0", "2.00", 41)].join(",");
    let asks = order(3, "10.5", "4.00", 41);
    let text = format!(
        r#"{{"channel":"level3","type":"snapshot","data":[{{"symbol":"X/Y","checksum":1,"bids":[{bids}],"asks":[{asks}]}}]}}"#
    );
    let Ok(Frame::Level3(message)) = decode(&text) else { panic!("not a level3 frame") };
    let mut book = Level3Book::new(10, PRECISION);
    book.apply_snapshot(&message.rows[0]).unwrap();
    book
}

fn deleted(price: i64, qty: i64, at_best: bool) -> Change {
    Change::Deleted { side: Side::Buy, price, qty, at_best }
}

fn added(qty: i64, at_best: bool) -> Change {
    Change::Added { side: Side::Buy, price: 100, qty, at_best }
}

#[test]
fn a_quiet_book_has_a_queue_and_nothing_else() {
    let mut flow = QueueFlow::new(PRECISION);
    let sample = flow.sample(&book(), no_takers(), 102_000).unwrap();
    assert_eq!((sample.bid, sample.ask), (dec("10.0"), dec("10.5")));
    assert_eq!((sample.orders_at_bid, sample.orders_at_ask), (2, 1));
    assert_eq!((sample.queue_bid_quote, sample.queue_ask_quote), (dec("30"), dec("42")));
    assert_eq!((sample.avg_age_bid_ms, sample.avg_age_ask_ms), (1_500, 1_000));
    assert_eq!((sample.refill_ratio, sample.cancel_ratio), (None, None));
    assert_eq!((sample.est_fill_bid_ms, sample.est_fill_ask_ms), (None, None));
    assert_eq!(flow.sample(&Level3Book::new(10, PRECISION), no_takers(), 102_000), None);
}

#[test]
fn what_traded_is_filled_and_the_rest_is_cancelled() {
    let mut flow = QueueFlow::new(PRECISION);
    flow.change(deleted(100, 300, true), 101_000);
    flow.print(100, 200, 101_200);
    flow.change(added(150, true), 101_300);
    flow.change(added(900, false), 101_300);
    // 250 ms are not over for anybody.
    let early = flow.sample(&book(), no_takers(), 101_249).unwrap();
    assert_eq!((early.adds, early.fills, early.cancels), (2, 0, 0));
    let takers = TakerQuotes { sell_1m: dec("60"), buy_1m: dec("0") };
    let sample = flow.sample(&book(), takers, 102_000).unwrap();
    assert_eq!((sample.adds, sample.fills, sample.cancels, sample.modifies), (0, 1, 1, 0));
    assert_eq!(sample.refill_ratio, Some(dec("0.5")));
    let third = dec("100") / dec("300");
    assert_eq!(sample.cancel_ratio, Some(third));
    // 10 were cancelled: 1000 · 30 / (60/60 + 0.5 · 10/60) = 27692.3….
    assert_eq!(sample.est_fill_bid_ms, Some(27_692));
    assert_eq!(sample.est_fill_ask_ms, None);
}

#[test]
fn what_got_smaller_went_and_what_moved_went_there_and_came_here() {
    let mut flow = QueueFlow::new(PRECISION);
    let modified =
        |price, qty| Change::Modified { side: Side::Sell, price, qty, at_best: (true, true) };
    flow.change(modified((105, 105), (400, 100)), 100_000);
    flow.change(modified((105, 105), (100, 160)), 100_000);
    flow.change(modified((105, 104), (160, 200)), 100_000);
    let sample = flow.sample(&book(), no_takers(), 101_000).unwrap();
    assert_eq!((sample.adds, sample.fills, sample.cancels, sample.modifies), (0, 0, 2, 2));
    assert_eq!(sample.cancel_ratio, Some(Decimal::ONE));
    assert_eq!(sample.refill_ratio, Some(dec("260") / dec("460")));
    // 48.3 quote were cancelled at the ask: 1000 · 42 / (0.5 · 48.3/60) = 104347.8….
    assert_eq!(sample.est_fill_ask_ms, Some(104_348));
}

#[test]
fn ratios_forget_after_a_minute_and_stay_within_their_limits() {
    let mut flow = QueueFlow::new(PRECISION);
    flow.change(deleted(100, 1, true), 100_000);
    flow.change(added(1_000, true), 100_000);
    let sample = flow.sample(&book(), no_takers(), 159_999).unwrap();
    assert_eq!(sample.refill_ratio, Some(dec("10")));
    // A queue of 30 behind a trickle takes longer than is said.
    assert_eq!(sample.est_fill_bid_ms, Some(36_000_000));
    let tiny = TakerQuotes { sell_1m: dec("0.0001"), buy_1m: dec("0") };
    assert_eq!(
        flow.sample(&book(), tiny, 160_000).unwrap().est_fill_bid_ms,
        Some(FILL_ESTIMATE_MS_MAX)
    );
    let later = flow.sample(&book(), no_takers(), 160_000).unwrap();
    assert_eq!((later.refill_ratio, later.cancel_ratio), (None, None));
}

#[test]
fn a_print_explains_once_and_only_its_own_price_and_time() {
    let mut flow = QueueFlow::new(PRECISION);
    flow.print(100, 50, 100_000);
    flow.change(deleted(100, 40, true), 100_250);
    flow.change(deleted(100, 40, true), 100_250);
    flow.change(deleted(99, 40, true), 100_250);
    flow.change(deleted(100, 40, true), 100_251);
    let sample = flow.sample(&book(), no_takers(), 101_000).unwrap();
    // 40 and 10 filled; 30, 40 and 40 cancelled.
    assert_eq!((sample.fills, sample.cancels), (2, 3));
    assert_eq!(sample.cancel_ratio, Some(dec("110") / dec("160")));
}

#[test]
fn what_waits_is_what_a_second_brings() {
    let mut flow = QueueFlow::new(PRECISION);
    let at_start = flow.heap_bytes();
    for at_ms in 0..60_000 {
        if at_ms % 20 == 0 {
            flow.change(deleted(100, 1, true), at_ms);
            flow.print(100, 1, at_ms);
        }
    }
    // Fifty of each in a second: nothing had to grow, although nobody has asked for a sample.
    assert_eq!(flow.heap_bytes(), at_start);
    let sample = flow.sample(&book(), no_takers(), 60_250).unwrap();
    assert_eq!((sample.fills, sample.cancels), (3_000, 0));
    flow.clear();
    assert_eq!(flow.heap_bytes(), at_start);
    let sample = flow.sample(&book(), no_takers(), 60_500).unwrap();
    assert_eq!((sample.fills, sample.cancel_ratio), (0, None));
}

/// Something that came, and when.
#[derive(Clone, Debug)]
enum Came {
    Change(Change),
    Print(i64, i64),
}

fn came() -> impl Strategy<Value = (i64, Came)> {
    let what = prop_oneof![
        (98i64..101, 1i64..50, any::<bool>())
            .prop_map(|(p, q, best)| Came::Change(deleted(p, q, best))),
        (1i64..50, any::<bool>()).prop_map(|(q, best)| Came::Change(added(q, best))),
        (98i64..101, 1i64..50).prop_map(|(p, q)| Came::Print(p, q)),
    ];
    (100_000i64..101_500, what)
}

fn fed(events: &[(i64, Came)]) -> QueueFlow {
    let mut flow = QueueFlow::new(PRECISION);
    for (at_ms, event) in events {
        match event {
            Came::Change(change) => flow.change(*change, *at_ms),
            Came::Print(price, qty) => flow.print(*price, *qty, *at_ms),
        }
    }
    flow
}

proptest! {
    /// Changes and prints come over two sockets; which of them is read first makes no difference.
    #[test]
    fn which_socket_is_read_first_does_not_matter(mut events in proptest::collection::vec(came(), 0..60)) {
        events.sort_by_key(|(at_ms, _)| *at_ms);
        let mut mixed = events.clone();
        // Within a window of attribution the prints are late.
        mixed.sort_by_key(|(at_ms, event)| (at_ms / 200, matches!(event, Came::Print(..)), *at_ms));
        let one = fed(&events).sample(&book(), no_takers(), 102_000);
        let two = fed(&mixed).sample(&book(), no_takers(), 102_000);
        prop_assert_eq!(one, two);
    }

    /// Deciding between the samples changes no figure: each quantity in its order, against all prints.
    #[test]
    fn deciding_early_is_deciding_with_everything_known(
        gone in proptest::collection::vec((100_000i64..106_000, 98i64..101, 1i64..50), 0..200),
        prints in proptest::collection::vec((100_000i64..106_000, 98i64..101, 1i64..50), 0..200),
    ) {
        let mut gone = gone;
        gone.sort_by_key(|(at_ms, ..)| *at_ms);
        let mut prints = prints;
        prints.sort_by_key(|(at_ms, ..)| *at_ms);
        let change = |(at_ms, price, qty): &(i64, i64, i64)| (*at_ms, Came::Change(deleted(*price, *qty, true)));
        let print = |(at_ms, price, qty): &(i64, i64, i64)| (*at_ms, Came::Print(*price, *qty));
        let mut events: Vec<_> = gone.iter().map(change).chain(prints.iter().map(print)).collect();
        events.sort_by_key(|(at_ms, _)| *at_ms);
        let (mut fills, mut cancels) = (0, 0);
        for (at_ms, price, qty) in &gone {
            let mut left = *qty;
            for print in &mut prints {
                if (print.0 - at_ms).abs() <= ATTRIBUTION_MS && print.1 == *price {
                    let taken = left.min(print.2);
                    print.2 -= taken;
                    left -= taken;
                }
            }
            fills += u32::from(left < *qty);
            cancels += u32::from(left > 0);
        }
        let sample = fed(&events).sample(&book(), no_takers(), 106_250).unwrap();
        prop_assert_eq!((sample.fills, sample.cancels), (fills, cancels));
    }

    /// Everything that went is either filled or cancelled, and no more is filled than traded.
    #[test]
    fn what_went_is_filled_or_cancelled(mut events in proptest::collection::vec(came(), 0..60)) {
        events.sort_by_key(|(at_ms, _)| *at_ms);
        let mut flow = fed(&events);
        flow.settle(102_000, ATTRIBUTION_MS);
        let sum = flow.window(102_000);
        let (mut went, mut traded) = (0, 0);
        for (_, event) in &events {
            match event {
                Came::Change(Change::Deleted { qty, at_best: true, .. }) => went += i128::from(*qty),
                Came::Print(_, qty) => traded += i128::from(*qty),
                Came::Change(_) => {}
            }
        }
        prop_assert_eq!(sum.filled + sum.cancelled, went);
        prop_assert!(sum.filled <= traded);
    }
}
