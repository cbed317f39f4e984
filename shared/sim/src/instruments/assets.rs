//! Assets and their three names: socket id, REST code, REST altname.
//!
//! Input: a socket id (`BTC`). Output: the [`Asset`] with the venue's legacy names where it has
//! them. Invariant: an asset outside the tables has one name for all three. It holds no balances.

/// One asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Name on the v2 sockets, `BTC`.
    pub id: String,
    /// REST code, `XXBT`.
    pub code: String,
    /// REST altname, `XBT`.
    pub altname: String,
    /// Fractional digits of a balance.
    pub decimals: u32,
    /// Fractional digits shown to people.
    pub display_decimals: u32,
    /// Whether it is a state's currency.
    pub fiat: bool,
}

/// Crypto assets that carry the `X` prefix on REST.
const LEGACY_CRYPTO: [&str; 12] =
    ["ETH", "XRP", "LTC", "XLM", "XMR", "ETC", "ZEC", "MLN", "REP", "XBT", "XDG", "ICN"];
/// Currencies that carry the `Z` prefix on REST.
const LEGACY_FIAT: [&str; 6] = ["USD", "EUR", "GBP", "CAD", "JPY", "AUD"];

/// The asset with this socket id.
pub fn asset(id: &str) -> Asset {
    let altname = match id {
        "BTC" => "XBT",
        "DOGE" => "XDG",
        other => other,
    };
    let fiat = LEGACY_FIAT.contains(&id) || id == "CHF";
    let code = if LEGACY_FIAT.contains(&altname) {
        format!("Z{altname}")
    } else if LEGACY_CRYPTO.contains(&altname) {
        format!("X{altname}")
    } else {
        altname.to_owned()
    };
    let (decimals, display_decimals) = match (fiat, id) {
        (true, _) => (4, 2),
        (false, "DOGE") => (8, 2),
        (false, _) => (10, 5),
    };
    Asset { id: id.to_owned(), code, altname: altname.to_owned(), decimals, display_decimals, fiat }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legacy_and_plain_names() {
        for (id, code, altname) in [
            ("BTC", "XXBT", "XBT"),
            ("DOGE", "XXDG", "XDG"),
            ("USD", "ZUSD", "USD"),
            ("CHF", "CHF", "CHF"),
            ("SOL", "SOL", "SOL"),
            ("XTZ", "XTZ", "XTZ"),
            ("ZEC", "XZEC", "ZEC"),
        ] {
            let one = asset(id);
            assert_eq!((one.code.as_str(), one.altname.as_str()), (code, altname), "{id}");
        }
    }
}
