//! Somebody who looks on: asks the operator's routes as a monitoring system does, over a connection that stays open.
//!
//! On a thread of its own, with nothing but blocking calls: what the load's tasks do to one another must not be taken
//! for the server's time.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_rt::time::Instant;

/// What is asked, in turn.
pub(crate) const ROUTES: [&str; 3] = ["/stats", "/health", "/metrics"];
/// How often each is.
const EVERY: Duration = Duration::from_secs(1);
/// Longest wait for one answer: a server that hangs must not hang the bench.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// A hundred queues or two hundred series are far below this.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// An answer, which was 200.
#[derive(Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) route: &'static str,
    pub(crate) took: Duration,
    /// Its body's length.
    pub(crate) bytes: usize,
}

/// Somebody who asks.
pub(crate) struct Operator {
    stream: TcpStream,
    token: &'static str,
}

impl Operator {
    pub(crate) fn connect(address: SocketAddr, token: &'static str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        Ok(Self { stream, token })
    }

    /// # Errors
    /// If the connection breaks, the answer is late, or it is not a 200.
    pub(crate) fn ask(&mut self, route: &'static str) -> io::Result<Answer> {
        let token = self.token;
        let request =
            format!("GET {route} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n");
        let asked = Instant::now();
        self.stream.write_all(request.as_bytes())?;
        let (status, bytes) = self.read()?;
        let took = asked.elapsed();
        if status == "HTTP/1.1 200 OK" {
            Ok(Answer { route, took, bytes })
        } else {
            Err(io::Error::other(format!("{route}: {status}")))
        }
    }

    /// The first line of an answer, and the length of its body.
    fn read(&mut self) -> io::Result<(String, usize)> {
        let (mut answer, mut room) = (Vec::new(), [0; 16 * 1024]);
        loop {
            if let Some((status, head, body)) = parse(&answer)
                && answer.len() == head + body
            {
                return Ok((status.to_owned(), body));
            }
            let read = self.stream.read(&mut room)?;
            if read == 0 || answer.len() > ANSWER_BYTES_MAX {
                return Err(io::Error::other("the connection ended, or the answer is too long"));
            }
            answer.extend_from_slice(&room[..read]);
        }
    }

    /// Asks all of [`ROUTES`] once in each [`EVERY`], evenly spread, until [`Watch::stop`].
    pub(crate) fn watch(mut self) -> Watch {
        let (stop, stopped) = sync_channel(0);
        let thread = std::thread::spawn(move || {
            let pause = EVERY / ROUTES.len() as u32;
            let (mut answers, mut next) = (Vec::new(), Instant::now());
            for route in ROUTES.into_iter().cycle() {
                next += pause;
                match stopped.recv_timeout(next.saturating_duration_since(Instant::now())) {
                    Err(RecvTimeoutError::Timeout) => answers.push(self.ask(route)?),
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            Ok(answers)
        });
        Watch { stop, thread }
    }
}

/// First line, length of the head, length of the body; nothing while the head is not whole.
fn parse(answer: &[u8]) -> Option<(&str, usize, usize)> {
    let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&answer[..head]).ok()?;
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    Some((text.lines().next()?, head, length.parse().ok()?))
}

/// Somebody who asks again and again.
pub(crate) struct Watch {
    stop: SyncSender<()>,
    thread: JoinHandle<io::Result<Vec<Answer>>>,
}

impl Watch {
    /// All answers so far.
    ///
    /// # Errors
    /// As of [`Operator::ask`].
    pub(crate) fn stop(self) -> io::Result<Vec<Answer>> {
        drop(self.stop);
        self.thread.join().map_err(|_| io::Error::other("the one who asks panicked"))?
    }
}
