//! The rules about single files. Each takes a path and its text and gives `path:line: reason` lines.

use crate::source::{Kind, Token, tokens};

/// Lines that a file may have.
pub(crate) const LINES_MAX: usize = 600;

/// Where a package may be named: itself, and the beginnings or the last names of paths.
const HOMES: [(&[&str], &[&str], &str); 4] = [
    (
        &["actix"],
        &["src/actor", "src/app", "src/sim/serve", "/shell.rs"],
        "actors live in src/actor, shell.rs files, src/app and the simulator's server: logic must run without actix",
    ),
    (
        &["awc"],
        &["src/web", "src/ingress"],
        "only web and ingress speak to Slack",
    ),
    (
        &["actix_web", "actix_web_actors"],
        &["src/sim/serve", "src/admin"],
        "only the simulator and the dashboard serve HTTP",
    ),
    (
        &["rusqlite"],
        &["src/store"],
        "only the store knows what it is made of",
    ),
];

pub(crate) fn begins_with_a_doc(path: &str, text: &str) -> Vec<String> {
    if text.starts_with("//!") {
        return Vec::new();
    }
    vec![format!(
        "{path}:1: does not begin with //!: a reader must learn what the module is for"
    )]
}

pub(crate) fn is_short(path: &str, text: &str) -> Vec<String> {
    let count = text.lines().count();
    if count <= LINES_MAX {
        return Vec::new();
    }
    vec![format!(
        "{path}:{count}: is longer than {LINES_MAX} lines: split it by subject"
    )]
}

pub(crate) fn is_no_mod_rs(path: &str, _: &str) -> Vec<String> {
    if !path.ends_with("/mod.rs") {
        return Vec::new();
    }
    vec![format!(
        "{path}:1: is called mod.rs: name it after its module, beside the folder"
    )]
}

pub(crate) fn machines_are_pure(path: &str, text: &str) -> Vec<String> {
    if !path.ends_with("/machine.rs") {
        return Vec::new();
    }
    let is_impure = |word: &str| {
        ["async", "await", "tokio", "awc"].contains(&word)
            || word == "actix"
            || word.starts_with("actix_")
    };
    words(text)
        .filter(|(_, word)| is_impure(word))
        .map(|(line, word)| {
            format!("{path}:{line}: names {word}: a machine is inputs in, outputs out")
        })
        .collect()
}

pub(crate) fn packages_stay_home(path: &str, text: &str) -> Vec<String> {
    if !path.starts_with("src/") {
        return Vec::new();
    }
    let tokens = tokens(text);
    let mut violations = Vec::new();
    for (names, homes, reason) in HOMES {
        if homes
            .iter()
            .any(|home| path.starts_with(home) || path.ends_with(home))
        {
            continue;
        }
        for (index, token) in tokens.iter().enumerate() {
            let is_path = tokens
                .get(index + 1)
                .is_some_and(|next| next.kind == Kind::Path);
            let before = index.checked_sub(1).and_then(|i| tokens.get(i));
            let is_use = before.and_then(Token::word) == Some("use");
            // `x::awc` is some module's own; `use ::awc` is not.
            let owner = index.checked_sub(2).and_then(|i| tokens[i].word());
            let is_inner = before.is_some_and(|before| before.kind == Kind::Path)
                && owner.is_some_and(|owner| owner != "use");
            let Some(word) = token.word() else { continue };
            if names.contains(&word) && (is_path || is_use) && !is_inner {
                violations.push(format!("{path}:{}: names {word}: {reason}", token.line));
            }
        }
    }
    violations
}

pub(crate) fn open_ends_have_an_issue(path: &str, text: &str) -> Vec<String> {
    // Put together, so that this file passes its own rule.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let has_number = |line: &str| {
        line.split('#')
            .skip(1)
            .any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| marks.iter().any(|mark| line.contains(mark)) && !has_number(line))
        .map(|(n, _)| format!("{path}:{}: an open end without an issue number: #12", n + 1))
        .collect()
}

pub(crate) fn log_messages_have_our_form(path: &str, text: &str) -> Vec<String> {
    let tokens = tokens(text);
    let levels = ["trace", "debug", "info", "warn", "error", "event"];
    let mut violations = Vec::new();
    for (index, window) in tokens.windows(3).enumerate() {
        let is_macro = window[0].word().is_some_and(|word| levels.contains(&word));
        if !is_macro || !window[1].is('!') || !window[2].is('(') {
            continue;
        }
        let Some((line, message)) = message(&tokens[index + 3..]) else {
            continue;
        };
        if message.starts_with(char::is_uppercase) {
            violations.push(format!(
                "{path}:{line}: log message {message:?} begins with a capital"
            ));
        }
        if message.ends_with('.') && !message.ends_with("..") {
            violations.push(format!(
                "{path}:{line}: log message {message:?} ends with a full stop"
            ));
        }
    }
    violations
}

/// The message among a log macro's arguments: the first argument that is a text and nothing more.
fn message(arguments: &[Token]) -> Option<(usize, &str)> {
    let mut depth = 0_usize;
    let mut is_start = true;
    for (index, token) in arguments.iter().enumerate() {
        match &token.kind {
            Kind::Text(text) if is_start && depth == 0 => {
                let next = arguments.get(index + 1)?;
                if next.is(',') || next.is(')') {
                    return Some((token.line, text));
                }
            }
            Kind::Mark('(' | '[' | '{') => depth += 1,
            Kind::Mark(')' | ']' | '}') => depth = depth.checked_sub(1)?,
            _ => {}
        }
        is_start = depth == 0 && token.is(',');
    }
    None
}

pub(crate) fn bounds_are_documented(path: &str, text: &str) -> Vec<String> {
    let mut violations = Vec::new();
    let mut is_documented = false;
    for (n, line) in text.lines().enumerate() {
        let line = line.trim_start();
        let code = line
            .trim_start_matches("pub ")
            .trim_start_matches("pub(crate) ");
        if code.starts_with("const ") && !is_documented {
            violations.push(format!(
                "{path}:{}: a bound without its unit and who feels it",
                n + 1
            ));
        }
        is_documented = line.starts_with("///") || (is_documented && line.starts_with("#["));
    }
    violations
}

fn words(text: &str) -> impl Iterator<Item = (usize, String)> {
    let owned = |token: Token| token.word().map(|word| (token.line, word.to_owned()));
    tokens(text).into_iter().filter_map(owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rule = fn(&str, &str) -> Vec<String>;

    /// The line numbers that `rule` finds fault with.
    fn lines(rule: Rule, path: &str, text: &str) -> Vec<usize> {
        let number = |violation: &String| {
            let rest = violation
                .strip_prefix(path)
                .and_then(|rest| rest.strip_prefix(':'));
            let line = rest.and_then(|rest| rest.split(':').next());
            line.and_then(|line| line.parse().ok())
                .expect("path:line: reason")
        };
        rule(path, text).iter().map(number).collect()
    }

    const NONE: [usize; 0] = [];

    #[test]
    fn rules_about_whole_files_can_fail() {
        assert_eq!(lines(begins_with_a_doc, "src/a.rs", "use x;"), [1]);
        assert_eq!(lines(begins_with_a_doc, "src/a.rs", "//! A."), NONE);
        assert_eq!(lines(is_short, "src/a.rs", &"\n".repeat(601)), [601]);
        assert_eq!(lines(is_short, "src/a.rs", &"\n".repeat(600)), NONE);
        assert_eq!(lines(is_no_mod_rs, "src/a/mod.rs", ""), [1]);
        assert_eq!(lines(is_no_mod_rs, "src/a/modest.rs", ""), NONE);
    }

    #[test]
    fn rules_about_code_can_fail() {
        let machine = "// async\nasync fn f() {\n  tokio::x().await }\nuse actix_rt;";
        assert_eq!(
            lines(machines_are_pure, "src/a/machine.rs", machine),
            [2, 3, 3, 4]
        );
        assert_eq!(lines(machines_are_pure, "src/a/shell.rs", machine), NONE);

        let all = "use actix::A;\nuse awc;\nfn f(x: actix_web::B) {}\nuse ::awc::D;\nrusqlite::C;";
        assert_eq!(
            lines(packages_stay_home, "src/flow.rs", all),
            [1, 2, 4, 3, 5]
        );
        assert_eq!(
            lines(packages_stay_home, "src/flow/shell.rs", all),
            [2, 4, 3, 5]
        );
        assert_eq!(
            lines(packages_stay_home, "src/store/a.rs", all),
            [1, 2, 4, 3]
        );
        assert_eq!(
            lines(packages_stay_home, "src/sim/serve/a.rs", all),
            [2, 4, 5]
        );
        assert_eq!(lines(packages_stay_home, "tests/a.rs", all), NONE);
        let near = "// actix::A\nlet awc = \"awc::\"; x::actix::y; actix_rt::z";
        assert_eq!(lines(packages_stay_home, "src/flow.rs", near), NONE);
    }

    #[test]
    fn rules_about_words_can_fail() {
        let ends = format!(
            "// {0}: x\n// {0}(#12): x\nlet a = 1; // {1} #x",
            concat!("TO", "DO"),
            concat!("FIX", "ME")
        );
        assert_eq!(lines(open_ends_have_an_issue, "src/a.rs", &ends), [1, 3]);

        let logs = "info!(\"Started\");\nwarn!(a = 1, %b, \"stopped.\");\ntracing::error!(target: \"X\", c = f(\"Y.\"),\n\"Is {}\", x);\n\
            debug!(\"field.X\" = 1, \"fine\");\ninfo!(\"and so on...\");\nlet x = error(\"Up.\");\ninfo!(a = ?b);";
        assert_eq!(
            lines(log_messages_have_our_form, "src/a.rs", logs),
            [1, 2, 4]
        );

        let bounds = "/// Bytes.\npub const A: u8 = 1;\npub const B: u8 = 1;\n\n/// C.\n#[x]\npub(crate) const C: u8 = 1;\n// no\nconst D: u8 = 1;";
        assert_eq!(lines(bounds_are_documented, "src/a.rs", bounds), [3, 9]);
    }
}
