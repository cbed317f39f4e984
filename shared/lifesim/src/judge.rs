//! The judge: what must hold at every moment, and what must hold at the end, against the venue's own account.
//!
//! Input: rows, venue, lives. Output: the first thing that must not be. It shares no code with the machines: quantities
//! are summed again from the venue's trades.

use std::collections::{BTreeMap, BTreeSet};

use penstock_trading::ledger::{LedgerKind, fold};
use penstock_types::Decimal;
use penstock_types::decimal::floor_to_step;
use penstock_types::vocab::{OrderState, PlanState};

use crate::book::LOT;
use crate::life::{Cx, Life};
use crate::rows::{Id, Role, Status};
use crate::venue::{CASH, Venue};

/// Base that is known stands without a stop at most this long, when nothing excuses it, ms.
const NAKED_MS_MAX: i64 = 10_000;

/// Its memory.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    excused: i64,
    naked: Option<i64>,
    pub(crate) quote_withdrawn: bool,
    /// A report was lost: without rows nothing finds out.
    pub(crate) blind: bool,
    pub(crate) transfers: Vec<Decimal>,
    adjusts_seen: usize,
}

impl Judge {
    /// What is bare until then has its reason.
    pub(crate) fn excuse(&mut self, until: i64) {
        self.excused = self.excused.max(until);
    }

    /// At every moment.
    pub(crate) fn look(&mut self, cx: &mut Cx, venue: &Venue, lives: &[Life]) {
        self.corrections(cx);
        let acting =
            lives.iter().filter(|life| life.paused <= cx.now).max_by_key(|life| life.token);
        let Some(life) = acting else {
            self.naked = None;
            return;
        };
        let known = match &life.outage {
            Some(_) => life.base_unwritten(),
            None => cx.db.open_position().map_or(Decimal::ZERO, |p| p.head.base),
        };
        let need = floor_to_step(known.min(venue.base()), LOT);
        // Without rows a stop grows at most to what its entry was for.
        let most = if life.outage.is_some() { LOT } else { need };
        let bare = need >= Decimal::ONE && venue.selling() < most;
        let without = life.outage.is_some() && (life.stock().is_none() || life.is_sale_in_doubt());
        self.blind &= life.outage.is_some() || cx.now < self.excused;
        let without = without || (life.outage.is_some() && self.blind);
        let helpless = !life.complete || life.conn.is_none() || without;
        if !bare || helpless || cx.now < self.excused.max(cx.net.hit_until) {
            self.naked = None;
            return;
        }
        let since = *self.naked.get_or_insert(cx.now);
        if cx.now - since > NAKED_MS_MAX {
            let sells = venue.selling();
            cx.broken(format!("{need} stood without a stop since {since} ms, {sells} is for sale"));
        }
    }

    /// Every correction is a transfer of the account.
    fn corrections(&mut self, cx: &mut Cx) {
        if cx.db.adjusts.len() == self.adjusts_seen {
            return;
        }
        self.adjusts_seen = cx.db.adjusts.len();
        let booked: Decimal = cx.db.adjusts.iter().sum();
        let mut sum = Decimal::ZERO;
        let explained = booked.is_zero()
            || self.transfers.iter().any(|amount| {
                sum += amount;
                sum == booked
            });
        if !explained {
            cx.broken(format!("a correction to {booked} that no transfer explains"));
        }
    }

    /// Nothing is under way or in doubt.
    pub(crate) fn settled(&self, cx: &Cx, lives: &[Life]) -> Result<(), String> {
        let [life] = lives else { return Err(format!("{} processes run at the end", lives.len())) };
        if !life.complete || life.outage.is_some() || life.conn.is_none() {
            return Err("the last process is not attached at the end".to_owned());
        }
        let doubtful = cx.db.rows.values().find(|row| {
            matches!(
                row.state,
                OrderState::PendingSubmit
                    | OrderState::SubmitUnknown
                    | OrderState::Suspect
                    | OrderState::ReconcileRequired
                    | OrderState::PendingCancel
            )
        });
        if let Some(row) = doubtful {
            return Err(format!("order {} is still {}", row.id, row.state));
        }
        for position in cx.db.positions.values() {
            let Some(plan) = position.plan else { continue };
            let settled = match position.status {
                Status::Closed => plan.state == PlanState::Closed,
                Status::Dust => plan.state == PlanState::DustHold,
                Status::Open => matches!(plan.state, PlanState::Armed | PlanState::Trailing),
            };
            let waits = plan.state == PlanState::Created && position.head.base < Decimal::ONE;
            if !settled && !waits {
                return Err(format!(
                    "the plan of position {} is still {}",
                    position.id, plan.state
                ));
            }
        }
        Ok(())
    }

    /// At the end.
    pub(crate) fn last(&self, cx: &Cx, venue: &Venue) -> Result<(), String> {
        orders(cx, venue)?;
        trades(cx, venue)?;
        ledgers(cx)?;
        money(cx, venue)?;
        protection(cx, venue)
    }
}

/// What rests at the venue is what our rows say, and nothing was accepted twice.
fn orders(cx: &Cx, venue: &Venue) -> Result<(), String> {
    let open: BTreeMap<Id, crate::venue::Report> =
        venue.open().filter_map(|r| Some((r.own?.0, r))).collect();
    for (id, report) in &open {
        let Some(row) = cx.db.rows.get(id) else { return Err(format!("order {id} has no row")) };
        if !row.is_live() {
            return Err(format!("order {id} rests at the venue and is {} here", row.state));
        }
        if row.qty != report.qty || row.cum != report.cum {
            return Err(format!(
                "order {id} is {} of {} here and {} of {} at the venue",
                row.cum, row.qty, report.cum, report.qty
            ));
        }
    }
    if let Some(row) = cx.db.rows.values().find(|r| r.is_live() && !open.contains_key(&r.id)) {
        return Err(format!(
            "order {} is {} here and does not rest at the venue",
            row.id, row.state
        ));
    }
    let mut accepted = BTreeSet::new();
    for order in venue.ex.account().orders() {
        let Some(own) = &order.cl_ord_id else { continue };
        if !accepted.insert(own.clone()) {
            return Err(format!("order {own} was accepted twice"));
        }
    }
    Ok(())
}

/// The booked trades are the venue's trades, each once.
fn trades(cx: &Cx, venue: &Venue) -> Result<(), String> {
    let theirs: BTreeSet<(Id, u64)> =
        venue.log.iter().filter_map(|r| Some((r.own?.0, r.trade?.exec))).collect();
    if let Some(lost) = theirs.difference(&cx.db.fills).next() {
        return Err(format!("trade {} of order {} is not booked", lost.1, lost.0));
    }
    if let Some(invented) = cx.db.fills.difference(&theirs).next() {
        return Err(format!("trade {} of order {} was invented", invented.1, invented.0));
    }
    Ok(())
}

/// Every head is the fold of its ledger.
fn ledgers(cx: &Cx) -> Result<(), String> {
    for position in cx.db.positions.values() {
        let folded =
            fold(&position.ledger).map_err(|error| format!("position {}: {error}", position.id))?;
        if folded != position.head {
            return Err(format!("position {} is not the fold of its ledger", position.id));
        }
    }
    Ok(())
}

/// Base and quote are the venue's to the last digit.
fn money(cx: &Cx, venue: &Venue) -> Result<(), String> {
    let base: Decimal = cx.db.positions.values().map(|p| p.head.base).sum();
    if base != venue.base() {
        return Err(format!("{base} base here, {} at the venue", venue.base()));
    }
    let mut cash = Decimal::from(CASH);
    for position in cx.db.positions.values() {
        let head = &position.head;
        cash += head.realized - head.cost - head.open_fees;
        let mut fees = Decimal::ZERO;
        for row in &position.ledger {
            if row.kind == LedgerKind::Adjust {
                // Base that came without a trade cost nothing, what left took its share along.
                cash += row.cost_after - row.cost_before + row.open_fees_after - fees;
            }
            fees = row.open_fees_after;
        }
    }
    if cash != venue.cash() && !cx.db.oversold {
        return Err(format!("{cash} quote here, {} at the venue", venue.cash()));
    }
    Ok(())
}

/// An open position has its one stop over all of it.
fn protection(cx: &Cx, venue: &Venue) -> Result<(), String> {
    let Some(position) = cx.db.open_position() else { return Ok(()) };
    let base = floor_to_step(position.head.base, LOT);
    if base < Decimal::ONE {
        return Ok(());
    }
    let stops: Vec<_> = venue.open().filter(|r| r.stop).collect();
    let left: Decimal = stops.iter().map(|r| r.qty - r.cum).sum();
    if stops.len() != 1 || left != base {
        return Err(format!("{} stops over {left} protect {base}", stops.len()));
    }
    let row = stops.first().and_then(|r| cx.db.rows.get(&r.own?.0));
    if row.is_none_or(|r| r.position != Some(position.id) || r.role != Role::Stop) {
        return Err(format!("the stop of position {} is not known as its own", position.id));
    }
    Ok(())
}
