//! The generator, in a process of its own: as much of Slack as a flow of events needs, over raw TCP.
//!
//! It takes orders on stdin, a line each, and answers each with a line on stdout.

use std::io::{BufRead, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use callboard::base::clock::Clock;

use crate::link::{Flow, Flowed, Link, Who};
use crate::template::{TEAMS, Template};
use crate::usage;

/// How long a socket may take to come.
const SOCKET_WITHIN: Duration = Duration::from_secs(20);

/// Bytes of a request's head and body, together.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// The prefix of the bot tokens; the workspace's number follows.
pub(crate) const BOT_TOKEN: &str = "xoxb-bench-";

/// Runs the generator until stdin ends.
#[expect(clippy::print_stdout, reason = "stdout is the way to answer orders")]
pub(crate) fn run() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").context("listening on loopback")?;
    let address = listener.local_addr()?;
    let (opened, links) = sync_channel(4);
    std::thread::Builder::new()
        .name("http".into())
        .spawn(move || {
            for stream in listener.incoming().flatten() {
                let opened = opened.clone();
                let url = format!("ws://{address}/link");
                // Its end is the client's end; what can't be answered is closed.
                std::thread::spawn(move || serve(stream, &url, &opened).ok());
            }
        })?;
    println!("listening {address}");
    let mut template = Template::new();
    let mut link = None;
    for order in std::io::stdin().lock().lines() {
        match obey(&order?, &mut template, &mut link, &links) {
            Ok(answer) => println!("{answer}"),
            Err(error) => println!("failed {error:#}"),
        }
    }
    Ok(())
}

fn obey(
    order: &str,
    template: &mut Template,
    link: &mut Option<Link>,
    links: &Receiver<Link>,
) -> Result<String> {
    let words: Vec<&str> = order.split(' ').collect();
    match words.as_slice() {
        ["wait"] => {
            *link = Some(
                links
                    .recv_timeout(SOCKET_WITHIN)
                    .context("no socket came")?,
            );
            Ok(format!("open {}", template.bytes()))
        }
        ["flow", count, window, people, who, rate] => {
            let flow = Flow {
                count: count.parse()?,
                window: window.parse()?,
                people: people.parse()?,
                who: match *who {
                    "each" => Who::Each,
                    _ => Who::Random,
                },
                rate: rate.parse()?,
            };
            let link = link.as_mut().context("no socket is open")?;
            template.happens_at(Clock::system().unix().as_secs());
            let before = usage::process_cpu()?;
            let Flowed {
                took,
                p50,
                p99,
                max,
            } = link.run(template, flow)?;
            let cpu = usage::process_cpu()?.saturating_sub(before);
            let [took, cpu, p50, p99, max] = [took, cpu, p50, p99, max].map(|it| it.as_nanos());
            Ok(format!("flowed {took} {cpu} {p50} {p99} {max}"))
        }
        ["close"] => {
            if let Some(link) = link {
                link.close()?;
            }
            Ok("closed".to_owned())
        }
        _ => bail!("no such order: {order}"),
    }
}

/// Answers one client's requests, the last of which may open a socket.
fn serve(mut stream: TcpStream, url: &str, opened: &SyncSender<Link>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = Vec::new();
    loop {
        let Some(head) = head(&mut stream, &mut bytes)? else {
            return Ok(());
        };
        let field = |name: &str| {
            head.lines().find_map(|line| {
                let (found, value) = line.split_once(':')?;
                found.eq_ignore_ascii_case(name).then(|| value.trim())
            })
        };
        if let Some(key) = field("sec-websocket-key") {
            let accept = actix_http::ws::hash_key(key.as_bytes());
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
                String::from_utf8_lossy(&accept)
            );
            stream.write_all(answer.as_bytes())?;
            opened.send(Link::open(stream, bytes)?)?;
            return Ok(());
        }
        let length: usize = field("content-length").unwrap_or("0").parse()?;
        while bytes.len() < length {
            fill(&mut stream, &mut bytes)?;
        }
        bytes.drain(..length);
        let token = field("authorization").unwrap_or_default();
        let path = head.split(' ').nth(1).unwrap_or_default();
        let body = answer(path, token, url);
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes())?;
    }
}

fn answer(path: &str, token: &str, url: &str) -> String {
    match path.rsplit('/').next().unwrap_or_default() {
        "apps.connections.open" => format!(r#"{{"ok":true,"url":"{url}"}}"#),
        "auth.test" => {
            let team = token
                .split_once(BOT_TOKEN)
                .and_then(|(_, number)| number.parse().ok())
                .unwrap_or(TEAMS);
            format!(
                r#"{{"ok":true,"team":"Bench {team}","team_id":"T{team:08}","user_id":"U06BENCHBOT","bot_id":"B06BENCHBOT"}}"#
            )
        }
        "chat.postMessage" => {
            r#"{"ok":true,"channel":"C06BENCH001","ts":"1785000000.000001"}"#.to_owned()
        }
        _ => r#"{"ok":false,"error":"unknown_method"}"#.to_owned(),
    }
}

/// The next request's head; nothing when there is none. What follows it stays in `bytes`.
fn head(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<Option<String>> {
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = bytes.drain(..end + 4).collect();
            return Ok(Some(String::from_utf8(head)?));
        }
        if bytes.len() > REQUEST_BYTES_MAX {
            bail!("a request's head is too long");
        }
        if !fill(stream, bytes)? {
            return Ok(None);
        }
    }
}

/// Reads some more; false at the end.
fn fill(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<bool> {
    let mut chunk = [0; 4096];
    let count = stream.read(&mut chunk)?;
    bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
    Ok(count > 0)
}
