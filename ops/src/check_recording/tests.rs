//! The command over whole, altered and cut recordings.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use penstock_venues::recording::check as check_text;

use super::{EXIT_DIFFERENT, EXIT_UNREADABLE, EXIT_WHOLE, read, run};
use crate::arguments::Output;

const REAL: &str = "kraken_spot_v2/book10_trade_BTCUSD_ETHUSD_20260707.rec.gz";

fn recordings() -> Option<PathBuf> {
    let root = match std::env::var_os("PENSTOCK_RECORDINGS") {
        Some(root) => PathBuf::from(root),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/recordings"),
    };
    if root.is_dir() {
        return Some(root);
    }
    println!("skipped: no recordings at {} (PENSTOCK_RECORDINGS)", root.display());
    None
}

/// A short recording: an image and a change of one symbol, checksums right.
fn small() -> String {
    // The checksums were computed with another implementation (zlib over the digits).
    let frame = |kind: &str, price: &str, checksum: u32| {
        format!(
            "-\tr\t{{\"channel\":\"book\",\"type\":\"{kind}\",\"data\":[{{\"symbol\":\"BTC/USD\",\
             \"bids\":[],\"asks\":[{{\"price\":{price},\"qty\":0.00000001}}],\
             \"checksum\":{checksum}}}]}}\n"
        )
    };
    let image = frame("snapshot", "10.5", 3_193_399_236);
    let change = frame("update", "10.6", 4_176_397_803);
    format!("{image}{change}")
}

fn command(path: &Path) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = run(path, Output::Json, &mut out, &mut err).unwrap();
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

fn zipped(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

#[test]
fn real_recordings_are_whole() {
    let Some(root) = recordings() else { return };
    let (code, out, err) = command(&root.join(REAL));
    assert_eq!(
        out,
        "{\"protocol\":\"kraken_spot_v2\",\"frames\":3000,\"decoded\":3000,\"errors\":0,\
         \"unknown\":0,\"symbols\":[\"BTC/USD\",\"ETH/USD\"],\"trades\":17,\
         \"checksums_ok\":2962,\"checksums_bad\":0,\"gaps\":0,\"duplicates\":0,\"findings\":[],\
         \"notes\":[\"books: a checksum covers the ten best levels; a lost change that never reaches \
         them leaves no trace\",\"prints: a loss shows at the symbol's next print; one after the last, \
         or before the first, leaves no trace\"]}\n"
    );
    assert_eq!((code, err.as_str()), (EXIT_WHOLE, ""));
}

/// Every `.rec.gz` of the protocols that are decoded, whatever lies there.
#[test]
fn every_recording_of_a_decoded_protocol_exits_zero() {
    let Some(root) = recordings() else { return };
    let mut seen = 0;
    for directory in ["kraken_spot_v2", "kraken_spot_v2_derived", "kraken_futures", "binance_usdm"]
    {
        let listing = std::fs::read_dir(root.join(directory)).unwrap();
        for path in listing.map(|entry| entry.unwrap().path()) {
            if !path.to_string_lossy().ends_with(".rec.gz") {
                continue;
            }
            let (code, out, err) = command(&path);
            assert_eq!((code, err.as_str()), (EXIT_WHOLE, ""), "{}: {out}", path.display());
            for zero in ["errors", "unknown", "checksums_bad", "gaps", "duplicates"] {
                assert!(out.contains(&format!("\"{zero}\":0,")), "{}: {out}", path.display());
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 7);
}

#[test]
fn the_first_version_of_the_socket_exits_two() {
    let Some(root) = recordings() else { return };
    let (code, out, err) = command(&root.join("kraken_spot_v1/book10_XBTUSD_20230830.rec.gz"));
    assert_eq!((code, out.as_str()), (EXIT_UNREADABLE, ""));
    assert!(err.contains("kraken_spot_v1, which this version does not decode"), "{err}");
}

/// Lines of a recording of Kraken Futures: an image, and changes with these numbers.
fn futures(numbers: &[u64]) -> String {
    let image = r#"{"feed":"book_snapshot","product_id":"PF_XBTUSD","timestamp":1,"seq":7,"tickSize":null,"bids":[],"asks":[]}"#;
    let mut text = format!("-\tr\t{image}\n");
    for number in numbers {
        text.push_str(&format!(
            "-\tr\t{{\"feed\":\"book\",\"product_id\":\"PF_XBTUSD\",\"side\":\"buy\",\"seq\":{number},\
             \"price\":1.5,\"qty\":2.0,\"timestamp\":1}}\n"
        ));
    }
    text
}

#[test]
fn a_gap_exits_fifteen_and_is_named_in_json_and_in_words() {
    let (code, out, err) = command(file(futures(&[8, 10]).as_bytes()).path());
    assert_eq!(code, EXIT_DIFFERENT);
    let finding = "\"gaps\":1,\"duplicates\":0,\"findings\":[{\"line\":3,\"kind\":\"book_gap\",\
                   \"symbol\":\"PF_XBTUSD\",\"expected\":9,\"got\":10}]";
    assert!(out.contains(finding), "{out}");
    assert!(err.contains("line 3, byte"), "{err}");
    assert!(err.contains("PF_XBTUSD: book changes are missing: expected 9, got 10"), "{err}");
}

#[test]
fn a_duplicate_is_reported_and_exits_zero() {
    let (code, out, err) = command(file(futures(&[8, 8, 9]).as_bytes()).path());
    assert_eq!((code, err.as_str()), (EXIT_WHOLE, ""));
    let finding = "\"gaps\":0,\"duplicates\":1,\"findings\":[{\"line\":3,\"kind\":\"book_duplicate\",\
                   \"symbol\":\"PF_XBTUSD\",\"expected\":9,\"got\":8}]";
    assert!(out.contains(finding), "{out}");
}

#[test]
fn an_altered_digit_exits_fifteen_and_names_the_line() {
    let Some(root) = recordings() else { return };
    let (bytes, _) = read(&root.join(REAL)).unwrap();
    let text = String::from_utf8(bytes).unwrap().replacen("2.00130641", "2.00130642", 1);
    let altered = file(&zipped(&text));
    let (code, out, err) = command(altered.path());
    assert_eq!(code, EXIT_DIFFERENT);
    assert!(!out.contains("\"checksums_bad\":0"), "{out}");
    assert!(err.contains("line 9, byte"), "{err}");
}

#[test]
fn a_gzip_cut_at_every_offset_is_one_error_with_line_and_byte() {
    let whole = zipped(&small());
    // The first offset at which a gzip header is complete; before it there is nothing to recognise.
    for end in 2..whole.len() {
        let cut = file(&whole[..end]);
        let (bytes, note) = read(cut.path()).unwrap();
        let note = note.unwrap_or_else(|| panic!("cut at {end} was not seen"));
        assert!(note.reason.contains(&format!("byte {end}")), "{}", note.reason);
        let (code, out, err) = command(cut.path());
        match check_text(&bytes, Some(&note)) {
            Ok(report) => {
                assert_eq!(report.errors, 1, "cut at {end}: {out} {err}");
                assert_eq!(code, EXIT_DIFFERENT);
                assert_eq!(
                    err.matches(": line ").count() as u64,
                    report.errors + report.checksums_bad
                );
            }
            Err(_) => assert_eq!(code, EXIT_UNREADABLE),
        }
    }
}

#[test]
fn a_cut_line_exits_fifteen() {
    let text = small();
    let cut = file(&text.as_bytes()[..text.len() - 10]);
    let (code, out, err) = command(cut.path());
    assert_eq!(code, EXIT_DIFFERENT);
    assert!(out.contains("\"frames\":2,\"decoded\":1,\"errors\":1"), "{out}");
    assert!(err.contains(&format!("line 2, byte {}", text.len() - 10)), "{err}");
    assert!(err.contains("middle of the line"), "{err}");
}

#[test]
fn what_cannot_be_read_or_is_not_known_exits_two() {
    let (code, out, err) = command(Path::new("/nonexistent/file.rec.gz"));
    assert_eq!((code, out.as_str()), (EXIT_UNREADABLE, ""));
    assert!(err.contains("/nonexistent/file.rec.gz"), "{err}");
    let other = file(b"-\tr\t{\"event\":\"pong\",\"reqid\":1}\n");
    let (code, _, err) = command(other.path());
    assert_eq!(code, EXIT_UNREADABLE);
    assert!(err.contains("protocol not known"), "{err}");
    let (code, _, _) = command(file(b"").path());
    assert_eq!(code, EXIT_UNREADABLE);
}

#[test]
fn the_table_has_the_same_numbers() {
    let whole = file(small().as_bytes());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    run(whole.path(), Output::Human, &mut out, &mut err).unwrap();
    let out = String::from_utf8(out).unwrap();
    for line in ["frames         2\n", "gaps           0\n", "note           books: "] {
        assert!(out.contains(line), "{out}");
    }
}
