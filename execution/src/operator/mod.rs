//! What the operator asks of the desk: close, mark a symbol, compare with the venue, say how it stands.
//!
//! Input: rows of `control_requests`, and the request file that works without the decision cluster. Output: wishes of
//! the desk, answers in the row or beside the file, events. Invariants: a request is answered once; a wish to close is
//! answered only when it is committed, or when the answer says what still waits, so that a process that ends in between
//! finds the request again; the file is carried out by whoever lives now, never by a later start.

mod dry_run;
mod file;
mod flatten;
mod probe;
mod rows;
mod safety;

pub(crate) use dry_run::DryRuns;
pub(crate) use file::RequestFile;
