//! The consumer of the private stream.
//!
//! Input: socket events in order. Output: events of the order machine, fills, balances. Correlation is by
//! our id, else by the venue's; never by symbol and side. A report of an order that nobody knows waits in
//! the buffer.

use std::collections::VecDeque;
use std::pin::Pin;

use penstock_store_orders::fills::FillReport;
use penstock_store_orders::orders::{EventNote, EventSource, Terms};
use penstock_store_orders::private_log::PrivateMessage;
use penstock_telemetry::marker;
use penstock_trading::mode::{CauseCode, Level};
use penstock_trading::order::OrderEvent;
use penstock_types::OrderId;
use penstock_types::cl_ord_id::{Origin, TokenAge, recognise};
use penstock_types::vocab::{OrderState, ReasonCode};
use penstock_venue_orders::{DisconnectReason, PrivateEvent, Stamp};
use penstock_venues::kraken::ChannelKind;
use penstock_venues::kraken::vocabulary::SystemStatus;

use super::{BalanceUpdate, ExecKind, Report, StreamMessage, read};
use crate::desk::{Balance, Desk, DeskError, Waiting};

/// Reports that wait for their order.
const WAITING_LEN_LIMIT: usize = 256;
/// How long one waits.
const WAITING_MS_MAX: i64 = 30_000;

/// A report's order, judged by its ids.
enum Known {
    /// A row of ours.
    Ours(OrderId),
    /// Ours by its id, without a row in memory.
    Rowless,
    /// Not ours.
    Foreign,
    /// No id of ours on the report, and the venue's id is not known.
    Unmatched,
}

impl Desk {
    pub(crate) async fn on_event(&mut self, event: PrivateEvent) -> Result<(), DeskError> {
        match event {
            PrivateEvent::Connected { epoch, .. } => {
                marker!(PRIVATE_WS_CONNECTED, conn_seq = epoch);
                Ok(())
            }
            PrivateEvent::Subscribed { epoch, channel } => {
                marker!(PRIVATE_WS_SUBSCRIBED, channel = channel.wire(), conn_seq = epoch);
                Ok(())
            }
            PrivateEvent::Frame { epoch, at, channel, sequence, is_snapshot, asked, text } => {
                self.keep(epoch, at, channel, sequence, is_snapshot, &text);
                self.on_frame(is_snapshot, asked, at, &text).await
            }
            PrivateEvent::Gap { expected, got, channel, .. } => {
                marker!(
                    PRIVATE_STREAM_GAP,
                    expected = expected,
                    got = got,
                    channel = channel.wire()
                );
                self.reconcile.full_due = true;
                Ok(())
            }
            PrivateEvent::System { status, .. } => {
                self.system_is(status);
                let online = status == Some(SystemStatus::Online);
                let value = status.map(|s| format!("{s:?}"));
                self.mode.set(CauseCode::ExchangeUnavailable, Level::Degrade, !online, value);
                Ok(())
            }
            PrivateEvent::LateAnswer { text, .. } => {
                tracing::warn!("late answer: {text}");
                Ok(())
            }
            PrivateEvent::Unreadable { reason, .. } => {
                tracing::warn!("unreadable private frame: {reason}");
                self.reconcile.full_due = true;
                Ok(())
            }
            PrivateEvent::Disconnected { reason, .. } => self.on_lost(&reason).await,
            PrivateEvent::ConnectFailed { error, retry_in_ms, .. } => {
                tracing::warn!("private stream: {error}; next try in {retry_in_ms} ms");
                Ok(())
            }
        }
    }

    /// The message goes to its table by the tick; nothing waits for it.
    pub(crate) fn keep(
        &mut self,
        epoch: u64,
        at: Stamp,
        channel: ChannelKind,
        sequence: Option<u64>,
        is_snapshot: bool,
        text: &str,
    ) {
        let Ok(payload) = serde_json::from_str(text) else { return };
        self.reconcile.keep(PrivateMessage {
            conn_seq: i32::try_from(epoch).unwrap_or(i32::MAX),
            channel: channel.wire(),
            msg_type: if is_snapshot { "snapshot" } else { "update" },
            sequence: sequence.and_then(|s| i64::try_from(s).ok()),
            received_at: at.wall,
            payload,
        });
    }

    async fn on_lost(&mut self, reason: &DisconnectReason) -> Result<(), DeskError> {
        if let DisconnectReason::Silent { silent_ms } = reason {
            marker!(
                PRIVATE_STREAM_SILENT,
                silent_secs = silent_ms / 1_000,
                threshold_secs = self.config.stream_silent_ms / 1_000
            );
        }
        let ids: Vec<OrderId> = self.tracker.live().map(|t| t.record.order_id).collect();
        for id in ids {
            let note = self.note().because("stream lost");
            self.apply(id, OrderEvent::StreamLost, &note).await?;
        }
        self.reconcile.snapshot_seen = false;
        self.reconcile.full_due = true;
        Ok(())
    }

    pub(crate) async fn on_frame(
        &mut self,
        snapshot: bool,
        asked: Option<Stamp>,
        at: Stamp,
        text: &str,
    ) -> Result<(), DeskError> {
        match read(text) {
            Ok(StreamMessage::Executions(reports)) if snapshot => {
                self.on_snapshot(reports, asked, at).await
            }
            Ok(StreamMessage::Executions(reports)) => {
                for report in reports {
                    self.on_report(&report, EventSource::WsExecutions, at).await?;
                }
                Ok(())
            }
            Ok(StreamMessage::Balances(rows)) => self.on_balances(&rows, snapshot, at).await,
            Ok(StreamMessage::Other) => Ok(()),
            Err(error) => {
                tracing::warn!("private frame refused: {error}");
                self.reconcile.full_due = true;
                Ok(())
            }
        }
    }

    /// One report: the fill first, the state after it.
    pub(crate) async fn on_report(
        &mut self,
        report: &Report,
        source: EventSource,
        at: Stamp,
    ) -> Result<(), DeskError> {
        match self.correlate(report)? {
            Known::Ours(id) => {
                self.one_report(id, report, source, at).await?;
                self.release_waiting(id, at).await
            }
            Known::Rowless => self.on_rowless(report).await,
            Known::Foreign => self.on_foreign(report).await,
            Known::Unmatched => self.wait_for_order(report).await,
        }
    }

    fn correlate(&self, report: &Report) -> Result<Known, DeskError> {
        if let Some(id) = self.tracker.by_venue(&report.order_id) {
            return Ok(Known::Ours(id));
        }
        if let Some(outsider) = self.reconcile.outsiders.get(&report.order_id) {
            return Ok(if outsider.ours { Known::Rowless } else { Known::Foreign });
        }
        let Some(text) = report.cl_ord_id.as_deref() else {
            // The first report of an order is whole: whole and without an id of ours, it is another's.
            // Later ones name no symbol; theirs may be an order whose answer is still on its way.
            let whole = report.symbol.is_some() && report.trade.is_none();
            return Ok(if whole { Known::Foreign } else { Known::Unmatched });
        };
        let Origin::Ours(own) = recognise(&self.salt, Some(text)) else {
            return Ok(Known::Foreign);
        };
        if let Some(id) = self.tracker.by_client(own.uuid()) {
            return Ok(Known::Ours(id));
        }
        match TokenAge::of(own.token(), self.store.token()) {
            TokenAge::Predecessor => Ok(Known::Rowless),
            // A restored database may know less than the venue; both are for a person.
            TokenAge::Successor if !self.reconcile.complete => {
                Err(DeskError::Restored { seen: own.token().0, ours: self.store.token().0 })
            }
            TokenAge::Successor => Err(DeskError::FencedOut(format!(
                "order {text} carries token {} above ours {}",
                own.token().0,
                self.store.token().0
            ))),
            TokenAge::Mine if self.reconcile.db_failed => Ok(Known::Rowless),
            TokenAge::Mine => {
                Err(DeskError::Invariant(format!("order {text} carries our token and has no row")))
            }
        }
    }

    /// The row of a report, when memory has it. A newer token ends the session.
    pub(crate) fn ours(&self, report: &Report) -> Result<Option<OrderId>, DeskError> {
        Ok(match self.correlate(report)? {
            Known::Ours(id) => Some(id),
            Known::Rowless | Known::Foreign | Known::Unmatched => None,
        })
    }

    pub(crate) async fn one_report(
        &mut self,
        id: OrderId,
        report: &Report,
        source: EventSource,
        at: Stamp,
    ) -> Result<(), DeskError> {
        if source == EventSource::WsExecutions && self.is_late(id, report) {
            return Ok(());
        }
        self.heard_of(id, report);
        if let Some(entry) = self.entry_of_unplaced_stop(id) {
            self.look_soon(entry, 0);
            return self.wait_for_order(report).await;
        }
        if let Some(trade) = &report.trade {
            let fill = FillReport {
                exec_id: trade.exec_id.clone(),
                trade_id: trade.trade_id,
                price: trade.price,
                qty: trade.qty,
                fees: trade.fees.clone(),
                fee_quote_equiv: trade.fee_quote_equiv,
                liquidity: trade.liquidity,
                order_qty: report.order_qty,
                venue_cum_qty: report.cum_qty,
                venue_id: Some(report.order_id.clone()),
                ts_exchange: report.at,
                ts_local: at.wall,
                source,
            };
            self.book(id, &fill).await?;
            return Ok(());
        }
        let note = note_of(report, source, at);
        if self.tracker.get(id).is_some_and(|t| t.record.state == OrderState::Created) {
            let sent = note.clone().named("preauth_sent");
            self.apply(id, OrderEvent::PreauthSent, &sent).await?;
        }
        let event = event_of(report.kind);
        if event == OrderEvent::Unverified {
            marker!(
                WS_UNHANDLED_EXEC_TYPE,
                exec_type = report.exec_type.clone(),
                order_status = report.order_status.clone()
            );
        }
        if event == OrderEvent::VenuePending {
            return Ok(());
        }
        let was_live = self.is_acknowledged(id);
        let applied = self.apply(id, event, &note).await?;
        if report.triggered {
            self.on_stop_triggered(id).await?;
        }
        if applied && event == OrderEvent::LiveReport && !was_live {
            self.after_live(id).await?;
        }
        if applied && event == OrderEvent::LiveReport && was_live {
            self.after_amend(id, true).await?;
        }
        Ok(())
    }

    fn heard_of(&mut self, id: OrderId, report: &Report) {
        let mono = self.mono_ms();
        if let Some(tracked) = self.tracker.get_mut(id) {
            tracked.stream_mono_ms = Some(mono);
            tracked.stream_at = tracked.stream_at.max(Some(report.at));
        }
        self.reconcile.image_lacks.remove(&id);
        if let Some(executed) = report.cum_qty {
            self.note_executed(id, executed);
        }
    }

    /// A report that the venue made before one that was taken already says nothing about now: it is dropped and counted,
    /// and a look finds out whether it was right. A trade is never late: it is booked once by its id, whenever it comes.
    fn is_late(&mut self, id: OrderId, report: &Report) -> bool {
        let newest = self.tracker.get(id).and_then(|tracked| tracked.stream_at);
        let late = report.trade.is_none() && newest.is_some_and(|newest| report.at < newest);
        if late {
            self.late_reports += 1;
            metrics::counter!("private_reports_late_total").increment(1);
            tracing::info!(
                reason = ReasonCode::WsOooEvent.as_str(),
                order_id = id.0,
                exec_type = report.exec_type,
                "a private report out of order was dropped"
            );
            self.look_soon(id, 0);
        }
        late
    }

    /// The entry whose fill comes first: its standby stop is at the venue, and no position has it yet.
    fn entry_of_unplaced_stop(&self, id: OrderId) -> Option<OrderId> {
        let row = &self.tracker.get(id)?.record;
        let unplaced = row.state == OrderState::Created && row.position_id.is_none();
        row.parent_order_id.filter(|_| unplaced)
    }

    /// Stops that waited for the fill of their entry. Boxed, because a report may book a fill.
    pub(crate) fn release_stops(
        &mut self,
    ) -> Pin<Box<dyn Future<Output = Result<(), DeskError>> + Send + '_>> {
        Box::pin(async move {
            let at = self.clock.now();
            let mut later = VecDeque::new();
            while let Some(waiting) = self.waiting.pop_front() {
                let own = waiting.report.cl_ord_id.as_deref();
                let own = own.and_then(|t| penstock_types::Uuid::try_parse(t).ok());
                let id = own.and_then(|own| self.tracker.by_client(own));
                let Some(id) = id.filter(|id| self.entry_of_unplaced_stop(*id).is_none()) else {
                    later.push_back(waiting);
                    continue;
                };
                let now = self.now();
                let stored =
                    self.store.settle_report(waiting.buffer_id, "released", Some(id), now).await;
                self.written(stored)?;
                self.one_report(id, &waiting.report, EventSource::WsExecutions, at).await?;
            }
            self.waiting.append(&mut later);
            Ok(())
        })
    }

    fn is_acknowledged(&self, id: OrderId) -> bool {
        self.tracker.get(id).is_some_and(|t| {
            matches!(
                t.record.state,
                OrderState::AckedOpen | OrderState::PartiallyFilled | OrderState::PendingCancel
            )
        })
    }

    async fn wait_for_order(&mut self, report: &Report) -> Result<(), DeskError> {
        if self.waiting.len() >= WAITING_LEN_LIMIT {
            self.reconcile.full_due = true;
            return Ok(());
        }
        let payload = serde_json::json!({
            "exec_type": report.exec_type, "order_status": report.order_status,
        });
        let (now, venue) = (self.now(), report.order_id.as_str());
        let own = report.cl_ord_id.as_deref();
        let stored = self.store.buffer_report(venue, own, &payload, now).await;
        let buffer_id = self.written(stored)?.unwrap_or(0);
        marker!(
            ORDER_EVENT_BUFFERED,
            exchange_order_id = report.order_id.clone(),
            exec_type = report.exec_type.clone()
        );
        let since_mono_ms = self.mono_ms();
        self.waiting.push_back(Waiting { buffer_id, report: report.clone(), since_mono_ms });
        Ok(())
    }

    /// Reports that waited for this order follow in their order.
    async fn release_waiting(&mut self, id: OrderId, at: Stamp) -> Result<(), DeskError> {
        let venue = self.tracker.get(id).and_then(|t| t.record.exchange_order_id.clone());
        let Some(venue) = venue else { return Ok(()) };
        while let Some(at_index) = self.waiting.iter().position(|w| w.report.order_id == venue) {
            let Some(waiting) = self.waiting.remove(at_index) else { break };
            let now = self.now();
            let stored =
                self.store.settle_report(waiting.buffer_id, "released", Some(id), now).await;
            self.written(stored)?;
            marker!(
                ORDER_EVENT_RELEASED,
                exchange_order_id = venue.clone(),
                exec_type = waiting.report.exec_type.clone()
            );
            self.one_report(id, &waiting.report, EventSource::WsExecutions, at).await?;
        }
        Ok(())
    }

    /// Reports whose order did not come: somebody else's, or a reconcile finds out.
    pub(crate) async fn expire_waiting(&mut self) -> Result<(), DeskError> {
        let mono = self.mono_ms();
        while self.waiting.front().is_some_and(|w| mono - w.since_mono_ms > WAITING_MS_MAX) {
            let Some(waiting) = self.waiting.pop_front() else { break };
            let now = self.now();
            let stored = self.store.settle_report(waiting.buffer_id, "unknown", None, now).await;
            self.written(stored)?;
            self.reconcile.full_due = true;
        }
        Ok(())
    }

    async fn on_balances(
        &mut self,
        rows: &[BalanceUpdate],
        snapshot: bool,
        at: Stamp,
    ) -> Result<(), DeskError> {
        for row in rows {
            let balance = Balance {
                amount: row.balance,
                seen_mono_ms: at.mono_ms(),
                dirty: true,
                at: row.at.unwrap_or(at.wall),
            };
            self.balances.insert(row.asset.clone(), balance);
            let source = if snapshot { "stream image" } else { "stream" };
            self.see_balance(&row.asset, row.balance, (at.mono_ms(), at.wall), source);
            if !snapshot {
                self.on_balance_change(row, at).await?;
            }
        }
        if snapshot {
            self.reconcile.balances_seen = true;
        }
        Ok(())
    }
}

/// The event of a report that carries no trade.
pub(crate) const fn event_of(kind: ExecKind) -> OrderEvent {
    match kind {
        ExecKind::Pending => OrderEvent::VenuePending,
        ExecKind::Live => OrderEvent::LiveReport,
        ExecKind::Filled => OrderEvent::VenueFilled,
        ExecKind::Canceled => OrderEvent::VenueCanceled,
        ExecKind::Expired => OrderEvent::VenueExpired,
        // A trade without its id, or a word that nobody knows.
        ExecKind::Trade | ExecKind::Unknown => OrderEvent::Unverified,
    }
}

/// The note of a report.
fn note_of(report: &Report, source: EventSource, at: Stamp) -> EventNote {
    EventNote {
        source,
        venue_id: Some(report.order_id.clone()),
        exec_type: Some(report.exec_type.clone()),
        order_status: Some(report.order_status.clone()),
        cum_qty: report.cum_qty,
        reason: report.reason.clone(),
        ts_exchange: Some(report.at),
        terms: Terms {
            qty: report.order_qty,
            limit_price: report.limit_price,
            trigger_price: report.trigger_price,
            deadline_at: None,
        },
        ..EventNote::local(at.wall)
    }
}
