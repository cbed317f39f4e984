//! Purpose: a raw spool with rows for a loader. Inputs: a directory, a run, the numbers of its trades.
//! Outputs: synced segments, and how long writing them took. Invariants: written by the spool's own
//! writer and encoder; nothing is shed: the producer waits while the spool's memory is nearly full. It
//! loads nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock_store::raw_rows::{ROW_VERSION, encode_raw, stream_code};
use penstock_store::spool::loader::{LoadStep, Loader, LoaderSettings};
use penstock_store::spool::{
    Appended, OpenedSpool, Segments, SpoolSettings, SpoolWriter, open_spool, start_writer,
};
use penstock_types::raw::{RawBody, RawRow, TradeRow};
use penstock_types::vocab::{Side, Venue};
use penstock_types::{Decimal, FencingToken, RunId, Seq, Symbol, UtcMicros};
use sqlx::PgPool;

/// How long the producer waits for the disk at a time.
const WAIT: Duration = Duration::from_millis(1);

/// A raw spool that is being written.
pub(super) struct RawSpool {
    run_id: RunId,
    symbols: Vec<Symbol>,
    opened: OpenedSpool,
    writer: SpoolWriter,
    thread: std::thread::JoinHandle<()>,
    ring_bytes: u64,
    tuple: Vec<u8>,
    start: UtcMicros,
    /// Bytes of tuples that were appended.
    pub(super) bytes: u64,
}

/// Trades from one number on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers {
    /// Number of the first row, which is also the number of its trade.
    pub(super) first: u64,
    /// How many.
    pub(super) count: u64,
}

impl RawSpool {
    /// Opens a spool of a run in a directory.
    ///
    /// # Errors
    /// A directory or a thread that cannot be had.
    pub(super) fn open(
        directory: &Path,
        (run_id, token): (RunId, FencingToken),
        symbols: Vec<Symbol>,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let opened = open_spool(directory, token)?;
        let settings = SpoolSettings { free_bytes_min: 0, ..SpoolSettings::raw(token, 1) };
        let ring_bytes = settings.ring_bytes;
        let (writer, thread) =
            start_writer(Arc::clone(&opened.own.segments), settings, run_id, |_| {})?;
        Ok(Self {
            run_id,
            symbols,
            opened,
            writer,
            thread,
            ring_bytes,
            tuple: Vec::new(),
            start: UtcMicros::from(chrono::Utc::now()),
            bytes: 0,
        })
    }

    /// A loader of what is written here.
    pub(super) fn loader(&self, pool: PgPool) -> Loader {
        let segments: Arc<Segments> = Arc::clone(&self.opened.own.segments);
        Loader::new(pool, segments, Some(self.run_id), LoaderSettings::default())
    }

    /// Appends trades. Blocks while the disk is behind.
    ///
    /// # Errors
    /// A spool that sheds although it was waited for.
    pub(super) fn append(&mut self, numbers: Numbers) -> anyhow::Result<()> {
        let monitor = self.writer.monitor();
        for number in numbers.first..numbers.first + numbers.count {
            while monitor.held_bytes() > self.ring_bytes / 8 * 7 {
                std::thread::sleep(WAIT);
            }
            let row = self.trade(number);
            self.tuple.clear();
            encode_raw(&mut self.tuple, self.run_id, &row);
            let stream = stream_code(row.stream());
            let appended =
                self.writer.append(stream, row.seq, ROW_VERSION, row.ts_local, &self.tuple);
            anyhow::ensure!(appended == Appended::Stored, "the spool shed a row of the bench");
            self.bytes += self.tuple.len() as u64;
        }
        Ok(())
    }

    fn trade(&self, number: u64) -> RawRow {
        let n = i64::try_from(number).unwrap_or(i64::MAX);
        let whose = usize::try_from(number).unwrap_or(0) % self.symbols.len().max(1);
        let at = UtcMicros(self.start.0 + n);
        let body = RawBody::Trade(TradeRow {
            venue: Venue::KrakenSpot,
            symbol: self.symbols[whose].clone(),
            trade_id: n,
            side: Side::Buy,
            kind: 'f',
            ord_type: Some('m'),
            price: Decimal::new(6_412_310 + n % 97, 2),
            qty: Decimal::new(12_345_678 + n % 1_009, 8),
            ts_exchange: at,
            conn_id: 1,
        });
        RawRow { seq: Seq(n), ts_local: at, body }
    }

    /// Waits until everything is on the disk.
    pub(super) fn synced(&mut self) {
        let monitor = self.writer.monitor();
        while monitor.held_bytes() > 0 {
            self.writer.request_sync();
            std::thread::sleep(WAIT);
        }
    }

    /// Ends the writer.
    ///
    /// # Errors
    /// A thread that panicked.
    pub(super) fn close(self) -> anyhow::Result<()> {
        drop(self.writer);
        self.thread.join().map_err(|_| anyhow::anyhow!("the spool's thread panicked"))
    }
}

/// Loads until nothing is left; rows that are new.
///
/// # Errors
/// What the cluster said, also what would pass.
pub(super) async fn load_all(loader: &mut Loader) -> anyhow::Result<u64> {
    let mut rows = 0;
    loop {
        match loader.step().await? {
            LoadStep::Loaded(batch) => {
                anyhow::ensure!(
                    batch.duplicates == 0 && batch.quarantined == 0,
                    "rows of the bench were refused: {batch:?}"
                );
                rows += batch.rows;
            }
            LoadStep::Idle => return Ok(rows),
            step @ (LoadStep::Closed(_) | LoadStep::SetAside { .. }) => {
                anyhow::bail!("somebody else closed the bench's run: {step:?}")
            }
        }
    }
}

/// Rows, bytes of their tuples and the time from the first row until the last one is on the disk.
///
/// # Errors
/// A spool that cannot be written.
pub(super) fn write_alone(
    directory: &Path,
    symbols: Vec<Symbol>,
    rows: u64,
) -> anyhow::Result<(u64, u64, Duration)> {
    let mut spool = RawSpool::open(directory, (RunId(1), FencingToken(1)), symbols)?;
    let started = Instant::now();
    spool.append(Numbers { first: 1, count: rows })?;
    spool.synced();
    let (bytes, took) = (spool.bytes, started.elapsed());
    spool.close()?;
    std::fs::remove_dir_all(directory)?;
    Ok((rows, bytes, took))
}

#[cfg(test)]
mod tests {
    use penstock_types::Symbol;

    #[test]
    fn every_row_reaches_the_disk_and_nothing_is_left() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("spool");
        let symbols = vec![Symbol::new("AAA/USD").unwrap(), Symbol::new("BBB/USD").unwrap()];
        let (rows, bytes, _) = super::write_alone(&directory, symbols, 1_000).unwrap();
        assert_eq!(rows, 1_000);
        assert!(bytes > 100 * rows, "{bytes}");
        assert!(!directory.exists());
    }
}
