//! Fuzzer of the target `sim_feeds`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("sim_feeds", bytes));
