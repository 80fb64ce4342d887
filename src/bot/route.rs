//! Routes: which envelopes reach a handler, and by which key. Built once, checked at start-up.
//!
//! Within a handler the first route that matches is taken; every handler that has a match gets the event. The app's
//! own posts are taken out before any route is asked.

use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{FutureExt, LocalBoxFuture};
use serde_json::value::RawValue;

use super::answer::Answer;
use super::handler::{HandlerActor, On};
use super::incoming::{Event, Incoming};
use super::job::{Done, Job};
use super::memo::{Memo, Received};
use super::turn::Turn;
use super::{Error, Result};
use crate::base::limits::TURN_WITHIN;
use crate::flow::envelope::{Envelope, Kind, Subject};
use crate::flow::key::Scope;
use crate::slack::event::Command;

/// What runs when a route is taken: moves the state through the author's `on`.
pub(crate) type Invoke<H> = fn(H, Arc<Envelope>, Turn) -> LocalBoxFuture<'static, Invoked<H>>;

/// A turn's end.
#[derive(Debug)]
pub struct Invoked<H> {
    pub(crate) state: H,
    pub(crate) turn: Turn,
    pub(crate) result: Result<Option<Box<RawValue>>>,
}

/// Runs a job from its stored input to its stored output.
pub(crate) type RunJob =
    fn(Box<RawValue>) -> LocalBoxFuture<'static, std::result::Result<Box<RawValue>, Error>>;

type IsOne = Arc<dyn Fn(Kind, &Subject) -> bool + Send + Sync>;

type Test = dyn Fn(&Subject) -> bool + Send + Sync;

/// When a route is taken.
#[derive(Clone)]
pub struct Matcher {
    is_one: IsOne,
    tests: Vec<Arc<Test>>,
    pub(crate) scope: Scope,
    /// For messages to people: what the route is for.
    pub(crate) label: String,
    /// The slash command it is bound to, with its slash.
    pub(crate) command: Option<String>,
    /// Whether it answers something that Slack waits for.
    pub(crate) is_answering: bool,
    /// How its turns run.
    pub(crate) policy: Policy,
}

/// How a route's turns run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How long a turn may take.
    pub within: Duration,
    /// A failing delivery lets later ones of its key pass while it waits for its retry.
    pub is_aside: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            within: TURN_WITHIN,
            is_aside: false,
        }
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {:?}", self.label, self.scope)
    }
}

impl Matcher {
    fn new<E: Incoming>(label: String) -> Self {
        Self {
            is_one: Arc::new(E::is_one),
            tests: Vec::new(),
            scope: Scope::User,
            label,
            command: None,
            is_answering: false,
            policy: Policy::default(),
        }
    }

    /// A route to a subscription. Its items belong to their workspace: that is how they are bounded and ordered.
    pub(crate) fn of_interest(label: String, command: Option<String>, is_one: IsOne) -> Self {
        Self {
            is_one,
            tests: Vec::new(),
            scope: Scope::Team,
            label,
            is_answering: command.is_some(),
            command,
            policy: Policy::default(),
        }
    }

    /// What the route is for, in a few words.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Whether the route is taken. Pure: the same envelope always gets the same answer.
    pub fn is_taken_by(&self, kind: Kind, subject: &Subject) -> bool {
        (self.is_one)(kind, subject) && self.tests.iter().all(|test| test(subject))
    }
}

/// The routes of one handler, in the order of their writing: the first that matches is taken.
pub struct Routes<H> {
    pub(crate) routes: Vec<(Matcher, Invoke<H>)>,
    pub(crate) jobs: Vec<(&'static str, RunJob)>,
}

impl<H> fmt::Debug for Routes<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.routes.iter().map(|(matcher, _)| matcher))
            .finish()
    }
}

impl<H: HandlerActor> Routes<H> {
    pub(crate) fn of_handler() -> Self {
        let mut routes = Self {
            routes: Vec::new(),
            jobs: Vec::new(),
        };
        H::routes(&mut routes);
        routes
    }

    /// A route for every `E`; narrow it by what is chained to it. Commands have [`Routes::command`], other events
    /// [`Routes::event`].
    pub fn on<E: Incoming>(&mut self) -> RouteBuilder<'_>
    where
        H: On<E>,
    {
        self.tagged::<E, ()>()
    }

    /// A route for `E` that is handled by `impl On<E, Tag>`, for handlers that have several.
    pub fn tagged<E: Incoming, Tag: 'static>(&mut self) -> RouteBuilder<'_>
    where
        H: On<E, Tag>,
    {
        let label = short_type_name(std::any::type_name::<E>());
        self.push::<E, Tag>(Matcher::new::<E>(label))
    }

    /// A route for a slash command, written with its slash. Slack takes one answer, so each command may have one
    /// route in all handlers; a second is refused at start-up.
    pub fn command(&mut self, command: &str) -> RouteBuilder<'_>
    where
        H: On<Command>,
    {
        self.command_tagged::<()>(command)
    }

    /// A route for a slash command that is handled by `impl On<Command, Tag>`.
    pub fn command_tagged<Tag: 'static>(&mut self, command: &str) -> RouteBuilder<'_>
    where
        H: On<Command, Tag>,
    {
        let mut matcher = Matcher::new::<Command>(format!("command {command}"));
        matcher.command = Some(command.to_owned());
        matcher.is_answering = true;
        let mut route = self.push::<Command, Tag>(matcher);
        let command = command.to_owned();
        route.test(move |subject| subject.name == command);
        route
    }

    /// A route for events of one type, such as `reaction_added`, known to Callboard or not; `*` is every type, messages
    /// included. An event without the field that makes its key, such as a user, does not match.
    pub fn event(&mut self, kind: &str) -> RouteBuilder<'_>
    where
        H: On<Event>,
    {
        let matcher = Matcher::new::<Event>(format!("event {kind}"));
        let mut route = self.push::<Event, ()>(matcher);
        if kind != "*" {
            let kind = kind.to_owned();
            route.test(move |subject| subject.name == kind);
        }
        route
    }

    /// Registers a deferred job, and the route by which its result comes back to the key that deferred it.
    pub fn job<J: Job>(&mut self)
    where
        H: On<Done<J>>,
    {
        self.jobs.push((J::NAME, run_job::<J>));
        let matcher = Matcher::new::<Done<J>>(format!("result of job {}", J::NAME));
        self.push::<Done<J>, ()>(matcher);
    }

    /// A route for messages from other keys.
    pub fn memo<M: Memo>(&mut self) -> RouteBuilder<'_>
    where
        H: On<Received<M>>,
    {
        self.push::<Received<M>, ()>(Matcher::new::<Received<M>>(format!("memo {}", M::NAME)))
    }

    fn push<E: Incoming, Tag: 'static>(&mut self, matcher: Matcher) -> RouteBuilder<'_>
    where
        H: On<E, Tag>,
    {
        self.routes.push((matcher, invoke::<H, E, Tag>));
        let position = self.routes.len() - 1;
        RouteBuilder {
            matcher: self.routes.get_mut(position).map(|(matcher, _)| matcher),
            _not_send: PhantomData,
        }
    }
}

fn invoke<H: On<E, Tag>, E: Incoming, Tag>(
    mut state: H,
    envelope: Arc<Envelope>,
    mut turn: Turn,
) -> LocalBoxFuture<'static, Invoked<H>> {
    async move {
        let result = match E::read(&envelope) {
            Ok(event) => state.on(event, &mut turn).await.map(Answer::into_payload),
            Err(error) => Err(error),
        };
        Invoked {
            state,
            turn,
            result,
        }
    }
    .boxed_local()
}

fn run_job<J: Job>(input: Box<RawValue>) -> LocalBoxFuture<'static, Result<Box<RawValue>>> {
    async move {
        let job: J = serde_json::from_str(input.get())?;
        Ok(serde_json::value::to_raw_value(&job.run().await?)?)
    }
    .boxed_local()
}

fn short_type_name(name: &str) -> String {
    name.rsplit("::").next().unwrap_or(name).to_owned()
}

/// Narrows a route and says whose state it needs. A route is per user unless it says otherwise.
#[derive(Debug)]
pub struct RouteBuilder<'a> {
    matcher: Option<&'a mut Matcher>,
    _not_send: PhantomData<Rc<()>>,
}

impl RouteBuilder<'_> {
    /// Only texts that contain `needle`, in upper or lower case.
    pub fn containing(&mut self, needle: &str) -> &mut Self {
        let needle = needle.to_lowercase();
        self.test(move |subject| subject.text.to_lowercase().contains(&needle));
        self
    }

    /// Only what `predicate` accepts. It must be pure: the same subject, the same answer, since a stored event is
    /// routed again when it is read back.
    pub fn when(
        &mut self,
        predicate: impl Fn(&Subject) -> bool + Send + Sync + 'static,
    ) -> &mut Self {
        self.test(predicate);
        self
    }

    /// One state per user of a workspace.
    pub fn per_user(&mut self) -> &mut Self {
        self.scope(Scope::User)
    }

    /// One state per channel of a workspace.
    pub fn per_channel(&mut self) -> &mut Self {
        self.scope(Scope::Channel)
    }

    /// One state per thread. A message outside threads is the head of its own.
    pub fn per_thread(&mut self) -> &mut Self {
        self.scope(Scope::Thread)
    }

    /// One state per workspace.
    pub fn per_team(&mut self) -> &mut Self {
        self.scope(Scope::Team)
    }

    /// How long a turn may take; 10 s unless said otherwise. Beyond, it is dropped and tried again.
    pub fn within(&mut self, within: Duration) -> &mut Self {
        if let Some(matcher) = &mut self.matcher {
            matcher.policy.within = within;
        }
        self
    }

    /// While a failing delivery waits for its retry, later ones of its key pass: order is given up for speed.
    pub fn retry_aside(&mut self) -> &mut Self {
        if let Some(matcher) = &mut self.matcher {
            matcher.policy.is_aside = true;
        }
        self
    }

    fn scope(&mut self, scope: Scope) -> &mut Self {
        if let Some(matcher) = &mut self.matcher {
            matcher.scope = scope;
        }
        self
    }

    fn test(&mut self, test: impl Fn(&Subject) -> bool + Send + Sync + 'static) {
        if let Some(matcher) = &mut self.matcher {
            matcher.tests.push(Arc::new(test));
        }
    }
}
