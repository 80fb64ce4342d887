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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_text() {
        let shown = format!("{:?}", Some(Secret::new("xoxb-1")));
        assert_eq!(shown, "Some(‹set›)");
    }
}
