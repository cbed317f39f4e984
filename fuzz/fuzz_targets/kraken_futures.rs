//! Fuzzer of the target `kraken_futures`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("kraken_futures", bytes));
