//! Fuzzer of the target `cl_ord_id`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| penstock_fuzz::run("cl_ord_id", bytes));
