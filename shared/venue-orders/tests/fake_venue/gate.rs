//! The gate: nothing leaves that it does not let out, not even what the libraries would send by themselves.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use crate::fake::{DEADLINE, gated_client, warm_state, warm_state_with};
use crate::orders::{Rig, order};
use penstock_venue_orders::{
    Clock, DisconnectReason, EngineUse, NotSent, OrderOutcome, PrivateEvent, RestOutcome, SendGate,
    Sending, Shut, Stamp, SystemClock,
};
use penstock_venues::kraken::rates::RestUse;
use penstock_venues::kraken::request::OrderRef;
use penstock_venues::kraken::rest::PrivateRequest;

/// A gate in the hand of the test, which remembers what it was asked.
#[derive(Default)]
struct Door {
    shut: AtomicBool,
    entries_shut: AtomicBool,
    asked: Mutex<Vec<Sending>>,
}

impl SendGate for Door {
    fn judge(&self, what: Sending) -> Result<(), Shut> {
        self.asked.lock().unwrap().push(what);
        let entries = what == Sending::Entry && self.entries_shut.load(Ordering::SeqCst);
        if self.shut.load(Ordering::SeqCst) || entries {
            return Err(Shut("by the test".to_owned()));
        }
        Ok(())
    }
}

async fn behind(door: &Arc<Door>) -> Rig {
    let gate: Arc<dyn SendGate> = door.clone();
    Rig::made(64, |_| {}, |rest, state| gated_client(rest, state, gate), warm_state).await
}

#[tokio::test]
async fn a_shut_gate_lets_no_byte_out_and_an_opened_one_everything() {
    // given a whole connection whose next ping is half a minute away
    let door = Arc::new(Door::default());
    let mut rig = behind(&door).await;
    let mut venue = rig.socket.subscribed().await;
    rig.wait_whole().await;
    venue.pinged().await;

    // when the gate is shut and the venue pings
    door.shut.store(true, Ordering::SeqCst);
    let calls = rig.rest.seen.lock().unwrap().len();
    let bytes = venue.provoke().await;

    // then neither an answer nor a goodbye left, and the reason is told
    assert!(bytes.is_empty(), "{bytes:?}");
    let lost = rig.event(|e| matches!(e, PrivateEvent::Disconnected { .. })).await;
    let PrivateEvent::Disconnected { reason, .. } = lost else { unreachable!() };
    assert_eq!(reason, DisconnectReason::Shut(Shut("by the test".to_owned())));
    // nor do orders, reads and a new connection
    let orders = rig.orders();
    let outcomes = [
        orders.add_order(&order(None), EngineUse::Protective).await.outcome,
        orders.cancel_order(OrderRef::OrderId("O"), "BTC/USD", 0).await.outcome,
        orders.cancel_all().await.outcome,
    ];
    for outcome in outcomes {
        let OrderOutcome::NotSent(reason) = outcome else { panic!("{outcome:?}") };
        assert!(matches!(reason, NotSent::NotConnected | NotSent::Shut(_)), "{reason:?}");
    }
    let counter = |rig: &Rig| rig.calls.state().lock().rest().counter().value(i64::MAX / 2);
    let before = counter(&rig);
    let read = rig.calls.call(&PrivateRequest::BalanceEx, RestUse::Reserved).await;
    assert!(matches!(read, RestOutcome::NotSent(NotSent::Shut(_))), "{read:?}");
    assert!((counter(&rig) - before).abs() < f64::EPSILON, "what does not leave costs nothing");
    let failed = rig.event(|e| matches!(e, PrivateEvent::ConnectFailed { .. })).await;
    let PrivateEvent::ConnectFailed { error, .. } = failed else { unreachable!() };
    assert!(error.contains("by the test"), "{error}");
    assert_eq!(rig.rest.seen.lock().unwrap().len(), calls);

    // and when it is opened, everything comes back by itself
    door.shut.store(false, Ordering::SeqCst);
    let _venue = rig.socket.subscribed().await;
    rig.wait_whole().await;
    assert_eq!(rig.rest.seen.lock().unwrap().len(), calls + 1, "one token");
}

#[tokio::test]
async fn a_gate_that_is_shut_for_entries_lets_protection_out() {
    let door = Arc::new(Door::default());
    let rig = behind(&door).await;
    let mut venue = rig.socket.subscribed().await;
    rig.wait_whole().await;
    door.entries_shut.store(true, Ordering::SeqCst);
    for usage in [EngineUse::Entry, EngineUse::Repeg] {
        let answer = rig.orders().add_order(&order(None), usage).await;
        assert!(matches!(answer.outcome, OrderOutcome::NotSent(NotSent::Shut(_))), "{answer:?}");
        assert_eq!(answer.sent_at, None);
    }
    let orders = rig.orders();
    let stop = tokio::spawn(async move {
        let stop = orders.add_order(&order(None), EngineUse::Protective).await;
        let cancel = orders.cancel_order(OrderRef::OrderId("O"), "BTC/USD", 0).await;
        (stop, cancel)
    });
    let request = venue.request().await;
    assert_eq!(request["method"], "add_order");
    venue
        .say(&format!(
            r#"{{"method":"add_order","req_id":{},"success":true,"result":{{"order_id":"O"}}}}"#,
            request["req_id"]
        ))
        .await;
    assert_eq!(venue.request().await["method"], "cancel_order");
    drop(venue);
    assert!(matches!(stop.await.unwrap().0.outcome, OrderOutcome::Acked { .. }));
    let asked = door.asked.lock().unwrap();
    assert!(
        [Sending::Entry, Sending::Protective, Sending::Upkeep].iter().all(|s| asked.contains(s))
    );
}

/// A clock that the gate moves: between the queue and the write.
struct Late {
    clock: SystemClock,
    later_ms: AtomicI64,
    step_ms: AtomicI64,
}

impl Clock for Late {
    fn now(&self) -> Stamp {
        let Stamp { wall, mono_ns } = self.clock.now();
        let later_ms = self.later_ms.load(Ordering::SeqCst);
        Stamp { wall: wall.plus_millis(later_ms), mono_ns: mono_ns + later_ms * 1_000_000 }
    }
}

impl SendGate for Late {
    fn judge(&self, what: Sending) -> Result<(), Shut> {
        if what == Sending::Protective {
            let step_ms = self.step_ms.swap(0, Ordering::SeqCst);
            self.later_ms.fetch_add(step_ms, Ordering::SeqCst);
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_cancel_that_was_held_back_is_decided_anew() {
    // given a process that stands still between the request and its write
    let late = Arc::new(Late {
        clock: SystemClock::new(),
        later_ms: AtomicI64::new(0),
        step_ms: AtomicI64::new(0),
    });
    let (gate, clock): (Arc<dyn SendGate>, Arc<dyn Clock>) = (late.clone(), late.clone());
    let client = |rest: &_, state| gated_client(rest, state, gate);
    let rig = Rig::made(64, |_| {}, client, |dir| warm_state_with(dir, clock)).await;
    let mut venue = rig.socket.subscribed().await;
    rig.wait_whole().await;
    let cancel = |orders: penstock_venue_orders::OrderSocket| async move {
        orders.cancel_order(OrderRef::OrderId("O"), "BTC/USD", 0).await.outcome
    };

    // when that takes longer than two seconds, nothing is written
    late.step_ms.store(2_001, Ordering::SeqCst);
    let outcome = tokio::time::timeout(DEADLINE, cancel(rig.orders())).await.unwrap();
    let OrderOutcome::NotSent(NotSent::DeadlineTooClose { left_ms, .. }) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(left_ms < 0, "{left_ms}");

    // and the venue sees the next one only
    let next = tokio::spawn(cancel(rig.orders()));
    let request = venue.request().await;
    assert_eq!(
        (request["method"].as_str(), request["req_id"].as_u64()),
        (Some("cancel_order"), Some(2))
    );
    drop(venue);
    assert!(matches!(next.await.unwrap(), OrderOutcome::Unknown { .. }));
}
