//! Arbitrary bytes as a copy tuple: taking it apart never panics and never invents a field.
#![no_main]

use libfuzzer_sys::fuzz_target;
use penstock_store::tuple::split_tuple;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(fields) = split_tuple(bytes) {
        let held: usize = fields.iter().flatten().map(|f| f.len()).sum();
        assert_eq!(2 + 4 * fields.len() + held, bytes.len());
    }
});
