//! Placeholder.

pub mod redis;
