//! The store against the promises its module makes.
