//! All three stand-ins behind plain sockets. What passes through is answered as the stand-in answers; what a test
//! aims at is answered with whatever the test makes of the good answer.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use parlante_sandbox::{Inbound, audio};
use tokio::sync::watch;

use crate::support::innocent::persons_got_no_errors;
use crate::support::raw::{Act, Ended, Heard, Listening, hear_body, hear_head, play};
use crate::support::{PATIENCE, Process, World, a_phone, persona_text};

/// What is asked of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Chat,
    Hear,
    Speak,
    /// Of the answer; the disclosure is let pass.
    Send,
    LookUp,
    Download,
    Upload,
}

impl Route {
    /// Where another try costs nothing that anybody sees.
    pub(super) const TRIED_AGAIN: [Self; 6] =
        [Self::Chat, Self::Hear, Self::Speak, Self::LookUp, Self::Download, Self::Upload];

    fn is_of(self, line: &str) -> bool {
        match self {
            Self::Chat => line.contains("/chat/completions "),
            Self::Hear => line.contains("/audio/transcriptions "),
            Self::Speak => line.contains("/text-to-speech/"),
            Self::Send => line.contains("/messages "),
            Self::LookUp => line.contains("?phone_number_id="),
            Self::Download => line.contains("?mid="),
            Self::Upload => line.contains("/media "),
        }
    }

    /// The provider's name in settings.
    pub(super) fn provider(self) -> &'static str {
        match self {
            Self::Chat | Self::Hear => "OPENAI",
            Self::Speak => "ELEVENLABS",
            Self::Send | Self::LookUp | Self::Download | Self::Upload => "WHATSAPP",
        }
    }

    /// What a person sends to get there, and what they are answered.
    fn is_spoken(self) -> bool {
        !matches!(self, Self::Chat | Self::Send)
    }
}

/// The answer that a stand-in gives.
#[derive(Debug, Clone)]
pub(super) struct Good {
    /// As `200 OK`.
    pub(super) status: String,
    pub(super) kind: String,
    pub(super) body: Vec<u8>,
}

impl Good {
    /// A head with these headers, ended.
    pub(super) fn head(&self, headers: &str) -> Vec<u8> {
        let Self { status, kind, .. } = self;
        format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{headers}\r\n").into_bytes()
    }

    /// The head of a body of this length, and so much of the body.
    pub(super) fn promising(&self, length: usize, sent: usize) -> Vec<u8> {
        let head = self.head(&format!("content-length: {length}\r\n"));
        [head, self.body[..sent].to_vec()].concat()
    }

    pub(super) fn whole(&self) -> Vec<u8> {
        self.promising(self.body.len(), self.body.len())
    }

    /// In one chunk, without the empty one at the end.
    pub(super) fn chunk(&self, sent: usize) -> Vec<u8> {
        let chunk = format!("{sent:x}\r\n").into_bytes();
        let head = self.head("transfer-encoding: chunked\r\n");
        [head, chunk, self.body[..sent].to_vec(), b"\r\n".to_vec()].concat()
    }

    /// Its end is the connection's end.
    pub(super) fn unmeasured(&self, sent: usize) -> Vec<u8> {
        [self.head("connection: close\r\n"), self.body[..sent].to_vec()].concat()
    }
}

/// What becomes of a request that is aimed at.
#[derive(Clone)]
pub(super) enum Spoil {
    /// The stand-in hears nothing of it.
    Instead(Act),
    /// The stand-in hears it; this is made of its answer.
    Answer(Arc<dyn Fn(&Good) -> Act + Send + Sync>),
    /// The connection is reset over a request of which only the head was read.
    AtHead,
}

pub(super) fn answer(make: impl Fn(&Good) -> Act + Send + Sync + 'static) -> Spoil {
    Spoil::Answer(Arc::new(make))
}

struct Aim {
    route: Route,
    left: usize,
    spoil: Spoil,
}

/// What the sockets share.
#[derive(Clone)]
struct Aims {
    aims: Arc<Mutex<Vec<Aim>>>,
    /// How each spoiled answer ended.
    ended: watch::Sender<Vec<Ended>>,
}

impl Aims {
    fn take(&self, line: &str, text: Option<&str>) -> Option<Spoil> {
        let mut aims = self.aims.lock().expect("no poison");
        let aim = aims.iter_mut().find(|aim| {
            let fits = match text {
                Some(text) => aim.route != Route::Send || text.contains("echo: "),
                None => matches!(aim.spoil, Spoil::AtHead),
            };
            aim.left > 0 && aim.route.is_of(line) && fits
        })?;
        aim.left -= 1;
        Some(aim.spoil.clone())
    }

    /// Serves one connection, one request after the other.
    fn serve(&self, mut socket: TcpStream, upstream: &str) {
        while let Some(head) = hear_head(&mut socket) {
            let line = Heard { head: head.clone(), body: Vec::new() }.line();
            if self.take(&line, None).is_some() {
                self.tell(play(&mut socket, Act::Reset));
                return;
            }
            let Some(heard) = hear_body(&mut socket, head) else { return };
            let good = || {
                let ours = socket.local_addr().expect("an address").to_string();
                forward(&heard, upstream, &ours)
            };
            let spoil = self.take(&line, Some(&heard.text()));
            let act = match &spoil {
                Some(Spoil::Instead(act)) => act.clone(),
                Some(Spoil::Answer(make)) => make(&good()),
                Some(Spoil::AtHead) => Act::Reset,
                None => Act::Keep(good().whole()),
            };
            let goes_on = matches!(act, Act::Keep(_));
            let ended = play(&mut socket, act);
            if spoil.is_some() {
                self.tell(ended);
            }
            if !goes_on {
                return;
            }
        }
    }

    fn tell(&self, ended: Ended) {
        self.ended.send_modify(|all| all.push(ended));
    }
}

/// Passes a request on; the answer, whole.
fn forward(heard: &Heard, upstream: &str, ours: &str) -> Good {
    let mut stream = TcpStream::connect(upstream).expect("the stand-in listens");
    let line = heard.head.windows(2).position(|two| two == b"\r\n").expect("a line") + 2;
    let (line, headers) = heard.head.split_at(line);
    let request = [line, b"connection: close\r\n", headers, &heard.body].concat();
    stream.write_all(&request).expect("the stand-in hears");
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).expect("the stand-in answers");
    let end = reply.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&reply[..end]).to_lowercase();
    let status = head.lines().next().and_then(|line| line.split_once(' ')).expect("a status line").1.into();
    let kind =
        head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or("text/plain").into();
    let body = &reply[end + 4..];
    let body = if head.contains("transfer-encoding: chunked") { unchunked(body) } else { body.to_vec() };
    let body = match Route::LookUp.is_of(&String::from_utf8_lossy(line)) {
        true => String::from_utf8_lossy(&body).replace(upstream, ours).into_bytes(),
        false => body,
    };
    Good { status, kind, body }
}

fn unchunked(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = chunks.windows(2).position(|two| two == b"\r\n").expect("a chunk");
        let length = std::str::from_utf8(&chunks[..end]).expect("a length");
        let length = usize::from_str_radix(length, 16).expect("a length");
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&chunks[end + 2..end + 2 + length]);
        chunks = &chunks[end + 2 + length + 2..];
    }
}

/// A server whose providers all stand behind plain sockets.
pub(super) struct Bench {
    pub(super) world: World,
    pub(super) server: Process,
    aims: Aims,
    _sockets: Vec<Listening>,
}

impl Bench {
    /// No circuit opens, and a send that may have happened is held for long; `settings` may say otherwise.
    pub(super) async fn new(settings: &[(&str, &str)]) -> Self {
        let mut world =
            World::new().set("WHATSAPP_RECONCILE_MS", "20000").set("WHATSAPP_AMBIGUOUS_SEND", "hold");
        let aims = Aims { aims: Arc::default(), ended: watch::Sender::new(Vec::new()) };
        let sandbox = &world.sandbox;
        let upstreams = [
            ("WHATSAPP", sandbox.meta.base_url().to_owned(), ""),
            ("OPENAI", sandbox.openai.base_url().to_owned(), "/v1"),
            ("ELEVENLABS", sandbox.elevenlabs.base_url().to_owned(), ""),
        ];
        let mut sockets = Vec::new();
        for (provider, url, path) in upstreams {
            let upstream = url.trim_start_matches("http://").trim_end_matches(path).to_owned();
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let aims = aims.clone();
            let socket = Listening::on(listener, move |socket| aims.serve(socket, &upstream));
            world = world
                .set(&format!("{provider}_BASE_URL"), &format!("http://{}{path}", socket.address()))
                .set(&format!("{provider}_CIRCUIT_FAILURES"), "1000");
            sockets.push(socket);
        }
        world = settings.iter().fold(world, |world, (name, value)| world.set(name, value));
        let server = world.start().await;
        Self { world, server, aims, _sockets: sockets }
    }

    /// The next `times` requests of this route are spoiled.
    pub(super) fn aim(&self, route: Route, times: usize, spoil: &Spoil) {
        let aim = Aim { route, left: times, spoil: spoil.clone() };
        self.aims.aims.lock().expect("no poison").push(aim);
    }

    /// Nothing is aimed at any more, and all that was has been met.
    pub(super) fn has_met_all(&self) -> bool {
        let mut aims = self.aims.aims.lock().expect("no poison");
        aims.drain(..).all(|aim| aim.left == 0)
    }

    /// How all spoiled answers ended, once there are so many.
    pub(super) async fn ended(&self, count: usize) -> Vec<Ended> {
        let mut ended = self.aims.ended.subscribe();
        let enough = ended.wait_for(|all| all.len() >= count);
        let enough = tokio::time::timeout(PATIENCE, enough).await;
        enough
            .unwrap_or_else(|_| panic!("fewer than {count}: {:?}", self.aims.ended.borrow()))
            .unwrap()
            .clone()
    }

    /// A person says or writes what leads to this route; who, and the message's id.
    pub(super) fn ask(&self, route: Route) -> (String, String) {
        let phone = a_phone();
        let message = match route.is_spoken() {
            true => Inbound::voice(&phone, audio::say("ciao")),
            false => Inbound::text(&phone, "ciao"),
        };
        let id = self.world.sandbox.meta.deliver(message);
        (phone, id)
    }

    /// The codes of the attempts of this message that were followed by another, and of those that were the last.
    pub(super) fn codes(&self, id: &str) -> (Vec<String>, Vec<String>) {
        let codes = |event| {
            let lines = self.server.log.events(event);
            let lines = lines.iter().filter(|line| line["message_id"] == id);
            lines.map(|line| line["error_code"].as_str().expect("a code").to_owned()).collect()
        };
        (codes("http_retry"), codes("http_failed"))
    }

    /// A message that meets this once is answered all the same, by another attempt.
    pub(super) async fn is_tried_again(&self, route: Route, code: &str, spoil: &Spoil) {
        self.aim(route, 1, spoil);
        let (phone, id) = self.ask(route);
        self.server.log.wait_for("task_completed", &id).await;
        assert!(self.has_met_all(), "{route:?}");
        assert_eq!(self.codes(&id), (vec![code.to_owned()], vec![]), "{route:?}");
        self.got(&phone, route);
    }

    /// A message that meets this is answered with it, by one attempt.
    pub(super) async fn is_taken(&self, route: Route, spoil: &Spoil) {
        self.aim(route, 1, spoil);
        let (phone, id) = self.ask(route);
        self.server.log.wait_for("task_completed", &id).await;
        assert!(self.has_met_all(), "{route:?}");
        assert_eq!(self.codes(&id), (vec![], vec![]), "{route:?}");
        self.got(&phone, route);
    }

    /// A send that happened and whose answer is spoiled is known by its status, and made once.
    pub(super) async fn is_reconciled(&self, code: &str, spoil: &Spoil) {
        self.aim(Route::Send, 1, spoil);
        let (phone, id) = self.ask(Route::Send);
        self.server.log.wait_for("task_completed", &id).await;
        assert!(self.has_met_all());
        assert_eq!(self.codes(&id), (vec![], vec![code.to_owned()]));
        self.got(&phone, Route::Send);
        assert_eq!(self.world.sandbox.meta.look(|records| records.sends_to(&phone).count()), 2);
    }

    /// A send that never happened, for all that we know might have: it is not made again.
    pub(super) async fn is_uncertain(&self, code: &str, spoil: &Spoil) {
        self.aim(Route::Send, 1, spoil);
        let (phone, id) = self.ask(Route::Send);
        let dead = self.server.log.wait_for("message_dead_lettered", &id).await;
        assert_eq!(dead["error_code"], "uncertain");
        assert!(self.has_met_all());
        assert_eq!(self.codes(&id), (vec![], vec![code.to_owned()]));
        assert_eq!(self.world.sandbox.meta.answers_to(&phone), [persona_text("disclosure")]);
        assert_eq!(self.world.sandbox.meta.look(|records| records.sends_to(&phone).count()), 1);
    }

    /// This person was answered, once, and in kind.
    fn got(&self, phone: &str, route: Route) {
        let words = if route.is_spoken() { "[voice] echo: ciao" } else { "echo: ciao" };
        let got = self.world.sandbox.meta.answers_to(phone);
        assert_eq!(got, [persona_text("disclosure"), words.to_owned()], "{route:?}");
    }

    /// Nothing of what was met is left: the next message goes every way and back, at once.
    pub(super) async fn works(&self) {
        let (phone, id) = self.ask(Route::Upload);
        self.server.log.wait_for("task_completed", &id).await;
        assert_eq!(self.codes(&id), (vec![], vec![]));
        self.got(&phone, Route::Upload);
    }

    /// The same, and nobody got a word of it.
    pub(super) async fn end(self) {
        self.works().await;
        persons_got_no_errors(&self.world);
    }
}
