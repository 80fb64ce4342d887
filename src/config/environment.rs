//! The one reader of environment variables.

use std::collections::BTreeMap;

/// Environment variables, so that a test may bring its own.
pub trait Environment {
    /// The value of `name`, if it is set. Bytes that are not UTF-8 arrive as U+FFFD, which no setting accepts.
    fn get(&self, name: &str) -> Option<String>;
}

/// The process's own environment.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEnvironment;

impl Environment for SystemEnvironment {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one reader of the environment"
    )]
    fn get(&self, name: &str) -> Option<String> {
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }
}

/// Variables held in a map. It shows names only, since values may be tokens.
#[derive(Clone, Default)]
pub struct FixedEnvironment(BTreeMap<String, String>);

impl FixedEnvironment {
    /// The environment in which exactly `variables` are set.
    pub fn new<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self(variables.into_iter().map(owned).collect())
    }
}

impl std::fmt::Debug for FixedEnvironment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Environment for FixedEnvironment {
    fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }
}

/// The trimmed value of `name`, where an empty variable counts as not set.
pub(super) fn set(environment: &dyn Environment, name: &str) -> Option<String> {
    let value = environment.get(name)?;
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}
