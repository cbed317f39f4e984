//! Fuzzer of the target `engine_packed`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("engine_packed", bytes));
