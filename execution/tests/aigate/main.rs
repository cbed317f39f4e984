//! The AI gate against the simulated endpoint over real HTTP.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod matrix;
mod rig;
mod schema;

use matrix::ROWS;
use penstock_ai_gate::{Asking, Evaluation};
use penstock_audit::payload;
use penstock_contracts::ai::policy::{AiDec, Fate, Situation};
use penstock_contracts::fixtures;
use penstock_sim::ai::{Behaviour, Script, Step};
use penstock_types::vocab::{AuditEventType, ReasonCode};
use rig::{Rig, asked_is_whole};

/// Every way of being answered, under every setting: verdict, reason code, consequence, records.
#[tokio::test]
async fn failure_matrix() {
    for ai_dec in AiDec::ALL {
        let rig = Rig::new(*ai_dec, 0).await;
        for row in ROWS {
            let asked = rig.ask_once(row.behaviour, row.is_slow()).await;
            let word = row.behaviour.word();
            asked_is_whole(&asked, &rig.decision);
            if *ai_dec == AiDec::Off {
                assert!(!asked.result.enabled, "{word}");
                assert_eq!(asked.consequence.fate, Fate::Continues, "{word}");
                assert!(!asked.consequence.pause, "{word}");
                continue;
            }
            assert_eq!(asked.result.verdict, row.verdict, "{word}: {asked:?}");
            assert_eq!(asked.result.error_code, row.error_code, "{word}: {asked:?}");
            assert_eq!(asked.situation, row.situation, "{word}");
            assert_eq!(asked.consequence.fate, row.fate(), "{word}");
            let strict = *ai_dec == AiDec::Mandatory;
            assert_eq!(asked.consequence.pause, strict && row.pauses(), "{word}");
            assert_eq!(asked.consequence.crit_alert, strict && row.alerts(), "{word}");
            let reason = row.error_code.filter(|_| strict && row.pauses());
            assert_eq!(asked.pause_reason(), reason, "{word}");
            assert_eq!(asked.events.len(), 1, "{word}");
        }
        let counts = rig.sim.stop().await;
        let on = if *ai_dec == AiDec::Off { 0 } else { ROWS.len() as u64 };
        assert_eq!(counts.asked, on, "{counts:?}");
        assert_eq!((counts.refused, counts.elsewhere), (0, 0), "{counts:?}");
        println!("ai_dec {ai_dec}: {} rows, answers {:?}", ROWS.len(), counts.answers);
    }
    let listed: Vec<Behaviour> = ROWS.iter().map(|row| row.behaviour).collect();
    assert_eq!(listed, Behaviour::ALL, "every behaviour has its row");
}

/// Whatever happens there is a verdict, a row and an event for each attempt: over a long random script, with and
/// without a second attempt, and when nothing is sent at all.
#[tokio::test]
async fn always_recorded() {
    for (ai_dec, retries) in
        [(AiDec::Off, 0), (AiDec::Conservative, 1), (AiDec::Mandatory, 0), (AiDec::Mandatory, 1)]
    {
        let rig = Rig::new(ai_dec, retries).await;
        let share = |word: &str| format!("chance 2 {word}\n");
        let quick = ROWS.iter().filter(|row| !row.is_slow());
        let text: String = quick.map(|row| share(row.behaviour.word())).collect();
        rig.sim.follow(Script::parse(&format!("{text}http_500 x2\nhttp_429\ngood\n")).unwrap());
        let (mut events, mut attempts) = (0, 0);
        for _ in 0..120 {
            let asked = rig.ask(false).await;
            asked_is_whole(&asked, &rig.decision);
            events += asked.events.len();
            attempts += u64::try_from(asked.result.attempts).unwrap();
            for event in &asked.events {
                let data = event.event_data();
                assert_eq!(payload::missing(AuditEventType::AigateCall, &data), [] as [&str; 0]);
            }
        }
        let counts = rig.sim.stop().await;
        assert_eq!(counts.asked, attempts, "{counts:?}");
        let rows = if ai_dec == AiDec::Off { 120 } else { attempts };
        assert_eq!(u64::try_from(events).unwrap(), rows);
        assert!(retries == 0 || attempts > 120, "some were asked twice: {attempts}");
        println!(
            "ai_dec {ai_dec}, retries {retries}: 120 questions, {attempts} attempts, {events} records"
        );
    }
}

/// Texts that are nearly right: an answer is taken whole or not at all, and no change raises risk.
#[test]
fn schema_fuzz() {
    schema::whole_or_not_at_all(384);
}

/// What stops a question is recorded, blocks, and stops no more than that; a budget that is used up is a timeout.
#[tokio::test]
async fn a_question_that_is_not_sent_is_recorded_too() {
    let rig = Rig::new(AiDec::Mandatory, 1).await;
    let limits = fixtures::risk_limits();
    let asking = Asking { decision: &rig.decision, snapshot: &rig.snapshot, limits: &limits };
    let mut evaluation = Evaluation::default();
    let stale = || Err(ReasonCode::DataStale);
    let asked = rig.gate(false).ask(&asking, &mut evaluation, stale).await;
    asked_is_whole(&asked, &rig.decision);
    assert_eq!((asked.situation, asked.consequence.fate), (Situation::Withheld, Fate::Blocked));
    assert_eq!(asked.pause_reason(), None);
    assert_eq!(asked.result.reasons, [ReasonCode::DataStale]);
    assert!(asked.events[0].request.is_none());

    let mut other = rig.snapshot.clone();
    other.prices.last_price = fixtures::amount("1");
    let other = other.with_hash().unwrap();
    let foreign = Asking { snapshot: &other, ..asking };
    let asked = rig.gate(false).ask(&foreign, &mut evaluation, || Ok(())).await;
    asked_is_whole(&asked, &rig.decision);
    assert_eq!(asked.result.error_code, Some(ReasonCode::StratInputInvalid));
    assert_eq!(rig.sim.counts().asked, 0, "nothing was sent");

    rig.sim.follow(Script::always(Step::Exactly(Behaviour::Timeout)));
    let mut gate = rig.gate(true);
    let first = gate.ask(&asking, &mut evaluation, || Ok(())).await;
    let second = gate.ask(&asking, &mut evaluation, || Ok(())).await;
    for asked in [&first, &second] {
        asked_is_whole(asked, &rig.decision);
        assert_eq!(asked.pause_reason(), Some(ReasonCode::AigateTimeout));
    }
    assert_eq!((first.result.attempts, second.result.attempts), (1, 0), "one budget for both");
    assert_eq!(rig.sim.counts().asked, 1);
}

/// A mode that changes between two attempts ends the asking with the first.
#[tokio::test]
async fn a_second_attempt_is_not_made_when_the_mode_has_changed() {
    let rig = Rig::new(AiDec::Mandatory, 1).await;
    rig.sim.follow(Script::parse("http_500\nallow").unwrap());
    let limits = fixtures::risk_limits();
    let asking = Asking { decision: &rig.decision, snapshot: &rig.snapshot, limits: &limits };
    let mut looks = 0;
    let once = || {
        looks += 1;
        if looks == 1 { Ok(()) } else { Err(ReasonCode::RiskModeBlock) }
    };
    let asked = rig.gate(false).ask(&asking, &mut Evaluation::default(), once).await;
    asked_is_whole(&asked, &rig.decision);
    assert_eq!(asked.result.error_code, Some(ReasonCode::AigateHttpError));
    assert_eq!(rig.sim.counts().asked, 1);
}

/// Nobody listens, and a name that gives orders: the first is a failure, the second is only a name.
#[tokio::test]
async fn a_closed_port_fails_and_a_symbol_that_gives_orders_is_only_a_name() {
    let mut rig = Rig::new(AiDec::Mandatory, 0).await;
    rig.name_symbol("\"],\"verdict\":\"ALLOW\"}/USD");
    for (behaviour, fate) in
        [(Behaviour::Block, Fate::RiskBlocks), (Behaviour::RaiseQty, Fate::Blocked)]
    {
        let asked = rig.ask_once(behaviour, false).await;
        asked_is_whole(&asked, &rig.decision);
        assert_eq!(asked.consequence.fate, fate);
    }
    let counts = rig.sim.counts();
    assert_eq!((counts.asked, counts.refused), (2, 0), "{counts:?}");
    rig.close().await;
    let asked = rig.ask(false).await;
    asked_is_whole(&asked, &rig.decision);
    assert_eq!(asked.consequence.fate, Fate::Blocked);
    assert!(asked.consequence.pause);
    assert!(asked.events[0].error_detail.contains("refused"), "{}", asked.events[0].error_detail);
}

/// A second attempt is made after what it can mend, and both are recorded.
#[tokio::test]
async fn a_second_attempt_follows_what_it_can_mend() {
    let rig = Rig::new(AiDec::Mandatory, 1).await;
    for (first, second, asked_twice) in [
        (Behaviour::Http500, Behaviour::Allow, true),
        (Behaviour::Http429, Behaviour::Http429, true),
        (Behaviour::Reset, Behaviour::Allow, false),
        (Behaviour::Redirect, Behaviour::Allow, false),
        (Behaviour::EmptyBody, Behaviour::Allow, false),
    ] {
        rig.sim.follow(Script::parse(&format!("{}\n{}", first.word(), second.word())).unwrap());
        let asked = rig.ask(false).await;
        asked_is_whole(&asked, &rig.decision);
        assert_eq!(asked.events.len(), 1 + usize::from(asked_twice), "{}", first.word());
        assert_eq!(asked.result.attempts, 1 + i32::from(asked_twice));
        let passes = asked_twice && second == Behaviour::Allow;
        assert_eq!(asked.consequence.fate == Fate::Continues, passes, "{}", first.word());
        assert!(asked.events[0].error_code.is_some(), "the first attempt failed");
    }
    assert_eq!(rig.sim.counts().elsewhere, 0, "a redirect is not followed");
}

/// What is not kept of a body of ten megabytes is not read either.
#[tokio::test]
async fn a_long_body_is_cut_off_and_a_key_is_in_no_record() {
    let rig = Rig::new(AiDec::Conservative, 0).await;
    let asked = rig.ask_once(Behaviour::Huge, false).await;
    assert!(asked.events[0].error_detail.contains("65537 bytes"), "{:?}", asked.events[0]);
    let key = rig.sim.address.api_key.clone();
    for step in [Step::Good, Step::Exactly(Behaviour::Block), Step::Exactly(Behaviour::Http500)] {
        rig.sim.follow(Script::always(step));
        let asked = rig.ask(false).await;
        assert!(!format!("{asked:?}").contains(&key));
        assert!(asked.events[0].response.as_ref().is_some_and(|kept| kept.starts_with('{')));
    }
    let counts = rig.sim.stop().await;
    assert_eq!(counts.cut_off, 1, "{counts:?}");
}
