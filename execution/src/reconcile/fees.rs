//! The fees of the account, read now and then.
//!
//! Input: rows. Output: memory that the supervisor prices with. A read that fails leaves what stood.

use penstock_store_decision::account;

use crate::desk::{Desk, DeskError};

/// Distance of reads of fees.
const FEES_MS: i64 = 30_000;

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
}
