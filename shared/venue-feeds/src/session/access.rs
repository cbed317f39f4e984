//! What a connection of order-by-order books needs besides its symbols: a token, and a share of the
//! account's budget of subscriptions.
//!
//! Input: tokens that were fetched, answers, the time. Output: whether to ask for a token, and how many
//! symbols may be asked for now. Invariants: a token is asked for once until it comes; one that the
//! venue refused, that belongs to an earlier connection or that is older than ten minutes is not used.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use penstock_venues::kraken::level3_plan::{SubscribeBudget, TOKEN_AGE_MS_MAX};

use crate::token::SessionToken;

/// The budget of subscriptions of an account; every connection of it shares one.
pub type SharedSubscribeBudget = Arc<Mutex<SubscribeBudget>>;

/// Token and budget of one connection.
#[derive(Debug)]
pub(super) struct Access {
    /// Number of the connection within the account.
    connection: usize,
    budget: SharedSubscribeBudget,
    /// The token, and when it came.
    token: Option<(SessionToken, i64)>,
    is_asked: bool,
}

impl Access {
    pub(super) const fn new(connection: usize, budget: SharedSubscribeBudget) -> Self {
        Self { connection, budget, token: None, is_asked: false }
    }

    /// The token, whatever its age: an unsubscribe names it too.
    pub(super) fn token(&self) -> Option<&SessionToken> {
        self.token.as_ref().map(|(token, _)| token)
    }

    /// Whether a subscription may be asked for with the token that is there.
    pub(super) fn is_usable(&self, now_ms: i64) -> bool {
        self.token.as_ref().is_some_and(|(_, came_ms)| now_ms - came_ms <= TOKEN_AGE_MS_MAX)
    }

    /// Whether a token is to be asked for now; true once until it comes.
    pub(super) const fn ask(&mut self) -> bool {
        !core::mem::replace(&mut self.is_asked, true)
    }

    /// A token came.
    pub(super) fn hold(&mut self, token: SessionToken, now_ms: i64) {
        self.token = Some((token, now_ms));
        self.is_asked = false;
    }

    /// The token is of no use any more.
    pub(super) fn drop_token(&mut self) {
        self.token = None;
    }

    /// As many of `wanted` symbols as the account may ask for now; they are charged.
    pub(super) fn admit(&self, depth: u32, wanted: usize, now_ms: i64) -> usize {
        self.budget().admit(self.connection, depth, wanted, now_ms)
    }

    /// A symbol that was asked for was answered.
    pub(super) fn answered(&self, now_ms: i64) {
        self.budget().answered(self.connection, now_ms);
    }

    /// The connection ended, and its token with it. What was asked for may never have been carried out.
    pub(super) fn closed(&mut self, now_ms: i64) {
        self.drop_token();
        self.is_asked = false;
        self.budget().lost(self.connection, now_ms);
    }

    fn budget(&self) -> MutexGuard<'_, SubscribeBudget> {
        // No step in there can be left half made.
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
