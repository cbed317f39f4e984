//! Words that only the dashboard has in this form.

use penstock_types::closed_vocabulary;
use penstock_types::vocab::Verdict;

closed_vocabulary! {
    /// How far an intent is.
    pub IntentState {
        /// Written, not sent.
        Created = "CREATED",
        /// Sent, its outcome is not known.
        SentUnknown = "SENT_UNKNOWN",
        /// The venue has it or had it.
        Confirmed = "CONFIRMED",
        /// Proven absent.
        NotFound = "NOT_FOUND",
        /// Refused, or never sent.
        FailedTerminal = "FAILED_TERMINAL",
    }
}

closed_vocabulary! {
    /// How well we and the venue agree.
    pub DriftLabel {
        /// No difference.
        Ok = "OK",
        /// Only differences that may still settle.
        Warn = "WARN",
        /// Differences at the limit of DEGRADE or beyond.
        Bad = "BAD",
    }
}

closed_vocabulary! {
    /// How hard the audit trail's writer is pressed.
    pub AuditPressure {
        /// Not at all.
        Ok = "OK",
        /// Above its first mark.
        High = "HIGH",
        /// Above its second.
        Full = "FULL",
    }
}

closed_vocabulary! {
    /// Why the last evaluation sent no order.
    pub NoOrderClass {
        /// It sent one, or there was none yet.
        None = "NONE",
        /// Nothing paid.
        Economic = "ECONOMIC",
        /// Data was missing or old.
        Data = "DATA",
        /// No epoch was attached.
        Attach = "ATTACH",
        /// The mode forbade it.
        Mode = "MODE",
        /// It failed.
        Error = "ERROR",
    }
}

impl From<Verdict> for NoOrderClass {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Executed => Self::None,
            Verdict::EconomicallyEmpty => Self::Economic,
            Verdict::DataBlocked => Self::Data,
            Verdict::AttachBlocked => Self::Attach,
            Verdict::ModeBlocked => Self::Mode,
            Verdict::Error => Self::Error,
        }
    }
}

closed_vocabulary! {
    /// What became of a pair of finalists that move together.
    pub PairAction {
        /// The second of them was no finalist.
        Reject = "REJECT",
    }
}
