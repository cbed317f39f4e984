//! What follows from what the AI gate said, by how strict it is set.
//!
//! Input: the setting and the situation. Output: what becomes of the decision and of the mode. Invariants: one total
//! table; nothing but a permission or a valid change lets a decision go on; a pair that cannot happen is an error.

use penstock_types::closed_vocabulary;
use penstock_types::vocab::ReasonCode;

closed_vocabulary! {
    /// How strict the gate is: the setting `ai_dec`.
    pub AiDec {
        /// It is off and nothing is asked.
        Off = "0",
        /// A failure blocks the decision.
        Conservative = "1",
        /// A failure blocks the decision and stops entries until a person has looked.
        Mandatory = "2",
    }
}

closed_vocabulary! {
    /// What came of asking.
    pub Situation {
        /// Nothing was asked.
        NotAsked = "not_asked",
        /// No objection.
        Allow = "allow",
        /// An objection.
        Block = "block",
        /// A change that is conservative.
        ModifyValid = "modify_valid",
        /// A change that is not.
        ModifyInvalid = "modify_invalid",
        /// Nothing that can be used.
        Failed = "failed",
        /// The question was not sent, because of us: the mode, the age of the state, or inputs that are none.
        Withheld = "withheld",
    }
}

closed_vocabulary! {
    /// Ways of failing.
    pub GateFailure {
        /// The time was used up.
        Timeout = "timeout",
        /// The request failed, or its status is no success.
        Transport = "transport",
        /// No choice, or no content.
        Empty = "empty",
        /// No JSON.
        Parse = "parse",
        /// JSON of another shape.
        Schema = "schema",
        /// A reason that may not be given.
        UnknownReason = "unknown_reason",
    }
}

impl GateFailure {
    /// Reason code that it is recorded with.
    #[must_use]
    pub const fn reason(self) -> ReasonCode {
        match self {
            Self::Timeout => ReasonCode::AigateTimeout,
            Self::Transport => ReasonCode::AigateHttpError,
            Self::Empty => ReasonCode::AigateEmptyResponse,
            Self::Parse => ReasonCode::AigateParseFail,
            Self::Schema => ReasonCode::AigateSchemaInvalid,
            Self::UnknownReason => ReasonCode::AigateReasonUnknown,
        }
    }
}

/// What becomes of the decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It goes on as it was.
    Continues,
    /// It goes on in its changed form.
    ContinuesModified,
    /// It goes on to risk, which blocks it with the gate's reasons.
    RiskBlocks,
    /// It ends here.
    Blocked,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consequence {
    /// What becomes of the decision.
    pub fate: Fate,
    /// The mode becomes PAUSE, which only the operator ends.
    pub pause: bool,
    /// An alert of the highest severity is raised.
    pub crit_alert: bool,
    /// What the record says of the gate: on or off.
    pub recorded_enabled: bool,
}

/// A setting and a situation that cannot meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "AI gate with ai_dec {ai_dec} cannot be in the situation {situation}; next: report it as a fault of ours"
)]
pub struct ImpossibleSituation {
    /// Setting.
    pub ai_dec: AiDec,
    /// Situation.
    pub situation: Situation,
}

const fn goes(fate: Fate) -> Consequence {
    Consequence { fate, pause: false, crit_alert: false, recorded_enabled: true }
}

/// What follows from a situation under a setting.
///
/// # Errors
/// [`ImpossibleSituation`] when a gate that is off was asked, or one that is on was not.
pub const fn consequence(
    ai_dec: AiDec,
    situation: Situation,
) -> Result<Consequence, ImpossibleSituation> {
    let follows = match (ai_dec, situation) {
        (AiDec::Off, Situation::NotAsked) => {
            Consequence { recorded_enabled: false, ..goes(Fate::Continues) }
        }
        (AiDec::Conservative | AiDec::Mandatory, Situation::Allow) => goes(Fate::Continues),
        (AiDec::Conservative | AiDec::Mandatory, Situation::Block) => goes(Fate::RiskBlocks),
        (AiDec::Conservative | AiDec::Mandatory, Situation::ModifyValid) => {
            goes(Fate::ContinuesModified)
        }
        (AiDec::Conservative, Situation::ModifyInvalid | Situation::Failed)
        // What stopped the question has its own place among the causes of a mode; the provider did not fail.
        | (AiDec::Conservative | AiDec::Mandatory, Situation::Withheld) => goes(Fate::Blocked),
        (AiDec::Mandatory, Situation::ModifyInvalid) => {
            Consequence { pause: true, ..goes(Fate::Blocked) }
        }
        (AiDec::Mandatory, Situation::Failed) => {
            Consequence { pause: true, crit_alert: true, ..goes(Fate::Blocked) }
        }
        (
            AiDec::Off,
            Situation::Allow
            | Situation::Block
            | Situation::ModifyValid
            | Situation::ModifyInvalid
            | Situation::Failed
            | Situation::Withheld,
        )
        | (AiDec::Conservative | AiDec::Mandatory, Situation::NotAsked) => {
            return Err(ImpossibleSituation { ai_dec, situation });
        }
    };
    Ok(follows)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table as a person writes it: fate, pause, alert; a dash cannot happen.
    fn expected(ai_dec: AiDec, situation: Situation) -> &'static str {
        let row = match situation {
            Situation::NotAsked => ["continues, recorded off", "-", "-"],
            Situation::Allow => ["-", "continues", "continues"],
            Situation::Block => ["-", "risk blocks", "risk blocks"],
            Situation::ModifyValid => ["-", "continues modified", "continues modified"],
            Situation::ModifyInvalid => ["-", "blocked", "blocked, pause"],
            Situation::Failed => ["-", "blocked", "blocked, pause, alert"],
            Situation::Withheld => ["-", "blocked", "blocked"],
        };
        match ai_dec {
            AiDec::Off => row[0],
            AiDec::Conservative => row[1],
            AiDec::Mandatory => row[2],
        }
    }

    fn told(of: Result<Consequence, ImpossibleSituation>) -> String {
        let Ok(of) = of else { return "-".to_owned() };
        let fate = match of.fate {
            Fate::Continues => "continues",
            Fate::ContinuesModified => "continues modified",
            Fate::RiskBlocks => "risk blocks",
            Fate::Blocked => "blocked",
        };
        let pause = if of.pause { ", pause" } else { "" };
        let alert = if of.crit_alert { ", alert" } else { "" };
        let off = if of.recorded_enabled { "" } else { ", recorded off" };
        format!("{fate}{pause}{alert}{off}")
    }

    #[test]
    fn every_pair_of_setting_and_situation_has_its_consequence() {
        for ai_dec in AiDec::ALL {
            for situation in Situation::ALL {
                let found = told(consequence(*ai_dec, *situation));
                assert_eq!(found, expected(*ai_dec, *situation), "{ai_dec} {situation}");
            }
        }
    }

    #[test]
    fn every_failure_has_a_reason_of_its_own() {
        let reasons: std::collections::BTreeSet<_> =
            GateFailure::ALL.iter().map(|failure| failure.reason()).collect();
        assert_eq!(reasons.len(), GateFailure::ALL.len());
        assert_eq!(AiDec::parse("2"), Ok(AiDec::Mandatory));
        assert!(AiDec::parse("3").is_err());
    }
}
