//! The crash points of an order's life, by name: one list, visited whole by the crash test.
//!
//! Built in always, active only with the feature `failpoints`; without it each is nothing.

/// Before the transaction of an entry commits: nothing exists anywhere.
pub const BEFORE_COMMIT_A: &str = "before_commit_a";
/// After it, before a byte is sent: the row waits to be proven absent.
pub const AFTER_COMMIT_BEFORE_SEND: &str = "after_commit_before_send";
/// The answer is here, its transaction is not.
pub const AFTER_SEND_BEFORE_B: &str = "after_send_before_b";
/// Acknowledged, nothing filled.
pub const AFTER_ACK_BEFORE_FILL: &str = "after_ack_before_fill";
/// A fill was reported and is not booked.
pub const AFTER_FILL_BEFORE_LEDGER: &str = "after_fill_before_ledger";
/// A fill is booked, its stop is not authorised.
pub const AFTER_FILL_BEFORE_AUTHORISE: &str = "after_fill_before_authorise";
/// The stop is authorised and not sent.
pub const AFTER_AUTHORISE_BEFORE_SEND: &str = "after_authorise_before_send";
/// A raise is committed and not sent.
pub const AFTER_RAISE_BEFORE_AMEND: &str = "after_raise_before_amend";
/// The close is decided, the stop still stands.
pub const AFTER_TRIGGER_BEFORE_CANCEL: &str = "after_trigger_before_cancel";
/// The stop is cancelled, the close is not authorised.
pub const AFTER_CANCEL_BEFORE_CLOSE: &str = "after_cancel_before_close";
/// The close is authorised and not sent.
pub const AFTER_CLOSE_BEFORE_SEND: &str = "after_close_before_send";

/// All of them.
pub const ALL: [&str; 11] = [
    BEFORE_COMMIT_A,
    AFTER_COMMIT_BEFORE_SEND,
    AFTER_SEND_BEFORE_B,
    AFTER_ACK_BEFORE_FILL,
    AFTER_FILL_BEFORE_LEDGER,
    AFTER_FILL_BEFORE_AUTHORISE,
    AFTER_AUTHORISE_BEFORE_SEND,
    AFTER_RAISE_BEFORE_AMEND,
    AFTER_TRIGGER_BEFORE_CANCEL,
    AFTER_CANCEL_BEFORE_CLOSE,
    AFTER_CLOSE_BEFORE_SEND,
];

/// Passes a crash point. A configured one (`FAILPOINTS=name=return`) ends the process as a kill does:
/// nothing is flushed, nothing is dropped.
pub(crate) fn pass(name: &'static str) {
    fail::fail_point!(name, |_| std::process::abort());
    tracing::trace!("passed {name}");
}
