//! A chain without rows: every link says that it is missing.

use super::*;

fn empty() -> Chain {
    Chain {
        order: None,
        entry: None,
        frame: None,
        epoch: None,
        cycle: None,
        candidate: None,
        snapshot: None,
        decisions: Vec::new(),
        answers: Vec::new(),
        verdict: None,
        reservation: None,
        events: Vec::new(),
        fills: Vec::new(),
        latency: None,
        position: None,
        plan: None,
        exit_events: Vec::new(),
        related: Vec::new(),
        realised: Vec::new(),
    }
}

#[test]
fn a_link_without_a_row_is_said_to_be_missing() {
    let story = of(&Subject::Decision("dec_ab".to_owned()), &empty());
    assert_eq!(story.missing.len(), story.parts.len());
    for title in ["frame", "cycle", "candidate", "snapshot", "decision", "AI gate", "risk", "order"]
    {
        assert!(story.parts.iter().any(|part| part.title == title), "{title}");
    }
    let text = story.text();
    assert!(text.starts_with("decision dec_ab.\n"), "{text}");
    assert!(text.contains("Missing: no frame that priced it; no evaluation behind it"), "{text}");
}
