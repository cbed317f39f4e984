//! Limits and cadences of a spool, and what its thread reports.

use std::path::PathBuf;
use std::time::Duration;

use penstock_types::{FencingToken, RunId};

use super::shed::FillLevel;

/// What happens when the limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// New records are shed by class (raw rows).
    ShedByClass,
    /// The oldest segments go (frames, whose newest are worth most).
    DropOldest,
}

/// Limits and cadences of a spool.
#[derive(Debug, Clone)]
pub struct SpoolSettings {
    /// Token of the writer.
    pub token: FencingToken,
    /// Fixes the columns of every (stream, row version).
    pub schema_version: u32,
    /// Limit of all segments (`SPOOL_MAX_BYTES`).
    pub bytes_max: u64,
    /// Space to leave on the filesystem (`SPOOL_MIN_FREE_BYTES`).
    pub free_bytes_min: u64,
    /// Length of a segment (`SPOOL_SEGMENT_BYTES`).
    pub segment_bytes: u64,
    /// Memory for unsynced records (`SPOOL_RING_BYTES`).
    pub ring_bytes: u64,
    /// Between two syncs (`SPOOL_FSYNC_MS`).
    pub fsync_every: Duration,
    /// A device that failed twice within a minute is tried again after this time.
    pub device_retry: Duration,
    /// First alert (`SPOOL_HIGH_PCT`).
    pub high_pct: u64,
    /// What happens at the limit.
    pub overflow: Overflow,
}

impl SpoolSettings {
    /// The defaults of the raw spool: 16 GiB, 2 GiB free, segments of 64 MiB, 32 MiB in memory, sync
    /// every 100 ms, alert at 80 %.
    #[must_use]
    pub const fn raw(token: FencingToken, schema_version: u32) -> Self {
        Self {
            token,
            schema_version,
            bytes_max: 16 << 30,
            free_bytes_min: 2 << 30,
            segment_bytes: 64 << 20,
            ring_bytes: 32 << 20,
            fsync_every: Duration::from_millis(100),
            device_retry: Duration::from_secs(10),
            high_pct: 80,
            overflow: Overflow::ShedByClass,
        }
    }

    /// The defaults of the frame spool: 4 GiB; the oldest go first.
    #[must_use]
    pub const fn frames(token: FencingToken, schema_version: u32) -> Self {
        Self {
            bytes_max: 4 << 30,
            segment_bytes: 4 << 20,
            overflow: Overflow::DropOldest,
            ..Self::raw(token, schema_version)
        }
    }
}

/// What the caller turns into markers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpoolEvent {
    /// The fill level changed (`SPOOL_HIGH`, `SPOOL_FULL`, `SPOOL_CLEAR`).
    Level {
        /// Before.
        from: FillLevel,
        /// Now.
        to: FillLevel,
        /// Fill.
        fill_pct: u64,
    },
    /// A write or a sync failed; a new segment is begun.
    DeviceError {
        /// The segment.
        path: PathBuf,
        /// The system's text.
        error: String,
        /// The second within a minute (`SPOOL_FAILED`): records stay in memory until a segment can be
        /// opened, which is tried every 10 s.
        failed: bool,
    },
    /// The device takes writes again.
    DeviceRecovered,
    /// The oldest segment was dropped for space; the next frame must say so.
    OldestDropped {
        /// Run.
        run_id: RunId,
        /// Bytes.
        bytes: u64,
    },
}
