//! Any bytes as a frame and as a quote block: a value or an error, never a panic, and what is accepted is
//! written back to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use penstock_types::frame::{decode_frame, decode_quotes, deliver, encode_quotes, verify_link};

fuzz_target!(|data: &[u8]| {
    let _frame = decode_frame(data);
    let _link = verify_link(data, None);
    let mut copy = data.to_vec();
    if let Ok(link) = deliver(&mut copy, None) {
        assert_eq!(link.frame_seq, 1);
    }
    if let Ok(block) = decode_quotes(data) {
        assert_eq!(encode_quotes(&block).expect("a decoded block is whole"), data);
    }
});
