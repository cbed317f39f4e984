//! When an order that nobody saw is proven not to exist.
//!
//! Input: its deadline, the newest image of the stream, the start of a whole look by REST. Output: proven or not. Two
//! proofs: (i) an image that was asked for after the deadline and the slack, and whose trades reach back to the
//! order; (ii) a whole look, open, closed and trades, that started after the deadline and the grace, because REST
//! lags. An entry needs both. A reduce order needs the first alone: should it exist after all, it holds the base and
//! the venue refuses the next. A look by REST alone proves nothing. The caller has checked that neither shows it.

use penstock_types::UtcMicros;

use crate::rules::{Rule, holds};

/// After its deadline a request may still be on its way for this long.
pub const DEADLINE_SLACK_MS: i64 = 2_000;

/// An image of the stream that lacks the order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImageSeen {
    /// When it was asked for.
    pub asked: UtcMicros,
    /// Its trades reach back to when the order was written.
    pub reaches_back: bool,
}

/// What is known of an order in doubt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AbsenceInput {
    /// It reduces a position: a stop or a close.
    pub reduces: bool,
    /// From when on the venue refuses its request.
    pub deadline: UtcMicros,
    /// The newest image that lacks it.
    pub image: Option<ImageSeen>,
    /// When the last whole look that lacks it was started.
    pub look_started: Option<UtcMicros>,
    /// Longest lag of REST with its margin, milliseconds.
    pub grace_ms: i64,
}

/// The image alone says that it cannot be there: the first proof.
#[must_use]
pub fn image_proves(input: &AbsenceInput) -> bool {
    let since = input.deadline.plus_millis(DEADLINE_SLACK_MS);
    input.image.is_some_and(|image| image.asked >= since && image.reaches_back)
}

/// The proofs that the order's role needs are complete.
#[must_use]
pub fn is_proven(input: &AbsenceInput) -> bool {
    let since = input.deadline.plus_millis(input.grace_ms);
    let second = input.look_started.is_some_and(|started| started >= since);
    let first_is_enough = input.reduces && holds(Rule::UnprovenStop);
    image_proves(input) && (second || first_is_enough)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: i64) -> UtcMicros {
        UtcMicros::from_millis(ms)
    }

    fn input(reduces: bool) -> AbsenceInput {
        let image = Some(ImageSeen { asked: at(7_000), reaches_back: true });
        let deadline = at(5_000);
        AbsenceInput { reduces, deadline, image, look_started: Some(at(95_000)), grace_ms: 90_000 }
    }

    #[test]
    fn an_entry_needs_both_proofs_and_a_reduce_order_the_image() {
        assert!(is_proven(&input(false)) && is_proven(&input(true)));
        for early in [None, Some(at(94_999))] {
            let one = |reduces| AbsenceInput { look_started: early, ..input(reduces) };
            assert!(!is_proven(&one(false)));
            assert!(is_proven(&one(true)));
        }
    }

    #[test]
    fn a_look_alone_proves_nothing() {
        let images = [
            None,
            Some(ImageSeen { asked: at(6_999), reaches_back: true }),
            Some(ImageSeen { asked: at(7_000), reaches_back: false }),
        ];
        for image in images {
            for reduces in [false, true] {
                assert!(!is_proven(&AbsenceInput { image, ..input(reduces) }), "{image:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_is_proven_before_the_deadline_is_over(
            reduces in any::<bool>(),
            asked in 0_i64..7_000,
            look in prop::option::of(0_i64..200_000),
        ) {
            let image = Some(ImageSeen { asked: at(asked), reaches_back: true });
            let look_started = look.map(at);
            let input = AbsenceInput { image, look_started, ..input(reduces) };
            prop_assert!(!is_proven(&input));
        }
    }
}
