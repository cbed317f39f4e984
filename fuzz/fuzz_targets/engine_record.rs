//! Fuzzer of the target `engine_record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("engine_record", bytes));
