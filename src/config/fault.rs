//! What is wrong with a configuration, and where.

use std::fmt;
use std::ops::Range;

use super::token;

/// Characters of an operator's value that a fault repeats.
const SHOWN_CHARS_MAX: usize = 80;

/// One thing that is wrong. It never holds a token: of those it gives kind and length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file's name as it was given, or `environment`.
    pub file: String,
    /// The line, counted from 1; none where the whole file or a variable is meant.
    pub line: Option<usize>,
    /// The path of the key, such as `app[0].bot_tokens[1]` (counted from 0), or a variable's name; empty where
    /// the whole file is meant.
    pub key: String,
    /// What is there, as the end of a sentence that begins with the key.
    pub found: String,
    /// What should be there instead, and how to bring it about.
    pub expected: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        if !self.key.is_empty() {
            write!(f, " {}", self.key)?;
        }
        write!(f, " {}; expected {}", self.found, self.expected)
    }
}

/// Everything that is wrong, in the order of the file; at least one [`Fault`]. Displays as one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn one(fault: Fault) -> Self {
        Self(vec![fault])
    }

    /// Sorted by line; what has none comes last, in the order it was found.
    pub(super) fn sorted(mut faults: Vec<Fault>) -> Self {
        faults.sort_by_key(|fault| fault.line.unwrap_or(usize::MAX));
        Self(faults)
    }

    /// The single faults.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Faults {
    type Item = &'a Fault;
    type IntoIter = std::slice::Iter<'a, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Where a value stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    file: String,
    line: Option<usize>,
    key: String,
}

impl Place {
    /// The name under which faults speak of environment variables.
    pub(super) const ENVIRONMENT: &'static str = "environment";

    /// The whole file.
    pub(super) fn top(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            key: String::new(),
        }
    }

    /// An environment variable.
    pub(super) fn variable(name: &str) -> Self {
        Self::top(Self::ENVIRONMENT).key(name)
    }

    /// The key `key` of this table.
    pub(super) fn key(&self, key: &str) -> Self {
        let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let key = if key.chars().all(is_bare) && !token::is_like_one(key) {
            key.to_owned()
        } else {
            shown(key)
        };
        let key = if self.key.is_empty() {
            key
        } else {
            format!("{}.{key}", self.key)
        };
        Self {
            key,
            ..self.clone()
        }
    }

    /// The element `index` of this array, counted from 0.
    pub(super) fn element(&self, index: usize) -> Self {
        Self {
            key: format!("{}[{index}]", self.key),
            ..self.clone()
        }
    }

    /// The same key, on the line where `span` begins in `text`; unmoved where there is no span.
    pub(super) fn at_span(mut self, text: &str, span: Option<Range<usize>>) -> Self {
        if let Some(span) = span {
            let newlines = text.bytes().take(span.start).filter(|b| *b == b'\n');
            self.line = Some(newlines.count() + 1);
        }
        self
    }

    /// What is wrong at this place.
    pub(super) fn fault(&self, found: impl Into<String>, expected: impl Into<String>) -> Fault {
        Fault {
            file: self.file.clone(),
            line: self.line,
            key: self.key.clone(),
            found: found.into(),
            expected: expected.into(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        match self.line {
            Some(line) => write!(f, " (line {line})"),
            None => Ok(()),
        }
    }
}

/// An operator's value as a fault may show it: quoted, on one line, cut; kind and length only if it holds a token.
pub(super) fn shown(value: &str) -> String {
    if token::is_like_one(value) {
        return token::describe(value);
    }
    let mut cut: String = value.chars().take(SHOWN_CHARS_MAX).collect();
    if cut.len() < value.len() {
        cut.push('…');
    }
    format!("{cut:?}")
}
