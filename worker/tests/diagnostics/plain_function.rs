//! A plain function without `blocking`.

use towpath_worker::{Payload, Result, Router};

fn resize(Payload(path): Payload<String>) -> Result {
    println!("{path}");
    Ok(())
}

fn main() {
    let _ = Router::new().channel("thumbnails.make", resize);
}
