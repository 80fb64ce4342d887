//! Maps of the hot paths.

/// A hash map whose hasher is quick rather than proof against whoever chooses the keys to collide: the keys are
/// numbers of ours, and names that Slack gave.
pub type Map<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;
