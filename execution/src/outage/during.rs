//! Inputs of the desk during an outage.
//!
//! Input: [`Input`]. Output: shadows of orders, kept records, the steps of [`super::cover`].

use penstock_telemetry::marker;
use penstock_trading::mode::{CauseCode, Level};
use penstock_trading::order::{OrderEvent, Said, Shadow};
use penstock_types::vocab::OrderState;
use penstock_types::{Decimal, OrderId};
use penstock_venue_orders::{OrderAnswer, OrderOutcome, PrivateEvent};
use penstock_venues::kraken::error_table::ErrorOutcome;
use penstock_venues::kraken::vocabulary::SystemStatus;

use super::{Outage, Record};
use crate::account::EntryOutcome;
use crate::desk::{Command, Desk, DeskError, Input, Message};
use crate::stream::{Report, StreamMessage, event_of, read};
use crate::tracker::MutationKind;

impl Desk {
    /// One input, with rows or without them.
    pub(crate) async fn step(&mut self, input: Input) -> Result<(), DeskError> {
        if self.outage.is_some() {
            return self.during(input).await;
        }
        let record = Record::of(&input);
        self.work(input).await?;
        if self.reconcile.away {
            self.begin_outage(record).await?;
        }
        Ok(())
    }

    async fn begin_outage(&mut self, record: Option<Record>) -> Result<(), DeskError> {
        let mono = self.mono_ms();
        marker!(
            DECISION_DB_UNAVAILABLE,
            down_ms = 0,
            error = self.reconcile.away_error.clone(),
            live_orders = self.tracker.live().count(),
            open_positions = self.tracker.positions.len()
        );
        self.outage = Some(Outage::new(mono));
        self.reconcile.looks_ended();
        if let Some(record) = record {
            self.remember(record)?;
        }
        self.hold().await;
        Ok(())
    }

    async fn during(&mut self, input: Input) -> Result<(), DeskError> {
        match input {
            Input::Event(event) => self.remember(Record::Event { event, kept: false })?,
            Input::Message(Message::Answer { order_id, kind, answer }) => {
                self.remember(Record::Answer { order_id, kind, answer })?;
            }
            // What it saw cannot be stored; the reconcile afterwards looks again.
            Input::Message(Message::Look(look)) => self.look_lost(&look.kind),
            Input::Message(Message::Probe(result)) => return self.on_probe(result).await,
            Input::Message(Message::Switch { what, sent_ms, answer }) => {
                self.switch_answered(what, sent_ms, &answer);
            }
            Input::Command(command) => self.command_away(command),
            Input::Mode(_) => {}
            Input::Tick => {
                let value = Some("decision cluster away".to_owned());
                self.mode.raise(CauseCode::DbUnavailable, Level::Degrade, value);
                self.judge_stream();
                self.probe();
                self.flatten_by_file().await;
                self.keep_switch();
            }
        }
        self.hold().await;
        Ok(())
    }

    fn command_away(&mut self, command: Command) {
        match command {
            Command::Entry(_, answer) => {
                let reason = "DB_UNAVAILABLE".to_owned();
                // An evaluation that has gone wants no answer.
                let _ = answer.send(EntryOutcome::Refused { reason, others_may: false });
            }
            Command::CancelEntries(_) => {}
            Command::StopEntries(answer) => {
                self.entries_stopped = true;
                self.publish();
                // Who asked and went away waits for nothing.
                let _ = answer.send(());
            }
            Command::Flatten(symbol, answer) => {
                // By the row in stock, or by the first tick after the outage.
                let count = self.flatten(symbol.as_ref());
                let _ = answer.send(count);
            }
        }
    }

    /// Takes a record into the shadows and keeps it for the rows.
    fn remember(&mut self, record: Record) -> Result<(), DeskError> {
        let keep = match &record {
            Record::Event { event, .. } => {
                self.shade_event(event)?;
                true
            }
            Record::Answer { order_id, kind, answer } => {
                self.shade_answer(*order_id, *kind, answer)
            }
            Record::Released(_) | Record::CancelSent { .. } | Record::AmendSent { .. } => true,
        };
        if let Some(outage) = self.outage.as_mut().filter(|_| keep) {
            outage.keep(record);
        }
        Ok(())
    }

    fn shade_event(&mut self, event: &PrivateEvent) -> Result<(), DeskError> {
        match event {
            PrivateEvent::Frame { text, is_snapshot, .. } => {
                // What does not decode is counted when it is applied.
                let Ok(StreamMessage::Executions(reports)) = read(text) else { return Ok(()) };
                for report in &reports {
                    let image = is_snapshot.then(|| traded_in(&reports, &report.order_id));
                    self.shade_report(report, image)?;
                }
            }
            PrivateEvent::Disconnected { .. } => {
                let ids: Vec<OrderId> = self.tracker.live().map(|t| t.record.order_id).collect();
                for id in ids {
                    self.shade(id, OrderEvent::StreamLost, Said::default());
                }
            }
            PrivateEvent::System { status, .. } => {
                self.system_is(*status);
                let online = *status == Some(SystemStatus::Online);
                self.mode.set(CauseCode::ExchangeUnavailable, Level::Degrade, !online, None);
            }
            PrivateEvent::Connected { .. }
            | PrivateEvent::Subscribed { .. }
            | PrivateEvent::Gap { .. }
            | PrivateEvent::LateAnswer { .. }
            | PrivateEvent::Unreadable { .. }
            | PrivateEvent::ConnectFailed { .. } => {}
        }
        Ok(())
    }

    /// `image` is what the trades of an image add up to: they are old ones too, and carry no total.
    fn shade_report(&mut self, report: &Report, image: Option<Decimal>) -> Result<(), DeskError> {
        // A newer token at the venue ends the session here too.
        let Some(id) = self.ours(report)? else { return Ok(()) };
        let before = self.shadow_of(id);
        let cum_qty = report.cum_qty.or(image).or_else(|| {
            let trade = report.trade.as_ref()?;
            Some(before?.cum_qty + trade.qty)
        });
        let said = Said { qty: report.order_qty, cum_qty, trigger: report.trigger_price };
        if before.is_some_and(|s| s.state == OrderState::Created) {
            self.shade(id, OrderEvent::PreauthSent, said);
        }
        let event = if report.trade.is_some() { OrderEvent::Fill } else { event_of(report.kind) };
        self.shade(id, event, said);
        if let Some(tracked) = self.tracker.get_mut(id) {
            tracked.triggered |= report.triggered;
        }
        Ok(())
    }

    /// True when the answer is to be applied to the rows later.
    fn shade_answer(&mut self, id: OrderId, kind: MutationKind, answer: &OrderAnswer) -> bool {
        let unknown = matches!(answer.outcome, OrderOutcome::Unknown { .. });
        let amends = matches!(kind, MutationKind::Amend { .. });
        if let Some(tracked) = self.tracker.get_mut(id).filter(|_| !(unknown && amends)) {
            tracked.mutation = None;
        }
        match (kind, &answer.outcome) {
            (MutationKind::Add, OrderOutcome::Acked { .. }) => {
                self.shade(id, OrderEvent::Acked, Said::default());
            }
            (MutationKind::Add, OrderOutcome::Rejected { judgement, .. }) => {
                let event = match judgement.outcome {
                    ErrorOutcome::Expired => OrderEvent::DeadlineElapsed,
                    ErrorOutcome::Refused | ErrorOutcome::Unknown | ErrorOutcome::Accepted => {
                        OrderEvent::Refused
                    }
                };
                self.shade(id, event, Said::default());
                self.stop_failed(id);
            }
            (MutationKind::Add, OrderOutcome::Unknown { .. }) => {
                self.shade(id, OrderEvent::OutcomeUnknown, Said::default());
            }
            (MutationKind::Add, OrderOutcome::NotSent(_)) => {
                self.stop_failed(id);
                let Some(outage) = &mut self.outage else { return true };
                if outage.forget_release(id) {
                    // Not a byte went out: the row is in stock as before.
                    outage.shadows.remove(&id);
                    return false;
                }
                self.shade(id, OrderEvent::LocalRefusal, Said::default());
            }
            (MutationKind::Amend { qty, trigger }, OrderOutcome::Acked { .. }) => {
                self.shade(id, OrderEvent::LiveReport, Said { qty, cum_qty: None, trigger });
            }
            (MutationKind::Amend { .. }, OrderOutcome::Rejected { .. }) => self.stop_failed(id),
            (
                MutationKind::Amend { .. },
                OrderOutcome::Unknown { .. } | OrderOutcome::NotSent(_),
            )
            | (
                MutationKind::Cancel,
                OrderOutcome::Acked { .. }
                | OrderOutcome::Rejected { .. }
                | OrderOutcome::Unknown { .. }
                | OrderOutcome::NotSent(_),
            ) => {}
        }
        true
    }

    fn stop_failed(&mut self, id: OrderId) {
        let mono = self.mono_ms();
        let row = self.tracker.get(id).map(|t| t.record.clone()).filter(|r| r.reduces());
        if let (Some(row), Some(outage)) = (row, &mut self.outage) {
            let failures = outage.failures.entry(row.symbol).or_insert((0, mono));
            *failures = (failures.0 + 1, mono);
        }
    }

    /// The order as it is known without its row.
    pub(crate) fn shadow_of(&self, id: OrderId) -> Option<Shadow> {
        let shaded = self.outage.as_ref().and_then(|o| o.shadows.get(&id)).copied();
        shaded.or_else(|| {
            self.tracker.get(id).map(|t| Shadow {
                state: t.record.state,
                qty: t.record.qty,
                cum_qty: t.record.cum_qty,
                trigger: t.record.trigger_price,
            })
        })
    }

    /// One event of the shadow.
    pub(super) fn shade(&mut self, id: OrderId, event: OrderEvent, said: Said) {
        let Some(mut shadow) = self.shadow_of(id) else { return };
        shadow.take(event, said);
        if let Some(outage) = &mut self.outage {
            outage.shadows.insert(id, shadow);
        }
    }
}

fn traded_in(reports: &[Report], order_id: &str) -> Decimal {
    reports
        .iter()
        .filter(|r| r.order_id == order_id)
        .filter_map(|r| r.trade.as_ref())
        .map(|t| t.qty)
        .sum()
}
