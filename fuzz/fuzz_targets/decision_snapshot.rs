//! Fuzzer of the target `decision_snapshot`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("decision_snapshot", bytes));
