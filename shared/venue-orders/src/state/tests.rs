//! What is admitted, paused, learnt and kept.

use super::*;
use penstock_types::UtcMicros;
use penstock_venues::kraken::error_table::judge;

fn at(ms: i64) -> Stamp {
    Stamp { wall: UtcMicros(1_771_243_200_000_000 + ms * 1_000), mono_ns: ms * 1_000_000 }
}

/// A call that was answered at once.
fn read(state: &mut VenueState, cost: u32, usage: RestUse, ms: i64) -> Result<u64, NotSent> {
    let admitted = state.admit_rest(cost, usage, at(ms));
    state.rest_settled(ms);
    admitted
}

fn warm() -> VenueState {
    let mut state = VenueState::cold(Tier::Intermediate, at(-1_000_000));
    state.nonce = Nonce::start(None, 1);
    state
}

#[test]
fn refusals_count_until_a_request_of_their_way_is_accepted() {
    let mut state = warm();
    assert_eq!(state.standing(0), Standing::default());
    state.learn(judge("EAPI:Invalid nonce"), None, at(0));
    state.learn(judge("EService:Deadline elapsed"), Some("BTC/USD"), at(0));
    assert_eq!(state.standing(0).timestamp_rejects, 1, "one on each way");
    state.learn(judge("EService:Deadline elapsed"), Some("BTC/USD"), at(0));
    state.accepted(Way::Rest);
    assert_eq!(state.standing(0).timestamp_rejects, 2, "the socket's stand");
    state.accepted(Way::Socket);
    assert_eq!(state.standing(0).timestamp_rejects, 0);
    // one that the repetition settled before anybody looked is seen, once
    state.learn(judge("EAPI:Invalid nonce"), None, at(0));
    state.accepted(Way::Rest);
    assert_eq!([(); 2].map(|()| state.standing(0).timestamp_rejects), [1, 0]);
    state.learn(judge("EGeneral:Permission denied"), None, at(0));
    assert!(state.standing(0).key_refused);
    state.accepted(Way::Rest);
    assert!(!state.standing(0).key_refused);
}

#[test]
fn a_throttle_and_a_lockout_are_told_until_they_end() {
    let mut state = warm();
    state.learn(judge("EAPI:Rate limit exceeded"), None, at(0));
    let told = |state: &mut VenueState, ms| {
        let Standing { throttled, locked_out, .. } = state.standing(ms);
        (throttled, locked_out)
    };
    assert_eq!(told(&mut state, REST_PAUSE_MS - 1), (true, false));
    assert_eq!(told(&mut state, REST_PAUSE_MS), (false, false));
    state.learn(judge("EOrder:Rate limit exceeded"), Some("BTC/USD"), at(0));
    assert_eq!(told(&mut state, REST_PAUSE_MS), (false, false), "a pair is no account");
    state.learn(judge("EGeneral:Temporary lockout"), None, at(0));
    assert_eq!(told(&mut state, LOCKOUT_MS - 1), (false, true));
    assert_eq!(told(&mut state, LOCKOUT_MS), (false, false));
}

#[test]
fn without_memory_only_cancels_and_protection_leave() {
    let mut state = VenueState::cold(Tier::Intermediate, at(0));
    let entry = state.admit_order("BTC/USD", EngineCall::Add, EngineUse::Entry, 9_999);
    assert_eq!(entry, Err(NotSent::ColdStart { wait_ms: 1 }));
    let cancel = EngineCall::Cancel { age_ms: 0 };
    assert_eq!(state.admit_order("BTC/USD", cancel, EngineUse::Entry, 0), Ok(()));
    let stop = state.admit_order("BTC/USD", EngineCall::Add, EngineUse::Protective, 0);
    assert_eq!(stop, Ok(()));
    // Afterwards the counters still have to come down from the ceiling.
    let entry = state.admit_order("BTC/USD", EngineCall::Add, EngineUse::Entry, 10_000);
    assert!(matches!(entry, Err(NotSent::Budget { .. })), "{entry:?}");
}

#[test]
fn a_refused_pair_rests_until_half_and_protection_does_not() {
    let mut state = warm();
    let judgement = judge("EOrder:Rate limit exceeded");
    assert!(state.learn(judgement, Some("BTC/USD"), at(0)));
    let entry = |state: &mut VenueState, now_ms| {
        state.admit_order("BTC/USD", EngineCall::Add, EngineUse::Entry, now_ms)
    };
    assert!(matches!(entry(&mut state, 0), Err(NotSent::Paused { .. })));
    assert!(matches!(entry(&mut state, 26_000), Err(NotSent::Paused { .. })));
    assert_eq!(entry(&mut state, 27_000), Ok(()));
    assert!(state.learn(judgement, Some("BTC/USD"), at(30_000)));
    let stop = state.admit_order("BTC/USD", EngineCall::Add, EngineUse::Protective, 31_000);
    assert_eq!(stop, Ok(()));
}

#[test]
fn a_refused_rest_counter_pauses_ten_seconds_and_then_costs_double() {
    let mut state = warm();
    assert!(state.learn(judge("EAPI:Rate limit exceeded"), None, at(0)));
    let refused = read(&mut state, 1, RestUse::Reserved, 9_999);
    assert!(matches!(refused, Err(NotSent::Paused { wait_ms: 1, .. })));
    assert!(read(&mut state, 1, RestUse::Reserved, 10_000).is_ok());
    let value = state.rest().counter().value(10_000);
    assert!((value - 17.0).abs() < 1e-6, "{value}");
}

#[test]
fn calls_that_belong_together_ask_for_room_first() {
    let mut state = warm();
    for _ in 0..10 {
        read(&mut state, 1, RestUse::Steady, 0).unwrap();
    }
    assert_eq!(state.rest_room_in_ms(6, RestUse::Reserved, 0), 0);
    assert_eq!(
        state.rest_room_in_ms(6, RestUse::Steady, 0),
        8_000,
        "10 + 6 of 12, half a point a second"
    );
    assert_eq!(state.rest_room_in_ms(6, RestUse::Steady, 8_001), 0);
    state.learn(judge("EAPI:Rate limit exceeded"), None, at(8_000));
    assert!(state.rest_room_in_ms(1, RestUse::Reserved, 8_000) >= 10_000, "the pause, too");
}

#[test]
fn lockouts_and_throttles_are_waited_for() {
    let mut state = warm();
    state.learn(judge("EService:Throttled:1771243205"), None, at(0));
    let got = state.admit_rest(1, RestUse::Reserved, at(0));
    assert!(matches!(got, Err(NotSent::Paused { wait_ms: 5_000, .. })), "{got:?}");
    state.learn(judge(&format!("EService:Throttled:{}", i64::MIN)), None, at(0));
    assert!(state.admit_rest(1, RestUse::Reserved, at(0)).is_ok(), "a time long ago");
    state.learn(judge("EGeneral:Temporary lockout"), None, at(0));
    for usage in [EngineUse::Entry, EngineUse::Repeg] {
        let got = state.admit_order("X/Y", EngineCall::Add, usage, 1);
        assert!(matches!(got, Err(NotSent::Paused { wait_ms: 899_999, .. })), "{got:?}");
    }
    let got = state.admit_rest(1, RestUse::Reserved, at(1));
    assert!(matches!(got, Err(NotSent::Paused { wait_ms: 899_999, .. })), "{got:?}");
    // An open socket is no signed call: what protects goes on, whatever the counter says.
    state.pair_count_reported("X/Y", 1_000.0, 1);
    for call in [EngineCall::Add, EngineCall::Amend { age_ms: 0 }, EngineCall::Cancel { age_ms: 0 }]
    {
        assert_eq!(state.admit_order("X/Y", call, EngineUse::Protective, 1), Ok(()));
    }
    let cancel = EngineCall::Cancel { age_ms: 0 };
    assert_eq!(state.admit_order("X/Y", cancel, EngineUse::Entry, 1), Ok(()));
}

#[test]
fn what_is_kept_comes_back_decayed() {
    let mut state = warm();
    for _ in 0..10 {
        read(&mut state, 1, RestUse::Reserved, 0).unwrap();
    }
    state.pair_count_reported("BTC/USD", 100.0, 0);
    state.learn(judge("EGeneral:Temporary lockout"), None, at(0));
    let kept = state.kept("host", at(0));
    let text = serde_json::to_string(&kept).unwrap();
    let kept: Kept = serde_json::from_str(&text).unwrap();
    let mut later = at(10_000);
    later.mono_ns = 7_000_000;
    let mut back = VenueState::restored(&kept, Tier::Intermediate, later);
    assert!((back.rest().counter().value(7) - 5.0).abs() < 0.01);
    assert!((back.engine().counter("BTC/USD").value(7) - 76.6).abs() < 0.01);
    let got = back.admit_rest(1, RestUse::Reserved, later);
    assert!(matches!(got, Err(NotSent::Paused { wait_ms: 890_000, .. })), "{got:?}");
    assert!(!back.is_cold(7));
    assert!(back.nonce.next(0) > kept.nonce);
}

#[test]
fn half_the_rate_after_a_refusal_outlives_the_process() {
    let mut state = warm();
    state.learn(judge("EAPI:Rate limit exceeded"), None, at(0));
    let kept = state.kept("host", at(1_000));
    let text = serde_json::to_string(&kept).unwrap();
    let end_ms = REST_PAUSE_MS + REST_HALF_RATE_MS;
    let cost_at = |ms: i64| {
        let mut back =
            VenueState::restored(&serde_json::from_str(&text).unwrap(), Tier::Intermediate, at(ms));
        let before = back.rest().counter().value(ms);
        read(&mut back, 1, RestUse::Reserved, ms).unwrap();
        back.rest().counter().value(ms) - before
    };
    assert!((cost_at(end_ms - 1) - 2.0).abs() < 1e-6);
    assert!((cost_at(end_ms) - 1.0).abs() < 1e-6);
    // A file of before knows nothing of it.
    let old = text.replace(&format!(",\"half_rate_until\":{}", at(end_ms).wall.millis()), "");
    assert_ne!(old, text);
    let back: Kept = serde_json::from_str(&old).unwrap();
    assert_eq!(back.half_rate_until, None);
}

#[test]
fn a_clock_that_was_set_back_makes_no_wait_longer_than_it_was() {
    let mut state = warm();
    state.learn(judge("EGeneral:Temporary lockout"), None, at(0));
    state.learn(judge("EAPI:Rate limit exceeded"), None, at(0));
    let kept = state.kept("host", at(0));
    let hour_before = -3_600_000;
    let mut back = VenueState::restored(&kept, Tier::Intermediate, at(hour_before));
    let got = back.admit_rest(1, RestUse::Reserved, at(hour_before));
    assert!(matches!(got, Err(NotSent::Paused { wait_ms: LOCKOUT_MS, .. })), "{got:?}");
}

#[test]
fn the_venue_s_tier_rules_both_counters() {
    let mut state = VenueState::cold(Tier::Pro, at(0));
    state.set_tier(60.0, 0);
    assert!((state.rest().counter().ceiling() - 15.0).abs() < 1e-9);
    assert!((state.engine().counter("X/Y").ceiling() - 60.0).abs() < 1e-9);
}
