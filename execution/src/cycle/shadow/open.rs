//! From a finished decision to the shadow trades that open with its record.
//!
//! Purpose: choose them and write them as rows. Inputs: input, outcome, the ways that are pending. Outputs: openings,
//! rows. Invariants: a read that fails opens none and breaks no cycle; what keeps the pending ones is told of new ones.

use penstock_store_decision::shadow_trades::ShadowRow;
use penstock_store_orders::ExecStore;
use penstock_trading::cycle::CycleInput;
use penstock_trading::decide::Outcome;
use penstock_trading::decide::shadow::{Opening, openings};
use tokio::sync::watch;

use crate::context::Context;

/// Opens shadow trades.
#[derive(Debug)]
pub(in crate::cycle) struct Shadows {
    store: ExecStore,
    max: usize,
    opened: watch::Sender<()>,
}

impl Shadows {
    pub(in crate::cycle) fn new(context: &Context) -> Self {
        let (pool, session) = (context.pool.clone(), context.session_id);
        let max = context.settings.config.areas.evaluation.shadow_max_per_cycle;
        Self {
            store: ExecStore::new(pool, context.domain(), context.token, session),
            max: usize::try_from(max).unwrap_or(usize::MAX),
            opened: watch::Sender::new(()),
        }
    }

    /// For whoever keeps the pending ones: changes when some were opened.
    pub(in crate::cycle) fn opened(&self) -> watch::Receiver<()> {
        self.opened.subscribe()
    }

    /// What a finished decision opens.
    pub(in crate::cycle) async fn of(
        &self,
        context: &Context,
        input: &CycleInput,
        decision: &Outcome,
    ) -> Vec<Opening> {
        if self.max == 0 || decision.topn.is_empty() {
            return Vec::new();
        }
        match self.store.pending_ways().await {
            Ok(pending) => openings(input, &context.settings.decide, decision, &pending, self.max),
            Err(error) => {
                tracing::warn!("no shadow trade of this evaluation: {error}");
                Vec::new()
            }
        }
    }

    /// The record with these openings is written.
    pub(in crate::cycle) fn written(&self, openings: &[Opening]) {
        if !openings.is_empty() {
            self.opened.send_replace(());
        }
    }
}

/// The row of an opening.
pub(in crate::cycle) fn row(opening: &Opening) -> ShadowRow {
    let (way, trade) = (&opening.way, &opening.trade);
    ShadowRow {
        symbol: way.symbol.as_str().to_owned(),
        direction: way.direction.as_str(),
        strategy: way.strategy.as_str(),
        route_type: way.route_type.as_str(),
        horizon: way.horizon.as_str(),
        stage: opening.stage.as_str(),
        blocker: opening.blocker.as_str(),
        opened_at: trade.opened_at,
        ref_price: trade.ref_price,
        tp_price: trade.tp_price,
        sl_price: trade.sl_price,
        expires_at: trade.expires_at,
    }
}
