//! A header that an operator adds: checked when it is made, its value never shown.

use std::fmt;

use crate::base::secret::Secret;

/// A header of a request, which can be sent as it is.
#[derive(Debug, Clone)]
pub struct Header {
    name: String,
    value: Secret,
}

/// Why a header can't be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// Not letters, digits and `-`.
    Name,
    /// It is ours to set: what it says must be true of the request.
    Ours,
    /// Not visible ASCII with spaces between, or empty.
    Value,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "its name is not made of letters, digits and -",
            Self::Ours => "Callboard sets this header itself",
            Self::Value => "its value is empty, or not visible ASCII with spaces between",
        })
    }
}

/// Headers that say how a request is framed, whom it is for and who asks.
const OURS: [&str; 10] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

impl Header {
    /// The header `name` with the value `value`.
    ///
    /// # Errors
    /// When it can't be sent, or is ours to set.
    pub fn new(name: &str, value: &str) -> Result<Self, Unfit> {
        let name = name.to_ascii_lowercase();
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(Unfit::Name);
        }
        if OURS.contains(&name.as_str()) || name.starts_with("sec-websocket-") {
            return Err(Unfit::Ours);
        }
        let value = value.trim();
        if value.is_empty() || !value.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
            return Err(Unfit::Value);
        }
        Ok(Self {
            name,
            value: Secret::new(value),
        })
    }

    /// Its name, in small letters.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value, which may be a credential.
    pub fn value(&self) -> &Secret {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_sent_is_taken_and_what_is_ours_is_not() {
        let header = Header::new("X-Gateway", " key 1 ").unwrap();
        assert_eq!(header.name(), "x-gateway");
        assert_eq!(header.value().expose(), "key 1");
        assert!(!format!("{header:?}").contains("key 1"));
        for (name, value, unfit) in [
            ("", "v", Unfit::Name),
            ("a b", "v", Unfit::Name),
            ("a:", "v", Unfit::Name),
            ("Authorization", "v", Unfit::Ours),
            ("HOST", "v", Unfit::Ours),
            ("Sec-WebSocket-Protocol", "v", Unfit::Ours),
            ("a", "", Unfit::Value),
            ("a", "b\r\nc: d", Unfit::Value),
            ("a", "ü", Unfit::Value),
        ] {
            assert_eq!(Header::new(name, value).unwrap_err(), unfit, "{name}");
        }
    }
}
