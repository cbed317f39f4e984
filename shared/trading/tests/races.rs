//! The races R1 to R12, each a shortest trace on the pure machines with a small venue: one symbol, holds,
//! reports that are late or lost, two processes.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use penstock_trading::absence::{AbsenceInput, ImageSeen, is_proven};
use penstock_trading::exit::closing::{self, ClosingAction, ClosingInput, OrderView};
use penstock_trading::exit::market::{CloseForm, Market};
use penstock_trading::ledger::difference::{self, Difference, DifferenceInput, View};
use penstock_trading::ledger::{FillTerms, Head, book_fill};
use penstock_trading::order::{Effect, Facts, OrderEvent, step};
use penstock_trading::protection::{ProtectAction, ProtectInput, StopView, next};
use penstock_trading::standby::{StandbyRow, may_send_cut_off, waits_for_parent};
use penstock_types::vocab::{OrderState, Side};
use penstock_types::{Decimal, UtcMicros};

/// In a build with `rule-off` the rule of the environment is switched off: the test of its race must then fail.
fn begin() {
    #[cfg(feature = "rule-off")]
    if let Ok(word) = std::env::var("PENSTOCK_RULE_OFF") {
        penstock_trading::rules::switch_off(penstock_trading::rules::Rule::parse(&word).unwrap());
    }
}

fn d(value: i64) -> Decimal {
    Decimal::from(value)
}

/// The venue: base, and sell orders that hold it.
#[derive(Default)]
struct Venue {
    base: Decimal,
    sells: Vec<(Decimal, bool)>,
}

impl Venue {
    fn held(&self) -> Decimal {
        self.sells.iter().filter(|(_, live)| *live).map(|(qty, _)| *qty).sum()
    }

    /// Takes a sell when the free base funds it.
    fn sell(&mut self, qty: Decimal) -> Result<usize, &'static str> {
        if self.base - self.held() < qty {
            return Err("EOrder:Insufficient funds");
        }
        self.sells.push((qty, true));
        Ok(self.sells.len() - 1)
    }

    fn cancel(&mut self, at: usize) {
        self.sells[at].1 = false;
    }

    fn execute(&mut self, at: usize) {
        self.base -= self.sells[at].0;
        self.sells[at].1 = false;
    }
}

/// One order of ours under the machine.
struct Ours {
    state: OrderState,
    qty: Decimal,
    cum: Decimal,
    venue_id: bool,
}

impl Ours {
    const fn new(state: OrderState, qty: Decimal) -> Self {
        Self { state, qty, cum: Decimal::ZERO, venue_id: false }
    }

    fn facts(&self, venue_cum: Decimal, adoptable: bool) -> Facts {
        Facts {
            has_fills: self.cum > Decimal::ZERO,
            complete: self.cum >= self.qty && self.cum > Decimal::ZERO,
            booked_all: venue_cum <= self.cum,
            venue_id_known: self.venue_id,
            adoptable,
        }
    }

    fn on(&mut self, event: OrderEvent, venue_cum: Decimal) -> &'static [Effect] {
        let next = step(self.state, event, self.facts(venue_cum, false)).unwrap();
        self.state = next.to;
        self.venue_id |= next.effects.contains(&Effect::StoreVenueId);
        next.effects
    }

    fn fill(&mut self, qty: Decimal) {
        self.cum += qty;
        self.on(OrderEvent::Fill, self.cum);
    }
}

fn buy(head: &Head, qty: i64) -> Head {
    let terms = FillTerms {
        side: Side::Buy,
        price: d(100),
        qty: d(qty),
        fee_quote: Decimal::ZERO,
        fee_base: Decimal::ZERO,
    };
    book_fill(head, &terms).unwrap().head
}

fn closing_of(stop: OrderView, entry: OrderView, base: i64, available: i64) -> ClosingInput {
    ClosingInput {
        stop,
        close: OrderView::Gone,
        entry,
        urgent: false,
        close_rests: false,
        maker_wanted: false,
        base: d(base),
        available: d(available),
        min_qty: d(1),
        lot: d(1),
        attempts: 0,
        since_decided_ms: 0,
        since_cancel_ms: 0,
        since_close_ms: 0,
        since_short_ms: 0,
        maker_rest_ms: 10_000,
        maker_void: false,
        market: Market::Online,
        refusals: 0,
        since_refusal_ms: 0,
    }
}

fn stop_of(order: OrderView, qty: i64, cum: i64, trigger: i64) -> StopView {
    StopView { order, qty: d(qty), cum_qty: d(cum), trigger: d(trigger), mutation_open: false }
}

fn protect(stop: StopView, base: i64, sl: i64) -> ProtectInput {
    ProtectInput {
        stop,
        base: d(base),
        sl_price: d(sl),
        min_qty: d(1),
        lot: d(1),
        amend_refusals: 0,
        since_amend_refusal_ms: None,
        ceiling: Some(d(1_000_000)),
        market: Market::Online,
        failures: 0,
        since_failure_ms: 0,
        since_fence_ms: 60_000,
        stop_is_inherited: false,
    }
}

#[test]
fn r1_balance_before_trade() {
    begin();
    // given a live entry that fills, and a balance that is here before its trade
    let mut entry = Ours::new(OrderState::AckedOpen, d(1));
    let mut head = Head::default();
    let seen = |amount, as_of_ms| View { amount: d(amount), as_of_ms };
    let mut view = DifferenceInput {
        first: seen(1, 0),
        last: seen(1, 0),
        ledger: head.base,
        tolerance: Decimal::ZERO,
        last_trade_ms: None,
        orders_seen_ms: None,
        queue_empty: true,
        unproven: false,
        booked_all: true,
    };
    assert_eq!(difference::judge(&view), Difference::Watch);
    // however often it is seen: the orders were last seen before it, and may hide the trade
    (view.last, view.orders_seen_ms) = (seen(1, 60_000), Some(0));
    assert_eq!(difference::judge(&view), Difference::Watch);
    // while its order is unproven, or the venue counts a trade that is not booked, nothing is corrected
    view.orders_seen_ms = Some(60_000);
    view.unproven = true;
    assert_eq!(difference::judge(&view), Difference::Watch);
    (view.unproven, view.booked_all) = (false, false);
    assert_eq!(difference::judge(&view), Difference::Watch);
    // when the trade comes, it explains the balance: one base, not two
    entry.fill(d(1));
    head = buy(&head, 1);
    (view.ledger, view.booked_all, view.last_trade_ms) = (head.base, true, Some(60_000));
    assert_eq!(difference::judge(&view), Difference::None);
    // a balance older than that trade never corrects
    (view.first, view.last, view.orders_seen_ms) = (seen(0, 0), seen(0, 120_000), Some(120_000));
    assert_eq!(difference::judge(&view), Difference::Watch);
    view.first = seen(0, 61_000);
    assert_eq!(difference::judge(&view), Difference::Correct(d(-1)));
}

#[test]
fn r2_false_dust() {
    begin();
    // given one of two filled, the stop authorised and never sent, the balance not seen yet
    let mut view = closing_of(OrderView::Gone, OrderView::Gone, 1, 0);
    for (short_ms, wanted) in [
        (0, ClosingAction::Wait),
        (1_999, ClosingAction::Wait),
        (2_000, ClosingAction::ReadBalance),
        (4_000, ClosingAction::RearmStop),
    ] {
        view.since_short_ms = short_ms;
        assert_eq!(closing::next(&view), wanted, "never dust, never sold blindly");
    }
    view.available = d(1);
    view.since_short_ms = 0;
    assert_eq!(closing::next(&view), ClosingAction::Submit { qty: d(1), form: CloseForm::Market });
}

#[test]
fn r3_close_meets_entry() {
    begin();
    // given a resting entry, partly filled, and a close
    let mut venue = Venue { base: d(1), sells: Vec::new() };
    let stop = venue.sell(d(1)).unwrap();
    let mut view = closing_of(OrderView::Live, OrderView::Live, 1, 0);
    let mut seen = Vec::new();
    // when the sequence runs
    for _ in 0..8 {
        let action = closing::next(&view);
        seen.push(action);
        match action {
            ClosingAction::CancelEntry => view.entry = OrderView::Canceling,
            ClosingAction::CancelStop => {
                venue.cancel(stop);
                view.stop = OrderView::Gone;
                view.available = venue.base - venue.held();
            }
            // the entry's end is reported
            ClosingAction::Wait => view.entry = OrderView::Gone,
            ClosingAction::Submit { qty, .. } => {
                assert_eq!(view.entry, OrderView::Gone, "our own bid is gone before we sell");
                let close = venue.sell(qty).unwrap();
                venue.execute(close);
                view.base = venue.base;
            }
            other => panic!("{other:?}"),
        }
        if view.base.is_zero() {
            break;
        }
    }
    // then entry, stop, wait, sale, in this order
    assert_eq!(
        seen[..3],
        [ClosingAction::CancelEntry, ClosingAction::CancelStop, ClosingAction::Wait]
    );
    assert_eq!(closing::next(&view), ClosingAction::Done);
    assert_eq!(venue.base, Decimal::ZERO);
    // and a fill of that bid which is reported only now is base again, and gets a stop of its own
    let mut entry = Ours::new(OrderState::Canceled, d(2));
    (entry.cum, venue.base) = (d(1), d(1));
    entry.fill(d(1));
    assert_eq!(entry.state, OrderState::Filled);
    let late = protect(StopView::NONE, 1, 99);
    assert_eq!(next(&late), ProtectAction::Place { qty: d(1), trigger: d(99) });
    assert!(venue.sell(d(1)).is_ok());
}

#[test]
fn r4_standby_match_before_its_fill() {
    begin();
    // given a standby stop that went out without a write, and a snapshot with it and its entry's trade
    let mut stop = Ours::new(OrderState::Created, d(1));
    let refused = step(stop.state, OrderEvent::LiveReport, stop.facts(Decimal::ZERO, false));
    assert!(refused.is_err(), "a row in stock is not live before it is known to have been sent");
    let mut row = StandbyRow { state: stop.state, has_position: false, has_parent: true };
    assert!(
        waits_for_parent(&row),
        "its entry's trade first: without a position it protects nothing"
    );
    // when the entry's trade is booked first, then the stop is taken as sent and live
    let mut entry = Ours::new(OrderState::ReconcileRequired, d(1));
    entry.fill(d(1));
    let head = buy(&Head::default(), 1);
    row.has_position = true;
    assert!(!waits_for_parent(&row));
    stop.on(OrderEvent::PreauthSent, Decimal::ZERO);
    stop.on(OrderEvent::LiveReport, Decimal::ZERO);
    // then it covers the position, and nothing is placed
    assert_eq!(stop.state, OrderState::AckedOpen);
    assert_eq!(head.base, d(1));
    let view = protect(stop_of(OrderView::Live, 1, 0, 99), 1, 99);
    assert_eq!(next(&view), ProtectAction::Wait);
}

#[test]
fn r5_half_a_stop() {
    begin();
    // given a stop that was sent for one while its row says two, the base being two
    let mut stop = Ours::new(OrderState::Created, d(2));
    stop.on(OrderEvent::PreauthSent, Decimal::ZERO);
    let effects = stop.on(OrderEvent::LiveReport, Decimal::ZERO);
    assert!(effects.contains(&Effect::RefreshTerms), "quantity and trigger are the venue's");
    // then the rest of the base is amended in, over what is there
    let view = protect(stop_of(OrderView::Live, 1, 0, 99), 2, 99);
    assert_eq!(next(&view), ProtectAction::Amend { qty: Some(d(2)), trigger: None });
}

#[test]
fn r6_resurrected_stop() {
    begin();
    // given a superseded row whose stop arrives after all
    let old = Ours::new(OrderState::Error, d(1));
    let beside = step(old.state, OrderEvent::LiveReport, old.facts(Decimal::ZERO, false)).unwrap();
    // beside a living successor it is cancelled at once
    assert_eq!(beside.to, OrderState::PendingCancel);
    assert!(beside.effects.contains(&Effect::CancelAtOnce));
    assert!(beside.effects.contains(&Effect::AlertCritical));
    // over bare base it is the protection
    let alone = step(old.state, OrderEvent::LiveReport, old.facts(Decimal::ZERO, true)).unwrap();
    assert_eq!(alone.to, OrderState::AckedOpen);
    assert!(!alone.effects.contains(&Effect::CancelAtOnce));
}

#[test]
fn r7_fill_in_the_wrong_state() {
    begin();
    // given a predecessor's entry that fills while its row is not confirmed
    let mut entry = Ours::new(OrderState::ReconcileRequired, d(2));
    entry.fill(d(1));
    let head = buy(&Head::default(), 1);
    assert_eq!(entry.state, OrderState::ReconcileRequired, "it stays until it is confirmed");
    assert_eq!(head.base, d(1), "the fill is booked all the same");
    entry.on(OrderEvent::LiveReport, d(1));
    assert_eq!(entry.state, OrderState::PartiallyFilled);
}

#[test]
fn r8_terminal_before_its_trades() {
    begin();
    let mut entry = Ours::new(OrderState::AckedOpen, d(2));
    let effects = entry.on(OrderEvent::VenueCanceled, d(1));
    assert_eq!(entry.state, OrderState::ReconcileRequired);
    assert!(effects.contains(&Effect::FetchTrades));
    assert!(!effects.contains(&Effect::CloseStandby), "its stop may be needed");
    entry.fill(d(1));
    entry.on(OrderEvent::VenueCanceled, d(1));
    assert_eq!(entry.state, OrderState::Canceled);
}

#[test]
fn r9_late_amend() {
    begin();
    // given a raise whose answer is missing
    let mut stop = stop_of(OrderView::Live, 1, 0, 1);
    stop.mutation_open = true;
    let mut view = protect(stop, 1, 3);
    assert_eq!(next(&view), ProtectAction::Wait, "no second amend while the first may arrive");
    // when it is resolved and the first arrived last, the lower trigger is raised at once
    view.stop.mutation_open = false;
    view.stop.trigger = d(2);
    assert_eq!(next(&view), ProtectAction::Amend { qty: None, trigger: Some(d(3)) });
    // and a successor leaves a stop alone as long as an amend of its predecessor may arrive
    view.stop_is_inherited = true;
    view.since_fence_ms = 3_999;
    assert_eq!(next(&view), ProtectAction::Wait);
}

#[test]
fn r10_amend_of_an_executing_stop() {
    begin();
    // given a stop of two that triggered and sold one
    let triggered = protect(stop_of(OrderView::Triggered, 2, 1, 99), 1, 99);
    assert_eq!(next(&triggered), ProtectAction::Wait, "a triggered stop is never amended");
    // and one whose trigger nobody reported: what it sold counts into its quantity
    let silent = protect(stop_of(OrderView::Live, 2, 1, 99), 1, 99);
    assert_eq!(next(&silent), ProtectAction::Wait, "1 sold + 1 held = 2 ordered");
    let grown = protect(stop_of(OrderView::Live, 2, 1, 99), 2, 99);
    assert_eq!(next(&grown), ProtectAction::Amend { qty: Some(d(3)), trigger: None });
}

#[test]
fn r11_unproven_stop_bars_the_next() {
    begin();
    // given a stop that was authorised before a kill
    let mut stop = Ours::new(OrderState::PendingSubmit, d(1));
    stop.on(OrderEvent::Unverified, Decimal::ZERO);
    let doubtful = protect(stop_of(OrderView::Doubtful, 1, 0, 99), 1, 99);
    assert_eq!(next(&doubtful), ProtectAction::LookUp, "the next waits for the proof");
    // when an image proves it absent, the next goes out: REST would let the base stand bare for its whole lag
    let at = UtcMicros::from_millis;
    let image = Some(ImageSeen { asked: at(7_000), reaches_back: true });
    let seen = AbsenceInput {
        reduces: true,
        deadline: at(5_000),
        image,
        look_started: None,
        grace_ms: 90_000,
    };
    assert!(is_proven(&seen));
    assert!(!is_proven(&AbsenceInput { reduces: false, ..seen }), "an entry waits for both proofs");
    stop.on(OrderEvent::ProvenAbsent, Decimal::ZERO);
    assert_eq!(stop.state, OrderState::LostOrRejected);
    let bare = protect(StopView::NONE, 1, 99);
    assert_eq!(next(&bare), ProtectAction::Place { qty: d(1), trigger: d(99) });
}

#[test]
fn r12_cut_off_still_protecting() {
    begin();
    // given a fill, a predecessor that sends its stop without its cluster, and a successor with the fence:
    // whichever stop comes first, and whether or not the successor has closed the predecessor's row by then
    for (theirs_first, superseded) in [(true, false), (true, true), (false, false), (false, true)] {
        let mut venue = Venue { base: d(2), sells: Vec::new() };
        let bare = protect(StopView::NONE, 2, 99);
        let ProtectAction::Place { qty, .. } = next(&bare) else { panic!("the base is bare") };
        assert_eq!(qty, d(2), "both want to cover all of it");
        let first = venue.sell(qty).unwrap();
        // one of them is cut off from its rows alone, and sends what stands by all the same
        assert!(
            may_send_cut_off(true, 60_000, 300_000) && !may_send_cut_off(true, 300_001, 300_000)
        );
        // the balance at the venue caps the sum of sells: the worst case is a refused order
        assert_eq!(venue.sell(qty), Err("EOrder:Insufficient funds"));
        let mut mine = Ours::new(OrderState::PendingSubmit, qty);
        if theirs_first {
            mine.on(OrderEvent::Refused, Decimal::ZERO);
            assert_eq!(mine.state, OrderState::Rejected);
            // until the report comes, the next try waits its turn and is refused like the first
            let refused = ProtectInput { failures: 1, since_failure_ms: 249, ..bare };
            assert_eq!(next(&refused), ProtectAction::Wait);
            let again = ProtectInput { since_failure_ms: 250, ..refused };
            assert_eq!(next(&again), ProtectAction::Place { qty, trigger: d(99) });
            assert!(venue.sell(qty).is_err());
            adopt(superseded, qty);
        } else {
            mine.on(OrderEvent::Acked, Decimal::ZERO);
            mine.on(OrderEvent::LiveReport, Decimal::ZERO);
            assert_eq!(mine.state, OrderState::AckedOpen);
        }
        // then one stop covers the base, nothing is placed or amended, and nothing is sold twice
        assert_eq!(venue.held(), venue.base);
        assert_eq!(next(&protect(stop_of(OrderView::Live, 2, 0, 99), 2, 99)), ProtectAction::Wait);
        venue.execute(first);
        assert_eq!(venue.base, Decimal::ZERO);
        assert!(venue.sell(d(1)).is_err());
        assert_eq!(next(&protect(StopView::NONE, 0, 99)), ProtectAction::BelowMinimum);
    }
}

/// The predecessor's stop becomes known: from its row in stock, or from one that was closed already.
fn adopt(superseded: bool, qty: Decimal) {
    let mut theirs = Ours::new(OrderState::Created, qty);
    if superseded {
        theirs.on(OrderEvent::StandbyClosed, Decimal::ZERO);
        let facts = theirs.facts(Decimal::ZERO, true);
        let alive = step(theirs.state, OrderEvent::LiveReport, facts).unwrap();
        assert!(!alive.effects.contains(&Effect::CancelAtOnce), "it is all that protects");
        theirs.state = alive.to;
    } else {
        theirs.on(OrderEvent::PreauthSent, Decimal::ZERO);
        theirs.on(OrderEvent::LiveReport, Decimal::ZERO);
    }
    assert_eq!(theirs.state, OrderState::AckedOpen);
}
