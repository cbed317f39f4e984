//! The committed inputs of the fuzz targets of the engine's files, replayed without a fuzzer.

#[path = "../../../fuzz/src/targets/engine.rs"]
#[expect(dead_code, reason = "the engine's own tests replay its targets")]
mod engine;
#[path = "../../../fuzz/src/targets/engine_io.rs"]
mod engine_io;
#[path = "../../../fuzz/src/replay.rs"]
mod replay;

use replay::replay;

#[test]
fn every_input_keeps_what_its_target_promises() {
    replay("engine_log", engine_io::engine_log);
    replay("engine_snapshot", engine_io::engine_snapshot);
    replay("engine_manifest", engine_io::engine_manifest);
    replay("engine_stream", engine_io::engine_stream);
    replay("engine_bundle", engine_io::engine_bundle);
    replay("engine_packed", engine_io::engine_packed);
}
