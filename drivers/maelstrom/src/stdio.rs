//! Runs a node on stdin and stdout in real time. One thread reads lines, the other runs the [`Host`].

use std::io::{self, BufRead, Read, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

use bruit_core::Time;
use bruit_driver::Clock;

use crate::host::Host;
use crate::output::Output;

/// The most lines that wait for the node. Beyond it the reading thread waits, and with it the writer of the pipe.
const QUEUED_MAX: usize = 1_024;
/// The most lines taken before the timers have their turn.
const BATCH_MAX: usize = 256;
/// The longest line. The rest of a longer one is skipped.
const LINE_BYTES_MAX: usize = 8 << 20;

/// Runs the node until stdin ends or stdout is closed.
///
/// # Errors
/// Reading stdin or writing stdout fails for another reason.
pub fn run(mut host: Host) -> io::Result<()> {
    let (sender, lines) = mpsc::sync_channel(QUEUED_MAX);
    // The thread is not joined, because it may be blocked in a read; it ends with the process.
    thread::Builder::new().name("stdin".to_owned()).spawn(move || read(io::stdin().lock(), &sender))?;
    match serve(&mut host, &lines, io::stdout().lock()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        end => end,
    }
}

fn serve(host: &mut Host, lines: &Receiver<io::Result<Vec<u8>>>, mut stdout: impl Write) -> io::Result<()> {
    let clock = Clock::start();
    let mut out = Output::default();
    loop {
        let mut next = wait(lines, host.next_wake().map(|wake| wake.since(clock.now())));
        for _ in 0..BATCH_MAX {
            match next {
                Ok(line) => host.on_line(&line?, clock.now(), &mut out),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return write(&mut out, &mut stdout),
            }
            next = wait(lines, Some(Duration::ZERO));
        }
        if let Ok(line) = next {
            host.on_line(&line?, clock.now(), &mut out);
        }
        let now: Time = clock.now();
        if host.next_wake().is_some_and(|wake| wake <= now) {
            host.on_tick(now, &mut out);
        }
        write(&mut out, &mut stdout)?;
    }
}

fn wait(
    lines: &Receiver<io::Result<Vec<u8>>>,
    timeout: Option<Duration>,
) -> Result<io::Result<Vec<u8>>, RecvTimeoutError> {
    match timeout {
        Some(timeout) => lines.recv_timeout(timeout),
        None => lines.recv().map_err(|_| RecvTimeoutError::Disconnected),
    }
}

/// Writes the log to stderr and all lines to stdout. One write call for all lines keeps a line from being cut in two.
fn write(out: &mut Output, stdout: &mut impl Write) -> io::Result<()> {
    for text in &out.log {
        eprintln!("{text}");
    }
    let mut text = String::with_capacity(out.lines.iter().map(|line| line.len() + 1).sum());
    for line in &out.lines {
        text.push_str(line);
        text.push('\n');
    }
    out.clear();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Reads lines until the input ends, an error occurs, or the receiver is dropped.
fn read(mut input: impl BufRead, lines: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let line = match read_line(&mut input) {
            Ok(Some(line)) => Ok(line),
            Ok(None) => return,
            Err(error) => Err(error),
        };
        let is_last = line.is_err();
        if lines.send(line).is_err() || is_last {
            return;
        }
    }
}

/// Reads the next line without its end. A line that is too long is cut to its beginning, which is not a message.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let limit = LINE_BYTES_MAX as u64;
    if input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() == LINE_BYTES_MAX {
        line.truncate(64);
        input.skip_until(b'\n')?;
    }
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_the_input_and_long_ones_are_cut() {
        let mut text = b"one\n\ntwo\n".to_vec();
        text.extend(vec![b'x'; LINE_BYTES_MAX + 5]);
        text.extend(b"\nthree");
        let mut input = text.as_slice();
        let mut lines = Vec::new();
        while let Some(line) = read_line(&mut input).expect("a slice can be read") {
            lines.push(String::from_utf8(line).expect("text"));
        }
        assert_eq!(lines, ["one", "", "two", "x".repeat(64).as_str(), "three"]);
    }
}
