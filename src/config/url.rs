//! The address of the Web API.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::fault::shown;
use super::token::Problem;

const EXPECTED: &str = "an address such as \"https://slack.com/api/\" (http:// only for this machine: localhost, 127.0.0.1 or [::1])";

/// `text` with a slash at its end, if the runtime may send tokens there.
pub(super) fn checked(text: &str) -> Result<String, Problem> {
    // These parts may hold secrets, so they are looked for first and never shown.
    if text.contains('@') {
        return Err(Problem::new("holds a user name or a password", EXPECTED));
    }
    if text.contains(['?', '#']) {
        return Err(Problem::new("holds a query or a fragment", EXPECTED));
    }
    let problem = |why: &str| Problem::new(format!("is {}, {why}", shown(text)), EXPECTED);
    let (scheme, rest) = text
        .split_once("://")
        .ok_or_else(|| problem("which has no scheme"))?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) =
        host_and_port(authority).ok_or_else(|| problem("which has no valid host"))?;
    if port.is_some_and(|port| port.parse::<u16>().unwrap_or(0) == 0) {
        return Err(problem("whose port is not between 1 and 65535"));
    }
    let is_path = |c: char| c.is_ascii_alphanumeric() || "/-._~%!$&'()*+,;=:".contains(c);
    if !path.chars().all(is_path) {
        return Err(problem(
            "whose path holds a character that is not allowed there",
        ));
    }
    match scheme {
        "https" => {}
        "http" if is_loopback(host) => {}
        "http" => {
            return Err(problem(
                "which would send tokens unencrypted to another machine",
            ));
        }
        _ => return Err(problem("whose scheme is neither https nor http")),
    }
    let slash = if text.ends_with('/') { "" } else { "/" };
    Ok(format!("{text}{slash}"))
}

/// Host (with the brackets of an IPv6 address) and port, if the host is well-formed.
fn host_and_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if authority.starts_with('[') {
        let (inner, after) = authority.strip_prefix('[')?.split_once(']')?;
        inner.parse::<Ipv6Addr>().ok()?;
        return match after {
            "" => Some((authority, None)),
            _ => Some((
                authority.strip_suffix(after)?,
                Some(after.strip_prefix(':')?),
            )),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    host.split('.').all(is_label).then_some((host, port))
}

/// Whether `host` can only be this machine. Other spellings of such an address are not recognised, on purpose.
fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
        || bare.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback())
}
