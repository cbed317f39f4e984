//! A copy of what decisions may read, made between ticks.
//!
//! Input: the engine after a tick. Output: one [`TokenView`] per token. Invariant: it changes nothing; the
//! caller's vector is used again.

use super::Engine;
use super::alerts::effective;
use alloc::vec::Vec;
use penstock_types::TickId;
use penstock_types::engine_view::TokenView;

impl Engine {
    /// Writes the view of every token, ascending, in place of what `out` held. Empty before the first tick.
    pub fn view(&self, out: &mut Vec<TokenView>) {
        out.clear();
        let Some(last) = self.last_tick else { return };
        let board = self.board();
        let tick_id = TickId(i64::try_from(last).unwrap_or(i64::MAX));
        for (token, row) in self.tokens.iter().zip(&self.rows) {
            let Some(cluster) = self.clusters.get(row.cluster_at) else { continue };
            let (active_ticks, cost) = (token.alerts.active_ticks(), token.cost.cost());
            let [density, divergence, elasticity, compression] = token.cost.components();
            let (ohlc_1m, ohlc_5m) = token.features.candles();
            out.push(TokenView {
                tick_id,
                token_id: token.id,
                fsm_state: token.state(),
                state_age_ticks: last.saturating_sub(token.fsm.state_enter_tick()),
                cycle_id: token.fsm.cycle_id(),
                tier: token.tier(),
                trigger_cost: cost,
                effective_cost: effective(cost, cluster),
                cost_density: density,
                cost_divergence: divergence,
                cost_elasticity: elasticity,
                cost_compression: compression,
                direction: row.direction,
                cluster_id: cluster.id,
                cluster_state: cluster.memory.state(),
                cluster_valid: cluster.memory.is_valid(),
                heat: cluster.memory.heat(),
                event_phase: cluster.phase.phase(),
                // Inputs are scores, for which the formula is exact.
                confidence: board.confidence_of(active_ticks, cost, cluster).unwrap_or(0),
                divergence_label: row.label,
                flags: row.flags.with(board.flags_of(cluster)),
                scores: token.scores.get(),
                ohlc_1m: *ohlc_1m,
                ohlc_5m: *ohlc_5m,
            });
        }
    }
}
