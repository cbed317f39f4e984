//! The account as data: balances, holds, orders, trades, ledger entries, and the indices by which
//! they are found.
//!
//! Inputs: fills and transfers. Outputs: views for reports, REST and the ledger. Invariants: an
//! asset's balance is the sum of its ledger entries less their fees; its hold is the sum of the
//! holds of open orders; no balance is negative; a client id is unique among open orders.

use super::fees::{FeeTier, tier_of};
use super::ids::IdSource;
use super::limits::{EngineCounters, EngineTier};
use super::order::{AccountTrade, BalanceChange, Order};
use crate::exchange::{OrderNo, SymbolNo};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The one account.
#[derive(Debug)]
pub struct Account {
    pub(super) balances: BTreeMap<String, Decimal>,
    pub(super) holds: BTreeMap<String, Decimal>,
    pub(crate) orders: BTreeMap<OrderNo, Order>,
    pub(super) by_txid: HashMap<String, OrderNo>,
    pub(super) open: BTreeSet<OrderNo>,
    pub(super) trades: Vec<AccountTrade>,
    pub(super) entries: Vec<BalanceChange>,
    pub(super) counters: EngineCounters,
    pub(super) ids: IdSource,
    pub(super) switch_us: Option<i64>,
    /// Trades that the venue took back, oldest first.
    pub(super) busts: Vec<AccountTrade>,
    /// How many completing fills still trade too much, and by how much, basis points.
    pub(super) overfill: (u32, u32),
    volume_30d_usd: Decimal,
}

impl Account {
    /// An account with nothing in it.
    pub(crate) fn new(seed: u64, volume_30d_usd: Decimal) -> Account {
        Account {
            balances: BTreeMap::new(),
            holds: BTreeMap::new(),
            orders: BTreeMap::new(),
            by_txid: HashMap::new(),
            open: BTreeSet::new(),
            trades: Vec::new(),
            entries: Vec::new(),
            counters: EngineCounters::default(),
            ids: IdSource::new(seed),
            switch_us: None,
            busts: Vec::new(),
            overfill: (0, 0),
            volume_30d_usd,
        }
    }

    /// Books the opening balance as a deposit.
    pub(crate) fn open_with(&mut self, asset: &str, amount: Decimal, now_us: i64) {
        let ref_id = self.ids.next('T');
        let mut amount = amount;
        // Four digits, as the venue shows dollars; a finer amount keeps its own.
        amount.rescale(amount.scale().max(4));
        self.book(now_us, "deposit", ref_id, asset, amount, Decimal::ZERO);
    }

    /// Adds one ledger entry; its id is the newest entry's.
    pub(super) fn book(
        &mut self,
        ts_us: i64,
        kind: &'static str,
        ref_id: String,
        asset: &str,
        amount: Decimal,
        fee: Decimal,
    ) -> BalanceChange {
        let balance = self.balances.entry(asset.to_owned()).or_default();
        *balance += amount - fee;
        let balance = *balance;
        let ledger_id = self.ids.next('L');
        let asset = asset.to_owned();
        let entry = BalanceChange { ledger_id, ref_id, ts_us, kind, asset, amount, fee, balance };
        self.entries.push(entry.clone());
        entry
    }

    /// Total of an asset, holds included.
    #[must_use]
    pub fn balance(&self, asset: &str) -> Decimal {
        self.balances.get(asset).copied().unwrap_or_default()
    }

    /// What open orders hold of an asset.
    #[must_use]
    pub fn hold(&self, asset: &str) -> Decimal {
        self.holds.get(asset).copied().unwrap_or_default()
    }

    /// What new orders may use of an asset.
    #[must_use]
    pub fn available(&self, asset: &str) -> Decimal {
        self.balance(asset) - self.hold(asset)
    }

    /// All assets with their totals, in the order of their names.
    pub fn balances(&self) -> impl Iterator<Item = (&str, Decimal)> {
        self.balances.iter().map(|(asset, balance)| (asset.as_str(), *balance))
    }

    /// One order by its number.
    #[must_use]
    pub fn order(&self, no: OrderNo) -> Option<&Order> {
        self.orders.get(&no)
    }

    /// One order by the venue's id.
    #[must_use]
    pub fn order_by_txid(&self, txid: &str) -> Option<&Order> {
        self.by_txid.get(txid).and_then(|no| self.orders.get(no))
    }

    /// All orders, oldest first.
    pub fn orders(&self) -> impl DoubleEndedIterator<Item = &Order> {
        self.orders.values()
    }

    /// Orders that are not terminal, oldest first.
    pub fn open_orders(&self) -> impl DoubleEndedIterator<Item = &Order> {
        self.open.iter().filter_map(|no| self.orders.get(no))
    }

    /// All trades, oldest first.
    #[must_use]
    pub fn trades(&self) -> &[AccountTrade] {
        &self.trades
    }

    /// Trades that the venue took back, in the order of that.
    #[must_use]
    pub fn busts(&self) -> &[AccountTrade] {
        &self.busts
    }

    /// All ledger entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[BalanceChange] {
        &self.entries
    }

    /// The engine counter of a pair.
    #[must_use]
    pub fn ratecount(&self, symbol: SymbolNo, now_us: i64) -> Decimal {
        self.counters.value(symbol, now_us)
    }

    /// Limits of the account's tier.
    #[must_use]
    pub fn tier(&self) -> EngineTier {
        self.counters.tier
    }

    /// Gives the account another tier.
    pub(crate) const fn set_tier(&mut self, tier: EngineTier) {
        self.counters.tier = tier;
    }

    /// 30-day volume that fixes the fees, USD.
    #[must_use]
    pub fn volume_30d_usd(&self) -> Decimal {
        self.volume_30d_usd
    }

    /// The fee tier and the next one.
    #[must_use]
    pub fn fee_tier(&self) -> (FeeTier, Option<FeeTier>) {
        tier_of(self.volume_30d_usd)
    }

    /// Stops of a symbol whose trigger has not fired, oldest first.
    pub(crate) fn armed_stops(&self, symbol: SymbolNo) -> impl Iterator<Item = &Order> {
        self.open_orders().filter(move |order| order.symbol == symbol && order.armed())
    }

    /// Open orders of a symbol, oldest first.
    pub(crate) fn resting(&self, symbol: SymbolNo) -> Vec<OrderNo> {
        let of_symbol = |order: &&Order| order.symbol == symbol && !order.armed();
        self.open_orders().filter(of_symbol).map(|order| order.no).collect()
    }

    /// Open orders whose expire time is over.
    pub(crate) fn expired_by(&self, now_us: i64) -> Vec<(OrderNo, SymbolNo)> {
        let over = |order: &&Order| order.expire_us.is_some_and(|at| at <= now_us);
        self.open_orders().filter(over).map(|order| (order.no, order.symbol)).collect()
    }

    /// True once the dead man's switch has to fire.
    pub(crate) fn switch_due(&self, now_us: i64) -> bool {
        self.switch_us.is_some_and(|at| at <= now_us)
    }

    /// Moves an order's hold to what it needs now.
    pub(super) fn set_hold(&mut self, no: OrderNo, asset: &str, amount: Decimal) {
        let Some(order) = self.orders.get_mut(&no) else { return };
        let before = std::mem::replace(&mut order.hold, amount);
        let total = self.holds.entry(asset.to_owned()).or_default();
        *total += amount - before;
    }
}
