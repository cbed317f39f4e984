//! The committed inputs of the fuzz targets of the audit trail, replayed without a fuzzer.

#[path = "../../../fuzz/src/targets/audit.rs"]
mod audit;
#[path = "../../../fuzz/src/replay.rs"]
mod replay;

use replay::replay;

#[test]
fn every_input_keeps_what_its_target_promises() {
    replay("audit_line", audit::audit_line);
    replay("audit_redact", audit::audit_redact);
}
