//! The ways out of the machine: webhook, Telegram, Pushover.
//!
//! Input: a message. Output: it was taken, or why not, in words without an address, because the address may be the
//! secret. Invariants: one request per message, its whole time limited; a redirect is a failure; anything but 2xx is a
//! failure; the answer's body is not read.

use penstock_types::closed_vocabulary;
use penstock_types::vocab::Severity;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use url::Url;

use crate::message::Message;

closed_vocabulary! {
    /// A way out of the machine, as it stands in rows and metrics.
    pub SinkName {
        /// POST of JSON.
        Webhook = "webhook",
        /// A bot's message to a chat.
        Telegram = "telegram",
        /// A notification.
        Pushover = "pushover",
    }
}

/// Where a message goes.
#[derive(Debug, Clone)]
pub enum Target {
    /// POST of the alert's JSON.
    Webhook {
        /// Address.
        url: Url,
        /// Sent as `Authorization: Bearer`.
        bearer: Option<SecretString>,
    },
    /// A bot's message.
    Telegram {
        /// Address of the service.
        api: Url,
        /// The bot's token.
        token: SecretString,
        /// Chat.
        chat_id: String,
    },
    /// A notification.
    Pushover {
        /// Address of the service.
        api: Url,
        /// The application's token.
        token: SecretString,
        /// User or group.
        user: SecretString,
    },
}

/// A way out.
#[derive(Debug, Clone)]
pub struct Sink {
    /// Where.
    pub target: Target,
    /// Least severity.
    pub least: Severity,
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The address cannot be put together.
    #[error("its address takes no path")]
    Address,
    /// No answer in time.
    #[error("no answer within the time limit")]
    Timeout,
    /// The connection failed.
    #[error("the connection failed")]
    Connection,
    /// An answer other than success.
    #[error("it answered with status {0}")]
    Status(u16),
}

impl Sink {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> SinkName {
        match self.target {
            Target::Webhook { .. } => SinkName::Webhook,
            Target::Telegram { .. } => SinkName::Telegram,
            Target::Pushover { .. } => SinkName::Pushover,
        }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send(&self, client: &reqwest::Client, message: &Message) -> Result<(), SendError> {
        let request = match &self.target {
            Target::Webhook { url, bearer } => {
                let request = client.post(url.clone()).json(&message.json);
                match bearer {
                    Some(token) => request.bearer_auth(token.expose_secret()),
                    None => request,
                }
            }
            Target::Telegram { api, token, chat_id } => {
                let bot = format!("bot{}", token.expose_secret());
                let body = json!({"chat_id": chat_id, "text": message.text});
                client.post(below(api, &[&bot, "sendMessage"])?).json(&body)
            }
            Target::Pushover { api, token, user } => {
                let priority = if message.severity == Severity::Crit { "1" } else { "0" };
                let form = [
                    ("token", token.expose_secret()),
                    ("user", user.expose_secret()),
                    ("message", message.text.as_str()),
                    ("priority", priority),
                ];
                client.post(below(api, &["1", "messages.json"])?).form(&form)
            }
        };
        let answer = request.send().await.map_err(|error| {
            if error.is_timeout() { SendError::Timeout } else { SendError::Connection }
        })?;
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(SendError::Status(status.as_u16())) }
    }
}

/// An address with further parts of its path, each encoded.
fn below(api: &Url, parts: &[&str]) -> Result<Url, SendError> {
    let mut url = api.clone();
    url.path_segments_mut().map_err(|()| SendError::Address)?.pop_if_empty().extend(parts);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_path_are_encoded_and_keep_what_stands_before_them() {
        let api = Url::parse("https://api.example.org/base/").unwrap();
        let url = below(&api, &["bot12:A/b?c", "sendMessage"]).unwrap();
        assert_eq!(url.as_str(), "https://api.example.org/base/bot12:A%2Fb%3Fc/sendMessage");
    }

    #[test]
    fn a_printed_way_out_shows_no_secret() {
        let secret = || SecretString::from("hunter2hunter2".to_owned());
        let api = Url::parse("https://api.example.org").unwrap();
        let target = Target::Pushover { api, token: secret(), user: secret() };
        let shown = format!("{:?}", Sink { target, least: Severity::Warn });
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
