//! Purpose: keys of the risk gate, of audit and panel. Invariants: as in [`crate::area`]. It holds no
//! logic.

use std::path::PathBuf;

use rust_decimal::Decimal;

use crate::area::area;
use crate::key::{any, dec, int};

area! {
    /// The risk gate.
    pub struct Risk ("risk") {
        /// Quote risked by one trade.
        [E] risk_per_trade_quote: Decimal = Some("100.00"), dec("0.01", "1000000000");
        /// Greatest exposure of a symbol in quote.
        [E] risk_max_exposure_symbol_quote: Decimal = Some("200.00"), dec("0.01", "1000000000");
        /// Greatest exposure of all symbols in quote.
        [E] risk_max_exposure_total_quote: Decimal = Some("500.00"), dec("0.01", "1000000000");
        /// Drawdown in quote that ends entries.
        [E] risk_max_drawdown_quote: Decimal = Some("500.00"), dec("0.01", "1000000000");
        /// Most open entry orders of a symbol.
        [E] risk_max_open_orders_per_symbol: u32 = Some("1"), int(1, 1_000);
        /// Most open entry orders.
        [E] risk_max_open_orders_total: u32 = Some("10"), int(1, 10_000);
        /// Most positions opened in a day.
        [E] risk_max_trades_per_day: u32 = Some("20"), int(1, 1_000_000);
        /// Seconds of the sliding window of a symbol.
        [E] risk_trades_window_seconds: u64 = Some("3600"), int(1, 604_800);
        /// Most positions of a symbol opened in it.
        [E] risk_max_trades_per_window: u32 = Some("3"), int(1, 1_000_000);
        /// Seconds without entries on a symbol after a stop.
        [E] risk_cooldown_seconds: u64 = Some("300"), int(0, 604_800);
        /// Losing exits in a row that end entries on a symbol.
        [E] risk_max_consecutive_losses: u32 = Some("3"), int(1, 1_000);
        /// Seconds after the last loss that reset the streak.
        [E] risk_loss_streak_reset_seconds: u64 = Some("3600"), int(1, 604_800);
        /// Age of frames at use in milliseconds, p90 of 60 s, that ends entries.
        [E] risk_feed_latency_threshold_ms: u64 = Some("1000"), int(1, 600_000);
        /// Greatest quantity that any contract may name.
        [E] constraints_max_qty: Decimal = Some("1000000000"), dec("0.000000000001", "1000000000000000");
    }
}

area! {
    /// The least edge under stress.
    pub struct Adaptive ("adaptive") {
        /// Spread against its average, times 10,000, from which the least edge grows.
        [E] risk_adaptive_spread_factor_x10000: u32 = Some("15000"), int(1, 10_000_000);
        /// Volatility against normal, times 10,000, from which it grows.
        [E] risk_adaptive_volatility_factor_x10000: u32 = Some("15000"), int(1, 10_000_000);
        /// Liquidity against normal, times 10,000, below which it grows.
        [E] risk_adaptive_liquidity_floor_x10000: u32 = Some("5000"), int(1, 10_000_000);
        /// Greatest factor, times 10,000.
        [E] risk_adaptive_max_multiplier_x10000: u32 = Some("30000"), int(10_000, 10_000_000);
        /// Normal true range in bps.
        [E] risk_adaptive_normal_atr_bps: Decimal = Some("50"), dec("0.0001", "10000");
        /// Factor of the spread, times 10,000.
        [E] risk_adaptive_spread_step_x10000: u32 = Some("12000"), int(10_000, 10_000_000);
        /// Factor of the volatility, times 10,000.
        [E] risk_adaptive_volatility_step_x10000: u32 = Some("13000"), int(10_000, 10_000_000);
        /// Factor of the liquidity, times 10,000.
        [E] risk_adaptive_liquidity_step_x10000: u32 = Some("14000"), int(10_000, 10_000_000);
    }
}

area! {
    /// Too many changes, too many failures.
    pub struct Churn ("churn, quarantine") {
        /// Cancels with a new order of a symbol in 10 s.
        [E] risk_churn_max_cancel_replace_10s: u32 = Some("3"), int(1, 10_000);
        /// Cancels of a symbol in 10 s.
        [E] risk_churn_max_cancel_10s: u32 = Some("5"), int(1, 10_000);
        /// New orders of a symbol in 10 s.
        [E] risk_churn_max_new_orders_10s: u32 = Some("5"), int(1, 10_000);
        /// Seconds without entries after a hit.
        [E] risk_churn_cooldown_seconds: u64 = Some("60"), int(1, 604_800);
        /// Percent of the venue's counter above which there are no entries.
        [E] risk_counter_entry_pct: u32 = Some("60"), int(1, 100);
        /// Percent above which orders are not moved either.
        [E] risk_counter_repeg_pct: u32 = Some("80"), int(1, 100);
        /// Rejections of a symbol in an hour.
        [E] risk_quarantine_max_rejects_per_hour: u32 = Some("3"), int(1, 10_000);
        /// Resyncs of a symbol in ten minutes.
        [E I] risk_quarantine_max_resyncs_per_10min: u32 = Some("5"), int(1, 10_000);
        /// Time-outs in a row.
        [E] risk_quarantine_max_timeouts_consecutive: u32 = Some("3"), int(1, 10_000);
        /// Seconds of quarantine.
        [E I] risk_quarantine_ttl_seconds: u64 = Some("3600"), int(1, 604_800);
        /// Quarantine ends by itself.
        [E I] risk_quarantine_auto_release: bool = Some("true"), any();
    }
}

area! {
    /// The audit trail.
    pub struct Audit ("audit") {
        /// Directory of the trail.
        [E] audit_dir: PathBuf = Some("${PENSTOCK_DATA}/audit"), any();
        /// Events that may wait for the writer.
        [E] audit_writer_queue_capacity: u32 = Some("1024"), int(64, 65_536);
        /// Percent of it that is high.
        [E] audit_writer_queue_hi_watermark_pct: u32 = Some("80"), int(1, 100);
        /// Percent of it that is full.
        [E] audit_writer_queue_full_pct: u32 = Some("95"), int(1, 100);
        /// Milliseconds that the writer may lag.
        [E] audit_writer_max_lag_ms: u64 = Some("5000"), int(1, 3_600_000);
        /// Most bytes of an event's redacted content.
        [E] audit_redacted_json_max_bytes: u32 = Some("4096"), int(256, 65_536);
        /// Milliseconds between two syncs.
        [E] jsonl_fsync_ms: u64 = Some("100"), int(1, 5_000);
        /// Sampled events are dropped first.
        [E] audit_drop_sample_events: bool = Some("false"), any();
    }
}

area! {
    /// The panel.
    pub struct Panel ("panel") {
        /// Port of the panel.
        [E] webui_port: u16 = Some("8787"), int(1, 65_535);
        /// Address of the panel.
        [E] webui_bind: String = Some("127.0.0.1"), any().loopback();
        /// Milliseconds between two snapshots of a stream.
        [E] webui_stream_snapshot_interval_ms: u64 = Some("1000"), int(250, 10_000);
        /// Intents shown.
        [E] webui_intents_recent_limit: u32 = Some("50"), int(10, 200);
        /// Differences shown.
        [E] webui_reconcile_diffs_recent_limit: u32 = Some("50"), int(10, 200);
        /// Symbols shown.
        [E] webui_market_symbols_limit: u32 = Some("50"), int(10, 200);
        /// Most streams.
        [E] webui_max_stream_clients: u32 = Some("8"), int(1, 64);
        /// Most connections.
        [E] webui_max_connections: u32 = Some("64"), int(16, 1_024);
    }
}
