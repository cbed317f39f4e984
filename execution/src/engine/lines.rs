//! Lines of the engine's streams as rows.
//!
//! Input: one canonical JSON line of the stream of transitions or of alerts. Output: the row that it becomes.
//! Invariants: any bytes give a row or an error; names become the codes of their vocabularies; the line of an
//! alert is kept to the byte. It reads no file.

use penstock_store_decision::engine_rows::{AlertRow, TransitionRow};
use penstock_types::engine_view::{ClusterState, Direction, EventPhase, FsmState, Tier};
use serde::Deserialize;

/// A line that is none of the engine's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
    /// No JSON of the right shape.
    #[error("a line of the engine's streams is not readable: {0}")]
    Shape(#[from] serde_json::Error),
    /// A kind that no alert has.
    #[error("there is no alert {0:?}")]
    Kind(String),
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum TransitionLine {
    Token {
        tick_id: i64,
        token_id: u16,
        cycle_id: u32,
        from: FsmState,
        to: FsmState,
        edge: String,
        pressure: i32,
        fragile: i32,
        trigger: i32,
        unwind: i32,
        cost: i32,
        tier: Tier,
        reason_bits: u32,
    },
    Cluster {
        tick_id: i64,
        cluster_id: u8,
        from: ClusterState,
        to: ClusterState,
        edge: String,
        reason_bits: u32,
    },
    Phase {
        tick_id: i64,
        cluster_id: u8,
        event_id: String,
        from: EventPhase,
        to: EventPhase,
        edge: String,
    },
}

/// The row of a line of the stream of transitions.
pub(crate) fn transition(line: &str) -> Result<TransitionRow, LineError> {
    let kind = |name: &str| name.to_owned();
    Ok(match serde_json::from_str(line)? {
        TransitionLine::Token {
            tick_id,
            token_id,
            cycle_id,
            from,
            to,
            edge,
            pressure,
            fragile,
            trigger,
            unwind,
            cost,
            tier,
            reason_bits,
        } => TransitionRow {
            tick_id,
            kind: kind("token"),
            subject_id: i32::from(token_id),
            cycle_id: Some(i64::from(cycle_id)),
            event_id: None,
            from_code: i16::from(from.code()),
            to_code: i16::from(to.code()),
            edge,
            pressure: Some(pressure),
            fragile: Some(fragile),
            trigger: Some(trigger),
            unwind: Some(unwind),
            cost: Some(cost),
            tier: Some(i16::from(tier.code())),
            reason_bits: Some(i64::from(reason_bits)),
        },
        TransitionLine::Cluster { tick_id, cluster_id, from, to, edge, reason_bits } => {
            TransitionRow {
                tick_id,
                kind: kind("cluster"),
                subject_id: i32::from(cluster_id),
                from_code: i16::from(from.code()),
                to_code: i16::from(to.code()),
                edge,
                reason_bits: Some(i64::from(reason_bits)),
                ..TransitionRow::default()
            }
        }
        TransitionLine::Phase { tick_id, cluster_id, event_id, from, to, edge } => TransitionRow {
            tick_id,
            kind: kind("phase"),
            subject_id: i32::from(cluster_id),
            event_id: Some(event_id),
            from_code: i16::from(from.code()),
            to_code: i16::from(to.code()),
            edge,
            ..TransitionRow::default()
        },
    })
}

#[derive(Deserialize)]
struct AlertLine {
    alert: AlertBody,
    alert_id: String,
    cluster_id: u8,
    tick_id: i64,
}

#[derive(Deserialize)]
struct AlertBody {
    #[serde(rename = "type")]
    kind: String,
    scope: String,
    confidence: u8,
    token_id: Option<u16>,
    symbol: Option<String>,
    direction: Option<Direction>,
}

/// The row of a line of the stream of alerts, without its `integrity`.
pub(crate) fn alert(line: &str) -> Result<AlertRow, LineError> {
    use penstock_engine::alert::AlertKind;
    let parsed: AlertLine = serde_json::from_str(line)?;
    let body = parsed.alert;
    let known = AlertKind::PUBLICATION.iter().find(|kind| kind.name() == body.kind);
    let Some(kind) = known else { return Err(LineError::Kind(body.kind)) };
    Ok(AlertRow {
        alert_id: parsed.alert_id,
        tick_id: parsed.tick_id,
        kind: i16::from(kind.code()),
        scope: body.scope,
        token_id: body.token_id.map(i32::from),
        cluster_id: i32::from(parsed.cluster_id),
        symbol: body.symbol,
        direction: body.direction.map_or(0, |side| i16::from(side.code())),
        confidence: i16::from(body.confidence),
        payload: line.to_owned(),
        integrity: serde_json::Value::Null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_engine::fsm::Edge;
    use penstock_engine::{EngineConfig, TokenTransition, Transition};
    use penstock_types::engine_view::Scores;
    use proptest::prelude::*;

    #[test]
    fn the_engines_own_line_becomes_its_row() {
        let line = Transition::Token(TokenTransition {
            tick_id: 7_084_972_800,
            token_id: 3,
            cycle_id: 2,
            from: FsmState::Fragile,
            to: FsmState::TriggerReady,
            edge: Edge::Forward,
            scores: Scores { pressure: 1, fragile: 2, trigger: 3, unwind: 4 },
            cost: 5,
            tier: Tier::Overleveraged,
            reason_bits: 7,
        })
        .line(&EngineConfig::default());
        let row = transition(&line).unwrap();
        assert_eq!((row.tick_id, row.subject_id, row.cycle_id), (7_084_972_800, 3, Some(2)));
        assert_eq!((row.from_code, row.to_code, row.tier), (2, 3, Some(3)));
        assert_eq!((row.edge.as_str(), row.kind.as_str()), ("forward", "token"));
        assert_eq!((row.pressure, row.unwind, row.cost), (Some(1), Some(4), Some(5)));
        assert_eq!(row.reason_bits, Some(7));
    }

    #[test]
    fn clusters_phases_and_alerts_become_rows_and_strangers_errors() {
        let cluster = r#"{"cluster_id":1,"edge":"forward","from":"CLUSTER_CALM","kind":"cluster","reason_bits":1,"schema_version":"1.0","tick_id":8,"to":"CLUSTER_HEATING"}"#;
        let row = transition(cluster).unwrap();
        assert_eq!((row.kind.as_str(), row.from_code, row.to_code), ("cluster", 0, 1));
        let phase = r#"{"cluster_id":16,"edge":"collapse","event_id":"E","from":"EVENT_START","kind":"phase","schema_version":"1.0","tick_id":8,"to":"EVENT_MID"}"#;
        let row = transition(phase).unwrap();
        assert_eq!((row.event_id.as_deref(), row.edge.as_str()), (Some("E"), "collapse"));
        let line = r#"{"alert":{"confidence":84,"direction":"SHORT","scope":"TOKEN","symbol":"BTC","token_id":3,"type":"STRUCTURAL_TRIGGER_READY"},"alert_id":"3f99e4ab3473331132a154bcef4661e5","cluster_id":1,"tick_id":9}"#;
        let row = alert(line).unwrap();
        assert_eq!((row.kind, row.direction, row.token_id), (3, 2, Some(3)));
        assert_eq!(row.payload, line);
        let systemic = r#"{"alert":{"affected_tokens":2,"confidence":50,"scope":"CLUSTER","total_tokens":2,"type":"SYSTEMIC_ALERT"},"alert_id":"a","cluster_id":1,"tick_id":9}"#;
        let row = alert(systemic).unwrap();
        assert_eq!((row.kind, row.direction, row.symbol), (5, 0, None));
        let strange = line.replace("STRUCTURAL_TRIGGER_READY", "OTHER");
        assert!(matches!(alert(&strange), Err(LineError::Kind(_))));
        assert!(matches!(transition("{}"), Err(LineError::Shape(_))));
        assert!(transition(&cluster.replace("CLUSTER_CALM", "CALM")).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_a_row_or_an_error(text in ".{0,200}", cut in 0_usize..150) {
            let line = r#"{"cluster_id":1,"edge":"forward","from":"CLUSTER_CALM","kind":"cluster","reason_bits":1,"schema_version":"1.0","tick_id":8,"to":"CLUSTER_HEATING"}"#;
            prop_assert!(transition(&text).is_err() && alert(&text).is_err());
            prop_assert!(transition(&line[..cut.min(line.len() - 1)]).is_err());
        }
    }
}
