//! Quotes from rows: FULL blocks, withdrawal by every cause, return.

use super::*;
use crate::fixtures::{Rows, status, symbol};
use rstest::rstest;

const A: &str = "AAA/USD";
const SCALES: Scales = Scales { price: 1, qty: 2 };

fn sealer() -> Sealer {
    let mut sealer = Sealer::new(RunId(1), Vec::new());
    sealer.register(&symbol(A), SCALES, false).unwrap();
    sealer.register(&symbol("BBB/USD"), SCALES, true).unwrap();
    sealer
}

fn feed(sealer: &mut Sealer, rows: &Rows) {
    rows.list.iter().for_each(|row| sealer.apply(row));
}

#[test]
fn the_first_block_and_every_240th_carry_every_symbol() {
    let mut sealer = sealer();
    let mut rows = Rows::default();
    rows.book(0, A, "100.1", "100.3");
    feed(&mut sealer, &rows);
    let Sealed { flags, quotes: first, .. } = sealer.seal(TickId(1));
    assert!(flags.contains(FrameFlags::SESSION_START));
    assert!(first.full);
    assert_eq!(first.entries.len(), 2);
    assert_eq!((first.entries[0].bid, first.entries[0].ask_qty), (1_001, 200));
    assert!(first.entries[1].is_withdrawn());
    let Sealed { flags, quotes: second, .. } = sealer.seal(TickId(2));
    assert_eq!((flags, second.full, second.entries.len()), (FrameFlags::default(), false, 0));
    assert_eq!(sealer.seal(TickId(240)).quotes.entries.len(), 2);
}

#[test]
fn only_a_changed_quote_enters_the_block_and_the_last_one_of_the_tick_counts() {
    let mut sealer = sealer();
    sealer.seal(TickId(1));
    let mut rows = Rows::default();
    rows.book(0, A, "100.1", "100.3");
    rows.book(1, A, "100.2", "100.3");
    feed(&mut sealer, &rows);
    let block = sealer.seal(TickId(2)).quotes;
    assert_eq!(
        block.entries.iter().map(|e| (e.symbol_no, e.bid, e.seq)).collect::<Vec<_>>(),
        [(1, 1_002, Seq(2))]
    );
    rows.book(2, A, "100.2", "100.3");
    sealer.apply(&rows.list[2]);
    assert!(sealer.seal(TickId(3)).quotes.entries.is_empty());
}

#[rstest]
#[case::checksum(StatusKind::ChecksumFail, true)]
#[case::resync(StatusKind::Resync, true)]
#[case::disconnect(StatusKind::Disconnect, false)]
#[case::silent(StatusKind::Silent, false)]
#[case::degraded(StatusKind::Gap, false)]
fn a_quote_is_withdrawn_by_each_cause_with_its_number(
    #[case] kind: StatusKind,
    #[case] by_symbol: bool,
) {
    let mut sealer = sealer();
    let mut rows = Rows::default();
    rows.book(0, A, "100.1", "100.3");
    feed(&mut sealer, &rows);
    sealer.seal(TickId(1));
    let mut row = status(kind, "book");
    row.conn_id = Some(2);
    row.symbol = by_symbol.then(|| symbol(A));
    rows.push(10, RawBody::Status(row));
    sealer.apply(&rows.list[1]);
    let block = sealer.seal(TickId(2)).quotes;
    assert_eq!(block.entries.len(), 1);
    assert!(block.entries[0].is_withdrawn());
    assert_eq!(block.entries[0].seq, Seq(2));
}

#[test]
fn what_was_silent_returns_unchanged_when_it_is_heard() {
    let mut sealer = sealer();
    let mut rows = Rows::default();
    rows.book(0, A, "100.1", "100.3");
    for kind in [StatusKind::Silent, StatusKind::Heard] {
        let mut row = status(kind, "book");
        row.conn_id = Some(2);
        rows.push(10, RawBody::Status(row));
    }
    sealer.apply(&rows.list[0]);
    sealer.seal(TickId(1));
    sealer.apply(&rows.list[1]);
    assert!(sealer.seal(TickId(2)).quotes.entries[0].is_withdrawn());
    sealer.apply(&rows.list[2]);
    assert_eq!(sealer.seal(TickId(3)).quotes.entries[0].bid, 1_001);
}

#[test]
fn a_venue_that_is_whole_again_says_so_once() {
    let mut sealer = sealer();
    let mut rows = Rows::default();
    for kind in [StatusKind::Gap, StatusKind::Recovered] {
        let mut row = status(kind, "book");
        row.conn_id = Some(2);
        rows.push(10, RawBody::Status(row));
    }
    sealer.seal(TickId(1));
    sealer.apply(&rows.list[0]);
    assert!(sealer.seal(TickId(2)).flags.contains(FrameFlags::DEGRADED_KRAKEN_SPOT));
    sealer.apply(&rows.list[1]);
    assert_eq!(sealer.seal(TickId(3)).flags, FrameFlags::RESYNC);
    assert_eq!(sealer.seal(TickId(4)).flags, FrameFlags::default());
}

#[test]
fn another_precision_gets_another_number_and_a_dropped_symbol_is_withdrawn_once() {
    let mut sealer = sealer();
    let mut rows = Rows::default();
    rows.book(0, A, "100.1", "100.3");
    feed(&mut sealer, &rows);
    sealer.seal(TickId(1));
    assert!(!sealer.register(&symbol(A), SCALES, false).unwrap().1);
    let (renumbered, is_new) =
        sealer.register(&symbol(A), Scales { price: 2, qty: 2 }, false).unwrap();
    assert_eq!((renumbered.symbol_no, is_new), (3, true));
    let block = sealer.seal(TickId(2)).quotes;
    assert_eq!(block.entries.iter().map(|e| (e.symbol_no, e.bid)).collect::<Vec<_>>(), [(1, 0)]);
    sealer.drop_symbol(&symbol("BBB/USD"));
    let full = sealer.seal(TickId(240)).quotes;
    assert_eq!(full.entries.iter().map(|e| e.symbol_no).collect::<Vec<_>>(), [3]);
}

#[test]
fn a_symbol_without_a_book_is_quoted_from_its_ticker() {
    let mut sealer = sealer();
    let mut rows = Rows::default();
    rows.ticker(0, A, "100.1", "100.3");
    rows.book(1, A, "99.9", "100");
    rows.ticker(2, A, "50", "51");
    sealer.apply(&rows.list[0]);
    assert_eq!(sealer.seal(TickId(1)).quotes.entries[0].bid, 1_001);
    sealer.apply(&rows.list[1]);
    sealer.apply(&rows.list[2]);
    assert_eq!(sealer.seal(TickId(2)).quotes.entries[0].bid, 999);
}

#[test]
fn a_symbol_with_a_book_is_not_quoted_from_its_ticker_before_the_first_sample() {
    let mut sealer = sealer();
    let mut rows = Rows::default();
    rows.ticker(0, "BBB/USD", "100.1", "100.3");
    feed(&mut sealer, &rows);
    assert!(sealer.seal(TickId(1)).quotes.entries.iter().all(QuoteEntry::is_withdrawn));
}
