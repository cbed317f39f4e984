//! What each way of answering has to become, written down without the product.

use penstock_contracts::ai::policy::{Fate, Situation};
use penstock_contracts::vocab::AiVerdict;
use penstock_sim::ai::Behaviour as B;
use penstock_types::vocab::ReasonCode as R;

/// A row.
pub(crate) struct Row {
    pub(crate) behaviour: B,
    pub(crate) verdict: AiVerdict,
    pub(crate) error_code: Option<R>,
    pub(crate) situation: Situation,
}

impl Row {
    /// It never answers.
    pub(crate) fn is_slow(&self) -> bool {
        matches!(self.behaviour, B::Timeout | B::Drip)
    }

    pub(crate) fn fate(&self) -> Fate {
        match self.situation {
            Situation::Allow | Situation::NotAsked => Fate::Continues,
            Situation::ModifyValid => Fate::ContinuesModified,
            Situation::Block => Fate::RiskBlocks,
            Situation::ModifyInvalid | Situation::Failed | Situation::Withheld => Fate::Blocked,
        }
    }

    pub(crate) fn pauses(&self) -> bool {
        matches!(self.situation, Situation::ModifyInvalid | Situation::Failed)
    }

    pub(crate) fn alerts(&self) -> bool {
        self.situation == Situation::Failed
    }
}

const fn passes(behaviour: B) -> Row {
    Row { behaviour, verdict: AiVerdict::Allow, error_code: None, situation: Situation::Allow }
}

const fn blocks(behaviour: B) -> Row {
    Row { behaviour, verdict: AiVerdict::Block, error_code: None, situation: Situation::Block }
}

const fn changes(behaviour: B) -> Row {
    Row {
        behaviour,
        verdict: AiVerdict::Modify,
        error_code: None,
        situation: Situation::ModifyValid,
    }
}

const fn refused(behaviour: B) -> Row {
    Row {
        behaviour,
        verdict: AiVerdict::Modify,
        error_code: Some(R::AigateModifyInvalid),
        situation: Situation::ModifyInvalid,
    }
}

const fn fails(behaviour: B, code: R) -> Row {
    Row {
        behaviour,
        verdict: AiVerdict::Error,
        error_code: Some(code),
        situation: Situation::Failed,
    }
}

pub(crate) const ROWS: &[Row] = &[
    passes(B::Allow),
    blocks(B::Block),
    changes(B::ModifyQty),
    changes(B::ModifyStop),
    changes(B::ModifyTime),
    changes(B::ModifyEntry),
    refused(B::RaiseQty),
    refused(B::RaisePrice),
    refused(B::RaiseKind),
    refused(B::RaiseTtl),
    refused(B::RaiseRepegs),
    refused(B::RaiseFallback),
    refused(B::RaiseSlippage),
    refused(B::RaiseStop),
    refused(B::RaiseTarget),
    refused(B::RaiseTrail),
    refused(B::RaiseTime),
    refused(B::ModifyNull),
    refused(B::ModifyEmpty),
    fails(B::Timeout, R::AigateTimeout),
    fails(B::Drip, R::AigateTimeout),
    fails(B::Reset, R::AigateHttpError),
    fails(B::Http429, R::AigateHttpError),
    fails(B::Http500, R::AigateHttpError),
    fails(B::Redirect, R::AigateHttpError),
    fails(B::EmptyBody, R::AigateEmptyResponse),
    fails(B::NoChoice, R::AigateEmptyResponse),
    fails(B::EmptyContent, R::AigateEmptyResponse),
    fails(B::TruncatedJson, R::AigateParseFail),
    fails(B::TruncatedBody, R::AigateHttpError),
    fails(B::Html, R::AigateParseFail),
    fails(B::NotUtf8, R::AigateParseFail),
    fails(B::Injection, R::AigateParseFail),
    fails(B::ExtraKey, R::AigateSchemaInvalid),
    fails(B::MissingKey, R::AigateSchemaInvalid),
    fails(B::WrongType, R::AigateSchemaInvalid),
    fails(B::UnknownReason, R::AigateReasonUnknown),
    fails(B::ForbiddenReason, R::AigateReasonUnknown),
    fails(B::NineReasons, R::AigateSchemaInvalid),
    fails(B::NoReasons, R::AigateSchemaInvalid),
    fails(B::BlockWithChange, R::AigateSchemaInvalid),
    fails(B::Huge, R::AigateParseFail),
];
