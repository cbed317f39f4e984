//! What is shown, per form, on a terminal and elsewhere.

use std::io::Write;
use std::sync::{Arc, Mutex};

use penstock_audit::{Draft, Event, Redactor};
use penstock_config::table::execution::ConsoleStage;
use penstock_types::vocab::{AuditEventType, StageName};
use penstock_types::{EvaluationId, Symbol};
use secrecy::SecretString;

use super::{Console, Shown, Writer, line};

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn event(stage: StageName, summary: &str, redactor: &Redactor) -> Event {
    let mut draft = Draft::new(stage, AuditEventType::StageChanged, 1_771_243_200_251)
        .with("stage_from", "UNIVERSE_SCAN")
        .with("summary", summary);
    draft.cycle_id = EvaluationId(4_711);
    if stage == StageName::RiskVerdict {
        draft.symbol = Symbol::new("BTC/USD").ok();
        draft.decision_id = format!("dec_03ab97fd2781{}", "0".repeat(52));
    }
    Event::new(draft, redactor).unwrap()
}

fn shown(form: ConsoleStage, is_terminal: bool) -> String {
    let memory = Memory::default();
    let out: Box<dyn Write + Send> = Box::new(memory.clone());
    let rewrites = form == ConsoleStage::Update && is_terminal;
    let writer = Writer { form, rewrites, is_open: false, out };
    let (lines, receiver) = std::sync::mpsc::sync_channel(8);
    let none = Redactor::default();
    let ranked = event(StageName::RankTopn, "20 of 143, best BTC/USD 8120", &none);
    let allowed = event(StageName::RiskVerdict, "ALLOW 0.00093 BTC, min edge 6.2 bps", &none);
    for text in [line(&ranked), line(&allowed)] {
        lines.send(Shown::Stage(text)).unwrap();
    }
    let reader = std::thread::spawn(move || writer.run(&receiver));
    // As alerts write: a whole line, then a flush.
    let console = Console { lines: Some(lines) };
    let mut alerts = console.lines();
    alerts.write_all(b"an alert\n").and_then(|()| alerts.flush()).unwrap();
    drop((console, alerts));
    reader.join().unwrap();
    let bytes = memory.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

const RANKED: &str =
    "2026-02-16T12:00:00.251Z RANK_TOPN            - 4711 - 20 of 143, best BTC/USD 8120";
const ALLOWED: &str = "2026-02-16T12:00:00.251Z RISK_VERDICT         BTC/USD 4711 03ab97fd2781 ALLOW 0.00093 BTC, min edge 6.2 bps";

#[test]
fn modes() {
    // A line each, wherever it goes; `update` elsewhere than on a terminal is the same.
    let lines = format!("{RANKED}\n{ALLOWED}\nan alert\n");
    for (form, is_terminal) in
        [(ConsoleStage::Line, true), (ConsoleStage::Line, false), (ConsoleStage::Update, false)]
    {
        assert_eq!(shown(form, is_terminal), lines, "{form:?} {is_terminal}");
    }

    // One line that is written anew; an alert ends it first.
    let rewritten = format!("\r\u{1b}[K{RANKED}\r\u{1b}[K{ALLOWED}\nan alert\n");
    assert_eq!(shown(ConsoleStage::Update, true), rewritten);

    // Alerts only.
    assert_eq!(shown(ConsoleStage::Off, true), "an alert\n");

    // Never a secret: what the trail may not hold is not shown either, for the line is made of its event.
    let secret = SecretString::from("hunter2hunter2");
    let redactor = Redactor::default().with_secrets([&secret]);
    let refused = line(&event(StageName::RankTopn, "key hunter2hunter2", &redactor));
    assert!(!refused.contains("hunter2") && refused.ends_with(" 4711 - -"), "{refused}");

    // Never a payload: one line of at most 80 characters, whatever the summary says.
    let long = format!("{{\"a\":1}}\n\u{1b}[2J{}", "x".repeat(500));
    let cut = line(&event(StageName::RankTopn, &long, &Redactor::default()));
    let summary = cut.split_once(" 4711 - ").unwrap().1;
    assert_eq!(summary.chars().count(), super::SUMMARY_CHARS_MAX);
    assert!(!cut.chars().any(char::is_control), "{cut:?}");
}

#[test]
fn only_changes_of_a_stage_are_shown_and_a_full_terminal_is_not_waited_for() {
    let memory = Memory::default();
    let console = Console::start(ConsoleStage::Line, false, Box::new(memory.clone()));
    let draft = Draft::new(StageName::RankTopn, AuditEventType::RankTopn, 1);
    console.stage(&Event::new(draft, &Redactor::default()).unwrap());
    for _ in 0..2_000 {
        console.stage(&event(StageName::RankTopn, "20 of 143", &Redactor::default()));
    }
    console.lines().write_all(b"the last\n").unwrap();

    drop(console);

    // How many stages got through depends on the machine; none of them waited, and each is whole.
    let bytes = memory.0.lock().unwrap().clone();
    for text in String::from_utf8(bytes).unwrap().lines() {
        assert!(text.ends_with("20 of 143") || text == "the last", "{text}");
    }
}
