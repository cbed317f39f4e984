//! Arbitrary bytes as a spool segment: the walk ends without a panic, and what it accepts encodes back
//! to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use penstock_store::raw_rows::venue_and_time;
use penstock_store::spool::format::decode_record;
use penstock_store::spool::scan::scan_segment;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(scan) = scan_segment(bytes, |record| {
        // The payload is foreign too.
        let _time = venue_and_time(record.stream, record.payload);
        let mut again = Vec::new();
        record.encode(&mut again);
        assert_eq!(again.len(), record.encoded_len());
    }) {
        assert!(scan.end_offset <= bytes.len().max(64));
    }
    if let Ok(Some(record)) = decode_record(bytes) {
        let mut again = Vec::new();
        record.encode(&mut again);
        assert_eq!(again, bytes[..record.encoded_len()]);
    }
});
