//! What may be shown of what is stored: tokens, secrets and response URLs are not part of it.

use serde_json::Value;

/// Stands for what is not shown.
const HIDDEN: &str = "‹set›";

/// Stands for a URL that anybody may post to.
const RESPONSE_URL: &str = "response_url";

/// Stored JSON as it may be shown; as text, where it is not JSON.
pub(super) fn json(stored: &[u8]) -> Value {
    let mut value = serde_json::from_slice(stored)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(stored).into_owned()));
    hide(&mut value);
    value
}

/// The name of a method, or what stands for a URL.
pub(super) fn method(method: &str) -> &str {
    if method.starts_with("http") {
        RESPONSE_URL
    } else {
        method
    }
}

/// Hides whatever is secret by its name or by its look.
pub(super) fn hide(value: &mut Value) {
    match value {
        Value::String(shown) => *shown = text(shown),
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::Object(fields) => {
            let named: Vec<String> = fields
                .keys()
                .filter(|name| text(name) != **name)
                .cloned()
                .collect();
            for name in named {
                if let Some(value) = fields.remove(&name) {
                    fields.insert(text(&name), value);
                }
            }
            for (name, value) in fields.iter_mut() {
                match value {
                    Value::String(shown) if name == "method" => {
                        *shown = method(shown).to_owned();
                    }
                    Value::String(shown) if is_secret(name) && !shown.is_empty() => {
                        HIDDEN.clone_into(shown);
                    }
                    _ => hide(value),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_secret(field: &str) -> bool {
    let name = field.to_ascii_lowercase();
    name == RESPONSE_URL
        || ["token", "secret", "password"]
            .iter()
            .any(|end| name.ends_with(end))
}

/// Text without the tokens and the response URLs in it.
pub(super) fn text(shown: &str) -> String {
    hidden(shown, |word| word.contains("hooks.slack.com/"))
}

/// The error of a call: whatever URL is in it may be one that anybody may post to.
pub(super) fn text_of_call(shown: &str) -> String {
    hidden(shown, |word| {
        word.starts_with("http:") || word.starts_with("https:")
    })
}

fn hidden(shown: &str, is_url: impl Fn(&str) -> bool) -> String {
    let is_of_url = |c: char| !c.is_whitespace() && !"<>|\"'()".contains(c);
    let without_urls = replaced(shown, is_of_url, |word| {
        is_url(word).then_some(RESPONSE_URL)
    });
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    replaced(&without_urls, is_of_token, |word| {
        is_token(word).then_some(HIDDEN)
    })
}

fn is_token(word: &str) -> bool {
    let is_bot_or_user = word.starts_with("xox") && word.contains('-');
    is_bot_or_user || word.starts_with("xapp-")
}

/// Replaces the words, which are the longest runs of characters that `is_part`.
fn replaced(
    text: &str,
    is_part: impl Fn(char) -> bool,
    replace: impl Fn(&str) -> Option<&'static str>,
) -> String {
    let mut result = String::with_capacity(text.len());
    let mut word = String::new();
    let end = |word: &mut String, result: &mut String| {
        result.push_str(replace(word).unwrap_or(word));
        word.clear();
    };
    for c in text.chars() {
        if is_part(c) {
            word.push(c);
        } else {
            end(&mut word, &mut result);
            result.push(c);
        }
    }
    end(&mut word, &mut result);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tokens_and_response_urls_are_hidden_by_name_and_by_look() {
        let stored = json!({
            "token": "legacy", "bot_token": "anything", "client_secret": "s", "response_url": "http://127.0.0.1/r/1",
            "response_urls": [{"response_url": "http://127.0.0.1/r/2"}],
            "call": {"method": "https://elsewhere/r/3", "args": {"text": "hi xoxb-1-2.a, (xapp-9) <https://hooks.slack.com/c/1|go>"}},
            "tokens": 3, "token_count": "4", "said": "xoxo, hugs", "refresh": "xoxe.xoxp-1-x",
            "by": {"xoxb-7": 1},
        });
        let shown = json(stored.to_string().as_bytes());
        assert_eq!(
            shown,
            json!({
                "token": "‹set›", "bot_token": "‹set›", "client_secret": "‹set›", "response_url": "‹set›",
                "response_urls": [{"response_url": "‹set›"}],
                "call": {"method": "response_url", "args": {"text": "hi ‹set›, (‹set›) <response_url|go>"}},
                "tokens": 3, "token_count": "4", "said": "xoxo, hugs", "refresh": "‹set›",
                "by": {"‹set›": 1},
            })
        );
    }

    #[test]
    fn what_is_not_json_is_shown_as_text() {
        assert_eq!(json(b"{oops xoxb-1"), json!("{oops ‹set›"));
    }

    #[test]
    fn a_method_is_shown_and_a_url_is_not() {
        assert_eq!(method("chat.postMessage"), "chat.postMessage");
        assert_eq!(method("http://127.0.0.1:1/r"), "response_url");
    }
}
