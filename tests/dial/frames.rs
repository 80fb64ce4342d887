//! RFC 6455 from a peer that keeps to it in odd ways, or not at all: what the runtime answers, and that it comes back.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use actix_http::ws::{CloseCode, CloseReason, Frame};
use callboard::base::clock::Clock;

use crate::folder::Folder;
use crate::peer::{PATIENCE, Peer, Slack, frame};
use crate::runtime::{ack, envelope, run};

/// What came of the first socket, and that there was another.
#[derive(Debug)]
enum News {
    /// What the runtime sent through the first, up to its end.
    First(Vec<Frame>),
    /// A later one was opened.
    Another,
}

/// Runs `first` on the first socket, after hello; later sockets say hello and stay.
fn played(first: impl Fn(&mut Peer) + Send + Sync + 'static) -> (Slack, Receiver<News>) {
    let (told, heard) = channel();
    let slack = Slack::plain(Arc::new(move |number, peer| {
        peer.hello();
        if number == 1 {
            first(peer);
            told.send(News::First(peer.rest())).ok();
        } else {
            told.send(News::Another).ok();
            peer.rest();
        }
    }));
    (slack, heard)
}

/// The runtime's answer to a socket of `first`, without its own pings; it must have opened another socket after it.
#[track_caller]
fn answer(first: impl Fn(&mut Peer) + Send + Sync + 'static) -> Vec<Frame> {
    let frames = answer_with("", first).into_iter();
    frames
        .filter(|frame| !matches!(frame, Frame::Ping(_)))
        .collect()
}

/// The same, with the pings, where `network` is configured.
#[track_caller]
fn answer_with(network: &str, first: impl Fn(&mut Peer) + Send + Sync + 'static) -> Vec<Frame> {
    let (slack, heard) = played(first);
    let folder = Folder::new();
    let running = run(&folder, &slack.base_url(), network, &[]);
    let (mut frames, mut is_back) = (None, false);
    while frames.is_none() || !is_back {
        match heard
            .recv_timeout(PATIENCE)
            .expect("an end of the first socket, and another socket")
        {
            News::First(sent) => frames = Some(sent),
            News::Another => is_back = true,
        }
    }
    running.stop();
    frames.unwrap_or_default()
}

/// The answer to these bytes.
#[track_caller]
fn answer_to(bytes: Vec<u8>) -> Vec<Frame> {
    answer(move |peer| peer.send(&bytes))
}

fn close(code: u16, description: Option<&str>) -> Frame {
    Frame::Close(Some(CloseReason {
        code: CloseCode::from(code),
        description: description.map(ToOwned::to_owned),
    }))
}

#[test]
fn fragments_with_control_frames_between_them_are_one_event() {
    let sent = answer(|peer| {
        let event = envelope("E1", 60);
        // Cut inside a letter too.
        let (first, rest) = event.as_bytes().split_at(event.find('ß').unwrap() + 1);
        peer.send(&frame(0x01, first));
        peer.send(&frame(0x89, b"Ping from applink-2"));
        for byte in rest.chunks(7) {
            peer.send(&frame(0x00, byte));
        }
        peer.send(&frame(0x8a, b"unasked"));
        peer.send(&frame(0x80, b""));
        let pong = peer.next();
        assert_eq!(pong, Some(Frame::Pong("Ping from applink-2".into())));
        assert_eq!(peer.next(), Some(ack("E1")));
        peer.send(&frame(0x88, b""));
    });
    assert_eq!(sent, [Frame::Close(None)]);
}

#[test]
fn events_of_a_mebibyte_and_more_are_taken_whole_and_in_fragments() {
    let sent = answer(|peer| {
        peer.send(&frame(0x81, envelope("E1", 1 << 20).as_bytes()));
        assert_eq!(peer.next(), Some(ack("E1")));
        let long = envelope("E2", 3 << 20);
        let (first, rest) = long.as_bytes().split_at(1 << 20);
        let (second, third) = rest.split_at(1 << 20);
        peer.send(&frame(0x01, first));
        peer.send(&frame(0x00, second));
        peer.send(&frame(0x80, third));
        assert_eq!(peer.next(), Some(ack("E2")));
        peer.send(&frame(0x88, b""));
    });
    assert_eq!(sent, [Frame::Close(None)]);
}

#[test]
fn text_that_is_not_utf_8_closes_with_1007() {
    assert_eq!(
        answer_to(frame(0x81, b"{\"type\":\"\xff\"}")),
        [close(1007, None)]
    );
    let torn = [frame(0x01, b"\xc3"), frame(0x80, b"")].concat();
    assert_eq!(answer_to(torn), [close(1007, None)]);
}

#[test]
fn what_breaks_the_protocol_closes_with_1002() {
    for bytes in [
        // An opcode that there is not, reserved bits, a mask, a continuation of nothing, a message within another, a
        // long ping, a ping in fragments.
        frame(0x83, b"x"),
        frame(0xc1, b"x"),
        vec![0x81, 0x81, 1, 2, 3, 4, b'x'],
        frame(0x80, b"x"),
        [frame(0x01, b"a"), frame(0x81, b"b")].concat(),
        frame(0x89, &[b'x'; 126]),
        frame(0x09, b"x"),
    ] {
        assert_eq!(answer_to(bytes.clone()), [close(1002, None)], "{bytes:?}");
    }
}

#[test]
fn a_length_beyond_the_bound_closes_with_1009_before_its_bytes_come() {
    let announced = [&[0x81, 127][..], &(1_u64 << 40).to_be_bytes()].concat();
    assert_eq!(answer_to(announced), [close(1009, None)]);
    // In fragments: three of 2 MiB, of which two are taken.
    let sent = answer(|peer| {
        let part = vec![b'a'; 2 << 20];
        peer.send(&frame(0x01, &part));
        peer.send(&frame(0x00, &part));
        peer.send(&frame(0x00, b"a"));
    });
    assert_eq!(sent, [close(1009, None)]);
}

#[test]
fn close_frames_are_answered_as_they_came() {
    let with = |payload: &[u8]| answer_to(frame(0x88, payload));
    assert_eq!(with(b""), [Frame::Close(None)]);
    assert_eq!(with(&1000_u16.to_be_bytes()), [close(1000, None)]);
    let reason = [&1009_u16.to_be_bytes()[..], b"Max frame length"].concat();
    assert_eq!(with(&reason), [close(1009, Some("Max frame length"))]);
    let own = [&4001_u16.to_be_bytes()[..], b"x"].concat();
    assert_eq!(with(&own), [close(4001, Some("x"))]);
    // A code that may not be sent, half a code, and a reason that is no text.
    for payload in [&1005_u16.to_be_bytes()[..], b"\x03", b"\x03\xe8\xff"] {
        assert_eq!(with(payload), [close(1002, None)], "{payload:?}");
    }
}

#[test]
fn nothing_is_taken_from_behind_a_close_frame() {
    let late = frame(0x81, envelope("E1", 10).as_bytes());
    let sent = answer_to([frame(0x88, b""), late].concat());
    assert_eq!(sent, [Frame::Close(None)]);
}

#[test]
fn a_connection_that_is_half_closed_or_cut_in_a_frame_is_replaced() {
    assert_eq!(answer(|peer| peer.half_close()), []);
    let cut = answer(|peer| {
        peer.send(&[0x81, 126, 0xff]);
        peer.half_close();
    });
    assert_eq!(cut, []);
}

#[test]
fn a_socket_is_pinged_as_configured_and_replaced_after_four_times_that() {
    let clock = Clock::system();
    let begun = clock.now();
    let sent = answer_with("ping_every_seconds = 0.2", |_| {});
    let took = clock.now() - begun;
    let pings = sent.iter().filter(|frame| matches!(frame, Frame::Ping(_)));
    assert!((2..=4).contains(&pings.count()), "{sent:?}");
    assert!(took >= Duration::from_millis(800), "{took:?}");
    assert!(
        took < Duration::from_secs(15),
        "the default is 20 s: {took:?}"
    );
}

#[test]
fn a_server_that_never_finishes_the_closing_handshake_is_left_in_time() {
    let (told, heard) = channel();
    let slack = Slack::plain(Arc::new(move |_, peer| {
        peer.hello();
        // It goes on as if nothing had been said, until the client hangs up.
        told.send(peer.until_gone()).ok();
    }));
    let folder = Folder::new();
    let network = "close_within_seconds = 0.2";
    let running = run(&folder, &slack.base_url(), network, &[]);
    let clock = Clock::system();
    let begun = clock.now();
    while slack.requests("/link/").is_empty() {
        assert!(clock.now() - begun < PATIENCE, "no socket was opened");
        std::thread::park_timeout(Duration::from_millis(4));
    }
    running.stop();
    let sent = heard.recv_timeout(PATIENCE).unwrap();
    assert_eq!(sent.last(), Some(&close(1000, None)));
}
