//! The local socket of an agent: only its owner can open it, and what is left of a dead agent is replaced.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::fs::Mode;

use crate::failure::Failure;
use crate::protocol::{Request, Response};

/// Bytes of one request at most: the longest payload, and six times as much for its control characters.
const REQUEST_BYTES_MAX: u64 = 1024 * 1024;
/// Callers served at one time; more are turned away.
const CALLERS_MAX: usize = 32;
/// A caller that says nothing for so long is let go.
const IDLE: Duration = Duration::from_secs(30);

/// A bound local socket. Its file goes with this value.
#[derive(Debug)]
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    /// Binds the socket with mode 0600. Call it before threads are started: the mask of file modes belongs to the
    /// process.
    pub(crate) fn bind(path: PathBuf) -> Result<Self, Failure> {
        if UnixStream::connect(&path).is_ok() {
            return Err(Failure::Refused(format!("an agent listens at {} already", path.display())));
        }
        remove_stale(&path)?;
        let before = rustix::process::umask(Mode::from_raw_mode(0o177));
        let bound = UnixListener::bind(&path);
        rustix::process::umask(before);
        match bound {
            Ok(listener) => Ok(Self { listener, path }),
            Err(error) => Err(Failure::Refused(format!("cannot listen at {}: {error}", path.display()))),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Answers callers on threads of their own, until the process ends. `answer` may say more to the caller before
    /// its last response; `written` hears of that once it is with the caller, or cannot reach it.
    pub(crate) fn serve(
        &self,
        answer: impl Fn(Request, &Caller<'_>) -> Response + Send + Sync + 'static,
        written: impl Fn(&Response) + Send + Sync + 'static,
    ) -> io::Result<()> {
        let listener = self.listener.try_clone()?;
        let server = Arc::new(Server { answer, written, callers: AtomicUsize::new(0) });
        let accept = move || {
            for stream in listener.incoming() {
                match stream {
                    Ok(stream) => server.admit(stream),
                    // Out of file descriptors, most likely; it passes when callers go.
                    Err(_) => thread::sleep(Duration::from_millis(100)),
                }
            }
        };
        thread::Builder::new().name("bruit-control".to_owned()).spawn(accept).map(drop)
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes a socket that nobody listens at; anything else at this place is not ours to remove.
fn remove_stale(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::FileTypeExt;
    match fs::symlink_metadata(path) {
        Ok(about) if about.file_type().is_socket() => fs::remove_file(path)
            .map_err(|error| Failure::Refused(format!("cannot replace {}: {error}", path.display()))),
        Ok(_) => Err(Failure::Refused(format!("{} is there and is no socket", path.display()))),
        Err(_) => Ok(()),
    }
}

struct Server<A, W> {
    answer: A,
    written: W,
    callers: AtomicUsize,
}

impl<A, W> Server<A, W>
where
    A: Fn(Request, &Caller<'_>) -> Response + Send + Sync + 'static,
    W: Fn(&Response) + Send + Sync + 'static,
{
    fn admit(self: &Arc<Self>, stream: UnixStream) {
        let before = self.callers.fetch_add(1, Ordering::Relaxed);
        let server = Arc::clone(self);
        let serve = move || {
            let _ = server.converse(&stream);
            server.callers.fetch_sub(1, Ordering::Relaxed);
        };
        let served = before < CALLERS_MAX
            && thread::Builder::new().name("bruit-caller".to_owned()).spawn(serve).is_ok();
        if !served {
            self.callers.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn converse(&self, stream: &UnixStream) -> io::Result<()> {
        stream.set_read_timeout(Some(IDLE))?;
        stream.set_write_timeout(Some(IDLE))?;
        let caller = Caller { stream };
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        loop {
            line.clear();
            if reader.by_ref().take(REQUEST_BYTES_MAX).read_line(&mut line)? == 0 || !line.ends_with('\n') {
                return Ok(());
            }
            let response = match serde_json::from_str(&line) {
                Ok(request) => (self.answer)(request, &caller),
                Err(error) => Response::Refused(format!("the request is not understood: {error}")),
            };
            let result = caller.say(&response);
            (self.written)(&response);
            result?;
        }
    }
}

/// Whoever has asked.
#[derive(Debug)]
pub(crate) struct Caller<'a> {
    stream: &'a UnixStream,
}

impl Caller<'_> {
    /// Says one thing.
    pub(crate) fn say(&self, response: &Response) -> io::Result<()> {
        let mut text = serde_json::to_string(response).map_err(io::Error::other)?;
        text.push('\n');
        let mut stream = self.stream;
        stream.write_all(text.as_bytes())
    }

    /// From now on it may take its time to read: what it misses is told.
    pub(crate) fn wait_for_it(&self) -> io::Result<()> {
        self.stream.set_write_timeout(None)
    }

    /// Whether it is still there, and has nothing else to ask.
    pub(crate) fn listens(&self) -> bool {
        let mut stream = self.stream;
        let silent = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
        stream.set_nonblocking(true).is_ok()
            && stream.read(&mut [0]).is_err_and(silent)
            && stream.set_nonblocking(false).is_ok()
    }
}
