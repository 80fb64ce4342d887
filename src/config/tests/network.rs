//! What `[network]` and the variables of proxies say.

use std::time::Duration;

use super::*;
use crate::base::network::Network;
use rcgen::{CertificateParams, KeyPair};

/// The network of a file whose table is `table`, with `variables` beside those of the app.
fn network(table: &str, variables: &[(&str, &str)]) -> Result<Network, String> {
    let all = VARIABLES.iter().chain(variables).copied();
    let text = format!("[network]\n{table}\n{APP}");
    parse(&text, "c.toml", &FixedEnvironment::new(all))
        .map(|config| config.network)
        .map_err(|faults| faults.to_string())
}

/// The proxy to Slack, as URL and credentials.
fn proxy(table: &str, variables: &[(&str, &str)]) -> String {
    let network = network(table, variables).unwrap();
    match network.proxy_to("slack.com", 443) {
        None => "direct".to_owned(),
        Some(proxy) => {
            let authorization = proxy.authorization().map_or("", Secret::expose);
            format!("{proxy} {authorization}").trim_end().to_owned()
        }
    }
}

#[test]
fn the_proxy_is_the_files_else_the_first_variables() {
    let file = "proxy = \"http://file:1\"";
    let set = ("HTTPS_PROXY", "http://variable:2");
    let named = "no_proxy = [\"slack.com\"]";
    for (table, variables, expected) in [
        ("", &[][..], "direct"),
        (file, &[], "http://file:1"),
        (file, &[set], "http://file:1"),
        ("", &[set], "http://variable:2"),
        ("proxy = \"none\"", &[set], "direct"),
        (
            "",
            &[set, ("http_proxy", "http://other:3")],
            "http://variable:2",
        ),
        ("", &[("http_proxy", "http://other:3")], "http://other:3"),
        ("", &[set, ("NO_PROXY", "a.test, .slack.com")], "direct"),
        (
            "",
            &[set, ("no_proxy", "slack.com:80")],
            "http://variable:2",
        ),
        (file, &[("NO_PROXY", "slack.com")], "direct"),
        (named, &[set], "direct"),
        (
            "proxy = \"http://file:1\"\nno_proxy = []",
            &[("NO_PROXY", "slack.com")],
            "http://file:1",
        ),
        (
            "proxy = \"env:P\"",
            &[("P", "http://a:b@c:4")],
            "http://c:4 Basic YTpi",
        ),
    ] {
        assert_eq!(proxy(table, variables), expected, "{table} {variables:?}");
    }
}

#[test]
fn the_variables_of_proxies_count_without_a_file_and_leave_this_machine_out() {
    let variables = [
        ("SLACK_BOT_TOKEN", "xoxb-1"),
        ("HTTPS_PROXY", "http://ann:secret@variable:2"),
    ];
    let config = from_environment(&FixedEnvironment::new(variables));
    let config = config.unwrap().unwrap();
    assert!(config.network.proxy_to("slack.com", 443).is_some());
    assert!(config.network.proxy_to("127.0.0.1", 80).is_none());
    assert!(config.network.proxy_to("localhost", 80).is_none());
    let shown = format!("{config:?}");
    assert!(
        !shown.contains("secret") && !shown.contains("YW5u"),
        "{shown}"
    );
    // A proxy in the file is for everything that the file does not except.
    let network = network("proxy = \"http://file:1\"", &[]).unwrap();
    assert!(network.proxy_to("127.0.0.1", 80).is_some());
}

#[test]
fn every_other_key_arrives() {
    let network = network(
        "user_agent = \"acme/1\"\nheaders = { X-One = \"1\", x-two = \"env:TWO\" }\nsocket_headers = { x-three = \"3\" }\n\
         connect_within_seconds = 1\ntls_handshake_within_seconds = 2\ndial_within_seconds = 3\n\
         call_within_seconds = 4.5\nclose_within_seconds = 0.25\nping_every_seconds = 2.5\ntrace_frames = true\ntrace_pings = true",
        &[("TWO", "two")],
    )
    .unwrap();
    assert_eq!(network.user_agent, "acme/1");
    let of = |headers: &[crate::base::network::header::Header]| -> Vec<String> {
        let shown = headers.iter().map(|it| (it.name(), it.value().expose()));
        shown
            .map(|(name, value)| format!("{name}: {value}"))
            .collect()
    };
    assert_eq!(of(&network.headers), ["x-one: 1", "x-two: two"]);
    assert_eq!(of(&network.socket_headers), ["x-three: 3"]);
    let within = network.within;
    assert_eq!(within.connect, Duration::from_secs(1));
    assert_eq!(within.tls_handshake, Duration::from_secs(2));
    assert_eq!(within.dial, Duration::from_secs(3));
    assert_eq!(within.call, Duration::from_millis(4500));
    assert_eq!(within.close, Duration::from_millis(250));
    assert_eq!(network.ping_every, Duration::from_millis(2500));
    assert_eq!(network.silence_max(), Duration::from_secs(10));
    assert!(network.trace.frames && network.trace.pings);
}

#[test]
fn files_of_certificates_are_read_and_checked() {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
    let certificate = Scratch::new(params.self_signed(&key).unwrap().pem().as_bytes());
    let key = Scratch::new(key.serialize_pem().as_bytes());
    let other = Scratch::new(KeyPair::generate().unwrap().serialize_pem().as_bytes());
    let table = |chain: &str, key: &str| {
        format!("client_certificate_file = \"{chain}\"\nclient_key_file = \"{key}\"")
    };
    let roots = format!("roots_file = \"{}\"", certificate.path());
    let sound = format!("{roots}\n{}", table(certificate.path(), key.path()));
    let tls = network(&sound, &[]).unwrap().tls;
    assert_eq!(tls.roots().len(), 1);
    assert!(tls.identity().is_some());
    for (table, start, part) in [
        (
            format!("roots_file = \"{}\"", key.path()),
            "c.toml:2: network.roots_file names a file that holds no certificate",
            "PEM files",
        ),
        (
            "roots_file = \"/nowhere\"".to_owned(),
            "c.toml:2: network.roots_file names \"/nowhere\", which cannot be read",
            "a PEM file",
        ),
        (
            table(certificate.path(), other.path()),
            "c.toml:3: network.client_key_file names a file that does not go with the certificate",
            "PEM",
        ),
        (
            table(certificate.path(), certificate.path()),
            "c.toml:3: network.client_key_file names a file that holds no unencrypted private key",
            "PEM",
        ),
        (
            format!("client_key_file = \"{}\"", key.path()),
            "c.toml:2: network.client_key_file is given without client_certificate_file",
            "both, or neither",
        ),
    ] {
        let fault = network(&table, &[]).unwrap_err();
        assert!(fault.starts_with(start) && fault.contains(part), "{fault}");
    }
}

/// `table` has one fault, on one line, that begins as stated, has the part, and shows no password.
#[track_caller]
fn wrong(table: &str, variables: &[(&str, &str)], start: &str, part: &str) {
    let faults = network(table, variables).unwrap_err();
    assert_eq!(faults.lines().count(), 1, "{faults}");
    assert!(faults.starts_with(start), "{faults}\n{start}");
    assert!(
        faults.contains(part) && !faults.contains("pw-1"),
        "{faults}"
    );
}

#[test]
fn what_is_wrong_with_a_proxy_is_told_without_its_password() {
    for (table, variables, start, part) in [
        (
            "proxy = \"http://ann:pw-1@p:1\"",
            &[][..],
            "c.toml:2: network.proxy holds a user name or a password in plain text",
            "env:NAME",
        ),
        (
            "proxy = \"env:P\"",
            &[("P", "https://ann:pw-1@p:1")],
            "c.toml:2: network.proxy has another scheme than http",
            "a proxy such as",
        ),
        (
            "proxy = \"env:P\"",
            &[],
            "c.toml:2: network.proxy refers to the environment variable \"P\", which is not set",
            "",
        ),
        (
            "proxy = 1",
            &[],
            "c.toml:2: network.proxy is 1",
            "a proxy such as",
        ),
        (
            "",
            &[("https_proxy", "socks5://ann:pw-1@p:1")],
            "environment: https_proxy has another scheme",
            "a proxy such as",
        ),
        (
            "proxy = \"p:1\"",
            &[("NO_PROXY", "a.test,<local>")],
            "environment: NO_PROXY has the entry \"<local>\"",
            "hosts such as",
        ),
        (
            "no_proxy = \"a.test\"",
            &[],
            "c.toml:2: network.no_proxy is the text \"a.test\"",
            "a list of hosts",
        ),
    ] {
        wrong(table, variables, start, part);
    }
}

#[test]
fn what_is_wrong_elsewhere_is_told_with_its_place() {
    for (table, start, part) in [
        (
            "headers = { Host = \"x\" }",
            "c.toml:2: network.headers.Host can't be sent: Callboard sets this header itself",
            "headers",
        ),
        (
            "socket_headers = { a = 1 }",
            "c.toml:2: network.socket_headers.a is an integer",
            "headers",
        ),
        (
            "user_agent = \"\"",
            "c.toml:2: network.user_agent is \"\"",
            "visible ASCII",
        ),
        (
            "call_within_seconds = 0",
            "c.toml:2: network.call_within_seconds is 0",
            "more than 0 and at most 600",
        ),
        (
            "call_within_seconds = 601",
            "c.toml:2: network.call_within_seconds is 601",
            "at most 600",
        ),
        (
            "call_within_seconds = -1.5",
            "c.toml:2: network.call_within_seconds is -1.5",
            "at most 600",
        ),
        (
            "trace_frames = 1",
            "c.toml:2: network.trace_frames is 1",
            "true or false",
        ),
        (
            "proxi = 1",
            "c.toml:2: network.proxi is not a known key",
            "did you mean proxy?",
        ),
    ] {
        wrong(table, &[], start, part);
    }
}
