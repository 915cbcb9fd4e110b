//! One sandbox: up to five listeners in an actix system of their own, and the handles to them.

use std::io;
use std::net::TcpListener;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use actix_web::dev::Server;
use tokio::sync::{mpsc, oneshot};

use crate::elevenlabs::ElevenLabs;
use crate::happening::Witness;
use crate::http::bind;
use crate::meta::{Engine, Meta};
use crate::openai::OpenAi;
use crate::options::Options;
use crate::phone::{Board, Page, Status};

/// A running sandbox. Dropping it closes all its ports and connections.
#[derive(Debug)]
pub struct Sandbox {
    /// The stand-in of Meta.
    pub meta: Meta,
    /// The stand-in of OpenAI.
    pub openai: OpenAi,
    /// The stand-in of ElevenLabs.
    pub elevenlabs: ElevenLabs,
    /// Where the phone page is, if there is one.
    pub page_url: Option<String>,
    /// Someone on the page wants the server killed, now and without mercy. Never comes if there is no page.
    pub kill: mpsc::Receiver<()>,
    board: Board,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sandbox {
    /// Binds 127.0.0.1 and serves; everything can be called when it returns.
    ///
    /// # Errors
    /// If a port that was asked for is taken, or the thread cannot be started.
    pub fn start(mut options: Options) -> io::Result<Self> {
        let meta_listener = bind(options.meta.port)?;
        let media_listener = bind(None)?;
        let openai_listener = bind(options.openai.port)?;
        let elevenlabs_listener = bind(options.elevenlabs.port)?;
        let page_listener = options.page.map(|page| bind(page.port)).transpose()?;
        let page_url = page_listener.as_ref().map(url).transpose()?;

        // A human being who looks at the page plays voice notes, or does not.
        options.meta.plays &= page_url.is_none();
        let board = Board::new();
        let witness = if page_url.is_some() { board.witness() } else { Witness::default() };
        let origins = (url(&meta_listener)?, url(&media_listener)?);
        let (meta, engine) = Meta::new(options.meta, origins, options.fast, witness.clone());
        let openai_url = format!("{}/v1", url(&openai_listener)?);
        let openai = OpenAi::new(options.openai, &openai_url, options.fast, witness.clone());
        let elevenlabs_url = url(&elevenlabs_listener)?;
        let elevenlabs = ElevenLabs::new(options.elevenlabs, &elevenlabs_url, options.fast, witness);
        // One wish is enough: the server can only be killed once.
        let (killer, kill) = mpsc::channel(1);
        let page = page_listener.map(|listener| {
            let stand_ins = (meta.clone(), openai.clone(), elevenlabs.clone());
            (Page::new(board.clone(), stand_ins, killer), listener)
        });

        let (stop, stopped) = oneshot::channel();
        let (ready, started) = sync_channel(1);
        let parts = Parts {
            meta: (engine, meta_listener, media_listener),
            openai: (openai.clone(), openai_listener),
            elevenlabs: (elevenlabs.clone(), elevenlabs_listener),
            page,
        };
        let thread = thread::Builder::new()
            .name("sandbox".into())
            .spawn(move || actix_rt::System::new().block_on(parts.run(&ready, stopped)))?;
        started.recv().map_err(|_| io::Error::other("the sandbox's thread has ended"))??;
        Ok(Self { meta, openai, elevenlabs, page_url, kill, board, stop: Some(stop), thread: Some(thread) })
    }

    /// Tells the phone page how the server is.
    pub fn server_is(&self, status: Status) {
        self.board.server_is(status);
    }

    /// Ends it, as dropping does.
    pub fn stop(self) {}
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Fails only if the thread has ended by itself.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// What the thread runs.
struct Parts {
    /// With its own listener and that of the other host of media.
    meta: (Engine, TcpListener, TcpListener),
    openai: (OpenAi, TcpListener),
    elevenlabs: (ElevenLabs, TcpListener),
    page: Option<(Page, TcpListener)>,
}

impl Parts {
    async fn run(self, ready: &SyncSender<io::Result<()>>, stopped: oneshot::Receiver<()>) {
        let servers = match self.start() {
            Ok(servers) => servers,
            Err(error) => {
                // Nobody listens only if the starting thread has gone.
                let _ = ready.send(Err(error));
                return;
            }
        };
        let handles: Vec<_> = servers.iter().map(Server::handle).collect();
        servers.into_iter().for_each(|server| drop(actix_rt::spawn(server)));
        let _ = ready.send(Ok(()));
        let _ = stopped.await;
        for handle in handles {
            handle.stop(false).await;
        }
    }

    fn start(self) -> io::Result<Vec<Server>> {
        let mut servers = Vec::from(self.meta.0.start(self.meta.1, self.meta.2)?);
        servers.push(self.openai.0.start(self.openai.1)?);
        servers.push(self.elevenlabs.0.start(self.elevenlabs.1)?);
        if let Some((page, listener)) = self.page {
            servers.push(page.start(listener)?);
        }
        Ok(servers)
    }
}

fn url(listener: &TcpListener) -> io::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}
