//! The venue's ledger against our rows: orders, trades, balances, to the last digit.
//!
//! Inputs: a world. Outputs: equality, or a failed assertion that names both sides. The venue's side comes
//! from its own account, ours from the tables alone.

use penstock_types::Decimal;

use super::process::Execution;
use super::world::{LIMIT, LOOK, World};

/// Opening balance of the venue's account, USD.
const OPENING_USD: i64 = 10_000;

impl World {
    /// Every order of the venue has one row that names it and agrees about its end, every row that names
    /// an order has it; the venue's trades are our fills; its balances are our positions and results.
    pub(crate) async fn agrees(&self, what: &str) {
        self.orders_agree(what).await;
        self.trades_agree(what).await;
        self.balances_agree(what).await;
    }

    async fn orders_agree(&self, what: &str) {
        let mut theirs: Vec<(String, String, String, String)> = self.venue.venue.with(|e, _| {
            let of = |o: &penstock_sim::account::Order| {
                let qty = e.market(o.symbol).instrument.qty(o.cum_qty).normalize().to_string();
                let state = if o.status.terminal() { o.status.text() } else { "live" };
                (o.txid.clone(), o.cl_ord_id.clone().unwrap(), qty, state.to_owned())
            };
            e.account().orders().map(of).collect()
        });
        let mut ours: Vec<(String, String, String, String)> = sqlx::query_as(
            "select exchange_order_id, cl_ord_id::text, trim_scale(cum_qty)::text,
                case when terminal then state else 'live' end
             from execution_orders where exchange_order_id is not null",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap();
        theirs.sort();
        ours.sort();
        assert_eq!(ours, theirs, "{what}: orders, ours and the venue's");
        let mut ids: Vec<&str> = theirs.iter().map(|order| order.1.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), theirs.len(), "{what}: an order stands twice at the venue");
    }

    async fn trades_agree(&self, what: &str) {
        let mut theirs: Vec<(String, Decimal, Decimal, Decimal)> = self.venue.venue.with(|e, _| {
            let of = |t: &penstock_sim::account::AccountTrade| {
                let one = &e.market(t.symbol).instrument;
                (t.txid.clone(), one.price(t.price), one.qty(t.qty), t.fee)
            };
            e.account().trades().iter().map(of).collect()
        });
        let mut ours: Vec<(String, Decimal, Decimal, Decimal)> =
            sqlx::query_as("select exec_id, price, qty, fee_quote from fills")
                .fetch_all(&self.pool)
                .await
                .unwrap();
        theirs.sort();
        ours.sort();
        assert_eq!(ours, theirs, "{what}: fills and the venue's trades");
    }

    async fn balances_agree(&self, what: &str) {
        let (base, usd) = self.venue.venue.with(|e, _| {
            let one = &e.market(self.hot()).instrument;
            (e.account().balance(&one.base), e.account().balance("USD"))
        });
        let held: Decimal = sqlx::query_scalar("select coalesce(sum(base_qty), 0) from positions")
            .fetch_one(&self.pool)
            .await
            .unwrap();
        assert_eq!(held, base, "{what}: positions and the venue's balance");
        // The venue settles price times quantity; results are kept at the scale of their column.
        let (settled, cash): (Decimal, Decimal) = sqlx::query_as(
            "select
                coalesce(sum(case side when 'sell' then price * qty else -price * qty end
                    - fee_quote), 0),
                coalesce(sum(case side when 'sell' then cost_quote else -cost_quote end
                    - fee_quote), 0)
             from fills",
        )
        .fetch_one(&self.pool)
        .await
        .unwrap();
        assert_eq!(Decimal::from(OPENING_USD) + settled, usd, "{what}: cash");
        let (realized, open): (Decimal, i64) = sqlx::query_as(
            "select coalesce(sum(realized_quote), 0), count(*) filter (where base_qty > 0)
             from positions",
        )
        .fetch_one(&self.pool)
        .await
        .unwrap();
        if open == 0 {
            assert_eq!(realized, cash, "{what}: results of closed positions");
        }
    }

    /// Waits until exactly one stop rests at the venue, over the whole position, where the plan knows it and not below its
    /// level: one that went out from stock, in a short outage of a slow cluster, may stand above it.
    pub(crate) async fn until_protected(&self, life: &Execution) {
        let end = tokio::time::Instant::now() + LIMIT;
        let mut looks = tokio::time::interval(LOOK);
        loop {
            let state = self.word("select state from exit_plans").await;
            let wanted = self
                .word(
                    "select trim_scale(p.base_qty)::text || ' at '
                         || trim_scale(x.stop_price_on_exchange)::text
                     from positions p join exit_plans x using (position_id)
                     where p.base_qty > 0 and x.stop_price_on_exchange >= x.sl_price",
                )
                .await;
            let stands: Vec<String> = self.venue.venue.with(|e, _| {
                let stop = |o: &penstock_sim::account::Order| {
                    let one = &e.market(o.symbol).instrument;
                    let (qty, at) = (one.qty(o.qty), one.price(o.trigger?));
                    Some(format!("{} at {}", qty.normalize(), at.normalize()))
                };
                e.account().open_orders().filter_map(stop).collect()
            });
            let armed = matches!(state.as_str(), "armed" | "trailing");
            if armed && stands == [wanted.clone()] {
                return;
            }
            assert!(
                tokio::time::Instant::now() < end,
                "plan {state} wants {wanted}, the venue has {stands:?}\n{}",
                life.last_words()
            );
            looks.tick().await;
        }
    }
}
