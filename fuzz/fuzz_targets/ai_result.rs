//! Fuzzer of the target `ai_result`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("ai_result", bytes));
