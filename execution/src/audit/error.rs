//! Why an event is not in the trail.
//!
//! Input: what the trail or the queue says. Output: a message that names the next step. Invariant: an
//! event that is merely late is no error; its producer waits.

/// An event is not in the trail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// The event breaks a rule of the envelope, or of its place in the session.
    #[error("{0}")]
    Refused(String),
    /// The session's trail has ended.
    #[error("the audit trail of the session has ended; next: nothing, the process is stopping")]
    Ended,
}
