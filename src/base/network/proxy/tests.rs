//! Tables of URLs and of `NO_PROXY` entries.

use super::*;

#[test]
fn urls_are_read_and_shown_without_their_credentials() {
    for (text, shown, authorization) in [
        ("http://proxy:3128", "http://proxy:3128", None),
        ("HTTP://proxy:3128/", "http://proxy:3128", None),
        ("proxy.corp", "http://proxy.corp:80", None),
        ("http://[::1]:3128", "http://[::1]:3128", None),
        ("http://[::1]", "http://[::1]:80", None),
        (
            "http://ann:s3cret@proxy:1",
            "http://proxy:1",
            Some("Basic YW5uOnMzY3JldA=="),
        ),
        (
            "http://ann:s%40%3A%2F@proxy:1",
            "http://proxy:1",
            Some("Basic YW5uOnNAOi8="),
        ),
        (
            "http://ann:a@b@proxy:1",
            "http://proxy:1",
            Some("Basic YW5uOmFAYg=="),
        ),
        ("ann@proxy:1", "http://proxy:1", Some("Basic YW5uOg==")),
    ] {
        let proxy = Proxy::parse(text).unwrap();
        assert_eq!(proxy.to_string(), shown, "{text}");
        assert_eq!(proxy.authorization().map(Secret::expose), authorization);
        assert!(!format!("{proxy:?}").contains("ann"), "{proxy:?}");
    }
}

#[test]
fn what_is_no_proxy_is_told() {
    for (text, unfit) in [
        ("https://proxy:1", Unfit::Scheme),
        ("socks5://proxy:1", Unfit::Scheme),
        ("http://", Unfit::Host),
        ("http://a b:1", Unfit::Host),
        ("http://[::g]:1", Unfit::Host),
        ("http://proxy:0", Unfit::Port),
        ("http://proxy:65536", Unfit::Port),
        ("http://proxy:", Unfit::Port),
        ("http://proxy:1/path", Unfit::Path),
        ("http://proxy?x", Unfit::Path),
        ("http://a:%4@proxy:1", Unfit::Credentials),
        ("http://a:%0d%0a@proxy:1", Unfit::Credentials),
        ("http://a%3Ab:c@proxy:1", Unfit::Credentials),
    ] {
        assert_eq!(Proxy::parse(text).unwrap_err(), unfit, "{text}");
    }
}

#[test]
fn base64_is_that_of_the_standard() {
    for (plain, coded) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ] {
        assert_eq!(base64(plain.as_bytes()), coded);
    }
    assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
}

#[test]
fn exceptions_are_names_addresses_ranges_and_ports() {
    for (entry, host, port, is_direct) in [
        ("*", "slack.com", 443, true),
        ("slack.com", "slack.com", 443, true),
        ("slack.com", "SLACK.com.", 443, true),
        ("slack.com", "wss-primary.slack.com", 443, true),
        ("slack.com", "notslack.com", 443, false),
        (".slack.com", "a.slack.com", 443, true),
        ("*.slack.com", "a.slack.com", 443, true),
        ("slack.com:443", "slack.com", 443, true),
        ("slack.com:80", "slack.com", 443, false),
        ("10.1.2.3", "10.1.2.3", 443, true),
        ("10.1.2.3", "10.1.2.4", 443, false),
        ("10.0.0.0/8", "10.200.0.1", 443, true),
        ("10.0.0.0/8", "11.0.0.1", 443, false),
        ("0.0.0.0/0", "11.0.0.1", 443, true),
        ("10.0.0.0/8", "ten.test", 443, false),
        ("::1", "[::1]", 443, true),
        ("[::1]:8080", "[::1]", 8080, true),
        ("[::1]:8080", "[::1]", 443, false),
        ("fd00::/8", "[fd12::1]", 443, true),
        ("10.0.0.0/8", "[fd12::1]", 443, false),
        ("", "slack.com", 443, false),
    ] {
        let exceptions = Exceptions::parse([entry]).unwrap();
        assert_eq!(
            exceptions.includes(host, port),
            is_direct,
            "{entry} {host} {port}"
        );
    }
    let local = Exceptions::default().and_loopback();
    for host in ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"] {
        assert!(local.includes(host, 1), "{host}");
        assert!(!Exceptions::default().includes(host, 1), "{host}");
    }
    assert!(!local.includes("slack.com", 443));
    for entry in ["a b", "10.0.0.0/33", "x/8", "slack.com:0", "http://x"] {
        assert_eq!(Exceptions::parse(["ok.test", entry]), Err(entry));
    }
}
