//! Stores of older formats, made the way an older Callboard made them. `format_one` has the test of its journal.

use std::path::Path;

use super::*;
use crate::store::tests::Folder;

/// A batch of format 2: a turn with one effect.
const JOURNAL: &str = r#"
    CREATE TABLE batch(first INTEGER PRIMARY KEY, last INTEGER NOT NULL, at_ms INTEGER NOT NULL, entries TEXT NOT NULL,
        marks BLOB NOT NULL);
    INSERT INTO batch VALUES (8, 8, 1700000000000, '[{"turn":{"key":"greeter/a/T1/user/U1","event":"a/Ev2","app":"a",
        "team":"T1","version":1,"state":{"greeted":2},
        "effects":[{"call":{"method":"chat.postMessage","args":{"channel":"C1"}}}]}}]', x'');"#;

/// A `state.db` of `format` with nothing in it.
pub(in crate::store) fn state_of(folder: &Path, format: usize) -> Connection {
    std::fs::create_dir_all(folder).unwrap();
    let db = Connection::open(folder.join("state.db")).unwrap();
    for statements in STEPS[..format].iter().copied().flatten() {
        db.execute_batch(statements).unwrap();
    }
    db.pragma_update(None, "user_version", i64::try_from(format).unwrap())
        .unwrap();
    db
}

/// The same with one effect in its outbox, and one in its journal.
fn older(folder: &Path, format: usize) {
    let db = state_of(folder, format);
    db.execute_batch(
        r#"INSERT INTO meta(name, value) VALUES ('watermark', 7);
        INSERT INTO outbox(seq, n, name, app, team, effect) VALUES (7, 0, 'a/Ev1/greeter#0', 'a', 'T1',
            '{"call":{"method":"chat.postMessage","args":{"channel":"C1"}}}');"#,
    )
    .unwrap();
    let journal = Connection::open(folder.join("journal-00000000000000000008.db")).unwrap();
    journal.execute_batch(JOURNAL).unwrap();
}

fn format_of(folder: &Path) -> i64 {
    let db = Connection::open(folder.join("state.db")).unwrap();
    db.pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap()
}

#[test]
fn a_store_of_any_older_format_is_brought_to_the_newest_with_all_it_holds() {
    for format in 1..STEPS.len() {
        let folder = Folder::new();
        older(folder.path(), format);
        for _ in 0..2 {
            let (opened, recovered) = folder.open();
            let effects: Vec<(&str, u64)> = recovered
                .effects
                .iter()
                .map(|effect| (effect.name.0.as_str(), effect.at_ms))
                .collect();
            let expected = [
                ("a/Ev1/greeter#0", 0),
                ("a/Ev2/greeter#0", 1_700_000_000_000),
            ];
            assert_eq!(effects, expected, "format {format}");
            opened.store.close();
        }
        assert_eq!(
            format_of(folder.path()),
            i64::try_from(STEPS.len()).unwrap()
        );
    }
}

#[test]
fn a_step_that_fails_leaves_the_store_as_it_was() {
    let folder = Folder::new();
    older(folder.path(), 2);
    let path = folder.path().join("state.db");
    let mut db = Connection::open(&path).unwrap();
    // Somebody else has made what the step makes.
    db.execute_batch("ALTER TABLE outbox ADD COLUMN at_ms INTEGER")
        .unwrap();
    let error = bring_up(&mut db, &path).unwrap_err();
    assert!(error.to_string().contains("newest format"), "{error}");
    assert_eq!(format_of(folder.path()), 2);
}
