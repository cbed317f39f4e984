//! Sending orders from anywhere in the process.
//!
//! Input: an order request and what it is for. Output: an [`OrderAnswer`], always. The request is
//! admitted and charged, written by the task in the order of arrival, and answered by its number, by
//! its time-out or by the loss of the connection. Whether two requests may be under way for one order
//! is the caller's rule.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use penstock_types::UtcMicros;
use penstock_venues::kraken::rates::EngineCall;
use penstock_venues::kraken::request::{self, AddOrder, AmendOrder, OrderRef};
use penstock_venues::kraken::rest::UnknownReason;
use tokio::sync::{mpsc, oneshot, watch};

use super::messages::{Outgoing, StreamHealth};
use crate::gate::Sending;
use crate::outcome::{NotSent, OrderAnswer};
use crate::state::EngineUse;
use crate::state_file::SharedVenueState;

/// How long a request may wait until it is written, milliseconds. The venue knows no deadline of a cancel: one that
/// was kept back for longer than this (a stopped process, a socket that takes nothing) is decided anew.
const WAIT_MS_MAX: i64 = 2_000;

/// Token of the open connection.
#[derive(Clone)]
pub(super) struct OpenToken {
    pub(super) epoch: u64,
    pub(super) token: String,
}

/// The way to the private socket; clones share everything.
#[derive(Clone)]
pub struct OrderSocket {
    pub(super) requests: mpsc::Sender<Outgoing>,
    pub(super) open: Arc<RwLock<Option<OpenToken>>>,
    pub(super) next_req_id: Arc<AtomicU64>,
    pub(super) images: Arc<AtomicBool>,
    pub(super) state: SharedVenueState,
    pub(super) health: watch::Receiver<StreamHealth>,
}

impl core::fmt::Debug for OrderSocket {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("OrderSocket").field("health", &self.health.borrow()).finish_non_exhaustive()
    }
}

struct Request<'a> {
    method: &'static str,
    symbol: Option<&'a str>,
    cl_ord_id: Option<&'a str>,
    charge: Option<(EngineCall, EngineUse)>,
    not_after: Option<UtcMicros>,
}

impl OrderSocket {
    /// How whole the private stream is, now and on every change.
    pub fn health(&self) -> watch::Receiver<StreamHealth> {
        self.health.clone()
    }

    /// Asks for new images of executions and balances on the open connection; they say when they were asked for.
    /// Without a connection nothing happens: the next one brings them.
    pub fn ask_images(&self) {
        self.images.store(true, Ordering::Relaxed);
    }

    /// Sends a new order.
    pub async fn add_order(&self, order: &AddOrder<'_>, usage: EngineUse) -> OrderAnswer {
        let request = Request {
            method: "add_order",
            symbol: Some(order.symbol),
            cl_ord_id: order.cl_ord_id,
            charge: Some((EngineCall::Add, usage)),
            not_after: order.deadline,
        };
        self.send(request, |token, req_id| request::add_order(order, token, req_id)).await
    }

    /// Changes a resting order of this age (since creation or its last amend).
    pub async fn amend_order(
        &self,
        amend: &AmendOrder<'_>,
        symbol: &str,
        age_ms: i64,
        usage: EngineUse,
    ) -> OrderAnswer {
        let request = Request {
            method: "amend_order",
            symbol: Some(symbol),
            cl_ord_id: own_id(amend.order),
            charge: Some((EngineCall::Amend { age_ms }, usage)),
            not_after: amend.deadline,
        };
        self.send(request, |token, req_id| request::amend_order(amend, token, req_id)).await
    }

    /// Cancels an order of this age.
    pub async fn cancel_order(
        &self,
        order: OrderRef<'_>,
        symbol: &str,
        age_ms: i64,
    ) -> OrderAnswer {
        let request = Request {
            method: "cancel_order",
            symbol: Some(symbol),
            cl_ord_id: own_id(order),
            charge: Some((EngineCall::Cancel { age_ms }, EngineUse::Protective)),
            not_after: None,
        };
        self.send(request, |token, req_id| request::cancel_order(order, token, req_id)).await
    }

    /// Cancels every order of the account, those of other programs included.
    pub async fn cancel_all(&self) -> OrderAnswer {
        self.send(whole_account("cancel_all"), request::cancel_all).await
    }

    /// Arms the dead man's switch of the whole account; 0 seconds disarms it.
    pub async fn cancel_all_orders_after(&self, timeout_s: u32) -> OrderAnswer {
        self.send(whole_account("cancel_all_orders_after"), |token, req_id| {
            request::cancel_all_orders_after(timeout_s, token, req_id)
        })
        .await
    }

    async fn send(
        &self,
        request: Request<'_>,
        encode: impl FnOnce(&str, u64) -> String,
    ) -> OrderAnswer {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(open) = open else { return OrderAnswer::not_sent(NotSent::NotConnected) };
        let _under_way = match (request.charge, request.symbol) {
            (Some((call, usage)), Some(symbol)) => {
                let now_ms = self.state.now().mono_ms();
                let admitted = self.state.lock().admit_order(symbol, call, usage, now_ms);
                if let Err(reason) = admitted {
                    return OrderAnswer::not_sent(reason);
                }
                Some(UnderWay { state: &self.state, symbol })
            }
            _ => None,
        };
        let usage = request.charge.map_or(EngineUse::Protective, |(_, usage)| usage);
        let not_after_ms =
            request.not_after.is_none().then(|| self.state.now().mono_ms() + WAIT_MS_MAX);
        let req_id = self.next_req_id.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        let outgoing = Outgoing {
            method: request.method,
            cl_ord_id: request.cl_ord_id.map(str::to_owned),
            req_id,
            epoch: open.epoch,
            symbol: request.symbol.map(str::to_owned),
            sending: Sending::of(usage),
            not_after: request.not_after,
            not_after_ms,
            text: encode(&open.token, req_id),
            answer,
        };
        match self.requests.try_send(outgoing) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                return OrderAnswer::not_sent(NotSent::QueueFull);
            }
            Err(mpsc::error::TrySendError::Closed(_)) => {
                return OrderAnswer::not_sent(NotSent::Stopped);
            }
        }
        // The task answers every request it took. Should it die, nobody knows how far it got.
        answered.await.unwrap_or_else(|_| {
            let reason = UnknownReason::Connection("the socket's task ended".to_owned());
            OrderAnswer::unknown(reason, None)
        })
    }
}

/// An admitted request until its answer: whatever ends the wait for it, its counter learns that it is over.
struct UnderWay<'a> {
    state: &'a SharedVenueState,
    symbol: &'a str,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let now_ms = self.state.now().mono_ms();
        self.state.lock().order_settled(self.symbol, now_ms);
    }
}

fn own_id(order: OrderRef<'_>) -> Option<&str> {
    match order {
        OrderRef::ClOrdId(id) => Some(id),
        OrderRef::OrderId(_) => None,
    }
}

const fn whole_account(method: &'static str) -> Request<'static> {
    Request { method, symbol: None, cl_ord_id: None, charge: None, not_after: None }
}
