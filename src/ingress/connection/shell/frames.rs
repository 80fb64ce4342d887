//! From frames to envelopes, and from envelopes to the shards that take them.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc::error::TrySendError;

use super::super::machine::{Generation, Greeted, Input, Rtm, Said, SocketMode};
use super::{ConnectionShell, Ctx};
use crate::flow::ack::Ack;
use crate::flow::envelope::{Arrival, Envelope, Kind, Origin, Unreadable};
use crate::flow::key::home_shard;
use crate::ingress::{Heard, Transport, rtm, socket_mode};
use crate::slack::id::{EnvelopeId, TeamId};

/// What is read of an envelope: itself, what its ack must name, and whether it was delivered before.
type Read = Result<(Envelope, Option<EnvelopeId>, bool), Unreadable>;

impl ConnectionShell {
    pub(super) fn frames(
        &mut self,
        generation: Generation,
        frames: Vec<Bytes>,
        shed: u64,
        context: &mut Ctx,
    ) {
        let mut arrivals: Vec<Vec<Arrival>> =
            self.parts.shards.iter().map(|_| Vec::new()).collect();
        let mut brought = 0;
        for frame in frames {
            // The socket closes for what is not UTF-8, so this only gives the bytes their type back.
            let Ok(text) = std::str::from_utf8(&frame) else {
                self.odd(generation);
                tracing::warn!(connection = %self.parts.line.name, "a frame that is not UTF-8; it is left alone");
                continue;
            };
            self.parts.listeners.tell(&Heard::Message {
                connection: &self.parts.line.name,
                generation,
                text,
            });
            brought += u64::from(match self.parts.line.transport {
                Transport::SocketMode { .. } => {
                    let read = socket_mode::read(&frame, text);
                    self.socket_mode_frame(generation, read, &mut arrivals, context)
                }
                Transport::Rtm { .. } => self.rtm_frame(generation, frame, &mut arrivals, context),
            });
        }
        for (shard, arrivals) in self.parts.shards.iter().zip(arrivals) {
            shard.put(arrivals);
        }
        if shed > 0 {
            self.count_shed(shed);
        }
        if brought > 0 {
            if let Some(socket) = self.sockets.get(&generation) {
                socket.counters.brought(brought);
            }
            self.step(Input::Heard(generation, brought), context);
        }
    }

    fn odd(&self, generation: Generation) {
        if let Some(socket) = self.sockets.get(&generation) {
            socket.counters.odd();
        }
    }

    fn says(&mut self, generation: Generation, said: Said, context: &mut Ctx) {
        self.step(Input::Said(generation, said), context);
    }

    /// Whether it was an envelope.
    fn socket_mode_frame(
        &mut self,
        generation: Generation,
        read: socket_mode::Read<'_>,
        arrivals: &mut [Vec<Arrival>],
        context: &mut Ctx,
    ) -> bool {
        use socket_mode::Read;
        let connection = self.parts.line.name.as_str();
        let said = match read {
            Read::Hello(hello) => {
                tracing::debug!(generation, connections = hello.num_connections, "hello");
                SocketMode::Hello(Greeted {
                    connections: hello.num_connections,
                    life_s: hello.debug_info.approximate_connection_time,
                })
            }
            Read::Disconnect(reason) => {
                tracing::info!(connection, generation, %reason, "asked to reconnect");
                SocketMode::disconnect(&reason)
            }
            Read::Envelope {
                envelope_id,
                kind,
                payload,
                callback,
                is_retry,
            } => {
                let origin = Origin {
                    app: &self.parts.line.app,
                    envelope_id: envelope_id.as_str(),
                    team: TeamId::default(),
                };
                let received_ms = self.parts.clock.unix_ms();
                let read = if kind == Kind::Event {
                    Ok(Envelope::of_callback(
                        &origin,
                        payload,
                        callback,
                        received_ms,
                    ))
                } else {
                    Envelope::read(kind, &origin, payload, received_ms)
                };
                let read = read.map(|envelope| (envelope, Some(envelope_id), is_retry));
                self.admit(generation, read, arrivals);
                return true;
            }
            Read::Unknown(kind) => {
                tracing::warn!(connection, %kind, "a kind of frame that is not known here; it is left alone");
                self.odd(generation);
                SocketMode::Nothing
            }
            Read::Unreadable(error) => {
                tracing::warn!(connection, %error, "a frame that can't be read; it is left alone");
                self.odd(generation);
                SocketMode::Nothing
            }
        };
        self.says(generation, Said::SocketMode(said), context);
        false
    }

    /// Whether it was an event.
    fn rtm_frame(
        &mut self,
        generation: Generation,
        frame: Bytes,
        arrivals: &mut [Vec<Arrival>],
        context: &mut Ctx,
    ) -> bool {
        use rtm::Read;
        let connection = self.parts.line.name.as_str();
        let said = match rtm::read(&frame) {
            Read::Hello => Rtm::Hello,
            Read::Goodbye => {
                tracing::info!(connection, generation, "told goodbye");
                Rtm::Goodbye
            }
            Read::Migration => {
                tracing::info!(
                    connection,
                    generation,
                    "the workspace moves to another server"
                );
                Rtm::TeamMigrationStarted
            }
            Read::Event => {
                self.rtm_event(generation, frame, false, arrivals);
                return true;
            }
            Read::ReconnectUrl(rtm::Url(url)) => {
                self.keep_url(generation, url);
                Rtm::Nothing
            }
            Read::Own => {
                self.answered(&frame);
                Rtm::Nothing
            }
            Read::Error(error) => {
                tracing::warn!(connection, %error, "an error over RTM");
                Rtm::Error(error.chars().take(200).collect())
            }
            Read::Unreadable(error) => {
                tracing::warn!(connection, %error, "a frame that can't be read; it is left alone");
                self.odd(generation);
                Rtm::Nothing
            }
        };
        self.says(generation, Said::Rtm(said), context);
        false
    }

    fn rtm_event(
        &mut self,
        generation: Generation,
        frame: Bytes,
        is_retry: bool,
        arrivals: &mut [Vec<Arrival>],
    ) {
        let team = self.sockets.get(&generation);
        let team = team.map(|socket| socket.team.clone());
        let origin = Origin {
            app: &self.parts.line.app,
            envelope_id: "",
            team: team.unwrap_or_default(),
        };
        let read = Envelope::read(Kind::RtmEvent, &origin, frame, self.parts.clock.unix_ms());
        if let Ok(envelope) = &read
            && envelope.subject.name == "message"
        {
            let subject = &envelope.subject;
            self.newest.saw(&subject.channel, &subject.ts);
        }
        let read = read.map(|envelope| (envelope, None, is_retry));
        self.admit(generation, read, arrivals);
    }

    /// Takes what a back-fill brought, as if the socket had.
    pub(super) fn take_missed(&mut self, generation: Generation, frames: Vec<Bytes>) {
        let mut arrivals: Vec<Vec<Arrival>> =
            self.parts.shards.iter().map(|_| Vec::new()).collect();
        self.backfilled += frames.len() as u64;
        for frame in frames {
            self.rtm_event(generation, frame, true, &mut arrivals);
        }
        for (shard, arrivals) in self.parts.shards.iter().zip(arrivals) {
            shard.put(arrivals);
        }
    }

    /// Finds room for an envelope, or sheds it: it is then not acked, and Slack delivers it again. (RTM has no
    /// acks: there shedding is loss, and counted as such.)
    fn admit(&mut self, generation: Generation, read: Read, arrivals: &mut [Vec<Arrival>]) {
        let (mut envelope, envelope_id, is_retry) = match read {
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(connection = %self.parts.line.name, %error, "an envelope that can't be read is not acked");
                return self.odd(generation);
            }
        };
        if envelope.id.is_empty() {
            // Nothing tells a second copy of it from the first, but what it causes needs a name of its own.
            envelope.name_anonymous(self.rng.next_u64());
        }
        self.parts.listeners.tell(&Heard::Request {
            connection: &self.parts.line.name,
            envelope: &envelope,
        });
        let shard = home_shard(&envelope.app, &envelope.team, self.parts.shards.len());
        let (Some(entrance), Some(arrivals)) =
            (self.parts.shards.get(shard), arrivals.get_mut(shard))
        else {
            return;
        };
        let ack = match envelope_id {
            None => None,
            Some(envelope_id) => {
                let Some(socket) = self.sockets.get(&generation) else {
                    return;
                };
                match socket.acks.clone().try_reserve_owned() {
                    Ok(place) => Some(Ack { place, envelope_id }),
                    Err(TrySendError::Full(_)) => return self.count_shed(1),
                    // The socket went after its last frames: nobody can ack them, and Slack delivers again.
                    Err(TrySendError::Closed(_)) => return,
                }
            }
        };
        let Some(permit) = entrance.try_enter() else {
            return self.count_shed(1);
        };
        arrivals.push(Arrival {
            envelope: Arc::new(envelope),
            ack,
            permit: Some(permit),
            is_retry,
        });
    }

    fn count_shed(&mut self, count: u64) {
        let before = self.shed;
        self.shed += count;
        // The first, then each power of two: a flood must not flood the log as well.
        if before == 0 || before.ilog2() != self.shed.ilog2() {
            tracing::warn!(connection = %self.parts.line.name, shed = self.shed, "full: envelopes are left un-acked for Slack to deliver again");
        }
    }
}
