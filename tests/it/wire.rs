//! A peer that writes what it likes.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::process::PATIENCE;

/// How much a peer that reads slowly lets wait in the kernel, in bytes.
const RECEIVE_BUFFER: u32 = 16 << 10;

/// A TCP connection.
#[derive(Debug)]
pub struct Wire(pub TcpStream);

/// A frame of the server.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// The first byte: flags and opcode.
    pub first: u8,
    pub payload: Vec<u8>,
}

impl Wire {
    /// Connects; the kernel holds little that was not read.
    pub async fn connect(address: &str) -> Result<Self> {
        let address: SocketAddr = address.parse()?;
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        let stream = timeout(PATIENCE, socket.connect(address)).await??;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Connects and becomes a WebSocket on a path.
    pub async fn open(address: &str, path: &str) -> Result<Self> {
        let mut wire = Self::connect(address).await?;
        wire.write(request(address, path, "").as_bytes()).await?;
        let (status, answer) = wire.answer().await?;
        ensure!(status == 101, "{answer}");
        Ok(wire)
    }

    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = timeout(PATIENCE, self.0.write_all(bytes)).await;
        Ok(written.context("nobody reads")??)
    }

    /// Writes a frame with a mask.
    pub async fn send(&mut self, first: u8, payload: &[u8]) -> Result<()> {
        self.write(&frame(first, payload)).await
    }

    /// An HTTP answer: its status, and its head with what body it announces.
    pub async fn answer(&mut self) -> Result<(u16, String)> {
        let read = async {
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\n") {
                answer.push(self.0.read_u8().await?);
            }
            let mut answer = String::from_utf8(answer)?;
            let mut body = vec![0; content_length(&answer)?];
            self.0.read_exact(&mut body).await?;
            answer.push_str(&String::from_utf8(body)?);
            Ok(answer)
        };
        let answer: Result<String> = timeout(PATIENCE, read).await.context("no answer")?;
        let answer = answer?;
        let status = answer.split(' ').nth(1).context("no status")?.parse()?;
        Ok((status, answer))
    }

    /// The next frame.
    pub async fn frame(&mut self) -> Result<Frame> {
        let read = async {
            let first = self.0.read_u8().await?;
            let len = match self.0.read_u8().await? {
                126 => u64::from(self.0.read_u16().await?),
                127 => self.0.read_u64().await?,
                short => u64::from(short),
            };
            let mut payload = vec![0; usize::try_from(len)?];
            self.0.read_exact(&mut payload).await?;
            Ok(Frame { first, payload })
        };
        timeout(PATIENCE, read).await.context("no frame")?
    }

    /// The next frame, which must be a close: its code and reason.
    pub async fn closed(&mut self) -> Result<(u16, String)> {
        let frame = self.frame().await?;
        ensure!(frame.first == 0x88, "not a close: {frame:?}");
        let (code, reason) = frame
            .payload
            .split_first_chunk()
            .context("a close without a code")?;
        Ok((
            u16::from_be_bytes(*code),
            String::from_utf8(reason.to_vec())?,
        ))
    }

    /// Reads on until the server has ended the connection, politely or not;
    /// what it still said.
    pub async fn ended(&mut self) -> Result<Vec<u8>> {
        let mut rest = Vec::new();
        // A reset ends it as well.
        let read = timeout(PATIENCE, self.0.read_to_end(&mut rest)).await;
        let _end = read.context("the connection does not end")?;
        Ok(rest)
    }
}

fn content_length(head: &str) -> Result<usize> {
    let length = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    Ok(length.map_or(Ok(0), |(_, length)| length.parse())?)
}

/// A request for a WebSocket, with more header lines.
pub fn request(host: &str, path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

/// A frame of a client, masked with zeros.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | u8::try_from(len).unwrap()),
        len @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}
