//! The alerts of a tick, in the order of publication: clusters first, then by kind, then by id.
//!
//! Input: what tokens and clusters raised. Output: [`Alert`]s that quote the records. Invariants: it runs only
//! when something was raised, and changes no state; a token that executes ticks and one that is retraced from
//! its records publish with the same code.

use super::clusters::ClusterCore;
use crate::alert::{Alert, AlertBody, AlertKind, Raised, Stable, confidence};
use crate::cluster::{Member, context};
use crate::config::EngineConfig;
use crate::fault::{EngineFault, LayerFault};
use crate::num::{ArithError, SCORE_MAX, div, mul_div, sat32, weigh};
use crate::record::Record;
use alloc::vec::Vec;
use penstock_types::engine_view::TokenFlags;

/// Ticks over which a token's activity is counted.
const ACTIVITY_TICKS: i64 = 240;

/// A token as clusters, alerts and records see it.
pub(super) trait Subject {
    fn id(&self) -> u16;
    /// Position of its cluster.
    fn cluster_at(&self) -> usize;
    fn raised(&self) -> Raised;
    /// Ticks of the last 240 in which it was stirred, of a token that raised something.
    fn active_ticks(&self) -> u32;
    /// The token as its cluster sees it.
    fn member(&self) -> Member;
    /// Layer 9, without the CRC.
    fn record(&self, tick_id: u64, cluster: &ClusterCore, flags: TokenFlags, mask: u8) -> Record;
}

/// All tokens and clusters after the layers that change them.
pub(super) struct Board<'a, T> {
    pub config: &'a EngineConfig,
    pub clusters: &'a [ClusterCore],
    pub tokens: &'a [T],
    /// Flags that the tick gives every token.
    pub tick_flags: TokenFlags,
}

impl<T: Subject> Board<'_, T> {
    /// The record of a token; `None` for a token without a cluster, which does not exist.
    pub(super) fn record_of(&self, token: &T, tick: u64) -> Option<Record> {
        let cluster = self.clusters.get(token.cluster_at())?;
        let mask = if cluster.is_raised { AlertKind::Systemic.bit() } else { 0 };
        Some(token.record(tick, cluster, self.flags_of(cluster), mask))
    }

    /// Flags that the tick gives every token of a cluster.
    pub(super) const fn flags_of(&self, cluster: &ClusterCore) -> TokenFlags {
        self.tick_flags.with_if(TokenFlags::PHASE_OVERRIDE, cluster.phase.is_overridden())
    }

    pub(super) fn publish(&self, tick: u64, out: &mut Vec<Alert>) -> Result<(), EngineFault> {
        for kind in AlertKind::PUBLICATION {
            if kind == AlertKind::Systemic {
                for cluster in self.clusters.iter().filter(|cluster| cluster.is_raised) {
                    let alert = self.systemic(cluster, tick);
                    out.push(alert.map_err(|_| LayerFault::Arith.at(tick, u16::from(cluster.id)))?);
                }
                continue;
            }
            for token in self.tokens {
                let raised = token.raised();
                let stable = raised.stable.filter(|_| kind == AlertKind::Stable15m);
                if stable.is_none() && raised.structural != Some(kind) {
                    continue;
                }
                let alert = self.of_token(token, kind, stable, tick);
                let alert = alert.map_err(|_| LayerFault::Arith.at(tick, token.id()))?;
                out.extend(alert);
            }
        }
        Ok(())
    }

    fn systemic(&self, cluster: &ClusterCore, tick: u64) -> Result<Alert, ArithError> {
        let counts = cluster.memory.counts();
        let (stirred, n) = (i64::from(counts.stirred), i64::from(counts.n));
        let activity = mul_div(stirred, SCORE_MAX, n.max(1))?;
        // Nobody stirred: there is no cheapness to speak of.
        let cost = if stirred == 0 { SCORE_MAX } else { div(counts.stirred_cost, stirred)? };
        let weight = context(cluster.memory.state()).cluster_weight;
        Ok(Alert {
            tick_id: tick,
            kind: AlertKind::Systemic,
            cluster_id: cluster.id,
            cluster_state: cluster.memory.state(),
            event_phase: cluster.phase.phase(),
            confidence: confidence(&self.config.alert_weights, activity, cost, weight)?,
            body: AlertBody::Cluster { affected: counts.stirred, total: counts.n },
        })
    }

    fn of_token(
        &self,
        token: &T,
        kind: AlertKind,
        stable: Option<Stable>,
        tick: u64,
    ) -> Result<Option<Alert>, ArithError> {
        let Some(cluster) = self.clusters.get(token.cluster_at()) else { return Ok(None) };
        let Some(record) = self.record_of(token, tick) else { return Ok(None) };
        let confidence = match &stable {
            None => self.confidence_of(token.active_ticks(), token.member().cost, cluster)?,
            Some(quarter) => {
                let activity = mul_div(quarter.dominant_ticks, SCORE_MAX, quarter.ticks)?;
                let weight = context(cluster.memory.state()).cluster_weight;
                let weights = &self.config.alert_weights;
                confidence(weights, activity, quarter.avg_trigger_cost, weight)?
            }
        };
        Ok(Some(Alert {
            tick_id: tick,
            kind,
            cluster_id: cluster.id,
            cluster_state: cluster.memory.state(),
            event_phase: cluster.phase.phase(),
            confidence,
            body: AlertBody::Token {
                record,
                effective_cost: effective(token.member().cost, cluster),
                stable,
            },
        }))
    }

    /// Confidence of what a token says by its own activity.
    pub(super) fn confidence_of(
        &self,
        active_ticks: u32,
        cost: i32,
        cluster: &ClusterCore,
    ) -> Result<u8, ArithError> {
        let activity = mul_div(i64::from(active_ticks), SCORE_MAX, ACTIVITY_TICKS)?;
        let weight = context(cluster.memory.state()).cluster_weight;
        confidence(&self.config.alert_weights, activity, i64::from(cost), weight)
    }
}

/// Cost after the cluster's multiplier.
pub(super) fn effective(cost: i32, cluster: &ClusterCore) -> i32 {
    let multiplier = context(cluster.memory.state()).trigger_cost_multiplier;
    sat32(weigh(i64::from(cost), multiplier))
}
