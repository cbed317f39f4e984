//! Fuzzer of the target `engine_bundle`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("engine_bundle", bytes));
