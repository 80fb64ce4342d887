//! The arguments of a call: form text and JSON read alike.

use serde_json::{Map, Value};

/// Arguments by name. Objects and arrays may come as JSON or as text that holds JSON.
#[derive(Debug, Clone, Default)]
pub(crate) struct Args(Map<String, Value>);

impl Args {
    /// Wraps what came; a token among it is taken out and returned.
    pub(crate) fn new(mut fields: Map<String, Value>) -> (Self, Option<String>) {
        let token = fields.remove("token");
        let token = token.and_then(|token| token.as_str().map(str::to_owned));
        (Self(fields), token.filter(|token| !token.is_empty()))
    }

    /// The text of an argument; numbers and booleans as text; nothing when empty.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let text = match self.0.get(name)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        Some(text).filter(|text| !text.is_empty())
    }

    /// Whether an argument is given and true: `true` or `1`.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        matches!(self.text(name).as_deref(), Some("true" | "1"))
    }

    /// An object or array; nothing when absent or empty.
    pub(crate) fn json(&self, name: &str) -> Option<Value> {
        match self.0.get(name)? {
            Value::String(text) => serde_json::from_str(text).ok(),
            value @ (Value::Array(_) | Value::Object(_)) => Some(value.clone()),
            Value::Null | Value::Bool(_) | Value::Number(_) => None,
        }
    }

    /// Whether an argument is given at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0
            .get(name)
            .is_some_and(|value| !value.is_null() && value != "")
    }

    /// All arguments for the record: JSON in text is parsed where it is an object or array.
    pub(crate) fn shown(&self) -> Map<String, Value> {
        let parse = |(name, value): (&String, &Value)| {
            let parsed = value
                .as_str()
                .filter(|text| text.starts_with(['{', '[']))
                .and_then(|text| serde_json::from_str(text).ok());
            (name.clone(), parsed.unwrap_or_else(|| value.clone()))
        };
        self.0.iter().map(parse).collect()
    }

    /// How many items a page holds: `limit`, or `usual` without one, never more than `most`.
    pub(crate) fn limit(&self, usual: usize, most: usize) -> Result<usize, &'static str> {
        match self.text("limit") {
            None => Ok(usual),
            Some(text) => match text.parse::<usize>() {
                Ok(0) => Ok(usual),
                Ok(limit) => Ok(limit.min(most)),
                Err(_not_a_number) => Err("invalid_limit"),
            },
        }
    }

    /// What a cursor of [`cursor`] points at.
    pub(crate) fn cursor(&self) -> Result<Option<String>, &'static str> {
        let Some(cursor) = self.text("cursor") else {
            return Ok(None);
        };
        let inner = cursor
            .strip_prefix("next:")
            .and_then(|it| it.strip_suffix('='));
        inner.map(|it| Some(it.to_owned())).ok_or("invalid_cursor")
    }

    /// One page of a list that only grows: the items, and the cursor of the next page, empty at the end.
    pub(crate) fn page<'a, T>(
        &self,
        items: &'a [T],
        usual: usize,
        most: usize,
    ) -> Result<(&'a [T], String), &'static str> {
        let limit = self.limit(usual, most)?;
        let start = match self.cursor()? {
            None => 0,
            Some(inner) => inner
                .parse::<usize>()
                .map_err(|_not_a_number| "invalid_cursor")?,
        };
        let rest = items.get(start..).ok_or("invalid_cursor")?;
        let page = rest.get(..limit).unwrap_or(rest);
        let next = start + page.len();
        let more = next < items.len();
        Ok((
            page,
            if more {
                cursor(&next.to_string())
            } else {
                String::new()
            },
        ))
    }
}

/// A cursor; its end must be escaped in a URL, as with Slack's.
pub(crate) fn cursor(to: &str) -> String {
    format!("next:{to}=")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn args(value: &Value) -> Args {
        Args::new(value.as_object().cloned().unwrap()).0
    }

    #[test]
    fn a_token_is_taken_out() {
        let fields = json!({"token": "xoxb-1", "channel": "C1"});
        let (args, token) = Args::new(fields.as_object().cloned().unwrap());
        assert_eq!(token.as_deref(), Some("xoxb-1"));
        assert!(!args.has("token"));
        assert_eq!(Value::Object(args.shown()), json!({"channel": "C1"}));
    }

    #[test]
    fn pages_of_a_list_join_without_gap_or_repeat() {
        let items: Vec<u32> = (0..7).collect();
        let (mut seen, mut next) = (Vec::new(), String::new());
        for _ in 0..4 {
            let args = args(&json!({"limit": 2, "cursor": next}));
            let (page, cursor) = args.page(&items, 100, 1000).unwrap();
            seen.extend_from_slice(page);
            next = cursor;
        }
        assert_eq!((seen, next.as_str()), (items, ""));
    }

    #[test]
    fn bad_limits_and_cursors_are_refused() {
        let items = [1];
        let refused = |value: Value| args(&value).page(&items, 1, 1).unwrap_err();
        assert_eq!(refused(json!({"limit": "many"})), "invalid_limit");
        assert_eq!(refused(json!({"cursor": "junk"})), "invalid_cursor");
        assert_eq!(refused(json!({"cursor": "next:9="})), "invalid_cursor");
    }
}
