//! Why bytes are no snapshot of this configuration.
//!
//! Input: what was met. Output: a value with a stable code. It decides nothing about other snapshots.

/// A snapshot that is not loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Fewer or more bytes than the header announces.
    #[error("snapshot has {got} bytes, {want} are due")]
    Length {
        /// Bytes that are there.
        got: u64,
        /// Bytes that are due, at least.
        want: u64,
    },
    /// A hash or CRC does not match.
    #[error("snapshot does not match its checksum in {part} {index}")]
    Checksum {
        /// Part of the file.
        part: &'static str,
        /// Its number, from 0.
        index: u32,
    },
    /// A layout of another version.
    #[error(
        "snapshot has schema {got:#06x}, this build reads 0x0100; next: use the version that wrote it"
    )]
    Version {
        /// Schema found.
        got: u16,
    },
    /// Written under another configuration.
    #[error(
        "snapshot was written under another configuration; next: start with the one archived under configs/"
    )]
    Config {
        /// SHA-256 in the header.
        got: [u8; 32],
    },
    /// Other tokens or clusters, in another order, than the configuration's.
    #[error("snapshot has {got} where the configuration has {want} in block {index}")]
    Tokens {
        /// Position of the block.
        index: u32,
        /// Id in the snapshot.
        got: u16,
        /// Id in the configuration.
        want: u16,
    },
    /// Members of a cluster disagree about its state or phase.
    #[error("snapshot: token {token} is not in the phase and state of its cluster")]
    Phase {
        /// Token.
        token: u16,
    },
    /// A value that no tick can leave behind.
    #[error("snapshot block of {subject}: {what}")]
    Invariant {
        /// Token or cluster.
        subject: u16,
        /// What is wrong.
        what: &'static str,
    },
}

impl SnapshotError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Length { .. } | Self::Checksum { .. } => "E_SNAP_CHECKSUM",
            Self::Version { .. } => "E_SNAP_VERSION",
            Self::Config { .. } => "E_SNAP_CONFIG",
            Self::Tokens { .. } => "E_SNAP_TOKENS",
            Self::Phase { .. } => "E_SNAP_PHASE",
            Self::Invariant { .. } => "E_INVARIANT",
        }
    }
}
