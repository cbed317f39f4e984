//! The venue's ids: upper-case base 32 in groups of six, five and six behind a letter.
//!
//! Inputs: a seed. Outputs: ids that do not repeat within a run for all practical purposes (80
//! random bits). They are opaque to everyone.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A seeded source of ids.
#[derive(Debug)]
pub(crate) struct IdSource {
    random: ChaCha8Rng,
}

impl IdSource {
    pub(crate) fn new(seed: u64) -> IdSource {
        IdSource { random: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// One id with its first letter (`O` order, `T` trade or amend, `L` ledger entry).
    pub(crate) fn next(&mut self, letter: char) -> String {
        let mut id = String::with_capacity(19);
        id.push(letter);
        for index in 1..17 {
            if index == 6 || index == 11 {
                id.push('-');
            }
            id.push(char::from(ALPHABET[self.random.random_range(0..ALPHABET.len())]));
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_their_groups_and_follow_the_seed() {
        let mut source = IdSource::new(7);
        let id = source.next('O');
        let groups: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(groups, [6, 5, 6]);
        assert!(id.starts_with('O'));
        assert_ne!(source.next('O'), id);
        assert_eq!(IdSource::new(7).next('O'), id);
    }
}
