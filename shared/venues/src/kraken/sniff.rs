//! Channel and symbol of a frame without decoding it.
//!
//! Input: the text of a frame. Output: what its first bytes say, in the order in which the venue
//! writes them. It serves the socket's own housekeeping (silence, images that are missing), which
//! needs neither numbers nor correctness of the rest; a frame in any other order gives `None`, and the
//! caller decodes it. It validates nothing.

use super::frame::ChannelKind;

/// What the beginning of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sniffed<'a> {
    /// Its channel.
    pub channel: ChannelKind,
    /// Whether it is an image.
    pub is_snapshot: bool,
    /// Symbol of its first row; rows of one frame share it.
    pub symbol: Option<&'a str>,
}

/// Looks at the beginning of a frame.
pub fn sniff(text: &str) -> Option<Sniffed<'_>> {
    let rest = text.strip_prefix("{\"channel\":\"")?;
    let (word, rest) = rest.split_once('"')?;
    let channel = ChannelKind::from_wire(word)?;
    if channel == ChannelKind::Heartbeat {
        return Some(Sniffed { channel, is_snapshot: false, symbol: None });
    }
    let (is_snapshot, rest) = match rest.strip_prefix(",\"type\":\"update\"") {
        Some(rest) => (false, rest),
        None => (true, rest.strip_prefix(",\"type\":\"snapshot\"")?),
    };
    let symbol = match channel {
        ChannelKind::Book
        | ChannelKind::Level3
        | ChannelKind::Trade
        | ChannelKind::Ticker
        | ChannelKind::Ohlc => Some(symbol_of(rest)?),
        ChannelKind::Status
        | ChannelKind::Heartbeat
        | ChannelKind::Instrument
        | ChannelKind::Executions
        | ChannelKind::Balances => None,
    };
    Some(Sniffed { channel, is_snapshot, symbol })
}

fn symbol_of(rest: &str) -> Option<&str> {
    const KEY: &str = "\"symbol\":\"";
    let at = rest.find(KEY)? + KEY.len();
    let symbol = rest[at..].split('"').next()?;
    (!symbol.contains('\\')).then_some(symbol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_the_venue_are_told_apart() {
        let text =
            r#"{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","bids":[]}]}"#;
        assert_eq!(
            sniff(text),
            Some(Sniffed {
                channel: ChannelKind::Book,
                is_snapshot: true,
                symbol: Some("BTC/USD")
            })
        );
        let text = r#"{"channel":"heartbeat"}"#;
        assert_eq!(sniff(text).map(|s| s.channel), Some(ChannelKind::Heartbeat));
        for text in [
            "",
            r#"{"channel":"news"}"#,
            r#"{"type":"update","channel":"book"}"#,
            r#"{"channel":"book","type":"update","data":[{"symbol":"BTC\/USD"}]}"#,
            r#"{"method":"pong"}"#,
        ] {
            assert_eq!(sniff(text), None, "{text}");
        }
    }
}
