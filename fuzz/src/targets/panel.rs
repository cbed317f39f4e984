//! The panel's requests: whatever is sent, only a GET under a loopback name to one of four paths is answered.

use penstock_panel::policy::{Answer, Asked, ORDERS_MAX, judge, label};

/// A request as lines: method, host, path, query, host of the target; a line that is not there is none.
pub(super) fn panel_request(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.split('\n');
    let method = lines.next().unwrap_or_default();
    let host = lines.next();
    let path = lines.next().unwrap_or_default();
    let (query, authority) = (lines.next(), lines.next());
    let answer = judge(&Asked { method, host, authority, path, query });
    match answer {
        Answer::Forbidden => {}
        Answer::NotFound => {
            assert_eq!(method, "GET");
            assert_eq!(label(path), "other");
        }
        Answer::Page | Answer::Snapshot | Answer::Orders(_) | Answer::Stream | Answer::BadLimit => {
            assert_eq!(method, "GET");
            assert_ne!(label(path), "other");
            for name in host.into_iter().chain(authority) {
                let address = name.starts_with("127.") || name.starts_with('[');
                assert!(address || name.to_ascii_lowercase().starts_with("localhost"), "{name}");
            }
            assert!(host.is_some());
        }
    }
    if let Answer::Orders(number) = answer {
        assert!((1..=ORDERS_MAX).contains(&number));
    }
}
