//! The local socket of an agent. Only its owner can open it, and the socket of an agent that has ended is replaced.

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

/// The most bytes of one request. It holds the longest payload even if JSON takes six bytes for each of its characters.
const REQUEST_BYTES_MAX: u64 = 1024 * 1024;
/// The most callers served at one time. Further ones are turned away.
const CALLERS_MAX: usize = 32;
/// A caller that sends no request for this time is disconnected.
const IDLE: Duration = Duration::from_secs(30);

/// A bound local socket. Dropping it removes its file.
#[derive(Debug)]
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    /// Binds the socket with mode 0600. Call it before threads are started, because it changes the mask of file modes
    /// of the whole process for a moment.
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

    /// Answers callers on threads of their own, until the process ends. `answer` returns the last response to a request
    /// and may send others before it. `written` is called once the last response was sent, or could not be.
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
                    // Most likely there are no file descriptors left. That passes when callers go.
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

/// Removes a socket without a listener. A file of another kind is not removed.
fn remove_stale(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::FileTypeExt;
    match fs::symlink_metadata(path) {
        Ok(about) if about.file_type().is_socket() => fs::remove_file(path)
            .map_err(|error| Failure::Refused(format!("cannot replace {}: {error}", path.display()))),
        Ok(_) => Err(Failure::Refused(format!("{} exists and is not a socket", path.display()))),
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
                Err(error) => Response::Refused(format!("cannot read the request: {error}")),
            };
            let result = caller.send(&response);
            (self.written)(&response);
            result?;
        }
    }
}

/// The caller that sent a request.
#[derive(Debug)]
pub(crate) struct Caller<'a> {
    stream: &'a UnixStream,
}

impl Caller<'_> {
    /// Sends one response.
    pub(crate) fn send(&self, response: &Response) -> io::Result<()> {
        let mut text = serde_json::to_string(response).map_err(io::Error::other)?;
        text.push('\n');
        let mut stream = self.stream;
        stream.write_all(text.as_bytes())
    }

    /// From now on, waits without limit for the caller to read. A listener that reads slowly is told what it misses.
    pub(crate) fn wait_without_limit(&self) -> io::Result<()> {
        self.stream.set_write_timeout(None)
    }

    /// True if the caller is still connected and has sent no further request.
    pub(crate) fn is_listening(&self) -> bool {
        let mut stream = self.stream;
        let silent = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
        stream.set_nonblocking(true).is_ok()
            && stream.read(&mut [0]).is_err_and(silent)
            && stream.set_nonblocking(false).is_ok()
    }
}
