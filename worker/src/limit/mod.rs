//! Rate limits, as middleware.
//!
//! A limit is a token bucket: it holds `burst` tokens, an event takes one, and
//! they come back at a rate. What is kept of a bucket is one moment in time
//! (the generic cell rate algorithm).

mod bucket;
mod identities;
mod middleware;
mod over;

pub use bucket::Rate;
pub use middleware::{RateLimit, RateLimited};
