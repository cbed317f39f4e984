//! The envelope of every REST answer.
//!
//! Input: HTTP status and body. Output: a [`Reply`]. Only status 200 with a body of the API's own
//! shape says anything: every other status comes from something before the API (orders behind a 502
//! have been placed), so it is *unknown*, and so is a body that is cut, empty or HTML. Warnings come
//! along with the result.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::kraken::error_table::{self, ErrorOutcome, Judgement};
use crate::kraken::wire::Text;

/// What a REST answer says.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply<T> {
    /// The API answered with a result.
    Done {
        /// The result.
        result: T,
        /// Warnings that came with it.
        warnings: Vec<String>,
    },
    /// The API refused.
    Refused {
        /// The error texts, joined by `; `.
        text: String,
        /// How the table reads them.
        judgement: Judgement,
    },
    /// Nothing is proven.
    Unknown {
        /// Why.
        reason: UnknownReason,
        /// How the table reads it.
        judgement: Judgement,
    },
}

/// Why an answer proves nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnknownReason {
    /// An error text that is not a refusal, or has no row.
    Text(String),
    /// A status other than 200.
    Status {
        /// The status.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
    /// Status 200 with a body that is not the API's.
    Body {
        /// What is wrong with it.
        reason: String,
        /// The beginning of the body.
        body: String,
    },
    /// No connection, or it was lost before the answer.
    Connection(String),
    /// No answer in time.
    Timeout {
        /// The time that was waited, milliseconds.
        waited_ms: u64,
    },
    /// Neither a result nor an error.
    Empty,
}

impl UnknownReason {
    /// How the text of [`UnknownReason::Timeout`] begins: rows of orders keep the text alone.
    pub const TIMEOUT_WORDS: &'static str = "no answer within";
}

impl core::fmt::Display for UnknownReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "the venue answered {text:?}"),
            Self::Status { status, body } => write!(f, "HTTP status {status}, body {body:?}"),
            Self::Body { reason, body } => write!(f, "unreadable body ({reason}): {body:?}"),
            Self::Connection(text) => write!(f, "no connection: {text}"),
            Self::Timeout { waited_ms } => write!(f, "{} {waited_ms} ms", Self::TIMEOUT_WORDS),
            Self::Empty => f.write_str("neither a result nor an error"),
        }
    }
}

impl<T> Reply<T> {
    /// A transport failure.
    pub fn unknown(reason: UnknownReason) -> Self {
        Self::Unknown { reason, judgement: error_table::TRANSPORT }
    }

    /// The result, if there is one.
    pub fn result(self) -> Option<T> {
        match self {
            Self::Done { result, .. } => Some(result),
            Self::Refused { .. } | Self::Unknown { .. } => None,
        }
    }

    /// How the table reads the answer; `None` for a result.
    pub fn judgement(&self) -> Option<Judgement> {
        match self {
            Self::Done { .. } => None,
            Self::Refused { judgement, .. } | Self::Unknown { judgement, .. } => Some(*judgement),
        }
    }

    /// The same answer with another result.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Reply<U> {
        match self {
            Self::Done { result, warnings } => Reply::Done { result: f(result), warnings },
            Self::Refused { text, judgement } => Reply::Refused { text, judgement },
            Self::Unknown { reason, judgement } => Reply::Unknown { reason, judgement },
        }
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    error: Vec<Text<'a>>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

/// What came back over HTTP, still owned by whoever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestAnswer {
    /// An HTTP answer.
    Body {
        /// Status.
        status: u16,
        /// Body.
        text: String,
    },
    /// No answer.
    Lost(UnknownReason),
}

impl RestAnswer {
    /// The answer as a typed reply; borrows from the body.
    pub fn reply<'a, T: Deserialize<'a>>(&'a self) -> Reply<T> {
        match self {
            Self::Body { status, text } => decode(*status, text),
            Self::Lost(reason) => Reply::unknown(reason.clone()),
        }
    }
}

/// Characters of a foreign body that are kept for the log.
const BODY_CHARS_MAX: usize = 200;

/// Reads an answer.
pub fn decode<'a, T: Deserialize<'a>>(status: u16, body: &'a str) -> Reply<T> {
    let shown = || body.chars().take(BODY_CHARS_MAX).collect::<String>();
    if status != 200 {
        return Reply::unknown(UnknownReason::Status { status, body: shown() });
    }
    let envelope = match serde_json::from_str::<Envelope<'a>>(body) {
        Ok(envelope) => envelope,
        Err(source) => {
            let reason = source.to_string().chars().take(BODY_CHARS_MAX).collect();
            return Reply::unknown(UnknownReason::Body { reason, body: shown() });
        }
    };
    let texts = envelope.error;
    let judgement = error_table::judge_all(texts.iter().map(Text::as_str));
    if let Some(judgement) = judgement.filter(|j| j.outcome != ErrorOutcome::Accepted) {
        let text = texts.iter().map(Text::as_str).collect::<Vec<_>>().join("; ");
        return match judgement.outcome {
            ErrorOutcome::Refused | ErrorOutcome::Expired => Reply::Refused { text, judgement },
            ErrorOutcome::Unknown | ErrorOutcome::Accepted => {
                Reply::Unknown { reason: UnknownReason::Text(text), judgement }
            }
        };
    }
    let Some(raw) = envelope.result else { return Reply::unknown(UnknownReason::Empty) };
    match serde_json::from_str::<T>(raw.get()) {
        Ok(result) => {
            Reply::Done { result, warnings: texts.iter().map(|t| t.to_string()).collect() }
        }
        Err(source) => {
            let reason = source.to_string().chars().take(BODY_CHARS_MAX).collect();
            Reply::unknown(UnknownReason::Body { reason, body: shown() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kraken::rest::private::TokenResult;
    use proptest::prelude::*;

    fn read(status: u16, body: &str) -> Reply<TokenResult<'_>> {
        decode(status, body)
    }

    #[test]
    fn only_the_api_s_own_answer_proves_anything() {
        let unknown = |status, body| matches!(read(status, body), Reply::Unknown { .. });
        for (status, body) in [
            (502, "<html>Bad Gateway</html>"),
            (200, "<html>maintenance</html>"),
            (200, ""),
            (200, r#"{"error":[],"result":{"token":"x""#),
            (200, r#"{"error":[]}"#),
            (200, r#"{"error":[],"result":{"expires":900}}"#),
            (200, r#"{"error":["EService:Busy"]}"#),
            (200, r#"{"error":["EOrder:Never heard of it"]}"#),
            (200, r#"{"error":["EOrder:Insufficient funds","EOdd:Odd"]}"#),
            (429, r#"{"error":["EOrder:Insufficient funds"]}"#),
        ] {
            assert!(unknown(status, body), "{status} {body}");
        }
    }

    #[test]
    fn refusals_and_results_are_told_apart() {
        let body = r#"{"error":["EOrder:Insufficient funds"]}"#;
        assert!(matches!(read(200, body), Reply::Refused { .. }));
        let body = r#"{"error":["WGeneral:Odd"],"result":{"token":"x","expires":900}}"#;
        let Reply::Done { result, warnings } = read(200, body) else { panic!("no result") };
        assert_eq!((result.token.as_str(), warnings.len()), ("x", 1));
    }

    #[test]
    fn a_cut_anywhere_is_unknown() {
        let body = r#"{"error":[],"result":{"token":"x","expires":900}}"#;
        for end in 0..body.len() {
            assert!(matches!(read(200, &body[..end]), Reply::Unknown { .. }), "cut at {end}");
        }
    }

    proptest! {
        #[test]
        fn any_body_is_answered(status in any::<u16>(), body in "\\PC*") {
            let _ = read(status, &body);
        }
    }
}
