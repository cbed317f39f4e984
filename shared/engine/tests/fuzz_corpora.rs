//! The committed inputs of the engine's fuzz targets, replayed without a fuzzer.

#[path = "../../../fuzz/src/replay.rs"]
mod replay;
#[path = "../../../fuzz/src/targets/engine.rs"]
mod targets;

use replay::replay;

#[test]
fn d24_every_input_keeps_what_its_target_promises() {
    replay("engine_config", targets::engine_config);
    replay("engine_record", targets::engine_record);
    replay("engine_step", targets::engine_step);
}
