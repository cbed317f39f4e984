//! Fuzzer of the target `kraken_level3`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("kraken_level3", bytes));
