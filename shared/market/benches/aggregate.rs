//! Time of one row in the aggregator and of a cut. Targets on two cores: 300 ns per row, 1 ms for a cut
//! of 640 symbols in each of which something has happened since the cut before. No allocation per row: rows are applied by reference to memory that stands already.

use criterion::{BatchSize, Criterion, Throughput};
use penstock_market::{Aggregator, FoldConfig, STREAM_UNIVERSE, StateCut};
use penstock_types::raw::{L2Row, RawBody, RawRow, StatusRow, TickerRow, TradeRow};
use penstock_types::vocab::{Side, StatusKind, Venue};
use penstock_types::{Decimal, GenerationId, LineageId, RunId, Seq, Symbol, UtcMicros, Uuid};
use std::hint::black_box;
use std::time::{Duration, Instant};

const T0: i64 = 1_783_465_200_000_000;

fn symbols(n: usize) -> Vec<Symbol> {
    let name = |i| Symbol::new(&format!("S{i:04}/USD")).unwrap_or_else(|e| panic!("{e}"));
    (0..n).map(name).collect()
}

fn universe_row(symbol: &Symbol, seq: i64) -> RawRow {
    let body = StatusRow {
        lineage_id: LineageId(Uuid::nil()),
        venue: Some(Venue::KrakenSpot),
        stream: STREAM_UNIVERSE.to_owned(),
        conn_id: None,
        kind: StatusKind::Connect,
        symbol: Some(symbol.clone()),
        gap_from: None,
        gap_to: None,
        first_seq: None,
        last_seq: None,
        detail: "{}".to_owned(),
    };
    RawRow { seq: Seq(seq), ts_local: UtcMicros(T0), body: RawBody::Status(body) }
}

fn market_row(symbol: &Symbol, i: i64) -> RawBody {
    let price = Decimal::new(6_412_310 + i % 97, 2);
    let one = Decimal::ONE;
    match i % 3 {
        0 => RawBody::L2(L2Row {
            symbol: symbol.clone(),
            ts_exchange: None,
            bid: price,
            ask: price + Decimal::new(1, 1),
            bid_qty: one,
            ask_qty: one,
            spread_bps: Some(Decimal::new(156, 4)),
            microprice: Some(price),
            microprice_dev_bps: Some(Decimal::ZERO),
            imbalance_l1: Some(Decimal::ZERO),
            imbalance_10: Some(Decimal::ZERO),
            depth_bid_10bps_quote: Some(Decimal::from(60_000)),
            depth_ask_10bps_quote: Some(Decimal::from(60_000)),
            updates_since_prev: 3,
            checksum_ok: true,
            book_depth: 25,
            conn_id: 2,
        }),
        1 => RawBody::Trade(TradeRow {
            venue: Venue::KrakenSpot,
            symbol: symbol.clone(),
            trade_id: i,
            side: Side::Buy,
            kind: 'f',
            ord_type: Some('m'),
            price,
            qty: Decimal::new(12_345_678, 8),
            ts_exchange: UtcMicros(T0),
            conn_id: 1,
        }),
        _ => RawBody::Ticker(TickerRow {
            venue: Venue::KrakenSpot,
            symbol: symbol.clone(),
            ts_exchange: None,
            snapshot: false,
            conn_id: 1,
            bid: Some(price),
            ask: Some(price + one),
            last: Some(price),
            bid_qty: Some(one),
            ask_qty: Some(one),
            volume_24h: None,
            vwap_24h: None,
            change_pct_24h: None,
        }),
    }
}

/// Half an hour of market, so that every window of the state is full, and then one second at a time.
struct Seconds {
    fold: Aggregator,
    symbols: Vec<Symbol>,
    seconds: i64,
    seq: i64,
    cuts: i64,
}

impl Seconds {
    fn new(n: usize) -> Self {
        let (fold, _) = prepared(n);
        let mut market = Self { fold, symbols: symbols(n), seconds: 0, seq: 1_000_000, cuts: 0 };
        (0..1_800).for_each(|_| market.next());
        market
    }

    /// Folds a row of each kind for every symbol.
    fn next(&mut self) {
        for i in 0..3_i64 {
            for (k, symbol) in (0_i64..).zip(&self.symbols) {
                let at = T0 + self.seconds * 1_000_000 + i * 300_000;
                self.seq += 1;
                let body = market_row(symbol, i + 3 * (self.seconds * 7 + k));
                let row = RawRow { seq: Seq(self.seq), ts_local: UtcMicros(at), body };
                self.fold.apply(&row);
            }
        }
        self.seconds += 1;
    }

    fn cut(&mut self) -> StateCut {
        self.cuts += 1;
        let as_of = UtcMicros(T0 + self.seconds * 1_000_000);
        self.fold.cut(GenerationId(self.cuts), as_of, LineageId(Uuid::nil()))
    }
}

/// A fold that knows `n` symbols, and 30,000 rows of 40 s behind it.
fn prepared(n: usize) -> (Aggregator, Vec<RawRow>) {
    let symbols = symbols(n);
    let mut aggregator = Aggregator::new(RunId(1), FoldConfig::default());
    let mut seq = 0;
    for symbol in &symbols {
        seq += 1;
        aggregator.apply(&universe_row(symbol, seq));
    }
    let rows: Vec<RawRow> = (0..30_000_i64)
        .map(|i| {
            let symbol = &symbols[usize::try_from(i * 7_919).unwrap_or(0) % n];
            seq += 1;
            RawRow {
                seq: Seq(seq),
                ts_local: UtcMicros(T0 + i * 1_333),
                body: market_row(symbol, i),
            }
        })
        .collect();
    (aggregator, rows)
}

fn benches(c: &mut Criterion) {
    let (aggregator, rows) = prepared(200);
    let mut group = c.benchmark_group("aggregate");
    group.throughput(Throughput::Elements(rows.len() as u64));
    group.bench_function("rows of 200 symbols", |b| {
        b.iter_batched_ref(
            || aggregator.clone(),
            |fold| rows.iter().for_each(|row| fold.apply(black_box(row))),
            BatchSize::LargeInput,
        );
    });
    group.throughput(Throughput::Elements(1));
    let mut market = Seconds::new(640);
    group.bench_function("cut of 640 symbols with its hash", |b| {
        b.iter_custom(|rounds| {
            let mut took = Duration::ZERO;
            for _ in 0..rounds {
                market.next();
                let start = Instant::now();
                black_box(market.cut());
                took += start.elapsed();
            }
            took
        });
    });
    group.finish();
}

/// Median of repeated runs in nanoseconds.
fn median_ns<S>(mut setup: impl FnMut() -> S, mut run: impl FnMut(&mut S)) -> f64 {
    const RUNS: usize = 41;
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let mut state = setup();
            let start = Instant::now();
            run(&mut state);
            start.elapsed().as_nanos() as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}

/// Figures, targets and the machine's name, as a table and as one JSON line.
fn table() {
    let (aggregator, rows) = prepared(200);
    let per_row = median_ns(
        || aggregator.clone(),
        |fold| rows.iter().for_each(|row| fold.apply(black_box(row))),
    ) / rows.len() as f64;
    let mut market = Seconds::new(640);
    let mut cuts: Vec<f64> = (0..41)
        .map(|_| {
            market.next();
            let start = Instant::now();
            black_box(market.cut());
            start.elapsed().as_nanos() as f64
        })
        .collect();
    cuts.sort_by(f64::total_cmp);
    let cut = cuts[cuts.len() / 2];
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let model = line.and_then(|line| line.split_once(": ")).map(|(_, model)| model);
    let machine = model.unwrap_or(std::env::consts::ARCH);
    println!("\nmedian of 41 runs; machine: {machine}");
    println!("{:<34} {:>12} {:>12}", "", "ns", "target ns");
    let figures = [("row of 200 symbols", per_row, 300.0), ("cut of 640 symbols", cut, 1e6)];
    for (name, ns, target) in figures {
        let verdict = if ns <= target { "pass" } else { "over" };
        println!("{name:<34} {ns:>12.0} {target:>12.0} {verdict}");
    }
    let rows: Vec<String> = figures
        .iter()
        .map(|(name, ns, target)| {
            format!(r#"{{"name":"{name}","ns":{ns:.0},"target_ns":{target}}}"#)
        })
        .collect();
    println!(r#"{{"machine":"{machine}","rows":[{}]}}"#, rows.join(","));
}

/// The work whose instructions `scripts/instructions` counts: the name is what it looks for.
#[inline(never)]
fn counted(mut work: impl FnMut()) {
    work();
}

fn kernel(name: &str) {
    match name {
        "aggregator" => {
            let (mut fold, rows) = prepared(200);
            counted(|| rows.iter().for_each(|row| fold.apply(black_box(row))));
        }
        "cut" => {
            let mut market = Seconds::new(640);
            market.cut();
            market.next();
            counted(|| drop(black_box(market.cut())));
        }
        other => panic!("no kernel {other}"),
    }
}

fn main() {
    if let Ok(name) = std::env::var("PENSTOCK_KERNEL") {
        return kernel(&name);
    }
    let mut criterion = Criterion::default().configure_from_args();
    benches(&mut criterion);
    criterion.final_summary();
    // Lists and smoke runs of a test runner want no table.
    if std::env::args().any(|argument| argument == "--bench") {
        table();
    }
}
