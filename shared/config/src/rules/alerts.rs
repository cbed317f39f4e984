//! Purpose: judge the ways out of the machine for alerts. Inputs: values that are each in range. Outputs: problems.
//! Invariants: a pair is whole or not there, for the services that send; a webhook leads to this machine or to a host
//! that is named as allowed. It connects to nothing.

use url::Url;

use super::{env, refuse};
use crate::error::Problem;
use crate::key::Process;
use crate::resolve::Values;
use crate::value::{Value, is_loopback};

/// Judges the keys of alerts together.
pub(super) fn check(process: Process, values: &Values, problems: &mut Vec<Problem>) {
    webhook(values, problems);
    // The tool sends nothing and has no use for the secrets.
    if process == Process::Tool {
        return;
    }
    for [one, other] in [
        ["alert_telegram_chat_id", "alert_telegram_token"],
        ["alert_pushover_token", "alert_pushover_user"],
    ] {
        let (is_one, is_other) = (is_set(values, one), is_set(values, other));
        if is_one != is_other {
            let missing = if is_one { other } else { one };
            let allowed = format!("{} and {}, or neither", env(one), env(other));
            refuse(values, problems, missing, "is the missing half of a pair", &allowed);
        }
    }
    if is_set(values, "alert_webhook_token") && !is_set(values, "alert_webhook_url") {
        let allowed = "ALERT_WEBHOOK_URL set, or no ALERT_WEBHOOK_TOKEN";
        refuse(values, problems, "alert_webhook_url", "is missing for its token", allowed);
    }
}

fn is_set(values: &Values, name: &str) -> bool {
    match values.get(name).map(|resolved| &resolved.value) {
        Some(Value::Text(text)) => !text.is_empty() && text != "off",
        Some(Value::Secret(_)) => true,
        _ => false,
    }
}

fn webhook(values: &Values, problems: &mut Vec<Problem>) {
    let Some(Value::Text(text)) = values.get("alert_webhook_url").map(|r| &r.value) else { return };
    let Ok(url) = Url::parse(text) else { return };
    let hosts = match values.get("alert_webhook_allow_hosts").map(|r| &r.value) {
        Some(Value::List(hosts)) => hosts.as_slice(),
        _ => &[],
    };
    let host = url.host_str().unwrap_or_default();
    let is_web = matches!(url.scheme(), "http" | "https");
    if !is_web {
        refuse(
            values,
            problems,
            "alert_webhook_url",
            "is not an http or https address",
            "https://…",
        );
    } else if !is_loopback(&url) && !hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
    {
        let reason = "leads to a host that ALERT_WEBHOOK_ALLOW_HOSTS does not name";
        refuse(
            values,
            problems,
            "alert_webhook_url",
            reason,
            "this machine, or a host named there",
        );
    }
}
