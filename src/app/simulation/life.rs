//! One life of the process: its real actors on one thread under a paused clock, and the tasks that stand for the
//! threads and sockets that it would have.

use std::sync::Arc;
use std::time::Duration;

use actix::Actor;
use actix_rt::System;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::outside::{Outside, Owed, Sabotage, World};
use crate::actor::port::WayBack;
use crate::app::running::hand_out;
use crate::base::clock::Clock;
use crate::base::limits::{DRAIN_WITHIN, SOCKET_OPEN_MAX};
use crate::base::secret::Secret;
use crate::dispatch::directory::Directory;
use crate::dispatch::inbox::{self, InboxShell};
use crate::dispatch::router::Router;
use crate::egress::{self, OutboxShell};
use crate::flow::ack::{Ack, Released};
use crate::flow::envelope::{Arrival, Envelope, Kind, Origin};
use crate::flow::identity::{Install, Installs};
use crate::flow::key::{AppName, Key, home_shard};
use crate::ingress::socket_mode::{self, Read};
use crate::sim::SocketId;
use crate::sim::inside::Machine;
use crate::slack::id::AppId;
use crate::store::simulated::{self, Memory, Opened, Pending};
use crate::store::{Queue, Reader, Space};
use crate::web::Api;

/// How a life ends, unless it ends earlier.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ending {
    /// After so many steps.
    Steps(u64),
    /// By an orderly stop, after this time.
    Stop(Duration),
    /// When nothing more is to be done.
    Rest,
}

/// How long the last life may take until nothing is left to do; Slack's longest ladder and a bit.
const REST_WITHIN: Duration = Duration::from_hours(3);

/// How often it is looked whether anything is left to do.
const LOOK_EVERY: Duration = Duration::from_millis(250);

#[derive(Clone)]
struct Stage {
    outside: Outside,
    clock: Clock,
    router: Arc<Router>,
    installs: Installs,
    directory: Directory,
    space: Space,
    queue: Arc<Queue>,
    memory: Memory,
    shards: Vec<WayBack<InboxShell>>,
    entrances: Vec<inbox::Entrance>,
    outbox: WayBack<OutboxShell>,
    outbox_entrance: egress::Entrance,
}

/// Lives once; whether the process came to its end in order.
pub(super) fn live(outside: &Outside, router: &Arc<Router>, ending: Ending) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    System::with_tokio_rt(|| runtime).block_on(async {
        let (steps, acts, burst) = outside.with(|world| match ending {
            Ending::Steps(steps) => (Some(steps), world.plan.acts, world.plan.burst),
            Ending::Stop(_) | Ending::Rest => (None, world.plan.acts, world.plan.burst),
        });
        let clock = outside.with(|world| world.begin(steps));
        let died = outside.with(|world| Arc::clone(&world.died));
        let stage = begin(outside, router, clock);
        actix_rt::spawn(stage.clone().people(acts, burst));
        let in_order = tokio::select! {
            biased;
            () = died.notified() => false,
            in_order = stage.last(ending) => in_order,
        };
        let pause = outside.with(|world| {
            let most = if world.rng.below(6) == 0 {
                Duration::from_secs(400)
            } else {
                Duration::from_secs(2)
            };
            world.rng.up_to(most)
        });
        outside.with(|world| world.end(pause));
        in_order
    })
}

/// Opens the store, casts the actors, hands out what was recovered, opens the sockets.
fn begin(outside: &Outside, router: &Arc<Router>, clock: Clock) -> Stage {
    let (opened, apps) = outside.with(|world| {
        let now_ms = world.now_ms();
        let mut opened = world.disk.open(now_ms);
        let (rows, effects) = (&mut opened.recovered.rows, opened.recovered.effects.len());
        world.tell(|| format!("recovers {} rows and {effects} effects", rows.len()));
        if world.sabotage == Some(Sabotage::Rows) {
            rows.reverse();
        }
        if world.sabotage == Some(Sabotage::Effects) {
            opened.recovered.effects.clear();
        }
        (opened, world.apps.clone())
    });
    let Opened {
        queue,
        reader,
        asks,
        memory,
        recovered,
    } = opened;
    let stage = cast(outside, router, clock, (&queue, &reader, memory), &apps);
    hand_out(recovered, &stage.shards);
    actix_rt::spawn(stage.clone().writer());
    actix_rt::spawn(stage.clone().reader(asks));
    actix_rt::spawn(stage.clone().folder());
    actix_rt::spawn(stage.clone().slack());
    actix_rt::spawn(stage.clone().operator());
    for (app, name) in apps {
        actix_rt::spawn(stage.clone().connection(app, name));
    }
    stage
}

fn cast(
    outside: &Outside,
    router: &Arc<Router>,
    clock: Clock,
    (queue, reader, memory): (&Arc<Queue>, &Reader, Memory),
    apps: &[(AppId, AppName)],
) -> Stage {
    let (installs, directory) = (Installs::default(), Directory::default());
    let api = Api::Wire(Arc::new(outside.clone()));
    for (_, name) in apps {
        installs.expect(name);
    }
    let parts = egress::Parts {
        api: api.clone(),
        installs: installs.clone(),
        queue: Arc::clone(queue),
        reader: reader.clone(),
        clock,
    };
    let outbox = WayBack::new(OutboxShell::create(|context| {
        OutboxShell::new(parts, context)
    }));
    let outbox_entrance = egress::Entrance::new(outbox.clone());
    let space = Space::default();
    let shard = |_| {
        let parts = inbox::Parts {
            router: Arc::clone(router),
            installs: installs.clone(),
            directory: directory.clone(),
            queue: Arc::clone(queue),
            reader: reader.clone(),
            space: space.clone(),
            outbox: outbox_entrance.clone(),
            api: api.clone(),
            clock,
        };
        WayBack::new(InboxShell::create(|context| {
            InboxShell::new(parts, context)
        }))
    };
    let count = outside.with(|world| world.plan.shards);
    let shards: Vec<_> = (0..count).map(shard).collect();
    Stage {
        outside: outside.clone(),
        clock,
        router: Arc::clone(router),
        queue: Arc::clone(queue),
        memory,
        entrances: shards.iter().cloned().map(inbox::Entrance::new).collect(),
        installs,
        directory,
        space,
        shards,
        outbox,
        outbox_entrance,
    }
}

/// Writes a batch; whether the process lives to tell of it.
fn write(world: &mut World, batch: &Pending) -> bool {
    if !world.goes_on("before a batch is written") {
        return false;
    }
    let bad = world.plan.bad_batches;
    if world.happens(bad) {
        world.die("the disk can't be written");
        return false;
    }
    if world.sabotage != Some(Sabotage::Batches) || !world.happens(100) {
        let now_ms = world.now_ms();
        world.disk.append(batch, now_ms);
        world.check_batch(batch);
    }
    world.tell(|| format!("durable: {}", batch.told().join(", ")));
    world.goes_on("after a batch is written")
}

impl Stage {
    /// The writer's thread.
    async fn writer(self) {
        loop {
            let mut batch = simulated::next_batch(&self.queue).await;
            let (most, sabotage) = self.outside.with(|world| (world.plan.disk, world.sabotage));
            if sabotage == Some(Sabotage::Marks) {
                batch.lose_marks();
            }
            if sabotage == Some(Sabotage::Haste) {
                simulated::tell(&self.queue, &batch);
            }
            self.outside.wait(most).await;
            if !self.outside.with(|world| write(world, &batch)) {
                return;
            }
            simulated::tell(&self.queue, &batch);
        }
    }

    /// The reader's thread.
    async fn reader(self, mut asks: mpsc::Receiver<simulated::Asked>) {
        while let Some(ask) = asks.recv().await {
            let (most, sabotage) = self.outside.with(|world| (world.plan.read, world.sabotage));
            self.outside.wait(most).await;
            let ask = match sabotage {
                Some(Sabotage::States) => simulated::forget_state(ask),
                _ => Some(ask),
            };
            self.outside.with(|world| {
                let bad = world.plan.bad_reads;
                let is_broken = world.happens(bad);
                if let Some(ask) = ask {
                    world.disk.answer(ask, &self.memory, is_broken);
                }
            });
        }
    }

    /// The folder's thread.
    async fn folder(self) {
        loop {
            let (pause, count) = self.outside.with(|world| {
                let most = world.plan.fold;
                (world.rng.up_to(most), world.rng.below(40))
            });
            sleep(pause.max(Duration::from_millis(1))).await;
            let folded = self.outside.with(|world| {
                let now_ms = world.now_ms();
                let is_alive = world.goes_on("before a fold");
                self.space.set_short(world.look_at_space());
                let count = usize::try_from(count).unwrap();
                is_alive.then(|| world.disk.fold(count, now_ms)).flatten()
            });
            if let Some(watermark) = folded {
                self.outside.wait(Duration::from_millis(2)).await;
                self.memory.forget(watermark);
            }
        }
    }

    /// Somebody heals what ails, and retries what was given up meanwhile.
    async fn operator(self) {
        loop {
            sleep(Duration::from_secs(1)).await;
            self.outside.wait(Duration::from_secs(20)).await;
            let Some(letter) = self.outside.with(World::heal) else {
                continue;
            };
            let (app, team) = letter.home();
            let shard = &self.shards[home_shard(&app, &team, self.shards.len())];
            let (answer, answered) = tokio::sync::oneshot::channel();
            let exhumed = vec![letter.retried().unwrap()];
            shard.send(inbox::Exhume { exhumed, answer });
            // Refused or done: the next look tells. It is not asked for twice at a time.
            drop(answered.await);
        }
    }

    /// Slack's own clock: deadlines and the ladder.
    async fn slack(self) {
        let changed = self.outside.with(|world| Arc::clone(&world.slack_changed));
        loop {
            let wait = self.outside.with(|world| {
                world.slack(Machine::tick);
                let due = world.slack.next_due_us();
                due.map(|due| due.saturating_sub(world.now_us()))
            });
            // Our own change of a moment ago is no news.
            changed.notified().await;
            match wait {
                Some(wait) => {
                    let wait = Duration::from_micros(wait).max(Duration::from_millis(1));
                    drop(timeout(wait, changed.notified()).await);
                }
                None => changed.notified().await,
            }
        }
    }

    /// The connection of an app: who we are, then its sockets.
    async fn connection(self, app: AppId, name: AppName) {
        let net = self.outside.with(|world| world.plan.net);
        self.outside.wait(net).await;
        let (installs, sockets) = self.outside.with(|world| {
            let found = world.places.iter().map(|place| {
                let install = world.slack.world.find_install(&app, &place.team).unwrap();
                (place.team.clone(), install.clone())
            });
            (found.collect::<Vec<_>>(), world.plan.sockets)
        });
        for (team, install) in installs {
            let install = Install {
                token: Secret::new(install.token),
                user: install.user,
                bot: install.bot,
                team_name: String::new(),
            };
            self.installs.put(&name, &team, install);
        }
        self.installs.asked(&name);
        for _ in 0..sockets {
            actix_rt::spawn(self.clone().sockets(app.clone(), name.clone()));
        }
    }

    /// One socket after the other.
    async fn sockets(self, app: AppId, name: AppName) {
        loop {
            let net = self.outside.with(|world| world.plan.net);
            self.outside.wait(net).await;
            let (socket, mut frames) = self.outside.with(|world| world.open(&app));
            let (acks, released) = mpsc::channel(SOCKET_OPEN_MAX);
            actix_rt::spawn(self.clone().acks(socket, released));
            while let Some(first) = frames.recv().await {
                self.outside.wait(net).await;
                let mut batch = vec![first];
                while let Ok(next) = frames.try_recv() {
                    batch.push(next);
                }
                let is_lost = self.outside.with(|world| {
                    let bad = world.plan.bad_frames;
                    world.happens(bad)
                });
                if is_lost {
                    self.outside.with(|world| world.lose(socket));
                }
                // What a lost socket still brought is handed over all the same.
                self.arrive(&name, batch, &acks);
            }
            self.outside.wait(Duration::from_secs(1)).await;
        }
    }

    /// What comes back on a socket.
    async fn acks(self, socket: SocketId, mut released: mpsc::Receiver<Released>) {
        while let Some(first) = released.recv().await {
            let mut batch = vec![first];
            while let Ok(next) = released.try_recv() {
                batch.push(next);
            }
            let mut checked = batch.iter();
            if !checked.all(|released| self.outside.with(|world| world.check_ack(released))) {
                return;
            }
            let net = self.outside.with(|world| world.plan.net);
            self.outside.wait(net).await;
            for released in batch {
                self.outside.with(|world| world.acked(socket, &released));
            }
        }
    }

    fn arrive(&self, app: &AppName, frames: Vec<Arc<str>>, acks: &mpsc::Sender<Released>) {
        let mut arrivals: Vec<Vec<Arrival>> = self.entrances.iter().map(|_| Vec::new()).collect();
        for frame in frames {
            let bytes = Bytes::copy_from_slice(frame.as_bytes());
            let read = socket_mode::read(&bytes, std::str::from_utf8(&bytes).unwrap());
            let Read::Envelope {
                envelope_id,
                kind,
                payload,
                callback,
                is_retry,
            } = read
            else {
                continue;
            };
            let origin = Origin {
                app,
                envelope_id: envelope_id.as_str(),
                team: crate::slack::id::TeamId::default(),
            };
            let now_ms = self.clock.unix_ms();
            let envelope = match kind {
                Kind::Event => Envelope::of_callback(&origin, payload, callback, now_ms),
                _ => Envelope::read(kind, &origin, payload, now_ms).unwrap(),
            };
            let owed = Owed {
                envelope: envelope.clone(),
                handlers: self.handlers_of(&envelope),
            };
            let is_alive = self.outside.with(|world| {
                world.arrive(envelope_id.as_str(), owed, is_retry);
                world.goes_on("when an envelope arrives")
            });
            let place = acks.clone().try_reserve_owned();
            let shard = home_shard(app, &envelope.team, self.entrances.len());
            let permit = self.entrances[shard].try_enter();
            if let (true, Ok(place), Some(permit)) = (is_alive, place, permit) {
                arrivals[shard].push(Arrival {
                    envelope: Arc::new(envelope),
                    ack: Some(Ack { place, envelope_id }),
                    permit: Some(permit),
                    is_retry,
                });
            }
        }
        for (entrance, arrivals) in self.entrances.iter().zip(arrivals) {
            entrance.put(arrivals);
        }
    }

    /// The handlers that must have an envelope, by the routes.
    fn handlers_of(&self, envelope: &Envelope) -> Vec<String> {
        let subject = &envelope.subject;
        let is_own = envelope.kind == Kind::Event
            && self.installs.is_own(
                &envelope.app,
                &envelope.team,
                subject.user.as_str(),
                &subject.bot,
            );
        if is_own {
            return Vec::new();
        }
        let targets = self.router.targets(envelope);
        targets
            .iter()
            .map(|target| target.key.handler().to_owned())
            .collect()
    }

    /// People act.
    async fn people(self, acts: u64, burst: u64) {
        let pause = self.outside.with(|world| world.plan.pause);
        // Before this nobody would hear them.
        sleep(Duration::from_millis(
            self.outside.with(|world| world.rng.below(300)),
        ))
        .await;
        let burst_at = self.outside.with(|world| world.rng.below(acts));
        for n in 0..acts {
            self.outside.wait(pause).await;
            let is_burst = n == burst_at && self.outside.with(|world| world.happens(300));
            let count = if is_burst { 1 + burst } else { 1 };
            for _ in 0..count {
                self.outside.with(World::act);
            }
        }
    }

    /// Waits for the ending that was planned.
    async fn last(&self, ending: Ending) -> bool {
        match ending {
            Ending::Steps(_) => {
                sleep(Duration::from_mins(2)).await;
                self.outside.with(|world| world.die("late"));
                false
            }
            Ending::Stop(after) => {
                sleep(after).await;
                self.stop().await
            }
            Ending::Rest => self.rest().await,
        }
    }

    /// The orderly stop of `drain`: nothing more is admitted, and what was taken in comes to its end in time.
    async fn stop(&self) -> bool {
        self.outside.with(World::stop);
        for shard in &self.shards {
            shard.send(inbox::Stop);
        }
        let until = self.clock.now() + DRAIN_WITHIN;
        while self.unsettled().await > 0 {
            if self.clock.now() >= until {
                return false;
            }
            sleep(Duration::from_millis(10)).await;
        }
        let left = self.outside.with(|world| {
            let now_ms = world.now_ms();
            world.disk.unfinished(now_ms)
        });
        if left != (0, 0) {
            let text = format!("P10: drained, and {left:?} rows and effects are left");
            self.outside.with(|world| world.violate(text));
        }
        true
    }

    async fn rest(&self) -> bool {
        let until = self.clock.now() + REST_WITHIN;
        sleep(Duration::from_secs(10)).await;
        loop {
            let unsettled = self.unsettled().await;
            let due = self.outside.with(|world| world.slack.next_due_us());
            let is_healed = self.outside.with(|world| world.ailing().is_none());
            if unsettled == 0 && due.is_none() && is_healed {
                break;
            }
            if self.clock.now() >= until {
                let text = format!("stuck: {unsettled} unsettled, Slack waits until {due:?}");
                self.outside.with(|world| world.violate(text));
                return false;
            }
            sleep(LOOK_EVERY).await;
        }
        self.check_rest();
        self.outside.with(|world| world.die("at rest"));
        true
    }

    async fn unsettled(&self) -> usize {
        let mut sum = self.queue.len();
        for shard in &self.shards {
            let (answer, answered) = tokio::sync::oneshot::channel();
            shard.send(inbox::Count(answer));
            sum += answered.await.unwrap().unsettled;
        }
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.outbox.send(egress::Count(answer));
        sum + answered.await.unwrap()
    }

    /// At rest every permit is back, and nothing is left in the tables.
    fn check_rest(&self) {
        let mut found = Vec::new();
        for (n, entrance) in self.entrances.iter().enumerate() {
            if entrance.inside() > 0 {
                found.push(format!("shard {n} holds {} permits", entrance.inside()));
            }
        }
        if self.outbox_entrance.inside() > 0 {
            found.push(format!(
                "the outbox holds {} permits",
                self.outbox_entrance.inside()
            ));
        }
        self.outside.with(|world| {
            for line in world.disk.lines() {
                let key = Key::from_stored(&line.key);
                let inside = self.directory.get(&key).map_or(0, |port| port.inside());
                if inside > 0 {
                    found.push(format!("{key} holds {inside} permits"));
                }
            }
            let now_ms = world.now_ms();
            let left = world.disk.unfinished(now_ms);
            if left != (0, 0) {
                found.push(format!("{left:?} rows and effects are left in the store"));
            }
            for text in found {
                world.violate(format!("at rest: {text}"));
            }
        });
    }
}
