//! What follows from records alone: token states, clusters, phases and alerts derived a second time.
//!
//! Input: the records of all tokens, tick by tick. Output: the records as they must be, and the alerts that
//! follow from them. Invariants: state machines and alerts are the engine's own; scores, cost, tier, metrics
//! and flags of the features are taken from the records, so that it proves that published states and alerts
//! follow from the published log, and nothing about the market behind it. Begun in the middle, discrete states
//! are read from the first records and every counter is exact after a quarter of an hour.

use super::alerts::{Board, Subject};
use super::change::carries;
use super::clusters::ClusterCore;
use super::{cluster_ids, clusters_of};
use crate::alert::{Alert, Raised, TokenAlerts, TokenTick};
use crate::cluster::{ClusterMemory, Member};
use crate::config::{ConfigError, EngineConfig, FsmNumbers, Profile};
use crate::fault::{EngineFault, LayerFault};
use crate::fsm::{FsmInput, FsmMemory};
use crate::phase::PhaseMemory;
use crate::record::Record;
use alloc::vec::Vec;
use penstock_types::engine_view::TokenFlags;

/// Flags that are derived; the others are taken from the record.
const DERIVED: u16 =
    TokenFlags::ALT_EDGE.0 | TokenFlags::PHASE_OVERRIDE.0 | TokenFlags::CLUSTER_TICK.0;

/// A tick as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retraced {
    /// Records, ascending by token.
    pub records: Vec<Record>,
    /// Alerts in the order of publication.
    pub alerts: Vec<Alert>,
}

#[derive(Debug, Clone)]
struct TokenTrace {
    id: u16,
    cluster_at: usize,
    profile: Profile,
    numbers: FsmNumbers,
    fsm: FsmMemory,
    alerts: TokenAlerts,
    logged: Option<Record>,
    is_alternative: bool,
    raised: Raised,
}

/// State machines that run over records.
#[derive(Debug, Clone)]
pub struct Retrace {
    config: EngineConfig,
    tokens: Vec<TokenTrace>,
    clusters: Vec<ClusterCore>,
}

impl Retrace {
    /// From an engine that executes `first_tick` as its first.
    ///
    /// # Errors
    /// [`ConfigError`] when the configuration cannot be run.
    pub fn from_genesis(config: &EngineConfig, first_tick: u64) -> Result<Self, ConfigError> {
        config.check()?;
        let ids = cluster_ids(config);
        let before = first_tick.saturating_sub(1);
        let token = |token: &crate::config::TokenConfig| TokenTrace {
            id: token.id,
            cluster_at: ids.binary_search(&token.cluster).unwrap_or_default(),
            profile: token.profile,
            numbers: token.fsm,
            fsm: FsmMemory::new(before),
            alerts: TokenAlerts::default(),
            logged: None,
            is_alternative: false,
            raised: Raised::default(),
        };
        let tokens = config.tokens.iter().map(token).collect();
        let mut clusters = clusters_of(config, &ids);
        for cluster in &mut clusters {
            cluster.begin(first_tick);
        }
        Ok(Self { config: config.clone(), tokens, clusters })
    }

    /// From the records of one tick, of which only discrete states are taken: the next tick is derived.
    ///
    /// # Errors
    /// [`ConfigError`] when the configuration cannot be run.
    pub fn from_records(config: &EngineConfig, records: &[Record]) -> Result<Self, ConfigError> {
        let tick = records.first().map_or(0, |record| record.tick_id);
        let mut trace = Self::from_genesis(config, tick)?;
        for (token, record) in trace.tokens.iter_mut().zip(records) {
            token.fsm = FsmMemory::in_state(record.fsm_state, tick, 0);
            let Some(cluster) = trace.clusters.get_mut(token.cluster_at) else { continue };
            cluster.memory = ClusterMemory::in_state(record.cluster_state, tick);
            let is_overridden = record.flags.contains(TokenFlags::PHASE_OVERRIDE);
            cluster.phase =
                PhaseMemory::in_phase(&cluster.schedule, tick, record.event_phase, is_overridden);
        }
        Ok(trace)
    }

    /// Goes on with `first_tick` under another configuration, as [`super::Engine::changed`] does.
    ///
    /// # Errors
    /// [`ConfigError`] when the configuration cannot be run.
    pub fn changed(&self, config: &EngineConfig, first_tick: u64) -> Result<Self, ConfigError> {
        let mut trace = Self::from_genesis(config, first_tick)?;
        for cluster in &mut trace.clusters {
            if let Some(had) = self.clusters.iter().find(|had| had.id == cluster.id) {
                cluster.follow(had);
            }
        }
        for (token, own) in trace.tokens.iter_mut().zip(&config.tokens) {
            let mut all = self.config.tokens.iter().zip(&self.tokens);
            if let Some((_, had)) = all.find(|(had, _)| carries(had, own)) {
                token.fsm = had.fsm;
                token.alerts = had.alerts;
            }
        }
        Ok(trace)
    }

    /// Derives one tick from its records, which ascend by token and have one per token.
    ///
    /// # Errors
    /// [`EngineFault`] when a number leaves its range, or the records are not those of the tokens.
    pub fn step(&mut self, records: &[Record], out: &mut Retraced) -> Result<(), EngineFault> {
        let tick = records.first().map_or(0, |record| record.tick_id);
        out.records.clear();
        out.alerts.clear();
        if records.len() != self.tokens.len() {
            return Err(LayerFault::Invariant("a token has no record").at(tick, 0));
        }
        let config = &self.config;
        for (token, record) in self.tokens.iter_mut().zip(records) {
            if (record.token_id, record.tick_id) != (token.id, tick) {
                let what =
                    LayerFault::Invariant("a record of another token or tick stands in place");
                return Err(what.at(tick, token.id));
            }
            token.execute(config, record).map_err(|fault| fault.at(tick, token.id))?;
        }
        for cluster in &mut self.clusters {
            let subject = u16::from(cluster.id);
            if tick.is_multiple_of(4) {
                cluster
                    .judge(config, tick, &self.tokens)
                    .map_err(|fault| fault.at(tick, subject))?;
            }
        }
        for cluster in &mut self.clusters {
            let subject = u16::from(cluster.id);
            cluster.advance(config, tick).map_err(|fault| fault.at(tick, subject))?;
        }
        for token in &mut self.tokens {
            token.alert(config, tick).map_err(|fault| fault.at(tick, token.id))?;
        }
        let tick_flags =
            TokenFlags::default().with_if(TokenFlags::CLUSTER_TICK, tick.is_multiple_of(4));
        let board = Board { config, clusters: &self.clusters, tokens: &self.tokens, tick_flags };
        out.records.extend(self.tokens.iter().filter_map(|token| board.record_of(token, tick)));
        board.publish(tick, &mut out.alerts)?;
        for cluster in &mut self.clusters {
            cluster.is_raised = false;
        }
        Ok(())
    }
}

impl TokenTrace {
    fn execute(&mut self, config: &EngineConfig, record: &Record) -> Result<(), LayerFault> {
        let input = FsmInput {
            tick_id: record.tick_id,
            profile: self.profile,
            scores: record.scores,
            cost: record.trigger_cost,
            threshold_multiplier: config.tier.context(record.tier).threshold_multiplier,
            oi_velocity: i64::from(record.oi_velocity),
            is_oi_stale: record.flags.contains(TokenFlags::OI_STALE),
        };
        let moved = self.fsm.update(&self.numbers, config.release_enabled, &input)?;
        self.is_alternative = moved.is_some_and(|moved| moved.edge.is_alternative());
        self.raised = Raised::default();
        self.logged = Some(*record);
        Ok(())
    }

    fn alert(&mut self, config: &EngineConfig, tick_id: u64) -> Result<(), LayerFault> {
        let Some(record) = self.logged else { return Ok(()) };
        let tick = TokenTick {
            tick_id,
            state: self.fsm.state(),
            is_entry: self.fsm.state_enter_tick() == tick_id,
            cycle_id: self.fsm.cycle_id(),
            cost: record.trigger_cost,
            is_suppressed: record.flags.contains(TokenFlags::SUPPRESS_ALERTS),
        };
        self.raised = self.alerts.update(&config.alerts, &tick)?;
        Ok(())
    }
}

impl Subject for TokenTrace {
    fn id(&self) -> u16 {
        self.id
    }

    fn cluster_at(&self) -> usize {
        self.cluster_at
    }

    fn raised(&self) -> Raised {
        self.raised
    }

    fn active_ticks(&self) -> u32 {
        self.alerts.active_ticks()
    }

    fn member(&self) -> Member {
        let is_inactive =
            self.logged.is_some_and(|record| record.flags.contains(TokenFlags::INACTIVE));
        let tier = self.logged.map(|record| record.tier);
        Member {
            state: self.fsm.state(),
            tier: tier.unwrap_or(penstock_types::engine_view::Tier::Neutral),
            is_inactive,
            cost: self.logged.map_or(0, |record| record.trigger_cost),
        }
    }

    fn record(&self, tick_id: u64, cluster: &ClusterCore, flags: TokenFlags, mask: u8) -> Record {
        let logged = self.logged.unwrap_or(Record::BLANK);
        let kept = TokenFlags(logged.flags.0 & !DERIVED);
        Record {
            tick_id,
            token_id: self.id,
            fsm_state: self.fsm.state(),
            cluster_state: cluster.memory.state(),
            event_phase: cluster.phase.phase(),
            flags: kept.with(flags).with_if(TokenFlags::ALT_EDGE, self.is_alternative),
            alert_mask: self.raised.mask() | mask,
            ..logged
        }
    }
}
