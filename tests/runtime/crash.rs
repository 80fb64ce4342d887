//! The program killed under load, again and again, on one store.
