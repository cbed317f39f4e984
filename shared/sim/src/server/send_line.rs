//! A line of the send log's file: what was handed to a socket, in few bytes.
//!
//! Inputs: entries of the log, lines of its file. Outputs: the same the other way round. Format:
//! `us connection channel symbol first last events ts_us`, then either the best bid, its quantity,
//! the best ask and its quantity in units of the symbol's digits, or nothing. Invariant: a line that
//! was written is read as what it was; anything else is refused. Names hold no spaces.

use crate::socket::Content;
use std::io::Write;

/// A frame that was handed to a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendLine<'a> {
    /// When, µs since the Unix epoch by the venue's steady clock.
    pub us: i64,
    /// Number of the connection.
    pub connection: u64,
    /// Channel as in the counters.
    pub channel: &'a str,
    /// Symbol as the channel's venue writes it.
    pub symbol: &'a str,
    /// Ids, stamp, best prices.
    pub content: Content,
}

impl<'a> SendLine<'a> {
    /// Appends the line with its end.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let Content { first, last, ts_us, top, events } = self.content;
        let (us, connection, channel, symbol) =
            (self.us, self.connection, self.channel, self.symbol);
        write!(out, "{us} {connection} {channel} {symbol} {first} {last} {events} {ts_us}")?;
        if let Some([bid, bid_qty, ask, ask_qty]) = top {
            write!(out, " {bid} {bid_qty} {ask} {ask_qty}")?;
        }
        out.write_all(b"\n")
    }

    /// Reads a line without its end; `None` when it is none.
    #[must_use]
    pub fn parse(line: &'a str) -> Option<SendLine<'a>> {
        let mut words = line.split(' ');
        let us = words.next()?.parse().ok()?;
        let connection = words.next()?.parse().ok()?;
        let channel = words.next().filter(|word| !word.is_empty())?;
        let symbol = words.next().filter(|word| !word.is_empty())?;
        let first = words.next()?.parse().ok()?;
        let last = words.next()?.parse().ok()?;
        let events = words.next()?.parse().ok()?;
        let ts_us = words.next()?.parse().ok()?;
        let mut top = None;
        if let Some(bid) = words.next() {
            let mut number = || words.next()?.parse::<i64>().ok();
            top = Some([bid.parse().ok()?, number()?, number()?, number()?]);
        }
        if words.next().is_some() {
            return None;
        }
        let content = Content { first, last, ts_us, top, events };
        Some(SendLine { us, connection, channel, symbol, content })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(line: &SendLine<'_>) -> String {
        let mut out = Vec::new();
        line.write(&mut out).expect("memory takes everything");
        String::from_utf8(out).expect("text")
    }

    proptest! {
        #[test]
        fn a_written_line_is_read_as_what_it_was(
            us: i64, connection: u64, first: u64, last: u64, ts_us: i64, events: u32,
            channel in "[a-z0-9/@]{1,20}", symbol in "[A-Z0-9/_]{1,20}",
            top in proptest::option::of(proptest::array::uniform4(any::<i64>())),
        ) {
            let content = Content { first, last, ts_us, top, events };
            let line = SendLine { us, connection, channel: &channel, symbol: &symbol, content };
            let text = written(&line);
            let text = text.strip_suffix('\n').expect("a line ends");
            prop_assert_eq!(SendLine::parse(text), Some(line));
        }

        #[test]
        fn any_text_is_a_line_or_none(text in "\\PC{0,80}") {
            if let Some(line) = SendLine::parse(&text) {
                let again = written(&line);
                prop_assert_eq!(SendLine::parse(again.trim_end_matches('\n')), Some(line));
            }
        }
    }

    #[test]
    fn a_cut_line_is_none() {
        let whole = "5 1 book A/B 7 7 2 4 10 1 11 1";
        assert!(SendLine::parse(whole).is_some());
        for cut in ["", "5 1 book A/B 7 7 2", "5 1 book A/B 7 7 2 4 10 1 11", "5 1  A/B 7 7 2 4"] {
            assert_eq!(SendLine::parse(cut), None, "{cut}");
        }
        assert_eq!(SendLine::parse("5 1 book A/B 7 7 2 4 10 1 11 1 "), None);
    }
}
