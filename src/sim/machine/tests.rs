//! A whole world in virtual time: no socket, no thread, no clock.

use super::*;
use crate::sim::record::By;
use crate::sim::world::Transport;
use crate::slack::id::UserId;

const SECOND: u64 = 1_000_000;

struct Stand {
    machine: Machine,
    team: TeamId,
    channel: ChannelId,
    ann: UserId,
    app: AppId,
}

fn stand() -> Stand {
    let mut world = World::empty();
    let team = world.team("Lantern");
    let ann = world.user(&team, "ann", "Ann Ash").unwrap();
    let channel = world.channel(&team, "general", "").unwrap();
    let app = world.app("callboard", Transport::Socket);
    world.command(&app, "/count", "", "").unwrap();
    world.install(&app, &team).unwrap();
    let machine = Machine::new(Setup {
        world,
        root: "http://127.0.0.1:1".into(),
        epoch_us: 1_700_000_000 * SECOND,
        terms: Terms {
            deadline_us: 3 * SECOND,
            ladder_us: [0, 60 * SECOND, 300 * SECOND],
        },
        seed: 1,
        life_s: 18_060,
    });
    Stand {
        machine,
        team,
        channel,
        ann,
        app,
    }
}

impl Stand {
    fn open(&mut self) -> SocketId {
        let url = self.machine.link_url(&self.app);
        let ticket = url.split(['=', '&']).nth(1).unwrap();
        self.machine.open(ticket, Transport::Socket).unwrap()
    }

    fn post(&mut self, text: &str) {
        let (team, channel) = (&self.team, &self.channel);
        self.machine
            .post(team, channel, &self.ann, text, None)
            .unwrap();
    }

    /// The frames that left since the last call, with their sockets.
    fn frames(&mut self) -> Vec<(SocketId, Value)> {
        let outs = self.machine.take_outs().into_iter();
        let frames = outs.filter_map(|out| match out {
            Out::Frame(socket, text) => Some((socket, serde_json::from_str(&text).unwrap())),
            Out::Close(..) | Out::Cut(_) | Out::Live(_) => None,
        });
        frames.collect()
    }

    /// Lets time pass from due moment to due moment.
    fn pass_until(&mut self, end_us: u64) {
        while let Some(due_us) = self
            .machine
            .next_due_us()
            .filter(|due_us| *due_us <= end_us)
        {
            self.machine.at(due_us).tick();
        }
        self.machine.at(end_us);
    }

    fn names(&self) -> Vec<String> {
        let record = self.machine.record_since(0);
        let name = |entry: &Arc<Entry>| serde_json::to_value(&**entry).unwrap()["what"].clone();
        let names = record
            .iter()
            .map(|entry| name(entry).as_str().unwrap().to_owned());
        names.collect()
    }
}

#[test]
fn a_gap_costs_no_event_and_the_record_tells_the_whole_story() {
    let mut stand = stand();
    stand.post("hello");
    stand.pass_until(10 * SECOND);
    let socket = stand.open();
    stand.pass_until(68 * SECOND);
    let frames = stand.frames();
    let (to, envelope) = frames.last().unwrap();
    assert_eq!((*to, &envelope["retry_attempt"]), (socket, &json!(2)));
    let ack = json!({"envelope_id": envelope["envelope_id"]}).to_string();
    stand.machine.received(socket, &ack);
    stand.machine.received(socket, &ack);
    assert_eq!(
        stand.names(),
        [
            "posted",
            "envelope_unsent",
            "envelope_unsent",
            "socket_opened",
            "envelope_sent",
            "ack",
            "ack"
        ]
    );
    let record = stand.machine.record_since(5);
    assert!(matches!(
        record[0].what,
        What::Ack {
            is_late: false,
            is_repeated: false,
            ..
        }
    ));
    assert!(matches!(
        record[1].what,
        What::Ack {
            is_repeated: true,
            ..
        }
    ));
    assert_eq!(
        stand
            .machine
            .next_due_us()
            .map(|due_us| due_us > 68 * SECOND),
        Some(true)
    );
    stand.pass_until(1000 * SECOND);
    assert_eq!(stand.names().len(), 7, "nothing more was sent");
}

#[test]
fn a_socket_that_ends_leaves_its_envelope_to_the_ladder() {
    let mut stand = stand();
    let first = stand.open();
    stand.post("hello");
    stand.machine.ended(first, By::Lost, None, "");
    let second = stand.open();
    stand.frames();
    stand.pass_until(3 * SECOND);
    let frames = stand.frames();
    assert_eq!(frames.len(), 1);
    assert_eq!(
        (frames[0].0, &frames[0].1["retry_attempt"]),
        (second, &json!(1))
    );
    let closed = |entry: &&Arc<Entry>| matches!(entry.what, What::SocketClosed { unacked: 1, .. });
    assert_eq!(
        stand.machine.record_since(0).iter().filter(closed).count(),
        1
    );
}

#[test]
fn a_leaving_socket_gets_envelopes_only_while_it_is_the_last() {
    let mut stand = stand();
    let app = stand.app.clone();
    let old = stand.open();
    stand.machine.disconnect(&app, "refresh_requested", false);
    stand.frames();
    stand.post("still you");
    let new = stand.open();
    stand.post("now the other");
    stand.post("and again");
    let sent: Vec<_> = stand
        .frames()
        .into_iter()
        .filter(|(_, it)| it["type"] == "events_api")
        .collect();
    let to: Vec<SocketId> = sent.iter().map(|(socket, _)| *socket).collect();
    assert_eq!(to, [old, new, new]);
}

#[test]
fn an_ack_after_the_deadline_is_late_even_before_the_timer_comes_round() {
    let mut stand = stand();
    let socket = stand.open();
    let (team, channel, ann) = (stand.team.clone(), stand.channel.clone(), stand.ann.clone());
    let run = stand
        .machine
        .command(&team, &channel, &ann, "/count", "")
        .unwrap();
    stand.machine.at(3 * SECOND);
    let ack = json!({"envelope_id": run.envelope_id, "payload": {"text": "3"}}).to_string();
    stand.machine.received(socket, &ack);
    assert_eq!(
        stand.names()[1..],
        [
            "command_run",
            "envelope_sent",
            "deadline_missed",
            "command_failed",
            "ack"
        ]
    );
    let record = stand.machine.record_since(5);
    assert!(matches!(
        record[0].what,
        What::Ack {
            is_late: true,
            has_payload: true,
            ..
        }
    ));
}

#[test]
fn a_response_url_is_worth_nothing_after_half_an_hour() {
    let mut stand = stand();
    let socket = stand.open();
    let (team, channel, ann) = (stand.team.clone(), stand.channel.clone(), stand.ann.clone());
    stand
        .machine
        .command(&team, &channel, &ann, "/count", "")
        .unwrap();
    let frames = stand.frames();
    let (_, envelope) = frames.iter().rfind(|(to, _)| *to == socket).unwrap();
    let url = envelope["payload"]["response_url"].as_str().unwrap();
    let path = url.strip_prefix("http://127.0.0.1:1").unwrap().to_owned();
    let body = json!({"text": "late"});
    stand.machine.at(1800 * SECOND);
    assert_eq!(stand.machine.hook(&path, Some(&body)), Ok(()));
    stand.machine.at(1800 * SECOND + 1);
    assert_eq!(stand.machine.hook(&path, Some(&body)), Err("expired_url"));
    assert_eq!(
        stand.machine.hook("/hooks/x", Some(&body)),
        Err("unknown_url")
    );
}

#[test]
fn a_bot_hears_nothing_where_it_is_no_member() {
    let mut stand = stand();
    let app = stand.app.clone();
    let bot = stand
        .machine
        .world
        .find_install(&app, &stand.team)
        .unwrap()
        .user
        .clone();
    let channel = stand.channel.clone();
    stand.machine.world.leave(&channel, &bot).unwrap();
    stand.open();
    stand.post("psst");
    assert_eq!(stand.names(), ["socket_opened", "posted"]);
}

#[test]
fn timestamps_are_unique_and_grow_even_while_time_stands_still() {
    let mut stand = stand();
    let all: Vec<Ts> = (0..100).map(|_| stand.machine.fresh_ts()).collect();
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
}
