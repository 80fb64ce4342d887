//! The whole runtime on a configuration's text, with everything between it and Slack at once.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use actix_http::ws::Frame;
use callboard::app::{Callboard, Running};
use callboard::config::{FixedEnvironment, parse};

use crate::certificates::{Certificates, HOST};
use crate::folder::Folder;
use crate::peer::{PATIENCE, Plan, Script, Slack, frame};
use crate::proxy::{Manner, Proxy};

/// A file with these contents; its path.
fn file(folder: &Folder, name: &str, contents: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, contents).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A Socket Mode app on the Slack at `base_url`, with these lines under `[network]`.
pub(crate) fn run(
    folder: &Folder,
    base_url: &str,
    network: &str,
    variables: &[(&str, &str)],
) -> Running {
    let store = folder.path().join("store");
    let text = format!(
        "[slack]\nbase_url = \"{base_url}\"\n[store]\npath = \"{}\"\n[network]\n{network}\n\
         [[app]]\nname = \"acme\"\napp_token = \"env:APP\"\nbot_tokens = [\"env:BOT\"]\n",
        store.display()
    );
    let mut all = vec![("APP", "xapp-1-A1-x"), ("BOT", "xoxb-1")];
    all.extend(variables);
    let config = parse(&text, "test.toml", &FixedEnvironment::new(all));
    let config = config.unwrap_or_else(|faults| panic!("{faults}"));
    Callboard::from_config(config).start().unwrap()
}

/// An event that nobody has a route for, `size` bytes or a little more; it is acked.
pub(crate) fn envelope(id: &str, size: usize) -> String {
    let text = "ß".repeat(size / 2);
    format!(
        r#"{{"type":"events_api","envelope_id":"{id}","payload":{{"type":"event_callback","event_id":"Ev{id}","team_id":"T1","api_app_id":"A1","event":{{"type":"message","channel":"C1","user":"U2","ts":"1.000001","event_ts":"1.000001","channel_type":"channel","text":"{text}"}}}}}}"#
    )
}

pub(crate) fn ack(id: &str) -> Frame {
    Frame::Text(format!(r#"{{"envelope_id":"{id}"}}"#).into())
}

/// Says hello, delivers one event, and tells the first text that comes back.
fn delivers() -> (Script, Receiver<Frame>) {
    let (told, heard) = channel();
    let script: Script = Arc::new(move |_, peer| {
        peer.hello();
        peer.send(&frame(0x81, envelope("E1", 10).as_bytes()));
        while let Some(frame) = peer.next() {
            if matches!(frame, Frame::Text(_)) {
                told.send(frame).ok();
            }
        }
    });
    (script, heard)
}

#[test]
fn a_configuration_with_everything_between_us_and_slack_connects_and_acks() {
    let certificates = Certificates::new();
    let (script, heard) = delivers();
    let slack = Slack::start(Plan {
        tls: Some(certificates.server(true)),
        sockets: Some(format!("wss://wss.{HOST}")),
        script,
    });
    let proxy = Proxy::start(Manner::Guarded, slack.address);
    let folder = Folder::new();
    let network = format!(
        "proxy = \"env:PROXY\"\nno_proxy = [\"other.test\"]\nroots_file = \"{}\"\nclient_certificate_file = \"{}\"\n\
         client_key_file = \"{}\"\nheaders = {{ x-call = \"env:KEY\" }}\nsocket_headers = {{ x-socket = \"two\" }}\n\
         user_agent = \"acme/7\"",
        file(&folder, "root.pem", &certificates.root),
        file(&folder, "client.pem", &certificates.client),
        file(&folder, "client.key", &certificates.client_key),
    );
    let url = format!("http://ann:p%40ss@{}", proxy.address);
    let variables = [("PROXY", url.as_str()), ("KEY", "one")];
    let base_url = format!("https://{HOST}/api/");
    let running = run(&folder, &base_url, &network, &variables);
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), ack("E1"));
    let asked = proxy.asked();
    assert!(asked.contains(&format!("{HOST}:443")), "{asked:?}");
    assert!(asked.contains(&format!("wss.{HOST}:443")), "{asked:?}");
    for request in slack.requests("/api/") {
        assert_eq!(request.header("x-call"), Some("one"), "{request:?}");
        assert_eq!(request.header("user-agent"), Some("acme/7"));
    }
    let sockets = slack.requests("/link/");
    assert_eq!(sockets[0].header("x-socket"), Some("two"));
    running.stop();
}

#[test]
fn a_proxy_of_the_environment_is_used_and_its_exceptions_are_honoured() {
    let certificates = Certificates::new();
    let folder = Folder::new();
    let network = format!(
        "roots_file = \"{}\"",
        file(&folder, "root.pem", &certificates.root)
    );
    let (script, heard) = delivers();
    let slack = Slack::start(Plan {
        tls: Some(certificates.server(false)),
        sockets: Some(format!("wss://wss.{HOST}")),
        script,
    });
    let proxy = Proxy::start(Manner::Open, slack.address);
    let url = format!("http://{}", proxy.address);
    let variables = [
        ("HTTPS_PROXY", url.as_str()),
        ("NO_PROXY", "10.0.0.0/8,other.test"),
    ];
    let base_url = format!("https://{HOST}/api/");
    let running = run(&folder, &base_url, &network, &variables);
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), ack("E1"));
    let asked = proxy.asked();
    assert!(asked.contains(&format!("{HOST}:443")), "{asked:?}");
    assert!(asked.contains(&format!("wss.{HOST}:443")), "{asked:?}");
    running.stop();
    // This machine is reached without it, and so is what is named.
    let (script, heard) = delivers();
    let slack = Slack::plain(script);
    let proxy = Proxy::start(Manner::Open, slack.address);
    let url = format!("http://{}", proxy.address);
    let running = run(&folder, &slack.base_url(), "", &[("HTTPS_PROXY", &url)]);
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), ack("E1"));
    assert!(proxy.asked().is_empty());
    running.stop();
}
