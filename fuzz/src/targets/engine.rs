//! Targets of the deterministic engine: a configuration's text, a record, and frames of arbitrary events through whole ticks.

use penstock_engine::config::{Class, InstrumentConfig, Profile, Roles};
use penstock_engine::record::{RECORD_LEN, Record};
use penstock_engine::{Engine, EngineConfig, FrameView};
use penstock_types::frame::{EVENT_LEN, FrameEvent, FrameFlags};
use penstock_types::vocab::Venue;

/// Any 64 bytes are a record that encodes to them, or an error.
pub(super) fn engine_record(bytes: &[u8]) {
    for chunk in bytes.chunks_exact(RECORD_LEN) {
        let mut record = [0; RECORD_LEN];
        record.copy_from_slice(chunk);
        if let Ok(known) = Record::decode(&record) {
            assert_eq!(known.encode(), record, "a record goes round");
        }
        // Behind the CRC: the same bytes with the right one.
        let crc = penstock_types::frame::crc32c(&record[..60]);
        record[60..].copy_from_slice(&crc.to_le_bytes());
        if let Ok(known) = Record::decode(&record) {
            assert_eq!(known.encode(), record, "a record goes round");
        }
    }
}

/// Any text is refused or is the canonical text of a configuration that can be run.
pub(super) fn engine_config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(config) = EngineConfig::parse(text) {
        assert_eq!(config.canonical(), text, "a configuration goes round");
        assert_eq!(config.check(), Ok(()));
    }
}

pub(super) fn config() -> EngineConfig {
    let instrument = |venue, roles, qty_exp| InstrumentConfig {
        venue,
        symbol: "A".to_owned(),
        roles,
        qty_exp,
        multiplier: 1,
        funding_interval_h: 8,
    };
    let main = Roles {
        price_ref: true,
        deriv_primary: true,
        flow: true,
        oi_set: true,
        spot_primary: false,
    };
    let spot = Roles { spot_primary: true, ..Roles::default() };
    let alone = Roles { price_ref: true, flow: true, spot_primary: true, ..Roles::default() };
    let mut config = EngineConfig::default();
    let both =
        vec![instrument(Venue::KrakenFutures, main, 3), instrument(Venue::KrakenSpot, spot, 8)];
    let first = config.token(1, "A", Class::Gma, Profile::Deriv, both);
    let alone = vec![instrument(Venue::KrakenSpot, alone, 8)];
    let second = config.token(2, "B", Class::Hma, Profile::SpotOnly, alone);
    config.tokens = vec![first, second];
    config
}

/// Any events give records that decode, or a fault that stays.
pub(super) fn engine_step(bytes: &[u8]) {
    let mut engine = Engine::new(&config()).expect("the configuration can be run");
    let mut out = engine.output();
    let mut rest = bytes;
    let mut tick_id = 7_084_972_800;
    // Two bytes of flags, one that counts events, the events; then the next tick.
    while let [low, high, n, tail @ ..] = rest {
        let flags = FrameFlags(u16::from_le_bytes([*low, *high]));
        let len = (usize::from(*n) * EVENT_LEN).min(tail.len() / EVENT_LEN * EVENT_LEN);
        let (own, next) = tail.split_at(len);
        let events: Vec<FrameEvent> = own
            .chunks_exact(EVENT_LEN)
            .filter_map(|chunk| FrameEvent::decode(chunk).ok())
            .map(|event| FrameEvent {
                token_id: event.token_id % 3,
                source: event.source % 7,
                ..event
            })
            .collect();
        let frame = FrameView { tick_id, flags, is_gap_fill: false, events: &events };
        if let Err(fault) = engine.step(&frame, &mut out) {
            assert_eq!(
                engine.step(&FrameView::gap(tick_id), &mut out),
                Err(fault),
                "a fault stays"
            );
            return;
        }
        assert_eq!((out.records.len(), out.chain), (2, engine.chain()));
        for record in &out.records {
            let known = Record::decode(record).expect("the engine writes records");
            assert_eq!(known.tick_id, tick_id);
        }
        rest = next;
        tick_id += 1;
    }
}
