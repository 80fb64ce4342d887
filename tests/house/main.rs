//! The rules of the house, read from ARCHITECTURE.md and checked against the source as it lies.
//!
//! Each rule is a plain function over paths and texts, and is shown to be able to fail on forged ones.
#![cfg(test)]

mod floors;
mod rules;
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use floors::Floors;

/// The text of a file at the top of the package.
fn top(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name} cannot be read: {error}"))
}

/// Path (relative to the package, with /) and text of every Rust file under `folders`, in order.
fn files(folders: &[&str]) -> Vec<(String, String)> {
    let mut open: Vec<String> = folders.iter().map(|folder| (*folder).to_owned()).collect();
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(&folder)) else {
            continue;
        };
        for entry in entries {
            let entry = entry.expect("a readable folder");
            let path = format!("{folder}/{}", entry.file_name().display());
            if entry.file_type().expect("a file type").is_dir() {
                open.push(path);
            } else if Path::new(&path).extension().is_some_and(|end| end == "rs") {
                found.push((path.clone(), top(&path)));
            }
        }
    }
    found.sort();
    found
}

/// The rows of the two-column table between `<!-- name -->` and `<!-- /name -->`; code marks are taken off.
fn table(document: &str, name: &str) -> Vec<(String, String)> {
    let inside = document
        .split_once(&format!("<!-- {name} -->"))
        .and_then(|(_, rest)| rest.split_once(&format!("<!-- /{name} -->")))
        .map_or("", |(inside, _)| inside);
    let cells = |line: &str| {
        let (first, second) = line
            .trim()
            .strip_prefix('|')?
            .strip_suffix('|')?
            .split_once('|')?;
        Some((
            first.trim().replace('`', ""),
            second.trim().replace('`', ""),
        ))
    };
    inside.lines().filter_map(cells).skip(2).collect()
}

/// Fails with every violation, one per line.
#[track_caller]
fn none(violations: &[String]) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

/// Applies a rule to every file under `folders`.
#[track_caller]
fn everywhere(folders: &[&str], rule: impl Fn(&str, &str) -> Vec<String>) {
    let files = files(folders);
    assert!(!files.is_empty(), "there is nothing under {folders:?}");
    let violations: Vec<String> = files
        .iter()
        .flat_map(|(path, text)| rule(path, text))
        .collect();
    none(&violations);
}

const ALL: [&str; 4] = ["src", "tests", "examples", "benches"];

#[test]
fn imports_go_only_to_the_floors_above() {
    let floors = Floors::read(&top("ARCHITECTURE.md"));
    none(&floors.violations());
    everywhere(&["src"], |path, text| {
        floors::violations(path, text, &floors)
    });
}

#[test]
fn every_module_begins_with_what_it_is_for() {
    everywhere(&ALL, rules::begins_with_a_doc);
}

#[test]
fn no_file_is_long() {
    everywhere(&["src", "tests"], rules::is_short);
}

#[test]
fn modules_are_named_after_themselves() {
    everywhere(&ALL, rules::is_no_mod_rs);
}

#[test]
fn machines_are_pure() {
    everywhere(&["src"], rules::machines_are_pure);
}

#[test]
fn packages_are_named_only_where_they_belong() {
    everywhere(&["src"], rules::packages_stay_home);
}

#[test]
fn open_ends_have_an_issue() {
    everywhere(&ALL, rules::open_ends_have_an_issue);
}

#[test]
fn log_messages_begin_small_and_have_no_full_stop() {
    everywhere(&["src", "examples"], rules::log_messages_have_our_form);
}

#[test]
fn every_bound_says_its_unit_and_who_feels_it() {
    let path = "src/base/limits.rs";
    none(&rules::bounds_are_documented(path, &top(path)));
}

#[test]
fn every_folder_stands_in_the_architecture() {
    none(&folders_without_a_row(
        &files(&["src"]),
        &Floors::read(&top("ARCHITECTURE.md")),
    ));
}

#[test]
fn every_dependency_has_a_reason() {
    none(&dependencies_without_a_reason(
        &top("Cargo.toml"),
        &top("ARCHITECTURE.md"),
    ));
}

#[test]
fn every_rule_of_a_delivery_has_its_tests() {
    let sources = files(&["src", "tests"]);
    none(&rules_without_tests(&top("ARCHITECTURE.md"), &sources));
}

#[test]
fn the_changelog_has_an_unreleased_section() {
    none(&changelog_without_unreleased(&top("CHANGELOG.md")));
}

#[test]
fn every_example_stands_in_the_readme() {
    none(&examples_without_mention(
        &files(&["examples"]),
        &top("README.md"),
    ));
}

#[test]
fn the_first_listing_of_the_readme_is_the_greeter() {
    none(&first_listing_that_differs(
        &top("README.md"),
        &top("examples/greeter.rs"),
    ));
}

fn folders_without_a_row(files: &[(String, String)], floors: &Floors) -> Vec<String> {
    let first = |path: &str| {
        path.strip_prefix("src/")?
            .split('/')
            .next()
            .map(str::to_owned)
    };
    let modules: BTreeSet<String> = files.iter().filter_map(|(path, _)| first(path)).collect();
    let mut violations = Vec::new();
    for module in modules {
        let name = module.trim_end_matches(".rs");
        if name != "lib" && !floors.names().any(|floor| floor == name) {
            violations.push(format!(
                "src/{module}:1: is missing in the floors table of ARCHITECTURE.md"
            ));
        }
    }
    violations
}

fn dependencies_without_a_reason(manifest: &str, architecture: &str) -> Vec<String> {
    let manifest: toml_edit::DocumentMut = manifest.parse().expect("Cargo.toml is valid");
    let rows = table(architecture, "dependencies");
    let used: Vec<&str> = manifest
        .get("dependencies")
        .and_then(toml_edit::Item::as_table)
        .map(|table| table.iter().map(|(name, _)| name).collect())
        .unwrap_or_default();
    let mut violations = Vec::new();
    for name in &used {
        if !rows
            .iter()
            .any(|(row, reason)| row == name && !reason.is_empty())
        {
            violations.push(format!("Cargo.toml: {name} has no reason in ARCHITECTURE.md, between the dependencies markers"));
        }
    }
    for (name, _) in rows
        .iter()
        .filter(|(name, _)| !used.contains(&name.as_str()))
    {
        violations.push(format!("ARCHITECTURE.md: {name} is no dependency any more"));
    }
    violations
}

/// Each row of the rules table names files, and each of them has a test whose name begins with the rule's number.
fn rules_without_tests(architecture: &str, sources: &[(String, String)]) -> Vec<String> {
    let rows = table(architecture, "rules");
    let mut violations = Vec::new();
    if rows.is_empty() {
        violations.push("ARCHITECTURE.md: has no table between the rules markers".to_owned());
    }
    for (rule, paths) in rows {
        let number = rule.split(' ').next().unwrap_or_default();
        let test = format!("fn rule_{number}_");
        let has_test = |path: &str| {
            let source = sources.iter().find(|(of, _)| of == path);
            source.is_some_and(|(_, text)| text.contains(&test))
        };
        let mut paths = paths.split(", ").filter(|path| !path.is_empty()).peekable();
        if paths.peek().is_none() {
            violations.push(format!("ARCHITECTURE.md: rule {number} has no test"));
        }
        for path in paths.filter(|path| !has_test(path)) {
            violations.push(format!(
                "ARCHITECTURE.md: {path} has no test of rule {number}"
            ));
        }
    }
    violations
}

fn changelog_without_unreleased(changelog: &str) -> Vec<String> {
    let is_there = changelog.lines().any(|line| {
        line.strip_prefix("## ")
            .is_some_and(|title| title.trim_matches(['[', ']']) == "Unreleased")
    });
    if is_there {
        return Vec::new();
    }
    vec![
        "CHANGELOG.md:1: has no section \"## Unreleased\": users must find what changed".to_owned(),
    ]
}

fn examples_without_mention(examples: &[(String, String)], readme: &str) -> Vec<String> {
    let name = |path: &str| {
        let rest = path.strip_prefix("examples/")?;
        match rest.split_once('/') {
            Some((folder, file)) => (file == "main.rs").then(|| folder.to_owned()),
            None => rest.strip_suffix(".rs").map(str::to_owned),
        }
    };
    // Mentioned as a whole word: `greeter` is not mentioned by "greeters".
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let words: BTreeSet<&str> = readme.split(|c: char| !is_word(c) && c != '-').collect();
    examples
        .iter()
        .filter(|(path, _)| name(path).is_some_and(|name| !words.contains(name.as_str())))
        .map(|(path, _)| {
            format!("{path}:1: is missing in README.md: an example nobody finds helps nobody")
        })
        .collect()
}

#[test]
fn the_documents_name_files_that_exist() {
    let exists = |path: &str| {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(path)
            .try_exists()
            .unwrap_or(false)
    };
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "docs/options.md",
        "docs/websocket.md",
    ] {
        none(&files_that_are_gone(document, &top(document), exists));
    }
}

#[test]
fn the_documents_name_tests_that_exist() {
    let sources: Vec<String> = files(&ALL).into_iter().map(|(_, text)| text).collect();
    for document in ["docs/options.md", "docs/websocket.md"] {
        none(&tests_that_are_gone(document, &top(document), &sources));
    }
}

/// The last cell of each row must name a test in code marks, or say "not yet".
fn tests_that_are_gone(path: &str, text: &str, sources: &[String]) -> Vec<String> {
    let last = |line: &str| {
        let (_, last) = line
            .strip_prefix('|')?
            .strip_suffix('|')?
            .rsplit_once('|')?;
        Some(last.trim().to_owned())
    };
    let mut violations = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let Some(cell) = last(line) else { continue };
        if ["test", "---", "not yet"].contains(&cell.as_str()) {
            continue;
        }
        let function = format!("fn {}(", cell.trim_matches('`'));
        if !sources.iter().any(|source| source.contains(&function)) {
            violations.push(format!("{path}:{}: names no test but {cell}", n + 1));
        }
    }
    violations
}

/// What stands between code marks and begins like a path of ours must be one.
fn files_that_are_gone(path: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut violations = Vec::new();
    for (n, line) in text.lines().enumerate() {
        for code in line.split('`').skip(1).step_by(2) {
            let is_ours = ALL.iter().any(|folder| {
                code.strip_prefix(folder)
                    .is_some_and(|rest| rest.starts_with('/'))
            });
            if is_ours && !exists(code) {
                violations.push(format!(
                    "{path}:{}: names {code}, which does not exist",
                    n + 1
                ));
            }
        }
    }
    violations
}

/// The README's first Rust listing must be the example, without the example's own heading.
fn first_listing_that_differs(readme: &str, example: &str) -> Vec<String> {
    let lines: Vec<&str> = readme.lines().collect();
    let Some(fence) = lines.iter().position(|line| line.starts_with("```rust")) else {
        return vec![
            "README.md:1: has no Rust listing: a reader must see a bot at once".to_owned(),
        ];
    };
    let is_heading = |line: &&str| line.starts_with("//!") || line.is_empty();
    let mut expected = example.lines().skip_while(is_heading);
    for (n, &line) in lines.iter().enumerate().skip(fence + 1) {
        let wanted = expected.next().unwrap_or("```");
        if line != wanted {
            let n = n + 1;
            return vec![format!(
                "README.md:{n}: the first listing differs from examples/greeter.rs, which has {wanted:?}"
            )];
        }
        if line == "```" {
            return Vec::new();
        }
    }
    vec![format!(
        "README.md:{}: the first listing has no end",
        fence + 1
    )]
}

#[test]
fn the_rule_about_a_deliverys_rules_can_fail() {
    let rules = "<!-- rules -->\n| r | t |\n|---|---|\n| 1 x | `a.rs`, b.rs |\n| 2 y | |\n| 3 z | a.rs |\n<!-- /rules -->";
    let source = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let sources = [
        source("a.rs", "fn rule_1_x() {} fn rule_3_y() {}"),
        source("b.rs", "fn rule_11_x() {}"),
    ];
    let found = rules_without_tests(rules, &sources);
    let expected = ["b.rs has no test of rule 1", "rule 2 has no test"];
    assert_eq!(found, expected.map(|it| format!("ARCHITECTURE.md: {it}")));
    assert_eq!(rules_without_tests("no table", &[]).len(), 1);
}

#[test]
fn rules_about_the_package_can_fail() {
    let file = |path: &str| (path.to_owned(), String::new());
    let floors =
        Floors::read("<!-- floors -->\n| a | b |\n|---|---|\n| base | nothing |\n<!-- /floors -->");
    let files = [
        file("src/lib.rs"),
        file("src/base/x.rs"),
        file("src/odd/y.rs"),
        file("src/odder.rs"),
    ];
    let found = folders_without_a_row(&files, &floors);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("src/odd:1:") && found[1].starts_with("src/odder.rs:1:"));

    let manifest = "[dependencies]\na = \"1\"\nb = \"1\"\n[dependencies.c]\nversion = \"1\"\n[dev-dependencies]\nd = \"1\"";
    let reasons = "<!-- dependencies -->\n| p | why |\n|---|---|\n| `a` | x |\n| b | |\n| e | x |\n<!-- /dependencies -->\n| c | x |";
    let found = dependencies_without_a_reason(manifest, reasons);
    let starts = [
        "Cargo.toml: b has",
        "Cargo.toml: c has",
        "ARCHITECTURE.md: e is",
    ];
    assert_eq!(found.len(), starts.len(), "{found:?}");
    assert!(
        found
            .iter()
            .zip(starts)
            .all(|(line, start)| line.starts_with(start)),
        "{found:?}"
    );

    assert_eq!(
        changelog_without_unreleased("# Changelog\n## 1.0\nUnreleased").len(),
        1
    );
    assert!(changelog_without_unreleased("# C\n\n## [Unreleased]\n").is_empty());

    let text = "a `src/a.rs`, src/c.rs,\n`other/b.rs` and `tests/b` `src`";
    let found = files_that_are_gone("R.md", text, |path| path == "src/a.rs");
    assert_eq!(found, ["R.md:2: names tests/b, which does not exist"]);
    assert_eq!(files_that_are_gone("R.md", text, |_| false).len(), 2);
    let text = "| a | test |\n|---|---|\n| x | `is_there` |\n| y | `is_gone` |\n| z | not yet |";
    let sources = ["fn is_there() {}".to_owned()];
    let found = tests_that_are_gone("d.md", text, &sources);
    assert_eq!(found, ["d.md:4: names no test but `is_gone`"]);

    let listing = |text: &str| first_listing_that_differs(text, "//! A.\n\nuse a;\n\nfn b() {}\n");
    assert!(listing("# R\n```rust,no_run\nuse a;\n\nfn b() {}\n```\nmore").is_empty());
    for (text, line) in [
        ("no listing", 1),
        ("```rust\nuse b;\n\nfn b() {}\n```", 2),
        ("```rust\nuse a;\n```", 3),
        ("```rust\nuse a;\n\nfn b() {}\nfn c() {}\n```", 5),
        ("```rust\nuse a;\n\nfn b() {}", 1),
    ] {
        let found = listing(text);
        assert!(
            found[0].starts_with(&format!("README.md:{line}:")),
            "{found:?}"
        );
    }

    let examples = [
        file("examples/greeter.rs"),
        file("examples/two/main.rs"),
        file("examples/two/part.rs"),
    ];
    assert!(examples_without_mention(&examples, "`--example greeter`, examples/two").is_empty());
    assert_eq!(
        examples_without_mention(&examples, "greeters, twofold").len(),
        2
    );
}
