//! A provider that breaks the rules of HTTP: a plain socket, which answers with whatever bytes a test wants.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::PATIENCE;

/// What a connection gets for its request.
#[derive(Clone)]
pub(crate) enum Act {
    /// These bytes, then the connection is closed.
    Say(Vec<u8>),
    /// These bytes one at a time, each in a segment of its own, then the connection is closed.
    Drip(Vec<u8>),
    /// These bytes, then silence until the client hangs up.
    Stall(Vec<u8>),
    /// The connection is closed without a byte.
    Close,
}

/// Listens on a free port of 127.0.0.1. Each connection brings one request.
pub(crate) struct RawServer {
    address: SocketAddr,
    bodies: Arc<Mutex<Vec<String>>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl RawServer {
    /// `act` is asked for every request, with the request's body and its place among those before it (from 0).
    pub(crate) fn start(act: impl Fn(&str, usize) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (bodies, ended) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (seen, over, act) = (bodies.clone(), ended.clone(), Arc::new(act));
        let thread = std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (seen, act) = (seen.clone(), act.clone());
                // Ends with its connection, which a client keeps only as long as it waits.
                std::thread::spawn(move || serve(socket, &seen, &*act));
            }
        });
        Self { address, bodies, ended, thread: Some(thread) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The bodies of all requests so far.
    pub(crate) fn bodies(&self) -> Vec<String> {
        self.bodies.lock().expect("no poison").clone()
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the listener, so that it sees the end.
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(mut socket: TcpStream, seen: &Mutex<Vec<String>>, act: &dyn Fn(&str, usize) -> Act) {
    let _ = socket.set_nodelay(true);
    let _ = socket.set_read_timeout(Some(PATIENCE));
    let Some(body) = read_request(&mut socket) else { return };
    let place = {
        let mut seen = seen.lock().expect("no poison");
        seen.push(body.clone());
        seen.len() - 1
    };
    // A client that has seen enough may hang up at any byte.
    match act(&body, place) {
        Act::Say(bytes) => drop(socket.write_all(&bytes)),
        Act::Drip(bytes) => drop(bytes.iter().try_for_each(|byte| socket.write_all(&[*byte]))),
        Act::Stall(bytes) => {
            let _ = socket.write_all(&bytes);
            let _ = socket.read(&mut [0]);
        }
        Act::Close => {}
    }
}

/// The body of one request, read to its last byte.
fn read_request(socket: &mut TcpStream) -> Option<String> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let length = content_length(&String::from_utf8_lossy(&bytes[..head]));
            if bytes.len() >= head + 4 + length {
                return Some(String::from_utf8_lossy(&bytes[head + 4..]).into_owned());
            }
        }
        match socket.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

fn content_length(head: &str) -> usize {
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0)
}
