//! Tokens of the private socket.
//!
//! Inputs: issues by REST, uses by the sockets. Outputs: valid or not. Invariants: a token dies 900 s
//! after its issue unless it was used by then; a used one lives on, as the venue lets it while its
//! connection lasts; one of a key without trading rights opens nothing of the account. Limit: `TOKENS_LIMIT` tokens, the oldest go first.

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
    may_trade: bool,
}

/// All tokens.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    tokens: Mutex<VecDeque<Token>>,
}

impl Tokens {
    /// Issues a token with the rights of its key.
    pub(crate) fn issue(&self, may_trade: bool, now_us: i64) -> String {
        let text = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.push_back(Token { text: text.clone(), issued_us: now_us, used: false, may_trade });
        if tokens.len() > TOKENS_LIMIT {
            tokens.pop_front();
        }
        text
    }

    /// True for a valid token of a key that may trade; it counts as used from now on.
    pub(crate) fn accept_to_trade(&self, text: &str, now_us: i64) -> bool {
        let may_trade = {
            let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            tokens.iter().any(|token| token.text == text && token.may_trade)
        };
        may_trade && self.accept(text, now_us)
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
        let (late, used) = (tokens.issue(true, 0), tokens.issue(true, 0));
        assert!(tokens.accept(&used, 899_000_000));
        assert!(tokens.accept(&used, 5_000_000_000));
        assert!(!tokens.accept(&late, 901_000_000));
        assert!(!tokens.accept("invented", 0));
        let data = tokens.issue(false, 0);
        assert!(tokens.accept(&data, 1) && !tokens.accept_to_trade(&data, 1));
        assert!(tokens.accept_to_trade(&used, 1));
    }
}
