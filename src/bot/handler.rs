//! The trait an author implements: one value per key, saved after every turn.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Result;
use super::incoming::Incoming;
use super::route::Routes;
use super::turn::Turn;

/// An actor that handles what is routed to it. `self` is its state: there is one value per key, such as one for
/// each user of each workspace, and nothing else can reach it.
///
/// A key begins with `Self::default()`. Whatever a turn changes is saved as JSON by its commit, up to 1 MiB
/// ([`STATE_BYTES_MAX`](crate::base::limits::STATE_BYTES_MAX)), and is there again after a restart. Fields that must
/// not be saved are marked `#[serde(skip)]`; they last only while the value stays in memory, and begin anew after a
/// turn that failed.
///
/// The value belongs to one thread, so it need be neither `Send` nor `Sync`.
pub trait HandlerActor: Default + Serialize + DeserializeOwned + 'static {
    /// The durable name: part of every key. 1 to 64 bytes, without `/` and `#`, and different for each handler;
    /// renaming it orphans the stored state.
    const NAME: &'static str;

    /// The version of the state's shape, saved with it. Raise it together with [`HandlerActor::migrate`]; fields
    /// that are new and have a `#[serde(default)]` need neither.
    const VERSION: u32 = 1;

    /// Says which events reach this handler, and by which key. Called once, at start-up.
    fn routes(routes: &mut Routes<Self>);

    /// Brings a state that was saved by another VERSION to today's shape. By default it is read as it is.
    ///
    /// # Errors
    /// A state that can't be read: its key's deliveries are retried, then become dead letters.
    fn migrate(_version: u32, state: serde_json::Value) -> Result<Self> {
        Ok(serde_json::from_value(state)?)
    }
}

/// How a handler handles one kind of thing. The answer's type belongs to what is answered: nothing for a
/// [`Message`](crate::slack::event::Message), a [`Reply`](super::answer::Reply) for a
/// [`Command`](crate::slack::event::Command).
///
/// `Tag` tells apart several routes of one kind: `impl On<Message, Greeting> for …`, with `Greeting` any type, and
/// [`Routes::tagged`] or [`Routes::command_tagged`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` has a route for `{E}` but does not say what to do with it",
    note = "write `impl On<{E}> for {Self} {{ async fn on(&mut self, …) … }}`"
)]
pub trait On<E: Incoming, Tag = ()>: HandlerActor {
    /// Handles `event`. Runs alone for its key, in the order in which its events came; other keys run meanwhile.
    ///
    /// What `turn` records happens once the new state is durable. After an error, a panic or a time-out the state
    /// is again what it was before, nothing that was recorded happens, and the turn is tried again: up to 5 times
    /// within 30 s, while the key's later events wait. Then the event is kept as a dead letter, and the key
    /// goes on. So what is done here without `turn`, such as a call to some other service, may happen more than once.
    ///
    /// It shares its thread with other keys: await, and send what blocks to `tokio::task::spawn_blocking`, or
    /// slow work to a [`Job`](super::job::Job).
    fn on(&mut self, event: E, turn: &mut Turn) -> impl Future<Output = Result<E::Answer>>;
}
