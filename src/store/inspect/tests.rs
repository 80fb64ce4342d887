//! Looks against what was written.
