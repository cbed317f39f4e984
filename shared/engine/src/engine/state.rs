//! The engine as a snapshot, and an engine out of one.
//!
//! Input: the state after a tick with what the driver knows of frames and files; or the bytes. Output: bytes;
//! or an engine that goes on as if it had never stopped. Invariants: records, chain and later snapshots of the
//! imported engine equal those of the exported one; nothing is taken from a snapshot of another configuration.

use super::row::Row;
use super::token::TokenCore;
use super::{ClusterCore, Engine};
use crate::alert::{ClusterAlerts, TokenAlerts};
use crate::cluster::ClusterMemory;
use crate::config::{ConfigError, EngineConfig};
use crate::cost::CostState;
use crate::feature::Features;
use crate::fsm::FsmMemory;
use crate::fsm::scores::ScoreMemory;
use crate::num::count;
use crate::phase::PhaseMemory;
use crate::snapshot::{
    CLUSTER_LEN, HEADER_LEN, LogPosition, Pack, SNAPSHOT_SCHEMA, SnapshotContext, SnapshotError,
    SnapshotHeader, SnapshotView, TOKEN_LEN, TRAILER_LEN, Unpack, engine_version, seal,
};
use crate::tier::TierState;
use alloc::vec::Vec;
use penstock_types::engine_view::{
    ClusterState, Direction, DivergenceLabel, EventPhase, FsmState, TokenFlags,
};

/// Where the sections of a token's block begin.
const FSM_AT: usize = 64;
const TIER_AT: usize = 192;
const COST_AT: usize = 256;
const HELD_AT: usize = 288;
const ALERT_AT: usize = 2_160;
/// Flags that a tick gives every token.
const TICK_FLAGS: u16 = TokenFlags::SESSION_START.0
    | TokenFlags::GAP_FILL.0
    | TokenFlags::COLD_START.0
    | TokenFlags::CLUSTER_TICK.0;

impl Engine {
    /// The engine that will execute `first_tick` as its first, with the state of the tick before it, so that
    /// a snapshot of it can be written before anything happened. It does nothing once a tick is executed.
    ///
    /// # Errors
    /// [`ConfigError`] for the first tick of all, which has none before it.
    pub fn start_at(&mut self, first_tick: u64) -> Result<(), ConfigError> {
        let Some(before) = first_tick.checked_sub(1) else {
            return Err(ConfigError::Range {
                key: alloc::string::String::from("first tick"),
                value: 0,
                allowed: alloc::string::String::from("≥ 1"),
            });
        };
        if self.last_tick.is_none() {
            self.begin(first_tick);
            self.last_tick = Some(before);
        }
        Ok(())
    }

    /// Writes the snapshot of the last tick in place of what `out` held.
    pub fn export(&self, context: &SnapshotContext, out: &mut Vec<u8>) {
        self.copy_out(context, out);
        seal(out);
    }

    /// Writes the state into `out` and leaves the checks of blocks and file to [`seal`], which needs no engine: the
    /// thread of the core copies, the one that writes the file seals.
    pub fn copy_out(&self, context: &SnapshotContext, out: &mut Vec<u8>) {
        let blocks = |n: usize, each: usize| n.saturating_mul(each);
        let clusters_len = blocks(self.clusters.len(), CLUSTER_LEN);
        let tokens_len = blocks(self.tokens.len(), TOKEN_LEN);
        let len = HEADER_LEN.saturating_add(clusters_len).saturating_add(tokens_len);
        out.clear();
        // Room for the hash too, so that sealing does not move the bytes.
        out.reserve(len.saturating_add(TRAILER_LEN));
        out.resize(len, 0);
        let (head, blocks) = out.split_at_mut(HEADER_LEN.min(len));
        let (clusters, tokens) = blocks.split_at_mut(clusters_len.min(blocks.len()));
        self.header(context).save(head);
        for (cluster, block) in self.clusters.iter().zip(clusters.chunks_exact_mut(CLUSTER_LEN)) {
            cluster.save(block);
        }
        let tick_id = self.last_tick.unwrap_or(0);
        let own = self.tokens.iter().zip(&self.rows);
        for (at, ((token, row), block)) in own.zip(tokens.chunks_exact_mut(TOKEN_LEN)).enumerate() {
            let Some(cluster) = self.clusters.get(row.cluster_at) else { continue };
            let log = context.logs.get(at).copied().unwrap_or_default();
            let flags = row.flags.with(self.board().flags_of(cluster));
            let flags = flags.with_if(TokenFlags::COLD_START, self.is_cold);
            token.save(row, cluster, flags, tick_id, &log, block);
        }
    }

    fn header(&self, context: &SnapshotContext) -> SnapshotHeader {
        let of = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        SnapshotHeader {
            tick_id: self.last_tick.unwrap_or(0),
            token_count: of(self.tokens.len()),
            cluster_count: of(self.clusters.len()),
            config_sha256: self.config_sha256,
            engine_version: engine_version(),
            frame_seq: context.frame_seq,
            frame_sha256: context.frame_sha256,
            state_chain: self.chain(),
            run_id: context.run_id,
            fencing_token: context.fencing_token,
        }
    }

    /// The engine of a snapshot, and what the snapshot says beside its state.
    ///
    /// # Errors
    /// [`SnapshotError`] naming the first thing that is wrong. `config` is one that [`Engine::new`] accepts,
    /// else [`SnapshotError::Config`].
    pub fn import(
        config: &EngineConfig,
        bytes: &[u8],
    ) -> Result<(Self, SnapshotContext), SnapshotError> {
        let view = SnapshotView::new(bytes)?;
        let header = &view.header;
        let other = SnapshotError::Config { got: header.config_sha256 };
        let mut engine = Self::new(config).map_err(|_| other)?;
        if header.config_sha256 != engine.config_sha256 {
            return Err(other);
        }
        check_ids(&engine, &view)?;
        let tick = header.tick_id;
        for (cluster, block) in engine.clusters.iter_mut().zip(view.clusters()) {
            let subject = u16::from(cluster.id);
            cluster.load(block, tick).map_err(|what| SnapshotError::Invariant { subject, what })?;
        }
        let mut all_flags = 0;
        let own = engine.tokens.iter_mut().zip(&mut engine.rows);
        for ((token, row), block) in own.zip(view.tokens()) {
            let subject = token.id;
            let of = |what| SnapshotError::Invariant { subject, what };
            let Some(cluster) = engine.clusters.get(row.cluster_at) else { continue };
            let flags = token.load(config, cluster, block, tick, row).map_err(of)?;
            let flags = flags.ok_or(SnapshotError::Phase { token: token.id })?;
            all_flags |= flags.0;
        }
        engine.last_tick = Some(tick);
        engine.tick_flags = TokenFlags(all_flags & TICK_FLAGS);
        // A snapshot from before the first frame announces that tick's flag.
        engine.is_cold =
            header.frame_seq == 0 && engine.tick_flags.contains(TokenFlags::COLD_START);
        engine.chain = header.state_chain;
        let context = SnapshotContext {
            frame_seq: header.frame_seq,
            frame_sha256: header.frame_sha256,
            run_id: header.run_id,
            fencing_token: header.fencing_token,
            logs: view.logs().map(|(_, log)| log).collect(),
        };
        Ok((engine, context))
    }
}

/// The blocks are those of the configuration's tokens and clusters.
fn check_ids(engine: &Engine, view: &SnapshotView<'_>) -> Result<(), SnapshotError> {
    let clusters = engine.clusters.iter().map(|cluster| u16::from(cluster.id));
    let tokens = engine.tokens.iter().map(|token| token.id);
    let in_clusters = view.clusters().map(|block| u16::from(Unpack::new(block).u8()));
    let in_tokens = view.tokens().map(|block| Unpack::new(block).u16());
    for (own, got) in [
        (clusters.collect::<Vec<u16>>(), in_clusters.collect::<Vec<u16>>()),
        (tokens.collect(), in_tokens.collect()),
    ] {
        for index in 0..own.len().max(got.len()) {
            let at = |ids: &[u16]| ids.get(index).copied().unwrap_or(0);
            if at(&own) != at(&got) {
                let place = u32::try_from(count(index)).unwrap_or(u32::MAX);
                return Err(SnapshotError::Tokens { index: place, got: at(&got), want: at(&own) });
            }
        }
    }
    Ok(())
}

impl ClusterCore {
    fn save(&self, block: &mut [u8]) {
        let mut pack = Pack::new(block);
        pack.u8(self.id);
        pack.u8(self.memory.state().code());
        pack.u8(self.phase.phase().code());
        pack.bool(self.memory.is_valid());
        self.phase.save(&mut pack);
        self.memory.save(&mut pack);
        for n in self.phase.counters() {
            pack.u32(n);
        }
        self.alerts.save(&mut pack);
        pack.i32(self.memory.heat());
    }

    fn load(&mut self, block: &[u8], tick: u64) -> Result<(), &'static str> {
        let mut read = Unpack::new(block);
        read.seek(1);
        let state = read.code(ClusterState::from_code, "the state has no meaning")?;
        let phase = read.code(EventPhase::from_code, "the phase has no meaning")?;
        let is_valid = read.bool("the cluster is neither valid nor invalid")?;
        let phase = PhaseMemory::load(&mut read, phase, &self.schedule, tick)?;
        self.memory = ClusterMemory::load(&mut read, state, is_valid);
        self.phase = phase.with_counters([read.u32(), read.u32()]);
        self.alerts = ClusterAlerts::load(&mut read);
        self.memory.set_heat(read.score("the heat is outside 0..=1000000")?);
        Ok(())
    }
}

impl TokenCore {
    fn save(
        &self,
        row: &Row,
        cluster: &ClusterCore,
        flags: TokenFlags,
        tick: u64,
        log: &LogPosition,
        block: &mut [u8],
    ) {
        let mut pack = Pack::new(block);
        pack.u16(self.id);
        pack.u16(SNAPSHOT_SCHEMA);
        pack.u16(u16::from(cluster.id));
        pack.u16(flags.0);
        pack.u64(tick);
        pack.u16(log.segment);
        pack.u64(log.offset);
        pack.u32(log.record_crc);
        pack.seek(FSM_AT);
        pack.u8(self.fsm.state().code());
        pack.u8(cluster.phase.phase().code());
        pack.u8(cluster.memory.state().code());
        pack.u8(row.direction.code());
        self.fsm.save(&mut pack);
        let scores = self.scores.get();
        for score in [scores.pressure, scores.fragile, scores.trigger, scores.unwind] {
            pack.i32(score);
        }
        let (degraded, idle) = self.features.runs();
        pack.u32(degraded);
        pack.u32(idle);
        pack.seek(TIER_AT);
        self.tier.save(&mut pack);
        pack.i64(row.trade_delta);
        for value in [row.oi_velocity, row.spread_pct, row.mark_vs_mid] {
            pack.i32(value);
        }
        pack.i16(row.liq_imbalance);
        pack.u8(row.label.code());
        pack.seek(COST_AT);
        self.cost.save(&mut pack);
        pack.seek(HELD_AT);
        self.features.save(&mut pack);
        self.alerts.save(&mut pack);
    }

    /// Flags of the tick; `None` when the token is not where its cluster is.
    fn load(
        &mut self,
        config: &EngineConfig,
        cluster: &ClusterCore,
        block: &[u8],
        tick: u64,
        row: &mut Row,
    ) -> Result<Option<TokenFlags>, &'static str> {
        let mut read = Unpack::new(block);
        read.seek(2);
        let (schema, cluster_id, flags, at) = (read.u16(), read.u16(), read.u16(), read.u64());
        if schema != SNAPSHOT_SCHEMA || at != tick {
            return Err("the block is of another schema or tick than the file");
        }
        read.seek(FSM_AT);
        let state = read.code(FsmState::from_code, "the state has no meaning")?;
        let phase = read.code(EventPhase::from_code, "the phase has no meaning")?;
        let cluster_state = read.code(ClusterState::from_code, "the cluster has no meaning")?;
        let direction = read.code(Direction::from_code, "the direction has no meaning")?;
        if (phase, cluster_state) != (cluster.phase.phase(), cluster.memory.state())
            || cluster_id != u16::from(cluster.id)
        {
            return Ok(None);
        }
        self.fsm = FsmMemory::load(&mut read, state);
        self.scores = ScoreMemory::load(&mut read)?;
        let runs = (read.u32(), read.u32());
        read.seek(TIER_AT);
        self.tier = TierState::load(&mut read)?;
        let trade_delta = read.i64();
        let [oi_velocity, spread_pct, mark_vs_mid] = core::array::from_fn(|_| read.i32());
        let liq_imbalance = read.i16();
        let label = read.code(DivergenceLabel::from_code, "the label has no meaning")?;
        read.seek(COST_AT);
        self.cost = CostState::load(&mut read)?;
        let held = block.get(HELD_AT..ALERT_AT).unwrap_or(&[]);
        self.features = Features::load(config, &self.wiring, held, tick, runs)?;
        read.seek(ALERT_AT);
        self.alerts = TokenAlerts::load(&mut read);
        let own = flags & !TICK_FLAGS & !TokenFlags::PHASE_OVERRIDE.0;
        *row = Row {
            state,
            tier: self.tier.tier(),
            direction,
            label,
            flags: TokenFlags(own),
            liq_imbalance,
            scores: self.scores.get(),
            cost: self.cost.cost(),
            oi_velocity,
            spread_pct,
            mark_vs_mid,
            trade_delta,
            ..Row::new(row.id, row.cluster_at)
        };
        Ok(Some(TokenFlags(flags)))
    }
}
