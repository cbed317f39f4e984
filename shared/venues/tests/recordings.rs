//! The check over the real recordings, and over copies of them that were damaged.

mod common;

use common::{recordings, unzipped};
use penstock_venues::recording::{CheckError, Cut, Report, check};

const REAL: &str = "kraken_spot_v2/book10_trade_BTCUSD_ETHUSD_20260707.rec.gz";
const DERIVED: &str = "kraken_spot_v2_derived/book1000_trade_7pairs_20210417.rec.gz";
const FUTURES: &str = "kraken_futures/book_trade_tickerlite_10products_20210722.rec.gz";
const BINANCE: &str = "binance_usdm/aggTrade_depth_kline_bookTicker_4symbols_20210417.rec.gz";
const BINANCE_REST: &str = "binance_usdm/rest_depth1000_20210417.rec.gz";

fn numbers(report: &Report) -> (u64, u64, u64, u64, u64, u64, u64) {
    (
        report.frames,
        report.decoded,
        report.errors,
        report.unknown,
        report.trades,
        report.checksums_ok,
        report.checksums_bad,
    )
}

#[test]
fn the_real_session_is_whole() {
    let Some(root) = recordings() else { return };
    let report = check(unzipped(&root.join(REAL)).as_bytes(), None).unwrap();
    assert_eq!(report.protocol, "kraken_spot_v2");
    assert_eq!(numbers(&report), (3_000, 3_000, 0, 0, 17, 2_962, 0));
    assert_eq!(report.symbols, ["BTC/USD", "ETH/USD"]);
    assert!(report.problems.is_empty());
}

#[test]
fn the_derived_session_at_depth_1000_is_whole() {
    let Some(root) = recordings() else { return };
    let report = check(unzipped(&root.join(DERIVED)).as_bytes(), None).unwrap();
    assert_eq!((report.errors, report.unknown), (0, 0));
    assert_eq!((report.checksums_ok, report.checksums_bad), (3_051, 0));
    assert_eq!(report.symbols.len(), 7);
}

#[test]
fn one_altered_digit_of_a_quantity_is_seen() {
    let Some(root) = recordings() else { return };
    let text = unzipped(&root.join(REAL));
    let at = text.find("\"qty\":2.00130641").unwrap();
    let altered = format!("{}\"qty\":2.00130642{}", &text[..at], &text[at + 16..]);
    let report = check(altered.as_bytes(), None).unwrap();
    assert!(report.checksums_bad >= 1);
    assert!(report.problems[0].line > 1);
}

#[test]
fn a_cut_anywhere_in_the_last_line_is_one_error_with_line_and_byte() {
    let Some(root) = recordings() else { return };
    let text = unzipped(&root.join(REAL));
    // A short file with the same last line keeps the many cuts cheap.
    let lines: Vec<&str> = text.lines().collect();
    let short = [lines[0], lines[1], lines[2], lines[5], lines[6]].join("\n");
    let last = short.rfind('\n').unwrap() + 1;
    for end in last + 1..short.len() {
        let report = check(&short.as_bytes()[..end], None).unwrap();
        assert_eq!((report.frames, report.errors), (5, 1), "cut at {end}");
        let problem = &report.problems[0];
        assert_eq!((problem.line, problem.byte), (5, end as u64), "{problem}");
        assert!(problem.text.contains("middle of the line"), "{problem}");
    }
}

#[test]
fn a_cut_compressed_file_is_one_error() {
    let Some(root) = recordings() else { return };
    let text = unzipped(&root.join(REAL));
    let cut = Cut { reason: "gzip ends at byte 40000".to_owned() };
    let report = check(&text.as_bytes()[..100_000], Some(&cut)).unwrap();
    assert_eq!(report.errors, 1);
    assert_eq!(report.problems[0].byte, 100_000);
    assert!(report.problems[0].text.contains("gzip ends at byte 40000"));
}

#[test]
fn the_first_version_of_the_socket_is_refused_by_name() {
    let Some(root) = recordings() else { return };
    for file in [
        "kraken_spot_v1/book10_XBTUSD_20230830.rec.gz",
        "kraken_spot_v1/book1000_trade_ticker_7pairs_20210417.rec.gz",
    ] {
        let text = unzipped(&root.join(file));
        let error = check(text.as_bytes(), None).unwrap_err();
        assert_eq!(error, CheckError::NotDecoded { protocol: "kraken_spot_v1" }, "{file}");
    }
    assert_eq!(check(b"", None).unwrap_err(), CheckError::NotRecognised { lines: 0 });
    assert!(matches!(check(b"what\n", None), Err(CheckError::NotRecognised { lines: 1 })));
}

/// Every recording of a decoded protocol: no error, nothing unknown, no bad checksum, no gap, no
/// duplicate, and the counts of its own listing.
#[test]
fn every_recording_is_whole() {
    let Some(root) = recordings() else { return };
    for (file, protocol, frames, trades, checksums, symbols) in [
        (REAL, "kraken_spot_v2", 3_000, 17, 2_962, 2),
        (DERIVED, "kraken_spot_v2", 3_059, 10, 3_051, 7),
        (FUTURES, "kraken_futures", 7_178, 1_003, 0, 10),
        ("kraken_futures/rest_instruments_20210722.rec.gz", "kraken_futures", 1, 0, 0, 27),
        (BINANCE, "binance_um", 3_259, 185, 0, 4),
        (BINANCE_REST, "binance_um", 4, 0, 0, 4),
        ("binance_usdm/rest_exchangeInfo_20210417.rec.gz", "binance_um", 1, 0, 0, 113),
    ] {
        let report = check(unzipped(&root.join(file)).as_bytes(), None).unwrap();
        assert_eq!(report.protocol, protocol, "{file}");
        let numbers = (report.frames, report.decoded, report.trades, report.checksums_ok);
        assert_eq!(numbers, (frames, frames, trades, checksums), "{file}");
        let bad = (report.errors, report.unknown, report.checksums_bad);
        assert_eq!(bad, (0, 0, 0), "{file}: {:?}", report.problems);
        assert_eq!((report.gaps, report.duplicates), (0, 0), "{file}: {:?}", report.findings);
        assert_eq!(report.symbols.len(), symbols, "{file}: {:?}", report.symbols);
        assert!(report.findings.is_empty() && report.problems.is_empty(), "{file}");
    }
}
