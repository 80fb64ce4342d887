//! Reading what Slack sends, and what it is known by.

use super::*;

fn read(kind: Kind, payload: &str) -> Result<Envelope, Unreadable> {
    Envelope::read(
        kind,
        &Origin {
            app: &AppName::new("acme"),
            envelope_id: "e-1",
            team: TeamId::new(if kind == Kind::RtmEvent { "T3" } else { "" }),
        },
        Bytes::copy_from_slice(payload.as_bytes()),
        5,
    )
}

#[test]
fn rule_8_an_event_is_known_by_app_and_event_id() {
    let envelope = read(
        Kind::Event,
        r#"{"team_id":"T9","event_id":"Ev1","event_time":17,"authorizations":[{"team_id":"T1"}],
            "event":{"type":"message","user":"U1","channel":"C1","ts":"1.2","text":"a\nb","new":{}}}"#,
    )
    .unwrap();
    assert_eq!(envelope.id, "acme/Ev1");
    assert_eq!(
        envelope.team.as_str(),
        "T1",
        "our install, not the outer team"
    );
    assert_eq!(envelope.subject.text, "a\nb");
    assert_eq!(envelope.happened_s, 17);
    assert!(envelope.mark().is_some());
}

#[test]
fn events_whose_user_or_channel_is_an_object_are_read() {
    for (event, user, channel) in [
        (r#"{"type":"team_join","user":{"id":"U7","x":1}}"#, "U7", ""),
        (
            r#"{"type":"channel_created","channel":{"id":"C7","name":"n"}}"#,
            "",
            "C7",
        ),
        (r#"{"type":"odd","user":17,"channel":null}"#, "", ""),
    ] {
        let envelope = read(
            Kind::Event,
            &format!(r#"{{"event_id":"E","event":{event}}}"#),
        )
        .unwrap();
        assert_eq!(envelope.subject.user.as_str(), user, "{event}");
        assert_eq!(envelope.subject.channel.as_str(), channel, "{event}");
    }
}

#[test]
fn a_callback_without_an_event_is_named_by_its_own_type() {
    let envelope = read(Kind::Event, r#"{"type":"app_rate_limited","team_id":"T1"}"#).unwrap();
    assert_eq!(envelope.subject.name, "app_rate_limited");
    assert_eq!(envelope.mark(), None, "nothing to know it by");
}

#[test]
fn rule_8_rtm_frames_with_a_ts_are_known_by_type_channel_and_ts_and_others_never() {
    let message = read(
        Kind::RtmEvent,
        r#"{"type":"message","channel":"C1","ts":"1.2"}"#,
    )
    .unwrap();
    assert_eq!(message.id, "acme/T3/message./C1/1.2");
    let typing = read(Kind::RtmEvent, r#"{"type":"user_typing","channel":"C1"}"#).unwrap();
    assert_eq!(typing.mark(), None);
}

#[test]
fn rule_8_commands_and_interactions_are_known_by_envelope() {
    let command = read(
        Kind::Command,
        r#"{"command":"/x","text":"","team_id":"T1","channel_id":"C1","user_id":"U1"}"#,
    )
    .unwrap();
    assert_eq!(
        (command.id.as_str(), command.team.as_str()),
        ("acme/e-1", "T1")
    );
    let click = read(
        Kind::Interaction,
        r#"{"type":"block_actions","team":null,"user":{"id":"U1","team_id":"T2"}}"#,
    )
    .unwrap();
    assert_eq!((click.id.as_str(), click.team.as_str()), ("acme/e-1", "T2"));
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    let error = read(Kind::Event, "{").unwrap_err();
    assert!(
        error.to_string().starts_with("events_api payload: EOF"),
        "{error}"
    );
}

#[test]
fn one_odd_field_does_not_hide_an_event() {
    for odd in [
        r#""ts": 12, "text": null"#,
        r#""text": "\ud83d""#,
        r#""subtype": {}, "bot_id": []"#,
    ] {
        let payload = format!(
            r#"{{"event_id":"E","event_time":null,"authorizations":null,"event":{{"type":"message",{odd}}}}}"#
        );
        let envelope = read(Kind::Event, &payload).unwrap();
        assert_eq!(envelope.subject.name, "message", "{odd}");
    }
}

#[test]
fn an_envelope_without_an_id_gets_a_name_and_no_mark() {
    let mut typing = read(Kind::RtmEvent, r#"{"type":"user_typing","channel":"C1"}"#).unwrap();
    typing.name_anonymous(7);
    assert_eq!(typing.id, "acme/anonymous-0000000000000007");
    assert_eq!(typing.mark(), None);
}
