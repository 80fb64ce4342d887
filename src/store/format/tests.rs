//! Stores of older formats, made the way an older Callboard made them.

use std::path::Path;

use super::*;
use crate::store::tests::Folder;

/// What an older Callboard leaves in its journal: a turn with one effect, and no time.
const OLD_JOURNAL: &str = r#"
    CREATE TABLE entry(seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT, key TEXT, refers INTEGER,
        n INTEGER, body TEXT, extra TEXT);
    CREATE TABLE mark(seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, hashes BLOB NOT NULL);
    INSERT INTO entry(seq, kind, name, key, n, body, extra) VALUES (8, 'turn', 'a/Ev2/greeter',
        'greeter/a/T1/user/U1', 1, '{"greeted":2}',
        '{"app":"a","team":"T1","effects":[{"call":{"method":"chat.postMessage","args":{"channel":"C1"}}}]}');"#;

/// A store of `format` with one effect in its outbox, and one in its journal.
fn older(folder: &Path, format: usize) {
    std::fs::create_dir_all(folder).unwrap();
    let db = Connection::open(folder.join("state.db")).unwrap();
    for statements in STEPS[..format].iter().copied().flatten() {
        db.execute_batch(statements).unwrap();
    }
    db.pragma_update(None, "user_version", i64::try_from(format).unwrap())
        .unwrap();
    db.execute_batch(
        r#"INSERT INTO meta(name, value) VALUES ('watermark', 7);
        INSERT INTO outbox(seq, n, name, app, team, effect) VALUES (7, 0, 'a/Ev1/greeter#0', 'a', 'T1',
            '{"call":{"method":"chat.postMessage","args":{"channel":"C1"}}}');"#,
    )
    .unwrap();
    let journal = Connection::open(folder.join("journal-00000000000000000008.db")).unwrap();
    journal.execute_batch(OLD_JOURNAL).unwrap();
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
            assert_eq!(effects, [("a/Ev1/greeter#0", 0), ("a/Ev2/greeter#0", 0)]);
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
    older(folder.path(), 1);
    let path = folder.path().join("state.db");
    let mut db = Connection::open(&path).unwrap();
    // Somebody else has made what the step makes.
    db.execute_batch("ALTER TABLE outbox ADD COLUMN at_ms INTEGER")
        .unwrap();
    let error = bring_up(&mut db, &path).unwrap_err();
    assert!(error.to_string().contains("newest format"), "{error}");
    assert_eq!(format_of(folder.path()), 1);
}
