//! What the desk reads of others: fees of the account, the operator's wish to close.
//!
//! Input: rows. Output: memory that the supervisor prices and rounds with. A read that fails leaves what
//! stood.

use penstock_store_decision::{account, control};
use penstock_types::Symbol;

use crate::audit::operator_command;
use crate::desk::{Desk, DeskError};

/// Distance of reads of fees.
const FEES_MS: i64 = 30_000;
/// Distance of reads of the operator's requests.
const CONTROL_MS: i64 = 1_000;

impl Desk {
    /// The fees in force.
    pub(crate) async fn load_fees(&mut self) -> Result<(), DeskError> {
        self.reconcile.next_fees_mono_ms = self.mono_ms() + FEES_MS;
        let asked = async {
            match self.store.pool().acquire().await {
                Ok(mut conn) => account::fee_tier(&mut conn).await.map_err(|e| e.to_string()),
                Err(error) => Err(error.to_string()),
            }
        };
        let fees = self.store.aside("read the fees", asked).await;
        let Some(fees) = self.written(fees)? else { return Ok(()) };
        match fees {
            Ok(Some(tier)) => self.fees_round_trip_bps = tier.maker_bps + tier.taker_bps,
            Ok(None) => {}
            Err(error) => tracing::warn!("fees of the account: {error}"),
        }
        Ok(())
    }

    /// The operator's requests to close.
    pub(crate) async fn control(&mut self) -> Result<(), DeskError> {
        let mono = self.mono_ms();
        if mono < self.reconcile.next_control_mono_ms || !self.reconcile.complete {
            return Ok(());
        }
        self.reconcile.next_control_mono_ms = mono + CONTROL_MS;
        let checked = self.store.check().await;
        if self.written(checked)?.is_none() {
            return Ok(());
        }
        let asked = control::pending(self.store.pool(), &["flatten"]);
        let asked = self.store.aside("read the operator's requests", asked).await;
        let Some(asked) = self.written(asked)? else { return Ok(()) };
        let requests = match asked {
            Ok(requests) => requests,
            Err(error) => {
                tracing::warn!("requests of the operator: {error}");
                return Ok(());
            }
        };
        for request in requests {
            let symbol = request.args.get("symbol").and_then(serde_json::Value::as_str);
            let symbol = symbol.map(Symbol::new).transpose();
            let result = match &symbol {
                Ok(_) if !self.is_permitted() => {
                    "refused: EXECUTION_ENABLE=false, nothing is sent; next: set it and start again"
                        .to_owned()
                }
                Ok(symbol) => format!("closing {} positions", self.flatten(symbol.as_ref())),
                Err(error) => format!("refused: {error}"),
            };
            let told = control::answer(self.store.pool(), request.id, &result);
            let told = self.store.aside("answer the operator", told).await;
            let Some(told) = self.written(told)? else { return Ok(()) };
            match told {
                // Only now: without its answer it is asked, and would be told, again.
                Ok(true) => self.tracker.said.post(|_| operator_command(&request, &result)),
                Ok(false) => {}
                Err(error) => tracing::warn!("answer to the operator: {error}"),
            }
            if let Ok(symbol) = &symbol {
                self.cancel_entries("operator", symbol.as_ref()).await?;
            }
        }
        Ok(())
    }

    /// Marks positions to be closed by the next tick; how many.
    pub(crate) fn flatten(&mut self, symbol: Option<&Symbol>) -> usize {
        let mut count = 0;
        if !self.is_permitted() {
            return count;
        }
        for held in self.tracker.positions.values_mut() {
            if symbol.is_none_or(|s| *s == held.position.symbol) {
                held.flatten = true;
                count += 1;
            }
        }
        count
    }
}
