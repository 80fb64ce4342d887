//! What environment variables say.

use super::*;

/// What the environment alone makes: app names with transports, base URL, store path; or its faults.
fn variables(given: &[(&str, &str)]) -> String {
    match from_environment(&FixedEnvironment::new(given.iter().copied())) {
        Ok(None) => "none".to_owned(),
        Ok(Some(config)) => {
            let app = |app: &App| {
                let kind = match &app.transport {
                    Transport::Socket { app_token } => app_token.expose(),
                    Transport::Rtm => "rtm",
                };
                let tokens: Vec<&str> = app.bot_tokens.iter().map(Secret::expose).collect();
                format!("{} {kind} {}", app.name, tokens.join("+"))
            };
            let shown: Vec<String> = config.apps.iter().map(app).collect();
            let path = config.store.path.display();
            format!("{} {} {path}", shown.join(","), config.slack.base_url)
        }
        Err(faults) => faults.to_string(),
    }
}

#[test]
fn the_environment_alone_makes_one_app() {
    let (app, bot, bots) = ("SLACK_APP_TOKEN", "SLACK_BOT_TOKEN", "SLACK_BOT_TOKENS");
    let rest = "https://slack.com/api/ callboard-data";
    for (given, expected) in [
        (&[][..], "none".to_owned()),
        (&[(app, ""), (bot, " ")], "none".to_owned()),
        (&[("CALLBOARD_STORE", "d")], "none".to_owned()),
        (
            &[(app, "xapp-1"), (bot, "xoxb-1")],
            format!("default xapp-1 xoxb-1 {rest}"),
        ),
        (
            &[(app, "xapp-1"), (bots, "xoxb-1, xoxb-2,")],
            format!("default xapp-1 xoxb-1+xoxb-2 {rest}"),
        ),
        (&[(bot, " xoxb-1\n")], format!("default rtm xoxb-1 {rest}")),
        (
            &[(bot, "xoxb-1"), (bots, "xoxb-2")],
            format!("default rtm xoxb-1+xoxb-2 {rest}"),
        ),
        (
            &[
                (bot, "xoxb-1"),
                ("SLACK_BASE_URL", "http://localhost:1"),
                ("CALLBOARD_STORE", "d"),
            ],
            "default rtm xoxb-1 http://localhost:1/ d".to_owned(),
        ),
    ] {
        assert_eq!(variables(given), expected);
    }
}

#[test]
fn faults_of_the_environment_name_the_variable() {
    let (app, bot, bots) = ("SLACK_APP_TOKEN", "SLACK_BOT_TOKEN", "SLACK_BOT_TOKENS");
    for (given, start) in [
        (
            &[(app, "xapp-1")][..],
            "environment: SLACK_BOT_TOKEN is not set, but SLACK_APP_TOKEN is; expected a bot token",
        ),
        (
            &[(app, "xoxb-1"), (bot, "xoxb-2")],
            "environment: SLACK_APP_TOKEN is a bot token (xoxb-, 6 characters); expected an app-level",
        ),
        (
            &[(bot, "hush")],
            "environment: SLACK_BOT_TOKEN is a text of 4 characters that is no Slack token; expected a bot",
        ),
        (
            &[(bots, "xoxb-1,xapp-1")],
            "environment: SLACK_BOT_TOKENS[1] is an app-level token",
        ),
        (
            &[(bots, "xoxb-1,,xoxb-2")],
            "environment: SLACK_BOT_TOKENS[1] is a text of 0 characters",
        ),
        (
            &[(bot, "xoxb-1"), (bots, "xoxb-1")],
            "environment: SLACK_BOT_TOKENS leads to the same token as SLACK_BOT_TOKEN;",
        ),
        (
            &[(bot, "xoxb-1"), ("SLACK_BASE_URL", "x")],
            "environment: SLACK_BASE_URL is \"x\", which has no scheme",
        ),
        (
            &[("SLACK_BASE_URL", "https://a.b/")],
            "environment: SLACK_BASE_URL is set, but no token is; expected",
        ),
        (
            &[(bot, "xoxb-1"), ("CALLBOARD_STORE", "\u{fffd}")],
            "environment: CALLBOARD_STORE is \"\u{fffd}\"; expected the UTF-8",
        ),
        (
            &[("CALLBOARD_CONFIG", "no/such.toml")],
            "no/such.toml: cannot be read (",
        ),
    ] {
        let shown = variables(given);
        assert!(shown.starts_with(start), "{shown}");
        assert_eq!(shown.lines().count(), 1, "{shown}");
    }
}

#[test]
fn the_environment_names_a_file_and_wins_over_it() {
    let file = Scratch::new(format!("[store]\npath='f'\n{APP}").as_bytes());
    let given = [
        ("CALLBOARD_CONFIG", file.path()),
        ("APP", "xapp-1"),
        ("BOT", "xoxb-1"),
        ("SLACK_BOT_TOKEN", "xoxb-of-no-use"),
        ("SLACK_BASE_URL", "https://a.b/"),
    ];
    assert_eq!(variables(&given), "acme xapp-1 xoxb-1 https://a.b/ f");
    let given: Vec<_> = given
        .into_iter()
        .chain([("CALLBOARD_STORE", "e")])
        .collect();
    assert_eq!(variables(&given), "acme xapp-1 xoxb-1 https://a.b/ e");
}

#[test]
fn the_store_s_place_is_known_without_a_configuration() {
    let path = |given: &[(&str, &str)]| {
        Store::from_environment(&FixedEnvironment::new(given.iter().copied()))
            .map(|store| store.path)
    };
    assert_eq!(path(&[]), Ok(PathBuf::from(STORE_PATH_DEFAULT)));
    assert_eq!(path(&[("CALLBOARD_STORE", "/d")]), Ok(PathBuf::from("/d")));
    assert!(path(&[("CALLBOARD_STORE", "a\u{fffd}")]).is_err());
}

#[test]
fn the_system_s_environment_is_read() {
    assert_eq!(SystemEnvironment.get("CARGO_PKG_NAME_OF_NOTHING"), None);
    // Cargo sets this one for every test it runs.
    assert_eq!(
        SystemEnvironment.get("CARGO_PKG_NAME").as_deref(),
        Some("callboard")
    );
}
