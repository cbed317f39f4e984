//! Purpose: the figures of `bench ingest`. Inputs: what was measured. Outputs: a report beside the
//! targets. Invariants: a target of a machine with two cores stands beside every figure that has one; a
//! figure that depends on the bench's own choices says which.

use std::time::Duration;

use super::super::figures::{Figure, Report, Target, as_float};
use super::{Args, Flood, Measured};

const MIB: f64 = 1_048_576.0;

/// Rows per second from the socket to durable rows.
const ROWS_PER_S_MIN: f64 = 150_000.0;
/// The same as a share of what a bare copy of the same rows gives in the same run.
const FLOOR_SHARE_MIN: f64 = 0.35;
/// Frames per second when most are book changes.
const BOOK_FRAMES_PER_S_MIN: f64 = 200_000.0;
/// Memory of a symbol with a book.
const L2_SYMBOL_KIB_MAX: f64 = 64.0;
/// Memory of the service with 200 symbols: half of what both services may have.
const SERVICE_SYMBOLS: u32 = 200;

/// The figures.
pub(super) fn of(args: &Args, measured: &Measured) -> Report {
    let mut figures = flood_figures(measured);
    figures.extend(memory_figures(measured));
    figures.extend(alone_figures(measured));
    let lost = as_float(measured.lost_trades);
    figures.push(Figure::of("trades sent and in no table", lost, "rows", Some(Target::Max(0.0))));
    let faults = as_float(measured.faults);
    let name = "rows about gaps, drops, checksums, lost sockets";
    figures.push(Figure::of(name, faults, "rows", Some(Target::Max(0.0))));
    Report {
        bench: "ingest",
        setting: vec![
            ("symbols", args.symbols.to_string()),
            ("seconds", args.seconds.to_string()),
            ("memory_seconds", args.memory_seconds.to_string()),
            ("floor_rows", args.floor_rows.to_string()),
        ],
        figures,
        notes: notes(measured),
    }
}

fn flood_figures(measured: &Measured) -> Vec<Figure> {
    let Measured { rows, books, copy, .. } = measured;
    let (copied, copy_took) = *copy;
    let durable = (rows.rows, rows.took);
    let floor = rate(copied, copy_took);
    let share = rate(rows.rows, rows.took) / floor.max(f64::EPSILON);
    vec![
        Figure::per_second(
            "trades: socket → durable rows",
            durable,
            "rows/s",
            Some(ROWS_PER_S_MIN),
        ),
        Figure::per_second("floor: binary copy of such rows, with keys", *copy, "rows/s", None),
        Figure::of("share of the floor", share, "", Some(Target::Min(FLOOR_SHARE_MIN))),
        Figure::per_second("trades: frames taken", (rows.sent.frames, rows.took), "frames/s", None),
        Figure::per_second(
            "mostly book changes: frames taken",
            (books.sent.frames, books.took),
            "frames/s",
            Some(BOOK_FRAMES_PER_S_MIN),
        ),
        cpu_per("trades: processor time of the service", rows.cpu, rows.rows, "µs/row"),
        cpu_per("books: processor time of the service", books.cpu, books.sent.frames, "µs/frame"),
    ]
}

fn memory_figures(measured: &Measured) -> Vec<Figure> {
    let [(few, small), (many, large)] = measured.memory;
    let symbols = (many - few).max(1) as u64;
    let more = as_float(large.rss_bytes) - as_float(small.rss_bytes);
    let per_symbol = more / as_float(symbols) / 1_024.0;
    let mib = |bytes: u64| as_float(bytes) / MIB;
    vec![
        Figure::of(
            format!("memory per L2 symbol ({few} to {many})"),
            per_symbol,
            "KiB",
            Some(Target::Max(L2_SYMBOL_KIB_MAX)),
        ),
        Figure::of(format!("memory with {many} symbols, calm"), mib(large.rss_bytes), "MiB", None),
        Figure::of("memory after the floods", mib(measured.after.rss_bytes), "MiB", None),
        Figure::of("most memory of the run", mib(measured.after.rss_max_bytes), "MiB", None),
    ]
}

fn alone_figures(measured: &Measured) -> Vec<Figure> {
    let (rows, bytes, took) = measured.spool;
    let mib_per_s = rate(bytes, took) / MIB;
    vec![
        Figure::per_second("spool alone: encoded and synced", (rows, took), "rows/s", None),
        Figure::of("spool alone", mib_per_s, "MiB/s", None),
    ]
}

fn rate(count: u64, took: Duration) -> f64 {
    as_float(count) / took.as_secs_f64().max(f64::EPSILON)
}

fn cpu_per(name: &str, cpu: Duration, count: u64, unit: &'static str) -> Figure {
    let each = cpu.as_secs_f64() * 1e6 / as_float(count.max(1));
    Figure::of(name, each, unit, None)
}

fn notes(measured: &Measured) -> Vec<String> {
    let told = |name: &str, flood: &Flood| {
        format!(
            "{name}: {} frames, {} trades, {:.0} MiB in {:.1} s; everything durable {:.1} s later; {} rows.",
            flood.sent.frames,
            flood.sent.trades,
            as_float(flood.sent.bytes) / MIB,
            flood.sending.as_secs_f64(),
            flood.took.saturating_sub(flood.sending).as_secs_f64(),
            flood.rows,
        )
    };
    vec![
        told("Flood of trades", &measured.rows),
        told("Flood of book changes", &measured.books),
        "Of a hundred frames 80 are trades (two each), 10 tickers, 10 book changes; in the second flood 1, 4 and 95. Times end when the last trade stands in its table.".to_owned(),
        format!("Both clusters, the sender and the service share the machine; both services may have 1 GiB together at {SERVICE_SYMBOLS} symbols."),
    ]
}
