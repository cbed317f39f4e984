//! Fuzzer of the target `sim_sends`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("sim_sends", bytes));
