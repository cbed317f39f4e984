//! What a look means: trades first, then the state that REST shows.
//!
//! Input: [`LookResult`]. Output: fills and order events with source `rest_reconcile`. A fact of the
//! stream younger than 60 s outranks REST, which may lag by as much.

use penstock_store_orders::fills::FillReport;
use penstock_store_orders::orders::{EventNote, EventSource, Terms};
use penstock_trading::order::OrderEvent;
use penstock_types::OrderId;
use penstock_types::vocab::OrderState;
use penstock_venues::kraken::rates::RestUse;
use penstock_venues::kraken::vocabulary::RestOrderStatus;

use super::fetch::{FoundOrder, FoundTrade, LookKind, LookResult, look};
use crate::desk::{Desk, DeskError, Message};
use crate::operator::DryRuns;

/// Pauses between looks at an order that stays unproven.
const LOOK_PAUSES_MS: [i64; 5] = [1_000, 2_000, 5_000, 15_000, 30_000];

/// Trades of an order are looked for from this long before its row was written: the venue's clock is not ours.
const CLOCKS_APART_MS_MAX: i64 = 60_000;

impl Desk {
    /// Asks for a look at an order, not before `delay_ms`.
    pub(crate) fn look_soon(&mut self, id: OrderId, delay_ms: i64) {
        let mono = self.mono_ms();
        let until_proof_ms = self.tracker.get(id).map_or(0, |t| self.until_proof_ms(&t.record));
        if let Some(tracked) = self.tracker.get_mut(id) {
            let pause = LOOK_PAUSES_MS
                [usize::try_from(tracked.looks).unwrap_or(0).min(LOOK_PAUSES_MS.len() - 1)];
            // The first look may find it at once; later ones cost six points and prove nothing before
            // the request can no longer arrive.
            let later = pause.max(delay_ms).max(until_proof_ms);
            let due = mono + if tracked.looks == 0 { delay_ms } else { later };
            // A look that is wanted already is never put off.
            tracked.next_look_mono_ms =
                if tracked.look_wanted { tracked.next_look_mono_ms.min(due) } else { due };
            tracked.look_wanted = true;
        }
    }

    /// Starts the looks that are due.
    pub(crate) fn start_looks(&mut self) {
        let mono = self.mono_ms();
        let due: Vec<OrderId> = self
            .tracker
            .orders()
            .filter(|t| t.look_wanted && !t.look_open && t.next_look_mono_ms <= mono)
            .map(|t| t.record.order_id)
            .collect();
        for id in due {
            let proves = self
                .tracker
                .get(id)
                .filter(|t| self.until_proof_ms(&t.record) == 0)
                .map(|t| t.record.created_at.plus_millis(-CLOCKS_APART_MS_MAX));
            let Some(tracked) = self.tracker.get_mut(id) else { continue };
            tracked.look_open = true;
            tracked.look_wanted = false;
            let kind = LookKind::Order {
                id,
                cl_ord_id: tracked.record.cl_ord_id,
                venue_id: tracked.record.exchange_order_id.clone(),
                booked: tracked.record.cum_qty,
                proves,
            };
            self.start_look(kind, RestUse::Reserved);
        }
    }

    /// Starts one look.
    pub(crate) fn start_look(&self, kind: LookKind, usage: RestUse) {
        let (rest, messages) = (self.rest.clone(), self.messages.clone());
        tokio::spawn(async move {
            let result = look(rest, kind, usage).await;
            // A desk that has ended looks again at its next start.
            let _ = messages.send(Message::Look(Box::new(result))).await;
        });
    }

    pub(crate) async fn on_look(&mut self, result: LookResult) -> Result<(), DeskError> {
        if result.whole {
            self.mode.progress().truth();
        }
        match result.kind.clone() {
            LookKind::Order { id, .. } => self.on_order_look(id, result).await,
            LookKind::Confirm { ids, cause } => self.on_confirm(ids, cause, result).await,
            LookKind::Light => self.on_light(result).await,
            LookKind::History { .. } => self.on_history(result).await,
            LookKind::DryRun => self.on_dry_run(result).await,
            LookKind::Balances => self.on_balance_look(result).await,
            LookKind::Strays { trades, round_at } => self.on_strays(trades, round_at, result).await,
        }
    }

    /// A look that came to nothing: it may be started again.
    pub(crate) fn look_lost(&mut self, kind: &LookKind) {
        match kind {
            LookKind::Order { id, .. } => {
                if let Some(tracked) = self.tracker.get_mut(*id) {
                    tracked.look_open = false;
                    tracked.look_wanted = true;
                }
            }
            LookKind::Confirm { .. } => self.reconcile.confirm_open = false,
            LookKind::Light => self.reconcile.light_open = false,
            LookKind::History { .. } => self.reconcile.history_open = false,
            // The next round asks again.
            LookKind::Strays { .. } => {}
            // Its request has no answer yet and is asked again.
            LookKind::DryRun => self.dry_runs = DryRuns::default(),
            LookKind::Balances => {
                for held in self.tracker.positions.values_mut() {
                    held.balance_look_open = false;
                }
            }
        }
    }

    async fn on_order_look(&mut self, id: OrderId, result: LookResult) -> Result<(), DeskError> {
        if let Some(tracked) = self.tracker.get_mut(id) {
            tracked.look_open = false;
            tracked.looks = tracked.looks.saturating_add(1);
            tracked.whole_looks = tracked.whole_looks.saturating_add(result.whole.into());
        }
        let own = self.tracker.get(id).map(|t| t.record.cl_ord_id.as_hyphenated().to_string());
        let found = result
            .orders
            .iter()
            .find(|o| self.tracker.by_venue(&o.venue_id) == Some(id) || o.cl_ord_id == own);
        let found = found.cloned();
        if let Some(order) = &found {
            for trade in result.trades.iter().filter(|t| t.order_id == order.venue_id) {
                self.book_found(id, trade).await?;
            }
            self.settle(id, order).await?;
        } else if result.whole {
            self.absent(id, &result).await?;
        }
        let unsettled = self.tracker.get(id).is_some_and(|t| {
            matches!(t.record.state, OrderState::SubmitUnknown | OrderState::ReconcileRequired)
                || (t.record.state == OrderState::PendingCancel && t.mutation.is_none())
        });
        if unsettled {
            self.look_soon(id, LOOK_PAUSES_MS[0]);
        } else if let Some(tracked) = self.tracker.get_mut(id) {
            tracked.looks = 0;
            tracked.whole_looks = 0;
        }
        Ok(())
    }

    /// Books a trade that a look found.
    pub(crate) async fn book_found(
        &mut self,
        id: OrderId,
        trade: &FoundTrade,
    ) -> Result<(), DeskError> {
        let Some(tracked) = self.tracker.get(id) else { return Ok(()) };
        let quote = tracked.record.symbol.quote().to_owned();
        let report = FillReport {
            exec_id: trade.exec_id.clone(),
            trade_id: trade.trade_id,
            price: trade.price,
            qty: trade.qty,
            fees: vec![(quote, trade.fee)],
            fee_quote_equiv: None,
            liquidity: trade.maker.map(|maker| if maker { 'm' } else { 't' }),
            order_qty: None,
            venue_cum_qty: None,
            venue_id: Some(trade.order_id.clone()),
            ts_exchange: trade.at,
            ts_local: self.now(),
            source: EventSource::RestReconcile,
        };
        if self.book(id, &report).await? {
            self.reconcile.fills_recovered += 1;
        }
        Ok(())
    }

    /// The state that REST shows, unless the stream knows better.
    pub(crate) async fn settle(
        &mut self,
        id: OrderId,
        found: &FoundOrder,
    ) -> Result<(), DeskError> {
        let mono = self.mono_ms();
        let Some(tracked) = self.tracker.get(id) else { return Ok(()) };
        let fresh = tracked.stream_mono_ms.is_some_and(|at| mono - at < self.config.stream_wins_ms);
        let state = tracked.record.state;
        let amending = tracked.mutation.is_some();
        let open = matches!(found.status, Some(RestOrderStatus::Open | RestOrderStatus::Pending));
        self.note_executed(id, found.executed);
        // REST lags: it still shows open what the stream has ended, and what its image lacked.
        let gone = self.reconcile.image_lacks.get(&id);
        let gone = gone.is_some_and(|at| mono - at < self.config.stream_wins_ms);
        if open && ((fresh && state.is_terminal()) || gone) {
            return Ok(());
        }
        let event = match found.status {
            Some(RestOrderStatus::Pending | RestOrderStatus::Open) => OrderEvent::LiveReport,
            Some(RestOrderStatus::Closed) => OrderEvent::VenueFilled,
            Some(RestOrderStatus::Canceled) => OrderEvent::VenueCanceled,
            Some(RestOrderStatus::Expired) => OrderEvent::VenueExpired,
            None => return Ok(()),
        };
        let keeps_terms = amending || (fresh && open);
        let note = EventNote {
            venue_id: Some(found.venue_id.clone()),
            cum_qty: Some(found.executed),
            reason: found.reason.clone(),
            order_status: found.status.map(|s| format!("{s:?}").to_lowercase()),
            terms: if keeps_terms {
                Terms::default()
            } else {
                Terms {
                    qty: Some(found.qty),
                    limit_price: None,
                    trigger_price: found.price.filter(|_| found.is_stop),
                    deadline_at: None,
                }
            },
            ..self.note_from(EventSource::RestReconcile)
        };
        let doubtful = matches!(
            state,
            OrderState::PendingSubmit
                | OrderState::SubmitUnknown
                | OrderState::Suspect
                | OrderState::ReconcileRequired
                | OrderState::Created
        );
        if state == OrderState::Created {
            let sent = note.clone().named("preauth_sent");
            self.apply(id, OrderEvent::PreauthSent, &sent).await?;
        }
        // A cancel that the venue refused or never got: live and unasked.
        if open && state == OrderState::PendingCancel && !amending && !fresh {
            self.apply(id, OrderEvent::CancelRefused, &note).await?;
            return Ok(());
        }
        if open && !doubtful && !state.is_terminal() {
            return Ok(());
        }
        if self.apply(id, event, &note).await? && event == OrderEvent::LiveReport {
            self.after_live(id).await?;
        }
        Ok(())
    }
}
