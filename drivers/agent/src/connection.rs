//! The client's end of the local socket: finds the agent, sends it a request, and reads its answers.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::failure::Failure;
use crate::paths;
use crate::protocol::{Reply, Request, Response};

/// The time to wait for an answer, in addition to the time that the request itself may take.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Connects to the given socket, or else to the only one of this user's sockets that answers.
pub(crate) fn connect(control: Option<PathBuf>) -> Result<UnixStream, Failure> {
    if let Some(path) = control {
        let stream = UnixStream::connect(&path);
        return stream.map_err(|error| Failure::NoAgent(format!("no agent at {}: {error}", path.display())));
    }
    let sockets = paths::sockets();
    let mut live: Vec<(&Path, UnixStream)> =
        sockets.iter().filter_map(|path| Some((path.as_path(), UnixStream::connect(path).ok()?))).collect();
    if live.len() > 1 {
        let paths: Vec<_> = live.iter().map(|(path, _)| path.display().to_string()).collect();
        return Err(Failure::Usage(format!(
            "several agents of this user run here; choose one by --control: {}",
            paths.join(", ")
        )));
    }
    let only = live.pop().map(|(_, stream)| stream);
    only.ok_or_else(|| {
        Failure::NoAgent(format!("no agent of this user answers in {}", paths::directory().display()))
    })
}

/// A connected agent that was sent a request.
#[derive(Debug)]
pub(crate) struct Agent<'a> {
    stream: &'a UnixStream,
    reader: BufReader<&'a UnixStream>,
}

impl<'a> Agent<'a> {
    /// Sends a request.
    pub(crate) fn ask(stream: &'a UnixStream, request: &Request) -> Result<Self, Failure> {
        let mut line = serde_json::to_string(request).map_err(Failure::refused)?;
        line.push('\n');
        let mut writer = stream;
        writer.write_all(line.as_bytes()).map_err(lost)?;
        Ok(Self { stream, reader: BufReader::new(stream) })
    }

    /// Waits for the next reply for at most `within`, or without limit.
    pub(crate) fn reply(&mut self, within: Option<Duration>) -> Result<Reply, Failure> {
        self.stream.set_read_timeout(within).map_err(lost)?;
        let mut line = String::new();
        self.reader.read_line(&mut line).map_err(lost)?;
        if line.is_empty() {
            return Err(Failure::NoAgent("the agent closed the connection".to_owned()));
        }
        match serde_json::from_str(&line) {
            Ok(Response::Ok(reply)) => Ok(reply),
            Ok(Response::Refused(reason)) => Err(Failure::Refused(reason)),
            Err(error) => Err(Failure::Refused(format!("cannot read the agent's answer ({error})"))),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
fn lost(error: std::io::Error) -> Failure {
    Failure::NoAgent(format!("the agent did not answer: {error}"))
}
