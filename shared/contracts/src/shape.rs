//! Shape of a contract: what its JSON looks like, written down once, beside the fields.
//!
//! Input: the fields of a contract. Output: the struct, strict reading and writing of it, and its part of a JSON
//! schema. Invariants: every field is present in a document, one without a value as `null`, so that a hash has a fixed
//! shape; no other field is accepted; a number with a fraction has no [`Shape`], so that a contract which holds one does
//! not compile:
//!
//! ```compile_fail
//! fn shape<T: penstock_contracts::shape::Shape>() {}
//! shape::<f64>();
//! ```
//!
//! ```
//! fn shape<T: penstock_contracts::shape::Shape>() {}
//! shape::<Vec<Option<i32>>>();
//! ```

use crate::amount::DecStr;
use crate::units::{Bps, DecisionId, HashOrEmpty, Hex16, Hex64, PctX10000, TsMs, X10000};
use crate::vocab as own;
use penstock_types::canonical::INTEGER_MAX;
use penstock_types::{
    EpochId, EvaluationId, GenerationId, LineageId, PositionId, RunId, SnapshotId, Symbol, vocab,
};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

/// A type of a contract's field.
pub trait Shape {
    /// JSON schema of its values.
    fn shape() -> Value;
}

/// Reads a field that has to be there, a missing one included among the errors even if it may be `null`.
pub(crate) fn present<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer)
}

/// Schema of an object with exactly these fields: name, what it means, schema.
pub(crate) fn object(about: &str, fields: Vec<(&str, &str, Value)>) -> Value {
    let names: Vec<&str> = fields.iter().map(|(name, ..)| *name).collect();
    let properties: Map<String, Value> = fields
        .iter()
        .map(|(name, meaning, shape)| {
            let mut shape = shape.clone();
            if let Some(shape) = shape.as_object_mut() {
                shape.insert("description".to_owned(), Value::from(meaning.trim()));
            }
            ((*name).to_owned(), shape)
        })
        .collect();
    json!({
        "type": "object",
        "description": about.trim(),
        "properties": properties,
        "required": names,
        "additionalProperties": false,
    })
}

fn integer(least: i64, greatest: i64) -> Value {
    json!({"type": "integer", "minimum": least, "maximum": greatest})
}

impl Shape for bool {
    fn shape() -> Value {
        json!({"type": "boolean"})
    }
}

impl Shape for i32 {
    fn shape() -> Value {
        integer(i64::from(i32::MIN), i64::from(i32::MAX))
    }
}

impl Shape for i64 {
    fn shape() -> Value {
        integer(-INTEGER_MAX, INTEGER_MAX)
    }
}

impl Shape for String {
    fn shape() -> Value {
        json!({"type": "string"})
    }
}

impl Shape for Symbol {
    fn shape() -> Value {
        json!({"type": "string", "pattern": "^[!-~]{1,32}$"})
    }
}

impl Shape for LineageId {
    fn shape() -> Value {
        json!({"type": "string", "format": "uuid"})
    }
}

impl Shape for DecStr {
    fn shape() -> Value {
        json!({"type": "string", "pattern": "^-?(0|[1-9][0-9]*)(\\.[0-9]+)?$"})
    }
}

impl Shape for HashOrEmpty {
    fn shape() -> Value {
        json!({"type": "string", "pattern": "^([0-9a-f]{64})?$"})
    }
}

impl<T: Shape> Shape for Vec<T> {
    fn shape() -> Value {
        json!({"type": "array", "items": T::shape()})
    }
}

impl<T: Shape> Shape for Option<T> {
    fn shape() -> Value {
        json!({"anyOf": [T::shape(), {"type": "null"}]})
    }
}

macro_rules! integers {
    ($($name:ty = $greatest:expr, $least:expr;)+) => {
        $(impl Shape for $name {
            fn shape() -> Value {
                integer($least, $greatest)
            }
        })+
    };
}

integers! {
    Bps = i64::from(i32::MAX), i64::from(i32::MIN);
    X10000 = i64::from(i32::MAX), i64::from(i32::MIN);
    PctX10000 = i64::from(i32::MAX), i64::from(i32::MIN);
    TsMs = INTEGER_MAX, 0;
    RunId = INTEGER_MAX, 0;
    EpochId = INTEGER_MAX, 0;
    SnapshotId = INTEGER_MAX, 0;
    GenerationId = INTEGER_MAX, 0;
    EvaluationId = INTEGER_MAX, 0;
    PositionId = INTEGER_MAX, 0;
}

macro_rules! patterns {
    ($($name:ty),+) => {
        $(impl Shape for $name {
            fn shape() -> Value {
                json!({"type": "string", "pattern": <$name>::PATTERN})
            }
        })+
    };
}

patterns!(Hex64, Hex16, DecisionId);

macro_rules! words {
    ($($name:ty),+ $(,)?) => {
        $(impl Shape for $name {
            fn shape() -> Value {
                let words: Vec<&str> = <$name>::ALL.iter().map(|word| word.as_str()).collect();
                json!({"type": "string", "enum": words})
            }
        })+
    };
}

words!(
    own::Mode,
    own::Side,
    own::Intent,
    own::Route,
    own::EntryKind,
    own::TimeInForce,
    own::FallbackKind,
    own::ProtectionKind,
    own::QuantizationPolicy,
    own::AiVerdict,
    own::RiskVerdictType,
    own::RegimeLabel,
    own::FeeSource,
    own::Timeframe,
    crate::alert::AlertSource,
    crate::dashboard::AuditPressure,
    crate::dashboard::DriftLabel,
    crate::dashboard::IntentState,
    crate::dashboard::NoOrderClass,
    crate::dashboard::PairAction,
    vocab::Regime,
    vocab::RegimeSub,
    vocab::SafetyMode,
    vocab::Strategy,
    vocab::Horizon,
    vocab::ExitPolicy,
    vocab::QueueDecision,
    vocab::OrderRole,
    vocab::OrderState,
    vocab::OrderType,
    vocab::StageName,
    vocab::ReasonCode,
    vocab::Severity,
    vocab::SysMode,
);

/// Defines a contract: a struct that is read strictly and written with every field, and its [`Shape`].
macro_rules! contract {
    ($(#[doc = $about:literal])+ pub $name:ident {
        $($(#[doc = $meaning:literal])+ $field:ident: $type:ty,)+
    }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $(
                $(#[doc = $meaning])+
                #[serde(deserialize_with = "crate::shape::present")]
                pub $field: $type,
            )+
        }

        impl crate::shape::Shape for $name {
            fn shape() -> serde_json::Value {
                crate::shape::object(concat!($($about),+), vec![
                    $((
                        stringify!($field),
                        concat!($($meaning),+),
                        <$type as crate::shape::Shape>::shape(),
                    ),)+
                ])
            }
        }
    };
}

pub(crate) use contract;
