//! An application inside a test: its sockets, its consumers and its layer, on
//! the test's own runtime.
//!
//! For dev-dependencies: `towpath = { version = "…", features = ["testing"] }`.
//!
//! ```
//! use towpath::prelude::*;
//! use towpath::testing::TestApp;
//!
//! async fn echo(Text(text): Text, socket: Socket) -> Result {
//!     socket.text(text).await
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let app = App::new().route("/echo", websocket().receive(echo));
//! let app = TestApp::memory(app).await;
//! let mut ada = app.websocket("/echo").await.accepted();
//! ada.send_text("hi").await;
//! assert_eq!(ada.recv_text().await, "hi");
//! # }
//! ```
//!
//! [`TestApp::redis`] in place of [`TestApp::memory`] is the only change for a
//! real Redis. What does not come as a test expects panics, and shows what was
//! sent and received until then.

mod app;
mod clock;
mod connecting;
mod groups;
mod record;
mod redis;
mod socket;
mod start;
mod topics;
mod wire;

pub use app::TestApp;
pub use connecting::{Answer, Connecting, Denied};
pub use socket::TestSocket;
pub use start::Start;
pub use topics::{JoinedTopic, Pattern, PushRef, TopicListener, TopicTest};
