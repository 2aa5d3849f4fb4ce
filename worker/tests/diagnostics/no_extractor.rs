//! An argument that is no extractor.

use towpath_worker::{Result, Text, websocket};

async fn receive(Text(text): Text, room: String) -> Result {
    println!("{room}: {text}");
    Ok(())
}

fn main() {
    let _ = websocket().receive(receive);
}
