//! Carrying out what a fault is made of.
//!
//! Inputs: deeds, the running stack and venue. Outputs: whether a deed was done; `false` when what it needs (a live
//! stop, a trade, a process) is not there yet. Invariants: signals go to processes that the run itself has started;
//! what stands at the venue is read from the venue.

use super::panel::{Attacked, attack};
use super::plan::Deed;
use super::second::Second;
use crate::demo::venue::Venue;
use crate::soak::processes::servers;
use crate::stack::{Stack, StackOptions};
use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use penstock_clusters::ClusterKind;
use serde_json::{Value, json};

/// What deeds work with and leave behind.
pub(super) struct Hands {
    /// The second trading service, while it runs.
    pub(super) second: Option<Second>,
    /// The order of another hand that stands.
    own_order: Option<String>,
    /// Venue ids of all orders of another hand.
    pub(super) own_orders: Vec<String>,
    /// What the panel answered.
    pub(super) panel: Attacked,
    /// Address of the panel.
    host: String,
    /// What nothing may show.
    pub(super) secrets: Vec<String>,
}

impl Hands {
    /// Nothing done yet.
    pub(super) const fn new(host: String, secrets: Vec<String>) -> Self {
        Self {
            second: None,
            own_order: None,
            own_orders: Vec::new(),
            panel: Attacked { answered: 0, wrong: Vec::new() },
            host,
            secrets,
        }
    }

    /// Does a deed; `false` when it is not possible yet.
    ///
    /// # Errors
    /// When the venue, a cluster or a process does not take it.
    pub(super) async fn act(
        &mut self,
        deed: &Deed,
        (venue, stack, options): (&Venue, &Stack, &StackOptions),
    ) -> anyhow::Result<bool> {
        match deed {
            Deed::Fault(fault) => {
                venue.post("/faults", fault).await?;
            }
            Deed::Vanish(ms) => {
                let Some(order_id) = live_stop(venue).await? else { return Ok(false) };
                let fault = json!({"kind": "vanish", "order_id": order_id, "for_ms": ms});
                // The stop may have ended between the two requests: the next look finds another one.
                return Ok(venue.post("/faults", &fault).await.is_ok());
            }
            Deed::OwnOrder(order) => {
                let placed = venue.post("/orders", order).await?;
                let id = placed["order_id"].as_str().context("the venue names no order")?;
                self.own_orders.push(id.to_owned());
                self.own_order = Some(id.to_owned());
            }
            Deed::CancelOwn => {
                if let Some(id) = self.own_order.take() {
                    venue.delete(&format!("/orders/{id}")).await?;
                }
            }
            Deed::CancelStop => {
                let Some(id) = live_stop(venue).await? else { return Ok(false) };
                // As above.
                return Ok(venue.delete(&format!("/orders/{id}")).await.is_ok());
            }
            Deed::Transfer(amount) => {
                venue.post("/transfer", &json!({"asset": "USD", "amount": amount})).await?;
            }
            Deed::Bust => {
                let Some(exec_id) = newest_sale(venue).await? else { return Ok(false) };
                return Ok(venue.post("/bust", &json!({ "exec_id": exec_id })).await.is_ok());
            }
            Deed::Execution(signal) => {
                let Some(pid) = stack.execution().status().borrow().pid else { return Ok(false) };
                send(pid, *signal)?;
            }
            Deed::Postmaster(signal) => {
                let data = options.root.cluster(ClusterKind::Decision);
                let Some(pid) = servers(&data).first().copied() else { return Ok(false) };
                send(pid, *signal)?;
            }
            Deed::StartSecond => self.second = Some(Second::start(options)?),
            Deed::StopSecond => {
                if let Some(second) = self.second.take() {
                    second.stop().await;
                }
            }
            Deed::AttackPanel => {
                let Some(found) = attack(&self.host, &self.secrets).await else { return Ok(false) };
                self.panel.answered += found.answered;
                self.panel.wrong.extend(found.wrong);
            }
            Deed::Operator(cause) => {
                let request = json!({"mode": "NORMAL", "reason": "looked at it", "ack": cause});
                ask(options, "mode", &request).await?;
            }
        }
        Ok(true)
    }
}

/// Asks the trading service for something, as an operator does.
///
/// # Errors
/// When the decision cluster does not answer.
pub(super) async fn ask(options: &StackOptions, what: &str, request: &Value) -> anyhow::Result<()> {
    let url = options.url(ClusterKind::Decision, "ops_rw")?;
    let pool = crate::databases::pool(&url, ClusterKind::Decision).await?;
    penstock_store_decision::control::ask(&pool, what, request, "penstock soak").await?;
    pool.close().await;
    Ok(())
}

fn send(pid: u32, signal: Signal) -> anyhow::Result<()> {
    let pid = Pid::from_raw(i32::try_from(pid)?);
    kill(pid, signal).with_context(|| format!("{signal} to process {pid}"))
}

async fn rows(venue: &Venue, name: &str) -> anyhow::Result<Vec<Value>> {
    let mut ledger = venue.get("/ledger").await?;
    match ledger[name].take() {
        Value::Array(rows) => Ok(rows),
        other => anyhow::bail!("the venue's ledger has {other} for {name}"),
    }
}

/// The newest stop that stands.
async fn live_stop(venue: &Venue) -> anyhow::Result<Option<String>> {
    let orders = rows(venue, "orders").await?;
    let stop = orders.iter().rev().find(|order| {
        order["side"] == "sell"
            && order["order_type"] == "stop-loss"
            && order["closed_us"].is_null()
            && order["triggered"] == false
    });
    Ok(stop.and_then(|order| order["order_id"].as_str().map(str::to_owned)))
}

/// The newest sale whose order has ended: what was bought with it is not needed for anything else.
async fn newest_sale(venue: &Venue) -> anyhow::Result<Option<String>> {
    let trades = rows(venue, "trades").await?;
    let orders = rows(venue, "orders").await?;
    let ended = |trade: &&Value| {
        let own = |order: &&Value| order["order_id"] == trade["order_id"];
        trade["side"] == "sell"
            && orders.iter().find(own).is_some_and(|o| !o["closed_us"].is_null())
    };
    let sale = trades.iter().rev().find(ended);
    Ok(sale.and_then(|trade| trade["exec_id"].as_str().map(str::to_owned)))
}
