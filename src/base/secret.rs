//! Text that must never show: tokens, secrets, tickets.

use std::fmt;

/// A string that prints as `‹set›`.
///
/// There is deliberately no `Display`, no `Serialize` and no comparison: whoever needs the text says
/// [`Secret::expose`], which is easy to find.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Must not reach a log, an error, a page or a metric.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹set›")
    }
}

/// `text` as a log may have it: Slack's tokens, the URLs of sockets and of answers, and verification tokens are taken
/// out, whether or not JSON has its slashes escaped.
pub fn redacted(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    'next: while let Some(first) = rest.chars().next() {
        for (beginning, shown) in SECRETS {
            let Some(after) = rest.strip_prefix(beginning) else {
                continue;
            };
            clean.push_str(shown);
            rest = after.trim_start_matches(|c: char| !c.is_whitespace() && !"\"'<>|".contains(c));
            continue 'next;
        }
        clean.push(first);
        rest = rest.strip_prefix(first).unwrap_or_default();
    }
    clean
}

/// How a secret begins, and what stands for it; it ends at a space, a quote or an angle bracket.
const SECRETS: [(&str, &str); 16] = [
    ("xoxb-", "‹token›"),
    ("xoxp-", "‹token›"),
    ("xoxa-", "‹token›"),
    ("xoxs-", "‹token›"),
    ("xoxc-", "‹token›"),
    ("xoxe", "‹token›"),
    ("xapp-", "‹token›"),
    ("xwfp-", "‹token›"),
    ("wss://", "‹socket›"),
    ("wss:\\/\\/", "‹socket›"),
    ("ws://", "‹socket›"),
    ("ws:\\/\\/", "‹socket›"),
    ("https://hooks.", "‹hook›"),
    ("https:\\/\\/hooks.", "‹hook›"),
    ("\"token\":\"", "\"token\":\"‹token›"),
    ("\"token\": \"", "\"token\": \"‹token›"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_text() {
        let shown = format!("{:?}", Some(Secret::new("xoxb-1")));
        assert_eq!(shown, "Some(‹set›)");
    }

    #[test]
    fn what_a_frame_holds_of_secrets_is_taken_out_and_nothing_else() {
        for (text, shown) in [
            ("plain \u{1F600} text", "plain \u{1F600} text"),
            ("a xoxb-1-2 b", "a ‹token› b"),
            (r#"{"x":"xoxe.xoxb-1"}"#, r#"{"x":"‹token›"}"#),
            (
                r#"{"type":"reconnect_url","url":"wss://h/x?ticket=1"}"#,
                r#"{"type":"reconnect_url","url":"‹socket›"}"#,
            ),
            (r#""wss:\/\/h\/x?ticket=1""#, r#""‹socket›""#),
            (
                r#"{"response_url":"https://hooks.slack.com/c/1","a":1}"#,
                r#"{"response_url":"‹hook›","a":1}"#,
            ),
            (r#""https:\/\/hooks.slack.com\/c""#, r#""‹hook›""#),
            (
                r#"{"token":"abc","a":"b"}"#,
                r#"{"token":"‹token›","a":"b"}"#,
            ),
            ("<wss://x|y>", "<‹socket›|y>"),
            ("news: //", "news: //"),
            ("https://example.test/", "https://example.test/"),
        ] {
            assert_eq!(redacted(text), shown);
        }
    }
}
