//! What is asked of a connection by its author: frames to Slack, URLs, new sockets.

use std::sync::mpsc::SyncSender;

use tokio::sync::mpsc::error::TrySendError;

use super::{ConnectionShell, Ctx};
use crate::actor::Message;
use crate::base::clock::Instant;
use crate::base::limits::{REPLIES_MAX, SEND_WITHIN};
use crate::base::secret::Secret;
use crate::ingress::connection::machine::{Generation, Input};
use crate::ingress::sending::{Sending, Sent, answer};
use crate::ingress::{NotSent, Standing, ToSlack, Transport, ticket};

/// What a supervisor tells a connection.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum Order {
    /// Close every socket, for good: the actor ends.
    End,
    /// Close every socket, and wait to be revived.
    Stop,
    /// Connect again, whatever stopped it, and do not wait for the backoff.
    Revive,
    /// Whether sockets that are lost are replaced.
    Reconnecting(bool),
    /// New sockets, make before break; where one serves already, only if it is forced.
    Renew {
        /// Whether it is.
        is_forced: bool,
    },
    /// Ask for a URL, and tell it.
    Issue(SyncSender<Result<Secret, String>>),
    /// Send a frame, and tell what came of it.
    Send(
        ToSlack,
        SyncSender<Result<Option<serde_json::Value>, NotSent>>,
    ),
}

/// Somebody who waits for Slack's answer to a frame.
pub(super) struct Waiting {
    generation: Generation,
    until: Instant,
    told: SyncSender<Sent>,
}

impl ConnectionShell {
    pub(super) fn send(&mut self, frame: ToSlack, told: &SyncSender<Sent>) {
        if let Err(why) = self.try_send(frame, told) {
            // Whoever asked may have stopped waiting.
            told.try_send(Err(why)).ok();
        }
    }

    fn try_send(&mut self, frame: ToSlack, told: &SyncSender<Sent>) -> Result<(), NotSent> {
        let is_rtm = matches!(self.parts.line.transport, Transport::Rtm { .. });
        if !is_rtm && !matches!(frame, ToSlack::Raw(_)) {
            return Err(NotSent::NotRtm);
        }
        let generation = self.machine.serving().ok_or(NotSent::NotConnected)?;
        let socket = self.sockets.get(&generation);
        let sends = socket.map(|socket| socket.sends.clone());
        let sends = sends.ok_or(NotSent::NotConnected)?;
        let now = self.parts.clock.now();
        self.waiting.retain(|_, waiting| waiting.until > now);
        let is_answered = frame.is_answered();
        if is_answered && self.waiting.len() >= REPLIES_MAX {
            return Err(NotSent::Busy);
        }
        self.sent += 1;
        let sending = Sending {
            text: frame.into_text(self.sent),
            told: told.clone(),
            is_answered,
        };
        sends.try_send(sending).map_err(|error| match error {
            TrySendError::Full(_) => NotSent::Busy,
            TrySendError::Closed(_) => NotSent::NotConnected,
        })?;
        if is_answered {
            let waiting = Waiting {
                generation,
                until: now + SEND_WITHIN,
                told: told.clone(),
            };
            self.waiting.insert(self.sent, waiting);
        }
        Ok(())
    }

    /// Slack's answer to a frame of ours, if it is one.
    pub(super) fn answered(&mut self, frame: &[u8]) {
        if let Some((id, sent)) = answer(frame)
            && let Some(waiting) = self.waiting.remove(&id)
        {
            waiting.told.try_send(sent).ok();
        }
    }

    /// A socket is gone, and what was to be answered on it won't be.
    pub(super) fn unanswered(&mut self, generation: Generation) {
        self.waiting.retain(|_, waiting| {
            let is_lost = waiting.generation == generation;
            if is_lost {
                waiting.told.try_send(Err(NotSent::Lost)).ok();
            }
            !is_lost
        });
    }

    /// Asks for a URL that nobody here opens.
    pub(super) fn issue(&self, told: SyncSender<Result<Secret, String>>, context: &mut Ctx) {
        let (web, line) = (self.web.clone(), self.parts.line.clone());
        let (installs, gate, mut known) = (
            self.parts.installs.clone(),
            self.gate.clone(),
            self.known.clone(),
        );
        let asked = async move {
            let _permit = gate.enter().await;
            let ticket = ticket::ask(&web, &line, &installs, &mut known).await;
            let url = ticket.map(|ticket| ticket.url);
            told.try_send(url.map_err(|refused| refused.error)).ok();
        };
        self.run(asked, context);
    }

    pub(super) fn obey(&mut self, order: Order, context: &mut Ctx) {
        match order {
            Order::End => {
                self.is_ending = true;
                if !self.known.is_all() {
                    // Nobody is going to ask any more.
                    self.parts.installs.asked(&self.parts.line.app);
                }
                self.step(Input::Halt("it ends".to_owned()), context);
            }
            Order::Stop => {
                self.stand(Standing::Stopped("an operator stopped it".to_owned()));
                self.step(Input::Halt("an operator stopped it".to_owned()), context);
            }
            Order::Revive if !self.is_ending => {
                if self.standing != Standing::Up {
                    self.stand(Standing::Down("connecting".to_owned()));
                }
                // A token that was refused may have been mended at Slack's.
                self.known.forget();
                self.step(Input::Start, context);
            }
            Order::Reconnecting(is_on) => self.machine.set_reconnecting(is_on),
            Order::Renew { is_forced }
                if !self.is_ending && (is_forced || self.machine.serving().is_none()) =>
            {
                self.step(Input::Renew, context);
            }
            Order::Revive | Order::Renew { .. } => {}
            Order::Issue(told) => self.issue(told, context),
            Order::Send(frame, told) => self.send(frame, &told),
        }
    }
}
