//! The control socket itself: who may open it, what it makes of nonsense, and that nobody waits for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use callboard::base::limits::{CONTROL_CONNECTIONS_MAX, CONTROL_REQUEST_BYTES_MAX};
use callboard::store::inspect::What;

use super::looked;
use crate::judge::Rules;
use crate::stand::{PATIENCE, Stand, stand, until};

fn path(stand: &Stand) -> PathBuf {
    stand.config.store.path.join("control.sock")
}

fn connect(stand: &Stand) -> UnixStream {
    let stream = UnixStream::connect(path(stand)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Everything that comes back.
fn answer(mut stream: UnixStream, request: &[u8]) -> String {
    // A request that is refused before its end can't be sent to its end.
    stream.write_all(request).ok();
    stream.shutdown(std::net::Shutdown::Write).ok();
    let mut lines = Vec::new();
    for line in BufReader::new(stream).lines() {
        match line {
            Ok(line) => lines.push(line),
            Err(_) => break,
        }
    }
    lines.join("\n")
}

#[test]
fn the_socket_is_its_owners_alone_replaces_one_left_over_and_goes_with_the_process() {
    let mut stand = stand();
    std::fs::create_dir_all(&stand.config.store.path).unwrap();
    // What a process that was killed leaves behind.
    drop(UnixListener::bind(path(&stand)).unwrap());
    std::fs::create_dir(stand.config.store.path.join(".control")).unwrap();
    let running = stand.start();
    let mode = std::fs::metadata(path(&stand))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!stand.config.store.path.join(".control").exists());
    stand.says(0, 0, "hello");
    stand.answered(1);
    stand.all_acked();
    assert_eq!(looked(&stand, What::Keys).len(), 1);
    stand.settle(running, &Rules::default());
    assert!(!path(&stand).exists());
    assert_eq!(looked(&stand, What::Keys).len(), 1, "directly now");
}

#[test]
fn nonsense_is_answered_with_an_error_and_hurts_nobody() {
    let mut stand = stand();
    let running = stand.start();
    let too_long = vec![b'x'; usize::try_from(CONTROL_REQUEST_BYTES_MAX).unwrap() + 10];
    let deep = "[".repeat(100_000);
    let nonsense: [&[u8]; 8] = [
        b"\n",
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xfe\x00\n",
        b"{\"inspect\":{\"what\":\"tokens\"}}\n",
        b"{\"retry\":{\"ids\":[\"one\"]}}\n",
        deep.as_bytes(),
        &too_long,
    ];
    for request in nonsense {
        let told = answer(connect(&stand), request);
        let start: String = String::from_utf8_lossy(request).chars().take(40).collect();
        assert!(
            told.starts_with(r#"{"type":"error","error":"the request "#),
            "{start:?}: {told}"
        );
        assert_eq!(told.lines().count(), 1);
    }
    let huge = br#"{"inspect":{"what":"keys","limit":18446744073709551615}}"#;
    let told = answer(connect(&stand), huge);
    assert_eq!(
        told, r#"{"type":"end","more":false,"behind":0}"#,
        "no newline, a big limit"
    );
    stand.says(0, 0, "hello");
    stand.answered(1);
    stand.all_acked();
    stand.settle(running, &Rules::default());
}

#[test]
fn too_many_connections_are_refused_while_events_go_on_and_idle_ones_are_ended() {
    let mut stand = stand();
    let running = stand.start();
    let idle: Vec<UnixStream> = (0..CONTROL_CONNECTIONS_MAX)
        .map(|_| connect(&stand))
        .collect();
    let told = answer(connect(&stand), b"{\"inspect\":{}}\n");
    assert!(told.contains("connections are open already"), "{told}");
    stand.says(0, 0, "hello");
    stand.answered(1);
    stand.all_acked();
    for mut stream in idle {
        let mut told = String::new();
        stream.read_to_string(&mut told).unwrap();
        assert!(told.contains("no request came within"), "{told}");
    }
    until("there is room again", || {
        answer(connect(&stand), b"{\"inspect\":{\"what\":\"keys\"}}\n").contains("greeted")
    });
    stand.settle(running, &Rules::default());
}
