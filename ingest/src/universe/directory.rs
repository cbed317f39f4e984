//! Which sockets there are: the core knows them by their place, whatever they carry.
//!
//! Input: what has to be carried. Output: a socket of its kind with room, an old one if there is one. A
//! place is never given back and never changes its kind, because rows and gaps bear its name.

use crate::core::feed_input::GroupKind;

/// Kinds of the sockets in the order in which the core learns of them.
#[derive(Debug)]
pub(crate) struct Directory(Vec<GroupKind>);

impl Directory {
    /// One public socket, which carries the first pairs whatever they are.
    pub(crate) fn new() -> Self {
        Self(vec![GroupKind::Public])
    }

    /// Place of a socket of a kind that carries fewer than `max`, the first one or a new one.
    pub(crate) fn with_room(
        &mut self,
        kind: GroupKind,
        max: usize,
        carried: impl Fn(usize) -> usize,
    ) -> usize {
        let of_kind = |(_, one): &(usize, &GroupKind)| **one == kind;
        let mut places = self.0.iter().enumerate().filter(of_kind).map(|(place, _)| place);
        places.find(|place| carried(*place) < max).unwrap_or_else(|| {
            self.0.push(kind);
            self.0.len() - 1
        })
    }

    /// Kind of the socket at a place, and its number among those of its kind.
    pub(crate) fn at(&self, place: usize) -> Option<(GroupKind, usize)> {
        let kind = *self.0.get(place)?;
        Some((kind, self.0.iter().take(place).filter(|one| **one == kind).count()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_two_kinds_share_one_order_and_are_filled_by_themselves() {
        let mut directory = Directory::new();
        let mut loads = [0_usize; 8];
        let mut take = |directory: &mut Directory, kind| {
            let place = directory.with_room(kind, 2, |place| loads[place]);
            loads[place] += 1;
            place
        };
        let kinds = [GroupKind::Public, GroupKind::Level3];
        let places: Vec<usize> =
            kinds.iter().cycle().take(6).map(|kind| take(&mut directory, *kind)).collect();
        assert_eq!(places, [0, 1, 0, 1, 2, 3]);
        assert_eq!(directory.at(2), Some((GroupKind::Public, 1)));
        assert_eq!(directory.at(3), Some((GroupKind::Level3, 1)));
        assert_eq!(directory.at(4), None);
    }
}
