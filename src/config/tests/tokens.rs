//! Tokens and the references to them.

use super::*;

#[test]
fn references_lead_to_tokens_of_the_right_kind() {
    for (reference, part) in [
        (
            "env:UNSET",
            "variable UNSET, which is not set; expected a bot token",
        ),
        (
            "env:EMPTY",
            "variable EMPTY, which is empty; expected a bot token",
        ),
        ("env:", "the variable \"\"; expected letters, digits"),
        ("env:A-B", "the variable \"A-B\"; expected letters"),
        ("env:1A", "the variable \"1A\"; expected letters"),
        ("env:xoxb-secret-1", "the variable a bot token (xoxb-, "),
        (
            "file:/nowhere/at/all",
            "file \"/nowhere/at/all\", which cannot be read (",
        ),
        ("file:/", "file \"/\", which cannot be read ("),
        (
            "file:xoxb-secret-1",
            "file a bot token (xoxb-, 13 characters), which",
        ),
        (
            "xoxb-secret-1",
            "is a bot token (xoxb-, 13 characters) in plain text; expected a reference",
        ),
        (
            "XOXB-secret-1",
            "13 characters that holds a Slack token in plain text",
        ),
        (
            "xapp-1-secret",
            "is an app-level token (xapp-, 13 characters) in plain text",
        ),
        (
            "hush-secret",
            "is a text of 11 characters that begins with neither env: nor file:",
        ),
        ("", "is a text of 0 characters that begins with neither"),
        (
            "env:APP",
            "is an app-level token (xapp-, 16 characters); expected a bot token (xoxb-), found",
        ),
        (
            "env:USER",
            "is a user token (xoxp-, 13 characters); expected a bot token",
        ),
        (
            "env:ROTATED",
            "is a rotated bot token (xoxe.xoxb-, 18 characters); expected a bot token",
        ),
        ("env:ROTATED", "rotation turned off"),
    ] {
        app(
            "env:BOT",
            reference,
            "c.toml:4: app[0].bot_tokens[0] ",
            part,
        );
    }
}

#[test]
fn an_app_token_is_an_app_level_token() {
    let start = "c.toml:3: app[0].app_token ";
    app(
        "env:APP",
        "env:BOT2",
        start,
        "is a bot token (xoxb-, 13 characters); expected an app-level token (xapp-)",
    );
    app(
        "env:APP",
        "xapp-1-secret",
        start,
        "in plain text; expected a reference",
    );
}

#[test]
fn every_kind_of_token_is_recognised() {
    for (text, words) in [
        ("xoxb-1", "a bot token (xoxb-, 6 characters)"),
        ("xoxp-1", "a user token (xoxp-, 6 characters)"),
        ("xapp-1", "an app-level token (xapp-, 6 characters)"),
        ("xoxe-1-a", "a refresh token (xoxe-, 8 characters)"),
        (
            "xoxe.xoxb-1",
            "a rotated bot token (xoxe.xoxb-, 11 characters)",
        ),
        (
            "xoxe.xoxp-1",
            "a rotated user token (xoxe.xoxp-, 11 characters)",
        ),
        ("xwfp-1", "a workflow token (xwfp-, 6 characters)"),
        (
            "xoxz-1",
            "a Slack token of another kind (xox, 6 characters)",
        ),
        (
            "\"xoxb-1\"",
            "a text of 8 characters that holds a Slack token",
        ),
        ("hush", "a text of 4 characters that is no Slack token"),
    ] {
        assert_eq!(token::describe(text), words);
    }
}

#[test]
fn damaged_tokens_are_refused() {
    for (text, part) in [
        ("xoxb-", "is only the prefix xoxb-"),
        ("xoxb-a b", "with a space"),
        ("xoxb-a\nxoxb-b", "with a space, a control character"),
        ("xoxb-ä", "or a letter outside ASCII"),
        (
            "\"xoxb-1\"",
            "that holds a Slack token; expected a bot token",
        ),
    ] {
        let variables = FixedEnvironment::new([("APP", "xapp-1"), ("BOT", text)]);
        let faults = parse(APP, "c.toml", &variables)
            .expect_err(text)
            .to_string();
        assert!(
            faults.starts_with("c.toml:4: app[0].bot_tokens[0] "),
            "{faults}"
        );
        assert!(faults.contains(part), "{faults}");
        assert_eq!(faults.lines().count(), 1, "{faults}");
    }
}

#[test]
fn a_token_is_used_once() {
    let start =
        "c.toml:4: app[0].bot_tokens[1] leads to the same token as app[0].bot_tokens[0] (line 4)";
    app("env:BOT", "env:BOT\",\"env:SAME", start, "each token once");
    let second = APP.replace("acme", "b").replace(":BOT", ":BOT2");
    let start = "c.toml:7: app[1].app_token leads to the same token as app[0].app_token (line 3)";
    one(&format!("{APP}{second}"), start, "each token once");
}

#[test]
fn token_files_are_read_and_trimmed() {
    let file = Scratch::new(b"\n  xoxb-from-a-file \r\n");
    let text = APP.replace("env:BOT", &format!("file:{}", file.path()));
    assert_eq!(
        parsed(&text).apps[0].bot_tokens[0].expose(),
        "xoxb-from-a-file"
    );

    let long = vec![b'x'; 20_000];
    for (contents, part) in [
        (b" \n".as_slice(), "which is empty"),
        (b"xoxb-\xff".as_slice(), "which is not UTF-8 (at byte 5)"),
        (long.as_slice(), "which is longer than 16384 bytes"),
        (
            b"SLACK=xoxb-secret-1".as_slice(),
            "that holds a Slack token",
        ),
    ] {
        let file = Scratch::new(contents);
        let reference = format!("file:{}", file.path());
        app(
            "env:BOT",
            &reference,
            "c.toml:4: app[0].bot_tokens[0] ",
            part,
        );
    }
}
