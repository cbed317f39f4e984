//! An order in memory while its row cannot be written.
//!
//! Input: the committed order, then the same events in the same order that its row will take later.
//! Output: what is live and covered now. It moves by the one table of the order machine; an event that
//! the table refuses leaves it as it is, and the replay says so. Quantities follow the venue's running
//! total, so a trade that is told twice counts once. It deliberately knows neither prices of trades nor
//! fees: money is booked from the rows alone.

use penstock_types::Decimal;
use penstock_types::vocab::OrderState;

use super::event::{Facts, OrderEvent};
use super::step::step;

/// What a report says beside its event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Said {
    /// Quantity of the order at the venue.
    pub qty: Option<Decimal>,
    /// Executed quantity at the venue.
    pub cum_qty: Option<Decimal>,
    /// Trigger at the venue.
    pub trigger: Option<Decimal>,
}

/// The order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shadow {
    /// State.
    pub state: OrderState,
    /// Quantity.
    pub qty: Decimal,
    /// Executed quantity as the venue tells it.
    pub cum_qty: Decimal,
    /// Trigger of a stop.
    pub trigger: Option<Decimal>,
}

impl Shadow {
    /// One event. The terms of a live report and of a release are taken over; a report whose total is
    /// above ours is a fill, whatever its kind.
    pub fn take(&mut self, event: OrderEvent, said: Said) {
        if let Some(qty) = said.qty {
            self.qty = qty;
        }
        if said.trigger.is_some() {
            self.trigger = said.trigger;
        }
        self.cum_qty = said.cum_qty.map_or(self.cum_qty, |total| total.max(self.cum_qty));
        let facts = Facts {
            has_fills: self.cum_qty > Decimal::ZERO,
            complete: self.cum_qty >= self.qty && self.cum_qty > Decimal::ZERO,
            // What was executed is known here; only its booking waits.
            booked_all: true,
            venue_id_known: true,
            adoptable: false,
        };
        if let Ok(moved) = step(self.state, event, facts) {
            self.state = moved.to;
        }
    }

    /// Not executed yet.
    #[must_use]
    pub fn remaining(&self) -> Decimal {
        (self.qty - self.cum_qty).max(Decimal::ZERO)
    }

    /// Neither ended nor in stock.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        !self.state.is_terminal() && !matches!(self.state, OrderState::Created)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(state: OrderState, qty: i64) -> Shadow {
        Shadow { state, qty: Decimal::from(qty), cum_qty: Decimal::ZERO, trigger: None }
    }

    fn total(cum: i64) -> Said {
        Said { cum_qty: Some(Decimal::from(cum)), ..Said::default() }
    }

    #[test]
    fn a_fill_that_is_told_twice_counts_once() {
        let mut entry = of(OrderState::AckedOpen, 10);
        entry.take(OrderEvent::Fill, total(4));
        entry.take(OrderEvent::LiveReport, total(4));
        entry.take(OrderEvent::Fill, total(4));
        assert_eq!(entry.cum_qty, Decimal::from(4));
        assert_eq!(entry.state, OrderState::PartiallyFilled);
        entry.take(OrderEvent::Fill, total(10));
        assert_eq!(entry.state, OrderState::Filled);
        assert!(!entry.is_live());
    }

    #[test]
    fn a_standby_row_goes_out_is_acknowledged_and_amended() {
        let mut stop = of(OrderState::Created, 10);
        let terms =
            Said { qty: Some(Decimal::from(4)), trigger: Some(Decimal::ONE), cum_qty: None };
        stop.take(OrderEvent::PreauthSent, terms);
        stop.take(OrderEvent::Acked, Said::default());
        assert_eq!((stop.state, stop.qty), (OrderState::AckedOpen, Decimal::from(4)));
        stop.take(OrderEvent::LiveReport, Said { qty: Some(Decimal::from(7)), ..Said::default() });
        assert_eq!(stop.remaining(), Decimal::from(7));
    }

    #[test]
    fn what_the_table_refuses_changes_no_state() {
        let mut row = of(OrderState::Created, 10);
        row.take(OrderEvent::Acked, Said::default());
        assert_eq!(row.state, OrderState::Created);
    }

    proptest! {
        #[test]
        fn the_executed_quantity_never_falls(
            events in prop::collection::vec((0..OrderEvent::ALL.len(), 0_i64..20), 0..40),
        ) {
            let mut order = of(OrderState::AckedOpen, 10);
            let mut most = Decimal::ZERO;
            for (event, cum) in events {
                order.take(OrderEvent::ALL[event], total(cum));
                prop_assert!(order.cum_qty >= most);
                most = order.cum_qty;
            }
        }
    }
}
