//! A layer whose service does not take events.

use tower::Layer;
use towpath_worker::{ConsumerService, websocket};

struct Log;

#[derive(Clone)]
struct Logged {
    _inner: ConsumerService,
}

impl Layer<ConsumerService> for Log {
    type Service = Logged;

    fn layer(&self, _inner: ConsumerService) -> Logged {
        Logged { _inner }
    }
}

fn main() {
    let _ = websocket().middleware(Log);
    let _ = websocket().middleware("log");
}
