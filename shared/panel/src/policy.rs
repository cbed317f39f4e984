//! Which request gets which answer: the whole surface of the panel in one place.
//!
//! Input: method, host names, path and query of a request, as text of anyone. Output: [`Answer`]. Invariants: only GET
//! is ever answered; then only who calls this machine by a loopback name, so that no page of another site reads what is
//! here under a name that it made point to us; then exactly four paths. Pure and total.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Orders that are shown when the request names no number.
pub const ORDERS_DEFAULT: usize = 100;
/// Most orders that are shown.
pub const ORDERS_MAX: usize = penstock_contracts::dashboard::ORDERS_MAX;

/// The page.
pub const DASHBOARD: &str = "/dashboard";
/// The document.
pub const API_DASHBOARD: &str = "/api/dashboard";
/// The orders.
pub const API_ORDERS: &str = "/api/orders";
/// The stream.
pub const API_STREAM: &str = "/api/stream";

/// Why a request is refused or what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The page.
    Page,
    /// The newest document.
    Snapshot,
    /// The newest orders, so many.
    Orders(usize),
    /// The stream of documents.
    Stream,
    /// 400: the number of orders is none.
    BadLimit,
    /// 403: not GET, or another host's name.
    Forbidden,
    /// 404.
    NotFound,
}

/// What of a request decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Method, as it was sent.
    pub method: &'a str,
    /// `Host`, when there is exactly one and it is text.
    pub host: Option<&'a str>,
    /// Host in the target, when it names one.
    pub authority: Option<&'a str>,
    /// Path.
    pub path: &'a str,
    /// Query, without the question mark.
    pub query: Option<&'a str>,
}

/// Judges a request.
#[must_use]
pub fn judge(asked: &Asked<'_>) -> Answer {
    let from_here = asked.host.is_some_and(is_loopback) && asked.authority.is_none_or(is_loopback);
    if asked.method != "GET" || !from_here {
        return Answer::Forbidden;
    }
    match asked.path {
        DASHBOARD => Answer::Page,
        API_DASHBOARD => Answer::Snapshot,
        API_STREAM => Answer::Stream,
        API_ORDERS => limit(asked.query).map_or(Answer::BadLimit, Answer::Orders),
        _ => Answer::NotFound,
    }
}

/// Name of a path in metrics and log: one of the four, else `other`.
#[must_use]
pub fn label(path: &str) -> &'static str {
    let known = [DASHBOARD, API_DASHBOARD, API_ORDERS, API_STREAM];
    known.into_iter().find(|one| *one == path).unwrap_or("other")
}

/// Number of orders: the one parameter `limit`, digits only, within 1 and the most; none for anything else.
fn limit(query: Option<&str>) -> Option<usize> {
    let mut found = None;
    for pair in query.unwrap_or_default().split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if name != "limit" {
            continue;
        }
        let is_number = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
        let number = value.parse::<usize>().ok().filter(|n| (1..=ORDERS_MAX).contains(n));
        if found.is_some() || !is_number || number.is_none() {
            return None;
        }
        found = number;
    }
    Some(found.unwrap_or(ORDERS_DEFAULT))
}

/// A loopback name or address, with a port or without.
fn is_loopback(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, "")) => (name, None),
            Some((name, port)) => match port.strip_prefix(':') {
                Some(port) => (name, Some(port)),
                None => return false,
            },
            None => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    let is_port = |port: &str| {
        !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
    };
    if !port.is_none_or(is_port) {
        return false;
    }
    if host.starts_with('[') {
        return name.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback());
    }
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn ask(path: &str) -> Asked<'_> {
        let (path, query) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q)));
        Asked { method: "GET", host: Some("127.0.0.1:8787"), authority: None, path, query }
    }

    #[rstest]
    #[case("/dashboard", Answer::Page)]
    #[case("/dashboard?x=1", Answer::Page)]
    #[case("/api/dashboard", Answer::Snapshot)]
    #[case("/api/stream", Answer::Stream)]
    #[case("/api/orders", Answer::Orders(100))]
    #[case("/api/orders?", Answer::Orders(100))]
    #[case("/api/orders?limit=1", Answer::Orders(1))]
    #[case("/api/orders?a=b&limit=500", Answer::Orders(500))]
    #[case("/api/orders?limit=0", Answer::BadLimit)]
    #[case("/api/orders?limit=501", Answer::BadLimit)]
    #[case("/api/orders?limit=-1", Answer::BadLimit)]
    #[case("/api/orders?limit=+1", Answer::BadLimit)]
    #[case("/api/orders?limit=x", Answer::BadLimit)]
    #[case("/api/orders?limit=", Answer::BadLimit)]
    #[case("/api/orders?limit", Answer::BadLimit)]
    #[case("/api/orders?limit=%31", Answer::BadLimit)]
    #[case("/api/orders?limit=1&limit=2", Answer::BadLimit)]
    #[case("/api/orders?limit=99999999999999999999999", Answer::BadLimit)]
    #[case("/", Answer::NotFound)]
    #[case("/dashboard/", Answer::NotFound)]
    #[case("/Dashboard", Answer::NotFound)]
    #[case("//dashboard", Answer::NotFound)]
    #[case("/dashboard/../api/orders", Answer::NotFound)]
    #[case("/favicon.ico", Answer::NotFound)]
    #[case("/metrics", Answer::NotFound)]
    #[case("/%64ashboard", Answer::NotFound)]
    fn a_path_has_one_answer(#[case] path: &str, #[case] answer: Answer) {
        assert_eq!(judge(&ask(path)), answer);
    }

    #[rstest]
    #[case("localhost", true)]
    #[case("LOCALHOST:8787", true)]
    #[case("127.0.0.1", true)]
    #[case("127.9.9.9:1", true)]
    #[case("[::1]", true)]
    #[case("[::1]:8787", true)]
    #[case("", false)]
    #[case("localhost:", false)]
    #[case("localhost:x", false)]
    #[case("localhost:99999", false)]
    #[case("localhost.evil.example", false)]
    #[case("evil.example", false)]
    #[case("127.0.0.1.evil.example", false)]
    #[case("127.0.0.1@evil.example", false)]
    #[case("128.0.0.1", false)]
    #[case("[::2]", false)]
    #[case("[::1", false)]
    #[case("[::1]x", false)]
    #[case("::1", false)]
    #[case("2130706433", false)]
    #[case("0177.0.0.1", false)]
    fn a_host_is_this_machine_or_refused(#[case] host: &str, #[case] ours: bool) {
        let asked = Asked { host: Some(host), ..ask("/dashboard") };
        let expected = if ours { Answer::Page } else { Answer::Forbidden };
        assert_eq!(judge(&asked), expected);
        let target = Asked { authority: Some(host), ..ask("/dashboard") };
        assert_eq!(judge(&target), expected);
    }

    #[test]
    fn no_host_at_all_is_refused_and_the_method_comes_first() {
        assert_eq!(judge(&Asked { host: None, ..ask("/dashboard") }), Answer::Forbidden);
        for method in ["HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE", "get", ""] {
            assert_eq!(judge(&Asked { method, ..ask("/nothing") }), Answer::Forbidden, "{method}");
        }
    }

    proptest! {
        /// Whatever is sent: an answer other than a refusal needs GET, a loopback name and one of four paths.
        #[test]
        fn nothing_else_is_answered(
            method in "[A-Za-z]{0,8}", host in ".{0,24}", path in ".{0,32}", query in ".{0,32}",
        ) {
            let asked = Asked {
                method: &method, host: Some(&host), authority: None, path: &path, query: Some(&query),
            };
            let answer = judge(&asked);
            if !matches!(answer, Answer::Forbidden | Answer::NotFound) {
                prop_assert_eq!(&method, "GET");
                prop_assert_ne!(label(&path), "other");
            }
        }

        #[test]
        fn a_number_of_orders_is_within_its_limits(number in any::<i64>()) {
            let path = format!("/api/orders?limit={number}");
            let expected = match usize::try_from(number) {
                Ok(n @ 1..=ORDERS_MAX) => Answer::Orders(n),
                _ => Answer::BadLimit,
            };
            prop_assert_eq!(judge(&ask(&path)), expected);
        }
    }
}
