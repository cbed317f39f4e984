//! The crash points of an order's life, by name: one list, visited whole by the crash test; and one wrong
//! order of things, which the checker must see.
//!
//! Built in always, active only with the feature `failpoints`; without it each is nothing.

/// Before the transaction of an entry commits: nothing exists anywhere.
pub const BEFORE_COMMIT_A: &str = "before_commit_a";
/// After it, before a byte is sent: the row waits to be proven absent.
pub const AFTER_COMMIT_BEFORE_SEND: &str = "after_commit_before_send";
/// It was sent and the answer is here, its transaction is not.
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

/// The entry is sent before its transaction commits: what must never happen.
#[cfg(feature = "failpoints")]
pub const SEND_BEFORE_COMMIT: &str = "send_before_commit";

/// Whether a point is configured.
#[cfg(feature = "failpoints")]
pub(crate) fn is_on(name: &'static str) -> bool {
    fail::fail_point!(name, |_| true);
    false
}

/// Passes a crash point. A configured one (`FAILPOINTS=name=return`) ends the process by SIGKILL:
/// nothing is flushed, nothing is dropped, nothing is caught. `name=1*return(stop)` stops the whole process
/// there instead, until somebody lets it go on.
pub(crate) fn pass(name: &'static str) {
    fail::fail_point!(name, |how: Option<String>| {
        if how.as_deref() == Some("stop") {
            tracing::info!("stopped at {name}");
            // Returns when the process is continued; should it be refused, nothing was stopped.
            let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP);
            return;
        }
        // The signal does not return; should it be refused, the process ends all the same.
        let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
        std::process::abort()
    });
    tracing::trace!("passed {name}");
}
