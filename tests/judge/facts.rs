//! What the record comes to: greetings, answers, and the lives of the program.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value};

use super::Buried;
use super::bots::{Bot, Key, Words};
use super::record::{Record, Subject, What};

/// A message by its place: workspace, channel, ts.
type Place = (String, String, String);

/// Somebody wrote what a bot answers, and the program was told.
#[derive(Debug)]
pub(crate) struct Greeting {
    /// The event's id; over RTM there is none.
    pub(crate) event_id: Option<String>,
    pub(crate) app: String,
    pub(crate) team: String,
    pub(crate) user: String,
    pub(crate) channel: String,
    pub(crate) ts: String,
    pub(crate) thread_ts: Option<String>,
    pub(crate) text: String,
    /// Entry and socket of each delivery.
    pub(crate) sent: Vec<(u64, u64)>,
    /// When the program said that it owns it: the first ack, whatever that was worth.
    pub(crate) acked: Option<u64>,
    /// Over RTM: it was delivered on a socket that did not break.
    pub(crate) is_delivered: bool,
}

impl Greeting {
    /// Whether an answer is owed.
    pub(crate) fn is_owned(&self) -> bool {
        self.acked.is_some() || self.is_delivered
    }

    /// For people.
    pub(crate) fn shown(&self) -> String {
        let id = self.event_id.as_deref().unwrap_or("RTM");
        let Self {
            app,
            team,
            user,
            text,
            channel,
            ts,
            ..
        } = self;
        format!("{id} ({app} {team} {user}: {text:?} in {channel} at {ts})")
    }
}

/// A successful post of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) n: u64,
    pub(crate) key: Key,
    pub(crate) count: u64,
    /// Whom it names.
    pub(crate) user: String,
    /// The clerk's number, in the tally's answers.
    pub(crate) number: Option<u64>,
    pub(crate) channel: String,
    pub(crate) thread_ts: Option<String>,
    pub(crate) effect: String,
    /// The greeting that it answers, by its place in [`Facts::greetings`].
    pub(crate) to: Option<usize>,
}

impl Answer {
    /// For people.
    pub(crate) fn shown(&self) -> String {
        format!(
            "call {} ({} count {} in {}, effect {})",
            self.n, self.key, self.count, self.channel, self.effect
        )
    }
}

/// A successful post, of whatever.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) n: u64,
    pub(crate) lane: (String, String, String),
}

/// A question for the posts of a channel or thread, from the newest (in a thread: the oldest) on.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) n: u64,
    pub(crate) lane: (String, String, String),
    pub(crate) thread_ts: Option<String>,
}

/// The record, understood.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) greetings: Vec<Greeting>,
    pub(crate) answers: Vec<Answer>,
    pub(crate) posts: Vec<Post>,
    pub(crate) looks: Vec<Look>,
    /// By app: the entries with which a new life of the program began, after one was lost.
    pub(crate) rebirths: BTreeMap<String, Vec<u64>>,
    by_event: HashMap<String, usize>,
    by_place: HashMap<(String, Place), usize>,
    by_envelope: HashMap<String, usize>,
}

#[derive(Default)]
struct Reading {
    people: HashMap<Place, Written>,
    broken: HashSet<u64>,
    lost: HashSet<String>,
}

struct Written {
    user: String,
    thread_ts: Option<String>,
    text: String,
}

impl Facts {
    pub(crate) fn of(record: &Record) -> Self {
        let mut reading = Reading::default();
        for entry in &record.entries {
            if let What::SocketClosed {
                socket, code: None, ..
            } = &entry.what
            {
                reading.broken.insert(*socket);
            }
        }
        let mut facts = Self::default();
        for entry in &record.entries {
            facts.take(entry.n, &entry.what, &mut reading);
        }
        facts
    }

    /// The answers in the order of their calls, each effect once.
    pub(crate) fn first_answers(&self) -> impl Iterator<Item = &Answer> {
        let mut seen = HashSet::new();
        self.answers
            .iter()
            .filter(move |answer| answer.effect.is_empty() || seen.insert(&answer.effect))
    }

    fn take(&mut self, n: u64, what: &What, reading: &mut Reading) {
        match what {
            What::Posted { .. } => Self::appeared(what, reading),
            What::EnvelopeSent {
                socket,
                envelope_id,
                subject,
            } => {
                if subject.kind == "message" {
                    self.envelope_sent(n, *socket, envelope_id, subject, reading);
                }
            }
            What::RtmSent {
                socket,
                app,
                team,
                frame,
            } => self.rtm_sent(n, *socket, (app, team), frame, reading),
            What::Ack { envelope_id, .. } => {
                let greeting = self.by_envelope.get(envelope_id);
                if let Some(greeting) = greeting.and_then(|&at| self.greetings.get_mut(at)) {
                    greeting.acked.get_or_insert(n);
                }
            }
            What::SocketClosed { app, by, .. } => {
                if by == "lost" {
                    reading.lost.insert(app.clone());
                }
            }
            What::SocketOpened { app } => self.lives(n, app, reading),
            What::Call { app, .. } => {
                if self.called(n, what) {
                    self.lives(n, app, reading);
                }
            }
            What::CommandRun { .. }
            | What::EphemeralShown { .. }
            | What::FrameIgnored { .. }
            | What::Other => {}
        }
    }

    /// A message appeared in a channel.
    fn appeared(what: &What, reading: &mut Reading) {
        let What::Posted {
            team,
            channel,
            user,
            ts,
            thread_ts,
            text,
            via,
        } = what
        else {
            return;
        };
        if via == "person" && Bot::ALL.iter().any(|bot| bot.is_asked_by(text)) {
            let place = (team.clone(), channel.clone(), ts.clone());
            let written = Written {
                user: user.clone(),
                thread_ts: thread_ts.clone(),
                text: text.clone(),
            };
            reading.people.insert(place, written);
        }
    }

    /// A call; whether it is one with which a life begins.
    fn called(&mut self, n: u64, what: &What) -> bool {
        let What::Call {
            method,
            app,
            team,
            args,
            ok,
            metadata,
            ..
        } = what
        else {
            return false;
        };
        match method.as_str() {
            "auth.test" | "apps.connections.open" | "rtm.connect" => return true,
            "chat.postMessage" if *ok => self.posted(n, (app, team), args, metadata.as_ref()),
            "conversations.history" | "conversations.replies" if *ok => {
                self.looked(n, (app, team), args);
            }
            _ => {}
        }
        false
    }

    /// A sign that only a living program gives.
    fn lives(&mut self, n: u64, app: &str, reading: &mut Reading) {
        if reading.lost.remove(app) {
            self.rebirths.entry(app.to_owned()).or_default().push(n);
        }
    }

    fn envelope_sent(
        &mut self,
        n: u64,
        socket: u64,
        envelope_id: &str,
        subject: &Subject,
        reading: &Reading,
    ) {
        let place = (
            subject.team.clone(),
            subject.channel.clone(),
            subject.ts.clone(),
        );
        let Some(written) = reading.people.get(&place) else {
            return;
        };
        let at = *self
            .by_event
            .entry(subject.event_id.clone())
            .or_insert_with(|| {
                self.greetings.push(greeting(&subject.app, &place, written));
                self.greetings.len() - 1
            });
        self.by_envelope.insert(envelope_id.to_owned(), at);
        if let Some(greeting) = self.greetings.get_mut(at) {
            greeting.event_id = Some(subject.event_id.clone());
            greeting.sent.push((n, socket));
        }
    }

    fn rtm_sent(
        &mut self,
        n: u64,
        socket: u64,
        (app, team): (&str, &str),
        frame: &Value,
        reading: &Reading,
    ) {
        let field = |name| frame.get(name).and_then(Value::as_str).unwrap_or_default();
        let place = (
            team.to_owned(),
            field("channel").to_owned(),
            field("ts").to_owned(),
        );
        let Some(written) = reading
            .people
            .get(&place)
            .filter(|_| field("type") == "message")
        else {
            return;
        };
        let of_app = (app.to_owned(), place.clone());
        let at = *self.by_place.entry(of_app).or_insert_with(|| {
            self.greetings.push(greeting(app, &place, written));
            self.greetings.len() - 1
        });
        if let Some(greeting) = self.greetings.get_mut(at) {
            greeting.sent.push((n, socket));
            greeting.is_delivered |= !reading.broken.contains(&socket);
        }
    }

    /// The first page of a look; the others go on from where it began.
    fn looked(&mut self, n: u64, (app, team): (&str, &str), args: &Map<String, Value>) {
        let argument = |name: &str| args.get(name).and_then(Value::as_str);
        if argument("cursor").is_none() {
            let channel = argument("channel").unwrap_or_default();
            self.looks.push(Look {
                n,
                lane: (app.to_owned(), team.to_owned(), channel.to_owned()),
                thread_ts: argument("ts").map(str::to_owned),
            });
        }
    }

    fn posted(
        &mut self,
        n: u64,
        (app, team): (&str, &str),
        args: &Map<String, Value>,
        metadata: Option<&Value>,
    ) {
        let argument = |name: &str| args.get(name).and_then(Value::as_str);
        let channel = argument("channel").unwrap_or_default().to_owned();
        let lane = (app.to_owned(), team.to_owned(), channel.clone());
        self.posts.push(Post { n, lane });
        let Some(words) = argument("text").and_then(Words::read) else {
            return;
        };
        let effect = effect_in(metadata).to_owned();
        let to = self.named_by(app, words.bot, &effect);
        self.answers.push(Answer {
            n,
            key: words.key(app, team),
            count: words.count,
            user: words.user,
            number: words.number,
            channel,
            thread_ts: argument("thread_ts").map(str::to_owned),
            effect,
            to,
        });
    }

    /// The answers that a buried delivery would have given; what it would have told others is never told.
    pub(super) fn buried(&self, buried: &Buried) -> Vec<(Bot, usize)> {
        let bot = Bot::ALL.into_iter().find(|it| it.name() == buried.handler);
        let apps: HashSet<&String> = self.greetings.iter().map(|it| &it.app).collect();
        let effect = format!("{}/{}#0", buried.name, buried.handler);
        let at = |bot| apps.iter().find_map(|app| self.named_by(app, bot, &effect));
        let Some((bot, at)) = bot.and_then(|bot| Some((bot, at(bot)?))) else {
            return Vec::new();
        };
        match bot {
            Bot::Clerk => vec![(bot, at), (Bot::Tally, at)],
            _ => vec![(bot, at)],
        }
    }

    /// The greeting that an effect of `bot` names: `name/EVENT/greeter#0`, over RTM
    /// `name/TEAM/kind/CHANNEL/TS/greeter#0`; for the tally `../clerk#1/tally#0`, for the relay
    /// `../relay#0/relay#0`, once for each memo.
    fn named_by(&self, app: &str, bot: Bot, effect: &str) -> Option<usize> {
        let handler = |segment: &str| segment.split_once('#').map(|(name, _)| name.to_owned());
        let (rest, last) = effect.rsplit_once('/')?;
        let is_own = handler(last).is_some_and(|name| name == bot.name());
        let origin = match bot {
            Bot::Tally => {
                let (origin, sender) = rest.rsplit_once('/')?;
                (handler(sender)? == Bot::Clerk.name()).then_some(origin)?
            }
            Bot::Relay => {
                let mut origin = rest;
                while let Some((before, sender)) = origin.rsplit_once('/')
                    && handler(sender).is_some_and(|name| name == bot.name())
                {
                    origin = before;
                }
                origin
            }
            Bot::Greeter | Bot::Clerk | Bot::Canary | Bot::Sider => rest,
        };
        let parts: Vec<&str> = origin.split('/').filter(|_| is_own).collect();
        match parts.as_slice() {
            [_, event] => self.by_event.get(*event).copied(),
            [_, team, _, channel, ts] => {
                let place = ((*team).to_owned(), (*channel).to_owned(), (*ts).to_owned());
                self.by_place.get(&(app.to_owned(), place)).copied()
            }
            _ => None,
        }
    }
}

fn greeting(app: &str, place: &Place, written: &Written) -> Greeting {
    let (team, channel, ts) = place.clone();
    Greeting {
        event_id: None,
        app: app.to_owned(),
        team,
        user: written.user.clone(),
        channel,
        ts,
        thread_ts: written.thread_ts.clone(),
        text: written.text.clone(),
        sent: Vec::new(),
        acked: None,
        is_delivered: false,
    }
}

/// The effect that a post's metadata names.
pub(super) fn effect_in(metadata: Option<&Value>) -> &str {
    metadata
        .and_then(|metadata| metadata.pointer("/event_payload/effect"))
        .and_then(Value::as_str)
        .unwrap_or_default()
}
