//! Every option of the network, seen from the other end.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use callboard::base::clock::Clock;
use callboard::base::limits::{RTM_SENT_BYTES_MAX, SOCKET_MODE_SENT_BYTES_MAX};
use callboard::base::network::header::Header;
use callboard::base::network::proxy::{Exceptions, Proxy as Chosen};
use callboard::base::network::tls::Tls;
use callboard::base::network::{Network, Within};
use callboard::base::secret::Secret;
use callboard::web::dial::{Fault, Frame, Message, Socket};
use callboard::web::{Api, Client, Request};
use futures_util::{SinkExt, StreamExt};
use serde_json::Map;

use crate::certificates::{Certificates, HOST};
use crate::peer::{PATIENCE, Parrot, Plan, Slack, frame, head, quiet};
use crate::proxy::{Manner, Proxy};

async fn call(base_url: &str, network: &Network) -> Result<(), String> {
    let client = Client::new(&Api::url(base_url, network.clone()));
    let request = Request {
        method: "auth.test",
        args: &Map::new(),
        token: Some(&Secret::new("xoxb-1")),
    };
    let called = client.call(request).await;
    called.map(drop).map_err(|error| error.to_string())
}

async fn open(url: &str, network: &Network) -> Result<Socket, String> {
    let client = Client::new(&Api::url("http://unused/", network.clone()));
    let opened = client.open(url, SOCKET_MODE_SENT_BYTES_MAX).await;
    if let Err(error) = &opened {
        assert!(!error.contains("s3cret"), "a ticket is shown: {error}");
    }
    opened
}

/// The first frame of a socket, as text.
async fn first(mut socket: Socket) -> String {
    let next = actix_rt::time::timeout(PATIENCE, socket.next());
    match next.await.unwrap() {
        Some(Ok(Frame::Text(text))) => String::from_utf8(text.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn through(proxy: &Proxy, credentials: &str) -> Network {
    let url = format!("http://{credentials}{}", proxy.address);
    Network {
        proxy: Some(Chosen::parse(&url).unwrap()),
        ..Network::default()
    }
}

#[actix_rt::test]
async fn calls_and_sockets_go_through_a_proxy_that_wants_credentials() {
    let slack = Slack::plain(quiet());
    let proxy = Proxy::start(Manner::Guarded, slack.address);
    let network = through(&proxy, "ann:p%40ss@");
    // The proxy finds the host, not we: nobody here knows that name.
    call("http://slack.test/api/", &network).await.unwrap();
    let socket = open("ws://slack.test:8080/link/?ticket=s3cret", &network).await;
    assert!(first(socket.unwrap()).await.contains("hello"));
    assert_eq!(proxy.asked(), ["slack.test:80", "slack.test:8080"]);
    // What the proxy was told is not for Slack.
    for request in slack.requests("/") {
        assert_eq!(request.header("proxy-authorization"), None);
        assert!(request.header("host").unwrap().starts_with("slack.test"));
    }
}

#[actix_rt::test]
async fn a_proxy_that_lets_nobody_through_is_named_with_the_remedy() {
    let slack = Slack::plain(quiet());
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let cases: [(Manner, &str, &str); 6] = [
        (Manner::Guarded, "", "give them in its URL"),
        (
            Manner::Guarded,
            "ann:wr0ng@",
            "refuses the credentials of its URL",
        ),
        (
            Manner::Says("HTTP/1.1 403 Forbidden\r\n\r\n"),
            "",
            "answered HTTP 403 when asked for slack.test:80: let it pass there, or name it in network.no_proxy",
        ),
        (
            Manner::Says("220 mail ready\r\n\r\n"),
            "",
            "is that a proxy",
        ),
        (Manner::Says(""), "", "can't be reached"),
        (
            Manner::Mute,
            "",
            "did not take a connection within 0.2 s through the proxy",
        ),
    ];
    for (manner, credentials, part) in cases {
        let proxy = Proxy::start(manner, slack.address);
        let mut network = through(&proxy, credentials);
        if matches!(manner, Manner::Mute) {
            network.within.connect = Duration::from_millis(200);
        }
        let error = call("http://slack.test/api/", &network).await.unwrap_err();
        let name = format!("the proxy http://{}", proxy.address);
        assert!(error.contains(&name) && error.contains(part), "{error}");
        assert!(!error.contains("wr0ng"), "{error}");
        let opened = open("ws://slack.test/link/?ticket=s3cret", &network).await;
        let error = opened.unwrap_err();
        assert!(error.contains(&name) && error.contains(part), "{error}");
    }
    let network = Network {
        proxy: Some(Chosen::parse(&closed.to_string()).unwrap()),
        ..Network::default()
    };
    let error = call("http://slack.test/api/", &network).await.unwrap_err();
    assert!(
        error.contains(&format!("the proxy http://{closed} can't be reached")),
        "{error}"
    );
    assert!(slack.requests("/").is_empty());
}

#[actix_rt::test]
async fn hosts_of_no_proxy_are_reached_directly() {
    let slack = Slack::plain(quiet());
    let proxy = Proxy::start(Manner::Open, slack.address);
    for (entries, asked) in [
        ("", 2),
        ("other.test, 10.0.0.0/8, 127.0.0.1:1", 2),
        ("127.0.0.0/8", 0),
        ("*", 0),
    ] {
        let proxy_before = proxy.asked().len();
        let network = Network {
            no_proxy: Exceptions::parse(entries.split(',')).unwrap(),
            ..through(&proxy, "")
        };
        call(&slack.base_url(), &network).await.unwrap();
        let socket = open(&slack.socket_url(), &network).await.unwrap();
        assert!(first(socket).await.contains("hello"));
        assert_eq!(proxy.asked().len() - proxy_before, asked, "{entries}");
    }
}

#[actix_rt::test]
async fn a_private_root_is_trusted_where_it_is_named_for_calls_and_sockets() {
    let certificates = Certificates::new();
    let slack = Slack::start(Plan {
        tls: Some(certificates.server(false)),
        sockets: None,
        script: quiet(),
    });
    let proxy = Proxy::start(Manner::Open, slack.address);
    let (base_url, socket_url) = urls();
    let stranger = through(&proxy, "");
    for error in [
        call(&base_url, &stranger).await.unwrap_err(),
        open(&socket_url, &stranger).await.unwrap_err(),
    ] {
        assert!(
            error.contains("UnknownIssuer") && error.contains("network.roots_file"),
            "{error}"
        );
    }
    let tls = Tls::default().trusting(certificates.root.as_bytes());
    let network = Network {
        tls: tls.unwrap(),
        ..through(&proxy, "")
    };
    call(&base_url, &network).await.unwrap();
    let socket = open(&socket_url, &network).await.unwrap();
    assert!(first(socket).await.contains("hello"));
    // The certificate is for the name, whatever the address is.
    let direct = Network {
        proxy: None,
        ..network
    };
    let address = format!("https://{}/api/", slack.address);
    let error = call(&address, &direct).await.unwrap_err();
    assert!(
        error.contains("no connection: ") && error.contains("certificate"),
        "{error}"
    );
}

#[actix_rt::test]
async fn a_client_certificate_is_shown_to_calls_and_sockets() {
    let certificates = Certificates::new();
    let slack = Slack::start(Plan {
        tls: Some(certificates.server(true)),
        sockets: None,
        script: quiet(),
    });
    let proxy = Proxy::start(Manner::Open, slack.address);
    let (base_url, socket_url) = urls();
    let tls = Tls::default()
        .trusting(certificates.root.as_bytes())
        .unwrap();
    let without = Network {
        tls: tls.clone(),
        ..through(&proxy, "")
    };
    for error in [
        call(&base_url, &without).await.unwrap_err(),
        open(&socket_url, &without).await.unwrap_err(),
    ] {
        assert!(error.contains("network.client_certificate_file"), "{error}");
    }
    let (chain, key) = (&certificates.client, &certificates.client_key);
    let tls = tls.presenting(chain.as_bytes(), key.as_bytes());
    let with = Network {
        tls: tls.unwrap(),
        ..through(&proxy, "")
    };
    call(&base_url, &with).await.unwrap();
    assert!(
        first(open(&socket_url, &with).await.unwrap())
            .await
            .contains("hello")
    );
}

fn urls() -> (String, String) {
    (
        format!("https://{HOST}/api/"),
        format!("wss://{HOST}/link/?ticket=s3cret"),
    )
}

#[actix_rt::test]
async fn headers_and_user_agent_arrive_where_they_are_meant_to() {
    let slack = Slack::plain(quiet());
    let network = Network {
        user_agent: "acme/7".to_owned(),
        headers: vec![Header::new("X-Call", "one").unwrap()],
        socket_headers: vec![Header::new("X-Socket", "two").unwrap()],
        ..Network::default()
    };
    call(&slack.base_url(), &network).await.unwrap();
    let socket = open(&slack.socket_url(), &network).await.unwrap();
    first(socket).await;
    let calls = slack.requests("/api/");
    let [call] = calls.as_slice() else {
        panic!("{calls:?}")
    };
    assert_eq!(call.header("x-call"), Some("one"));
    assert_eq!(call.header("x-socket"), None);
    assert_eq!(call.header("user-agent"), Some("acme/7"));
    assert_eq!(call.header("authorization"), Some("Bearer xoxb-1"));
    let sockets = slack.requests("/link/");
    let [socket] = sockets.as_slice() else {
        panic!("{sockets:?}")
    };
    assert_eq!(socket.header("x-socket"), Some("two"));
    assert_eq!(socket.header("x-call"), None);
    assert_eq!(socket.header("user-agent"), Some("acme/7"));
    assert_eq!(socket.header("authorization"), None);
}

#[actix_rt::test]
async fn further_headers_do_not_go_to_a_response_url() {
    let slack = Slack::plain(quiet());
    let network = Network {
        headers: vec![Header::new("X-Call", "one").unwrap()],
        ..Network::default()
    };
    let client = Client::new(&Api::url("http://unused/", network));
    let url = format!("http://{}/hook", slack.address);
    let request = Request {
        method: &url,
        args: &Map::new(),
        token: None,
    };
    client.call(request).await.unwrap();
    assert_eq!(slack.requests("/hook")[0].header("x-call"), None);
}

/// Takes connections and never says a word.
fn mute() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[actix_rt::test]
async fn a_peer_that_never_answers_is_given_up_in_time() {
    let (_listener, address) = mute();
    let short = Duration::from_millis(150);
    let within = |change: fn(&mut Within, Duration)| {
        let mut network = Network::default();
        change(&mut network.within, short);
        network
    };
    let clock = Clock::system();
    let begun = clock.now();
    let call_limit = within(|within, short| within.call = short);
    let tls_limit = within(|within, short| within.tls_handshake = short);
    let dial_limit = within(|within, short| within.dial = short);
    let http = format!("http://{address}/api/");
    let error = call(&http, &call_limit).await.unwrap_err();
    assert_eq!(error, "auth.test: no answer within 0.15 s");
    let error = call(&format!("https://{address}/api/"), &tls_limit)
        .await
        .unwrap_err();
    assert_eq!(error, "auth.test: no TLS handshake within 0.15 s");
    let error = open(&format!("wss://{address}/"), &tls_limit)
        .await
        .unwrap_err();
    assert_eq!(error, "no TLS handshake within 0.15 s");
    let error = open(&format!("ws://{address}/"), &dial_limit)
        .await
        .unwrap_err();
    assert_eq!(error, "the socket was not open within 0.15 s");
    // Each waited for its own limit, and none for a default of 10 s or more.
    let took = clock.now() - begun;
    assert!(
        took >= 4 * short && took < Duration::from_secs(9),
        "{took:?}"
    );
}

#[actix_rt::test]
async fn an_answer_that_never_ends_is_given_up_in_time() {
    let (listener, address) = mute();
    let begins = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        head(&mut stream).unwrap();
        std::io::Write::write_all(
            &mut stream,
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
        )
        .unwrap();
        // Kept until the client leaves.
        head(&mut stream).unwrap_err();
    });
    let mut network = Network::default();
    network.within.call = Duration::from_millis(200);
    let error = call(&format!("http://{address}/api/"), &network)
        .await
        .unwrap_err();
    assert_eq!(error, "auth.test: no answer within 0.2 s");
    begins.join().unwrap();
}

#[actix_rt::test]
async fn what_is_no_socket_is_told_without_the_ticket() {
    for (answer, part) in [
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            "refused with HTTP 404",
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n",
            "refused with HTTP 302",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "refused with HTTP 200",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
            "speaks no WebSocket: Invalid challenge response",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n",
            "speaks no WebSocket: Invalid upgrade header",
        ),
    ] {
        let parrot = Parrot::start(answer);
        let url = format!("ws://{}/link/?ticket=s3cret", parrot.address);
        let error = open(&url, &Network::default()).await.unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

#[actix_rt::test]
async fn messages_that_slack_would_close_for_are_errors_and_the_socket_goes_on() {
    for (max, path) in [
        (SOCKET_MODE_SENT_BYTES_MAX, "/link/"),
        (RTM_SENT_BYTES_MAX, "/rtm/"),
    ] {
        let (told, heard) = std::sync::mpsc::channel();
        let slack = Slack::plain(std::sync::Arc::new(move |_, peer| {
            let got = peer.next();
            peer.send(&frame(0x88, b""));
            told.send(got).unwrap();
        }));
        let client = Client::new(&Api::url("http://unused/", Network::default()));
        let url = format!("ws://{}{path}", slack.address);
        let mut socket = client.open(&url, max).await.unwrap();
        let long = Message::Text("a".repeat(max + 1).into());
        let fault = socket.send(long).await.unwrap_err();
        assert!(matches!(fault, Fault::SentTooLong { .. }), "{fault}");
        let most = "b".repeat(max);
        socket
            .send(Message::Text(most.clone().into()))
            .await
            .unwrap();
        let got = actix_rt::task::spawn_blocking(move || heard.recv_timeout(PATIENCE));
        let got = got.await.unwrap().unwrap();
        assert_eq!(got, Some(actix_http::ws::Frame::Text(most.into())));
    }
}
