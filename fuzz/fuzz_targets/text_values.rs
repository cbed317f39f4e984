//! Fuzzer of the target `text_values`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("text_values", bytes));
