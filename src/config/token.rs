//! Tokens: where a reference leads, and whether what lies there is the right kind.
//!
//! Tokens are opaque but for their prefix; nothing here bounds or takes apart what follows it.

use std::path::Path;

use super::environment::Environment;
use super::fault::shown;
use super::read_bounded;
use crate::base::limits::TOKEN_FILE_BYTES_MAX;
use crate::base::secret::Secret;

/// What is wrong with a value, before its place is known.
#[derive(Debug)]
pub(super) struct Problem {
    /// See [`Fault::found`](super::Fault::found).
    pub(super) found: String,
    /// See [`Fault::expected`](super::Fault::expected).
    pub(super) expected: String,
}

impl Problem {
    pub(super) fn new(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            found: found.into(),
            expected: expected.into(),
        }
    }
}

/// The kinds that a setting can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Speaks for the app in one workspace.
    Bot,
    /// Opens the app's Socket Mode stream.
    App,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Bot => "xoxb-",
            Self::App => "xapp-",
        }
    }

    /// The kind in words, and where in Slack's settings of the app such a token is found.
    pub(super) fn expected(self) -> &'static str {
        match self {
            Self::Bot => {
                "a bot token (xoxb-), found in the app's settings under \"OAuth & Permissions\" once it is installed in a workspace"
            }
            Self::App => {
                "an app-level token (xapp-) with the scope connections:write, made in the app's settings under \"Basic Information\", \"App-Level Tokens\""
            }
        }
    }

    /// An example of a reference to such a token.
    fn reference(self) -> &'static str {
        match self {
            Self::Bot => "\"env:SLACK_BOT_TOKEN\" or \"file:/run/secrets/slack-bot-token\"",
            Self::App => "\"env:SLACK_APP_TOKEN\" or \"file:/run/secrets/slack-app-token\"",
        }
    }

    /// What a setting of this kind must look like.
    pub(super) fn expected_reference(self) -> String {
        format!(
            "a reference such as {} to {}",
            self.reference(),
            self.expected()
        )
    }
}

/// Prefixes of Slack's tokens, longer before shorter, with the words for each.
const PREFIXES: [(&str, &str); 8] = [
    ("xoxe.xoxb-", "a rotated bot token"),
    ("xoxe.xoxp-", "a rotated user token"),
    ("xoxe-", "a refresh token"),
    ("xoxb-", "a bot token"),
    ("xoxp-", "a user token"),
    ("xapp-", "an app-level token"),
    ("xwfp-", "a workflow token"),
    ("xox", "a Slack token of another kind"),
];

/// Whether `text` holds what may be a token, anywhere and in any case.
pub(super) fn is_like_one(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    PREFIXES.iter().any(|(prefix, _)| text.contains(prefix))
}

/// The kind and length of `text`, never its contents.
pub(super) fn describe(text: &str) -> String {
    let count = text.chars().count();
    for (prefix, words) in PREFIXES {
        if text.starts_with(prefix) {
            return format!("{words} ({prefix}, {count} characters)");
        }
    }
    if is_like_one(text) {
        return format!("a text of {count} characters that holds a Slack token");
    }
    format!("a text of {count} characters that is no Slack token")
}

/// The text that `reference` leads to, trimmed and not empty.
pub(super) fn resolve(
    reference: &str,
    kind: Kind,
    environment: &dyn Environment,
) -> Result<String, Problem> {
    let (text, source) = if let Some(name) = reference.strip_prefix("env:") {
        if !is_variable_name(name) {
            return Err(Problem::new(
                format!("refers to the variable {}", shown(name)),
                "letters, digits and _ after env:, such as \"env:SLACK_BOT_TOKEN\"",
            ));
        }
        let unset = || {
            Problem::new(
                format!("refers to the environment variable {name}, which is not set"),
                kind.expected(),
            )
        };
        let text = environment.get(name).ok_or_else(unset)?;
        (text, format!("the environment variable {name}"))
    } else if let Some(path) = reference.strip_prefix("file:") {
        let source = format!("the file {}", shown(path));
        let unreadable = |found| {
            Problem::new(
                format!("refers to {source}, which {found}"),
                kind.expected(),
            )
        };
        (
            read_bounded(Path::new(path), TOKEN_FILE_BYTES_MAX).map_err(unreadable)?,
            source,
        )
    } else {
        return Err(plain(reference, kind));
    };
    let text = text.trim();
    if text.is_empty() {
        return Err(Problem::new(
            format!("refers to {source}, which is empty"),
            kind.expected(),
        ));
    }
    Ok(text.to_owned())
}

/// The text of a token setting that is no reference.
fn plain(text: &str, kind: Kind) -> Problem {
    if is_like_one(text) {
        return Problem::new(
            format!("is {} in plain text", describe(text)),
            format!(
                "a reference, so that no secret lies in this file: put the token in an environment variable or a file of its own and write {}",
                kind.reference()
            ),
        );
    }
    Problem::new(
        format!(
            "is a text of {} characters that begins with neither env: nor file:",
            text.chars().count()
        ),
        kind.expected_reference(),
    )
}

fn is_variable_name(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(is_allowed)
}

/// The token `text`, if it is one of the wanted kind.
pub(super) fn checked(text: &str, kind: Kind) -> Result<Secret, Problem> {
    let problem = |found: String| Problem::new(found, kind.expected());
    let Some(rest) = text.strip_prefix(kind.prefix()) else {
        let mut problem = problem(format!("is {}", describe(text)));
        if text.starts_with("xoxe.xoxb-") && kind == Kind::Bot {
            problem.expected.push_str(
                "; rotated tokens expire after 12 hours, so use an app that has token rotation turned off",
            );
        }
        return Err(problem);
    };
    if rest.is_empty() {
        return Err(problem(format!("is only the prefix {}", kind.prefix())));
    }
    if !rest.chars().all(|c| c.is_ascii_graphic()) {
        return Err(problem(format!(
            "is {} with a space, a control character or a letter outside ASCII in it",
            describe(text)
        )));
    }
    Ok(Secret::new(text))
}
