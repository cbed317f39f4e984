//! Fuzzer of the target `dec_str`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("dec_str", bytes));
