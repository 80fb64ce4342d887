//! Actors without which the process must not go on.

/// The exit code of a process that lost a vital actor.
const LOST: i32 = 5;

/// Ends the process when its holder panics: whoever is waiting for that actor would wait for ever, and what is
/// acked is in the store for the next start.
#[derive(Debug)]
pub struct Vital {
    name: &'static str,
}

impl Vital {
    /// Makes its holder vital; `name` is for the log.
    pub fn new(name: &'static str) -> Self {
        Self { name }
    }
}

impl Drop for Vital {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(
                actor = self.name,
                "an actor that the process can't do without panicked; what is acked is in the store, start again"
            );
            std::process::exit(LOST);
        }
    }
}
