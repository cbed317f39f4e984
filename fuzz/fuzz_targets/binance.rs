//! Fuzzer of the target `binance`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("binance", bytes));
