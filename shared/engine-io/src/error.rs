//! Faults: a stable code, where it was met, what was due and what was there.
//!
//! Input: whatever went wrong on the way between files and the engine. Output: a [`Fault`] whose code is the
//! operator's key to the runbook and whose family is the exit status of the tools. It decides nothing.

use penstock_engine::snapshot::SnapshotError;
use penstock_engine::{ConfigError, EngineFault};
use penstock_types::frame::FrameError;
use std::fmt;
use std::path::Path;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal => $exit:literal,)+) => {
        /// Stable code of a fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $variant,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The code as text.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Exit status of the tools: the code's family.
            #[must_use]
            pub const fn exit(self) -> u8 {
                match self {
                    $(Self::$variant => $exit,)+
                }
            }
        }
    };
}

codes! {
    /// The text of a configuration cannot be read.
    CfgParse = "E_CFG_PARSE" => 10,
    /// A configuration value is outside its range.
    CfgRange = "E_CFG_RANGE" => 10,
    /// The schedule of an event cannot be.
    CfgSchedule = "E_CFG_SCHEDULE" => 10,
    /// Tokens or roles cannot be.
    CfgToken = "E_CFG_TOKEN" => 10,
    /// A configuration belongs to another version.
    CfgSchema = "E_CFG_SCHEMA" => 10,
    /// A directory is missing or not writable.
    EnvDir = "E_ENV_DIR" => 11,
    /// The disk is too full.
    EnvDisk = "E_ENV_DISK" => 11,
    /// Another process writes here.
    EnvLock = "E_ENV_LOCK" => 11,
    /// The decision cluster does not answer.
    EnvDb = "E_ENV_DB" => 11,
    /// Files and program are not of the majors that the command needs.
    EnvSchema = "E_ENV_SCHEMA" => 11,
    /// The signing key is not usable.
    EnvKey = "E_ENV_KEY" => 11,
    /// A snapshot does not match its checksum.
    SnapChecksum = "E_SNAP_CHECKSUM" => 12,
    /// A snapshot of another configuration.
    SnapConfig = "E_SNAP_CONFIG" => 12,
    /// A snapshot of other tokens.
    SnapTokens = "E_SNAP_TOKENS" => 12,
    /// A snapshot whose members disagree with their cluster.
    SnapPhase = "E_SNAP_PHASE" => 12,
    /// Logs exist and no snapshot.
    SnapMissing = "E_SNAP_MISSING" => 12,
    /// A snapshot of another version.
    SnapVersion = "E_SNAP_VERSION" => 12,
    /// A snapshot is ahead of the log.
    SnapAheadOfLog = "E_SNAP_AHEAD_OF_LOG" => 12,
    /// The header of a log is wrong.
    LogHeader = "E_LOG_HEADER" => 13,
    /// A log of another version.
    LogVersion = "E_LOG_VERSION" => 13,
    /// A record is wrong before a valid one, or below the snapshot.
    LogCorrupt = "E_LOG_CORRUPT" => 13,
    /// A record does not stand where its tick says.
    LogOffset = "E_LOG_OFFSET" => 13,
    /// A log says more than the journal explains.
    LogAheadOfJournal = "E_LOG_AHEAD_OF_JOURNAL" => 13,
    /// A frame does not continue its chain.
    JrnChain = "E_JRN_CHAIN" => 14,
    /// Frames of the journal are missing.
    JrnGap = "E_JRN_GAP" => 14,
    /// Events out of canonical order.
    FrameOrder = "E_FRAME_ORDER" => 14,
    /// Not the tick that follows.
    FrameTick = "E_FRAME_TICK" => 14,
    /// An event that no binding explains.
    FrameToken = "E_FRAME_TOKEN" => 14,
    /// Bytes that are no frame or quote block.
    FrameCrc = "E_FRAME_CRC" => 14,
    /// More events than a frame may carry.
    FrameOverflow = "E_FRAME_OVERFLOW" => 14,
    /// More missing ticks than are filled.
    GapTooLong = "E_GAP_TOO_LONG" => 14,
    /// Two derivations of the same input differ.
    Determinism = "E_DETERMINISM" => 15,
    /// A file cannot be read or written, or its queue is full.
    Storage = "E_STORAGE" => 16,
    /// A number left its range.
    Arith = "E_ARITH" => 17,
    /// What must hold does not.
    Invariant = "E_INVARIANT" => 17,
    /// A manifest is missing.
    ManMissing = "E_MAN_MISSING" => 18,
    /// A file does not have the hash that the manifest names.
    ManHash = "E_MAN_HASH" => 18,
    /// A root does not follow from the hashes.
    ManRoot = "E_MAN_ROOT" => 18,
    /// A manifest does not continue the chain of days.
    ManChain = "E_MAN_CHAIN" => 18,
    /// A signature does not verify.
    ManSignature = "E_MAN_SIGNATURE" => 18,
    /// A public key is missing or its record is wrong.
    ManKey = "E_MAN_KEY" => 18,
}

impl Code {
    fn of_name(name: &str) -> Self {
        Self::ALL.iter().copied().find(|code| code.name() == name).unwrap_or(Self::Invariant)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What stopped the engine or a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Code.
    pub code: Code,
    /// What was met, and what to do next.
    pub what: String,
    /// File.
    pub file: Option<Box<Path>>,
    /// First byte of the file that is wrong.
    pub offset: Option<u64>,
    /// Tick.
    pub tick: Option<u64>,
    /// Token.
    pub token: Option<u16>,
    /// What was due.
    pub expected: Option<Box<str>>,
    /// What was there.
    pub actual: Option<Box<str>>,
}

impl Fault {
    /// A fault of which only the code and the words are known.
    #[must_use]
    pub fn new(code: Code, what: impl Into<String>) -> Self {
        Self {
            code,
            what: what.into(),
            file: None,
            offset: None,
            tick: None,
            token: None,
            expected: None,
            actual: None,
        }
    }

    /// A failed operation on a file.
    #[must_use]
    pub fn storage(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::new(Code::Storage, format!("failed to {doing}: {error}")).of(path)
    }

    /// In this file.
    #[must_use]
    pub fn of(mut self, path: &Path) -> Self {
        self.file = Some(path.into());
        self
    }

    /// From this byte on.
    #[must_use]
    pub const fn at(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }

    /// In this tick.
    #[must_use]
    pub const fn in_tick(mut self, tick: u64) -> Self {
        self.tick = Some(tick);
        self
    }

    /// Of this token.
    #[must_use]
    pub const fn of_token(mut self, token: u16) -> Self {
        self.token = Some(token);
        self
    }

    /// What was due and what was there.
    #[must_use]
    pub fn differing(mut self, expected: impl fmt::Display, actual: impl fmt::Display) -> Self {
        self.expected = Some(expected.to_string().into());
        self.actual = Some(actual.to_string().into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.what)?;
        if let Some(file) = &self.file {
            write!(f, "; file {}", file.display())?;
        }
        if let Some(offset) = self.offset {
            write!(f, ", byte {offset}")?;
        }
        if let Some(tick) = self.tick {
            write!(f, "; tick {tick}")?;
        }
        if let Some(token) = self.token {
            write!(f, ", token {token}")?;
        }
        if let (Some(expected), Some(actual)) = (&self.expected, &self.actual) {
            write!(f, "; expected {expected}, found {actual}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

impl From<EngineFault> for Fault {
    fn from(fault: EngineFault) -> Self {
        Self::new(Code::of_name(fault.code()), fault.to_string())
    }
}

impl From<ConfigError> for Fault {
    fn from(error: ConfigError) -> Self {
        Self::new(Code::of_name(error.code()), error.to_string())
    }
}

impl From<SnapshotError> for Fault {
    fn from(error: SnapshotError) -> Self {
        Self::new(Code::of_name(error.code()), error.to_string())
    }
}

impl From<FrameError> for Fault {
    fn from(error: FrameError) -> Self {
        Self::new(Code::FrameCrc, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_one_name_each_and_the_exit_of_their_family() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
        for (prefix, exit) in [
            ("E_CFG", 10),
            ("E_ENV", 11),
            ("E_SNAP", 12),
            ("E_LOG", 13),
            ("E_JRN", 14),
            ("E_FRAME", 14),
            ("E_DET", 15),
            ("E_STO", 16),
            ("E_MAN", 18),
        ] {
            let of = |code: &&Code| code.name().starts_with(prefix);
            assert!(Code::ALL.iter().filter(of).all(|code| code.exit() == exit), "{prefix}");
        }
    }

    #[test]
    fn a_fault_of_the_engine_keeps_its_code() {
        let fault = EngineFault::GapTooLong { tick: 9, missing: 8, max: 7 };
        assert_eq!(Fault::from(fault).code, Code::GapTooLong);
        assert_eq!(Fault::from(SnapshotError::Version { got: 1 }).code, Code::SnapVersion);
        let text = Fault::new(Code::LogCorrupt, "a record is wrong")
            .of(Path::new("a/b.bin"))
            .at(64)
            .differing(1, 2)
            .to_string();
        assert_eq!(
            text,
            "E_LOG_CORRUPT: a record is wrong; file a/b.bin, byte 64; expected 1, found 2"
        );
    }
}
