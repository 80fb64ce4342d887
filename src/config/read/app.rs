//! The `[[app]]` tables: names, transports and the tokens they refer to.

use std::collections::BTreeMap;
use std::ops::Range;

use toml_edit::{Item, Table, TableLike, Value};

use super::{Reader, is_a, with_article};
use crate::base::limits::{APP_NAME_CHARS_MAX, SLOTS_MAX};
use crate::base::secret::Secret;
use crate::config::fault::{Place, shown};
use crate::config::token::{self, Kind};
use crate::config::{App, Connection, Transport};

const SOME_APP: &str =
    "at least one [[app]] with name, app_token and bot_tokens, as in callboard.example.toml";

impl Reader<'_> {
    /// The apps that are sound; whatever is not has left a fault.
    pub(super) fn apps(&mut self, root: &Table, top: &Place) -> Vec<App> {
        let Some((place, item)) = self.find(root, top, "app") else {
            self.faults.push(top.fault("has no [[app]]", SOME_APP));
            return Vec::new();
        };
        let Some(tables) = tables(item) else {
            let expected = "tables, each written [[app]] with two brackets";
            self.faults.push(place.fault(is_a(item), expected));
            return Vec::new();
        };
        if tables.is_empty() {
            self.faults.push(place.fault("is empty", SOME_APP));
        }
        let mut names = BTreeMap::new();
        let mut apps = Vec::new();
        for (index, (span, table)) in tables.into_iter().enumerate() {
            let place = place.element(index).at_span(self.text, span);
            self.refuse_unknown_keys(table, &place, "[[app]]");
            let name = self.app_name(table, &place, &mut names);
            let transport = self.transport(table, &place);
            let bot_tokens = self.bot_tokens(table, &place);
            let connection = self.connection(table, &place);
            if let (Some(name), Some(transport), Some(bot_tokens)) = (name, transport, bot_tokens) {
                apps.push(App {
                    name,
                    transport,
                    bot_tokens,
                    connection,
                });
            }
        }
        apps
    }

    fn app_name(
        &mut self,
        table: &dyn TableLike,
        at: &Place,
        names: &mut BTreeMap<String, Place>,
    ) -> Option<String> {
        let expected = format!(
            "a name of 1 to {APP_NAME_CHARS_MAX} characters from a-z, 0-9 and -, such as \"acme\""
        );
        let (place, name) = self.required_text(table, at, "name", &expected)?;
        let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !(1..=APP_NAME_CHARS_MAX).contains(&name.chars().count())
            || !name.chars().all(is_allowed)
            || token::is_like_one(&name)
        {
            self.faults
                .push(place.fault(format!("is {}", shown(&name)), expected));
            return None;
        }
        if let Some(first) = names.get(&name) {
            self.faults.push(place.fault(
                format!("is {}, which {first} has too", shown(&name)),
                "a name of its own for each app: the store keeps each app's data under it",
            ));
            return None;
        }
        names.insert(name.clone(), place);
        Some(name)
    }

    fn transport(&mut self, table: &dyn TableLike, at: &Place) -> Option<Transport> {
        let expected = "\"socket\" (Socket Mode) or \"rtm\"";
        let chosen = match self.find(table, at, "transport") {
            None => "socket".to_owned(),
            Some(_) => match self.text(table, at, "transport", expected) {
                Some((_, text)) if text == "socket" || text == "rtm" => text,
                Some((place, text)) => {
                    self.faults
                        .push(place.fault(format!("is {}", shown(&text)), expected));
                    String::new()
                }
                None => String::new(),
            },
        };
        let app_token = match self.find(table, at, "app_token") {
            Some((place, _)) if chosen == "rtm" => {
                self.faults.push(place.fault(
                    "is given for an app whose transport is \"rtm\"",
                    "no app_token here, since RTM opens its sockets with bot_tokens; or transport = \"socket\"",
                ));
                return None;
            }
            Some((place, item)) => self.referenced(&place, item.as_value(), Kind::App),
            None if chosen == "socket" => {
                let reference = Kind::App.expected_reference();
                let expected = format!("{reference}; or transport = \"rtm\"");
                self.faults
                    .push(at.key("app_token").fault("is missing", expected));
                None
            }
            None => None,
        };
        match chosen.as_str() {
            "socket" => app_token.map(|app_token| Transport::Socket { app_token }),
            "rtm" => Some(Transport::Rtm),
            _ => None,
        }
    }

    fn connection(&mut self, table: &dyn TableLike, at: &Place) -> Connection {
        let mut connection = Connection::default();
        let is_rtm = table.get("transport").and_then(Item::as_str) == Some("rtm");
        if let Some((place, item)) = self.find(table, at, "slots") {
            let slots = item
                .as_integer()
                .and_then(|slots| usize::try_from(slots).ok());
            let expected = format!("a whole number from 1 to {SLOTS_MAX}, for Socket Mode");
            match slots {
                Some(slots) if (1..=SLOTS_MAX).contains(&slots) && !is_rtm => {
                    connection.slots = slots;
                }
                Some(_) if is_rtm => self
                    .faults
                    .push(place.fault("is given for an app whose transport is \"rtm\"", expected)),
                Some(slots) => self
                    .faults
                    .push(place.fault(format!("is {slots}"), expected)),
                None => self.faults.push(place.fault(is_a(item), expected)),
            }
        }
        if let Some((place, item)) = self.find(table, at, "backfill") {
            let expected = "true or false, for RTM: Socket Mode delivers again by itself";
            match item.as_bool() {
                Some(true) if !is_rtm => self.faults.push(
                    place.fault("is true for an app whose transport is \"socket\"", expected),
                ),
                Some(backfill) => connection.backfill = backfill,
                None => self.faults.push(place.fault(is_a(item), expected)),
            }
        }
        if let Some((place, item)) = self.find(table, at, "auto_reconnect") {
            match item.as_bool() {
                Some(is_on) => connection.auto_reconnect = is_on,
                None => self.faults.push(place.fault(is_a(item), "true or false")),
            }
        }
        connection
    }

    fn bot_tokens(&mut self, table: &dyn TableLike, at: &Place) -> Option<Vec<Secret>> {
        let expected = "a list of references to bot tokens, one per workspace, such as [\"env:SLACK_BOT_TOKEN\"]";
        let Some((place, item)) = self.find(table, at, "bot_tokens") else {
            self.faults
                .push(at.key("bot_tokens").fault("is missing", expected));
            return None;
        };
        let Some(array) = item.as_array() else {
            self.faults.push(place.fault(is_a(item), expected));
            return None;
        };
        if array.is_empty() {
            self.faults.push(place.fault("is empty", expected));
        }
        let mut tokens = Vec::new();
        for (index, value) in array.iter().enumerate() {
            let place = place.element(index).at_span(self.text, value.span());
            tokens.extend(self.referenced(&place, Some(value), Kind::Bot));
        }
        Some(tokens)
    }

    /// The token that a value of the file refers to.
    fn referenced(&mut self, place: &Place, value: Option<&Value>, kind: Kind) -> Option<Secret> {
        let Some(reference) = value.and_then(Value::as_str) else {
            let found = value.map_or("a table", Value::type_name);
            let found = format!("is not a text but {}", with_article(found));
            self.faults
                .push(place.fault(found, kind.expected_reference()));
            return None;
        };
        let text = token::resolve(reference.trim(), kind, self.environment);
        let text = self.kept(place, text)?;
        self.token(place, &text, kind)
    }
}

type Spanned<'t> = (Option<Range<usize>>, &'t dyn TableLike);

/// The tables of a `[[list]]` or of a list of inline tables, each with its span.
fn tables(item: &Item) -> Option<Vec<Spanned<'_>>> {
    match item {
        Item::ArrayOfTables(list) => Some(
            list.iter()
                .map(|table| (table.span(), table as &dyn TableLike))
                .collect(),
        ),
        Item::Value(Value::Array(list)) => list
            .iter()
            .map(|value| {
                let table = value.as_inline_table()?;
                Some((value.span(), table as &dyn TableLike))
            })
            .collect(),
        _ => None,
    }
}
