//! Bytes of a server in, messages or a fault out.

use super::*;
use crate::base::limits::SOCKET_MODE_SENT_BYTES_MAX;
use proptest::prelude::*;

fn codec() -> Codec {
    codec_that_sends(SOCKET_MODE_SENT_BYTES_MAX)
}

fn codec_that_sends(bytes_max: usize) -> Codec {
    let inner = ws::Codec::new().client_mode().max_size(FRAME_BYTES_MAX);
    Codec::new(inner, bytes_max, Trace::default())
}

/// A frame of a server, unmasked; `first` is FIN, the reserved bits and the opcode.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..=125 => bytes.push(u8::try_from(short).unwrap()),
        middle @ 126..=65_535 => {
            bytes.push(126);
            bytes.extend(u16::try_from(middle).unwrap().to_be_bytes());
        }
        long => {
            bytes.push(127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

/// Everything that is read from `chunks`, with the fault that ended it.
fn read(chunks: &[&[u8]]) -> (Vec<Frame>, Option<Fault>) {
    let mut codec = codec();
    let mut source = BytesMut::new();
    let mut frames = Vec::new();
    for chunk in chunks {
        source.extend_from_slice(chunk);
        loop {
            match codec.decode(&mut source) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(fault) => return (frames, Some(fault)),
            }
        }
    }
    (frames, None)
}

fn text(text: &str) -> Frame {
    Frame::Text(Bytes::copy_from_slice(text.as_bytes()))
}

#[track_caller]
fn refused(bytes: &[u8], code: CloseCode, part: &str) {
    let (frames, fault) = read(&[bytes]);
    let fault = fault.unwrap_or_else(|| panic!("taken as {frames:?}"));
    assert_eq!(fault.close_code(), Some(code), "{fault}");
    assert!(fault.to_string().contains(part), "{fault}");
    assert!(frames.is_empty());
}

#[test]
fn fragments_are_put_together_with_control_frames_between_them() {
    let bytes = [
        frame(0x01, "gr".as_bytes()),
        frame(0x89, b"ping"),
        // The sharp s is torn in two.
        frame(0x00, b"\xc3"),
        frame(0x8a, b""),
        frame(0x80, b"\x9fe"),
        frame(0x81, b"next"),
        frame(0x02, b"a"),
        frame(0x80, b"b"),
        frame(0x01, b""),
        frame(0x80, b""),
    ]
    .concat();
    let (frames, fault) = read(&[&bytes]);
    assert!(fault.is_none(), "{fault:?}");
    assert_eq!(
        frames,
        [
            Frame::Ping(Bytes::from_static(b"ping")),
            Frame::Pong(Bytes::new()),
            text("grße"),
            text("next"),
            Frame::Binary(Bytes::from_static(b"ab")),
            text(""),
        ]
    );
}

#[test]
fn long_messages_are_taken_up_to_the_bound_whole_or_in_fragments() {
    for bytes in [125, 126, 65_535, 65_536, 1024 * 1024, FRAME_BYTES_MAX] {
        let long = "a".repeat(bytes);
        let (frames, fault) = read(&[&frame(0x81, long.as_bytes())]);
        assert!(fault.is_none() && frames == [text(&long)], "{bytes}");
    }
    let half = "b".repeat(FRAME_BYTES_MAX / 2);
    let halves = [frame(0x01, half.as_bytes()), frame(0x80, half.as_bytes())].concat();
    let (frames, fault) = read(&[&halves]);
    assert!(fault.is_none() && frames == [text(&half.repeat(2))]);
    let (_, fault) = read(&[&[
        halves,
        frame(0x01, half.as_bytes()),
        frame(0x00, half.as_bytes()),
        frame(0x80, b"c"),
    ]
    .concat()]);
    assert!(matches!(fault, Some(Fault::TooLong { .. })), "{fault:?}");
}

#[test]
fn a_length_beyond_the_bound_is_refused_before_its_bytes_come() {
    let announced = |bytes: u64| [&[0x81, 127][..], &bytes.to_be_bytes()].concat();
    let most = FRAME_BYTES_MAX as u64;
    assert!(read(&[&announced(most)]).1.is_none());
    for bytes in [most + 1, u64::MAX >> 1, u64::MAX] {
        refused(
            &announced(bytes),
            CloseCode::Size,
            "more than 4194304 bytes",
        );
    }
    refused(
        &[0x89, 126, 0, 126],
        CloseCode::Protocol,
        "control frame of 126",
    );
}

#[test]
fn what_breaks_the_protocol_is_refused_with_its_code() {
    use CloseCode::{Invalid, Protocol};
    refused(&frame(0x81, b"\xff"), Invalid, "not UTF-8");
    // A surrogate, an overlong form, and a letter that stops in the middle.
    refused(&frame(0x81, b"\xed\xa0\x80"), Invalid, "not UTF-8");
    refused(&frame(0x81, b"\xc0\xaf"), Invalid, "not UTF-8");
    let torn = [frame(0x01, b"\xc3"), frame(0x80, b"")].concat();
    refused(&torn, Invalid, "not UTF-8");
    for opcode in [0x83, 0x84, 0x87, 0x8b, 0x8f] {
        refused(&frame(opcode, b""), Protocol, "opcode");
    }
    // What is wrong with it first is what is told.
    let long = [&[0x83, 127][..], &u64::MAX.to_be_bytes()].concat();
    refused(&long, Protocol, "opcode");
    for reserved in [0xc1, 0xa1, 0x91] {
        refused(&frame(reserved, b"x"), Protocol, "reserved bits");
    }
    refused(&[0x81, 0x81, 1, 2, 3, 4, b'x'], Protocol, "mask");
    refused(&frame(0x80, b"x"), Protocol, "ontinuation");
    refused(&frame(0x00, b"x"), Protocol, "ontinuation");
    let nested = [frame(0x01, b"a"), frame(0x81, b"b")].concat();
    refused(&nested, Protocol, "ontinuation");
    refused(
        &[frame(0x01, b"a"), frame(0x02, b"b")].concat(),
        Protocol,
        "ontinuation",
    );
    refused(
        &frame(0x89, &[b'x'; 126]),
        Protocol,
        "control frame of 126 bytes",
    );
    refused(&frame(0x09, b"x"), Protocol, "");
    refused(&frame(0x08, b""), Protocol, "");
}

#[test]
fn close_frames_are_read_with_every_code_that_may_be_sent() {
    let closed = |payload: &[u8]| read(&[&frame(0x88, payload)]);
    assert_eq!(closed(b"").0, [Frame::Close(None)]);
    for code in [
        1000_u16, 1001, 1002, 1003, 1007, 1009, 1011, 1012, 1013, 3000, 4999,
    ] {
        let (frames, _) = closed(&[&code.to_be_bytes()[..], "warum ß".as_bytes()].concat());
        let [Frame::Close(Some(reason))] = frames.as_slice() else {
            panic!("{code}: {frames:?}");
        };
        assert_eq!(u16::from(reason.code), code);
        assert_eq!(reason.description.as_deref(), Some("warum ß"));
    }
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_535] {
        refused(
            &frame(0x88, &code.to_be_bytes()),
            CloseCode::Protocol,
            "close code",
        );
    }
    refused(&frame(0x88, b"\x03"), CloseCode::Protocol, "length");
    refused(
        &frame(0x88, b"\x03\xe8\xff"),
        CloseCode::Protocol,
        "close code or reason",
    );
}

#[test]
fn nothing_is_read_after_a_close_frame_or_a_fault() {
    for first in [frame(0x88, b""), frame(0x83, b"")] {
        let mut codec = codec();
        let mut source = BytesMut::from(&[first, frame(0x81, b"late")].concat()[..]);
        codec.decode(&mut source).ok();
        assert!(source.is_empty());
        source.extend_from_slice(&frame(0x81, b"later"));
        assert_eq!(codec.decode(&mut source).unwrap(), None);
        assert_eq!(codec.decode_eof(&mut source).unwrap(), None);
    }
}

#[test]
fn the_end_in_the_middle_of_a_frame_is_told_from_the_end_between_two() {
    let mut codec = codec();
    let mut source = BytesMut::from(&frame(0x81, b"whole")[..]);
    assert_eq!(codec.decode_eof(&mut source).unwrap(), Some(text("whole")));
    assert_eq!(codec.decode_eof(&mut source).unwrap(), None);
    source.extend_from_slice(&[0x81, 5, b'h']);
    let fault = codec.decode_eof(&mut source).unwrap_err();
    assert!(fault.to_string().contains("in the middle"), "{fault}");
    assert_eq!(fault.close_code(), None);
}

#[test]
fn what_slack_would_close_for_is_refused_before_a_byte_of_it_is_written() {
    for max in [
        SOCKET_MODE_SENT_BYTES_MAX,
        crate::base::limits::RTM_SENT_BYTES_MAX,
    ] {
        let mut codec = codec_that_sends(max);
        let mut target = BytesMut::new();
        let long = Message::Text("a".repeat(max + 1).into());
        let fault = codec.encode(long, &mut target).unwrap_err();
        assert!(
            matches!(fault, Fault::SentTooLong { bytes, max: most } if bytes == max + 1 && most == max)
        );
        let pieces = Message::Continuation(Item::FirstText(Bytes::new()));
        let fault = codec.encode(pieces, &mut target).unwrap_err();
        assert!(matches!(fault, Fault::SentInPieces));
        assert!(target.is_empty());
        // One frame, final, masked, and what it was.
        let most = "b".repeat(max);
        codec
            .encode(Message::Text(most.clone().into()), &mut target)
            .unwrap();
        let mut server = ws::Codec::new();
        let sent = server.decode(&mut target).unwrap();
        assert_eq!(sent, Some(ws::Frame::Text(most.into())));
        assert!(target.is_empty());
    }
}

proptest! {
    /// How the network cuts the bytes does not matter, and nothing panics.
    #[test]
    fn chunks_change_nothing(
        frames in prop::collection::vec(
            (prop::sample::select(vec![0x81_u8, 0x01, 0x00, 0x80, 0x82, 0x89, 0x8a, 0x88, 0x83, 0xc1]),
             prop::collection::vec(any::<u8>(), 0..200)),
            0..12,
        ),
        noise in prop::collection::vec(any::<u8>(), 0..40),
        size in 1_usize..50,
    ) {
        let mut bytes: Vec<u8> = frames.iter().flat_map(|(first, payload)| frame(*first, payload)).collect();
        bytes.extend(noise);
        let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
        let (cut, cut_fault) = read(&chunks);
        let (whole, whole_fault) = read(&[&bytes]);
        prop_assert_eq!(cut, whole);
        let told = |fault: Option<Fault>| fault.map(|fault| fault.to_string());
        prop_assert_eq!(told(cut_fault), told(whole_fault));
    }
}
