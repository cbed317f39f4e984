//! What each error text of the venue means, as one table.
//!
//! Input: an error text of REST or of the socket. Output: a [`Judgement`]: class, what the text says
//! about an order request, and what to do. Invariants: the table is total, because a text without a
//! row is *unknown*; nothing that is not listed as refused is ever taken for a refusal; the identity
//! row (duplicate ids) goes before everything, and of several matching rows the longest wins. It does
//! not act.

use super::vocabulary::SystemStatus;

/// Class of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// Key or permission.
    Auth,
    /// Nonce out of order.
    Nonce,
    /// Locked out for too many failures.
    AuthRate,
    /// A rate counter is at its ceiling.
    Rate,
    /// A limit on the number of orders.
    Limit,
    /// The venue is busy or unreachable.
    Transient,
    /// The request's own deadline passed.
    Deadline,
    /// The market does not take this now.
    Mode,
    /// Not enough balance.
    Funds,
    /// The request is malformed by the instrument's rules.
    Validation,
    /// Speaks about the identity of an order.
    Identity,
    /// The order or position is not in the expected state.
    State,
    /// Unknown pair or asset.
    Config,
    /// A request that cannot be right.
    Bug,
    /// The session's token is not valid.
    Session,
    /// Not permitted to this account.
    Policy,
    /// A warning.
    Warning,
    /// A text without a row.
    Unlisted,
}

/// What the text says about an order request (add, amend, cancel).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorOutcome {
    /// The engine did not take it: an add is rejected, an amend or cancel left the order as it was.
    Refused,
    /// Nothing is proven: look it up, never send it again.
    Unknown,
    /// Refused by its own deadline.
    Expired,
    /// The result is valid.
    Accepted,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorAction {
    /// Stop trading and alert; no retry.
    StopTrading,
    /// Raise the nonce to the clock, one retry of reads; again: stop.
    RaiseNonce,
    /// No private call for 15 minutes.
    LockOut,
    /// Pause private REST for at least 10 s, then half rate.
    PauseRest,
    /// Wait until this unix second.
    WaitUntil(i64),
    /// No add or amend for the pair until its counter is below one half.
    PausePair,
    /// Drop the intent; alert when it repeats.
    DropIntent,
    /// Reads retry with back-off; order requests are looked up.
    RetryReads,
    /// A new order may follow.
    NewOrderAllowed,
    /// Set the market's mode and plan anew.
    SetMode(SystemStatus),
    /// Refresh balances.
    RefreshBalances,
    /// Refresh instruments and alert: a local check missed it.
    RefreshInstruments,
    /// Look the order up.
    LookUp,
    /// The order would have taken; a new price as a new order.
    Reprice,
    /// Reconcile the symbol.
    Reconcile,
    /// Disable the symbol and refresh instruments.
    DisableSymbol,
    /// Alert.
    Alert,
    /// New token, subscribe again.
    NewToken,
    /// Log.
    Log,
    /// Mark the text once; order requests are looked up, reads retry.
    MarkUnhandled,
}

/// Reading of one error text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Class.
    pub class: ErrorClass,
    /// What it says about an order request.
    pub outcome: ErrorOutcome,
    /// What to do.
    pub action: ErrorAction,
    /// The row that matched; `None` for a text without a row.
    pub row: Option<&'static str>,
}

type Row = (&'static str, ErrorClass, ErrorOutcome, ErrorAction);

use ErrorAction as A;
use ErrorClass as C;
use ErrorOutcome as O;

/// The rows: a row matches when its text is a prefix of the received one (blanks collapsed, case
/// ignored). The venue's documentation and observed traffic are the source.
pub const ROWS: &[Row] = &[
    ("EAPI:Invalid key", C::Auth, O::Refused, A::StopTrading),
    ("EAPI:Invalid signature", C::Auth, O::Refused, A::StopTrading),
    ("EGeneral:Permission denied", C::Auth, O::Refused, A::StopTrading),
    ("EAccount:Invalid permissions", C::Auth, O::Refused, A::StopTrading),
    ("EAuth:Account temporary disabled", C::Auth, O::Refused, A::StopTrading),
    ("EAuth:Account unconfirmed", C::Auth, O::Refused, A::StopTrading),
    ("EAuth:Failed", C::Auth, O::Refused, A::StopTrading),
    ("EAPI:Invalid nonce", C::Nonce, O::Refused, A::RaiseNonce),
    ("EGeneral:Temporary lockout", C::AuthRate, O::Refused, A::LockOut),
    ("EAPI:Rate limit exceeded", C::Rate, O::Refused, A::PauseRest),
    ("EService:Throttled", C::Rate, O::Refused, A::PauseRest),
    ("EOrder:Rate limit exceeded", C::Rate, O::Refused, A::PausePair),
    ("EOrder:Domain rate limit exceeded", C::Rate, O::Refused, A::PausePair),
    ("EOrder:Orders limit exceeded", C::Limit, O::Refused, A::DropIntent),
    ("EOrder:Scheduled orders limit exceeded", C::Limit, O::Refused, A::DropIntent),
    ("EOrder:Positions limit exceeded", C::Limit, O::Refused, A::DropIntent),
    ("EAuth:Rate limit exceeded", C::Rate, O::Refused, A::LockOut),
    ("EAuth:Too many requests", C::Rate, O::Refused, A::LockOut),
    ("EService:Unavailable", C::Transient, O::Unknown, A::RetryReads),
    ("EService:Busy", C::Transient, O::Unknown, A::RetryReads),
    ("EGeneral:Internal error", C::Transient, O::Unknown, A::RetryReads),
    ("EService:Deadline elapsed", C::Deadline, O::Expired, A::NewOrderAllowed),
    (
        "EService:Market in cancel_only mode",
        C::Mode,
        O::Refused,
        A::SetMode(SystemStatus::CancelOnly),
    ),
    ("EService:Market in post_only mode", C::Mode, O::Refused, A::SetMode(SystemStatus::PostOnly)),
    (
        "EService:Market in limit_only mode",
        C::Mode,
        O::Refused,
        A::SetMode(SystemStatus::LimitOnly),
    ),
    ("EOrder:Insufficient funds", C::Funds, O::Refused, A::RefreshBalances),
    ("EOrder:Insufficient margin", C::Funds, O::Refused, A::RefreshBalances),
    ("EOrder:Margin allowance exceeded", C::Funds, O::Refused, A::RefreshBalances),
    ("EOrder:Margin level too low", C::Funds, O::Refused, A::RefreshBalances),
    ("EOrder:Margin position size exceeded", C::Funds, O::Refused, A::RefreshBalances),
    ("EOrder:Cannot open position", C::Funds, O::Refused, A::RefreshBalances),
    ("EOrder:Cannot open opposing position", C::Funds, O::Refused, A::RefreshBalances),
    ("EOrder:Order minimum not met", C::Validation, O::Refused, A::RefreshInstruments),
    ("EOrder:Cost minimum not met", C::Validation, O::Refused, A::RefreshInstruments),
    ("EOrder:Tick size check failed", C::Validation, O::Refused, A::RefreshInstruments),
    ("EOrder:Invalid price", C::Validation, O::Refused, A::RefreshInstruments),
    ("EOrder:Invalid order", C::Validation, O::Refused, A::RefreshInstruments),
    ("EGeneral:Invalid arguments", C::Validation, O::Refused, A::RefreshInstruments),
    ("EOrder:Post only order", C::Validation, O::Refused, A::Reprice),
    ("EOrder:Unknown order", C::State, O::Unknown, A::LookUp),
    ("EOrder:Invalid order id", C::State, O::Unknown, A::LookUp),
    ("EOrder:Unknown position", C::State, O::Refused, A::Reconcile),
    ("EOrder:Reduce only:No position exists", C::State, O::Refused, A::Reconcile),
    ("EOrder:Reduce only:Position is closed", C::State, O::Refused, A::Reconcile),
    ("EOrder:Reduce only:Non-PC", C::State, O::Refused, A::Reconcile),
    ("EQuery:Unknown asset pair", C::Config, O::Refused, A::DisableSymbol),
    ("EQuery:Unknown asset", C::Config, O::Refused, A::DisableSymbol),
    ("Currency pair not supported", C::Config, O::Refused, A::DisableSymbol),
    ("EGeneral:Unknown method", C::Bug, O::Refused, A::Alert),
    ("ETrade:Invalid request", C::Bug, O::Refused, A::Alert),
    ("ESession:Invalid session", C::Session, O::Refused, A::NewToken),
    ("EBM:limit exceeded:CAL", C::Policy, O::Refused, A::Alert),
    ("EFunding:", C::Policy, O::Refused, A::Alert),
    ("W", C::Warning, O::Accepted, A::Log),
];

/// Name of the identity row.
pub const IDENTITY_ROW: &str = "names cl_ord_id or duplicate";
/// Name of the row of the socket's type errors.
pub const FIELD_TYPE_ROW: &str = "<Field> field must be …";

/// The reading of a text that no row lists, and of a missing answer.
pub const UNLISTED: Judgement =
    Judgement { class: C::Unlisted, outcome: O::Unknown, action: A::MarkUnhandled, row: None };

/// What a transport failure means: any status but 200, a body that is not the API's, a lost
/// connection, no answer in time.
pub const TRANSPORT: Judgement = Judgement {
    class: C::Transient,
    outcome: O::Unknown,
    action: A::RetryReads,
    row: Some("transport"),
};

/// Reads one error text.
pub fn judge(text: &str) -> Judgement {
    let text = collapsed(text);
    let lower = text.to_ascii_lowercase();
    if lower.contains("cl_ord_id") || lower.contains("duplicate") {
        return Judgement {
            class: C::Identity,
            outcome: O::Unknown,
            action: A::LookUp,
            row: Some(IDENTITY_ROW),
        };
    }
    let longest =
        ROWS.iter().filter(|(row, ..)| matches_row(row, &text)).max_by_key(|(row, ..)| row.len());
    if let Some((row, class, outcome, action)) = longest {
        return Judgement {
            class: *class,
            outcome: *outcome,
            action: throttled_until(row, &text).unwrap_or(*action),
            row: Some(row),
        };
    }
    if lower.contains(" field must be ") {
        return Judgement {
            class: C::Validation,
            outcome: O::Refused,
            action: A::RefreshInstruments,
            row: Some(FIELD_TYPE_ROW),
        };
    }
    UNLISTED
}

/// Reads all error texts of one answer; `None` when there is none. Warnings alone leave the result
/// valid; of several errors one that is not a refusal makes the whole unknown.
pub fn judge_all<'t>(texts: impl IntoIterator<Item = &'t str>) -> Option<Judgement> {
    let mut held: Option<Judgement> = None;
    for next in texts.into_iter().map(judge) {
        held = Some(match held {
            None => next,
            Some(held) => match (held.outcome, next.outcome) {
                (O::Accepted, _) => next,
                (_, O::Accepted) | (O::Refused, O::Refused) | (O::Unknown, _) => held,
                (O::Refused | O::Expired, O::Unknown) => next,
                // Two errors that do not agree on being a refusal prove nothing.
                (O::Refused, O::Expired) | (O::Expired, O::Refused | O::Expired) => {
                    Judgement { outcome: O::Unknown, action: A::LookUp, ..held }
                }
            },
        });
    }
    held
}

fn matches_row(row: &str, text: &str) -> bool {
    if row == "W" {
        // A warning is `W<Category>:<text>`; a word that begins with W is not.
        let category: &str = text.split(':').next().unwrap_or_default();
        return text.contains(':')
            && category.len() > 1
            && category.starts_with('W')
            && category.bytes().all(|byte| byte.is_ascii_alphabetic());
    }
    text.get(..row.len()).is_some_and(|head| head.eq_ignore_ascii_case(row))
}

fn throttled_until(row: &str, text: &str) -> Option<ErrorAction> {
    if row != "EService:Throttled" {
        return None;
    }
    let unix = text.rsplit(':').next()?.parse().ok()?;
    Some(A::WaitUntil(unix))
}

/// Collapses runs of blanks and drops those beside a colon.
fn collapsed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_ascii_whitespace() {
        if !out.is_empty() && !out.ends_with(':') && !word.starts_with(':') {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_row_is_read_as_itself_in_every_spelling() {
        for (row, class, outcome, action) in ROWS {
            let texts = if *row == "W" {
                vec!["WGeneral:Something".to_owned()]
            } else {
                vec![
                    (*row).to_owned(),
                    row.replacen(':', ": ", 1),
                    row.to_lowercase(),
                    format!("  {row}"),
                    format!("{row}:detail"),
                    row.replace(' ', "  "),
                ]
            };
            for text in texts {
                let got = judge(&text);
                assert_eq!(got.row, Some(*row), "{text:?}");
                assert_eq!((got.class, got.outcome), (*class, *outcome), "{text:?}");
                if *row != "EService:Throttled" {
                    assert_eq!(got.action, *action, "{text:?}");
                }
            }
        }
    }

    #[test]
    fn the_longest_row_wins() {
        assert_eq!(judge("EOrder:Invalid order id").outcome, O::Unknown);
        assert_eq!(judge("EOrder:Invalid order").outcome, O::Refused);
        assert_eq!(judge("EQuery:Unknown asset pair").row, Some("EQuery:Unknown asset pair"));
    }

    #[test]
    fn identity_goes_before_every_refusal() {
        for text in [
            "EGeneral:Invalid arguments:cl_ord_id",
            "EGeneral:Invalid arguments: cl_ord_id must be unique",
            "EOrder:Duplicate order",
            "EOrder:Insufficient funds duplicate",
        ] {
            let got = judge(text);
            assert_eq!((got.class, got.outcome), (C::Identity, O::Unknown), "{text}");
        }
    }

    #[test]
    fn a_throttle_names_its_time() {
        for text in ["EService:Throttled:1771243200", "EService: Throttled: 1771243200"] {
            assert_eq!(judge(text).action, A::WaitUntil(1_771_243_200));
        }
        assert_eq!(judge("EService:Throttled").action, A::PauseRest);
    }

    #[test]
    fn type_errors_of_the_socket_are_refusals() {
        let got = judge("Limit_price field must be a number_float");
        assert_eq!((got.class, got.outcome), (C::Validation, O::Refused));
    }

    #[test]
    fn a_text_without_a_row_is_unknown() {
        for text in ["", "EOrder:Something new", "what", "Wrong", "502 Bad Gateway", "W", "E:"] {
            assert_eq!(judge(text), UNLISTED, "{text:?}");
        }
    }

    #[test]
    fn one_text_that_is_no_refusal_makes_the_answer_unknown() {
        let all = |texts: &[&str]| judge_all(texts.iter().copied()).map(|j| j.outcome);
        assert_eq!(all(&[]), None);
        assert_eq!(all(&["EOrder:Insufficient funds", "EOrder:Odd"]), Some(O::Unknown));
        assert_eq!(all(&["EService:Busy", "EOrder:Insufficient funds"]), Some(O::Unknown));
        assert_eq!(all(&["EOrder:Invalid price", "EService:Deadline elapsed"]), Some(O::Unknown));
        assert_eq!(all(&["WGeneral:Odd", "EOrder:Insufficient funds"]), Some(O::Refused));
        assert_eq!(all(&["WGeneral:Odd"]), Some(O::Accepted));
        assert_eq!(all(&["EOrder:Invalid price", "EOrder:Cost minimum not met"]), Some(O::Refused));
    }

    proptest! {
        #[test]
        fn any_text_is_judged_and_never_refused_without_a_row(text in "\\PC{0,80}") {
            let got = judge(&text);
            if got.row.is_none() {
                prop_assert_eq!(got.outcome, O::Unknown);
            }
        }
    }
}
