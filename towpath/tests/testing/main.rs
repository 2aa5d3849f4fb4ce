//! `TestApp`: what a test of an application sees, on memory and on Redis.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test says what it expects by indexing and unwrapping"
)]

/// Makes a test on memory and one on Redis of each fact.
macro_rules! on_both {
    ($($fact:ident)*) => {
        $(
            mod $fact {
                #[tokio::test]
                async fn on_memory() {
                    Box::pin(super::$fact(towpath::testing::TestApp::memory)).await;
                }

                #[tokio::test]
                async fn on_redis() {
                    Box::pin(super::$fact(towpath::testing::TestApp::redis)).await;
                }
            }
        )*
    };
}

mod application;
mod clocks;
mod failures;
mod handshake;
mod sockets;
mod topics;
mod topics_heard;
mod world;
