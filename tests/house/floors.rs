//! Who may import whom.

use std::collections::BTreeSet;

use crate::source::{Kind, Token, tokens};
use crate::table;

/// What stands in the second column for modules that may import everything.
const ANYTHING: &str = "anything";

/// The floors of ARCHITECTURE.md, from the ground up: module, and what it may import.
pub(crate) struct Floors(Vec<(String, Vec<String>)>);

impl Floors {
    pub(crate) fn read(architecture: &str) -> Self {
        let rows = table(architecture, "floors");
        let split = |cell: &str| cell.split(", ").map(str::to_owned).collect();
        Self(
            rows.iter()
                .map(|(name, cell)| (name.clone(), split(cell)))
                .collect(),
        )
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    fn may(&self, from: &str, to: &str) -> bool {
        let row = self.0.iter().find(|(name, _)| name == from);
        from == to
            || row.is_some_and(|(_, may)| may.iter().any(|name| name == to || name == ANYTHING))
    }

    /// What is wrong with the table itself: an import of what stands below or does not exist.
    pub(crate) fn violations(&self) -> Vec<String> {
        let mut violations = Vec::new();
        for (index, (name, may)) in self.0.iter().enumerate() {
            for to in may.iter().filter(|to| *to != ANYTHING && *to != "nothing") {
                if !self.names().take(index).any(|above| above == to) {
                    violations.push(format!(
                        "ARCHITECTURE.md: {name} may import {to}, which does not stand above it: floors would have a cycle"
                    ));
                }
            }
        }
        if self.0.is_empty() {
            violations
                .push("ARCHITECTURE.md: there is no table between the floors markers".to_owned());
        }
        violations
    }
}

/// The forbidden imports of `source`, the file at `path` (relative, such as `src/web/pages.rs`).
pub(crate) fn violations(path: &str, source: &str, floors: &Floors) -> Vec<String> {
    let mut home: Vec<String> = path
        .trim_start_matches("src/")
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    if home == ["lib"] {
        return Vec::new();
    }
    let from = home.first().cloned().unwrap_or_default();
    if from == "main" {
        home.clear();
    }
    let mut violations = Vec::new();
    for (line, to) in imports(&tokens(source), &home, from == "main") {
        let problem = if to == "*" {
            "takes the whole crate, which hides what is imported: name the modules".to_owned()
        } else if !floors.names().any(|name| name == to) {
            format!(
                "names crate::{to}, which is no module of the floors table: import it from where it lives"
            )
        } else if !floors.may(&from, &to) {
            format!("{from} may not import {to}: see the floors in ARCHITECTURE.md")
        } else {
            continue;
        };
        violations.push(format!("{path}:{line}: {problem}"));
    }
    violations
}

/// Line and top-level module of every path that leads through the crate's root; `*` for the root as a whole.
fn imports(tokens: &[Token], home: &[String], is_main: bool) -> Vec<(usize, String)> {
    let mut found = BTreeSet::new();
    // The module that each open brace belongs to; `None` for a brace of anything else.
    let mut braces: Vec<Option<String>> = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|i| tokens.get(i));
        let next = tokens.get(index + 1);
        match &token.kind {
            Kind::Mark('{') => {
                let is_module = index >= 2 && tokens[index - 2].word() == Some("mod");
                let name = before.and_then(Token::word).map(str::to_owned);
                braces.push(name.filter(|_| is_module));
            }
            Kind::Mark('}') => drop(braces.pop()),
            Kind::Word(word) => {
                let is_start = before.is_none_or(|token| token.kind != Kind::Path);
                let is_root = word == "crate" || (is_main && word == "callboard");
                let goes_on = next.is_some_and(|token| token.kind == Kind::Path);
                let is_use = before.and_then(Token::word) == Some("use");
                if is_start && (is_root || word == "super" || word == "self") && (goes_on || is_use)
                {
                    let mut module: Vec<String> = home.to_vec();
                    module.extend(braces.iter().flatten().cloned());
                    follow(tokens, index, module, is_main, &mut found);
                }
            }
            _ => {}
        }
    }
    found.into_iter().collect()
}

/// Follows the path that begins at `index` inside `module`; returns the index after it.
///
/// Elements of a group that begin with `super` or `crate` are met again by [`imports`]; the second reading of a
/// `super` there starts from the file's module, so it reaches the root no earlier than it should.
fn follow(
    tokens: &[Token],
    mut index: usize,
    mut module: Vec<String>,
    is_main: bool,
    found: &mut BTreeSet<(usize, String)>,
) -> usize {
    while let Some(token) = tokens.get(index) {
        match &token.kind {
            Kind::Word(word) if word == "crate" || (is_main && word == "callboard") => {
                module.clear();
            }
            Kind::Word(word) if word == "super" => drop(module.pop()),
            Kind::Word(word) if word == "self" => {}
            Kind::Word(word) => {
                if module.is_empty() && !tokens.get(index + 1).is_some_and(|next| next.is('!')) {
                    found.insert((token.line, word.clone()));
                }
                module.push(word.clone());
            }
            Kind::Mark('{') => {
                index += 1;
                while tokens.get(index).is_some_and(|token| !token.is('}')) {
                    index = follow(tokens, index, module.clone(), is_main, found);
                    while tokens.get(index).is_some_and(|t| !t.is(',') && !t.is('}')) {
                        index += 1;
                    }
                    index += usize::from(tokens.get(index).is_some_and(|token| token.is(',')));
                }
                return index + 1;
            }
            _ => {
                if token.is('*') && module.is_empty() {
                    found.insert((token.line, "*".to_owned()));
                }
                return index;
            }
        }
        index += 1;
        if tokens
            .get(index)
            .is_none_or(|token| token.kind != Kind::Path)
        {
            if module.is_empty() {
                // `use crate as other` or a group's `self`: the root under another name.
                found.insert((token.line, "*".to_owned()));
            }
            return index;
        }
        index += 1;
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "<!-- floors -->\n| folder | may import |\n|---|---|\n| base | nothing |\n\
        | web | base |\n| ingress | base, web |\n| app | anything |\n| main | app |\n<!-- /floors -->";

    fn found(path: &str, source: &str) -> String {
        violations(path, source, &Floors::read(TABLE)).join("\n")
    }

    #[test]
    fn forbidden_imports_are_found_wherever_they_hide() {
        for (path, source) in [
            ("src/web.rs", "use crate::ingress::X;"),
            ("src/web.rs", "\nfn f() { crate::ingress::g() }"),
            ("src/web.rs", "use crate::{base::clock, ingress::{a, b}};"),
            ("src/web.rs", "use crate::{\nbase::{self, x},\ningress};"),
            ("src/web.rs", "use super::ingress;"),
            ("src/web/a.rs", "use super::super::ingress;"),
            ("src/web/a.rs", "use super::{b, super::ingress};"),
            ("src/web/a.rs", "use self::super::super::ingress;"),
            ("src/web.rs", "mod tests { use super::super::ingress; }"),
            ("src/web.rs", "pub(in crate::ingress) fn f() {}"),
            (
                "src/web.rs",
                "macro_rules! m { () => { $crate::ingress::f() } }",
            ),
        ] {
            let found = found(path, source);
            assert!(
                found.ends_with("web may not import ingress: see the floors in ARCHITECTURE.md"),
                "{source}\n{found}"
            );
            assert_eq!(found.lines().count(), 1, "{source}\n{found}");
        }
        assert!(found("src/web.rs", "\n\nuse crate::app::X;").starts_with("src/web.rs:3: web may"));
        assert!(found("src/main.rs", "use callboard::web::X;").contains("main may not import web"));
        for source in [
            "use crate::*;",
            "use super::*;",
            "use crate as all;",
            "use crate::{self, base};",
        ] {
            assert!(
                found("src/web.rs", source).contains("takes the whole crate"),
                "{source}"
            );
        }
        assert!(
            found("src/web.rs", "use crate::Reexported;").contains("no module of the floors table")
        );
    }

    #[test]
    fn allowed_imports_and_mere_mentions_are_not() {
        for (path, source) in [
            (
                "src/web.rs",
                "use crate::base::x; use crate::web::y; use self::z; use super::web::q;",
            ),
            (
                "src/web/a.rs",
                "use super::*; use super::ingress; use super::super::base;",
            ),
            (
                "src/web.rs",
                "mod tests { use super::*; use super::ingress; }",
            ),
            (
                "src/web.rs",
                "// crate::ingress\n/// [`crate::ingress`]\n/* crate::ingress */",
            ),
            (
                "src/web.rs",
                "fn f(self) -> &'static str { \"crate::ingress\" }",
            ),
            (
                "src/web.rs",
                "pub(crate) fn f() { other::ingress(); crate::count!(1) }",
            ),
            ("src/ingress.rs", "use crate::{base, web::{self, X}};"),
            ("src/app.rs", "use crate::ingress::X;"),
            ("src/main.rs", "use callboard::app::X;"),
            ("src/lib.rs", "pub use crate::app::X;"),
        ] {
            assert_eq!(found(path, source), "", "{path}\n{source}");
        }
    }

    #[test]
    fn a_table_that_points_down_is_refused() {
        assert!(Floors::read(TABLE).violations().is_empty());
        let cyclic = TABLE.replace("| base | nothing |", "| base | web |");
        assert!(
            Floors::read(&cyclic)
                .violations()
                .join("")
                .contains("base may import web")
        );
        assert_eq!(Floors::read("no table").violations().len(), 1);
    }
}
