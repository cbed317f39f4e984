//! Client order ids: `UUIDv8` that carries time, counter, fencing token and a keyed check.
//!
//! Purpose: recognise our own orders at the venue without any row, and let the fence reach as far as
//! the venue's reports. Input: the installation's salt, wall clock as an argument, the session's
//! token. Output: ids in increasing order, and the origin of an id that came back. Invariants: the
//! time inside never goes backward within a generator; a counter that is used up makes the caller
//! wait for the next millisecond. It deliberately does not know rows, and reads no clock.
//!
//! ```text
//! octet  0..5  unix_ms (48 bit, big endian)
//!        6..7  version 8 (4 bit), counter (12 bit)
//!        8..9  variant 10 (2 bit), zero (14 bit)
//!       10..13 fencing token (32 bit)
//!       14..15 check: first 16 bits of HMAC-SHA-256(salt, octets 0..13)
//! text         TTTTTTTT-TTTT-8CCC-8000-FFFFFFFFKKKK
//! ```

use crate::{FencingToken, Uuid};
use alloc::string::String;
use core::fmt;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Greatest counter within one millisecond (12 bits).
pub const COUNTER_MAX: u16 = 4_095;
/// Greatest time that fits into 48 bits.
pub const UNIX_MS_MAX: i64 = (1 << 48) - 1;

/// The installation's secret: 32 random bytes, made once at the first start.
#[derive(Clone, PartialEq, Eq)]
pub struct OrderIdSalt(pub [u8; 32]);

impl fmt::Debug for OrderIdSalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OrderIdSalt(..)")
    }
}

/// An id of an order of ours, as made by [`ClOrdIdGenerator`] or recognised by [`recognise`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClOrdId(Uuid);

impl ClOrdId {
    /// The id as the column's type.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }

    /// Wall clock in the id, milliseconds since the epoch.
    #[must_use]
    pub fn unix_ms(self) -> i64 {
        let b = self.0.as_bytes();
        b[..6].iter().fold(0_i64, |ms, byte| (ms << 8) | i64::from(*byte))
    }

    /// Number within its millisecond.
    #[must_use]
    pub fn counter(self) -> u16 {
        let b = self.0.as_bytes();
        (u16::from(b[6] & 0x0f) << 8) | u16::from(b[7])
    }

    /// Fencing token of the session that inserted the row.
    #[must_use]
    pub fn token(self) -> FencingToken {
        let b = self.0.as_bytes();
        FencingToken(i64::from(u32::from_be_bytes([b[10], b[11], b[12], b[13]])))
    }

    /// 36 characters in lower case with hyphens: the form that is sent and logged.
    #[must_use]
    pub fn text(self) -> String {
        alloc::format!("{}", self.0.as_hyphenated())
    }
}

impl fmt::Display for ClOrdId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_hyphenated())
    }
}

impl fmt::Debug for ClOrdId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClOrdId({})", self.0.as_hyphenated())
    }
}

impl serde::Serialize for ClOrdId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where an order that the venue reports came from, judged by its id alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Made by this installation; the id tells by which session.
    Ours(ClOrdId),
    /// No id, another form, or a check that does not hold: by hand, another program, another
    /// installation.
    Foreign,
}

/// What the token of one of our orders says about its sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenAge {
    /// A session before this one.
    Predecessor,
    /// This session.
    Mine,
    /// A newer session trades: we are fenced out.
    Successor,
}

impl TokenAge {
    /// Compares an order's token with the session's own.
    #[must_use]
    pub fn of(order: FencingToken, mine: FencingToken) -> Self {
        match order.cmp(&mine) {
            core::cmp::Ordering::Less => Self::Predecessor,
            core::cmp::Ordering::Equal => Self::Mine,
            core::cmp::Ordering::Greater => Self::Successor,
        }
    }
}

/// Judges a client order id as the venue reports it; 36 characters with hyphens and 32 hex digits are
/// understood, in either case.
#[must_use]
pub fn recognise(salt: &OrderIdSalt, text: Option<&str>) -> Origin {
    let Some(text) = text.filter(|t| t.len() == 36 || t.len() == 32) else {
        return Origin::Foreign;
    };
    match Uuid::try_parse(text) {
        Ok(id) => recognise_uuid(salt, id),
        Err(_) => Origin::Foreign,
    }
}

/// As [`recognise`], for an id that is already a uuid.
#[must_use]
pub fn recognise_uuid(salt: &OrderIdSalt, id: Uuid) -> Origin {
    let b = id.as_bytes();
    let shape = b[6] >> 4 == 8 && b[8] == 0x80 && b[9] == 0;
    let mut head = [0_u8; 14];
    head.copy_from_slice(&b[..14]);
    if shape && check_of(keyed(salt), &head) == [b[14], b[15]] {
        Origin::Ours(ClOrdId(id))
    } else {
        Origin::Foreign
    }
}

fn keyed(salt: &OrderIdSalt) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(&salt.0).expect("HMAC takes a key of any length, here 32 bytes")
}

fn check_of(mut mac: Hmac<Sha256>, head: &[u8; 14]) -> [u8; 2] {
    mac.update(head);
    let tag = mac.finalize().into_bytes();
    [tag[0], tag[1]]
}

/// Why an id could not be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ClOrdIdError {
    /// The token is no positive number of 32 bits.
    #[error("fencing token {0} does not fit into a client order id, range 1..=4294967295")]
    Token(i64),
    /// The clock is before 1970 or beyond 48 bits.
    #[error("wall clock {0} ms does not fit into a client order id, range 0..=281474976710655")]
    Clock(i64),
    /// All 4,096 ids of this millisecond are used: ask again when the clock reaches the next one.
    #[error("all 4096 client order ids of millisecond {unix_ms} are used; next: wait for the next")]
    Wait {
        /// The millisecond that is used up.
        unix_ms: i64,
    },
}

/// Makes ids of one session in strictly increasing order.
#[derive(Clone)]
pub struct ClOrdIdGenerator {
    /// Keyed once: the key schedule is half of the work of an id.
    mac: Hmac<Sha256>,
    token: u32,
    last: Option<(i64, u16)>,
}

impl fmt::Debug for ClOrdIdGenerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClOrdIdGenerator")
            .field("token", &self.token)
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

impl ClOrdIdGenerator {
    /// A generator for the session that holds `token`.
    ///
    /// # Errors
    /// [`ClOrdIdError::Token`] when the token is below 1 or beyond 32 bits.
    pub fn new(salt: &OrderIdSalt, token: FencingToken) -> Result<Self, ClOrdIdError> {
        match u32::try_from(token.0) {
            Ok(t) if t > 0 => Ok(Self { mac: keyed(salt), token: t, last: None }),
            Ok(_) | Err(_) => Err(ClOrdIdError::Token(token.0)),
        }
    }

    /// The next id at `unix_ms`; a clock that went back is held at the last id's time.
    ///
    /// # Errors
    /// [`ClOrdIdError::Wait`] when the millisecond is used up, [`ClOrdIdError::Clock`] outside 48 bits.
    pub fn next(&mut self, unix_ms: i64) -> Result<ClOrdId, ClOrdIdError> {
        if !(0..=UNIX_MS_MAX).contains(&unix_ms) {
            return Err(ClOrdIdError::Clock(unix_ms));
        }
        let (ms, counter) = match self.last {
            Some((last_ms, last)) if unix_ms <= last_ms => {
                if last >= COUNTER_MAX {
                    return Err(ClOrdIdError::Wait { unix_ms: last_ms });
                }
                (last_ms, last + 1)
            }
            Some(_) | None => (unix_ms, 0),
        };
        self.last = Some((ms, counter));
        Ok(compose(self.mac.clone(), self.token, ms, counter))
    }
}

fn compose(mac: Hmac<Sha256>, token: u32, unix_ms: i64, counter: u16) -> ClOrdId {
    let mut bytes = [0_u8; 16];
    bytes[..6].copy_from_slice(&unix_ms.to_be_bytes()[2..]);
    bytes[6..8].copy_from_slice(&(0x8000 | counter).to_be_bytes());
    bytes[8] = 0x80;
    bytes[10..14].copy_from_slice(&token.to_be_bytes());
    let mut head = [0_u8; 14];
    head.copy_from_slice(&bytes[..14]);
    bytes[14..].copy_from_slice(&check_of(mac, &head));
    ClOrdId(Uuid::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    fn salt() -> OrderIdSalt {
        let mut bytes = [0_u8; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::try_from(i).unwrap();
        }
        OrderIdSalt(bytes)
    }

    #[test]
    fn the_published_vector_holds_and_is_recognised_in_both_forms() {
        // given the fifth id of a millisecond under token 42
        let mut generator = ClOrdIdGenerator::new(&salt(), FencingToken(42)).unwrap();
        let mut id = generator.next(1_771_243_200_012).unwrap();
        // when five more follow
        for _ in 0..5 {
            id = generator.next(1_771_243_200_012).unwrap();
        }
        // then text, parts and origin are those of the layout
        assert_eq!(id.to_string(), "019c6652-5e0c-8005-8000-0000002a944f");
        assert_eq!((id.unix_ms(), id.counter()), (1_771_243_200_012, 5));
        assert_eq!(id.token(), FencingToken(42));
        for text in [
            "019c6652-5e0c-8005-8000-0000002a944f",
            "019C6652-5E0C-8005-8000-0000002A944F",
            "019c66525e0c800580000000002a944f",
        ] {
            assert_eq!(recognise(&salt(), Some(text)), Origin::Ours(id), "{text}");
        }
    }

    #[test]
    fn a_million_ids_are_in_order_and_wait_at_a_full_millisecond() {
        let mut generator = ClOrdIdGenerator::new(&salt(), FencingToken(7)).unwrap();
        let mut clock = 1_771_243_200_000_i64;
        let mut last: Option<ClOrdId> = None;
        let mut waits = 0_u32;
        let mut made = 0_u32;
        while made < 1_000_000 {
            match generator.next(clock) {
                Ok(id) => {
                    assert!(last.is_none_or(|l| l < id), "{last:?} then {id}");
                    last = Some(id);
                    made += 1;
                }
                Err(ClOrdIdError::Wait { unix_ms }) => {
                    assert_eq!(unix_ms, clock);
                    waits += 1;
                    clock += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(waits, 1_000_000 / 4_096);
    }

    #[test]
    fn a_clock_that_goes_back_keeps_the_last_time() {
        let mut generator = ClOrdIdGenerator::new(&salt(), FencingToken(7)).unwrap();
        let first = generator.next(2_000).unwrap();
        let second = generator.next(1_000).unwrap();
        assert_eq!((second.unix_ms(), second.counter()), (2_000, 1));
        assert!(first < second);
        assert_eq!(generator.next(-1), Err(ClOrdIdError::Clock(-1)));
    }

    #[test]
    fn strangers_are_foreign() {
        let own = "019c6652-5e0c-8005-8000-0000002a944f";
        assert_eq!(recognise(&salt(), None), Origin::Foreign);
        for text in [
            "",
            "my-order",
            "019c6652-5e0c-7005-8000-0000002a944f",
            "019c6652-5e0c-8005-8001-0000002a944f",
            "019c6652-5e0c-8005-c000-0000002a944f",
            "019c6652-5e0c-8005-8000-0000002a9450",
            "{019c6652-5e0c-8005-8000-0000002a944f}",
        ] {
            assert_eq!(recognise(&salt(), Some(text)), Origin::Foreign, "{text}");
        }
        let other = OrderIdSalt([9; 32]);
        assert_eq!(recognise(&other, Some(own)), Origin::Foreign);
    }

    #[test]
    fn tokens_tell_predecessor_self_and_successor() {
        let mine = FencingToken(42);
        assert_eq!(TokenAge::of(FencingToken(41), mine), TokenAge::Predecessor);
        assert_eq!(TokenAge::of(FencingToken(42), mine), TokenAge::Mine);
        assert_eq!(TokenAge::of(FencingToken(43), mine), TokenAge::Successor);
        for bad in [0, -1, 1 << 33] {
            assert!(ClOrdIdGenerator::new(&salt(), FencingToken(bad)).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_flipped_bit_makes_an_id_foreign_or_another_id(bit in 0_usize..128) {
            let id = compose(keyed(&salt()), 42, 1_771_243_200_012, 5);
            let mut bytes = *id.uuid().as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(recognise_uuid(&salt(), Uuid::from_bytes(bytes)), Origin::Foreign);
        }

        #[test]
        fn any_text_is_judged_without_a_panic(text in "\\PC{0,40}") {
            prop_assert_eq!(recognise(&salt(), Some(&text)), Origin::Foreign);
        }

        #[test]
        fn parts_go_round(ms in 0_i64..=UNIX_MS_MAX, counter in 0_u16..=COUNTER_MAX, token in 1_u32..) {
            let id = compose(keyed(&salt()), token, ms, counter);
            prop_assert_eq!(id.unix_ms(), ms);
            prop_assert_eq!(id.counter(), counter);
            prop_assert_eq!(id.token(), FencingToken(i64::from(token)));
            prop_assert_eq!(recognise_uuid(&salt(), id.uuid()), Origin::Ours(id));
        }
    }
}
