//! Tables of inputs and of what becomes of them.

mod network;
mod tokens;
mod variables;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

const VARIABLES: [(&str, &str); 8] = [
    ("APP", "xapp-1-A1-secret"),
    ("APP2", "xapp-1-A2-secret"),
    ("BOT", "xoxb-secret-1"),
    ("BOT2", "xoxb-secret-2"),
    ("SAME", " xoxb-secret-1\n"),
    ("USER", "xoxp-secret-3"),
    ("ROTATED", "xoxe.xoxb-1-secret"),
    ("EMPTY", "  "),
];

const APP: &str = "[[app]]\nname=\"acme\"\napp_token=\"env:APP\"\nbot_tokens=[\"env:BOT\"]\n";

fn environment() -> FixedEnvironment {
    FixedEnvironment::new(VARIABLES)
}

fn parsed(text: &str) -> Config {
    parse(text, "c.toml", &environment()).unwrap_or_else(|faults| panic!("{text}\n{faults}"))
}

/// Every fault line of `text`, which must have some; no secret may occur in them.
fn faults(text: &str) -> Vec<String> {
    let faults = parse(text, "c.toml", &environment()).expect_err(text);
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(faults.to_string(), lines.join("\n"));
    assert!(!faults.to_string().contains("secret-"), "{faults}");
    assert!(!faults.to_string().contains("-secret"), "{faults}");
    assert!(lines.iter().all(|line| !line.contains('\n')), "{faults}");
    lines
}

/// `text` has exactly one fault, which begins and ends (or at least goes on) as stated.
#[track_caller]
fn one(text: &str, start: &str, part: &str) {
    let lines = faults(text);
    assert_eq!(lines.len(), 1, "{text}\n{lines:#?}");
    assert!(lines[0].starts_with(start), "{text}\n{}", lines[0]);
    assert!(lines[0].contains(part), "{text}\n{}", lines[0]);
}

/// The same for an otherwise sound file that ends with one app.
#[track_caller]
fn with_app(before: &str, start: &str, part: &str) {
    one(&format!("{before}\n{APP}"), start, part);
}

/// The same for an app in whose lines `from` is replaced by `to`.
#[track_caller]
fn app(from: &str, to: &str, start: &str, part: &str) {
    assert!(APP.contains(from), "{from}");
    one(&APP.replace(from, to), start, part);
}

/// A file in the machine's directory for such, removed at the end of the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(contents: &[u8]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("callboard-config-{}-{n}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, contents).expect("a writable directory for temporary files");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a path in UTF-8")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

#[test]
fn the_smallest_file_gets_the_defaults() {
    let config = parsed(APP);
    assert_eq!(config.slack.base_url, BASE_URL_DEFAULT);
    assert_eq!(config.store.path, Path::new(STORE_PATH_DEFAULT));
    assert!(config.runtime.shards.get() <= crate::base::limits::SHARDS_MAX);
    assert_eq!(config.apps.len(), 1);
    assert_eq!(config.apps[0].name, "acme");
    let Transport::Socket { app_token } = &config.apps[0].transport else {
        panic!("Socket Mode is the default");
    };
    assert_eq!(app_token.expose(), "xapp-1-A1-secret");
    assert_eq!(config.apps[0].bot_tokens[0].expose(), "xoxb-secret-1");
}

#[test]
fn every_setting_is_taken() {
    let text = "slack = {base_url='http://127.0.0.1:8080/api'}\nstore.path='d'\n[runtime]\nshards=3\n\
        [[app]]\nname='a-1'\ntransport='socket'\napp_token='env:APP'\nbot_tokens=['env:BOT','env:BOT2']\n\
        [[app]]\nname='b'\ntransport='rtm'\nbot_tokens=['env:BOT3']";
    let variables = VARIABLES.into_iter().chain([("BOT3", "xoxb-3")]);
    let config = parse(text, "c.toml", &FixedEnvironment::new(variables)).expect("sound");
    assert_eq!(config.slack.base_url, "http://127.0.0.1:8080/api/");
    assert_eq!(config.store.path, Path::new("d"));
    assert_eq!(config.runtime.shards.get(), 3);
    let names: Vec<&str> = config.apps.iter().map(|app| app.name.as_str()).collect();
    assert_eq!(names, ["a-1", "b"]);
    assert_eq!(config.apps[0].bot_tokens[1].expose(), "xoxb-secret-2");
    assert!(matches!(config.apps[1].transport, Transport::Rtm));
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!("{:?} {:?}", parsed(APP), environment());
    assert!(shown.contains("acme") && shown.contains("BOT2"), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn the_example_is_sound_and_shows_every_setting() {
    let file = Scratch::new(b"xoxb-file\n");
    let text = include_str!("../../callboard.example.toml");
    let variables = [
        ("SLACK_APP_TOKEN", "xapp-1"),
        ("SLACK_BOT_TOKEN", "xoxb-1"),
        ("SLACK_CLASSIC_BOT_TOKEN", "xoxb-2"),
    ];
    let here = text.replace("/run/secrets/acme-b", file.path());
    assert_ne!(here, text);
    let config = parse(&here, "e.toml", &FixedEnvironment::new(variables))
        .unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(config.apps.len(), 2);
    assert_eq!(config.apps[0].bot_tokens[1].expose(), "xoxb-file");
    // It states the defaults, except that the number of cores is the machine's.
    assert_eq!(config.slack.base_url, BASE_URL_DEFAULT);
    assert_eq!(config.store.path, Path::new(STORE_PATH_DEFAULT));
    for key in read::KEYS.iter().skip(1).flat_map(|(_, keys)| *keys) {
        // What most have no use for is shown as a comment.
        let set = format!("{key} = ");
        let is_set = |line: &str| line.strip_prefix("# ").unwrap_or(line).starts_with(&set);
        assert!(text.lines().any(is_set), "{key} is not in the example");
    }
}

#[test]
fn all_faults_come_at_once_in_the_order_of_the_file() {
    let lines = faults(
        "[slack]\nbase_url=7\n[runtime]\nshards=0\n[[app]]\nname='A'\nnick='x'\nbot_tokens=['env:NOPE','env:USER']",
    );
    let starts = [
        "c.toml:2: slack.base_url is 7; expected a text",
        "c.toml:4: runtime.shards is 0; expected a whole number from 1 to 256",
        "c.toml:5: app[0].app_token is missing; expected a reference",
        "c.toml:6: app[0].name is \"A\"; expected a name of 1 to 64",
        "c.toml:7: app[0].nick is not a known key; expected one of name,",
        "c.toml:8: app[0].bot_tokens[0] refers to the environment variable NOPE, which is not set",
        "c.toml:8: app[0].bot_tokens[1] is a user token (xoxp-, 13 characters); expected a bot token (xoxb-), found",
    ];
    assert_eq!(lines.len(), starts.len(), "{lines:#?}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}\n{start}");
    }
}

#[test]
fn syntax_errors_name_their_line() {
    one("[slack]\nbase_url = \n", "c.toml:2: is not valid TOML", "");
    one("[slack\n", "c.toml:1: is not valid TOML", "");
    one("a=1\na=2\n", "c.toml:2: is not valid TOML", "duplicate key");
    one("x = xoxb-secret-1", "c.toml:1: is not valid TOML", "");
    one(
        "\n\n\nx = \"xoxb-secret-1",
        "c.toml:4: is not valid TOML",
        "",
    );
}

#[test]
fn unknown_keys_get_the_nearest_known_one() {
    with_app(
        "colour=1",
        "c.toml:1: colour is not",
        "one of slack, network, store,",
    );
    with_app("[stroe]", "c.toml:1: stroe is not", "did you mean store?");
    with_app(
        "[slack]\nurl='x'",
        "c.toml:2: slack.url is",
        "only base_url",
    );
    with_app(
        "shards=2",
        "c.toml:1: shards is",
        "shards stands in [runtime]",
    );
    with_app("[slack.store]", "c.toml:1: slack.store", "at the top");
    with_app(
        "xoxb-secret-1=1",
        "c.toml:1: a bot token (xoxb-, ",
        "known key",
    );
    with_app("\"a\\nb\"=1", "c.toml:1: \"a\\nb\" is not", "");
    app(
        "name",
        "bot_token='x'\nname",
        "c.toml:2: app[0].bot_token",
        "mean bot_tokens?",
    );
    let lines = faults(&APP.replace("[[app]]", "[[apps]]"));
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("did you mean app?"), "{lines:?}");
}

#[test]
fn wrong_types_are_named() {
    with_app(
        "slack=1",
        "c.toml:1: slack is an integer",
        "written [slack]",
    );
    with_app(
        "[[store]]",
        "c.toml:1: store is an array of tables",
        "[store]",
    );
    with_app(
        "[slack]\nbase_url=[1]",
        "c.toml:2: slack.base_url is an array",
        "",
    );
    with_app(
        "[store]\npath=true",
        "c.toml:2: store.path is true",
        "a directory",
    );
    with_app(
        "[store]\npath=''",
        "c.toml:2: store.path is \"\"",
        "a directory",
    );
    with_app("[store]\npath.x=1", "c.toml:2: store.path is a table", "");
    with_app(
        "[runtime]\nshards='2'",
        "c.toml:2: runtime.shards is the text \"2\"",
        "",
    );
    with_app(
        "[runtime]\nshards=2.5",
        "c.toml:2: runtime.shards is 2.5",
        "",
    );
    app(
        "\"acme\"",
        "5",
        "c.toml:2: app[0].name is 5",
        "a name of 1 to 64",
    );
    app(
        "\"env:APP\"",
        "{a=1}",
        "c.toml:3: app[0].app_token is not a text but an inline",
        "",
    );
    app(
        "[\"env:BOT\"]",
        "\"env:BOT\"",
        "c.toml:4: app[0].bot_tokens is a string",
        "such as [\"env:",
    );
    app(
        "[\"env:BOT\"]",
        "[\n1]",
        "c.toml:5: app[0].bot_tokens[0] is not a text but an integer",
        "",
    );
    one("app=3", "c.toml:1: app is an integer", "[[app]]");
    one(
        "[app]\nname='x'",
        "c.toml:1: app is a table",
        "two brackets",
    );
    one("app=[1]", "c.toml:1: app is an array", "[[app]]");
}

#[test]
fn shards_have_bounds() {
    for shards in ["0", "-1", "257", "9223372036854775807"] {
        let text = format!("[runtime]\nshards={shards}");
        let start = format!("c.toml:2: runtime.shards is {shards}; expected");
        with_app(&text, &start, "from 1 to 256");
    }
    for shards in [1, 256] {
        let config = parsed(&format!("[runtime]\nshards={shards}\n{APP}"));
        assert_eq!(config.runtime.shards.get(), shards);
    }
}

#[test]
fn base_urls_are_checked() {
    for (given, taken) in [
        ("https://slack.com/api/", "https://slack.com/api/"),
        ("https://slack.com/api", "https://slack.com/api/"),
        ("https://proxy.example:8443", "https://proxy.example:8443/"),
        ("http://localhost:1/", "http://localhost:1/"),
        ("http://127.3.2.1/x", "http://127.3.2.1/x/"),
        ("http://[::1]:65535/x/", "http://[::1]:65535/x/"),
    ] {
        let config = parsed(&format!("[slack]\nbase_url='{given}'\n{APP}"));
        assert_eq!(config.slack.base_url, taken);
    }
    for (given, part) in [
        ("slack.com/api/", "which has no scheme"),
        ("", "which has no scheme"),
        ("ftp://slack.com/", "neither https nor http"),
        ("https:///api/", "no valid host"),
        ("https://sl ack.com/", "no valid host"),
        ("https://slack..com/", "no valid host"),
        ("https://[::1/", "no valid host"),
        ("https://[::1]x/", "no valid host"),
        ("https://slack.com:0/", "between 1 and 65535"),
        ("https://slack.com:65536/", "between 1 and 65535"),
        ("https://slack.com:x/", "between 1 and 65535"),
        ("https://slack.com:/", "between 1 and 65535"),
        ("https://slack.com/a b", "path holds a character"),
        ("http://slack.com/api/", "unencrypted"),
        ("http://128.0.0.1/", "unencrypted"),
        ("http://localhost.example/", "unencrypted"),
        ("http://127.0.0.1.example/", "unencrypted"),
        (
            "https://me:secret-pw@slack.com/",
            "a user name or a password",
        ),
        ("https://slack.com/?token=secret-pw", "a query"),
        (
            "ftp://xoxb-secret-1/",
            "is a text of 20 characters that holds a Slack token, whose",
        ),
    ] {
        let text = format!("[slack]\nbase_url='{given}'");
        with_app(&text, "c.toml:2: slack.base_url ", part);
    }
}

#[test]
fn app_names_are_checked() {
    for name in ["a", "0", "-", "a-b-9", &"x".repeat(64)] {
        assert_eq!(parsed(&APP.replace("acme", name)).apps[0].name, name);
    }
    for name in ["", "A", "a b", "a_b", "ä", "a/b", "a\\n", &"x".repeat(65)] {
        let start = format!("c.toml:2: app[0].name is \"{name}\"; expected");
        app("acme", name, &start, "from a-z, 0-9 and -");
    }
    app(
        "acme",
        "xoxb-secret-1",
        "c.toml:2: app[0].name is a bot token (xoxb-",
        "",
    );
    app(
        "name=\"acme\"\n",
        "",
        "c.toml:1: app[0].name is missing",
        "such as \"acme\"",
    );
}

#[test]
fn app_names_are_unique() {
    let second = APP.replace(":APP", ":APP2").replace(":BOT", ":BOT2");
    let start = "c.toml:6: app[1].name is \"acme\", which app[0].name (line 2) has too";
    one(&format!("{APP}{second}"), start, "a name of its own");
}

#[test]
fn there_is_an_app() {
    one(
        "",
        "c.toml: has no [[app]]; expected",
        "callboard.example.toml",
    );
    one(
        "[slack]",
        "c.toml: has no [[app]]; expected",
        "at least one",
    );
    one("app=[]", "c.toml:1: app is empty; expected", "at least one");
}

#[test]
fn transports_and_their_tokens_agree() {
    app(
        "name",
        "transport='http'\nname",
        "c.toml:2: app[0].transport is \"http\"",
        "\"rtm\"",
    );
    app(
        "name",
        "transport=1\nname",
        "c.toml:2: app[0].transport is 1",
        "\"rtm\"",
    );
    app(
        "name",
        "transport='rtm'\nname",
        "c.toml:4: app[0].app_token is given for",
        "no app_token",
    );
    app(
        "app_token=\"env:APP\"\n",
        "",
        "c.toml:1: app[0].app_token is missing",
        "(xapp-)",
    );
    app(
        "bot_tokens=[\"env:BOT\"]",
        "",
        "c.toml:1: app[0].bot_tokens is missing",
        "[\"env:",
    );
    app(
        "[\"env:BOT\"]",
        "[]",
        "c.toml:4: app[0].bot_tokens is empty",
        "one per workspace",
    );
}

#[test]
fn files_are_loaded_by_path_and_named_in_faults() {
    let file = Scratch::new(APP.as_bytes());
    assert_eq!(load(&file.0, &environment()).expect("sound").apps.len(), 1);
    let missing = load(Path::new("no/such.toml"), &environment()).expect_err("missing");
    assert!(
        missing
            .to_string()
            .starts_with("no/such.toml: cannot be read ("),
        "{missing}"
    );
    let broken = Scratch::new(b"\n\xff");
    let broken = load(&broken.0, &environment()).expect_err("not UTF-8");
    assert!(
        broken.to_string().contains(": is not UTF-8 (at byte 1)"),
        "{broken}"
    );
}

#[test]
fn reconnecting_is_on_unless_the_file_says_otherwise() {
    let off = format!("{APP}auto_reconnect=false\n");
    for (text, expected) in [(APP, true), (off.as_str(), false)] {
        let config = parsed(text);
        assert_eq!(config.apps[0].connection.auto_reconnect, expected);
    }
    let lines = faults(&format!("{APP}auto_reconnect=1\n"));
    assert!(lines[0].contains("auto_reconnect"), "{lines:?}");
}
