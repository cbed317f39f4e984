//! Answers of the venue to what the session asked.
//!
//! Input: a decoded answer. Output: the next phase of each subscription that it is about, and notices.
//! An answer names its subscription in its result, its refusal in a text; one that names neither is
//! about its whole request.

use penstock_venue_net::Stamp;
use penstock_venues::kraken::ChannelKind;
use penstock_venues::kraken::book_sync::QUARANTINE_MS;
use penstock_venues::kraken::error_table::{self, ErrorClass};
use penstock_venues::kraken::response::Response;

use super::topics::Phase;
use super::{Action, Notice, Session, Topic};

impl Session {
    pub(super) fn answered(&mut self, response: &Response<'_>, at: Stamp) {
        match response.method.as_str() {
            "pong" => self.pong(response, at),
            "subscribe" => self.subscribe_answer(response, at.mono_ms()),
            "unsubscribe" => self.unsubscribe_answer(response, at.mono_ms()),
            _ => self.unexpected(response),
        }
    }

    fn pong(&mut self, response: &Response<'_>, at: Stamp) {
        let Some((req_id, sent)) = self.ping else { return };
        let (Some(time_in), Some(time_out)) = (response.time_in, response.time_out) else { return };
        if response.req_id != Some(req_id) {
            return;
        }
        self.ping = None;
        let venue_us = (time_out.micros() - time_in.micros()).max(0);
        let network_us = (at.wall.0 - sent.0 - venue_us).max(0);
        let venue_middle = i64::midpoint(time_in.micros(), time_out.micros());
        let clock_offset_us = venue_middle - i64::midpoint(sent.0, at.wall.0);
        let notice = Notice::Latency { network_us, clock_offset_us };
        self.actions.push_back(Action::Notify(notice));
    }

    fn unexpected(&mut self, response: &Response<'_>) {
        let notice = Notice::UnexpectedAnswer {
            method: response.method.to_string(),
            error: response.error.as_ref().map(|text| text.to_string()),
        };
        self.actions.push_back(Action::Notify(notice));
    }

    /// The topics that an answer is about: by its result, else by its request.
    fn topics_of(&self, response: &Response<'_>) -> Vec<Topic> {
        if let Ok(Some(result)) = response.subscription()
            && let Some(channel) = ChannelKind::from_wire(&result.channel)
        {
            let symbol = result.symbol.map(|s| s.to_string()).unwrap_or_default();
            return vec![Topic { channel, symbol }];
        }
        let asked = response.req_id.and_then(|id| self.requests.get(&id));
        let asked = asked.map(Vec::as_slice).unwrap_or_default();
        // A refusal names its symbol beside its text or in it; one that names none is about the whole
        // request.
        if let Some(text) = &response.error {
            let named = |topic: &&Topic| match response.symbol.as_deref() {
                _ if topic.symbol.is_empty() => false,
                Some(symbol) => symbol == topic.symbol,
                None => text.split_ascii_whitespace().any(|word| word == topic.symbol),
            };
            if let Some(topic) = asked.iter().find(named) {
                return vec![topic.clone()];
            }
        }
        asked.to_vec()
    }

    fn subscribe_answer(&mut self, response: &Response<'_>, now_ms: i64) {
        let topics = self.topics_of(response);
        if topics.is_empty() {
            self.unexpected(response);
        }
        for topic in topics {
            let Some(state) = self.topics.get_mut(topic.channel, &topic.symbol) else { continue };
            if !matches!(state.phase, Phase::Sent { .. }) {
                continue;
            }
            if let Some(access) = &self.access {
                access.answered(now_ms);
            }
            if response.accepted() {
                state.phase = if state.is_complete(topic.channel) {
                    Phase::Live
                } else {
                    Phase::Acked { at_ms: now_ms }
                };
                self.actions.push_back(Action::Notify(Notice::Acked(topic)));
                continue;
            }
            let text = response.error.as_ref().map_or("", |text| text.as_str());
            self.refused(&topic, text, now_ms);
        }
    }

    /// A subscription was refused: for good, for a while, or until the next try.
    fn refused(&mut self, topic: &Topic, text: &str, now_ms: i64) {
        let class = error_table::judge(text).class;
        let last = class == ErrorClass::Config;
        let notice = Notice::Refused { topic: topic.clone(), text: text.to_owned(), last };
        self.actions.push_back(Action::Notify(notice));
        let Some(state) = self.topics.get_mut(topic.channel, &topic.symbol) else { return };
        match class {
            ErrorClass::Config => state.phase = Phase::Refused,
            // Somebody has to change the key; asking often would only cost connections.
            ErrorClass::Auth => {
                state.phase = Phase::Quarantined { until_ms: now_ms + QUARANTINE_MS };
            }
            ErrorClass::Session => {
                if let Some(access) = &mut self.access {
                    access.drop_token();
                }
                self.replan(topic, false, true, now_ms);
            }
            // Nothing is subscribed, so nothing has to be unsubscribed first.
            ErrorClass::Nonce
            | ErrorClass::AuthRate
            | ErrorClass::Rate
            | ErrorClass::Limit
            | ErrorClass::Transient
            | ErrorClass::Deadline
            | ErrorClass::Mode
            | ErrorClass::Funds
            | ErrorClass::Validation
            | ErrorClass::Identity
            | ErrorClass::State
            | ErrorClass::Bug
            | ErrorClass::Policy
            | ErrorClass::Warning
            | ErrorClass::Unlisted => self.replan(topic, false, true, now_ms),
        }
        self.tell_incomplete();
    }

    fn unsubscribe_answer(&mut self, response: &Response<'_>, now_ms: i64) {
        for topic in self.topics_of(response) {
            if let Some(state) = self.topics.get_mut(topic.channel, &topic.symbol)
                && matches!(state.phase, Phase::Leaving { sent_ms: Some(_), .. })
            {
                state.phase = Phase::Wanted { due_ms: now_ms };
            }
        }
    }
}
