//! Orders and positions in memory: a cache of committed rows, and what only this process knows.
//!
//! Input: records as transactions return them. Output: look-ups by id, what blocks a symbol, what a
//! position's stop and close are. Invariant: memory follows the commit, never the other way round. The
//! desk owns it alone, so there is no lock. Terminal orders stay for ten minutes, for late reports.

mod held;
mod order;

pub(crate) use held::{Held, RaiseNote, TakeProfit};
pub(crate) use order::{Mutation, MutationKind, Tracked, view_of};

use std::collections::BTreeMap;

use penstock_store_orders::orders::{OrderRecord, PersistedOrder};
use penstock_types::vocab::{OrderRole, OrderState};
use penstock_types::{Decimal, OrderId, PositionId, Symbol, Uuid};

use crate::audit::Said;

/// How long a terminal order stays, milliseconds.
const TERMINAL_KEEP_MS: i64 = 600_000;
/// More orders than this are never in memory at once: 80 pairs at the venue's limit of open orders.
const ORDERS_LEN_LIMIT: usize = 20_000;

/// The index.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    orders: BTreeMap<OrderId, Tracked>,
    by_client: BTreeMap<Uuid, OrderId>,
    by_venue: BTreeMap<String, OrderId>,
    /// What the audit trail was told.
    pub(crate) said: Said,
    /// Positions that are not closed.
    pub(crate) positions: BTreeMap<PositionId, Held>,
}

impl Tracker {
    /// An empty memory whose changes are said.
    #[must_use]
    pub(crate) fn saying(said: Said) -> Self {
        Self { said, ..Self::default() }
    }

    /// Takes a committed record in; what this process knows of the order stays.
    pub(crate) fn put(&mut self, record: OrderRecord, now_mono_ms: i64) {
        self.by_client.insert(record.cl_ord_id, record.order_id);
        if let Some(venue) = &record.exchange_order_id {
            self.by_venue.insert(venue.clone(), record.order_id);
        }
        let before = self.orders.get(&record.order_id).map(|tracked| &tracked.record);
        self.said.order(before, &record);
        match self.orders.get_mut(&record.order_id) {
            Some(tracked) => tracked.take(record, now_mono_ms),
            None => {
                assert!(
                    self.orders.len() < ORDERS_LEN_LIMIT,
                    "more orders in memory than can live"
                );
                self.orders.insert(record.order_id, Tracked::new(record, now_mono_ms));
            }
        }
    }

    /// The same of a row that is about to be sent, with the hash of its intent.
    pub(crate) fn put_sent(&mut self, sent: &PersistedOrder, now_mono_ms: i64) {
        self.said.intent(sent.record().order_id, sent.intent_hash());
        self.put(sent.record().clone(), now_mono_ms);
    }

    /// By row.
    #[must_use]
    pub(crate) fn get(&self, id: OrderId) -> Option<&Tracked> {
        self.orders.get(&id)
    }

    /// By row, to change what only this process knows.
    pub(crate) fn get_mut(&mut self, id: OrderId) -> Option<&mut Tracked> {
        self.orders.get_mut(&id)
    }

    /// By client id.
    #[must_use]
    pub(crate) fn by_client(&self, id: Uuid) -> Option<OrderId> {
        self.by_client.get(&id).copied()
    }

    /// By the venue's id.
    #[must_use]
    pub(crate) fn by_venue(&self, id: &str) -> Option<OrderId> {
        self.by_venue.get(id).copied()
    }

    /// All orders.
    pub(crate) fn orders(&self) -> impl Iterator<Item = &Tracked> {
        self.orders.values()
    }

    /// All orders, to change what only this process knows.
    pub(crate) fn orders_mut(&mut self) -> impl Iterator<Item = &mut Tracked> {
        self.orders.values_mut()
    }

    /// Orders that are neither terminal nor in stock.
    pub(crate) fn live(&self) -> impl Iterator<Item = &Tracked> {
        self.orders.values().filter(|t| t.is_live())
    }

    /// The standby row of a role for a position.
    #[must_use]
    pub(crate) fn standby(&self, position: PositionId, role: OrderRole) -> Option<&OrderRecord> {
        self.orders.values().map(|t| &t.record).find(|r| {
            r.state == OrderState::Created && r.role == role && r.position_id == Some(position)
        })
    }

    /// The live entry of a symbol.
    #[must_use]
    pub(crate) fn entry_of(&self, symbol: &Symbol) -> Option<&Tracked> {
        self.live().find(|t| t.record.enters() && t.record.symbol == *symbol)
    }

    /// The live order of a role for a position.
    #[must_use]
    pub(crate) fn live_of(&self, position: PositionId, role: OrderRole) -> Option<&Tracked> {
        self.live().find(|t| t.record.role == role && t.record.position_id == Some(position))
    }

    /// The open position of a symbol; a remainder is none.
    #[must_use]
    pub(crate) fn position_of(&self, symbol: &Symbol) -> Option<&Held> {
        self.positions.values().find(|h| h.position.symbol == *symbol && !h.is_dust())
    }

    /// An order lives or a position is open.
    #[must_use]
    pub(crate) fn is_busy(&self, symbol: &Symbol) -> bool {
        self.position_of(symbol).is_some() || self.live().any(|t| t.record.symbol == *symbol)
    }

    /// Base that live sell orders of a symbol hold at the venue.
    #[must_use]
    pub(crate) fn held_by_sells(&self, symbol: &Symbol) -> Decimal {
        self.live()
            .filter(|t| t.record.symbol == *symbol && t.record.reduces())
            .map(|t| t.record.remaining())
            .sum()
    }

    /// Drops what ended long ago.
    pub(crate) fn sweep(&mut self, now_mono_ms: i64) {
        let old: Vec<OrderId> = self
            .orders
            .values()
            .filter(|t| {
                t.record.state.is_terminal() && now_mono_ms - t.changed_mono_ms > TERMINAL_KEEP_MS
            })
            .map(|t| t.record.order_id)
            .collect();
        for id in old {
            self.said.forget(id);
            if let Some(gone) = self.orders.remove(&id) {
                self.by_client.remove(&gone.record.cl_ord_id);
                if let Some(venue) = &gone.record.exchange_order_id {
                    self.by_venue.remove(venue);
                }
            }
        }
    }

    /// Forgets standby rows, before they are read anew; they are given back.
    pub(crate) fn drop_standbys(&mut self) -> Vec<OrderRecord> {
        let ids: Vec<OrderId> = self
            .orders
            .values()
            .filter(|t| t.record.state == OrderState::Created)
            .map(|t| t.record.order_id)
            .collect();
        let mut dropped = Vec::new();
        for id in ids {
            if let Some(gone) = self.orders.remove(&id) {
                self.by_client.remove(&gone.record.cl_ord_id);
                dropped.push(gone.record);
            }
        }
        dropped
    }

    /// Standby rows that were not among those read anew were closed with what they stood for.
    pub(crate) fn say_closed(&mut self, dropped: Vec<OrderRecord>) {
        for before in dropped {
            if !self.orders.contains_key(&before.order_id) {
                let event_seq = before.event_seq + 1;
                let after = OrderRecord { state: OrderState::Error, event_seq, ..before.clone() };
                self.said.order(Some(&before), &after);
                self.said.forget(after.order_id);
            }
        }
    }
}
