//! A handler without its type: what the runtime holds of an author's actor.

use std::any::TypeId;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{FutureExt, LocalBoxFuture};
use serde_json::value::RawValue;

use super::handler::HandlerActor;
use super::route::{Invoke, Matcher, Routes, RunJob};
use super::subscription::{Feed, Interest};
use super::turn::Turn;
use super::{Error, Result};
use crate::flow::effect::Effect;
use crate::flow::envelope::Envelope;

/// A handler as it was registered: its name, its routes, its jobs, and how to make one.
#[derive(Clone)]
pub struct Registration {
    /// The handler's NAME.
    pub name: &'static str,
    /// The handler's type, to tell a double registration from a name used twice.
    pub type_id: TypeId,
    /// Its routes, in order.
    pub matchers: Vec<Matcher>,
    pub(crate) jobs: Vec<(&'static str, RunJob)>,
    pub(crate) taker: Taker,
}

/// Who takes what is routed to a registration.
#[derive(Clone)]
pub(crate) enum Taker {
    /// An actor for each key.
    Actors(Arc<dyn Fn() -> Box<dyn Activation> + Send + Sync>),
    /// A loop of the author's.
    Feed(Arc<Feed>),
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("name", &self.name)
            .field("routes", &self.matchers)
            .finish_non_exhaustive()
    }
}

impl Registration {
    /// Reads the routes of `H`.
    pub fn of<H: HandlerActor>() -> Self {
        let routes = Routes::<H>::of_handler();
        let (matchers, invokes): (Vec<_>, Vec<_>) = routes.routes.into_iter().unzip();
        let invokes: Arc<[Invoke<H>]> = invokes.into();
        Self {
            name: H::NAME,
            type_id: TypeId::of::<H>(),
            matchers,
            jobs: routes.jobs,
            taker: Taker::Actors(Arc::new(move || {
                Box::new(Typed::<H>::new(Arc::clone(&invokes)))
            })),
        }
    }

    /// A subscription's, which fills `feed`.
    pub(crate) fn of_interest(interest: Interest, feed: Arc<Feed>) -> Self {
        Self {
            name: interest.name,
            type_id: TypeId::of::<Interest>(),
            matchers: interest.matchers,
            jobs: Vec::new(),
            taker: Taker::Feed(feed),
        }
    }

    /// The loop of the author's that takes what is routed to it.
    pub(crate) fn feed(&self) -> Option<&Arc<Feed>> {
        match &self.taker {
            Taker::Actors(_) => None,
            Taker::Feed(feed) => Some(feed),
        }
    }
}

/// What a turn wants committed.
#[derive(Debug)]
pub struct Outcome {
    /// The new state; nothing when it is what it was.
    pub state: Option<Bytes>,
    /// The version of its shape.
    pub version: u32,
    /// What to do, in order.
    pub effects: Vec<Effect>,
    /// The answer to whoever waits.
    pub answer: Option<Box<RawValue>>,
}

/// One key's handler: holds its state between turns, and the last state that was given to the store.
pub trait Activation {
    /// Takes the stored state; nothing where the key is new.
    ///
    /// # Errors
    /// When it can't be read, also not by `migrate`.
    fn load(&mut self, stored: Option<(u32, Bytes)>) -> Result<()>;

    /// Starts a turn. The future may be dropped (a time-out) or may panic; either way [`Activation::load`]ed or
    /// last committed state is restored by the next call.
    fn begin(
        &mut self,
        route: usize,
        envelope: Arc<Envelope>,
        turn: Turn,
    ) -> LocalBoxFuture<'static, Result<Outcome>>;

    /// The outcome of the last turn was accepted: its state is what a failure goes back to.
    fn accept(&mut self, state: Bytes);

    /// The outcome of the last turn was refused: the next turn starts from the last accepted state.
    fn refuse(&mut self);
}

struct Typed<H> {
    /// Empty while a turn runs, and after one that failed.
    live: Rc<RefCell<Option<H>>>,
    committed: Bytes,
    invokes: Arc<[Invoke<H>]>,
}

impl<H: HandlerActor> Typed<H> {
    fn new(invokes: Arc<[Invoke<H>]>) -> Self {
        Self {
            live: Rc::default(),
            committed: Bytes::new(),
            invokes,
        }
    }

    fn restored(committed: &Bytes) -> Result<H> {
        if committed.is_empty() {
            return Ok(H::default());
        }
        Ok(serde_json::from_slice(committed)?)
    }
}

impl<H: HandlerActor> Activation for Typed<H> {
    fn load(&mut self, stored: Option<(u32, Bytes)>) -> Result<()> {
        let state = match stored {
            None => {
                self.committed = Bytes::new();
                H::default()
            }
            Some((version, bytes)) => {
                let state = if version == H::VERSION {
                    serde_json::from_slice(&bytes)?
                } else {
                    H::migrate(version, serde_json::from_slice(&bytes)?)?
                };
                // What a failed turn goes back to must be of today's shape.
                self.committed = serde_json::to_vec(&state)?.into();
                state
            }
        };
        self.live.replace(Some(state));
        Ok(())
    }

    fn begin(
        &mut self,
        route: usize,
        envelope: Arc<Envelope>,
        turn: Turn,
    ) -> LocalBoxFuture<'static, Result<Outcome>> {
        let Some(invoke) = self.invokes.get(route).copied() else {
            return async { Err(Error::from("the route is gone")) }.boxed_local();
        };
        let (cell, committed) = (Rc::clone(&self.live), self.committed.clone());
        async move {
            let live = cell.take();
            let state = match live {
                Some(state) => state,
                None => Self::restored(&committed)?,
            };
            let invoked = invoke(state, envelope, turn).await;
            // After an error the state may be half changed: it is dropped here, and restored next time.
            let answer = invoked.result?;
            let bytes = serde_json::to_vec(&invoked.state)?;
            cell.replace(Some(invoked.state));
            Ok(Outcome {
                state: (bytes != committed).then(|| bytes.into()),
                version: H::VERSION,
                effects: invoked.turn.into_effects(),
                answer,
            })
        }
        .boxed_local()
    }

    fn accept(&mut self, state: Bytes) {
        self.committed = state;
    }

    fn refuse(&mut self) {
        self.live.replace(None);
    }
}
