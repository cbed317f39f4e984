//! The golden record to the byte, and that every flipped bit is seen.

use super::*;
use crate::alert::{Alert, AlertBody, AlertKind, alert_id, confidence};
use proptest::prelude::*;
use std::string::String;
use std::vec::Vec;

pub(crate) fn golden() -> Record {
    Record {
        tick_id: 7_084_972_800,
        token_id: 3,
        liq_imbalance: -7_100,
        fsm_state: FsmState::TriggerReady,
        tier: Tier::Overleveraged,
        cluster_state: ClusterState::Fragile,
        event_phase: EventPhase::Mid,
        flags: TokenFlags::CLUSTER_TICK,
        alert_mask: 0x08,
        direction: Direction::Short,
        scores: Scores { pressure: 523_400, fragile: 771_900, trigger: 602_100, unwind: 12_000 },
        trigger_cost: 228_000,
        trade_delta: -82_003_000,
        oi_velocity: 14_321,
        spread_pct: 60_000,
        mark_vs_mid: 420_000,
    }
}

const GOLDEN: &str = "001b4ca601000000030044e4030302020040080288fc07003cc70b00f42f0900\
                      e02e0000a07a0300c8bb1cfbffffffff f137000060ea0000a0680600852c5eed";

fn golden_bytes() -> [u8; RECORD_LEN] {
    let digits: String = GOLDEN.chars().filter(|c| !c.is_whitespace()).collect();
    let bytes: Vec<u8> = hex::decode(digits).unwrap();
    bytes.try_into().unwrap()
}

#[test]
fn the_golden_record_comes_out_and_goes_back() {
    let bytes = golden().encode();
    assert_eq!(hex::encode(bytes), hex::encode(golden_bytes()));
    assert_eq!(u32::from_le_bytes(bytes[60..].try_into().unwrap()), 0xed5e_2c85);
    assert_eq!(
        hex::encode(penstock_types::frame::sha256(&bytes)),
        "03b6890723a3a1dfaa77a3a6db94db40b1d0fe2c3bec38823307ae6ed4cb5e3d"
    );
    assert_eq!(Record::decode(&bytes), Ok(golden()));
}

#[test]
fn the_golden_payload_and_its_id_come_out() {
    let points = confidence(&[40, 40, 20], 223 * 1_000_000 / 240, 228_000, 800_000).unwrap();
    assert_eq!(points, 84);
    assert_eq!(confidence(&[40, 40, 20], 928_000, 228_000, 800_000), Ok(84));
    let alert = Alert {
        tick_id: 7_084_972_800,
        kind: AlertKind::StructuralTriggerReady,
        cluster_id: 1,
        cluster_state: ClusterState::Fragile,
        event_phase: EventPhase::Mid,
        confidence: points,
        body: AlertBody::Token { record: golden(), effective_cost: 228_000, stable: None },
    };
    let payload = alert.payload("BTC");
    assert_eq!(
        payload,
        concat!(
            r#"{"alert":{"confidence":84,"direction":"SHORT","effective_cost":"22.8000","#,
            r#""fsm_state":"TRIGGER_READY","metrics":{"liquidation_imbalance":"-0.7100","#,
            r#""mark_vs_mid_pct":"0.00420000","oi_velocity":"0.00014321","#,
            r#""spread_pct":"0.00060000","trade_delta":"-8200.3000"},"scope":"TOKEN","#,
            r#""symbol":"BTC","tier":"OVERLEVERAGED","token_id":3,"trigger_cost":"22.8000","#,
            r#""type":"STRUCTURAL_TRIGGER_READY"},"cluster_id":1,"#,
            r#""cluster_state":"CLUSTER_FRAGILE","event_phase":"EVENT_MID","#,
            r#""schema_version":"1.0","tick_id":7084972800,"ts_ms":1771243200000}"#,
        )
    );
    assert_eq!(payload.len(), 526);
    assert_eq!(
        hex::encode(penstock_types::frame::sha256(payload.as_bytes())),
        "3f99e4ab3473331132a154bcef4661e56d31bbc4e06f930512b9d35cbc91d9fc"
    );
    assert_eq!(alert_id(&payload), "3f99e4ab3473331132a154bcef4661e5");
    let with_id = alert.payload_with_id("BTC");
    let canonical = penstock_types::canonical::to_bytes(
        &serde_json::from_str::<serde_json::Value>(&with_id).unwrap(),
    );
    assert_eq!(canonical.unwrap(), with_id.into_bytes());
}

#[test]
fn every_flipped_bit_is_seen() {
    let bytes = golden_bytes();
    for bit in 0..RECORD_LEN * 8 {
        let mut broken = bytes;
        broken[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(Record::decode(&broken), Err(RecordError::Crc { .. })), "bit {bit}");
    }
}

#[test]
fn a_code_without_a_meaning_is_refused_behind_a_valid_crc() {
    for (at, value, field) in [
        (12, 6, "fsm_state"),
        (13, 5, "tier_state"),
        (14, 5, "cluster_state"),
        (15, 5, "event_phase"),
        (18, 0x81, "alert_mask"),
        (19, 3, "direction"),
        (23, 0x7f, "pressure_score"),
        (39, 0x80, "trigger_cost"),
    ] {
        let mut bytes = golden_bytes();
        bytes[at] = value;
        let crc = crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Record::decode(&bytes), Err(RecordError::Range { field }));
    }
}

proptest! {
    #[test]
    fn what_is_accepted_encodes_to_the_same_bytes(
        body in proptest::array::uniform32(any::<u8>()), more in proptest::array::uniform28(any::<u8>()),
        codes in (0_u8..7, 0_u8..6, 0_u8..6, 0_u8..6),
    ) {
        let mut bytes = [0; RECORD_LEN];
        bytes[..32].copy_from_slice(&body);
        bytes[32..60].copy_from_slice(&more);
        (bytes[12], bytes[13], bytes[14], bytes[15]) = codes;
        // Scores of three small bytes, a mask and a side of few bits reach the accepting path often.
        for at in [20, 24, 28, 32, 36] {
            bytes[at + 2] &= 0x0f;
            bytes[at + 3] = 0;
        }
        bytes[18] &= 0x7e;
        bytes[19] &= 3;
        let crc = crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        if let Ok(record) = Record::decode(&bytes) {
            prop_assert_eq!(record.encode(), bytes);
        }
    }
}
