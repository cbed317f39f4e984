//! The check over copies of the recordings in which one frame was dropped, doubled or altered.
//!
//! The copies are made here from the real recordings; without those the tests say so and pass.

mod common;

use common::{recordings, unzipped};
use penstock_venues::recording::{Finding, FindingKind, Report, check};

const SPOT: &str = "kraken_spot_v2/book10_trade_BTCUSD_ETHUSD_20260707.rec.gz";
const FUTURES: &str = "kraken_futures/book_trade_tickerlite_10products_20210722.rec.gz";
const BINANCE: &str = "binance_usdm/aggTrade_depth_kline_bookTicker_4symbols_20210417.rec.gz";

/// Lines of a recording, changed at will.
struct Copy(Vec<String>);

impl Copy {
    fn of(file: &str) -> Option<Self> {
        let root = recordings()?;
        Some(Self(unzipped(&root.join(file)).lines().map(str::to_owned).collect()))
    }

    /// Numbers (from 1) of the lines that contain all of these.
    fn lines(&self, parts: &[&str]) -> Vec<usize> {
        let matches = |line: &String| parts.iter().all(|part| line.contains(part));
        (1..=self.0.len()).filter(|number| matches(&self.0[number - 1])).collect()
    }

    /// The number behind a key of a line.
    fn number(&self, line: usize, key: &str) -> i128 {
        let text = &self.0[line - 1];
        let rest = &text[text.find(key).expect("the line has the key") + key.len()..];
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse().expect("a number")
    }

    fn dropped(&self, line: usize) -> Report {
        let mut lines = self.0.clone();
        lines.remove(line - 1);
        report(&lines)
    }

    fn doubled(&self, line: usize) -> Report {
        let mut lines = self.0.clone();
        lines.insert(line - 1, lines[line - 1].clone());
        report(&lines)
    }
}

fn report(lines: &[String]) -> Report {
    let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    check(text.as_bytes(), None).expect("the protocol of the copy is known")
}

fn only(report: &Report) -> Finding {
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    report.findings[0].clone()
}

fn gap(line: usize, kind: FindingKind, symbol: &str, expected: i128, got: i128) -> Finding {
    let (expected, got) = (Some(expected), Some(got));
    Finding { line: line as u64, kind, symbol: symbol.to_owned(), expected, got }
}

#[test]
fn a_lost_print_of_kraken_spot_is_named() {
    let Some(copy) = Copy::of(SPOT) else { return };
    let lines = copy.lines(&["\"channel\":\"trade\"", "\"type\":\"update\"", "ETH/USD"]);
    for pair in lines.windows(2).skip(1) {
        // The number of the first print of each frame; a frame may hold several.
        let (lost, next) =
            (copy.number(pair[0], "trade_id\":"), copy.number(pair[1], "trade_id\":"));
        let report = copy.dropped(pair[0]);
        let want = gap(pair[1] - 1, FindingKind::TradeGap, "ETH/USD", lost, next);
        assert_eq!((only(&report), report.gaps, report.checksums_bad), (want, 1, 0));
    }
}

#[test]
fn a_doubled_print_of_kraken_spot_is_a_duplicate() {
    let Some(copy) = Copy::of(SPOT) else { return };
    let line = copy.lines(&["\"channel\":\"trade\"", "\"type\":\"update\"", "ETH/USD"])[1];
    let prints = copy.0[line - 1].matches("trade_id").count() as u64;
    let report = copy.doubled(line);
    assert_eq!((report.gaps, report.duplicates), (0, prints));
    let kinds: Vec<_> = report.findings.iter().map(|f| (f.kind, f.line)).collect();
    assert_eq!(kinds, vec![(FindingKind::TradeDuplicate, line as u64 + 1); prints as usize]);
}

#[test]
fn a_lost_change_of_a_kraken_book_is_a_bad_checksum_later_or_leaves_no_trace_and_that_is_said() {
    let Some(copy) = Copy::of(SPOT) else { return };
    let lines = copy.lines(&["\"channel\":\"book\"", "\"type\":\"update\""]);
    let mut seen = 0;
    let tried = lines.iter().step_by(197);
    let count = tried.clone().count();
    for line in tried {
        let report = copy.dropped(*line);
        assert_eq!(report.gaps, 0);
        match report.findings.first() {
            Some(first) => {
                assert_eq!(first.kind, FindingKind::Checksum);
                // The line behind the lost one moved up by one.
                assert!(first.line >= *line as u64, "lost {line}, found {}", first.line);
                assert!(report.checksums_bad > 0);
                seen += 1;
            }
            None => assert_eq!(report.checksums_bad, 0),
        }
        let said = |note: &&str| note.contains("ten best levels") && note.contains("no trace");
        assert!(report.notes.iter().any(said), "{:?}", report.notes);
    }
    println!("{seen} of {count} lost changes were seen");
    assert!(seen > count / 2, "only {seen} of {count} lost changes were seen");
}

#[test]
fn an_altered_digit_of_a_kraken_book_is_a_bad_checksum_at_its_line() {
    let Some(copy) = Copy::of(SPOT) else { return };
    let mut tried = 0;
    for line in
        copy.lines(&["\"channel\":\"book\"", "\"type\":\"update\""]).into_iter().step_by(211)
    {
        let mut lines = copy.0.clone();
        let text = &mut lines[line - 1];
        // The last digit of the first quantity that stands in the book after the message; depth is
        // ten, so whatever stands there is covered.
        let Some(at) = text
            .match_indices("\"qty\":")
            .map(|(at, key)| at + key.len())
            .find(|at| !text[*at..].starts_with("0.00000000"))
        else {
            continue;
        };
        let end = at + text[at..].find('}').expect("an object ends");
        let digit = if text.as_bytes()[end - 1] == b'7' { "8" } else { "7" };
        text.replace_range(end - 1..end, digit);
        let report = report(&lines);
        // A level that fell out of the window with its own message is not covered.
        let Some(first) = report.findings.first() else { continue };
        assert_eq!((first.kind, first.line), (FindingKind::Checksum, line as u64));
        assert_ne!(first.expected, first.got);
        tried += 1;
    }
    assert!(tried > 5, "only {tried} digits were altered");
}

#[test]
fn a_lost_or_doubled_change_of_a_futures_book_is_named() {
    let Some(copy) = Copy::of(FUTURES) else { return };
    for product in ["PI_ETHUSD", "FI_XBTUSD_210924", "PI_XRPUSD"] {
        let lines = copy.lines(&["\"feed\":\"book\"", &format!("\"{product}\""), "\"seq\""]);
        let (first, lost, next) = (lines[0], lines[lines.len() / 2], lines[lines.len() / 2 + 1]);
        let number = |line| copy.number(line, "\"seq\":");
        let report = copy.dropped(lost);
        let want = gap(next - 1, FindingKind::BookGap, product, number(lost), number(next));
        assert_eq!((only(&report), report.gaps), (want, 1));
        let report = copy.doubled(first);
        let want =
            gap(first + 1, FindingKind::BookDuplicate, product, number(first) + 1, number(first));
        assert_eq!((only(&report), report.gaps, report.duplicates), (want, 0, 1));
    }
}

#[test]
fn a_lost_or_doubled_print_of_kraken_futures_is_named() {
    let Some(mut copy) = Copy::of(FUTURES) else { return };
    // The session has one live print per product; two more are derived from it.
    let line = copy.lines(&["\tr\t{\"feed\":\"trade\",", "PI_ETHUSD"])[0];
    let seq = copy.number(line, "\"seq\":");
    for n in 1..=2 {
        let next = copy.0[line - 1].replace(&seq.to_string(), &(seq + n).to_string());
        copy.0.push(next.replace("\"type\":\"fill\"", "\"type\":\"liquidation\""));
    }
    let len = copy.0.len();
    assert_eq!(report(&copy.0).gaps, 0);
    let report = copy.dropped(len - 1);
    let want = gap(len - 1, FindingKind::TradeGap, "PI_ETHUSD", seq + 1, seq + 2);
    assert_eq!((only(&report), report.gaps, report.trades), (want, 1, 1_004));
    let report = copy.doubled(line);
    let want = gap(line + 1, FindingKind::TradeDuplicate, "PI_ETHUSD", seq + 1, seq);
    assert_eq!((only(&report), report.duplicates), (want, 1));
}

#[test]
fn a_lost_or_doubled_change_of_a_binance_book_is_named() {
    let Some(copy) = Copy::of(BINANCE) else { return };
    for symbol in ["YFIUSDT", "KSMUSDT", "DENTUSDT", "XMRUSDT"] {
        let lines = copy.lines(&["depthUpdate", symbol]);
        let at = lines.len() / 2;
        let (before, lost, next) = (lines[at - 1], lines[at], lines[at + 1]);
        let report = copy.dropped(lost);
        let (expected, got) = (copy.number(before, "\"u\":"), copy.number(next, "\"pu\":"));
        assert_eq!(only(&report), gap(next - 1, FindingKind::BookGap, symbol, expected, got));
        let report = copy.doubled(lost);
        let found = only(&report);
        assert_eq!((found.kind, found.line), (FindingKind::BookDuplicate, lost as u64 + 1));
        assert_eq!((found.symbol.as_str(), report.duplicates), (symbol, 1));
        assert_eq!(found.got, Some(copy.number(lost, "\"u\":")));
    }
}

#[test]
fn a_lost_or_doubled_print_of_binance_is_named() {
    let Some(copy) = Copy::of(BINANCE) else { return };
    let lines = copy.lines(&["\"e\":\"aggTrade\"", "XMRUSDT"]);
    let number = |line| copy.number(line, "\"a\":");
    for pair in lines.windows(2).skip(1).step_by(9) {
        let report = copy.dropped(pair[0]);
        let want =
            gap(pair[1] - 1, FindingKind::TradeGap, "XMRUSDT", number(pair[0]), number(pair[1]));
        assert_eq!((only(&report), report.gaps), (want, 1));
        let report = copy.doubled(pair[0]);
        let next = number(pair[0]) + 1;
        let want = gap(pair[0] + 1, FindingKind::TradeDuplicate, "XMRUSDT", next, number(pair[0]));
        assert_eq!((only(&report), report.duplicates), (want, 1));
    }
}

#[test]
fn a_broken_number_of_a_sequenced_book_is_named() {
    let Some(copy) = Copy::of(FUTURES) else { return };
    let line = copy.lines(&["\"feed\":\"book\"", "PI_ETHUSD", "\"seq\""])[5];
    let mut lines = copy.0.clone();
    let long = "\"price\":0.1234567890123456789012345678901,\"qty\"";
    let (start, end) = {
        let text = &lines[line - 1];
        (text.find("\"price\"").expect("a price"), text.find("\"qty\"").expect("a quantity") + 5)
    };
    lines[line - 1].replace_range(start..end, long);
    let report = report(&lines);
    let found = only(&report);
    assert_eq!((found.kind, found.line), (FindingKind::BookUnusable, line as u64));
    assert_eq!((report.checksums_bad, report.gaps), (1, 0));
}
