//! Tokens of the private socket.
//!
//! Inputs: issues by REST, uses by the socket. Outputs: valid or not. Invariant: a token dies 900 s
//! after its issue unless it was used by then; a used one lives on, as the venue lets it while its
//! connection lasts. Limit: `TOKENS_LIMIT` tokens, the oldest go first.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Seconds to the first use, as `expires` says.
pub(crate) const EXPIRES_S: i64 = 900;
const TOKENS_LIMIT: usize = 1_000;

#[derive(Debug)]
struct Token {
    text: String,
    issued_us: i64,
    used: bool,
}

/// All tokens.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    tokens: Mutex<VecDeque<Token>>,
}

impl Tokens {
    /// Issues a token.
    pub(crate) fn issue(&self, now_us: i64) -> String {
        let text = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.push_back(Token { text: text.clone(), issued_us: now_us, used: false });
        if tokens.len() > TOKENS_LIMIT {
            tokens.pop_front();
        }
        text
    }

    /// True for a valid token, which counts as used from now on.
    pub(crate) fn accept(&self, text: &str, now_us: i64) -> bool {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(token) = tokens.iter_mut().find(|token| token.text == text) else { return false };
        token.used = token.used || now_us - token.issued_us <= EXPIRES_S * 1_000_000;
        token.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_expires_unused_and_lives_on_once_used() {
        let tokens = Tokens::default();
        let (late, used) = (tokens.issue(0), tokens.issue(0));
        assert!(tokens.accept(&used, 899_000_000));
        assert!(tokens.accept(&used, 5_000_000_000));
        assert!(!tokens.accept(&late, 901_000_000));
        assert!(!tokens.accept("invented", 0));
    }
}
