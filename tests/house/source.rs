//! Rust source as tokens: enough to know code from comments and texts, no more.

/// A piece of code with its line, counted from 1. Comments leave no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) line: usize,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier, keyword or number.
    Word(String),
    /// A string literal, without quotes, escapes as written.
    Text(String),
    /// `::`
    Path,
    /// Any other single character.
    Mark(char),
}

impl Token {
    pub(crate) fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(crate) fn is(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }
}

/// The tokens of `source`.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut reader = Reader {
        rest: source,
        line: 1,
    };
    let mut tokens = Vec::new();
    while let Some(c) = reader.rest.chars().next() {
        let line = reader.line;
        let kind = if c.is_whitespace() {
            reader.take(c.len_utf8());
            continue;
        } else if reader.rest.starts_with("//") {
            reader.until("\n");
            continue;
        } else if reader.rest.starts_with("/*") {
            reader.block_comment();
            continue;
        } else if let Some(text) = reader.literal() {
            Kind::Text(text)
        } else if c == '\'' {
            reader.quote();
            continue;
        } else if is_word(c) {
            let end = reader.rest.find(|c| !is_word(c));
            Kind::Word(reader.take(end.unwrap_or(reader.rest.len())).to_owned())
        } else if reader.rest.starts_with("::") {
            reader.take(2);
            Kind::Path
        } else {
            reader.take(c.len_utf8());
            Kind::Mark(c)
        };
        tokens.push(Token { line, kind });
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    /// Everything before `end`, which is consumed too.
    fn until(&mut self, end: &str) -> &'a str {
        let length = self.rest.find(end);
        let taken = self.take(length.unwrap_or(self.rest.len()));
        self.take(end.len().min(self.rest.len()));
        taken
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while let Some(c) = self.rest.chars().next() {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.take(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.take(2);
                if depth == 0 {
                    return;
                }
            } else {
                self.take(c.len_utf8());
            }
        }
    }

    /// A string literal of any kind, if one begins here.
    fn literal(&mut self) -> Option<String> {
        let prefix = ["br", "cr", "r", "b", "c", ""]
            .into_iter()
            .find(|prefix| self.rest.starts_with(prefix))?;
        let after = self.rest.strip_prefix(prefix)?;
        let hashes: String = after.chars().take_while(|c| *c == '#').collect();
        let is_raw = prefix.ends_with('r');
        if !after.trim_start_matches('#').starts_with('"') || (!is_raw && !hashes.is_empty()) {
            return None;
        }
        self.take(prefix.len() + hashes.len() + 1);
        if is_raw {
            return Some(self.until(&format!("\"{hashes}")).to_owned());
        }
        let mut is_escaped = false;
        let end = self.rest.find(|c| {
            let ends = c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            ends
        });
        let text = self.take(end.unwrap_or(self.rest.len())).to_owned();
        self.take(1.min(self.rest.len()));
        Some(text)
    }

    /// A character literal as a whole; of a lifetime only the quote, since its name does no harm.
    fn quote(&mut self) {
        self.take(1);
        let mut chars = self.rest.chars();
        match (chars.next(), chars.next()) {
            (Some('\\'), _) => {
                self.take(1);
                let escaped = self.rest.chars().next().map_or(0, char::len_utf8);
                self.take(escaped);
                self.until("'");
            }
            (Some(c), Some('\'')) => {
                self.take(c.len_utf8() + 1);
            }
            _ => {}
        }
    }
}

#[test]
fn comments_and_literals_are_no_code() {
    let source = "a // b\n/* c /* d */ e */ 'f' '\\'' '\\u{1}' b\"g\\\"h\" r#\"i\"j\"# 'k: l::m";
    let shown: Vec<String> = tokens(source)
        .into_iter()
        .map(|token| match token.kind {
            Kind::Word(word) => format!("{}{word}", token.line),
            Kind::Text(text) => format!("<{text}>"),
            Kind::Path => "::".to_owned(),
            Kind::Mark(mark) => mark.to_string(),
        })
        .collect();
    assert_eq!(shown.join(" "), "1a <g\\\"h> <i\"j> 2k : 2l :: 2m");
}
