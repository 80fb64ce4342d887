//! A dispatcher for loops of one's own: functions by the type of what comes.

use std::fmt;

use super::Result;
use super::subscription::Item;

type Function<'a> = Box<dyn FnMut(&mut Item) -> Result<()> + 'a>;

/// Functions by type, called in the order of their adding.
#[derive(Default)]
pub struct Dispatcher<'a> {
    functions: Vec<(String, Function<'a>)>,
}

impl fmt::Debug for Dispatcher<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = self.functions.iter().map(|(kind, _)| kind);
        f.debug_list().entries(kinds).finish()
    }
}

impl<'a> Dispatcher<'a> {
    /// A dispatcher without functions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a function for what has this [`Item::kind`]; `*` is everything.
    #[must_use]
    pub fn on(
        mut self,
        kind: impl Into<String>,
        function: impl FnMut(&mut Item) -> Result<()> + 'a,
    ) -> Self {
        self.functions.push((kind.into(), Box::new(function)));
        self
    }

    /// Calls every function for the item's type, and settles it: as done when each went well, or when there is none; as
    /// failed at the first that did not. Tells how many were called.
    pub fn dispatch(&mut self, mut item: Item) -> usize {
        let mut called = 0;
        for (kind, function) in &mut self.functions {
            if kind != "*" && kind != item.kind() {
                continue;
            }
            called += 1;
            if let Err(error) = function(&mut item) {
                item.fail(error);
                return called;
            }
        }
        item.done();
        called
    }
}
