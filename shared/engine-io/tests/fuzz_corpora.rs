//! The committed inputs of the fuzz targets of the engine's files, replayed without a fuzzer.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "../../../fuzz/src/targets/engine.rs"]
#[expect(dead_code, reason = "the engine's own tests replay its targets")]
mod engine;
#[path = "../../../fuzz/src/targets/engine_io.rs"]
mod engine_io;

fn replay(name: &str, target: fn(&[u8])) {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let mut inputs = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        target(&std::fs::read(path).unwrap());
        inputs += 1;
    }
    assert!(inputs >= 3);
}

#[test]
fn every_input_keeps_what_its_target_promises() {
    replay("engine_log", engine_io::engine_log);
    replay("engine_snapshot", engine_io::engine_snapshot);
    replay("engine_manifest", engine_io::engine_manifest);
    replay("engine_stream", engine_io::engine_stream);
    replay("engine_bundle", engine_io::engine_bundle);
    replay("engine_packed", engine_io::engine_packed);
}
