//! The engine: one frame in, one tick executed, records, transitions and alerts out.
//!
//! Input: a [`FrameView`] that follows the last one. Output: a [`TickOutput`]. Invariants: the order of the
//! layers is features, tier, cost, token states, clusters (every fourth tick), phases, alerts, records and
//! chain; tokens and clusters ascend; a frame is judged whole before anything changes; after a fault no frame
//! is taken. A tick allocates nothing when the output has room. Nothing reads the state but by copy.

mod alerts;
mod change;
mod clusters;
mod input;
mod output;
mod retrace;
mod row;
mod state;
mod token;
mod view;

pub use output::{ClusterTransition, PhaseTransition, TickOutput, TokenTransition, Transition};
pub use retrace::{Retrace, Retraced};

use crate::config::{ConfigError, EngineConfig};
use crate::fault::EngineFault;
use crate::feature::{Clock, Wiring};
use crate::frame_view::FrameView;
use alerts::Board;
use alloc::string::String;
use alloc::vec::Vec;
use clusters::ClusterCore;
use input::Binding;
use penstock_types::engine_view::TokenFlags;
use penstock_types::frame::{FrameFlags, sha256_after};
use row::Row;
use token::{Shared, Thresholds, TokenCore};

/// The deterministic core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    config: EngineConfig,
    config_sha256: [u8; 32],
    tokens: Vec<TokenCore>,
    /// One per token.
    rows: Vec<Row>,
    /// One per token.
    bindings: Vec<Binding>,
    /// Thresholds of tokens, each set once.
    thresholds: Vec<Thresholds>,
    clusters: Vec<ClusterCore>,
    last_tick: Option<u64>,
    is_cold: bool,
    /// Flags that the last tick gave every token.
    tick_flags: TokenFlags,
    fault: Option<EngineFault>,
    /// State chain after the last tick; SHA-256 of the configuration before the first.
    chain: [u8; 32],
}

impl Engine {
    /// An engine that has seen nothing; its first tick is that of its first frame.
    ///
    /// # Errors
    /// [`ConfigError`] when the configuration cannot be run.
    pub fn new(config: &EngineConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let ids = cluster_ids(config);
        let mut tokens = Vec::with_capacity(config.tokens.len());
        let mut rows = Vec::with_capacity(config.tokens.len());
        let mut bindings = Vec::with_capacity(config.tokens.len());
        let mut thresholds: Vec<Thresholds> = Vec::new();
        for token in &config.tokens {
            let wiring = Wiring::new(token).map_err(|_| ConfigError::Token {
                token: token.id,
                problem: String::from("a quantity scale is out of range"),
            })?;
            let at = ids.binary_search(&token.cluster).unwrap_or_default();
            let of_token = thresholds.iter().position(|known| known.numbers == token.fsm);
            let thresholds_at = of_token.unwrap_or(thresholds.len());
            if of_token.is_none() {
                thresholds.push(Thresholds::new(config, token.fsm));
            }
            rows.push(Row::new(token.id, at));
            bindings.push(Binding::new(token.id, &wiring));
            tokens.push(TokenCore::new(config, token, wiring, thresholds_at));
        }
        let clusters = clusters_of(config, &ids);
        let config_sha256 = config.sha256();
        Ok(Self {
            config: config.clone(),
            config_sha256,
            tokens,
            rows,
            bindings,
            thresholds,
            clusters,
            last_tick: None,
            is_cold: false,
            tick_flags: TokenFlags::default(),
            fault: None,
            chain: config_sha256,
        })
    }

    /// The same, begun by an operator over records that exist: the first tick says so.
    ///
    /// # Errors
    /// [`ConfigError`] when the configuration cannot be run.
    pub fn new_cold(config: &EngineConfig) -> Result<Self, ConfigError> {
        Ok(Self { is_cold: true, ..Self::new(config)? })
    }

    /// An output with room for every tick of this engine.
    #[must_use]
    pub fn output(&self) -> TickOutput {
        TickOutput::with_room(self.tokens.len(), self.clusters.len())
    }

    /// Executes exactly one tick.
    ///
    /// # Errors
    /// [`EngineFault`]; the engine then takes no further frame and gives the same fault again. A frame that
    /// is refused as input has changed nothing.
    pub fn step(&mut self, frame: &FrameView<'_>, out: &mut TickOutput) -> Result<(), EngineFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let result = self.tick(frame, out);
        self.fault = result.err();
        result
    }

    fn tick(&mut self, frame: &FrameView<'_>, out: &mut TickOutput) -> Result<(), EngineFault> {
        self.judge_frame(frame)?;
        let tick = frame.tick_id;
        if self.last_tick.is_none() {
            self.begin(tick);
        }
        out.begin(tick);
        let late = self.run_tokens(frame, out)?;
        if tick.is_multiple_of(4) {
            self.run_clusters(tick, out)?;
        }
        self.run_phases(tick, out)?;
        if let Some(fault) = late {
            return Err(fault);
        }
        self.write_records(frame, out)?;
        for cluster in &mut self.clusters {
            cluster.is_raised = false;
        }
        self.last_tick = Some(tick);
        self.is_cold = false;
        Ok(())
    }

    /// Nothing has been executed before `tick`.
    fn begin(&mut self, tick: u64) {
        for token in &mut self.tokens {
            token.fsm = crate::fsm::FsmMemory::new(tick.saturating_sub(1));
        }
        for cluster in &mut self.clusters {
            cluster.begin(tick);
        }
    }

    /// Layers 2 to 5 and 8 of every token, in one pass over their memory. A fault of layer 8 is handed back, since
    /// clusters and phases come before that layer and so does what they may find.
    fn run_tokens(
        &mut self,
        frame: &FrameView<'_>,
        out: &mut TickOutput,
    ) -> Result<Option<EngineFault>, EngineFault> {
        let tick = frame.tick_id;
        let clock = Clock::new(tick);
        let shared = Shared { config: &self.config, thresholds: &self.thresholds, clock };
        let mut late = None;
        let mut rest = frame.events;
        for (token, row) in self.tokens.iter_mut().zip(&mut self.rows) {
            let own = rest.iter().take_while(|event| event.token_id == token.id).count();
            let (events, later) = rest.split_at(own);
            rest = later;
            let moved = token.execute(&shared, frame, events, row);
            let moved = moved.map_err(|fault| fault.at(tick, token.id))?;
            if let Err(fault) = token.alert(shared.config, tick, moved.is_some(), row) {
                late = late.or(Some(fault.at(tick, token.id)));
            }
            if let Some(moved) = moved {
                out.transitions.push(Transition::Token(TokenTransition {
                    tick_id: tick,
                    token_id: token.id,
                    cycle_id: moved.cycle_id,
                    from: moved.from,
                    to: moved.to,
                    edge: moved.edge,
                    scores: row.scores,
                    cost: row.cost,
                    tier: row.tier,
                    reason_bits: moved.reason_bits,
                }));
            }
        }
        Ok(late)
    }

    fn run_clusters(&mut self, tick: u64, out: &mut TickOutput) -> Result<(), EngineFault> {
        for cluster in &mut self.clusters {
            let moved = cluster
                .judge(&self.config, tick, &self.rows)
                .map_err(|fault| fault.at(tick, u16::from(cluster.id)))?;
            if let Some(moved) = moved {
                out.transitions.push(Transition::Cluster(ClusterTransition {
                    tick_id: tick,
                    cluster_id: cluster.id,
                    from: moved.from,
                    to: moved.to,
                    edge: moved.edge,
                    reason_bits: moved.reason_bits,
                }));
            }
        }
        Ok(())
    }

    fn run_phases(&mut self, tick: u64, out: &mut TickOutput) -> Result<(), EngineFault> {
        for cluster in &mut self.clusters {
            let moved = cluster
                .advance(&self.config, tick)
                .map_err(|fault| fault.at(tick, u16::from(cluster.id)))?;
            if let Some(moved) = moved {
                out.transitions.push(Transition::Phase(PhaseTransition {
                    tick_id: tick,
                    cluster_id: cluster.id,
                    event: moved.event,
                    from: moved.from,
                    to: moved.to,
                    cause: moved.cause,
                }));
            }
        }
        Ok(())
    }

    /// Records, alerts that quote them, and the next link of the chain.
    fn write_records(
        &mut self,
        frame: &FrameView<'_>,
        out: &mut TickOutput,
    ) -> Result<(), EngineFault> {
        let tick = frame.tick_id;
        let is_start = frame.flags.contains(FrameFlags::SESSION_START);
        let flags = TokenFlags::default()
            .with_if(TokenFlags::SESSION_START, is_start)
            .with_if(TokenFlags::GAP_FILL, frame.is_gap_fill)
            .with_if(TokenFlags::COLD_START, self.is_cold)
            .with_if(TokenFlags::CLUSTER_TICK, tick.is_multiple_of(4));
        self.tick_flags = flags;
        let mut raised = 0;
        let board = self.board();
        for record in self.rows.iter().filter_map(|row| board.record_of(row, tick)) {
            raised |= record.alert_mask;
            out.records.push(record.encode());
        }
        if raised != 0 || self.clusters.iter().any(|cluster| cluster.is_raised) {
            board.publish(tick, &mut out.alerts)?;
        }
        self.chain = sha256_after(&self.chain, out.records.as_flattened());
        out.chain = self.chain;
        Ok(())
    }

    const fn board(&self) -> Board<'_, Row> {
        Board {
            config: &self.config,
            clusters: self.clusters.as_slice(),
            tokens: self.rows.as_slice(),
            tick_flags: self.tick_flags,
        }
    }

    /// State chain after the last tick; SHA-256 of the configuration before the first.
    #[must_use]
    pub const fn chain(&self) -> [u8; 32] {
        self.chain
    }

    /// The tick that was executed last.
    #[must_use]
    pub const fn last_tick(&self) -> Option<u64> {
        self.last_tick
    }

    /// The fault that stopped the engine.
    #[must_use]
    pub const fn fault(&self) -> Option<EngineFault> {
        self.fault
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &EngineConfig {
        &self.config
    }
}

/// Clusters that have a token, ascending.
fn cluster_ids(config: &EngineConfig) -> Vec<u8> {
    let mut ids: Vec<u8> = config.tokens.iter().map(|token| token.cluster).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn clusters_of(config: &EngineConfig, ids: &[u8]) -> Vec<ClusterCore> {
    let members = |id: u8| -> Vec<usize> {
        let own = config.tokens.iter().enumerate().filter(|(_, token)| token.cluster == id);
        own.map(|(at, _)| at).collect()
    };
    ids.iter().map(|id| ClusterCore::new(*id, members(*id), &config.events)).collect()
}

#[cfg(test)]
mod tests;
