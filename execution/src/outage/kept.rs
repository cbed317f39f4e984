//! What an earlier process kept of an outage, applied to the rows by the next start.
//!
//! Input: records in their order. Output: rows and memory as they would be had that process lived on; then the
//! records are forgotten. Invariants: it runs after the rows were read and before any of them counts as unverified,
//! so what went out without a write is no row in stock any more; a record that the rows know already changes
//! nothing; nothing is sent from here; when a row cannot be written the start ends, and the records stay.

use penstock_store_orders::orders::{EventNote, EventSource};
use penstock_trading::order::{Facts, OrderEvent, step};
use penstock_types::OrderId;
use penstock_venue_orders::Stamp;
use penstock_venues::kraken::ChannelKind;
use penstock_venues::kraken::error_table::{ErrorOutcome, judge};

use super::spool::{AnswerSaid, Asked, Kept};
use super::state::Released;
use crate::desk::{Desk, DeskError};
use crate::stream::{StreamMessage, read};

impl Desk {
    /// Applies what was kept; the records are forgotten when the rows have them all.
    pub(crate) async fn apply_kept(&mut self) -> Result<(), DeskError> {
        let kept = std::mem::take(&mut self.kept);
        if kept.is_empty() {
            return Ok(());
        }
        let count = kept.len();
        // A trade among them must not get a stop before the venue was asked which stops stand.
        self.reconcile.in_snapshot = true;
        for record in kept {
            self.apply_one(record).await?;
            if self.reconcile.away {
                let error = self.reconcile.away_error.clone().unwrap_or_default();
                return Err(DeskError::KeptNotApplied { error });
            }
        }
        self.reconcile.in_snapshot = false;
        self.clear_spool().await;
        tracing::info!("{count} records of an outage are in their rows");
        Ok(())
    }

    async fn apply_one(&mut self, record: Kept) -> Result<(), DeskError> {
        match record {
            Kept::Frame { epoch, at, sequence, is_snapshot, logged, text } => {
                let stamp = Stamp { wall: at, ..self.clock.now() };
                if !logged {
                    self.keep(epoch, stamp, ChannelKind::Executions, sequence, is_snapshot, &text);
                }
                self.apply_reports(&text, stamp).await
            }
            Kept::Answer { order_id, asked, said } => self.apply_said(order_id, asked, said).await,
            Kept::Released { order_id, qty, trigger, deadline_at, at } => {
                let Some(role) = self.tracker.get(order_id).map(|t| t.record.role) else {
                    return Ok(());
                };
                self.replay_release(&Released { order_id, role, qty, trigger, deadline_at, at })
                    .await
            }
            Kept::CancelSent { order_id, at } => self.replay_cancel(order_id, at).await,
            Kept::AmendSent { .. } => Ok(()),
        }
    }

    /// The reports of orders that the rows know; the others are asked for by the reconcile.
    async fn apply_reports(&mut self, text: &str, at: Stamp) -> Result<(), DeskError> {
        let Ok(StreamMessage::Executions(reports)) = read(text) else { return Ok(()) };
        self.load_reported(&reports).await?;
        for report in &reports {
            if self.ours(report)?.is_some() {
                self.on_report(report, EventSource::WsExecutions, at).await?;
            }
        }
        Ok(())
    }

    async fn apply_said(
        &mut self,
        id: OrderId,
        asked: Asked,
        said: AnswerSaid,
    ) -> Result<(), DeskError> {
        let (event, because, venue_id) = match (asked, said) {
            (Asked::Add, AnswerSaid::Acked { venue_id }) => (OrderEvent::Acked, None, venue_id),
            (Asked::Add, AnswerSaid::Rejected { text }) => {
                let expired = judge(&text).outcome == ErrorOutcome::Expired;
                let event = if expired { OrderEvent::DeadlineElapsed } else { OrderEvent::Refused };
                (event, Some(text), None)
            }
            (Asked::Add, AnswerSaid::Unknown { why }) => {
                (OrderEvent::OutcomeUnknown, Some(why), None)
            }
            // Never sent: its release is not applied either. Changes and cancels are told by the stream.
            (Asked::Add, AnswerSaid::NotSent { .. }) | (Asked::Amend | Asked::Cancel, _) => {
                return Ok(());
            }
        };
        let Some(tracked) = self.tracker.get(id) else { return Ok(()) };
        if step(tracked.record.state, event, Facts::UNTOUCHED).is_err() {
            return Ok(());
        }
        let mut note = EventNote { source: EventSource::WsMethod, ..EventNote::local(self.now()) };
        note.venue_id = venue_id;
        if let Some(why) = because {
            note = note.because(&why);
        }
        self.apply(id, event, &note).await?;
        Ok(())
    }
}
