//! The committed inputs of the fuzz targets of the audit trail, replayed without a fuzzer.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "../../../fuzz/src/targets/audit.rs"]
mod audit;

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
    replay("audit_line", audit::audit_line);
    replay("audit_redact", audit::audit_redact);
}
