//! Fuzzer of the target `copy_tuple`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("copy_tuple", bytes));
