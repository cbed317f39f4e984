//! Each criterion flipped alone.
