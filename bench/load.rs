//! The load: keep-alive connections that send one webhook after the other, each as soon as the last was answered.
//!
//! It shares the machine with the server it measures, so it does as little as it can: requests are ready-made bytes,
//! and of an answer only the status is read.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::net::TcpStream;
use actix_rt::time::{Instant, timeout};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

/// Webhooks under way at once, as on a busy number; half of what the product holds before it answers 503.
pub(crate) const CONNECTIONS: usize = 64;
/// Longest wait for one answer: a server that hangs must not hang the bench.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// An answer without a body is far below this.
const ANSWER_BYTES_MAX: usize = 1024;

/// What a server has to bear in one round.
pub(crate) struct Load {
    /// Sent in this order.
    pub(crate) requests: Vec<Bytes>,
    /// Begin anew when all are sent: right for a server that does not remember what it has seen.
    pub(crate) again: bool,
    /// Start no request after this time.
    pub(crate) duration: Duration,
    /// Each request takes up one of these for good, and waits where there is none; once closed, none is started.
    pub(crate) room: Option<Arc<Semaphore>>,
}

/// What came of it. Every request was answered 200.
pub(crate) struct Answered {
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    /// One per request, in ascending order.
    pub(crate) latencies: Vec<Duration>,
}

impl Answered {
    pub(crate) fn count(&self) -> usize {
        self.latencies.len()
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.count() as f64 / self.took.as_secs_f64()
    }

    /// The latency that this share of the answers, 0 to 1, did not exceed.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let last = self.count().saturating_sub(1);
        self.latencies.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
    }
}

/// Sends `load` over [`CONNECTIONS`] connections, which are open before the clock starts.
///
/// # Errors
/// If a connection breaks, an answer is late, or one is not an empty 200.
pub(crate) async fn send(address: SocketAddr, load: Load) -> io::Result<Answered> {
    let mut streams = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let (load, next) = (Rc::new(load), Rc::new(Cell::new(0)));
    let began = Instant::now();
    let connections: Vec<_> = streams
        .into_iter()
        .map(|stream| actix_rt::spawn(connection(stream, load.clone(), next.clone(), began)))
        .collect();
    let mut latencies = Vec::new();
    for connection in connections {
        latencies.extend(connection.await.map_err(io::Error::other)??);
    }
    let took = began.elapsed();
    latencies.sort_unstable();
    Ok(Answered { took, latencies })
}

async fn connection(
    mut stream: TcpStream,
    load: Rc<Load>,
    next: Rc<Cell<usize>>,
    began: Instant,
) -> io::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    loop {
        if let Some(room) = &load.room {
            let Ok(taken) = room.acquire().await else { return Ok(latencies) };
            taken.forget();
        }
        let number = next.replace(next.get() + 1);
        let is_over = began.elapsed() >= load.duration || (number >= load.requests.len() && !load.again);
        let Some(request) = load.requests.get(number % load.requests.len()).filter(|_| !is_over) else {
            return Ok(latencies);
        };
        let sent = Instant::now();
        timeout(ANSWER_MAX, exchange(&mut stream, request)).await??;
        latencies.push(sent.elapsed());
    }
}

async fn exchange(stream: &mut TcpStream, request: &[u8]) -> io::Result<()> {
    stream.write_all(request).await?;
    let mut answer = [0; ANSWER_BYTES_MAX];
    let mut length = 0;
    while !answer[..length].ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut answer[length..]).await?;
        if read == 0 {
            return Err(unexpected("the connection ended, or the answer is too long", &answer[..length]));
        }
        length += read;
    }
    if answer.starts_with(b"HTTP/1.1 200 ") {
        Ok(())
    } else {
        Err(unexpected("not a 200", &answer[..length]))
    }
}

fn unexpected(what: &str, answer: &[u8]) -> io::Error {
    io::Error::other(format!("{what}: {:?}", String::from_utf8_lossy(answer)))
}
