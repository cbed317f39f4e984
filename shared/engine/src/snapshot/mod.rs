//! The snapshot: the whole state of the engine after one tick, as one file of fixed blocks.
//!
//! Input: a state with what the driver knows of frames and files; or bytes. Output: bytes; or header and
//! blocks. Invariants: the bytes are a function of the input, the configuration and this version; a header, a
//! block and the file each carry their own check, so that every changed byte is named; unused bytes are zero;
//! any bytes give a value or an error. Which file is read and where it lies is not known here.
//!
//! ```text
//! header 256 · one block of 128 per cluster · one block of 2304 per token · SHA-256 of all before 32
//! header: 0 "ESNP" · 4 schema u16 · 6 header_size u16 · 8 tick_id u64 · 16 token_count u32
//!   20 cluster_count u32 · 24 token_block u32 · 28 cluster_block u32 · 32 config SHA-256 · 64 version 16
//!   80 frame_seq u64 · 88 frame SHA-256 · 120 state_chain 32 · 152 run_id u64 · 160 fencing_token u64
//!   168 CRC-32C of bytes 0..168 u32
//! cluster: 0 id u8 · 1 state u8 · 2 phase u8 · 3 valid u8 · 4 latch u8 · 5 event_index u32 · 9 enter_tick u64
//!   17 fwd u32 · 21 rel u32 · 25 cool u32 · 29 previous unwinding u32 · 33 E1 u32 · 37 E2 u32
//!   41 systemic u32 · 45 last FRAGILE alert u64 · 53 last UNWIND alert u64 (quarter of an hour plus one)
//!   61 heat i32 · 65 CRC-32C of the block with this field zero u32
//! token: 0 header 64 · 64 states 128 · 192 tier 64 · 256 cost 32 · 288 held values 160 · 448 buckets 960
//!   1408 minutes 528 · 1936 candles 224 · 2160 alerts 144
//! token header: 0 token_id u16 · 2 schema u16 · 4 cluster_id u16 · 6 flags u16 · 8 tick_id u64
//!   16 log segment u16 · 18 log_offset u64 · 26 record CRC u32 · 30 CRC-32C of the block with this zero u32
//! ```

mod codec;
mod error;

pub(crate) use codec::{Pack, Unpack};
pub use error::SnapshotError;

use crate::num::count;
use alloc::vec::Vec;
use penstock_types::frame::{crc32c, sha256};

/// Schema of this layout: major · 256 + minor.
pub const SNAPSHOT_SCHEMA: u16 = 0x0100;
/// Bytes of the header.
pub const HEADER_LEN: usize = 256;
/// Bytes of a cluster's block.
pub const CLUSTER_LEN: usize = 128;
/// Bytes of a token's block.
pub const TOKEN_LEN: usize = 2_304;
/// Bytes behind the last block.
pub const TRAILER_LEN: usize = 32;
const MAGIC: [u8; 4] = *b"ESNP";
const CRC_AT: usize = 168;
const TOKEN_COUNT_AT: usize = 16;
const CLUSTER_COUNT_AT: usize = 20;
const CLUSTER_CRC_AT: usize = 65;
const TOKEN_CRC_AT: usize = 30;

/// Where a token's log stands behind the record of the snapshot's tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPosition {
    /// Segment of the day's log.
    pub segment: u16,
    /// Bytes of it, header and the record of this tick included; 64 when the tick has no record in it.
    pub offset: u64,
    /// CRC of that record, 0 when there is none.
    pub record_crc: u32,
}

impl Default for LogPosition {
    /// A log of which only the header exists.
    fn default() -> Self {
        Self { segment: 0, offset: 64, record_crc: 0 }
    }
}

/// What a snapshot holds beside the state of the engine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SnapshotContext {
    /// Number of the last frame; 0 when there was none.
    pub frame_seq: u64,
    /// SHA-256 of the last frame.
    pub frame_sha256: [u8; 32],
    /// Run that sealed it.
    pub run_id: u64,
    /// Fence that it was sealed under.
    pub fencing_token: u64,
    /// Logs, ascending by token.
    pub logs: Vec<LogPosition>,
}

/// Header of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotHeader {
    /// Tick.
    pub tick_id: u64,
    /// Token blocks.
    pub token_count: u32,
    /// Cluster blocks.
    pub cluster_count: u32,
    /// SHA-256 of the configuration.
    pub config_sha256: [u8; 32],
    /// Version of the engine that wrote it, padded with zeros.
    pub engine_version: [u8; 16],
    /// Number of the last frame; 0 when there was none.
    pub frame_seq: u64,
    /// SHA-256 of the last frame.
    pub frame_sha256: [u8; 32],
    /// State chain after the tick.
    pub state_chain: [u8; 32],
    /// Run of the last frame.
    pub run_id: u64,
    /// Fence of the last frame.
    pub fencing_token: u64,
}

/// Version of this engine as the header carries it.
#[must_use]
pub fn engine_version() -> [u8; 16] {
    let mut out = [0; 16];
    for (place, byte) in out.iter_mut().zip(env!("CARGO_PKG_VERSION").bytes()) {
        *place = byte;
    }
    out
}

impl SnapshotHeader {
    pub(crate) fn save(&self, out: &mut [u8]) {
        let mut pack = Pack::new(out);
        pack.bytes(&MAGIC);
        pack.u16(SNAPSHOT_SCHEMA);
        pack.u16(u16::try_from(HEADER_LEN).unwrap_or(0));
        pack.u64(self.tick_id);
        pack.u32(self.token_count);
        pack.u32(self.cluster_count);
        pack.u32(u32::try_from(TOKEN_LEN).unwrap_or(0));
        pack.u32(u32::try_from(CLUSTER_LEN).unwrap_or(0));
        pack.bytes(&self.config_sha256);
        pack.bytes(&self.engine_version);
        pack.u64(self.frame_seq);
        pack.bytes(&self.frame_sha256);
        pack.bytes(&self.state_chain);
        pack.u64(self.run_id);
        pack.u64(self.fencing_token);
        let crc = crc32c(out.get(..CRC_AT).unwrap_or(&[]));
        put(out, CRC_AT, crc);
    }

    fn read(bytes: &[u8]) -> Self {
        let mut read = Unpack::new(bytes);
        read.seek(8);
        let (tick_id, token_count, cluster_count) = (read.u64(), read.u32(), read.u32());
        read.seek(32);
        Self {
            tick_id,
            token_count,
            cluster_count,
            config_sha256: read.take(),
            engine_version: read.take(),
            frame_seq: read.u64(),
            frame_sha256: read.take(),
            state_chain: read.take(),
            run_id: read.u64(),
            fencing_token: read.u64(),
        }
    }
}

/// Writes a number over four bytes.
fn put(out: &mut [u8], at: usize, value: u32) {
    for (place, byte) in out.iter_mut().skip(at).zip(value.to_le_bytes()) {
        *place = byte;
    }
}

/// CRC of a block whose own field, at `at`, counts as zero.
fn block_crc(block: &[u8], at: usize) -> u32 {
    let mut copy = block.to_vec();
    put(&mut copy, at, 0);
    crc32c(&copy)
}

/// Completes what [`crate::Engine::copy_out`] wrote: the CRC of each block, and the SHA-256 of all behind the last.
/// Of bytes that are sealed it makes the same bytes; of bytes that are no copy-out something that
/// [`SnapshotView::new`] refuses.
pub fn seal(out: &mut Vec<u8>) {
    let part = |n: u32, each: usize| usize::try_from(n).unwrap_or(0).saturating_mul(each);
    let clusters = part(number(out, CLUSTER_COUNT_AT), CLUSTER_LEN);
    let tokens = part(number(out, TOKEN_COUNT_AT), TOKEN_LEN);
    out.truncate(HEADER_LEN.saturating_add(clusters).saturating_add(tokens));
    let head = HEADER_LEN.min(out.len());
    let (_, blocks) = out.split_at_mut(head);
    let (clusters, tokens) = blocks.split_at_mut(clusters.min(blocks.len()));
    for (blocks, each, at) in
        [(clusters, CLUSTER_LEN, CLUSTER_CRC_AT), (tokens, TOKEN_LEN, TOKEN_CRC_AT)]
    {
        for block in blocks.chunks_exact_mut(each) {
            put(block, at, 0);
            let crc = crc32c(block);
            put(block, at, crc);
        }
    }
    let hash = sha256(out);
    out.extend_from_slice(&hash);
}

/// A snapshot whose checks hold: header and blocks.
#[derive(Debug, Clone)]
pub struct SnapshotView<'a> {
    /// Header.
    pub header: SnapshotHeader,
    clusters: &'a [u8],
    tokens: &'a [u8],
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let mut read = Unpack::new(bytes);
    read.seek(at);
    read.u32()
}

impl<'a> SnapshotView<'a> {
    /// Checks every hash, CRC and length; what the blocks say is not judged.
    ///
    /// # Errors
    /// [`SnapshotError`] naming the first part that is wrong.
    pub fn new(bytes: &'a [u8]) -> Result<Self, SnapshotError> {
        let least = HEADER_LEN.saturating_add(TRAILER_LEN);
        let Some(split) = bytes.len().checked_sub(TRAILER_LEN).filter(|_| bytes.len() >= least)
        else {
            return Err(SnapshotError::Length { got: count(bytes.len()), want: count(least) });
        };
        let (body, trailer) = bytes.split_at(split);
        if body.get(..4) != Some(&MAGIC[..]) {
            return Err(SnapshotError::Checksum { part: "magic", index: 0 });
        }
        if trailer != sha256(body) {
            // The smallest part that is wrong says more than the whole.
            parts(body)?;
            return Err(SnapshotError::Checksum { part: "file", index: 0 });
        }
        let schema = u16::try_from(number(body, 4) & 0xffff).unwrap_or(0);
        if schema >> 8 != SNAPSHOT_SCHEMA >> 8 || schema > SNAPSHOT_SCHEMA {
            return Err(SnapshotError::Version { got: schema });
        }
        parts(body)
    }

    /// Blocks of the clusters.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = &'a [u8]> {
        self.clusters.chunks_exact(CLUSTER_LEN)
    }

    /// Blocks of the tokens.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = &'a [u8]> {
        self.tokens.chunks_exact(TOKEN_LEN)
    }

    /// Tokens with their positions in the logs, as the blocks have them.
    pub fn logs(&self) -> impl Iterator<Item = (u16, LogPosition)> {
        self.tokens().map(|block| {
            let mut read = Unpack::new(block);
            let token = read.u16();
            read.seek(16);
            let segment = read.u16();
            (token, LogPosition { segment, offset: read.u64(), record_crc: read.u32() })
        })
    }
}

/// Header and blocks with their own checks.
fn parts(body: &[u8]) -> Result<SnapshotView<'_>, SnapshotError> {
    let (head, blocks) = body.split_at(HEADER_LEN.min(body.len()));
    if number(head, CRC_AT) != crc32c(head.get(..CRC_AT).unwrap_or(&[])) {
        return Err(SnapshotError::Checksum { part: "header", index: 0 });
    }
    if head.iter().skip(CRC_AT.saturating_add(4)).any(|byte| *byte != 0) {
        return Err(SnapshotError::Checksum { part: "header", index: 0 });
    }
    let header = SnapshotHeader::read(head);
    let len = |n: u32, each: usize| {
        usize::try_from(n).ok().and_then(|n| n.checked_mul(each)).unwrap_or(usize::MAX)
    };
    let clusters_len = len(header.cluster_count, CLUSTER_LEN);
    let want = clusters_len.saturating_add(len(header.token_count, TOKEN_LEN));
    if blocks.len() != want {
        let frame = count(HEADER_LEN.saturating_add(TRAILER_LEN));
        let got = count(blocks.len()).saturating_add(frame);
        return Err(SnapshotError::Length { got, want: count(want).saturating_add(frame) });
    }
    let (clusters, tokens) = blocks.split_at(clusters_len);
    for (part, blocks, each, at) in [
        ("cluster block", clusters, CLUSTER_LEN, CLUSTER_CRC_AT),
        ("token block", tokens, TOKEN_LEN, TOKEN_CRC_AT),
    ] {
        for (index, block) in (0_u32..).zip(blocks.chunks_exact(each)) {
            if number(block, at) != block_crc(block, at) {
                return Err(SnapshotError::Checksum { part, index });
            }
        }
    }
    Ok(SnapshotView { header, clusters, tokens })
}
