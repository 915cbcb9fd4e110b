//! HTTP by hand, for what no client would send: half a request, any `Host`, a body in chunks.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use super::PATIENCE;

/// A request, spelled out.
pub(crate) struct Ask {
    method: &'static str,
    address: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// One byte of the body at a time, with this pause before each.
    pause: Option<Duration>,
    /// Where it comes from.
    from: IpAddr,
}

/// The answer, as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Status line and headers.
    pub(crate) head: String,
    pub(crate) body: String,
    /// How much of the request's body had been sent by then.
    pub(crate) sent: usize,
}

impl Reply {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }
}

impl Ask {
    pub(crate) fn get(url: &str) -> Self {
        Self::new("GET", url)
    }

    pub(crate) fn post(url: &str) -> Self {
        Self::new("POST", url)
    }

    fn new(method: &'static str, url: &str) -> Self {
        let rest = url.strip_prefix("http://").expect("an http URL");
        let (address, path) = rest.split_at(rest.find('/').expect("a path"));
        let (address, path) = (address.into(), path.into());
        let from = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self { method, address, path, headers: Vec::new(), body: Vec::new(), pause: None, from }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A body with its length in the head.
    pub(crate) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let promised = self.promising(body.len());
        Self { body, ..promised }
    }

    /// From another address of this machine.
    pub(crate) fn from(self, address: [u8; 4]) -> Self {
        Self { from: address.into(), ..self }
    }

    /// Its body comes one byte at a time, with this pause before each.
    pub(crate) fn slowly(self, pause: Duration) -> Self {
        Self { pause: Some(pause), ..self }
    }

    /// A head that promises a body of this length, and no body.
    pub(crate) fn promising(self, length: usize) -> Self {
        self.header("content-length", &length.to_string())
    }

    /// The beginning of what was promised.
    pub(crate) fn beginning(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// A body in chunks of 64 KiB, its length nowhere.
    pub(crate) fn chunked(self, body: &[u8]) -> Self {
        let mut chunks = Vec::new();
        for chunk in body.chunks(64 * 1024) {
            chunks.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            chunks.extend_from_slice(chunk);
            chunks.extend_from_slice(b"\r\n");
        }
        chunks.extend_from_slice(b"0\r\n\r\n");
        Self { body: chunks, ..self.header("transfer-encoding", "chunked") }
    }

    /// Sends it and reads one answer.
    pub(crate) async fn send(self) -> Reply {
        tokio::time::timeout(PATIENCE, self.exchange()).await.expect("an answer in time")
    }

    async fn exchange(self) -> Reply {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.push_str(&format!("host: {}\r\n", self.address));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((self.from, 0).into()).expect("a free port");
        let address = self.address.parse().expect("an address with a port");
        let stream = socket.connect(address).await.expect("a connection");
        let (mut from, mut to) = stream.into_split();
        let sent = Cell::new(0);
        let write = async {
            // The server may have answered and closed before it has read everything.
            let _ = to.write_all(head.as_bytes()).await;
            for piece in self.body.chunks(self.pause.map_or(usize::MAX, |_| 1)) {
                if let Some(pause) = self.pause {
                    tokio::time::sleep(pause).await;
                }
                if to.write_all(piece).await.is_err() {
                    break;
                }
                sent.set(sent.get() + piece.len());
            }
            std::future::pending::<Reply>().await
        };
        let reply = tokio::select! {
            reply = read(&mut from) => reply,
            reply = write => reply,
        };
        Reply { sent: sent.get(), ..reply }
    }
}

async fn read(from: &mut (impl AsyncReadExt + Unpin)) -> Reply {
    let mut bytes = Vec::new();
    loop {
        if let Some(reply) = whole(&bytes) {
            return reply;
        }
        let count = from.read_buf(&mut bytes).await.unwrap_or_default();
        assert_ne!(count, 0, "the answer ended early: {:?}", String::from_utf8_lossy(&bytes));
    }
}

fn whole(bytes: &[u8]) -> Option<Reply> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let reply = Reply { status, head, body: String::new(), sent: 0 };
    let length: usize = reply.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let body = bytes.get(end + 4..end + 4 + length)?;
    Some(Reply { body: String::from_utf8_lossy(body).into_owned(), ..reply })
}
