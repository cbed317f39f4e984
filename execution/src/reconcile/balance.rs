//! Balances: openings, deposits, corrections of positions.
//!
//! Input: rows of the stream, looks. Output: `balance_changes`, adjustments. Balances may overtake
//! trades, so a difference counts only when the venue said it twice, five seconds apart, and showed its
//! orders afterwards, with nothing of the symbol unproven.

use std::collections::BTreeSet;

use penstock_store_orders::balances::BalanceChange;
use penstock_telemetry::marker;
use penstock_trading::exit::policy::{PolicyInput, plan_terms};
use penstock_trading::ledger::difference::{Difference, DifferenceInput, judge};
use penstock_types::vocab::{ExitPolicy, Horizon, OrderState};
use penstock_types::{Decimal, OrderId, PositionId, Symbol};
use penstock_venue_orders::Stamp;
use penstock_venues::kraken::rates::RestUse;
use serde_json::json;

use super::fetch::{LookKind, LookResult};
use super::views::Sights;
use crate::desk::{Balance, Desk, DeskError};
use crate::stream::BalanceUpdate;
use crate::tracker::Held;

impl Desk {
    /// The balances of an installation's first attach.
    pub(crate) async fn open_balances(&mut self) -> Result<(), DeskError> {
        let read = self.store.has_opening().await;
        if self.written(read)? != Some(false) {
            return Ok(());
        }
        let now = self.now();
        let rows: Vec<(String, Decimal)> =
            self.balances.iter().map(|(a, b)| (a.clone(), b.amount)).collect();
        for (asset, amount) in rows {
            let change = BalanceChange {
                asset: &asset,
                at: now,
                amount,
                cause: "opening",
                ledger_id: None,
                evidence: json!({ "source": "balances snapshot" }),
            };
            let stored = self.store.add_balance_change(&change).await;
            self.written(stored)?;
        }
        Ok(())
    }

    /// A row of the balances channel that is no trade.
    pub(crate) async fn on_balance_change(
        &mut self,
        row: &BalanceUpdate,
        at: Stamp,
    ) -> Result<(), DeskError> {
        let (Some(kind), Some(amount)) = (row.kind.as_deref(), row.amount) else { return Ok(()) };
        let cause = match kind {
            "trade" => {
                // Whatever the stream of executions says of it: newer balances alone tell about now.
                self.reconcile.balance_traded.insert(row.asset.clone(), at.mono_ms());
                return Ok(());
            }
            "deposit" => "deposit",
            "withdrawal" => "withdrawal",
            "conversion" => "conversion",
            _ => "other",
        };
        let change = BalanceChange {
            asset: &row.asset,
            at: row.at.unwrap_or(at.wall),
            amount: amount - row.fee.unwrap_or_default(),
            cause,
            ledger_id: row.ledger_id.as_deref(),
            evidence: json!({ "type": kind }),
        };
        let stored = self.store.add_balance_change(&change).await;
        self.written(stored)?;
        Ok(())
    }

    /// Reads the balance of a position that seems short.
    pub(crate) fn read_balance(&mut self, id: PositionId) {
        if let Some(held) = self.tracker.positions.get_mut(&id) {
            if held.balance_look_open {
                return;
            }
            held.balance_look_open = true;
        }
        self.start_look(LookKind::Balances, RestUse::Reserved);
    }

    pub(crate) async fn on_balance_look(&mut self, result: LookResult) -> Result<(), DeskError> {
        for held in self.tracker.positions.values_mut() {
            held.balance_look_open = false;
        }
        self.believe_balances(&result);
        Ok(())
    }

    /// Balances of a look, unless the stream said something after it began: REST may lag.
    pub(super) fn believe_balances(&mut self, result: &LookResult) {
        let now = self.now();
        for (asset, amount) in &result.balances {
            let started = (result.started_mono_ms, result.started_at);
            self.see_looked_up(asset, *amount, started);
            let known = self.balances.get(asset);
            let newer = known.is_some_and(|b| b.seen_mono_ms >= result.started_mono_ms);
            let same = known.is_some_and(|b| b.amount == *amount);
            if !newer && !same {
                let seen_mono_ms = result.started_mono_ms;
                let balance = Balance { amount: *amount, seen_mono_ms, dirty: true, at: now };
                self.balances.insert(asset.clone(), balance);
            }
        }
    }

    /// Stores balances that changed.
    pub(crate) async fn store_balances(&mut self) -> Result<(), DeskError> {
        let dirty: Vec<(String, Balance)> =
            self.balances.iter().filter(|(_, b)| b.dirty).map(|(a, b)| (a.clone(), *b)).collect();
        for (asset, balance) in dirty {
            let stored = self.store.put_balance(&asset, balance.amount, balance.at, "stream").await;
            if self.written(stored)?.is_none() {
                return Ok(());
            }
            if let Some(kept) = self.balances.get_mut(&asset) {
                kept.dirty = kept.amount != balance.amount;
            }
        }
        Ok(())
    }

    /// Compares base balances with positions, of all symbols or of some assets; corrects what the venue said twice.
    pub(crate) async fn compare_balances(
        &mut self,
        only: Option<&BTreeSet<String>>,
    ) -> Result<u32, DeskError> {
        let mut adjusted = 0;
        let symbols: Vec<Symbol> = self.instruments.load().keys().cloned().collect();
        for symbol in symbols {
            let wanted = only.is_none_or(|assets| assets.contains(symbol.base()));
            if !wanted || symbol.quote() != self.config.quote_asset {
                continue;
            }
            let last_trade_ms = self.last_trade_ms(&symbol);
            let Some(seen) = self.views_after(symbol.base(), last_trade_ms) else { continue };
            let read = self.store.base_held(&symbol).await;
            let Some(held) = self.written(read)? else { return Ok(adjusted) };
            let read = self.store.base_outside(symbol.base()).await;
            let Some(outside) = self.written(read)? else { return Ok(adjusted) };
            let lot = self.instrument(&symbol).map_or(Decimal::ZERO, |i| i.qty_increment);
            let view = DifferenceInput {
                first: seen.first.view,
                last: seen.last.view,
                ledger: held + outside,
                tolerance: lot.max(held * Decimal::new(1, 3)),
                last_trade_ms,
                orders_seen_ms: self.orders_seen_ms(&symbol, &seen.first),
                queue_empty: self.is_queue_empty(),
                unproven: self.is_unproven(&symbol),
                booked_all: self.is_all_booked(&symbol),
            };
            match judge(&view) {
                Difference::None => {
                    self.reconcile.watched.remove(symbol.base());
                }
                Difference::Watch => self.watch_balance(symbol.base(), seen.first.view.as_of_ms),
                Difference::Correct(delta) => {
                    self.reconcile.watched.remove(symbol.base());
                    let Some(delta) = self.correct_outside(&symbol, delta, outside).await? else {
                        continue;
                    };
                    adjusted += u32::from(self.adjust(&symbol, delta, &seen).await?);
                }
            }
        }
        Ok(adjusted)
    }

    fn is_unproven(&self, symbol: &Symbol) -> bool {
        self.tracker.live().any(|t| {
            t.record.symbol == *symbol
                && matches!(
                    t.record.state,
                    OrderState::PendingSubmit
                        | OrderState::SubmitUnknown
                        | OrderState::Suspect
                        | OrderState::ReconcileRequired
                )
        })
    }

    async fn adjust(
        &mut self,
        symbol: &Symbol,
        delta: Decimal,
        seen: &Sights,
    ) -> Result<bool, DeskError> {
        let Some(quote) = self.quotes.table().sound(symbol).cloned() else { return Ok(false) };
        let mid = (quote.bid + quote.ask) / Decimal::TWO;
        let now = self.now();
        let terms = plan_terms(&PolicyInput {
            policy: ExitPolicy::Recovered,
            entry_price: mid,
            mid: Some(mid),
            expected_move_bps: Decimal::ZERO,
            atr_bps: None,
            spread_avg_bps: Decimal::ZERO,
            round_trip_fees_bps: self.fees_round_trip_bps,
            horizon: Horizon::Long,
            tick: self.instrument(symbol).map_or(Decimal::new(1, 8), |i| i.price_increment),
            opened_at: now,
        });
        let reason = if delta > Decimal::ZERO { "external" } else { "phantom" };
        if delta < Decimal::ZERO && self.tracker.position_of(symbol).is_none() {
            return Ok(false);
        }
        let mut evidence = seen.evidence();
        // What comes from outside, or goes there, counts at this price when the high-water mark is folded.
        evidence["mid_quote"] = json!(mid.to_string());
        let why = (reason, &evidence);
        let stored = self.store.adjust_position(symbol, delta, mid, why, &terms, now).await;
        let Some((position, plan)) = self.written(stored)? else { return Ok(false) };
        if delta < Decimal::ZERO {
            marker!(
                PHANTOM_POSITION_CORRECTED,
                position_id = position.position_id.0,
                symbol = symbol.as_str(),
                delta_base = delta.to_string()
            );
        } else {
            marker!(EXPOSURE_DETECTED, symbol = symbol.as_str(), base = delta.to_string());
        }
        let mono = self.mono_ms();
        let id = position.position_id;
        let gone = position.head.base.is_zero();
        let held = self
            .tracker
            .positions
            .entry(id)
            .or_insert_with(|| Held::new(position.clone(), plan.clone(), mono));
        held.position = position;
        held.plan = plan;
        if gone {
            self.nothing_left(id).await?
        } else {
            self.protect(id).await?
        }
        Ok(true)
    }

    /// What would sell base that is not there holds nothing, and must not sell the next.
    async fn nothing_left(&mut self, id: PositionId) -> Result<(), DeskError> {
        self.tracker.positions.remove(&id);
        let left: Vec<OrderId> = self
            .tracker
            .live()
            .filter(|t| t.record.reduces() && t.record.position_id == Some(id))
            .map(|t| t.record.order_id)
            .collect();
        for order in left {
            self.cancel(order, "no base is left").await?;
        }
        self.reload_standbys().await
    }
}
