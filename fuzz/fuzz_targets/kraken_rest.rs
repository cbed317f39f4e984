//! Fuzzer of the target `kraken_rest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("kraken_rest", bytes));
