//! Fuzzer of the target `sim_private`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("sim_private", bytes));
