//! Deposits and withdrawals, made by the administrator.
//!
//! Inputs: asset and signed amount. Outputs: the ledger entry, also on the balances stream.
//! Invariant: a withdrawal never touches what orders hold.

use super::error::VenueError;
use super::order::BalanceChange;
use crate::exchange::{Exchange, PrivateEvent};
use rust_decimal::Decimal;

/// Largest amount of one transfer; far above any test, far below the decimal's end.
const AMOUNT_MAX: i64 = 1_000_000_000_000;

impl Exchange {
    /// Books a deposit (positive) or a withdrawal (negative).
    ///
    /// # Errors
    /// The amount is zero or out of range, the asset is not listed, or less is available.
    pub fn transfer(
        &mut self,
        asset: &str,
        amount: Decimal,
        now_us: i64,
    ) -> Result<BalanceChange, VenueError> {
        self.begin(now_us);
        let listed = |name: &str| {
            let mut pairs = self.markets().iter().map(|market| &market.instrument);
            pairs.any(|one| one.base == name || one.quote == name)
        };
        if !listed(asset) {
            return Err(VenueError::UnknownAsset);
        }
        if amount.is_zero() || amount.abs() > Decimal::from(AMOUNT_MAX) {
            return Err(VenueError::argument("amount"));
        }
        if amount < Decimal::ZERO && -amount > self.account.available(asset) {
            return Err(VenueError::InsufficientFunds);
        }
        let kind = if amount > Decimal::ZERO { "deposit" } else { "withdrawal" };
        let ref_id = self.account.ids.next('T');
        let now_us = self.now_us;
        let entry = self.account.book(now_us, kind, ref_id, asset, amount, Decimal::ZERO);
        self.private.push(PrivateEvent::Balance(entry.clone()));
        let pairs: Vec<usize> = (0..self.markets.len())
            .filter(|index| self.markets[*index].instrument.base == asset)
            .collect();
        for index in pairs {
            self.finish(crate::exchange::SymbolNo(index));
        }
        Ok(entry)
    }
}
