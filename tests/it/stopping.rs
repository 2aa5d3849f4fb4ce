//! SIGTERM, a second signal, and what clients see.

use anyhow::{Context, Result, ensure};

use crate::chat::{Person, Socket};
use crate::process::Process;

#[tokio::test]
async fn sigterm_closes_every_socket_with_1012_and_exits_0() -> Result<()> {
    let mut process = Process::start(&["--listen", "127.0.0.1:0"])?;
    let address = process.address().await?;
    let mut people = Vec::new();
    for number in 0..50 {
        people.push(Person::enter(&address, "drain", &format!("p{number}")).await?);
    }
    process.signal(libc::SIGTERM);
    for person in &mut people {
        let frame = person.closed().await?.context("a close without a code")?;
        ensure!(u16::from(frame.code) == 1012, "{frame:?}");
    }
    ensure!(process.exit_code().await? == Some(0), "{}", process.log());
    Ok(())
}

#[tokio::test]
async fn a_second_signal_ends_at_once() -> Result<()> {
    let mut process = Process::start(&["--listen", "127.0.0.1:0"])?;
    let address = process.address().await?;
    // A client that never answers the close keeps the drain waiting.
    let _silent = Socket::connect(&address, "/echo").await?;
    process.signal(libc::SIGTERM);
    process.logged("draining").await?;
    process.signal(libc::SIGTERM);
    ensure!(process.exit_code().await? == Some(130), "{}", process.log());
    Ok(())
}
