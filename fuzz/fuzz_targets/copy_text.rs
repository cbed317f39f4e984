//! Fuzzer of the target `copy_text`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("copy_text", bytes));
