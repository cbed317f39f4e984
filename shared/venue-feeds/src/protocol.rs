//! What a connector asks of the protocol side of a connection.
//!
//! Input: frames, the time, commands. Output: [`Action`]s and whether a frame is data. A session has no
//! input or output of its own, so that all of its behaviour can be tested as a table.

use penstock_venue_net::Stamp;

use crate::session::Action;

/// What has to happen before a socket is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Nothing.
    Now,
    /// A token has to be fetched; it comes as a command.
    AfterToken,
    /// A command has to come.
    AfterCommand,
}

/// The protocol side of one socket; it lives through all of its connections.
pub trait Protocol: Send + Sync + 'static {
    /// What it tells its reader besides data.
    type Notice: Send + 'static;
    /// What its reader may ask of it.
    type Command: Send + 'static;

    /// The socket is open: everything is to be subscribed.
    fn opened(&mut self, at: Stamp);
    /// A frame came. Returns whether it is data for the reader.
    fn frame(&mut self, text: &str, at: Stamp) -> bool;
    /// Takes a command of the reader.
    fn command(&mut self, command: Self::Command, now_ms: i64);
    /// What is due; called every 50 ms.
    fn poll(&mut self, at: Stamp) -> Vec<Action<Self::Notice>>;
    /// Asked before a socket is opened, and again after each command that came meanwhile.
    fn opening(&mut self, _now_ms: i64) -> Opening {
        Opening::Now
    }
    /// The socket is gone.
    fn closed(&mut self, _now_ms: i64) {}
    /// The venue said that it is in maintenance.
    fn is_in_maintenance(&self) -> bool {
        false
    }
}
