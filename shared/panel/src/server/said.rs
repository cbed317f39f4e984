//! Lines about requests in the process's log, so few that no reader can fill it.
//!
//! Input: requests. Output: at most ten lines a second at DEBUG, then one with the number that was left out.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;

/// Lines of a second.
const LINES_MAX: u32 = 10;
/// The second.
const WINDOW: Duration = Duration::from_secs(1);
/// Longest path of a line, characters.
const PATH_CHARS_MAX: usize = 128;

#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    said: u32,
    left_out: u64,
}

/// What was said in this second.
#[derive(Debug, Default)]
pub(super) struct Said(Mutex<Window>);

impl Said {
    pub(super) fn request(&self, method: &str, path: &str, status: StatusCode) {
        let (may_say, left_out) = self.take(Instant::now());
        if left_out > 0 {
            tracing::debug!("{left_out} more requests of the panel");
        }
        if may_say {
            let path: String = path.chars().take(PATH_CHARS_MAX).collect();
            let method: String = method.chars().take(PATH_CHARS_MAX).collect();
            tracing::debug!("panel: {method:?} {path:?} {}", status.as_u16());
        }
    }

    /// Whether a line may be said now, and how many were left out in a window that is over.
    fn take(&self, now: Instant) -> (bool, u64) {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = window.began.is_none_or(|began| now.duration_since(began) >= WINDOW);
        let left_out = if is_over { std::mem::take(&mut *window).left_out } else { 0 };
        window.began.get_or_insert(now);
        if window.said < LINES_MAX {
            window.said += 1;
            return (true, left_out);
        }
        window.left_out += 1;
        (false, left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_lines_a_second_then_the_number_that_was_left_out() {
        let (said, began) = (Said::default(), Instant::now());
        let spoken = (0..25).filter(|_| said.take(began).0).count();
        assert_eq!(spoken, 10);
        let later = began + WINDOW;
        assert_eq!(said.take(later), (true, 15));
        assert_eq!(said.take(later), (true, 0));
    }
}
