//! Fuzzer of the target `engine_config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("engine_config", bytes));
