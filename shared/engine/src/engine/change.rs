//! The engine under another configuration, between two ticks.
//!
//! Input: an engine, a configuration that the operator accepted. Output: an engine that goes on with the next tick
//! under it. Invariants: the state is taken over by the ids of tokens and clusters; what is new begins as at a
//! genesis, what is gone is dropped; the state chain goes on; the same change of the same state gives the same
//! engine, so that a replay changes at the same tick with the same outcome. When that is, and whether it may be,
//! is not decided here.

use super::Engine;
use super::row::Row;
use super::token::TokenCore;
use crate::alert::Raised;
use crate::config::{ConfigError, EngineConfig, TokenConfig};
use crate::feature::{FEATURES_LEN, Features};
use crate::snapshot::Pack;
use alloc::string::String;

/// A token goes on under another configuration: it reads what it read. With other instruments its held prices and
/// open interests would be somebody else's, so it begins anew.
pub(super) fn carries(had: &TokenConfig, now: &TokenConfig) -> bool {
    had.id == now.id && had.profile == now.profile && had.instruments == now.instruments
}

impl Engine {
    /// The engine that goes on under `config` behind the tick that was executed last.
    ///
    /// # Errors
    /// [`ConfigError`] when the configuration cannot be run.
    pub fn changed(&self, config: &EngineConfig) -> Result<Self, ConfigError> {
        let mut engine = Self::new(config)?;
        let Some(last) = self.last_tick else { return Ok(engine) };
        engine.begin(last.saturating_add(1));
        engine.last_tick = Some(last);
        engine.is_cold = self.is_cold;
        engine.tick_flags = self.tick_flags;
        engine.fault = self.fault;
        engine.chain = self.chain;
        for cluster in &mut engine.clusters {
            if let Some(had) = self.clusters.iter().find(|had| had.id == cluster.id) {
                cluster.follow(had);
            }
        }
        let own = engine.tokens.iter_mut().zip(&mut engine.rows);
        for ((token, row), own) in own.zip(&config.tokens) {
            let mut all = self.config.tokens.iter().zip(self.tokens.iter().zip(&self.rows));
            if let Some((_, (had, had_row))) = all.find(|(had, _)| carries(had, own)) {
                token.follow(config, had, last)?;
                let raised = Raised::default();
                let Row { id, cluster_at, .. } = *row;
                *row = Row { id, cluster_at, raised, active_ticks: 0, ..*had_row };
            }
        }
        Ok(engine)
    }
}

impl TokenCore {
    /// Takes over what the token was. Its features go through the bytes of a snapshot: what they derive from the
    /// configuration is derived from the new one.
    fn follow(&mut self, config: &EngineConfig, had: &Self, last: u64) -> Result<(), ConfigError> {
        let mut held = [0; FEATURES_LEN];
        had.features.save(&mut Pack::new(&mut held));
        let loaded = Features::load(config, &self.wiring, &held, last, had.features.runs());
        self.features = loaded
            .map_err(|what| ConfigError::Token { token: self.id, problem: String::from(what) })?;
        self.tier = had.tier;
        self.cost = had.cost;
        self.scores = had.scores;
        self.fsm = had.fsm;
        self.alerts = had.alerts;
        Ok(())
    }
}
