//! One attempt at the endpoint: a request, a body of limited length, a text or a failure.
//!
//! Input: the body of a request and the time that is left. Output: what was read of the response and what it is.
//! Invariants: at most one byte more than the limit is kept of a body, whatever the endpoint sends; the time is a limit
//! of the whole exchange; a failure's text holds neither address nor key.

use penstock_contracts::ai::answer::{BODY_BYTES_MAX, content_of};
use penstock_contracts::ai::budget::AttemptFailure;
use penstock_contracts::ai::policy::GateFailure;
use penstock_venue_net::{NetError, http_client_plain};
use penstock_venues::endpoint::{Endpoint, Transport};
use reqwest::{Client, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use std::error::Error;
use std::time::Duration;

/// An endpoint with its key.
#[derive(Debug)]
pub(crate) struct Provider {
    client: Client,
    url: String,
    key: SecretString,
}

/// How an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    /// For the decision to try again.
    pub(crate) attempt: AttemptFailure,
    /// For the record.
    pub(crate) failure: GateFailure,
    /// For people.
    pub(crate) detail: String,
}

/// What came of an attempt.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// What was read of the body.
    pub(crate) body: Vec<u8>,
    /// The text of the answer.
    pub(crate) came: Result<String, Broken>,
}

impl Broken {
    fn transport(attempt: AttemptFailure, detail: String) -> Self {
        Self { attempt, failure: GateFailure::Transport, detail }
    }

    fn timeout(left: Duration) -> Self {
        Self {
            attempt: AttemptFailure::Timeout,
            failure: GateFailure::Timeout,
            detail: format!(
                "no whole answer within the {} ms that were left; next: look at the model or raise AI_GATE_TIMEOUT_MS",
                left.as_millis()
            ),
        }
    }

    fn status(status: StatusCode) -> Self {
        let attempt = match status.as_u16() {
            429 => AttemptFailure::Throttled,
            500..=599 => AttemptFailure::Server,
            _ => AttemptFailure::Status,
        };
        let redirect = if status.is_redirection() { ", a redirect is not followed" } else { "" };
        Self::transport(attempt, format!("status {}{redirect}", status.as_u16()))
    }

    fn of(error: reqwest::Error, left: Duration) -> Self {
        if error.is_timeout() {
            return Self::timeout(left);
        }
        let attempt =
            if error.is_connect() { AttemptFailure::Connect } else { AttemptFailure::Transport };
        Self::transport(attempt, words(&error.without_url()))
    }
}

/// An error with its causes.
fn words(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// What the body of a successful response is: a text, or how it fails.
///
/// # Errors
/// Way of failing and a sentence about it.
pub fn received(body: &[u8]) -> Result<String, (GateFailure, String)> {
    content_of(body).map_err(|fault| (fault.failure(), fault.to_string()))
}

impl Provider {
    pub(crate) fn new(
        base_url: &str,
        key: SecretString,
        timeout: Duration,
    ) -> Result<Self, NetError> {
        let endpoint = Endpoint::new(base_url, Transport::Rest)?;
        let client = http_client_plain(&endpoint, timeout)?;
        Ok(Self { client, url: format!("{}/chat/completions", endpoint.url()), key })
    }

    /// One request.
    pub(crate) async fn attempt(&self, request: &str, left: Duration) -> Attempt {
        let mut body = Vec::new();
        let came = match tokio::time::timeout(left, self.exchange(request, left, &mut body)).await {
            Ok(came) => came,
            Err(_) => Err(Broken::timeout(left)),
        };
        Attempt { body, came }
    }

    async fn exchange(
        &self,
        request: &str,
        left: Duration,
        body: &mut Vec<u8>,
    ) -> Result<String, Broken> {
        let response = self
            .client
            .post(&self.url)
            .bearer_auth(self.key.expose_secret())
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .body(request.to_owned())
            .send()
            .await
            .map_err(|error| Broken::of(error, left))?;
        let status = response.status();
        let read = read_up_to_limit(response, body).await;
        if !status.is_success() {
            return Err(Broken::status(status));
        }
        read.map_err(|error| Broken::of(error, left))?;
        received(body).map_err(|(failure, detail)| Broken {
            attempt: AttemptFailure::Answer,
            failure,
            detail,
        })
    }
}

/// Reads the body until its end or one byte over the limit; the rest is never read, and the connection ends with it.
async fn read_up_to_limit(mut response: Response, body: &mut Vec<u8>) -> reqwest::Result<()> {
    while let Some(chunk) = response.chunk().await? {
        let room = BODY_BYTES_MAX + 1 - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() > BODY_BYTES_MAX {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(429, AttemptFailure::Throttled)]
    #[case(500, AttemptFailure::Server)]
    #[case(503, AttemptFailure::Server)]
    #[case(599, AttemptFailure::Server)]
    #[case(302, AttemptFailure::Status)]
    #[case(307, AttemptFailure::Status)]
    #[case(400, AttemptFailure::Status)]
    #[case(401, AttemptFailure::Status)]
    #[case(404, AttemptFailure::Status)]
    fn only_a_status_that_a_second_attempt_can_mend_is_tried_again(
        #[case] status: u16,
        #[case] attempt: AttemptFailure,
    ) {
        let broken = Broken::status(StatusCode::from_u16(status).unwrap());
        assert_eq!((broken.attempt, broken.failure), (attempt, GateFailure::Transport));
    }

    #[test]
    fn an_address_in_plain_text_or_with_credentials_is_refused() {
        let timeout = Duration::from_secs(1);
        for refused in
            ["http://ai.example.org/v1", "https://user:word@ai.example.org/v1", "ftp://127.0.0.1"]
        {
            assert!(Provider::new(refused, "a-key-of-mine".into(), timeout).is_err(), "{refused}");
        }
        let made =
            Provider::new("http://127.0.0.1:9/v1/", "a-key-of-mine".into(), timeout).unwrap();
        assert_eq!(made.url, "http://127.0.0.1:9/v1/chat/completions");
        assert!(!format!("{made:?}").contains("a-key-of-mine"));
    }
}
