//! The sentinel: a line logged as WARN or ERROR that no test declared fails the test.
//!
//! The runtime logs from threads of its own, so a line can't be attributed to one of several tests at a time:
//! whoever watches the log has it alone, and these tests run one after the other.

use std::io;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// How many lines are kept to be shown when a test fails.
const SHOWN_MAX: usize = 60;

static TURN: Mutex<()> = Mutex::new(());
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
static INSTALLED: Once = Once::new();

/// The log of one test, from its making to its drop.
pub(crate) struct Watch {
    expected: Vec<&'static str>,
    _turn: MutexGuard<'static, ()>,
}

/// Waits until no other test watches, then watches.
pub(crate) fn watch() -> Watch {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    INSTALLED.call_once(|| {
        tracing_subscriber::fmt()
            .with_env_filter("info,actix_server=warn")
            .with_writer(|| Capture)
            .with_ansi(false)
            .without_time()
            .init();
    });
    lines().clear();
    Watch {
        expected: Vec::new(),
        _turn: turn,
    }
}

impl Watch {
    /// A warning with this text must come, any number of times.
    pub(crate) fn expect(&mut self, text: &'static str) {
        self.expected.push(text);
    }
}

impl Drop for Watch {
    #[expect(clippy::print_stderr, reason = "the log belongs to the failure")]
    fn drop(&mut self) {
        let lines = std::mem::take(&mut *lines());
        if std::thread::panicking() {
            let first = lines.len().saturating_sub(SHOWN_MAX);
            eprintln!("the log's last lines:\n{}", lines[first..].join(""));
            return;
        }
        let faults = faults(&lines, &self.expected);
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

/// Whether a line with this text was logged during this test, at whatever level.
pub(crate) fn has_logged(text: &str) -> bool {
    times_logged(text) > 0
}

/// How many lines with this text were logged during this test, at whatever level.
pub(crate) fn times_logged(text: &str) -> usize {
    lines().iter().filter(|line| line.contains(text)).count()
}

/// Warnings that nobody declared, and declared ones that never came.
pub(crate) fn faults(lines: &[String], expected: &[&str]) -> Vec<String> {
    let is_alarm = |line: &&String| line.contains("WARN") || line.contains("ERROR");
    let undeclared = lines
        .iter()
        .filter(is_alarm)
        .filter(|line| !expected.iter().any(|text| line.contains(text)))
        .map(|line| format!("nobody expected: {}", line.trim()));
    let missing = expected
        .iter()
        .filter(|text| !lines.iter().any(|line| line.contains(**text)))
        .map(|text| format!("expected, and never logged: {text}"));
    undeclared.chain(missing).collect()
}

fn lines() -> MutexGuard<'static, Vec<String>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One event is one write.
struct Capture;

impl io::Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lines().push(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_undeclared_warning_and_an_expected_one_that_never_comes_are_faults() {
    let lines = ["WARN full", "ERROR dead", " INFO fine"].map(String::from);
    assert_eq!(faults(&lines, &["full", "dead"]), [""; 0]);
    assert_eq!(faults(&lines, &["dead"]), ["nobody expected: WARN full"]);
    assert_eq!(
        faults(&lines, &["full", "dead", "mad"]),
        ["expected, and never logged: mad"]
    );
}
