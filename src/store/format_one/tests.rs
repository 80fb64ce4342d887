//! A store that the last version left, with every kind of entry in its journal.

use rusqlite::Connection;

use crate::store::format;
use crate::store::tests::{Folder, envelope};

const JOURNAL: &str = r#"
    CREATE TABLE entry(seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT, key TEXT, refers INTEGER,
        n INTEGER, body TEXT, extra TEXT);
    CREATE TABLE mark(seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, hashes BLOB NOT NULL);
    INSERT INTO entry VALUES
        (1, 'row', 'a/Ev1', 'h/a/T1/user/U1', NULL, NULL, '{"team_id":"T1","event_id":"Ev1","event":{"type":"message"}}',
            '{"id":"a/Ev1","app":"a","team":"T1","kind":"event","received_ms":7,"held":false}'),
        (2, 'row', 'a/Ev2', 'h/a/T1/user/U2', NULL, NULL, '{"team_id":"T1","event_id":"Ev2","event":{"type":"message"}}',
            '{"id":"a/Ev2","app":"a","team":"T1","kind":"event","received_ms":7,"held":true}'),
        (3, 'release', NULL, NULL, 2, NULL, NULL, NULL),
        (4, 'turn', 'a/Ev1/h', 'h/a/T1/user/U1', 1, 2, '{"n":1}',
            '{"app":"a","team":"T1","effects":[{"call":{"method":"chat.postMessage","args":{}}},{"call":{"method":"x","args":{}}}]}'),
        (5, 'sent', 'a/Ev1/h#0', NULL, 4, 0, NULL, '["C1","1.5"]'),
        (6, 'dead', 'a/Ev1/h#1', 'x', 4, 1, '{"call":{"method":"x","args":{}}}',
            '{"error":"no","head":{"effect":{"app":"a","team":"T1"}}}'),
        (7, 'requeue', 'a/Ev1/h#1', NULL, 6, NULL, NULL,
            '{"app":"a","team":"T1","effects":[{"call":{"method":"x","args":{}}}]}'),
        (8, 'row', 'a/Ev3', 'h/a/T1/user/U3', NULL, NULL, '{"team_id":"T1","event_id":"Ev3","event":{"type":"message"}}',
            '{"id":"a/Ev3","app":"a","team":"T1","kind":"event","received_ms":7,"held":false}'),
        (9, 'dead', 'a/Ev3', 'h/a/T1/user/U3', 8, NULL, '{"event_id":"Ev3"}',
            '{"error":"broke","head":{"delivery":{"id":"a/Ev3","app":"a","team":"T1","kind":"event","received_ms":7}}}'),
        (10, 'attempt', NULL, NULL, 2, NULL, NULL, NULL),
        (11, 'attempt', NULL, NULL, 2, NULL, NULL, NULL),
        (12, 'survived', NULL, NULL, 2, NULL, NULL, NULL),
        (13, 'row', 'a/Ev4', 'h/a/T1/user/U4', NULL, NULL, '{}',
            '{"id":"a/Ev4","app":"a","team":"T1","kind":"event","received_ms":7,"held":true}'),
        (14, 'drop', NULL, NULL, 13, NULL, NULL, NULL);"#;

#[test]
fn a_store_of_format_1_is_brought_to_todays_format_with_everything_in_it() {
    let folder = Folder::new();
    format::tests::state_of(folder.path(), 1);
    let journal = Connection::open(folder.path().join("journal-00000000000000000001.db")).unwrap();
    journal.execute_batch(JOURNAL).unwrap();
    let now_ms = crate::base::clock::Clock::system().unix_ms();
    for (seq, id) in [(1_i64, "Ev1"), (14, "Ev3")] {
        let mark = envelope(id).mark().unwrap().0.to_be_bytes();
        let at_ms = i64::try_from(now_ms).unwrap();
        journal
            .execute("INSERT INTO mark VALUES (?,?,?)", (seq, at_ms, mark))
            .unwrap();
    }
    drop(journal);

    let (opened, recovered) = folder.open();
    let rows: Vec<_> = recovered
        .rows
        .iter()
        .map(|row| (row.seq, row.key.as_str(), row.is_released, row.attempts))
        .collect();
    assert_eq!(rows, [(2, "h/a/T1/user/U2", true, 1)]);
    let effects: Vec<_> = recovered
        .effects
        .iter()
        .map(|effect| (effect.seq, effect.name.0.as_str()))
        .collect();
    assert_eq!(effects, [(7, "a/Ev1/h#1")], "sent, given up, and requeued");
    let mut marks = recovered.marks.clone();
    marks.sort_unstable();
    let mut wanted = ["Ev1", "Ev3"].map(|id| envelope(id).mark().unwrap());
    wanted.sort_unstable();
    assert_eq!(marks, wanted);
    assert_eq!(opened.state("h/a/T1/user/U1").unwrap(), r#"{"n":1}"#);
    opened.store.close();

    let state = Connection::open(folder.path().join("state.db")).unwrap();
    let dead: (String, String) = state
        .query_row("SELECT name, error FROM dead", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(dead, ("a/Ev3".into(), "broke".into()));
}

#[test]
fn an_entry_that_no_version_wrote_is_told_by_its_number() {
    let folder = Folder::new();
    let (opened, _) = folder.open();
    opened.store.close();
    let journal = Connection::open(folder.path().join("journal-00000000000000000001.db")).unwrap();
    journal.execute_batch(JOURNAL).unwrap();
    journal
        .execute("UPDATE entry SET kind = 'odd' WHERE seq = 3", [])
        .unwrap();
    drop(journal);
    let refused = folder.try_open().unwrap_err();
    assert!(
        refused.contains("entry 3 has the unknown kind odd"),
        "{refused}"
    );
}
