//! Looks by REST, each in a task of its own.
//!
//! Input: what to look for. Output: a [`LookResult`] with owned rows. A look that was not answered whole
//! says so: nothing is concluded from it.

use std::collections::BTreeMap;

use penstock_types::{Decimal, OrderId, UtcMicros, Uuid};
use penstock_venue_orders::{PrivateRest, RestAnswer, RestOutcome};
use penstock_venues::kraken::error_table::ErrorClass;
use penstock_venues::kraken::rates::RestUse;
use penstock_venues::kraken::rest::private::{
    BalanceExResult, ClosedOrdersResult, OpenOrdersResult, OrderRow, QueryOrdersResult, TradeRow,
    TradesHistoryResult,
};
use penstock_venues::kraken::rest::public::{AssetResult, Entries, asset_names};
use penstock_venues::kraken::rest::{ClosedOrdersPage, PrivateRequest, PublicRequest, Reply};
use penstock_venues::kraken::symbols::BalanceUse;
use penstock_venues::kraken::vocabulary::RestOrderStatus;

/// Rows of a page of the trades history.
const PAGE_ROWS: usize = 50;
/// Most pages of one look: 1,000 trades.
const PAGES_MAX: u32 = 20;
/// Most trades of one query.
const TRADES_PER_QUERY: usize = 20;
/// Most orders of one query.
const ORDERS_PER_QUERY: usize = 50;

/// An order as REST shows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FoundOrder {
    pub(crate) venue_id: String,
    pub(crate) cl_ord_id: Option<String>,
    pub(crate) pair: String,
    pub(crate) sells: bool,
    pub(crate) is_stop: bool,
    pub(crate) status: Option<RestOrderStatus>,
    pub(crate) qty: Decimal,
    pub(crate) executed: Decimal,
    pub(crate) price: Option<Decimal>,
    pub(crate) reason: Option<String>,
    pub(crate) trades: Vec<String>,
}

/// A trade as REST shows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FoundTrade {
    pub(crate) exec_id: String,
    pub(crate) order_id: String,
    pub(crate) cl_ord_id: Option<String>,
    pub(crate) price: Decimal,
    pub(crate) qty: Decimal,
    pub(crate) fee: Decimal,
    pub(crate) maker: Option<bool>,
    pub(crate) trade_id: Option<i64>,
    pub(crate) at: UtcMicros,
}

/// What a look is for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum LookKind {
    /// One order, to the end.
    Order {
        id: OrderId,
        cl_ord_id: Uuid,
        venue_id: Option<String>,
        booked: Decimal,
        /// It may be a proof of absence: trades since then are looked at as well.
        proves: Option<UtcMicros>,
    },
    /// Changes to confirm: orders with the venue's ids.
    Confirm { ids: Vec<(OrderId, String)>, cause: &'static str },
    /// All open orders.
    Light,
    /// Trades since a time; in a FULL pass all open orders and balances too. A start has those from the
    /// stream's images, and its calls are few.
    History { since: Option<UtcMicros>, full: bool },
    /// Open orders and balances, of which nothing is concluded.
    DryRun,
    /// Balances.
    Balances,
    /// Whose trades these are, of a round that began then.
    Strays { trades: Vec<FoundTrade>, round_at: UtcMicros },
}

/// What a look saw.
#[derive(Debug)]
pub(crate) struct LookResult {
    pub(crate) kind: LookKind,
    pub(crate) started_at: UtcMicros,
    pub(crate) started_mono_ms: i64,
    /// Every part was answered.
    pub(crate) whole: bool,
    pub(crate) orders: Vec<FoundOrder>,
    pub(crate) trades: Vec<FoundTrade>,
    pub(crate) balances: Vec<(String, Decimal)>,
    pub(crate) calls: i32,
}

/// Carries a look out.
pub(crate) async fn look(rest: PrivateRest, kind: LookKind, usage: RestUse) -> LookResult {
    let started = rest.state().now();
    let mut result = LookResult {
        kind: kind.clone(),
        started_at: started.wall,
        started_mono_ms: started.mono_ms(),
        whole: true,
        orders: Vec::new(),
        trades: Vec::new(),
        balances: Vec::new(),
        calls: 0,
    };
    let mut call = Call { rest, usage, result: &mut result };
    match kind {
        LookKind::Order { cl_ord_id, venue_id, booked, proves, .. } => {
            call.order(cl_ord_id, venue_id, booked, proves).await;
        }
        LookKind::Confirm { ids, .. } => {
            let ids: Vec<&str> = ids.iter().map(|(_, venue)| venue.as_str()).collect();
            call.query_orders(&ids).await;
        }
        LookKind::Light => {
            call.open_orders(None).await;
        }
        LookKind::History { since, full } => {
            call.history(since).await;
            if full {
                call.open_orders(None).await;
                call.balances().await;
            }
        }
        LookKind::DryRun => {
            call.open_orders(None).await;
            call.balances().await;
        }
        LookKind::Balances => call.balances().await,
        LookKind::Strays { trades, .. } => {
            let mut ids: Vec<String> = trades.into_iter().map(|t| t.order_id).collect();
            ids.sort_unstable();
            ids.dedup();
            call.orders_by_id(&ids).await;
        }
    }
    result
}

struct Call<'a> {
    rest: PrivateRest,
    usage: RestUse,
    result: &'a mut LookResult,
}

impl Call<'_> {
    async fn body(&mut self, request: &PrivateRequest<'_>) -> Option<RestAnswer> {
        self.result.calls += 1;
        match self.rest.call(request, self.usage).await {
            RestOutcome::Sent(answer) => Some(answer),
            RestOutcome::NotSent(_) => {
                self.result.whole = false;
                None
            }
        }
    }

    async fn order(
        &mut self,
        cl_ord_id: Uuid,
        venue_id: Option<String>,
        booked: Decimal,
        proves: Option<UtcMicros>,
    ) {
        let own = cl_ord_id.as_hyphenated().to_string();
        if let Some(venue) = &venue_id {
            self.query_orders(&[venue]).await;
        } else {
            self.open_orders(Some(&own)).await;
            if self.result.orders.is_empty() {
                self.closed_orders(&own).await;
            }
        }
        let unseen = venue_id.is_none() && self.result.orders.is_empty();
        if let Some(since) = proves.filter(|_| unseen) {
            self.order_by_its_trades(&own, since).await;
        }
        let seen: Vec<&str> = self.result.trades.iter().map(|t| t.exec_id.as_str()).collect();
        let wanted: Vec<String> = self
            .result
            .orders
            .iter()
            .filter(|o| {
                o.executed > booked && (venue_id.is_some() || o.cl_ord_id.as_ref() == Some(&own))
            })
            .flat_map(|o| o.trades.iter().cloned())
            .filter(|id| !seen.contains(&id.as_str()))
            .collect();
        for part in wanted.chunks(TRADES_PER_QUERY) {
            let ids: Vec<&str> = part.iter().map(String::as_str).collect();
            self.query_trades(&ids).await;
        }
    }

    /// Absent from both lists: a trade of it would still prove that it was there. A trade names the venue's order; what
    /// that one is called by us, the order says. One that REST does not show leaves the look without a proof.
    async fn order_by_its_trades(&mut self, own: &str, since: UtcMicros) {
        self.history(Some(since)).await;
        let mut ids: Vec<String> = self
            .result
            .trades
            .iter()
            .filter(|t| t.cl_ord_id.as_deref().is_none_or(|id| id == own))
            .map(|t| t.order_id.clone())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        self.orders_by_id(&ids).await;
        let shown = |id: &String| self.result.orders.iter().any(|o| o.venue_id == *id);
        self.result.whole &= ids.iter().all(shown);
    }

    async fn orders_by_id(&mut self, ids: &[String]) {
        for part in ids.chunks(ORDERS_PER_QUERY) {
            let part: Vec<&str> = part.iter().map(String::as_str).collect();
            self.query_orders(&part).await;
        }
    }

    async fn query_orders(&mut self, ids: &[&str]) {
        let Some(answer) = self.body(&PrivateRequest::QueryOrders { txids: ids }).await else {
            return;
        };
        match answer.reply::<QueryOrdersResult<'_>>() {
            Reply::Done { result, .. } => self.take_orders(&result),
            // REST does not know an id of the socket yet: an answer that shows nothing.
            Reply::Refused { judgement, .. } | Reply::Unknown { judgement, .. } => {
                self.result.whole &= judgement.class == ErrorClass::State;
            }
        }
    }

    async fn open_orders(&mut self, own: Option<&str>) {
        let Some(answer) = self.body(&PrivateRequest::OpenOrders { cl_ord_id: own }).await else {
            return;
        };
        match answer.reply::<OpenOrdersResult<'_>>() {
            Reply::Done { result, .. } => self.take_orders(&result.open),
            Reply::Refused { .. } | Reply::Unknown { .. } => self.result.whole = false,
        }
    }

    async fn closed_orders(&mut self, own: &str) {
        let page = ClosedOrdersPage { cl_ord_id: Some(own), ..ClosedOrdersPage::default() };
        let Some(answer) = self.body(&PrivateRequest::ClosedOrders(page)).await else {
            return;
        };
        match answer.reply::<ClosedOrdersResult<'_>>() {
            Reply::Done { result, .. } => self.take_orders(&result.closed),
            Reply::Refused { .. } | Reply::Unknown { .. } => self.result.whole = false,
        }
    }

    async fn query_trades(&mut self, ids: &[&str]) {
        let Some(answer) = self.body(&PrivateRequest::QueryTrades { txids: ids }).await else {
            return;
        };
        type Trades<'a> = Entries<'a, TradeRow<'a>>;
        match answer.reply::<Trades<'_>>() {
            Reply::Done { result, .. } => self.take_trades(&result),
            Reply::Refused { .. } | Reply::Unknown { .. } => self.result.whole = false,
        }
    }

    async fn history(&mut self, since: Option<UtcMicros>) {
        let start = since.map(|t| t.secs().to_string());
        for page in 0..PAGES_MAX {
            let offset = page * u32::try_from(PAGE_ROWS).unwrap_or(50);
            let request = PrivateRequest::TradesHistory {
                start: start.as_deref(),
                end: None,
                ofs: Some(offset),
            };
            let Some(answer) = self.body(&request).await else { return };
            let before = self.result.trades.len();
            match answer.reply::<TradesHistoryResult<'_>>() {
                Reply::Done { result, .. } => self.take_trades(&result.trades),
                Reply::Refused { .. } | Reply::Unknown { .. } => {
                    self.result.whole = false;
                    return;
                }
            }
            let got = self.result.trades.len() - before;
            if got < PAGE_ROWS {
                return;
            }
        }
        self.result.whole = false;
    }

    /// REST names assets by codes of its own (`ZUSD`, `XXBT`): its table says which those are.
    async fn balances(&mut self) {
        let table = self.rest.public(&PublicRequest::Assets).await;
        let Reply::Done { result: assets, .. } = table.reply::<Entries<'_, AssetResult<'_>>>()
        else {
            self.result.whole = false;
            return;
        };
        let names = asset_names(&assets);
        let Some(answer) = self.body(&PrivateRequest::BalanceEx).await else { return };
        type Balances<'a> = Entries<'a, BalanceExResult<'a>>;
        match answer.reply::<Balances<'_>>() {
            Reply::Done { result, .. } => {
                let mut sums = BTreeMap::new();
                for (code, row) in &result.0 {
                    let (asset, usage) = names.balance(code.as_str());
                    if let (BalanceUse::Spendable, Ok(balance)) = (usage, row.balance.decimal()) {
                        *sums.entry(asset).or_insert(Decimal::ZERO) += balance;
                    }
                }
                self.result.balances.extend(sums);
            }
            Reply::Refused { .. } | Reply::Unknown { .. } => self.result.whole = false,
        }
    }

    fn take_orders(&mut self, rows: &Entries<'_, OrderRow<'_>>) {
        for (id, row) in &rows.0 {
            match found(id.as_str(), row) {
                Some(order) => self.result.orders.push(order),
                None => self.result.whole = false,
            }
        }
    }

    fn take_trades(&mut self, rows: &Entries<'_, TradeRow<'_>>) {
        for (id, row) in &rows.0 {
            match found_trade(id.as_str(), row) {
                Some(trade) => self.result.trades.push(trade),
                None => self.result.whole = false,
            }
        }
    }
}

fn found(id: &str, row: &OrderRow<'_>) -> Option<FoundOrder> {
    let kind = crate::stream::word(&row.descr.order_type);
    let is_stop = kind.starts_with("stop-loss");
    Some(FoundOrder {
        venue_id: id.to_owned(),
        cl_ord_id: row.cl_ord_id.as_ref().map(|t| t.to_string()),
        pair: row.descr.pair.to_string(),
        sells: row.descr.side.known().is_some_and(|s| s.as_str() == "sell"),
        is_stop,
        status: row.status.known(),
        qty: row.vol.decimal().ok()?,
        executed: row.vol_exec.decimal().ok()?,
        price: row.descr.price.decimal().ok().filter(|p| *p > Decimal::ZERO),
        reason: row.reason.as_ref().map(|t| t.to_string()),
        trades: row.trades.iter().flatten().map(|t| t.to_string()).collect(),
    })
}

fn found_trade(id: &str, row: &TradeRow<'_>) -> Option<FoundTrade> {
    Some(FoundTrade {
        exec_id: id.to_owned(),
        order_id: row.ordertxid.to_string(),
        cl_ord_id: row.cl_ord_id.as_ref().map(|t| t.to_string()),
        price: row.price.decimal().ok()?,
        qty: row.vol.decimal().ok()?,
        fee: row.fee.decimal().ok()?,
        maker: row.maker,
        trade_id: row.trade_id.and_then(|t| i64::try_from(t).ok()),
        at: UtcMicros(penstock_venues::kraken::rest::public::seconds_to_micros(row.time)?),
    })
}
