//! Order-by-order books against a naive one, the published checksum, and whole recordings of them.
//!
//! No public recording holds this channel, so sessions are made here, by a model that shares no code
//! with the book.

use penstock_venues::kraken::book::{Precision, Verdict};
use penstock_venues::kraken::level3_book::{Change, Level3Book, Level3Error};
use penstock_venues::kraken::number::unscaled;
use penstock_venues::kraken::{Frame, decode};
use penstock_venues::recording::{FindingKind, check};
use proptest::prelude::*;

const PRECISION: Precision = Precision { price: 1, qty: 8 };
const SECOND_NS: i64 = 1_771_243_200_000_000_000;

/// An order of the model.
#[derive(Clone, Debug, PartialEq)]
struct Order {
    id: u32,
    is_bid: bool,
    price: i64,
    qty: i64,
    time: u32,
    arrival: usize,
}

/// A book without cleverness: one list, sorted when it is looked at.
#[derive(Clone, Debug, Default)]
struct Naive {
    orders: Vec<Order>,
    arrivals: usize,
}

impl Naive {
    fn put(&mut self, order: Order) {
        self.orders.retain(|held| held.id != order.id);
        self.arrivals += 1;
        self.orders.push(Order { arrival: self.arrivals, ..order });
    }

    fn side(&self, is_bid: bool) -> Vec<Order> {
        let mut orders: Vec<Order> =
            self.orders.iter().filter(|order| order.is_bid == is_bid).cloned().collect();
        orders.sort_by_key(|order| {
            (if is_bid { -order.price } else { order.price }, order.time, order.arrival)
        });
        orders
    }

    /// Orders of the best levels.
    fn window(&self, is_bid: bool, levels: usize) -> Vec<Order> {
        let orders = self.side(is_bid);
        let mut prices: Vec<i64> = orders.iter().map(|order| order.price).collect();
        prices.dedup();
        prices.truncate(levels);
        orders.into_iter().filter(|order| prices.contains(&order.price)).collect()
    }

    fn cut(&mut self, depth: usize) {
        let kept: Vec<u32> = [true, false]
            .into_iter()
            .flat_map(|is_bid| self.window(is_bid, depth))
            .map(|order| order.id)
            .collect();
        self.orders.retain(|order| kept.contains(&order.id));
    }

    fn checksum(&self) -> u32 {
        let text: String = [false, true]
            .into_iter()
            .flat_map(|is_bid| self.window(is_bid, 10))
            .map(|order| format!("{}{}", order.price, order.qty))
            .collect();
        crc32fast::hash(text.as_bytes())
    }
}

fn time_text(time: u32) -> String {
    let at = chrono::DateTime::from_timestamp_nanos(SECOND_NS + i64::from(time));
    at.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true)
}

fn order_text(order: &Order, event: Option<&str>) -> String {
    let event = event.map_or(String::new(), |event| format!(r#""event":"{event}","#));
    format!(
        r#"{{{event}"order_id":"O{:05}-AAAAA-BBBBBB","limit_price":{},"order_qty":{},"timestamp":"{}"}}"#,
        order.id,
        unscaled(order.price, 1),
        unscaled(order.qty, 8),
        time_text(order.time),
    )
}

fn frame(kind: &str, bids: &[String], asks: &[String], checksum: u32) -> String {
    format!(
        r#"{{"channel":"level3","type":"{kind}","data":[{{"symbol":"BTC/USD","checksum":{checksum},"bids":[{}],"asks":[{}],"timestamp":"{}"}}]}}"#,
        bids.join(","),
        asks.join(","),
        time_text(0),
    )
}

fn update(book: &mut Level3Book, text: &str) -> Result<(Verdict, Vec<Change>), Level3Error> {
    let Ok(Frame::Level3(message)) = decode(text) else { panic!("not a level3 frame: {text}") };
    let mut changes = Vec::new();
    let verdict = if message.is_snapshot() {
        book.apply_snapshot(&message.rows[0])?
    } else {
        book.apply_update(&message.rows[0], |change| changes.push(change))?
    };
    Ok((verdict, changes))
}

/// What the venue does to one order.
#[derive(Clone, Debug)]
enum Step {
    Add { is_bid: bool, price: i64, qty: i64, time: u32 },
    Modify { which: prop::sample::Index, qty: i64, time: Option<u32> },
    Delete { which: prop::sample::Index },
}

fn step() -> impl Strategy<Value = Step> {
    let price = 0i64..16;
    prop_oneof![
        3 => (any::<bool>(), price, 1i64..1_000, 0u32..50)
            .prop_map(|(is_bid, price, qty, time)| Step::Add { is_bid, price, qty, time }),
        1 => (any::<prop::sample::Index>(), 1i64..1_000, proptest::option::of(0u32..50))
            .prop_map(|(which, qty, time)| Step::Modify { which, qty, time }),
        1 => any::<prop::sample::Index>().prop_map(|which| Step::Delete { which }),
    ]
}

/// A session of the model: an image and changes, each with the model's own checksum.
fn session(steps: &[Vec<Step>], depth: usize) -> (Vec<String>, Vec<Naive>) {
    let mut naive = Naive::default();
    let mut frames = vec![frame("snapshot", &[], &[], naive.checksum())];
    let mut states = vec![naive.clone()];
    let mut next_id = 0;
    for message in steps {
        // Bids come first in the frame, so they come first in the model.
        let mut texts = [Vec::new(), Vec::new()];
        let mut events: Vec<(Order, &str)> = Vec::new();
        let mut planned = naive.clone();
        for step in message {
            let (order, event) = match step {
                Step::Add { is_bid, price, qty, time } => {
                    next_id += 1;
                    // The asks live above the bids, so the book is never crossed.
                    let price = if *is_bid { 1_000 - price } else { 1_001 + price };
                    let (is_bid, qty, time) = (*is_bid, *qty, *time);
                    (Order { id: next_id, is_bid, price, qty, time, arrival: 0 }, "add")
                }
                Step::Modify { which, qty, time } if !planned.orders.is_empty() => {
                    let held = which.get(&planned.orders).clone();
                    let time = time.unwrap_or(held.time);
                    (Order { qty: *qty, time, ..held }, "modify")
                }
                Step::Delete { which } if !planned.orders.is_empty() => {
                    (which.get(&planned.orders).clone(), "delete")
                }
                Step::Modify { .. } | Step::Delete { .. } => continue,
            };
            match event {
                "delete" => planned.orders.retain(|held| held.id != order.id),
                _ => planned.put(order.clone()),
            }
            events.push((order, event));
        }
        events.sort_by_key(|(order, _)| !order.is_bid);
        for (order, event) in events {
            texts[usize::from(!order.is_bid)].push(order_text(&order, Some(event)));
            match event {
                "delete" => naive.orders.retain(|held| held.id != order.id),
                _ => naive.put(order),
            }
        }
        naive.cut(depth);
        frames.push(frame("update", &texts[0], &texts[1], naive.checksum()));
        states.push(naive.clone());
    }
    (frames, states)
}

fn steps() -> impl Strategy<Value = Vec<Vec<Step>>> {
    proptest::collection::vec(proptest::collection::vec(step(), 1..6), 1..60)
}

fn recording(frames: &[String]) -> String {
    frames.iter().map(|frame| format!("-\tr\t{frame}\n")).collect()
}

proptest! {
    #[test]
    fn a_book_equals_a_naive_one_and_its_checksum_agrees(steps in steps()) {
        let (frames, states) = session(&steps, 10);
        let mut book = Level3Book::new(10, PRECISION);
        for (text, naive) in frames.iter().zip(&states) {
            let (verdict, _) = update(&mut book, text).expect("the model knows its orders");
            prop_assert_eq!(verdict, Verdict::Verified, "{}", text);
            let held: Vec<(i64, i64)> = book
                .bids()
                .flat_map(|level| level.orders.iter().map(|order| (level.price, order.qty)))
                .collect();
            let want: Vec<_> = naive.side(true).iter().map(|order| (order.price, order.qty)).collect();
            prop_assert_eq!(held, want);
            prop_assert_eq!(book.order_count(), naive.orders.len());
            prop_assert!(book.asks().is_sorted_by(|a, b| a.price < b.price));
            prop_assert!(book.bids().all(|level| !level.orders.is_empty()));
            prop_assert!(book.bids().len() <= 10 && book.asks().len() <= 10);
        }
    }

    /// The adds of one message in any order give one queue, as long as their times differ.
    #[test]
    fn the_order_of_adds_does_not_matter(
        times in proptest::collection::btree_set(0u32..1_000, 1..30),
        seed in any::<u64>(),
    ) {
        let orders: Vec<String> = times
            .iter()
            .map(|time| {
                let price = 1_000 - i64::from(time % 3);
                let order =
                    Order { id: *time, is_bid: true, price, qty: 1 + i64::from(*time), time: *time, arrival: 0 };
                order_text(&order, Some("add"))
            })
            .collect();
        let mut mixed = orders.clone();
        mixed.sort_by_key(|text| {
            text.bytes().fold(seed | 1, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)))
        });
        let mut one = Level3Book::new(10, PRECISION);
        let mut two = Level3Book::new(10, PRECISION);
        update(&mut one, &frame("update", &orders, &[], 0)).expect("adds fit");
        update(&mut two, &frame("update", &mixed, &[], 0)).expect("adds fit");
        prop_assert!(one.bids().eq(two.bids()));
        prop_assert_eq!(one.checksum(), two.checksum());
    }

    /// What the changes tell adds up to the book's own quantities.
    #[test]
    fn changes_add_up_to_the_book(steps in proptest::collection::vec(proptest::collection::vec(step(), 1..4), 1..20)) {
        // A window that nothing falls out of, so that every order has its change.
        let (frames, _) = session(&steps, 1_000);
        let mut book = Level3Book::new(1_000, PRECISION);
        let mut total = 0i128;
        for text in &frames {
            let (_, changes) = update(&mut book, text).expect("the model knows its orders");
            for change in changes {
                total += match change {
                    Change::Added { qty, .. } => i128::from(qty),
                    Change::Modified { qty: (before, after), .. } => i128::from(after) - i128::from(before),
                    Change::Deleted { qty, .. } => -i128::from(qty),
                };
            }
            let held: i128 = book.bids().chain(book.asks()).map(|level| level.qty()).sum();
            prop_assert_eq!(total, held);
        }
    }

    #[test]
    fn a_recording_of_it_is_whole(steps in steps()) {
        let (frames, _) = session(&steps, 10);
        let ack = r#"{"method":"subscribe","result":{"channel":"level3","depth":10,"snapshot":true,"symbol":"BTC/USD"},"success":true,"time_in":"2026-07-07T23:00:03Z","time_out":"2026-07-07T23:00:03Z"}"#;
        let instrument = r#"{"channel":"instrument","type":"snapshot","data":{"assets":[],"pairs":[{"symbol":"BTC/USD","base":"BTC","quote":"USD","status":"online","qty_precision":8,"qty_increment":1e-08,"price_precision":1,"price_increment":0.1,"qty_min":5e-05}]}}"#;
        let mut all = vec![instrument.to_owned(), ack.to_owned()];
        all.extend(frames);
        let report = check(recording(&all).as_bytes(), None).unwrap();
        prop_assert_eq!((report.errors, report.unknown, report.checksums_bad), (0, 0, 0));
        prop_assert_eq!(report.checksums_ok, all.len() as u64 - 2);
        // One lost change that is seen is seen as a bad checksum or as an order that is not known.
        if all.len() > 4 {
            all.remove(3);
            let report = check(recording(&all).as_bytes(), None).unwrap();
            for finding in &report.findings {
                prop_assert!(matches!(finding.kind, FindingKind::Checksum | FindingKind::BookUnusable));
                prop_assert!(finding.line >= 4);
            }
            prop_assert_eq!(report.gaps, 0);
        }
    }

    #[test]
    fn damaged_frames_are_decoded_or_refused(at in 0usize..400, byte in 32u8..127, cut in 1usize..400) {
        let order = Order { id: 1, is_bid: true, price: 10_005, qty: 7, time: 3, arrival: 0 };
        let mut bytes = frame("update", &[order_text(&order, Some("add"))], &[], 7).into_bytes();
        if let Some(slot) = bytes.get_mut(at) {
            *slot = byte;
        }
        bytes.truncate(cut);
        let text = String::from_utf8(bytes).expect("ASCII");
        if let Ok(Frame::Level3(message)) = decode(&text) {
            let mut book = Level3Book::new(10, PRECISION);
            for row in &message.rows {
                // A damaged number or event is refused by the book, a damaged checksum is seen by it.
                let _ = book.apply_update(row, |_| {});
            }
        }
    }
}

#[test]
fn the_published_checksum_vector_agrees() {
    let asks: &[(&str, &[&str])] = &[
        ("44939.5", &["4.52308393", "0.00111261", "0.00100000", "0.01000000"]),
        ("44950.0", &["0.10334926"]),
        ("44953.0", &["0.00064537"]),
        ("44955.0", &["0.00250000"]),
        ("44959.6", &["0.35630000", "0.35630000"]),
        ("44960.1", &["0.00338072"]),
        ("44960.2", &["0.88967575"]),
        ("44967.0", &["3.14392283"]),
        ("44978.5", &["0.06778960"]),
        ("44979.2", &["0.35630000"]),
    ];
    let bids: &[(&str, &[&str])] = &[
        (
            "44939.4",
            &[
                "0.88968699",
                "0.45210000",
                "0.10000000",
                "0.14296323",
                "0.25000000",
                "0.10292988",
                "0.33880000",
                "1.28140860",
            ],
        ),
        ("44937.1", &["0.03346877"]),
        ("44934.7", &["0.35630000"]),
        ("44930.2", &["0.22734299", "0.01000000", "0.05550000", "0.70000000", "0.15000000"]),
        ("44928.0", &["0.00105240"]),
        ("44919.6", &["0.33870000"]),
        ("44919.5", &["0.07610000"]),
        ("44912.0", &["0.35630000"]),
        ("44909.7", &["0.06690000"]),
        ("44901.9", &["0.00088982"]),
    ];
    let mut id = 0;
    let mut side = |levels: &[(&str, &[&str])]| -> Vec<String> {
        let mut texts = Vec::new();
        for (price, quantities) in levels {
            for qty in *quantities {
                id += 1;
                let time = time_text(id);
                texts.push(format!(
                    r#"{{"order_id":"O{id}","limit_price":{price},"order_qty":{qty},"timestamp":"{time}"}}"#
                ));
            }
        }
        texts
    };
    let (bids, asks) = (side(bids), side(asks));
    let mut book = Level3Book::new(10, PRECISION);
    let (verdict, _) =
        update(&mut book, &frame("snapshot", &bids, &asks, 1_063_832_831)).expect("numbers fit");
    assert_eq!(verdict, Verdict::Verified);
    assert_eq!((book.order_count(), book.bids().len(), book.asks().len()), (35, 10, 10));
}

fn add(id: u32, price: i64, qty: i64, time: u32) -> String {
    order_text(&Order { id, is_bid: true, price, qty, time, arrival: 0 }, Some("add"))
}

fn event(event: &str, id: u32, price: i64, qty: i64, time: u32) -> String {
    order_text(&Order { id, is_bid: true, price, qty, time, arrival: 0 }, Some(event))
}

fn queue(book: &Level3Book) -> Vec<(i64, Vec<i64>)> {
    book.bids().map(|level| (level.price, level.orders.iter().map(|o| o.qty).collect())).collect()
}

#[test]
fn a_modify_with_its_old_time_keeps_its_place_and_one_with_a_new_time_loses_it() {
    let mut book = Level3Book::new(10, PRECISION);
    let bids = [add(1, 1_000, 1, 10), add(2, 1_000, 2, 20), add(3, 999, 3, 5)];
    update(&mut book, &frame("update", &bids, &[], 0)).expect("adds fit");
    update(&mut book, &frame("update", &[event("modify", 1, 1_000, 9, 10)], &[], 0))
        .expect("known");
    assert_eq!(queue(&book), [(1_000, vec![9, 2]), (999, vec![3])]);
    update(&mut book, &frame("update", &[event("modify", 1, 1_000, 9, 30)], &[], 0))
        .expect("known");
    assert_eq!(queue(&book), [(1_000, vec![2, 9]), (999, vec![3])]);
    update(&mut book, &frame("update", &[event("modify", 3, 998, 4, 40)], &[], 0)).expect("known");
    assert_eq!(queue(&book), [(1_000, vec![2, 9]), (998, vec![4])]);
    update(&mut book, &frame("update", &[event("delete", 3, 998, 4, 40)], &[], 0)).expect("known");
    assert_eq!(queue(&book), [(1_000, vec![2, 9])]);
}

#[test]
fn what_falls_out_of_the_window_is_forgotten_and_may_come_back() {
    let mut book = Level3Book::new(10, PRECISION);
    let bids: Vec<String> = (0..11).map(|n| add(n, 1_000 - i64::from(n), 1, n)).collect();
    update(&mut book, &frame("update", &bids, &[], 0)).expect("adds fit");
    assert_eq!((book.bids().len(), book.order_count()), (10, 10));
    let gone = frame("update", &[event("delete", 10, 990, 1, 10)], &[], 0);
    let error = update(&mut book.clone(), &gone).unwrap_err();
    assert!(matches!(error, Level3Error::UnknownOrder { event: "delete", .. }), "{error}");
    let back = [event("delete", 0, 1_000, 1, 0), add(10, 990, 1, 10)];
    update(&mut book, &frame("update", &back, &[], 0)).expect("known");
    assert_eq!(book.bids().last().map(|level| level.price), Some(990));
}

#[test]
fn changes_say_whether_they_were_at_the_best_price() {
    let mut book = Level3Book::new(10, PRECISION);
    let (_, changes) = update(
        &mut book,
        &frame("update", &[add(1, 999, 1, 1), add(2, 1_000, 2, 2), add(3, 998, 3, 3)], &[], 0),
    )
    .expect("adds fit");
    let best: Vec<bool> = changes
        .iter()
        .map(|change| matches!(change, Change::Added { at_best: true, .. }))
        .collect();
    assert_eq!(best, [true, true, false]);
    let (_, changes) =
        update(&mut book, &frame("update", &[event("modify", 3, 1_001, 5, 9)], &[], 0))
            .expect("known");
    assert!(
        matches!(
            changes[..],
            [Change::Modified { price: (998, 1_001), qty: (3, 5), at_best: (false, true), .. }]
        ),
        "{changes:?}"
    );
}

#[test]
fn what_the_book_cannot_hold_is_refused_by_name() {
    let fresh = || Level3Book::new(10, PRECISION);
    let text = frame("update", &[event("modify", 7, 1_000, 1, 1)], &[], 0);
    let shown = update(&mut fresh(), &text).unwrap_err().to_string();
    assert!(shown.contains("modify of O00007-AAAAA-BBBBBB"), "{shown}");
    let swapped = text.replace("\"modify\"", "\"swap\"");
    let shown = update(&mut fresh(), &swapped).unwrap_err().to_string();
    assert!(shown.contains("\"swap\""), "{shown}");
    let long = frame("update", &[add(7, 1_000, 1, 1)], &[], 0).replace("AAAAA", &"A".repeat(40));
    assert!(matches!(update(&mut fresh(), &long), Err(Level3Error::Id { .. })));
    let fine = frame("update", &[add(7, 1_000, 1, 1)], &[], 0).replace("100.0", "100.05");
    assert!(matches!(update(&mut fresh(), &fine), Err(Level3Error::Number(_))));
    let below = frame("update", &[add(7, 1_000, 1, 1)], &[], 0).replace("100.0", "-100.0");
    assert!(matches!(update(&mut fresh(), &below), Err(Level3Error::Negative { .. })));
}
