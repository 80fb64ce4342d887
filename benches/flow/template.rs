//! The event that the generator sends: rendered once, then only its ids are patched.

/// Workspaces that the events are spread over; a person belongs to one of them.
pub(crate) const TEAMS: u64 = 16;

/// Digits of a person's and a workspace's number, of an event's, of a message's time.
const ID_DIGITS: usize = 8;
const TS_DIGITS: usize = 16;

/// Digits of an envelope's number, which its ack brings back.
pub(crate) const ENVELOPE_DIGITS: usize = 10;

/// What follows an envelope's number, so that it has the length of Slack's ids.
const ENVELOPE_REST: &str = "-4b3c-4d1e-8f2a-0c5d6e7f";

/// The microsecond of the first message.
const TS_FIRST: u64 = 1_785_000_000_000_000;

/// The text before the second in which an event happened, and its digits.
const HAPPENED_KEY: &str = "\"event_time\":";
const HAPPENED_DIGITS: usize = 10;

/// The text before an envelope's number in a frame, and in its ack.
pub(crate) const ENVELOPE_KEY: &str = "\"envelope_id\":\"";

const PAYLOAD: &str = concat!(
    r#"{"token":"ZZZZZZWSxiZZZ2yIvs3peJ","team_id":"T~team~~~","context_team_id":"T~team~~~","context_enterprise_id":null,"#,
    r#""api_app_id":"A06BENCH000","event":{"user":"U~user~~~","type":"message","ts":"~time~~~~~.~~~~~~","#,
    r#""client_msg_id":"7ad9f5a2-34ee-4bc1-a1c6-1d3bb3a2a2d1","text":"The quick brown fox says \"hello\" to the lazy dog, who answers in good time and at some length.","#,
    r#""team":"T~team~~~","blocks":[{"type":"rich_text","block_id":"vF5aX","elements":[{"type":"rich_text_section","elements":["#,
    r#"{"type":"text","text":"The quick brown fox says \"hello\" to the lazy dog, who answers in good time and at some length."}]}]}],"#,
    r#""channel":"C06BENCH001","event_ts":"~time~~~~~.~~~~~~","channel_type":"channel"},"type":"event_callback","#,
    r#""event_id":"Ev~evnt~~~","event_time":1785000000,"authorizations":[{"enterprise_id":null,"team_id":"T~team~~~","#,
    r#""user_id":"U06BENCHBOT","is_bot":true,"is_enterprise_install":false}],"is_ext_shared_channel":false,"#,
    r#""event_context":"4-eyJldCI6Im1lc3NhZ2UiLCJ0aWQiOiJUMDZCRU5DSDAwMCIsImFpZCI6IkEwNkJFTkNIMDAwIiwiY2lkIjoiQzA2QkVOQ0gwMDEifQ"}"#,
);

/// Where a number stands in the frame.
#[derive(Debug, Clone, Copy)]
enum Field {
    Team,
    User,
    Event,
    Time,
}

/// A frame with its WebSocket header, ready to be copied and patched.
#[derive(Debug)]
pub(crate) struct Template {
    frame: Vec<u8>,
    envelope_at: usize,
    happened_at: usize,
    fields: Vec<(usize, Field)>,
}

impl Template {
    /// Renders the frame.
    pub(crate) fn new() -> Self {
        let zeros = "0".repeat(ENVELOPE_DIGITS);
        let mut text = format!("{{{ENVELOPE_KEY}{zeros}{ENVELOPE_REST}\",\"payload\":");
        let envelope_at = 4 + 1 + ENVELOPE_KEY.len();
        text.push_str(PAYLOAD);
        text.push_str(concat!(
            r#","type":"events_api","accepts_response_payload":false,"#,
            r#""retry_attempt":0,"retry_reason":""}"#
        ));
        let mut fields = Vec::new();
        for (mark, field) in [
            ("~team~~~", Field::Team),
            ("~user~~~", Field::User),
            ("~evnt~~~", Field::Event),
            ("~time~~~~~.~~~~~~", Field::Time),
        ] {
            fields.extend(text.match_indices(mark).map(|(at, _)| (at + 4, field)));
        }
        let happened_at = text
            .find(HAPPENED_KEY)
            .map_or(0, |at| 4 + at + HAPPENED_KEY.len());
        let mut frame = vec![0x81, 126];
        frame.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
        frame.extend(text.as_bytes());
        Self {
            frame,
            envelope_at,
            happened_at,
            fields,
        }
    }

    /// What is written from now on happened at `unix_s`. An event that seems to come from long ago is another case:
    /// memory can't know then whether it was seen, and the disk is asked.
    pub(crate) fn happens_at(&mut self, unix_s: u64) {
        digits(&mut self.frame, self.happened_at, HAPPENED_DIGITS, unix_s);
    }

    /// Bytes of a frame, without its header.
    pub(crate) fn bytes(&self) -> usize {
        self.frame.len() - 4
    }

    /// Appends the frame of envelope `number`, written by person `user`.
    pub(crate) fn write(&self, out: &mut Vec<u8>, number: u64, user: u64) {
        let start = out.len();
        out.extend_from_slice(&self.frame);
        let Some(frame) = out.get_mut(start..) else {
            return;
        };
        digits(frame, self.envelope_at, ENVELOPE_DIGITS, number);
        for &(at, field) in &self.fields {
            match field {
                Field::Team => digits(frame, at, ID_DIGITS, user % TEAMS),
                Field::User => digits(frame, at, ID_DIGITS, user),
                Field::Event => digits(frame, at, ID_DIGITS, number),
                Field::Time => {
                    let time = TS_FIRST + number;
                    digits(frame, at, TS_DIGITS - 6, time / 1_000_000);
                    digits(frame, at + TS_DIGITS - 5, 6, time % 1_000_000);
                }
            }
        }
    }
}

/// Writes `number` as `count` decimal digits.
fn digits(frame: &mut [u8], at: usize, count: usize, mut number: u64) {
    let Some(place) = frame.get_mut(at..at + count) else {
        return;
    };
    for byte in place.iter_mut().rev() {
        *byte = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}
