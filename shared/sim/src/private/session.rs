//! One connection of the private socket.
//!
//! Inputs: client frames with the time of their first byte, the venue's private events. Outputs:
//! answers, channel frames with an unbroken `sequence` per channel, heartbeats. Invariants: a
//! snapshot and the events after it have no overlap and no hole; answers leave in the order of
//! their requests, reports in the order of the engine, and neither waits for the other. Limits:
//! `FRAME_BYTES_LIMIT` per client frame, 60 s of silence from a client without a subscription.

use super::held::Held;
use super::json::Object;
use super::orders::{Ids, OrderRequest, ids_of};
use super::params::{Envelope, Params};
use super::queue::Delayed;
use super::stamp::{StampReader, Stamped};
use super::wire;
use crate::account::{BalanceChange, ExecType, Order, VenueError};
use crate::admin::{Endpoint, ExecutionFault, RequestFault};
use crate::exchange::PrivateEvent;
use crate::ledger::RequestEntry;
use crate::server::{PrivateBatch, Venue};
use crate::socket::Outgoing;
use futures_util::{SinkExt, StreamExt};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_util::sync::CancellationToken;

/// Longest client frame.
const FRAME_BYTES_LIMIT: usize = 1 << 20;
/// A client without subscription may be silent so long.
const IDLE: Duration = Duration::from_secs(60);
/// Fills that a snapshot repeats.
const SNAPSHOT_TRADES: usize = 50;

#[derive(Clone, Copy, Debug, Default)]
struct Executions {
    sequence: u64,
    /// Events up to this number are part of the snapshot.
    after: u64,
    order_status: bool,
    ratecounter: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Balances {
    sequence: u64,
    after: u64,
}

pub(super) struct Session {
    venue: Arc<Venue>,
    connection: u64,
    stamps: StampReader,
    executions: Option<Executions>,
    balances: Option<Balances>,
    answers: Delayed,
    stream: Delayed,
    held: Held,
}

/// Why a connection ends.
enum End {
    /// The client left, or the socket broke.
    Gone,
    /// The venue ends it without a close frame.
    Cut,
}

/// Serves one accepted TCP connection until it ends.
pub(super) async fn serve(venue: Arc<Venue>, stream: TcpStream, cancel: CancellationToken) {
    // Small frames must not wait for an acknowledgement of the one before.
    let _unsupported = stream.set_nodelay(true);
    let (stream, stamps) = Stamped::new(stream);
    let config = WebSocketConfig::default()
        .max_message_size(Some(FRAME_BYTES_LIMIT))
        .max_frame_size(Some(FRAME_BYTES_LIMIT));
    let accepted = tokio_tungstenite::accept_async_with_config(stream, Some(config));
    let Ok(Ok(socket)) = tokio::time::timeout(IDLE, accepted).await else { return };
    stamps.frames_begin();
    let connection = venue.stats.connected("private");
    let session = Session {
        venue: Arc::clone(&venue),
        connection,
        stamps,
        executions: None,
        balances: None,
        answers: Delayed::default(),
        stream: Delayed::default(),
        held: Held::default(),
    };
    session.run(socket, cancel).await;
    venue.stats.disconnected(connection);
}

impl Session {
    /// Serves the connection; what it has asked for and a fault still holds is carried out after its end.
    async fn run(mut self, socket: WebSocketStream<Stamped<TcpStream>>, cancel: CancellationToken) {
        self.serve(socket, &cancel).await;
        while let Some(due) = self.held.due() {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                () = tokio::time::sleep_until(due) => self.carry_out_held(),
            }
        }
    }

    async fn serve(
        &mut self,
        socket: WebSocketStream<Stamped<TcpStream>>,
        cancel: &CancellationToken,
    ) {
        let (mut sink, mut source) = socket.split();
        let mut events = self.venue.private_events();
        let mut cuts = self.venue.faults.cuts(Endpoint::Private);
        let mut stalls = self.venue.faults.stalls();
        let mut heartbeat = tokio::time::interval(Duration::from_secs(1));
        let mut heard = Instant::now();
        let status = self.venue.with(|exchange, _| exchange.status());
        self.stream.push("status", wire::status(status, self.connection), 0);
        loop {
            if let Some(still) = self.venue.faults.stall(Endpoint::Private, self.venue.steady_us())
            {
                tokio::select! {
                    biased;
                    () = cancel.cancelled() => return,
                    _ = cuts.changed() => return,
                    () = tokio::time::sleep(still) => {}
                }
            }
            let due = [self.answers.due(), self.stream.due(), self.held.due()];
            let due = due.into_iter().flatten().min();
            let due = due.unwrap_or_else(|| Instant::now() + IDLE);
            // Biased: ends first, then what is due to leave, so that a flood of events cannot
            // hold back answers; requests last, because each makes new events.
            let step = tokio::select! {
                biased;
                () = cancel.cancelled() => Err(End::Cut),
                _ = cuts.changed() => Err(End::Cut),
                _ = stalls.changed() => Ok(()),
                () = tokio::time::sleep_until(due) => self.flush(&mut sink).await,
                batch = events.recv() => match batch {
                    Ok(batch) => { self.events(&batch); Ok(()) }
                    // Too slow a reader: the venue drops it, as the real one does.
                    Err(_) => Err(End::Cut),
                },
                _ = heartbeat.tick() => self.heartbeat(heard),
                message = source.next() => {
                    heard = Instant::now();
                    self.message(message)
                }
            };
            match step {
                Ok(()) => {}
                Err(End::Gone | End::Cut) => return,
            }
        }
    }

    async fn flush<S>(&mut self, sink: &mut S) -> Result<(), End>
    where
        S: SinkExt<Message> + Unpin,
    {
        self.carry_out_held();
        while let Some((channel, frame)) = self.answers.take().or_else(|| self.stream.take()) {
            sink.send(Message::text(frame)).await.map_err(|_| End::Gone)?;
            self.venue.sent(self.connection, &[Outgoing::plain(channel, "")]);
        }
        Ok(())
    }

    fn heartbeat(&mut self, heard: Instant) -> Result<(), End> {
        if self.executions.is_none() && self.balances.is_none() {
            return if heard.elapsed() > IDLE { Err(End::Cut) } else { Ok(()) };
        }
        if !self.venue.faults.silent("heartbeat", None, self.venue.steady_us()) {
            self.stream.push("heartbeat", wire::HEARTBEAT.to_owned(), 0);
        }
        Ok(())
    }

    fn message<E>(&mut self, message: Option<Result<Message, E>>) -> Result<(), End> {
        match message {
            Some(Ok(Message::Text(text))) => {
                let first_byte_us = self.stamps.take();
                self.request(text.as_str(), first_byte_us);
                Ok(())
            }
            Some(Ok(Message::Binary(_))) => {
                let _unused = self.stamps.take();
                Ok(())
            }
            // The library answers pings by itself.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => Err(End::Gone),
        }
    }

    /// A request, unless a fault keeps it from the engine.
    fn request(&mut self, text: &str, first_byte_us: i64) {
        let method = Envelope::parse(text).map(|envelope| envelope.method);
        let fault = method.ok().and_then(|method| self.venue.faults.take_request_fault(&method));
        match fault {
            Some((RequestFault::Drop, _)) => return self.dropped(text, first_byte_us),
            Some(fault) if self.held.hold(text, first_byte_us, fault) => return,
            Some(_) | None => {}
        }
        self.carry_out(text, first_byte_us);
        while let Some((text, first_byte_us)) = self.held.take_reordered() {
            self.carry_out(&text, first_byte_us);
        }
    }

    /// Carries out what a fault has held so long.
    fn carry_out_held(&mut self) {
        while let Some((text, first_byte_us)) = self.held.take_due() {
            self.carry_out(&text, first_byte_us);
        }
    }

    /// Notes a request that never reaches the engine.
    fn dropped(&self, text: &str, first_byte_us: i64) {
        let Ok(envelope) = Envelope::parse(text) else { return };
        let ids = self.venue.with(|exchange, _| ids_of(exchange, &envelope));
        self.log(first_byte_us, &envelope.method, ids, "dropped", false);
    }

    fn log(&self, first_byte_us: i64, method: &str, ids: Ids, outcome: &str, answered: bool) {
        self.venue.requests.push(RequestEntry {
            first_byte_us,
            via: "ws",
            connection: self.connection,
            method: method.to_owned(),
            cl_ord_id: ids.cl_ord_id,
            order_id: ids.order_id,
            outcome: outcome.to_owned(),
            answered,
            nonce: None,
        });
    }

    fn carry_out(&mut self, text: &str, first_byte_us: i64) {
        let time_in = self.venue.now_us();
        let Ok(envelope) = Envelope::parse(text) else {
            let error = VenueError::argument("method");
            let frame = wire::refusal("unknown", None, &error, (time_in, time_in));
            return self.answers.push("ack", frame, 0);
        };
        let method = envelope.method.as_str();
        if method == "ping" {
            self.log(first_byte_us, method, Ids::default(), "ok", true);
            let frame = wire::pong(envelope.req_id, (time_in, self.venue.now_us()));
            return self.answers.push("pong", frame, self.venue.faults.delay_ms());
        }
        let (results, ids) = self.dispatch(method, envelope.params.as_deref());
        let answered = !self.venue.faults.take_lost_ack(method);
        let refused = results.iter().find_map(|result| result.as_ref().err());
        let outcome = refused.map_or_else(|| "ok".to_owned(), ToString::to_string);
        self.log(first_byte_us, method, ids, &outcome, answered);
        if !answered {
            return;
        }
        let times = (time_in, self.venue.now_us());
        let delay_ms = self.venue.faults.delay_ms();
        for result in results {
            let frame = match result {
                Ok(result) => wire::answer(method, envelope.req_id, &result, times),
                Err(error) => wire::refusal(method, envelope.req_id, &error, times),
            };
            self.answers.push("ack", frame, delay_ms);
        }
    }

    fn dispatch(
        &mut self,
        method: &str,
        params: Option<&RawValue>,
    ) -> (Vec<Result<String, VenueError>>, Ids) {
        let refused = |error: VenueError| (vec![Err(error)], Ids::default());
        let injected = self.venue.faults.take_error(method);
        let mut params = match Params::parse(params) {
            Ok(params) => params,
            Err(error) => return refused(error),
        };
        let token = match params.required_text("token") {
            Ok(token) => token,
            Err(error) => return refused(error),
        };
        if !self.venue.tokens.accept_to_trade(&token, self.venue.steady_us()) {
            return refused(VenueError::InvalidSession);
        }
        let replaced = |text: &str| vec![Err(VenueError::Injected(text.to_owned()))];
        if method == "subscribe" || method == "unsubscribe" {
            let result = match &injected {
                Some((text, _)) => Err(VenueError::Injected(text.clone())),
                None if method == "subscribe" => self.subscribe(params),
                None => self.unsubscribe(params),
            };
            return (vec![result], Ids::default());
        }
        let venue = Arc::clone(&self.venue);
        venue.with(|exchange, now_us| {
            let request = match OrderRequest::parse(exchange, method, params) {
                None => return refused(VenueError::UnknownMethod),
                Some(Err(error)) => return refused(error),
                Some(Ok(request)) => request,
            };
            let mut ids = request.ids();
            if let Some((text, false)) = &injected {
                return (replaced(text), ids);
            }
            let (answers, given) = request.run(exchange, now_us);
            ids.order_id.extend(given);
            match injected {
                Some((text, _)) => (replaced(&text), ids),
                None => (answers, ids),
            }
        })
    }

    fn subscribe(&mut self, mut params: Params) -> Result<String, VenueError> {
        let channel = params.required_text("channel")?;
        let result = match channel.as_str() {
            "executions" => {
                let snap_orders = params.flag("snap_orders")?.unwrap_or(true);
                let snap_trades = params.flag("snap_trades")?.unwrap_or(false);
                let order_status = params.flag("order_status")?.unwrap_or(true);
                let ratecounter = params.flag("ratecounter")?.unwrap_or(false);
                params.text("users")?;
                params.end()?;
                self.open_executions(snap_orders, snap_trades, order_status, ratecounter);
                let threshold = self.venue.with(|ex, _| ex.account().tier().threshold);
                Object::new()
                    .text("channel", "executions")
                    .integer("maxratecount", threshold)
                    .flag("order_status", order_status)
                    .flag("ratecounter", ratecounter)
                    .flag("snap_orders", snap_orders)
                    .flag("snap_trades", snap_trades)
                    .flag("snapshot", snap_orders || snap_trades)
            }
            "balances" => {
                let snapshot = params.flag("snapshot")?.unwrap_or(true);
                params.text("users")?;
                params.end()?;
                self.open_balances(snapshot);
                Object::new().text("channel", "balances").flag("snapshot", snapshot)
            }
            _ => return Err(VenueError::argument("channel")),
        };
        self.count_subscriptions();
        Ok(result.end())
    }

    fn unsubscribe(&mut self, mut params: Params) -> Result<String, VenueError> {
        let channel = params.required_text("channel")?;
        match channel.as_str() {
            "executions" => self.executions = None,
            "balances" => self.balances = None,
            _ => return Err(VenueError::argument("channel")),
        }
        self.count_subscriptions();
        Ok(Object::new().text("channel", &channel).end())
    }

    fn count_subscriptions(&self) {
        let executions = self.executions.map(|_| "executions".to_owned());
        let balances = self.balances.map(|_| "balances".to_owned());
        let live = executions.into_iter().chain(balances).collect();
        self.venue.stats.subscriptions(self.connection, live);
    }

    fn open_executions(
        &mut self,
        snap_orders: bool,
        snap_trades: bool,
        order_status: bool,
        ratecounter: bool,
    ) {
        let vanished = self.venue.faults.vanished(self.venue.steady_us());
        let (rows, after) = self.venue.with(|exchange, _| {
            let account = exchange.account();
            let mut rows = Vec::new();
            if snap_trades {
                let newest = account.trades().len().saturating_sub(SNAPSHOT_TRADES);
                let trades = account.trades()[newest..].iter();
                rows.extend(trades.map(|trade| wire::snapshot_trade(exchange, trade)));
            }
            if snap_orders {
                let seen = |order: &&Order| !vanished.contains(&order.txid);
                let orders = account.open_orders().filter(seen);
                rows.extend(orders.map(|order| wire::snapshot_order(exchange, order)));
            }
            (rows, exchange.private_count())
        });
        self.executions = Some(Executions { sequence: 1, after, order_status, ratecounter });
        let frame = wire::frame("executions", "snapshot", &rows, Some(1));
        self.stream.push("executions", frame, 0);
    }

    fn open_balances(&mut self, snapshot: bool) {
        let (rows, after) = self.venue.with(|exchange, _| {
            let all = exchange.account().balances();
            let rows: Vec<String> =
                all.map(|(asset, total)| wire::snapshot_balance(asset, total)).collect();
            (rows, exchange.private_count())
        });
        let sequence = u64::from(snapshot);
        self.balances = Some(Balances { sequence, after });
        if snapshot {
            let frame = wire::frame("balances", "snapshot", &rows, Some(1));
            self.stream.push("balances", frame, 0);
        }
    }

    fn events(&mut self, batch: &PrivateBatch) {
        let venue = Arc::clone(&self.venue);
        let mut entries: Vec<&BalanceChange> = Vec::new();
        let mut last = 0;
        for (no, event) in batch.numbered() {
            last = no;
            // Entries of one fill share their reference and go out in one frame.
            let same =
                |next: &BalanceChange| entries.first().is_none_or(|e| e.ref_id == next.ref_id);
            match event {
                PrivateEvent::Balance(change) if same(change) => entries.push(change),
                PrivateEvent::Balance(change) => {
                    self.push_balances(&entries, no - 1);
                    entries = vec![change];
                }
                PrivateEvent::Execution(report) => {
                    self.push_balances(&entries, no - 1);
                    entries.clear();
                    self.push_report(&venue, report, no);
                }
                PrivateEvent::Status(status) => {
                    self.stream.push("status", wire::status(*status, self.connection), 0);
                }
            }
        }
        self.push_balances(&entries, last);
    }

    fn push_balances(&mut self, entries: &[&BalanceChange], no: u64) {
        let silent = self.venue.faults.silent("balances", None, self.venue.steady_us());
        let Some(balances) = self.balances.as_mut() else { return };
        if entries.is_empty() || no <= balances.after {
            return;
        }
        // What a silence swallows has used up its number, as on the executions channel.
        balances.sequence += 1;
        if silent {
            return;
        }
        let rows: Vec<String> = entries.iter().map(|entry| wire::balance(entry)).collect();
        let frame = wire::frame("balances", "update", &rows, Some(balances.sequence));
        self.stream.push("balances", frame, 0);
    }

    fn push_report(&mut self, venue: &Venue, report: &crate::account::ExecReport, no: u64) {
        let Some(executions) = self.executions.as_mut() else { return };
        let extra = match report.exec_type {
            ExecType::PendingNew | ExecType::Amended | ExecType::Status => true,
            ExecType::New
            | ExecType::Trade
            | ExecType::Filled
            | ExecType::Canceled
            | ExecType::Expired => false,
        };
        if no <= executions.after || (extra && !executions.order_status) {
            return;
        }
        executions.sequence += 1;
        let (sequence, ratecounter) = (executions.sequence, executions.ratecounter);
        if venue.faults.silent("executions", None, venue.steady_us()) {
            return;
        }
        let row = venue.with(|exchange, _| wire::report(exchange, report, ratecounter));
        let frame = wire::frame("executions", "update", &[row], Some(sequence));
        match venue.faults.take_execution_fault() {
            None => self.stream.push("executions", frame, 0),
            Some((ExecutionFault::Drop, _)) => {}
            Some((ExecutionFault::Duplicate, _)) => {
                self.stream.push("executions", frame.clone(), 0);
                self.stream.push("executions", frame, 0);
            }
            Some((ExecutionFault::Delay, delay_ms)) => {
                self.stream.push("executions", frame, delay_ms);
            }
        }
    }
}
