//! Fuzzer of the target `recording`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("recording", bytes));
