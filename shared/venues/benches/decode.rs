//! Decoding frames, and applying book changes with their checksum, per message.
//!
//! Input: the real recordings (`PENSTOCK_RECORDINGS`), else frames made here. Output: criterion's
//! statistics, a table with the targets, and the same as one JSON line. Targets are figures to compare
//! with on the machine that is named, not tests.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::Read;
use std::path::PathBuf;
use std::time::Instant;

use criterion::{BatchSize, Criterion};
use penstock_venues::kraken::book::{Book, Precision};
use penstock_venues::kraken::level3_book::Level3Book;
use penstock_venues::kraken::{Frame, decode};

/// One row of the table: what, nanoseconds per message, target if there is one.
struct Row {
    name: &'static str,
    ns: f64,
    target_ns: Option<f64>,
}

/// Frames of one recording, and the books after its first images.
struct Session {
    trades: Vec<String>,
    updates: Vec<String>,
    books: BTreeMap<String, Book>,
}

fn session(depth: u32, lines: &[String]) -> Session {
    let mut session = Session { trades: vec![], updates: vec![], books: BTreeMap::new() };
    for text in lines {
        match decode(text) {
            Ok(Frame::Trade(_)) => session.trades.push(text.clone()),
            Ok(Frame::Book(message)) if message.is_snapshot() => {
                for row in &message.rows {
                    let digits = |f: fn(&penstock_venues::kraken::public::LevelRow<'_>) -> u8| {
                        row.bids.iter().chain(&row.asks).map(f).max().unwrap_or(0)
                    };
                    let precision = Precision {
                        price: digits(|l| l.price.fraction_digits()),
                        qty: digits(|l| l.qty.fraction_digits()),
                    };
                    let mut book = Book::new(depth, precision);
                    book.apply_snapshot(row).expect("the digits are its own");
                    session.books.insert(row.symbol.to_string(), book);
                }
            }
            Ok(Frame::Book(_)) => session.updates.push(text.clone()),
            _ => {}
        }
    }
    session
}

fn recorded(file: &str) -> Option<Vec<String>> {
    let root = match std::env::var_os("PENSTOCK_RECORDINGS") {
        Some(root) => PathBuf::from(root),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/recordings"),
    };
    let file = std::fs::File::open(root.join(file)).ok()?;
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).ok()?;
    Some(text.lines().filter_map(|line| line.splitn(3, '\t').nth(2)).map(str::to_owned).collect())
}

/// A session without a recording: an image and changes near the best prices.
fn made(depth: u32) -> Vec<String> {
    let level = |price: u32, qty: u32| format!(r#"{{"price":{price}.5,"qty":0.{qty:08}}}"#);
    let side = |from: u32, up: bool| {
        (0..depth)
            .map(|n| level(if up { from + n } else { from - n }, 100_000 + n))
            .collect::<Vec<_>>()
            .join(",")
    };
    let frame = |kind: &str, bids: &str, asks: &str| {
        format!(
            r#"{{"channel":"book","type":"{kind}","data":[{{"symbol":"BTC/USD","bids":[{bids}],"asks":[{asks}],"checksum":1,"timestamp":"2026-07-07T23:00:03.977459Z"}}]}}"#
        )
    };
    let mut lines = vec![frame("snapshot", &side(60_000, false), &side(60_001, true))];
    for n in 0..1_000u32 {
        lines.push(frame("update", &level(60_000 - n % 9, 50_000 + n), ""));
        lines.push(r#"{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":60001.5,"qty":0.00100000,"ord_type":"market","trade_id":1,"timestamp":"2026-07-07T23:00:03.977459Z"}]}"#.to_owned());
    }
    lines
}

fn decode_all(texts: &[String]) {
    for text in texts {
        black_box(decode(black_box(text)).expect("a frame of the recording"));
    }
}

fn apply_all(books: &mut BTreeMap<String, Book>, updates: &[Frame<'_>]) {
    for frame in updates {
        let Frame::Book(message) = frame else { continue };
        for row in &message.rows {
            if let Some(book) = books.get_mut(row.symbol.as_str()) {
                black_box(book.apply_update(black_box(row)).expect("digits fit"));
            }
        }
    }
}

/// An order-by-order session, which no public recording holds: an image of ten levels with five orders
/// each, then changes in the form that the venue was seen to send most, one order gone and one come.
fn made_level3() -> (Level3Book, Vec<String>) {
    let order = |event: &str, id: u32, price: u32, qty: u32| {
        format!(
            r#"{{{event}"order_id":"O{id:05}-RHRAK-GGAHJE","limit_price":{price}.3,"order_qty":0.{qty:08},"timestamp":"2024-05-19T18:59:46.{:09}Z"}}"#,
            id % 1_000_000_000
        )
    };
    let frame = |kind: &str, bids: &str, asks: &str| {
        format!(
            r#"{{"channel":"level3","type":"{kind}","data":[{{"checksum":1,"timestamp":"2024-05-19T18:59:46.999999999Z","symbol":"BTC/USD","bids":[{bids}],"asks":[{asks}]}}]}}"#
        )
    };
    let price = |id: u32| 60_000 - id % 10;
    let bids: Vec<String> = (0..50).map(|id| order("", id, price(id), 1_000 + id)).collect();
    let asks: Vec<String> =
        (0..50).map(|id| order("", 90_000 + id, 60_001 + id % 10, 1_000 + id)).collect();
    let image = frame("snapshot", &bids.join(","), &asks.join(","));
    let mut book = Level3Book::new(10, Precision { price: 1, qty: 8 });
    let Ok(Frame::Level3(message)) = decode(&image) else { unreachable!("made here") };
    book.apply_snapshot(&message.rows[0]).expect("digits fit");
    let changes = (50..2_050).map(|id| {
        let gone = order("\"event\":\"delete\",", id - 50, price(id - 50), 1_000 + id - 50);
        let come = order("\"event\":\"add\",", id, price(id), 1_000 + id);
        frame("update", &format!("{gone},{come}"), "")
    });
    (book, changes.collect())
}

fn apply_level3(book: &mut Level3Book, updates: &[Frame<'_>]) {
    for frame in updates {
        let Frame::Level3(message) = frame else { continue };
        for row in &message.rows {
            let apply = book.apply_update(black_box(row), |change| {
                black_box(change);
            });
            black_box(apply.expect("every order is known"));
        }
    }
}

/// Median of repeated runs, nanoseconds per message.
fn measure<S>(messages: usize, mut setup: impl FnMut() -> S, mut run: impl FnMut(&mut S)) -> f64 {
    const RUNS: usize = 41;
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let mut state = setup();
            let start = Instant::now();
            run(&mut state);
            start.elapsed().as_nanos() as f64 / messages.max(1) as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}

/// What is measured.
struct Work<'a> {
    trades: &'a [String],
    shallow: &'a Session,
    shallow_frames: Vec<Frame<'a>>,
    deep: &'a Session,
    deep_frames: Vec<Frame<'a>>,
    level3_book: Level3Book,
    level3_texts: &'a [String],
    level3_frames: Vec<Frame<'a>>,
}

fn frames(texts: &[String]) -> Vec<Frame<'_>> {
    texts.iter().map(|text| decode(text).expect("decoded before")).collect()
}

/// The work whose instructions `scripts/instructions` counts: the name is what it looks for.
#[inline(never)]
fn counted(mut work: impl FnMut()) {
    work();
}

/// One kernel on frames made here, so that its count does not depend on recordings.
fn kernel(name: &str) {
    let depth = if name.ends_with("1000") { 1_000 } else { 10 };
    let session = session(depth, &made(depth));
    let frames: Vec<Frame<'_>> =
        session.updates.iter().map(|text| decode(text).expect("decoded before")).collect();
    let mut books = session.books.clone();
    match name {
        "decode-trade" => counted(|| decode_all(&session.trades)),
        "decode-book" => counted(|| decode_all(&session.updates)),
        "book-10" | "book-1000" => counted(|| apply_all(&mut books, &frames)),
        other => panic!("no kernel {other}"),
    }
}

fn main() {
    if let Ok(name) = std::env::var("PENSTOCK_KERNEL") {
        return kernel(&name);
    }
    let shallow_lines = recorded("kraken_spot_v2/book10_trade_BTCUSD_ETHUSD_20260707.rec.gz");
    let deep_lines = recorded("kraken_spot_v2_derived/book1000_trade_7pairs_20210417.rec.gz");
    let source =
        if shallow_lines.is_some() && deep_lines.is_some() { "recordings" } else { "made" };
    let shallow = session(10, &shallow_lines.unwrap_or_else(|| made(10)));
    let deep = session(1_000, &deep_lines.unwrap_or_else(|| made(1_000)));
    // A recording has few prints; repeated, they fill a measurable run.
    let trades: Vec<String> = shallow.trades.iter().cycle().take(1_000).cloned().collect();
    let (level3_book, level3_texts) = made_level3();
    let work = Work {
        trades: &trades,
        shallow: &shallow,
        shallow_frames: frames(&shallow.updates),
        deep: &deep,
        deep_frames: frames(&deep.updates),
        level3_book,
        level3_texts: &level3_texts,
        level3_frames: frames(&level3_texts),
    };
    statistics(&work);
    // Lists and smoke runs of a test runner want no table.
    if std::env::args().any(|argument| argument == "--bench") {
        table(&rows(&work), source);
    }
}

fn statistics(work: &Work<'_>) {
    let mut criterion = Criterion::default().configure_from_args();
    for (name, texts) in [
        ("decode/trade x1000", work.trades),
        ("decode/book session", &work.shallow.updates),
        ("decode/level3 x2000 (made)", work.level3_texts),
    ] {
        criterion.bench_function(name, |b| b.iter(|| decode_all(texts)));
    }
    criterion.bench_function("apply/level3 depth 10 (made)", |b| {
        b.iter_batched_ref(
            || work.level3_book.clone(),
            |book| apply_level3(book, &work.level3_frames),
            BatchSize::LargeInput,
        );
    });
    for (name, session, frames) in [
        ("apply/depth 10", work.shallow, &work.shallow_frames),
        ("apply/depth 1000", work.deep, &work.deep_frames),
    ] {
        criterion.bench_function(name, |b| {
            b.iter_batched_ref(
                || session.books.clone(),
                |books| apply_all(books, frames),
                BatchSize::LargeInput,
            );
        });
    }
    criterion.final_summary();
}

fn rows(work: &Work<'_>) -> [Row; 6] {
    let decode = |texts: &[String]| measure(texts.len(), || (), |()| decode_all(texts));
    let apply = |session: &Session, frames: &[Frame<'_>]| {
        measure(frames.len(), || session.books.clone(), |books| apply_all(books, frames))
    };
    let apply_orders = measure(
        work.level3_frames.len(),
        || work.level3_book.clone(),
        |book| apply_level3(book, &work.level3_frames),
    );
    let row = |name, ns, target_ns| Row { name, ns, target_ns };
    [
        row("decode trade", decode(work.trades), Some(500.0)),
        row("decode book", decode(&work.shallow.updates), Some(600.0)),
        row("decode level3 (made)", decode(work.level3_texts), Some(800.0)),
        row("apply + crc, depth 10", apply(work.shallow, &work.shallow_frames), Some(1e3)),
        row("apply + crc, depth 1000", apply(work.deep, &work.deep_frames), Some(2e3)),
        row("apply + crc, level3 (made)", apply_orders, None),
    ]
}

fn table(rows: &[Row], source: &str) {
    let machine = std::fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?.to_owned();
            Some(line.split(": ").nth(1)?.to_owned())
        })
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    println!("\nper message, median of 41 runs; frames: {source}; machine: {machine}");
    println!("{:<26} {:>10} {:>10}", "", "ns", "target ns");
    for row in rows {
        let (target, verdict) = match row.target_ns {
            Some(target) => {
                (format!("{target:.0}"), if row.ns <= target { "pass" } else { "over" })
            }
            None => ("-".to_owned(), "no target"),
        };
        println!("{:<26} {:>10.0} {target:>10} {verdict}", row.name, row.ns);
    }
    let rows: Vec<serde_json::Value> = rows
        .iter()
        .map(|row| {
            serde_json::json!({"name": row.name, "ns": row.ns.round(), "target_ns": row.target_ns})
        })
        .collect();
    println!("{}", serde_json::json!({"machine": machine, "frames": source, "rows": rows}));
}
