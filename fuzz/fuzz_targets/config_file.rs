//! Fuzzer of the target `config_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("config_file", bytes));
