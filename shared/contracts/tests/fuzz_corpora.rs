//! The committed corpora of the fuzz targets over the contracts, replayed without building the rest.

#[path = "../../../fuzz/src/targets/contracts.rs"]
mod contracts;
#[path = "../../../fuzz/src/replay.rs"]
mod replay;

use replay::replay;

#[test]
fn every_input_of_a_corpus_keeps_what_its_target_promises() {
    replay("ai_result", contracts::ai_result);
    replay("alert_heartbeat", contracts::alert_heartbeat);
    replay("dec_str", contracts::dec_str);
    replay("decision_snapshot", contracts::decision_snapshot);
}
