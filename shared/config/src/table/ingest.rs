//! Purpose: keys of ingest: universe, feeds, state, spool, epochs. Invariants: as in [`crate::area`].
//! It holds no logic.

use std::path::PathBuf;

use rust_decimal::Decimal;

use crate::area::area;
use crate::key::{any, dec, int, ints};

area! {
    /// Which symbols there are.
    pub struct Universe ("universe") {
        /// Size of the pool; 0 is unbounded.
        [I] execution_universe_limit: u32 = Some("200"), int(0, 1_000);
        /// Cap of the L2 layer.
        [I] universe_l2_limit_override: Option<u32> = None, int(1, 1_000);
        /// Cap of the L3 layer.
        [I] universe_l3_limit_override: Option<u32> = None, int(1, 1_000);
        /// Cap of the execution layer.
        [I] universe_exec_limit_override: Option<u32> = None, int(1, 1_000);
        /// Quote assets; one per domain is the money of sizing and ledger.
        [I] universe_quotes: Vec<String> = Some("USD"), any();
        /// File with one denied symbol a line.
        [I] universe_exclude_file: Option<PathBuf> = None, any();
        /// Stablecoins: a pair whose two legs are both in this list or the next is excluded.
        [I] universe_stablecoins: Vec<String> = Some("USDT,USDC,DAI,PYUSD,USDG,RLUSD,TUSD,USDS,USDE,EURC,EURT"), any();
        /// Currencies, as above.
        [I] universe_fx: Vec<String> = Some("USD,EUR,GBP,CAD,AUD,CHF,JPY"), any();
        /// Fewest symbols of a valid epoch.
        [I E] execution_min_universe_size: u32 = Some("5"), int(1, 200);
    }
}

area! {
    /// Books and their samples.
    pub struct Feeds ("feeds") {
        /// Order-by-order (level 3) books. They need KRAKEN_API_KEY in the environment of ingest: without it ingest runs without them when this is not set, and refuses to start when it is.
        [I] l3_enable: bool = Some("true"), any();
        /// Depth of level 3 books.
        [I] l3_depth: u32 = Some("10"), ints(&[10, 100, 1_000]);
        /// Symbols of one level 3 connection.
        [I] l3_symbols_per_conn: u32 = Some("200"), int(1, 200);
        /// Level 3 subscription budget of the account in counter points per second: 200 (standard), 500 (pro). A symbol costs 5, 25, 100 at depth 10, 100, 1000.
        [I] l3_subscribe_rate: u32 = Some("200"), int(1, 500);
        /// Milliseconds between two level 3 samples of a symbol.
        [I] l3_sample_interval_ms: u64 = Some("5000"), int(1_000, 10_000);
        /// Level 3 resyncs of a symbol within ten minutes at which it is blocked.
        [E I] l3_resync_max: u32 = Some("5"), int(1, 100);
        /// Seconds for which it is blocked.
        [E I] l3_hard_block_secs: u64 = Some("1800"), int(1, 86_400);
        /// Depth of L2 books.
        [I] l2_depth: u32 = Some("25"), ints(&[10, 25, 100, 500, 1_000]);
        /// Symbols of one subscribe request.
        [I] l2_subscribe_batch: u32 = Some("25"), int(1, 200).later();
        /// Milliseconds between two subscribe requests.
        [I] l2_subscribe_delay_ms: u64 = Some("100"), int(0, 10_000).later();
        /// Milliseconds between two L2 samples of a symbol that does not move.
        [I] l2_sample_interval_ms: u64 = Some("1000"), int(250, 10_000);
        /// Milliseconds without a frame of a socket after which its quotes are withdrawn.
        [I] quote_silence_ms: u64 = Some("1500"), int(1_100, 10_000);
        /// Seconds without data that are a gap.
        [I] ingest_gap_secs: u64 = Some("120"), int(1, 3_600);
    }
}

area! {
    /// Cuts, warm-up, runs.
    pub struct State ("state") {
        /// Milliseconds between two generations.
        [I] state_refresh_interval_ms: u64 = Some("1000"), int(500, 10_000).multiple_of(250);
        /// Seconds after which a cut and its publication count as slow.
        [I] refresh_max_duration_secs: u64 = Some("10"), int(1, 600);
        /// Seconds of warm-up before the first epoch is judged.
        [I] ingest_warmup_secs: u64 = Some("60"), int(5, 600);
        /// Seconds between two checkpoints of the aggregator.
        [I] checkpoint_interval_secs: u64 = Some("300"), int(30, 3_600);
        /// Oldest checkpoint in seconds that a start takes over; 0 never does.
        [I] warm_start_max_age_secs: u64 = Some("600"), int(0, 3_600);
        /// Hours after which a run is rolled over.
        [I] run_rollover_hours: Decimal = Some("6"), dec("0.02", "8760");
        /// Hours after which ingest exits for a restart; unset never does.
        [I] ingest_max_run_duration_hours: Option<Decimal> = None, dec("0.02", "8760");
    }
}

area! {
    /// Rows on their way to the ingest cluster.
    pub struct Spool ("spool") {
        /// Directory of the spool; a file system of its own is recommended.
        [I E] spool_dir: PathBuf = Some("${PENSTOCK_DATA}/spool"), any();
        /// Most bytes of the spool.
        [I E] spool_max_bytes: u64 = Some("17179869184"), int(1_048_576, i64::MAX);
        /// Bytes that stay free on its disk.
        [I E] spool_min_free_bytes: u64 = Some("2147483648"), int(0, i64::MAX);
        /// Fill in percent that raises SPOOL_HIGH.
        [I E] spool_high_pct: u32 = Some("80"), int(1, 94);
        /// Bytes of a segment.
        [I] spool_segment_bytes: u64 = Some("67108864"), int(65_536, 1_073_741_824);
        /// Bytes between the market core and the spool's thread.
        [I] spool_ring_bytes: u64 = Some("33554432"), int(65_536, 1_073_741_824);
        /// Milliseconds between two syncs of the spool.
        [I] spool_fsync_ms: u64 = Some("100"), int(10, 1_000);
        /// Lag of the sync in milliseconds above which an epoch is not durable.
        [I] spool_sync_max_ms: u64 = Some("2000"), int(100, 60_000);
        /// Most bytes of frames that wait for the decision cluster.
        [I] frame_spool_max_bytes: u64 = Some("4294967296"), int(1_048_576, i64::MAX);
        /// Most hours of frames that wait.
        [I] frame_spool_hours: u32 = Some("24"), int(1, 720);
        /// Most rows of one load transaction.
        [I] raw_copy_max_rows: u32 = Some("20000"), int(1, 1_000_000);
        /// Longest wait in milliseconds before waiting rows are loaded.
        [I] raw_copy_interval_ms: u64 = Some("250"), int(1, 60_000);
        /// Load lag in seconds that raises RAW_LOAD_STALLED.
        [I] raw_stall_max_secs: u64 = Some("30"), int(1, 3_600);
    }
}

area! {
    /// Judged windows of data.
    pub struct Epochs ("epochs") {
        /// Seconds between two epochs.
        [I E] epoch_interval_secs: u64 = Some("300"), int(10, 3_600);
        /// Seconds of data that an epoch judges.
        [I E] epoch_window_secs: u64 = Some("300"), int(10, 300);
        /// Oldest epoch in seconds that execution binds; unset is the greater of twice LIVE_DATA_MAX_AGE_SECS and EPOCH_INTERVAL_SECS + 120.
        [I E] epoch_max_age_secs: Option<u64> = None, int(60, 7_200);
        /// Ticker rows that a symbol needs per 300 s, scaled with the window.
        [I] min_ticker_per_symbol: u32 = Some("10"), int(1, 1_000);
    }
}

area! {
    /// How long things are kept.
    pub struct Retention ("retention") {
        /// Hours that raw partitions are kept.
        [X] raw_retention_hours: Decimal = Some("72"), dec("0.02", "8760");
        /// Hours that level 3 partitions are kept.
        [X] l3_retention_hours: Decimal = Some("24"), dec("0.02", "8760");
        /// Hours that partitions of a run with an order are kept.
        [X] raw_retention_traded_hours: Decimal = Some("336"), dec("0.02", "8760");
        /// Days that decision inputs are kept.
        [X] retention_cycle_inputs_days: u32 = Some("7"), int(1, 3_650);
        /// Days that audit files are kept.
        [X] retention_jsonl_days: u32 = Some("30"), int(1, 3_650);
        /// Days that log files are kept.
        [X] retention_log_days: u32 = Some("14"), int(1, 3_650).later();
        /// Days that event rows are kept.
        [X] retention_events_days: u32 = Some("90"), int(1, 3_650);
        /// Days that snapshots are kept.
        [X] retention_snapshots_days: u32 = Some("30"), int(1, 3_650).later();
        /// Days that answers of the AI gate are kept.
        [X] retention_ai_days: u32 = Some("180"), int(1, 3_650).later();
        /// Directory of backups.
        [X] backup_dir: PathBuf = Some("${PENSTOCK_DATA}/backup"), any().later();
        /// Backups kept.
        [X] backup_keep: u32 = Some("14"), int(1, 365).later();
        /// Hour of the day, UTC, at which a backup is taken.
        [X] backup_hour_utc: u32 = Some("2"), int(0, 23).later();
        /// Directory of exported snapshots.
        [X] observability_export_dir: PathBuf = Some("/var/lib/penstock/observability_export"), any().later();
        /// Seconds between two exports.
        [X] observability_export_interval_secs: u64 = Some("120"), int(1, 86_400).later();
    }
}
