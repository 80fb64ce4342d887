//! The store against what its module promises: what is told durable is there after any end.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::flow::effect::{Call, Effect, EffectName};
use crate::flow::envelope::{Envelope, Kind, Origin};
use crate::flow::key::AppName;
use crate::slack::id::TeamId;

/// A folder of its own, removed at the end.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("callboard-store-{}-{n}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        std::fs::remove_dir_all(&folder.0).ok();
        folder
    }

    fn config(&self) -> Config {
        Config {
            path: self.0.clone(),
            marks_back_ms: 600_000,
            free_bytes: free_bytes(),
            probe: None,
            on_failure: Arc::new(|error| panic!("{error}")),
        }
    }

    pub(super) fn open(&self) -> (Opened, Recovered) {
        let (store, recovered) = Store::open(&self.config(), Clock::system()).unwrap();
        let (tell, told) = mpsc::channel();
        let from = store.queue.register(move |durable| {
            // A test that has ended needs no news.
            tell.send(durable).ok();
        });
        (Opened { store, from, told }, recovered)
    }
}

impl Folder {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Why it can't be opened.
    pub(super) fn try_open(&self) -> Result<(), String> {
        match Store::open(&self.config(), Clock::system()) {
            Ok((store, _)) => {
                store.close();
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

pub(super) struct Opened {
    pub(super) store: Store,
    from: Submitter,
    told: mpsc::Receiver<Durable>,
}

impl Opened {
    /// Submits, and waits until it is durable; gives the first entry's number.
    pub(super) fn put(&self, records: Vec<Record>) -> u64 {
        let count = u64::try_from(records.len()).unwrap();
        let submissions = records
            .into_iter()
            .map(|record| Submission {
                mark: match &record {
                    Record::Row { envelope, .. } => envelope.mark(),
                    _ => None,
                },
                record,
                from: self.from,
            })
            .collect();
        let first = self.store.queue.submit(submissions);
        while self.told.recv().unwrap().upto < first + count - 1 {}
        first
    }

    pub(super) fn state(&self, key: &str) -> Option<String> {
        let state = block_on(self.store.reader.state(Key::from_stored(key))).unwrap();
        state.map(|(_, bytes)| String::from_utf8(bytes.to_vec()).unwrap())
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(work)
}

pub(super) fn envelope(id: &str) -> Arc<Envelope> {
    let payload =
        json!({"team_id": "T1", "event_id": id, "event": {"type": "message", "user": "U1"}});
    let origin = Origin {
        app: &AppName::new("a"),
        envelope_id: "",
        team: TeamId::default(),
    };
    let payload = Bytes::from(payload.to_string());
    Arc::new(Envelope::read(Kind::Event, &origin, payload, 7).unwrap())
}

fn row(id: &str) -> Record {
    Record::Row {
        envelope: envelope(id),
        key: Key::from_stored("h/a/T1/user/U1"),
        is_held: false,
        is_lagging: true,
    }
}

pub(super) fn turn(id: &str, row: Option<u64>, key: &str, state: &str, effects: usize) -> Record {
    let call = Call {
        method: "chat.postMessage".into(),
        args: serde_json::Map::new(),
        posted: std::collections::BTreeMap::default(),
    };
    Record::Turn {
        event: format!("a/{id}").into(),
        app: AppName::new("a"),
        team: "T1".into(),
        row,
        key: Key::from_stored(key),
        version: 2,
        state: Some(Bytes::copy_from_slice(state.as_bytes())),
        effects: vec![Effect::Call(call); effects],
    }
}

pub(super) fn sent(seq: u64, n: u32) -> Record {
    Record::Effect {
        seq,
        n,
        name: EffectName(format!("a/Ev/h#{n}")),
        outcome: Outcome::Done(Some(("C1".into(), "1.5".into()))),
    }
}

#[test]
fn unfinished_rows_waiting_effects_states_and_marks_come_back() {
    let folder = Folder::new();
    let (opened, recovered) = folder.open();
    assert!(recovered.rows.is_empty() && recovered.effects.is_empty());
    let first = opened.put(vec![row("Ev1"), row("Ev2"), row("Ev3")]);
    let second = opened.put(vec![
        turn("Ev1", Some(first), "k1", r#"{"n":1}"#, 2),
        turn("Ev9", None, "k2", r#"{"n":5}"#, 0),
        Record::Release { row: first + 1 },
        Record::Drop { row: first + 2 },
    ]);
    opened.put(vec![sent(second, 0)]);
    opened.store.close();

    let (opened, recovered) = folder.open();
    let rows: Vec<u64> = recovered.rows.iter().map(|row| row.seq).collect();
    assert_eq!(rows, [first + 1]);
    assert!(recovered.rows[0].is_released);
    let effects: Vec<(u64, u32, &str)> = recovered
        .effects
        .iter()
        .map(|effect| (effect.seq, effect.n, effect.name.0.as_str()))
        .collect();
    assert_eq!(effects, [(second, 1, "a/Ev1/k1#1")]);
    assert!(recovered.effects[0].is_recovered);
    assert!(recovered.effects[0].at_ms > 0, "it is known since when");
    assert_eq!(recovered.marks.len(), 3);
    assert_eq!(opened.state("k1").unwrap(), r#"{"n":1}"#);
    assert_eq!(opened.state("k2").unwrap(), r#"{"n":5}"#);
    assert_eq!(opened.state("k3"), None);
    let posted = block_on(opened.store.reader.posted(EffectName("a/Ev/h#0".into())));
    assert_eq!(posted.unwrap().unwrap().as_str(), "1.5");
    let known = envelope("Ev2").mark().unwrap();
    assert!(block_on(opened.store.reader.has_mark(known)).unwrap());
    let unknown = envelope("Ev8").mark().unwrap();
    assert!(!block_on(opened.store.reader.has_mark(unknown)).unwrap());
    let next = opened.put(vec![row("Ev4")]);
    assert!(next > second, "numbers go on, and never come back");
    let found = block_on(opened.store.reader.rows(vec![first + 1, next, 999])).unwrap();
    let ids: Vec<&str> = found
        .iter()
        .map(|(_, envelope)| envelope.id.as_str())
        .collect();
    assert_eq!(ids, ["a/Ev2", "a/Ev4"], "one folded, one in the journal");
    opened.store.close();
}

#[test]
fn rule_7_attempts_that_the_process_survived_do_not_count() {
    let folder = Folder::new();
    let (opened, _) = folder.open();
    let row = opened.put(vec![row("Ev1")]);
    opened.store.close();
    let (attempt, survived) = (Record::Attempt { row }, Record::Survived { row });
    // Each in a run of its own: the first is counted on, the second takes back what was counted before.
    for (records, counted) in [
        (vec![attempt.clone()], 1),
        (vec![attempt.clone(), survived.clone(), attempt.clone()], 2),
        (vec![survived], 1),
    ] {
        let (opened, _) = folder.open();
        opened.put(records);
        opened.store.close();
        let (opened, recovered) = folder.open();
        assert_eq!(recovered.rows[0].attempts, counted);
        opened.store.close();
    }
}

#[test]
fn rule_15_what_is_not_folded_yet_is_read_from_memory() {
    let folder = Folder::new();
    let (opened, _) = folder.open();
    opened.put(vec![turn("Ev1", None, "k", "{}", 0)]);
    let on_disk = state::StateReader::open(folder.path()).unwrap();
    assert_eq!(on_disk.state(&Key::from_stored("k")).unwrap(), None);
    assert_eq!(opened.state("k").unwrap(), "{}");
    let lagging = opened.put(vec![row("Ev2"), sent(1, 0)]);
    let found = block_on(opened.store.reader.rows(vec![lagging])).unwrap();
    assert_eq!(found[0].1.id, "a/Ev2");
    let posted = block_on(opened.store.reader.posted(EffectName("a/Ev/h#0".into())));
    assert_eq!(posted.unwrap().unwrap().as_str(), "1.5");
    assert!(opened.store.inspector().unwrap().catch_up());
    let state = on_disk.state(&Key::from_stored("k")).unwrap();
    assert_eq!(
        state,
        Some((2, Bytes::from_static(b"{}"))),
        "folded when asked for"
    );
    assert_eq!(opened.state("k").unwrap(), "{}");
    opened.store.close();
}

#[test]
fn a_store_in_memory_gives_back_what_was_put_in_and_leaves_no_file() {
    let folder = Folder(PathBuf::from(IN_MEMORY));
    let (opened, recovered) = folder.open();
    assert!(recovered.rows.is_empty());
    let first = opened.put(vec![row("Ev1"), row("Ev2")]);
    let rows = |seqs| block_on(opened.store.reader.rows(seqs)).unwrap().len();
    assert_eq!(rows(vec![first, first + 1]), 2);
    opened.put(vec![
        turn("Ev1", Some(first), "k", r#"{"n":1}"#, 0),
        Record::Drop { row: first + 1 },
    ]);
    assert_eq!(opened.state("k").unwrap(), r#"{"n":1}"#);
    assert_eq!(opened.state("other"), None);
    assert_eq!(rows(vec![first, first + 1]), 0, "dealt with, and gone");
    let mark = envelope("Ev1").mark().unwrap();
    assert!(!block_on(opened.store.reader.has_mark(mark)).unwrap());
    assert!(opened.store.inspector().is_none());
    opened.store.close();
    assert!(!folder.path().exists());
}

#[test]
fn dead_letters_are_kept_with_their_error_and_payload() {
    let folder = Folder::new();
    let (opened, _) = folder.open();
    let first = opened.put(vec![row("Ev1")]);
    opened.put(vec![Record::DeadDelivery {
        row: Some(first),
        key: Key::from_stored("h/a/T1/user/U1"),
        envelope: envelope("Ev1"),
        error: "it broke".into(),
        effects: Vec::new(),
    }]);
    opened.store.close();
    let (opened, recovered) = folder.open();
    assert!(recovered.rows.is_empty());
    opened.store.close();
    let db = rusqlite::Connection::open(folder.0.join("state.db")).unwrap();
    let (name, error, body): (String, String, String) = db
        .query_row("SELECT name, error, body FROM dead", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!((name.as_str(), error.as_str()), ("a/Ev1", "it broke"));
    assert!(body.contains("\"event_id\":\"Ev1\""), "{body}");
    let views: i64 = db
        .query_row(
            "SELECT (SELECT count(*) FROM v_dead) + (SELECT count(*) FROM v_stuck)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(views, 1);
}

#[test]
fn what_a_dead_letter_leads_to_waits_like_any_effect_until_it_is_done() {
    let folder = Folder::new();
    let (opened, _) = folder.open();
    let row = opened.put(vec![row("Ev1")]);
    let Record::Turn { effects, .. } = turn("Ev1", None, "k", "{}", 1) else {
        panic!("a turn")
    };
    let dead = opened.put(vec![Record::DeadDelivery {
        row: Some(row),
        key: Key::from_stored("h/a/T1/user/U1"),
        envelope: envelope("Ev1"),
        error: "it broke".into(),
        effects,
    }]);
    opened.store.close();
    let (opened, recovered) = folder.open();
    let effects: Vec<_> = recovered
        .effects
        .iter()
        .map(|effect| {
            (
                effect.seq,
                effect.n,
                effect.name.0.as_str(),
                effect.app.as_str(),
            )
        })
        .collect();
    assert_eq!(effects, [(dead, 0, "a/Ev1/h#0", "a")]);
    opened.put(vec![sent(dead, 0)]);
    opened.store.close();
    let (opened, recovered) = folder.open();
    assert!(recovered.effects.is_empty() && recovered.rows.is_empty());
    opened.store.close();
}

#[test]
fn a_second_process_a_newer_format_and_a_bad_folder_are_told_apart() {
    let folder = Folder::new();
    let (opened, _) = folder.open();
    let second = Store::open(&folder.config(), Clock::system()).unwrap_err();
    assert!(matches!(second, Error::InUse { .. }), "{second}");
    opened.store.close();
    let db = rusqlite::Connection::open(folder.0.join("state.db")).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let newer = Store::open(&folder.config(), Clock::system()).unwrap_err();
    assert!(newer.to_string().contains("format 99"), "{newer}");
    let file = Folder::new();
    std::fs::write(&file.0, "a file").unwrap();
    let bad = Store::open(&file.config(), Clock::system()).unwrap_err();
    assert!(matches!(bad, Error::Unusable { .. }), "{bad}");
    std::fs::remove_file(&file.0).unwrap();
}

#[test]
fn journal_files_are_rotated_and_removed_whole_once_folded() {
    let folder = Folder::new();
    let (opened, _) = folder.open();
    let big = format!("{{\"x\":\"{}\"}}", "y".repeat(512 * 1024));
    for n in 0..200 {
        opened.put(vec![turn(&format!("Ev{n}"), None, "k", &big, 0)]);
    }
    let files = journal::files(&folder.0).unwrap();
    assert!(
        files.len() <= 4,
        "100 MB in all, and no more than lately: {files:?}"
    );
    opened.store.close();
    let (opened, _) = folder.open();
    assert_eq!(
        journal::files(&folder.0).unwrap(),
        [],
        "all folded at the start"
    );
    assert_eq!(opened.state("k").unwrap().len(), big.len());
    opened.store.close();
}

/// What a power cut leaves: a copy of the files as they were at some moment after an answered commit, with
/// whatever was written past that point cut off or garbled.
#[test]
fn every_answered_commit_survives_a_power_cut() {
    let mut rng = crate::base::rng::Rng::seeded(11);
    for round in 0..30 {
        let folder = Folder::new();
        let (opened, _) = folder.open();
        let commits = 1 + rng.below(40);
        for n in 1..=commits {
            opened.put(vec![turn(&format!("Ev{n}"), None, "k", &n.to_string(), 1)]);
        }
        let wal = |at: &Path| {
            let files = journal::files(at).unwrap();
            PathBuf::from(format!("{}-wal", files.last().unwrap().1.display()))
        };
        let answered = std::fs::metadata(wal(&folder.0)).unwrap().len();
        // These are written too, and may be lost: nobody was told.
        for n in 0..rng.below(20) {
            opened.put(vec![turn(&format!("Ew{n}"), None, "other", "1", 0)]);
        }
        let copy = Folder::new();
        copy_folder(&folder.0, &copy.0);
        opened.store.close();
        garble(&wal(&copy.0), answered, &mut rng);

        let (opened, recovered) = copy.open();
        assert_eq!(
            opened.state("k"),
            Some(commits.to_string()),
            "round {round}"
        );
        assert_eq!(recovered.effects.len() as u64, commits, "round {round}");
        opened.store.close();
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for item in std::fs::read_dir(from).unwrap() {
        let path = item.unwrap().path();
        // The shared-memory index is no file that a disk keeps.
        if !path.to_string_lossy().ends_with("-shm") {
            std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

fn garble(path: &Path, from: u64, rng: &mut crate::base::rng::Rng) {
    let mut bytes = std::fs::read(path).unwrap();
    let from = usize::try_from(from).unwrap().min(bytes.len());
    let tail = u64::try_from(bytes.len() - from).unwrap();
    if rng.below(2) == 0 {
        bytes.truncate(from + usize::try_from(rng.below(tail + 1)).unwrap());
    } else {
        for byte in bytes.iter_mut().skip(from) {
            if rng.below(3) == 0 {
                *byte = u8::try_from(rng.below(256)).unwrap();
            }
        }
    }
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn rule_5_a_write_that_fails_at_any_step_is_told_once_and_what_was_answered_before_is_there() {
    for step in [Step::Create, Step::Insert, Step::Commit] {
        let folder = Folder::new();
        let is_failing = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (failed, failures) = mpsc::channel();
        let probed = Arc::clone(&is_failing);
        let config = Config {
            probe: Some(Arc::new(move |at| {
                at != step || !probed.load(Ordering::SeqCst)
            })),
            on_failure: Arc::new(move |error| {
                failed.send(error.to_string()).ok();
            }),
            ..folder.config()
        };
        let (store, _) = Store::open(&config, Clock::system()).unwrap();
        let (tell, told) = mpsc::channel();
        let from = store.queue.register(move |durable| {
            tell.send(durable).ok();
        });
        let submit = |record: Record| {
            let mark = envelope("Ev").mark();
            store.queue.submit(vec![Submission { record, mark, from }])
        };
        let is_new_file = step == Step::Create;
        if !is_new_file {
            let first = submit(turn("Ev1", None, "k", "1", 1));
            assert_eq!(told.recv().unwrap().upto, first);
        }
        is_failing.store(true, Ordering::SeqCst);
        submit(turn("Ev2", None, "k", "2", 1));
        let failure = failures.recv().unwrap();
        assert!(failure.contains(&format!("{step:?}")), "{failure}");
        submit(turn("Ev3", None, "k", "3", 1));
        store.close();
        assert!(
            told.try_recv().is_err(),
            "{step:?}: nothing is told durable after a failure"
        );
        assert!(failures.try_recv().is_err(), "{step:?}: told once");
        let (opened, recovered) = folder.open();
        let expected = (!is_new_file).then(|| "1".to_owned());
        assert_eq!(opened.state("k"), expected, "{step:?}");
        assert_eq!(
            recovered.effects.len(),
            usize::from(!is_new_file),
            "{step:?}"
        );
        opened.store.close();
    }
}

#[test]
fn rule_5_a_disk_that_fills_up_is_seen_in_time_and_room_is_seen_again() {
    let folder = Folder::new();
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let asked = Arc::clone(&free);
    let config = Config {
        free_bytes: Arc::new(move |_| Some(asked.load(Ordering::SeqCst))),
        ..folder.config()
    };
    let (store, _) = Store::open(&config, Clock::system()).unwrap();
    let until = |is_short| {
        let clock = Clock::system();
        let deadline = clock.now() + crate::base::limits::SPACE_LOOK_EVERY * 5;
        while store.space.is_short() != is_short {
            assert!(clock.now() < deadline, "not seen");
            std::thread::park_timeout(std::time::Duration::from_millis(5));
        }
    };
    until(false);
    free.store(1000, Ordering::SeqCst);
    until(true);
    free.store(u64::MAX, Ordering::SeqCst);
    until(false);
    store.close();
}
