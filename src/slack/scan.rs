//! Reading JSON in one pass: what routing needs is picked out, the rest is checked and skipped.
//!
//! An event is read on the thread that every event of a socket comes through. Reading the frame, then the payload
//! in it, then the event in that costs a pass each; this costs one. It checks as much as a full reader would:
//! what it takes is JSON.

use std::borrow::Cow;

/// How deep values may be nested; Slack's are a dozen deep at most.
const DEPTH_MAX: u32 = 512;

/// What is wrong with a text, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct Fault {
    /// What was found or missed.
    pub what: &'static str,
    /// Where, counted from the start of the text.
    pub at: usize,
}

/// A place in a JSON text. Each method reads one whole value, whatever it is.
#[derive(Debug)]
pub struct Scan<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
}

impl<'a> Scan<'a> {
    /// The start of `text`.
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
        }
    }

    /// Gives each field of an object to `field`, which must read its value. A value that is no object is skipped.
    ///
    /// # Errors
    /// Where it is no JSON, or what `field` says.
    pub fn fields(
        &mut self,
        mut field: impl FnMut(&mut Self, &str) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if self.peek() != Some(b'{') {
            return self.skip().map(drop);
        }
        self.enter()?;
        if self.peek() == Some(b'}') {
            return self.leave();
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.fault("no field name"));
            }
            let name = self.word()?;
            if self.peek() != Some(b':') {
                return Err(self.fault("no colon"));
            }
            self.at += 1;
            field(self, &name)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => return self.leave(),
                _ => return Err(self.fault("no comma and no end of an object")),
            }
        }
    }

    /// Gives each value of a list to `value`, which must read it. A value that is no list is skipped.
    ///
    /// # Errors
    /// Where it is no JSON, or what `value` says.
    pub fn values(
        &mut self,
        mut value: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if self.peek() != Some(b'[') {
            return self.skip().map(drop);
        }
        self.enter()?;
        if self.peek() == Some(b']') {
            return self.leave();
        }
        loop {
            value(self)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => return self.leave(),
                _ => return Err(self.fault("no comma and no end of a list")),
            }
        }
    }

    /// A text. Nothing for any other value, which is skipped, and for what no text can be made of (half a
    /// surrogate pair, say).
    ///
    /// # Errors
    /// Where it is no JSON.
    pub fn word(&mut self) -> Result<Cow<'a, str>, Fault> {
        if self.peek() != Some(b'"') {
            return self.skip().map(|_| Cow::default());
        }
        let (text, is_plain) = self.string()?;
        Ok(if is_plain {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(self.unescaped(text))
        })
    }

    /// A text, or the `id` of an object: some events carry a whole user or conversation where others name it.
    ///
    /// # Errors
    /// Where it is no JSON.
    pub fn reference(&mut self) -> Result<Cow<'a, str>, Fault> {
        let mut id = Cow::default();
        match self.peek() {
            Some(b'{') => self.fields(|scan, name| {
                match name {
                    "id" => id = scan.word()?,
                    _ => drop(scan.skip()?),
                }
                Ok(())
            })?,
            _ => id = self.word()?,
        }
        Ok(id)
    }

    /// A whole number; 0 for anything else.
    ///
    /// # Errors
    /// Where it is no JSON.
    pub fn number(&mut self) -> Result<u64, Fault> {
        Ok(self.skip()?.parse().unwrap_or(0))
    }

    /// Any value, as it is written.
    ///
    /// # Errors
    /// Where it is no JSON.
    pub fn skip(&mut self) -> Result<&'a str, Fault> {
        let first = self.peek();
        let from = self.at;
        match first {
            Some(b'{') => self.fields(|scan, _| scan.skip().map(drop))?,
            Some(b'[') => self.values(|scan| scan.skip().map(drop))?,
            Some(b'"') => drop(self.string()?),
            Some(b't') => self.literal("true")?,
            Some(b'f') => self.literal("false")?,
            Some(b'n') => self.literal("null")?,
            Some(b'-' | b'0'..=b'9') => self.skip_number()?,
            Some(_) => return Err(self.fault("no value")),
            None => return Err(self.fault("EOF while a value was expected")),
        }
        Ok(self.text.get(from..self.at).unwrap_or_default())
    }

    /// What `read` makes of the value, and the value as it is written.
    ///
    /// # Errors
    /// What `read` says.
    pub fn noted<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<(&'a str, T), Fault> {
        self.peek();
        let from = self.at;
        let value = read(self)?;
        Ok((self.text.get(from..self.at).unwrap_or_default(), value))
    }

    /// Nothing but white space may be left.
    ///
    /// # Errors
    /// Where there is more.
    pub fn end(&mut self) -> Result<(), Fault> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.fault("more behind the end")),
        }
    }

    fn fault(&self, what: &'static str) -> Fault {
        let what = if self.at >= self.text.len() {
            "EOF in the middle"
        } else {
            what
        };
        Fault { what, at: self.at }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = self.byte();
            match byte {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                _ => return byte,
            }
        }
    }

    fn enter(&mut self) -> Result<(), Fault> {
        self.at += 1;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.fault("nested too deep"));
        }
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "it ends what enter began")]
    fn leave(&mut self) -> Result<(), Fault> {
        self.at += 1;
        self.depth -= 1;
        Ok(())
    }

    fn literal(&mut self, word: &str) -> Result<(), Fault> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(self.fault("no value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        if !matches!(self.byte(), Some(b'0'..=b'9')) {
            return Err(self.fault("no digit"));
        }
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
        Ok(())
    }

    fn skip_number(&mut self) -> Result<(), Fault> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// The text of the string that was just read, which is written with escapes; nothing where there is none.
    fn unescaped(&self, inner: &str) -> String {
        let from = self.at.saturating_sub(inner.len() + 2);
        let quoted = self.text.get(from..self.at).unwrap_or_default();
        serde_json::from_str(quoted).unwrap_or_default()
    }

    /// What stands between two quotes, and whether it is written without escapes.
    fn string(&mut self) -> Result<(&'a str, bool), Fault> {
        self.at += 1;
        let from = self.at;
        let mut is_plain = true;
        loop {
            self.skip_plain();
            match self.byte() {
                Some(b'"') => {
                    let text = self.text.get(from..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok((text, is_plain));
                }
                Some(b'\\') => {
                    is_plain = false;
                    self.at += 1;
                    self.escape()?;
                }
                Some(_) => return Err(self.fault("a control character in a text")),
                None => return Err(self.fault("a text without end")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        let digits = match self.byte() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 0,
            Some(b'u') => 4,
            _ => return Err(self.fault("no such escape")),
        };
        self.at += 1;
        for _ in 0..digits {
            if !self.byte().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                return Err(self.fault("no hexadecimal digit"));
            }
            self.at += 1;
        }
        Ok(())
    }

    /// Goes on to the next quote, backslash or control character, eight bytes at a time.
    fn skip_plain(&mut self) {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGHS: u64 = 0x8080_8080_8080_8080;
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let (chunks, tail) = rest.as_chunks::<8>();
        for chunk in chunks {
            let eight = u64::from_le_bytes(*chunk);
            // A byte's high bit is set where the byte is zero; above the first such byte it may be set wrongly,
            // and only the first is looked for.
            let zero_in = |it: u64| it.wrapping_sub(ONES) & !it & HIGHS;
            let quote = zero_in(eight ^ (ONES * u64::from(b'"')));
            let backslash = zero_in(eight ^ (ONES * u64::from(b'\\')));
            let control = eight.wrapping_sub(ONES * 0x20) & !eight & HIGHS;
            let found = quote | backslash | control;
            if found != 0 {
                self.at += (found.trailing_zeros() / 8) as usize;
                return;
            }
            self.at += 8;
        }
        let plain = |byte: &&u8| !matches!(**byte, b'"' | b'\\' | 0..0x20);
        self.at += tail.iter().take_while(plain).count();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// Reads everything by the scanner's own means, to be compared with what a full reader makes of it.
    fn scanned(scan: &mut Scan<'_>) -> Result<Value, Fault> {
        match scan.peek() {
            Some(b'{') => {
                let mut object = serde_json::Map::new();
                scan.fields(|scan, name| {
                    object.insert(name.to_owned(), scanned(scan)?);
                    Ok(())
                })?;
                Ok(Value::Object(object))
            }
            Some(b'[') => {
                let mut list = Vec::new();
                scan.values(|scan| {
                    list.push(scanned(scan)?);
                    Ok(())
                })?;
                Ok(Value::Array(list))
            }
            Some(b'"') => Ok(Value::String(scan.word()?.into_owned())),
            _ => Ok(serde_json::from_str(scan.skip()?).unwrap()),
        }
    }

    fn whole(text: &str) -> Result<Value, Fault> {
        let mut scan = Scan::new(text);
        let value = scanned(&mut scan)?;
        scan.end()?;
        Ok(value)
    }

    fn skipped(text: &str) -> Result<(), Fault> {
        let mut scan = Scan::new(text);
        scan.skip()?;
        scan.end()
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[ -~]{0,40}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map(".{0,6}", inner, 0..6)
                    .prop_map(|object| Value::Object(object.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_json_is_read_as_a_full_reader_reads_it(value in json(), is_pretty: bool) {
            let text = if is_pretty {
                serde_json::to_string_pretty(&value).unwrap()
            } else {
                value.to_string()
            };
            prop_assert_eq!(whole(&text).unwrap(), serde_json::from_str::<Value>(&text).unwrap());
            prop_assert_eq!(skipped(&text), Ok(()));
        }

        #[test]
        fn what_is_no_json_is_refused_just_where_a_full_reader_refuses_it(
            value in json(), at in any::<prop::sample::Index>(), byte in "[ -~\n]", is_cut: bool
        ) {
            let text = value.to_string();
            let at = (0..=at.index(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap();
            let (head, tail) = text.split_at(at);
            let text = if is_cut { head.to_owned() } else { format!("{head}{byte}{tail}") };
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(skipped(&text).is_ok(), is_json, "{}", text);
        }
    }

    #[test]
    fn odd_texts_are_told_apart() {
        for text in [
            "",
            " ",
            "01",
            "1.",
            "1e",
            "-",
            "+1",
            "tru",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\n\"",
            "[1,]",
            "{\"a\"}",
            "{,}",
            "{\"a\":1,}",
            "1 2",
            "\"a",
        ] {
            assert!(skipped(text).is_err(), "{text:?}");
        }
        assert_eq!(
            whole(r#""\ud83d""#),
            Ok(Value::String(String::new())),
            "half a pair"
        );
        assert_eq!(
            whole(r#"{"\u0061":"\ud83d\ude00"}"#),
            Ok(serde_json::json!({"a": "😀"}))
        );
        let deep = "[".repeat(600) + &"]".repeat(600);
        assert_eq!(
            skipped(&deep).map_err(|fault| fault.what),
            Err("nested too deep")
        );
    }

    #[test]
    fn references_are_names_or_the_ids_of_what_stands_there() {
        let read = |text| Scan::new(text).reference().unwrap();
        assert_eq!(read(r#""U1""#), "U1");
        assert_eq!(read(r#"{"name":{"id":"no"},"id":"U2","x":[]}"#), "U2");
        assert_eq!(read("null"), "");
        assert_eq!(read("[1]"), "");
    }
}
