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
mod state;
mod token;
mod view;

pub use output::{ClusterTransition, PhaseTransition, TickOutput, TokenTransition, Transition};
pub use retrace::{Retrace, Retraced};

use crate::config::{ConfigError, EngineConfig};
use crate::fault::EngineFault;
use crate::feature::Wiring;
use crate::frame_view::FrameView;
use crate::record::RECORD_LEN;
use alerts::Board;
use alloc::string::String;
use alloc::vec::Vec;
use clusters::ClusterCore;
use penstock_types::engine_view::TokenFlags;
use penstock_types::frame::{FrameFlags, sha256};
use token::TokenCore;

/// Bytes of a link of the state chain.
const LINK: usize = 32;

/// The deterministic core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    config: EngineConfig,
    config_sha256: [u8; 32],
    tokens: Vec<TokenCore>,
    clusters: Vec<ClusterCore>,
    last_tick: Option<u64>,
    is_cold: bool,
    /// Flags that the last tick gave every token.
    tick_flags: TokenFlags,
    fault: Option<EngineFault>,
    /// Events of each token in the frame at hand: first and one behind the last.
    spans: Vec<(usize, usize)>,
    /// The chain and behind it the records of the last tick, as they are hashed.
    hashed: Vec<u8>,
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
        for token in &config.tokens {
            let wiring = Wiring::new(token).map_err(|_| ConfigError::Token {
                token: token.id,
                problem: String::from("a quantity scale is out of range"),
            })?;
            let at = ids.binary_search(&token.cluster).unwrap_or_default();
            tokens.push(TokenCore::new(config, token, wiring, at));
        }
        let clusters = clusters_of(config, &ids);
        let mut hashed = Vec::with_capacity(room(tokens.len()));
        let config_sha256 = config.sha256();
        hashed.extend_from_slice(&config_sha256);
        Ok(Self {
            spans: Vec::with_capacity(tokens.len()),
            config: config.clone(),
            config_sha256,
            tokens,
            clusters,
            last_tick: None,
            is_cold: false,
            tick_flags: TokenFlags::default(),
            fault: None,
            hashed,
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
        self.run_tokens(frame, out)?;
        if tick.is_multiple_of(4) {
            self.run_clusters(tick, out)?;
        }
        self.run_phases(tick, out)?;
        for token in &mut self.tokens {
            token.alert(&self.config, tick).map_err(|fault| fault.at(tick, token.id))?;
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

    fn run_tokens(
        &mut self,
        frame: &FrameView<'_>,
        out: &mut TickOutput,
    ) -> Result<(), EngineFault> {
        let tick = frame.tick_id;
        for (token, (from, to)) in self.tokens.iter_mut().zip(&self.spans) {
            let events = frame.events.get(*from..*to).unwrap_or(&[]);
            token.execute(&self.config, frame, events).map_err(|fault| fault.at(tick, token.id))?;
            if let Some(moved) = token.row.moved {
                out.transitions.push(Transition::Token(TokenTransition {
                    tick_id: tick,
                    token_id: token.id,
                    cycle_id: moved.cycle_id,
                    from: moved.from,
                    to: moved.to,
                    edge: moved.edge,
                    scores: token.scores.get(),
                    cost: token.cost.cost(),
                    tier: token.tier(),
                    reason_bits: moved.reason_bits,
                }));
            }
        }
        Ok(())
    }

    fn run_clusters(&mut self, tick: u64, out: &mut TickOutput) -> Result<(), EngineFault> {
        for cluster in &mut self.clusters {
            let moved = cluster
                .judge(&self.config, tick, &self.tokens)
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
        for record in self.tokens.iter().filter_map(|token| board.record_of(token, tick)) {
            raised |= record.alert_mask;
            out.records.push(record.encode());
        }
        if raised != 0 || self.clusters.iter().any(|cluster| cluster.is_raised) {
            board.publish(tick, &mut out.alerts)?;
        }
        for record in &out.records {
            self.hashed.extend_from_slice(record);
        }
        out.chain = sha256(&self.hashed);
        self.hashed.truncate(0);
        self.hashed.extend_from_slice(&out.chain);
        Ok(())
    }

    const fn board(&self) -> Board<'_, TokenCore> {
        Board {
            config: &self.config,
            clusters: self.clusters.as_slice(),
            tokens: self.tokens.as_slice(),
            tick_flags: self.tick_flags,
        }
    }

    /// State chain after the last tick; SHA-256 of the configuration before the first.
    #[must_use]
    pub fn chain(&self) -> [u8; 32] {
        let mut chain = [0; LINK];
        for (place, byte) in chain.iter_mut().zip(&self.hashed) {
            *place = *byte;
        }
        chain
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

fn room(tokens: usize) -> usize {
    tokens.saturating_mul(RECORD_LEN).saturating_add(LINK)
}

#[cfg(test)]
mod tests;
