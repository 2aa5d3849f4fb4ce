//! Towpath.

pub mod config;
