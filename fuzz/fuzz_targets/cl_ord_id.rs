//! Any text as a client order id: ours or foreign, and what is ours reads back as it was written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use penstock_types::cl_ord_id::{OrderIdSalt, Origin, recognise};

fuzz_target!(|text: &str| {
    let salt = OrderIdSalt([7; 32]);
    if let Origin::Ours(id) = recognise(&salt, Some(text)) {
        assert_eq!(recognise(&salt, Some(&id.text())), Origin::Ours(id));
    }
});
