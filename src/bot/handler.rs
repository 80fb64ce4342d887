//! The trait an author implements: one value per key, saved after every turn.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Result;
use super::incoming::Incoming;
use super::route::Routes;
use super::turn::Turn;

/// An actor that handles what is routed to it. `self` is its state: there is one value per key, it is saved as
/// JSON by every turn's commit, and nothing else can reach it.
pub trait HandlerActor: Default + Serialize + DeserializeOwned + 'static {
    /// The durable name: part of every key. No `/`; renaming it orphans the stored state.
    const NAME: &'static str;

    /// The version of the state's shape. Raise it together with [`HandlerActor::migrate`].
    const VERSION: u32 = 1;

    /// Says which events reach this handler, and by which key.
    fn routes(routes: &mut Routes<Self>);

    /// Brings a state that was saved by an older VERSION to today's shape. By default it is read as it is.
    ///
    /// # Errors
    /// A state that can't be read: its key's deliveries are retried, then become dead letters.
    fn migrate(_version: u32, state: serde_json::Value) -> Result<Self> {
        Ok(serde_json::from_value(state)?)
    }
}

/// How a handler handles one kind of thing. The answer's type belongs to what is answered.
///
/// `Tag` tells apart several routes of one kind: `impl On<Message, Greeting> for …`, with `Greeting` any type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has a route for `{E}` but does not say what to do with it",
    note = "write `impl On<{E}> for {Self} {{ async fn on(&mut self, …) … }}`"
)]
pub trait On<E: Incoming, Tag = ()>: HandlerActor {
    /// Handles `event`. Runs alone for its key; others run meanwhile.
    ///
    /// What `turn` records happens once the new state is durable. After an error, a panic or a time-out the
    /// state is again what it was before, and the turn is tried again.
    fn on(&mut self, event: E, turn: &mut Turn) -> impl Future<Output = Result<E::Answer>>;
}
