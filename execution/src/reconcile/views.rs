//! What the venue said of balances and orders, and when: what a correction of a position rests on.
//!
//! Input: messages of the stream, looks. Output: two views of each balance with their times, the moment for which the
//! venue's orders are known, quantities that are not booked, requests for new images. Invariants: a balance that is
//! not said again gets no second view; a look speaks for the moment of its start less the worst lag of REST.

use std::collections::BTreeSet;

use penstock_trading::ledger::difference::{SEEN_TWICE_MS, View};
use penstock_types::{Decimal, OrderId, Symbol, UtcMicros};
use penstock_venue_orders::Stamp;
use penstock_venues::kraken::rates::RestUse;
use serde_json::{Value, json};

use super::fetch::LookKind;
use crate::desk::{Desk, DeskError};

/// Trades of an image: so many of the newest, no more.
const IMAGE_TRADES: usize = 50;
/// Distance of two requests for images because of an order in doubt, milliseconds.
const DOUBT_PAUSE_MS: i64 = 5_000;
/// Longest pause between images because of one balance, milliseconds.
const BALANCE_PAUSE_MS_MAX: i64 = 60_000;

/// One view of a balance, and where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sight {
    pub(crate) view: View,
    /// The moment for which it speaks.
    pub(crate) at: UtcMicros,
    pub(crate) source: &'static str,
}

impl Sight {
    fn evidence(&self) -> Value {
        json!({
            "amount": self.view.amount.to_string(), "at": self.at.rfc3339(), "source": self.source,
        })
    }
}

/// The oldest and the newest view that show a balance as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sights {
    pub(crate) first: Sight,
    pub(crate) last: Sight,
}

impl Sights {
    /// Both views as evidence of a correction.
    pub(crate) fn evidence(&self) -> Value {
        json!({ "first": self.first.evidence(), "last": self.last.evidence() })
    }
}

/// A balance that differs from the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Watched {
    next_image_mono_ms: i64,
    pause_ms: i64,
}

/// The newest image of executions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Image {
    /// When it was asked for.
    pub(crate) asked: Stamp,
    /// It shows all trades since then; none: all that the account ever made.
    pub(crate) trades_since: Option<UtcMicros>,
}

impl Image {
    /// Of so many trades, the oldest of then.
    pub(crate) fn new(asked: Stamp, trades: usize, oldest: Option<UtcMicros>) -> Self {
        Self { asked, trades_since: oldest.filter(|_| trades >= IMAGE_TRADES) }
    }

    /// It would show every trade since this time.
    pub(crate) fn reaches(&self, at: UtcMicros) -> bool {
        self.trades_since.is_none_or(|since| since <= at)
    }
}

impl Desk {
    /// A balance as a message or a look showed it.
    pub(crate) fn see_balance(
        &mut self,
        asset: &str,
        amount: Decimal,
        sight: (i64, UtcMicros),
        source: &'static str,
    ) {
        let (as_of_ms, at) = sight;
        let new = Sight { view: View { amount, as_of_ms }, at, source };
        let views = &mut self.reconcile.views;
        match views.get_mut(asset) {
            // What is older than what is known says nothing; of two at once the later one counts.
            Some(known) if as_of_ms < known.last.view.as_of_ms => return,
            Some(known) if amount == known.last.view.amount => known.last = new,
            Some(known) => *known = Sights { first: new, last: new },
            None => {
                views.insert(asset.to_owned(), Sights { first: new, last: new });
            }
        }
        self.reconcile.unjudged.insert(asset.to_owned());
    }

    /// The same of a look, which may lag.
    pub(super) fn see_looked_up(
        &mut self,
        asset: &str,
        amount: Decimal,
        started: (i64, UtcMicros),
    ) {
        let lag_ms = self.config.stream_wins_ms;
        let sight = (started.0 - lag_ms, started.1.plus_millis(-lag_ms));
        self.see_balance(asset, amount, sight, "rest");
    }

    /// The two views that a trade of this time leaves: one that is not newer says nothing about now.
    pub(super) fn views_after(
        &mut self,
        asset: &str,
        last_trade_ms: Option<i64>,
    ) -> Option<Sights> {
        let known = self.reconcile.views.get_mut(asset)?;
        if last_trade_ms.is_some_and(|trade| known.first.view.as_of_ms <= trade) {
            known.first = known.last;
        }
        Some(*known)
    }

    /// The last trade that a balance of the symbol must be newer than: booked, or told by a balance alone.
    pub(super) fn last_trade_ms(&self, symbol: &Symbol) -> Option<i64> {
        let booked = self.reconcile.traded.get(symbol).copied();
        booked.max(self.reconcile.balance_traded.get(symbol.base()).copied())
    }

    /// The moment for which the venue's orders and trades of a symbol are known whole.
    pub(super) fn orders_seen_ms(&self, symbol: &Symbol, first: &Sight) -> Option<i64> {
        let since = first.at.plus_millis(-self.config.stream_wins_ms);
        let image = self.reconcile.image.filter(|image| image.reaches(since));
        let pass = self
            .reconcile
            .pass_seen_mono_ms
            .filter(|_| !self.reconcile.pass_differs.contains(symbol));
        image.map(|image| image.asked.mono_ms()).max(pass)
    }

    /// The venue counts this much of an order as executed.
    pub(crate) fn note_executed(&mut self, id: OrderId, executed: Decimal) {
        if self.tracker.get(id).is_some_and(|t| t.record.cum_qty < executed) {
            self.reconcile.owed.insert(id, executed);
        }
    }

    /// Every quantity of the symbol that the venue counts is booked.
    pub(super) fn is_all_booked(&mut self, symbol: &Symbol) -> bool {
        let tracker = &self.tracker;
        self.reconcile
            .owed
            .retain(|id, executed| tracker.get(*id).is_some_and(|t| t.record.cum_qty < *executed));
        let mut owing = self.reconcile.owed.keys().filter_map(|id| self.tracker.get(*id));
        owing.all(|t| t.record.symbol != *symbol)
    }

    /// No report waits to be read or to be matched.
    pub(super) fn is_queue_empty(&self) -> bool {
        self.waiting.is_empty() && self.reconcile.queued_events == 0
    }

    /// A balance differs from the ledger: when it can be a difference, an image is to show it again.
    pub(super) fn watch_balance(&mut self, asset: &str, first_ms: i64) {
        let fresh =
            Watched { next_image_mono_ms: first_ms + SEEN_TWICE_MS, pause_ms: SEEN_TWICE_MS };
        self.reconcile.watched.entry(asset.to_owned()).or_insert(fresh);
    }

    /// Balances that were said anew, or on which new light fell.
    pub(super) async fn judge_new_balances(&mut self) -> Result<(), DeskError> {
        let assets = core::mem::take(&mut self.reconcile.unjudged);
        if !assets.is_empty() {
            self.compare_balances(Some(&assets)).await?;
        }
        Ok(())
    }

    /// Asks for images when an order in doubt or a difference needs one.
    pub(super) async fn ask_images(&mut self) -> Result<(), DeskError> {
        let mono = self.mono_ms();
        let due: BTreeSet<String> = self
            .reconcile
            .watched
            .iter()
            .filter(|(_, watched)| watched.next_image_mono_ms <= mono)
            .map(|(asset, _)| asset.clone())
            .collect();
        if !due.is_empty() {
            // Its trade may be booked by now.
            self.compare_balances(Some(&due)).await?;
        }
        let mut wanted = false;
        for asset in &due {
            if let Some(watched) = self.reconcile.watched.get_mut(asset) {
                watched.next_image_mono_ms = mono + watched.pause_ms;
                watched.pause_ms = (watched.pause_ms * 2).min(BALANCE_PAUSE_MS_MAX);
                wanted = true;
            }
        }
        if wanted {
            // The second witness, should the stream of balances stay silent.
            self.start_look(LookKind::Balances, RestUse::Steady);
        }
        if mono >= self.reconcile.next_doubt_mono_ms && self.is_image_needed() {
            self.reconcile.next_doubt_mono_ms = mono + DOUBT_PAUSE_MS;
            wanted = true;
        }
        if wanted {
            self.orders.ask_images();
        }
        Ok(())
    }
}
