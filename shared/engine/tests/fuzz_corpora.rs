//! The committed inputs of the engine's fuzz targets, replayed without a fuzzer.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "../../../fuzz/src/targets/engine.rs"]
mod targets;

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
fn d24_every_input_keeps_what_its_target_promises() {
    replay("engine_config", targets::engine_config);
    replay("engine_record", targets::engine_record);
    replay("engine_step", targets::engine_step);
}
