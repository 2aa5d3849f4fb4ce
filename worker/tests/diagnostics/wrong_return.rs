//! A consumer that returns a value.

use towpath_worker::{Text, websocket};

async fn receive(Text(text): Text) -> usize {
    text.len()
}

fn main() {
    let _ = websocket().receive(receive);
}
