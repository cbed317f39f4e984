//! REST rows among the lines of a recording.
//!
//! Input: a line. Output: path and body, if it is a REST row. The venue's check decodes the body.

use super::report::Tally;
use crate::recording::Line;
use crate::recording::rest_row::{path_of, rest_row};
use crate::wire::DecodeError;

/// A row of a line.
pub(super) struct RestLine<'a> {
    /// Path and query.
    pub(super) path: String,
    /// Body.
    pub(super) body: &'a str,
    /// Offset of the body within the frame.
    body_at: usize,
}

/// The REST row of a line; `None` for a frame of a socket.
pub(super) fn rest_line<'a>(line: &Line<'a>) -> Option<Result<RestLine<'a>, DecodeError>> {
    if !line.frame.starts_with("{\"url\":") {
        return None;
    }
    Some(rest_row(line.frame).map(|row| {
        let body = row.body.get();
        // The body is a part of the frame, so the distance of their addresses is its offset.
        let body_at = body.as_ptr().addr().saturating_sub(line.frame.as_ptr().addr());
        RestLine { path: path_of(&row.url).to_owned(), body, body_at }
    }))
}

impl RestLine<'_> {
    /// The body does not decode.
    pub(super) fn undecodable(&self, tally: &mut Tally, line: &Line<'_>, mut error: DecodeError) {
        error.byte += self.body_at;
        tally.undecodable(line, &error);
    }
}
