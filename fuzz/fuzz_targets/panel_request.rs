//! Fuzzer of the target `panel_request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("panel_request", bytes));
