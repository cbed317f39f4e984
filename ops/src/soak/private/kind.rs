//! The faults of the private side by their names, and in which order a run goes through them.
//!
//! Inputs: words of the command line, a number. Outputs: kinds with the variant of each. Invariants: the first
//! round meets every kind; a kind that was named alone goes through its variants in turn.

use std::str::FromStr;

/// A row of the matrix of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The connection is cut before and after a send, before and after its answer.
    N2,
    /// A socket is half-open, or says nothing while it lives.
    N3,
    /// REST answers with errors of HTTP, with HTML, with half a document.
    V1,
    /// The market is in a restricted mode, the service busy.
    V2,
    /// Orders are refused, or answered with a text that nobody knows.
    V3,
    /// Nonces, rate limits.
    V4,
    /// Reports are doubled, late, lost.
    V5,
    /// Checksums are wrong.
    V6,
    /// Fills race acknowledgements and cancels; too much is traded; a trade is taken back.
    V7,
    /// An order vanishes from every list and returns.
    V8,
    /// Another hand: an order, a cancelled stop, a deposit, a withdrawal.
    V10,
    /// The decision cluster restarts.
    D2,
    /// Its postmaster is killed.
    D3,
    /// The trading service is killed.
    P1,
    /// Two trading services; the older one resumes after a pause.
    P4,
    /// The panel is attacked.
    J16,
}

impl Kind {
    /// All, in the order of the first round.
    pub(super) const ALL: [Self; 16] = [
        Self::N2,
        Self::N3,
        Self::V1,
        Self::V2,
        Self::V3,
        Self::V4,
        Self::V5,
        Self::V6,
        Self::V7,
        Self::V8,
        Self::V10,
        Self::D2,
        Self::D3,
        Self::P1,
        Self::P4,
        Self::J16,
    ];

    /// Its name.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::N2 => "N2",
            Self::N3 => "N3",
            Self::V1 => "V1",
            Self::V2 => "V2",
            Self::V3 => "V3",
            Self::V4 => "V4",
            Self::V5 => "V5",
            Self::V6 => "V6",
            Self::V7 => "V7",
            Self::V8 => "V8",
            Self::V10 => "V10",
            Self::D2 => "D2",
            Self::D3 => "D3",
            Self::P1 => "P1",
            Self::P4 => "P4",
            Self::J16 => "J16",
        }
    }

    /// It concerns the trading service itself.
    pub(super) const fn is_process(self) -> bool {
        matches!(self, Self::P1 | Self::P4)
    }

    /// How many variants it has.
    pub(super) const fn variants(self) -> usize {
        match self {
            Self::N2 | Self::V2 => 4,
            Self::V3 => 5,
            Self::N3 | Self::V1 | Self::V4 | Self::V5 | Self::V7 | Self::V10 => 3,
            Self::V6 | Self::V8 | Self::D2 | Self::P4 => 2,
            Self::D3 | Self::P1 | Self::J16 => 1,
        }
    }
}

/// A kind, with its variant when one was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(super) kind: Kind,
    pub(super) variant: Option<usize>,
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, variant) = match text.split_once(':') {
            Some((name, variant)) => (name, Some(variant)),
            None => (text, None),
        };
        let all = || Kind::ALL.map(Kind::as_str).join(", ");
        let kind = Kind::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(name));
        let kind = kind.ok_or_else(|| format!("{name} is none of {}", all()))?;
        let variant = variant.map(|text| {
            let number = text.parse().ok().filter(|number| *number < kind.variants());
            number.ok_or_else(|| format!("{name} has variants 0 to {}", kind.variants() - 1))
        });
        Ok(Self { kind, variant: variant.transpose()? })
    }
}

/// What follows the first round: the variants that cost most, then the others.
const SECOND: [(Kind, usize); 8] = [
    (Kind::V10, 1),
    (Kind::N2, 1),
    (Kind::V3, 1),
    (Kind::V7, 1),
    (Kind::V10, 2),
    (Kind::N2, 2),
    (Kind::V7, 2),
    (Kind::V8, 1),
];

/// The fault with a number: of those that were named, else of all.
pub(super) fn turn(wanted: &[Wanted], number: usize) -> (Kind, usize) {
    if wanted.is_empty() {
        let (first, second) = (Kind::ALL.len(), SECOND.len());
        if number < first {
            return (Kind::ALL[number], 0);
        }
        if let Some(named) = SECOND.get(number - first) {
            return *named;
        }
        let kind = Kind::ALL[(number - second) % first];
        return (kind, (number - second) / first % kind.variants());
    }
    let one = wanted[number % wanted.len()];
    let round = number / wanted.len();
    (one.kind, one.variant.unwrap_or(round % one.kind.variants()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_round_meets_every_kind_and_an_hour_the_trade_taken_back() {
        let first: Vec<Kind> = (0..16).map(|number| turn(&[], number).0).collect();
        assert_eq!(first, Kind::ALL);
        let hour: Vec<(Kind, usize)> = (0..23).map(|number| turn(&[], number)).collect();
        assert!(hour.contains(&(Kind::V7, 1)) && hour.contains(&(Kind::V7, 2)));
        for number in 0..200 {
            let (kind, variant) = turn(&[], number);
            assert!(variant < kind.variants(), "{number}");
        }
    }

    #[test]
    fn named_faults_take_turns_and_a_named_variant_stays() {
        let wanted = |text: &str| text.parse::<Wanted>();
        let list = [wanted("n2").unwrap(), wanted("V3:1").unwrap()];
        let turns: Vec<(Kind, usize)> = (0..5).map(|number| turn(&list, number)).collect();
        let expected = [(Kind::N2, 0), (Kind::V3, 1), (Kind::N2, 1), (Kind::V3, 1), (Kind::N2, 2)];
        assert_eq!(turns, expected);
        assert!(wanted("V9").unwrap_err().contains("V10"));
        assert!(wanted("D3:1").unwrap_err().contains("0 to 0"));
        assert!(wanted("V3:x").is_err());
    }
}
