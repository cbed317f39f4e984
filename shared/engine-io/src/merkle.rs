//! Roots over records and segments, and the path that proves one chunk.
//!
//! Input: leaves. Output: a root, or the siblings on the way to it. Invariants: leaves of records, leaves of
//! segments and nodes begin with bytes of their own, so none can be taken for another; an odd node goes up as
//! it is.

use penstock_types::frame::sha256;

/// Bytes of a chunk of records: 1,000 of 64.
pub const CHUNK_LEN: usize = 64_000;

/// A hash.
pub type Hash = [u8; 32];

fn tagged(tag: u8, first: &[u8], second: &[u8]) -> Hash {
    sha256(&[&[tag], first, second].concat())
}

/// Leaf of a chunk of records.
#[must_use]
pub fn chunk_leaf(chunk: &[u8]) -> Hash {
    tagged(2, chunk, &[])
}

/// Leaf of a segment.
#[must_use]
pub fn segment_leaf(token: u16, file_sha256: &Hash) -> Hash {
    tagged(0, &token.to_le_bytes(), file_sha256)
}

/// The next row of the tree.
fn up(row: &[Hash]) -> Vec<Hash> {
    row.chunks(2)
        .map(|pair| match pair {
            [left, right] => tagged(1, left, right),
            [odd, ..] => *odd,
            [] => [0; 32],
        })
        .collect()
}

/// Root of leaves; zero for none.
#[must_use]
pub fn root(leaves: &[Hash]) -> Hash {
    let mut row = leaves.to_vec();
    while row.len() > 1 {
        row = up(&row);
    }
    row.first().copied().unwrap_or([0; 32])
}

/// Leaves of the records behind a log's header.
#[must_use]
pub fn chunk_leaves(records: &[u8]) -> Vec<Hash> {
    records.chunks(CHUNK_LEN).map(chunk_leaf).collect()
}

/// A sibling on the way up, and the side on which it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sibling {
    /// It is hashed first.
    Left(Hash),
    /// It is hashed second.
    Right(Hash),
}

/// The siblings from a leaf to the root; `None` when there is no such leaf.
#[must_use]
pub fn path(leaves: &[Hash], leaf: usize) -> Option<Vec<Sibling>> {
    leaves.get(leaf)?;
    let (mut row, mut at, mut path) = (leaves.to_vec(), leaf, Vec::new());
    while row.len() > 1 {
        if at % 2 == 1 {
            path.push(Sibling::Left(row[at - 1]));
        } else if let Some(right) = row.get(at + 1) {
            path.push(Sibling::Right(*right));
        }
        row = up(&row);
        at /= 2;
    }
    Some(path)
}

/// The root that a leaf and its siblings give.
#[must_use]
pub fn root_of_path(leaf: Hash, path: &[Sibling]) -> Hash {
    path.iter().fold(leaf, |node, sibling| match sibling {
        Sibling::Left(left) => tagged(1, left, &node),
        Sibling::Right(right) => tagged(1, &node, right),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leaf_of_the_known_file_is_the_known_one() {
        let file = "38894b1801b46f4e3799f2e47c8208a2e341360cd4a1d517700155d187e4f436";
        let file: Hash = hex::decode(file).unwrap().try_into().unwrap();
        assert_eq!(
            hex::encode(segment_leaf(3, &file)),
            "87067991cbb3323614d52736b155a65c57c3273255d8052b6c2ddc8d2b7fb1b6"
        );
    }

    #[test]
    fn every_leaf_of_every_tree_proves_itself_and_no_other() {
        assert_eq!(root(&[]), [0; 32]);
        for n in 1..40_u8 {
            let leaves: Vec<Hash> = (0..n).map(|i| chunk_leaf(&[i])).collect();
            let root = root(&leaves);
            for (at, leaf) in leaves.iter().enumerate() {
                let path = path(&leaves, at).unwrap();
                assert_eq!(root_of_path(*leaf, &path), root, "{at} of {n}");
                assert_ne!(root_of_path(chunk_leaf(b"other"), &path), root);
            }
            assert_eq!(path(&leaves, leaves.len()), None);
        }
    }
}
