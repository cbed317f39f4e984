//! The command over whole, altered and cut recordings.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use penstock_venues::recording::check as check_text;

use super::{EXIT_DIFFERENT, EXIT_UNREADABLE, EXIT_WHOLE, Output, read, run};

const REAL: &str = "kraken_spot_v2/book10_trade_BTCUSD_ETHUSD_20260707.rec.gz";
const DERIVED: &str = "kraken_spot_v2_derived/book1000_trade_7pairs_20210417.rec.gz";

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
         \"checksums_ok\":2962,\"checksums_bad\":0}\n"
    );
    assert_eq!((code, err.as_str()), (EXIT_WHOLE, ""));
    let (code, _, err) = command(&root.join(DERIVED));
    assert_eq!((code, err.as_str()), (EXIT_WHOLE, ""));
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
    let other = file(b"-\tr\t{\"event\":\"info\",\"version\":1}\n");
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
    assert!(out.contains("frames         2\n"), "{out}");
}
