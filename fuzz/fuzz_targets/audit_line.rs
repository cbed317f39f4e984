//! Fuzzer of the target `audit_line`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("audit_line", bytes));
