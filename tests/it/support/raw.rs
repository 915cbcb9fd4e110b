//! A provider that breaks the rules of HTTP: a plain socket, which answers with whatever bytes a test wants.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::PATIENCE;

/// What a connection gets for its request.
#[derive(Clone)]
pub(crate) enum Act {
    /// These bytes, then the connection is closed.
    Say(Vec<u8>),
    /// These bytes, then the next request of the same connection.
    Keep(Vec<u8>),
    /// These bytes one at a time, each in a segment of its own, then the connection is closed.
    Drip(Vec<u8>),
    /// The first bytes at once, then the others one at a time with this pause before each, then the connection is
    /// closed.
    Trickle(Vec<u8>, Vec<u8>, Duration),
    /// The first bytes, then the others so many times, then the connection is closed.
    Pour(Vec<u8>, Vec<u8>, usize),
    /// These bytes, then silence until the client hangs up, or asks for something else.
    Stall(Vec<u8>),
    /// The connection is closed without a byte.
    Close,
    /// The connection is reset without a byte.
    Reset,
}

/// How an act ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was played to its end.
    Played,
    /// The client hung up first, after so many bytes at most.
    HungUp(usize),
}

/// A request, as it came.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    /// Request line and headers, with the empty line behind them.
    pub(crate) head: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

impl Heard {
    /// Method, path and query.
    pub(crate) fn line(&self) -> String {
        String::from_utf8_lossy(&self.head).lines().next().unwrap_or_default().to_owned()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Listens, and serves every connection in a thread of its own.
pub(crate) struct Listening {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listening {
    pub(crate) fn on(listener: TcpListener, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().expect("an address");
        let ended = Arc::new(AtomicBool::new(false));
        let (over, serve) = (ended.clone(), Arc::new(serve));
        let thread = std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let _ = socket.set_nodelay(true);
                let _ = socket.set_read_timeout(Some(PATIENCE));
                let serve = serve.clone();
                // Ends with its connection, which a client keeps only as long as it waits.
                std::thread::spawn(move || serve(socket));
            }
        });
        Self { address, ended, thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the listener, so that it sees the end.
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Listens on a free port of 127.0.0.1.
pub(crate) struct RawServer {
    listening: Listening,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl RawServer {
    /// `act` is asked for every request, with the request's body and its place among those before it (from 0).
    pub(crate) fn start(act: impl Fn(&str, usize) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let seen = bodies.clone();
        let listening = Listening::on(listener, move |mut socket| {
            while let Some(heard) = hear(&mut socket) {
                let (body, place) = {
                    let mut seen = seen.lock().expect("no poison");
                    seen.push(heard.text());
                    (heard.text(), seen.len() - 1)
                };
                let act = act(&body, place);
                let goes_on = matches!(act, Act::Keep(_));
                play(&mut socket, act);
                if !goes_on {
                    return;
                }
            }
        });
        Self { listening, bodies }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.listening.address())
    }

    /// The bodies of all requests so far.
    pub(crate) fn bodies(&self) -> Vec<String> {
        self.bodies.lock().expect("no poison").clone()
    }
}

/// One request. Its last byte is left in the socket, for [`play`] to take: a socket that is closed over it sends a
/// reset.
pub(crate) fn hear(socket: &mut TcpStream) -> Option<Heard> {
    let head = hear_head(socket)?;
    hear_body(socket, head)
}

/// The head of a request, its last byte left in the socket.
pub(crate) fn hear_head(socket: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    loop {
        head.push(peek(socket)?);
        if head.ends_with(b"\r\n\r\n") {
            return Some(head);
        }
        take(socket);
    }
}

/// The body behind a head, its last byte left in the socket in place of the head's.
pub(crate) fn hear_body(socket: &mut TcpStream, head: Vec<u8>) -> Option<Heard> {
    let mut body = vec![0; content_length(&String::from_utf8_lossy(&head))];
    let Some(last) = body.len().checked_sub(1) else { return Some(Heard { head, body }) };
    take(socket);
    socket.read_exact(&mut body[..last]).ok()?;
    body[last] = peek(socket)?;
    Some(Heard { head, body })
}

fn peek(socket: &TcpStream) -> Option<u8> {
    let mut byte = [0];
    (socket.peek(&mut byte).ok()? == 1).then_some(byte[0])
}

fn take(socket: &mut TcpStream) {
    let _ = socket.read(&mut [0]);
}

/// Plays an act for the request that was heard.
pub(crate) fn play(socket: &mut TcpStream, act: Act) -> Ended {
    if matches!(act, Act::Reset) {
        return Ended::Played;
    }
    take(socket);
    let mut said = 0;
    let mut say = |socket: &mut TcpStream, bytes: &[u8]| {
        said += bytes.len();
        // A client that has seen enough may hang up at any byte.
        if socket.write_all(bytes).is_ok() { Ok(()) } else { Err(Ended::HungUp(said)) }
    };
    let played = match act {
        Act::Say(bytes) | Act::Keep(bytes) => say(socket, &bytes),
        Act::Drip(bytes) => bytes.iter().try_for_each(|byte| say(socket, &[*byte])),
        Act::Trickle(first, bytes, pause) => say(socket, &first).and_then(|()| {
            bytes.iter().try_for_each(|byte| match waited(socket, pause) {
                true => say(socket, &[*byte]),
                false => Err(Ended::HungUp(0)),
            })
        }),
        Act::Pour(first, again, times) => {
            say(socket, &first).and_then(|()| (0..times).try_for_each(|_| say(socket, &again)))
        }
        Act::Stall(bytes) => say(socket, &bytes).and_then(|()| match socket.read(&mut [0]) {
            Ok(1) => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            _ => Err(Ended::HungUp(bytes.len())),
        }),
        Act::Close | Act::Reset => Ok(()),
    };
    played.err().unwrap_or(Ended::Played)
}

/// Waits so long; false if the client hangs up meanwhile.
fn waited(socket: &mut TcpStream, pause: Duration) -> bool {
    let _ = socket.set_read_timeout(Some(pause));
    let timed_out = socket.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    let _ = socket.set_read_timeout(Some(PATIENCE));
    timed_out
}

fn content_length(head: &str) -> usize {
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0)
}
