//! The running member: it prints what changes, answers over its local socket, and leaves when it is asked to end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use std::{io, process};

use bruit_udp::core::{Config, NodeId, Notice, broadcast::FirstPhase};
use bruit_udp::{Bruit, Builder, DriverNotice, Interface, JoinError, JournalSettings, Notices, StartError};
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::answer::Answerer;
use crate::cli::{AgentArgs, Kinds};
use crate::config;
use crate::control::{Caller, Control};
use crate::failure::Failure;
use crate::hub::Hub;
use crate::lines::{Line, line};
use crate::paths;
use crate::protocol::{Reply, Request, Response};

/// How long Ctrl-C waits for the others to know.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);
/// How long the last lines may take to be read by whoever reads our output.
const PRINT_WITHIN: Duration = Duration::from_secs(1);
/// Traced datagrams that wait to be printed.
const TRACE_LINES_MAX: usize = 1_024;
/// The exit code of a second Ctrl-C, as shells give it.
const INTERRUPTED: i32 = 130;

/// A multicast group, and where it is meant.
type Group = (SocketAddr, Option<Interface>);

/// Why the agent ends.
#[derive(Debug)]
enum End {
    /// A signal.
    Signal,
    /// `bruit leave`, and its answer is written.
    Left,
    /// The node has stopped by itself.
    Stopped(String),
}

pub(crate) fn run(args: &AgentArgs, control: Option<PathBuf>, json: bool) -> Result<(), Failure> {
    let mut config = config::load(&args.config)?;
    let multicast = multicast(args, &mut config)?;
    let name = args.name.clone().unwrap_or_else(|| default_name(&args.bind));
    let path = control.map_or_else(|| paths::default_socket(&config.cluster, &name), Ok)?;
    let control = Control::bind(path)?;
    let signals = Signals::new([SIGINT, SIGTERM]).map_err(Failure::refused)?;
    let (bruit, notices) = start(args, &name, config, multicast)?;
    listening(&bruit, &name, &control, json);
    trace(&bruit, &args.trace, json).map_err(Failure::refused)?;
    let (ends, ended) = channel();
    let hub = Arc::new(Hub::default());
    let printed = print_news(bruit.clone(), &hub, json).map_err(Failure::refused)?;
    pass_news(notices, Arc::clone(&hub), ends.clone()).map_err(Failure::refused)?;
    watch_signals(signals, ends.clone()).map_err(Failure::refused)?;
    serve(&control, &bruit, hub, &args.join, ends).map_err(Failure::refused)?;
    bruit.join(&args.join).map_err(|error| {
        let usage = matches!(error, JoinError::BadSeed(_));
        if usage { Failure::Usage(format!("--join: {error}")) } else { Failure::refused(error) }
    })?;
    let result = end(&bruit, &ended);
    // It ends by closing the channel.
    let _ = printed.recv_timeout(PRINT_WITHIN);
    result
}

/// The group to hear and the interface; broadcasts go to it if they are multicast, and say no other.
fn multicast(args: &AgentArgs, config: &mut Config) -> Result<Option<Group>, Failure> {
    let configured = match &mut config.broadcast.first {
        FirstPhase::Multicast { group } => {
            *group = group.or(args.multicast);
            *group
        }
        FirstPhase::None | FirstPhase::Push { .. } | FirstPhase::Tree { .. } => None,
    };
    let usage = |text: String| Err(Failure::Usage(text));
    match (args.multicast.or(configured), configured) {
        (Some(group), Some(other)) if group != other => {
            usage(format!("--multicast is {group}, but broadcasts go to {other}, which broadcast.first says"))
        }
        (Some(group), _) => Ok(Some((group, args.interface))),
        (None, _) if args.interface.is_some() => usage("--interface needs a multicast group".to_owned()),
        (None, _) => Ok(None),
    }
}

fn start(
    args: &AgentArgs,
    name: &str,
    config: Config,
    multicast: Option<Group>,
) -> Result<(Bruit, Notices), Failure> {
    let mut builder = Builder::new(name, config).zone(&args.zone).meta(args.meta.as_bytes());
    if let Some(id) = args.id {
        builder = builder.id(NodeId(id));
    }
    if let Some(addr) = args.advertise {
        builder = builder.advertise(addr);
    }
    if let Some(dir) = &args.state {
        builder = builder.state_dir(dir);
    }
    if let Some(dir) = &args.journal {
        builder = builder.journal(JournalSettings::new(dir));
    }
    if let Some(file) = &args.peers_file {
        builder = builder.peers_file(file);
    }
    if let Some((group, interface)) = multicast {
        builder = builder.multicast(group, interface);
    }
    builder.start(&args.bind).map_err(|error| {
        if matches!(error, StartError::NoStateDir) {
            return Failure::Usage(format!("{error}: give --state DIR"));
        }
        let usage = matches!(error, StartError::Config(_) | StartError::Address { .. });
        if usage { Failure::Usage(error.to_string()) } else { Failure::refused(error) }
    })
}

/// The host's name and the port, so that two agents of one machine differ.
fn default_name(bind: &str) -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    match bind.rsplit_once(':') {
        Some((_, port)) if port != "0" => format!("{host}-{port}"),
        _ => format!("{host}-{}", process::id()),
    }
}

fn listening(bruit: &Bruit, name: &str, control: &Control, json: bool) {
    let (id, addr, epoch) =
        (bruit.id().to_string(), bruit.local_addr(), bruit.read(|node| node.incarnation().epoch));
    let socket = control.path().display().to_string();
    let text = format!("on {addr} as {name} ({id}), epoch {epoch}, asked at {socket}");
    let fields =
        json!({ "addr": addr, "name": name, "id": id, "epoch": epoch.to_string(), "control": socket });
    Line::new("listening", text, fields).print(bruit.clock().now(), json);
}

/// Prints traced datagrams on a thread of their own: the hook runs on the node's thread, and a reader of our
/// output that pauses must not pause the node. What it cannot take in time is left out.
fn trace(bruit: &Bruit, words: &[Kinds], json: bool) -> io::Result<()> {
    let kinds: Vec<_> = words.iter().flat_map(|word| word.0.iter().copied()).collect();
    if kinds.is_empty() {
        return Ok(());
    }
    let (sender, lines) = sync_channel(TRACE_LINES_MAX);
    let print = move || {
        for (at, text) in lines {
            let fields = json!({ "text": text });
            Line::new("trace", text, fields).print(at, json);
        }
    };
    thread::Builder::new().name("bruit-trace".to_owned()).spawn(print)?;
    bruit.trace(kinds, move |traced| drop(sender.try_send((traced.at, traced.to_string()))));
    Ok(())
}

/// Prints what the node says, on a thread of its own: output that nobody reads holds up nobody else who listens.
fn print_news(bruit: Bruit, hub: &Hub, json: bool) -> io::Result<Receiver<()>> {
    let (printing, printed) = channel();
    let news = hub.read(|_| true).expect("it is the first to read");
    let print = move || {
        let _printing = printing;
        for news in news {
            let name = |id| bruit.read(|node| node.member(id).map(|member| member.name.into_owned()));
            line(&news, |id| name(id).unwrap_or_default()).print(bruit.clock().now(), json);
        }
    };
    thread::Builder::new().name("bruit-print".to_owned()).spawn(print)?;
    Ok(printed)
}

/// Passes the news on to all who read them, and notices what ends the agent.
fn pass_news(notices: Notices, hub: Arc<Hub>, ends: Sender<End>) -> io::Result<()> {
    let pass = move || {
        let mut departed = false;
        for news in notices {
            departed |= matches!(news, DriverNotice::Node(Notice::Departed { .. }));
            hub.pass(&news);
            if let Some(end) = end_of(&news) {
                let _ = ends.send(end);
            }
        }
        hub.end();
        // Whoever made it leave says how the agent ends.
        if !departed {
            let _ = ends.send(End::Stopped("the node has stopped".to_owned()));
        }
    };
    thread::Builder::new().name("bruit-news".to_owned()).spawn(pass).map(drop)
}

fn end_of(news: &DriverNotice) -> Option<End> {
    match news {
        DriverNotice::Node(Notice::Removed) => {
            Some(End::Stopped("an operator has removed this member".to_owned()))
        }
        DriverNotice::Node(Notice::IdentityConflict { stopped: true, .. }) => {
            Some(End::Stopped("another process lives under this id, and goes on".to_owned()))
        }
        DriverNotice::Node(_) | DriverNotice::Trouble(_) | DriverNotice::Lagged { .. } => None,
    }
}

/// The first signal asks, the second insists.
fn watch_signals(mut signals: Signals, ends: Sender<End>) -> io::Result<()> {
    let watch = move || {
        for (count, _) in signals.forever().enumerate() {
            if count > 0 {
                process::exit(INTERRUPTED);
            }
            let _ = ends.send(End::Signal);
        }
    };
    thread::Builder::new().name("bruit-signals".to_owned()).spawn(watch).map(drop)
}

fn serve(
    control: &Control,
    bruit: &Bruit,
    hub: Arc<Hub>,
    seeds: &[String],
    ends: Sender<End>,
) -> io::Result<()> {
    let answerer = Answerer { bruit: bruit.clone(), given: Mutex::new(Vec::new()), hub };
    answerer.note(seeds.to_vec());
    let ends = Mutex::new(ends);
    let written = move |response: &Response| {
        if matches!(response, Response::Ok(Reply::Left { .. })) {
            let _ = ends.lock().unwrap_or_else(PoisonError::into_inner).send(End::Left);
        }
    };
    control.serve(move |request: Request, caller: &Caller<'_>| answerer.answer(request, caller), written)
}

/// Waits for a reason to end, and ends the node in that way.
fn end(bruit: &Bruit, ended: &Receiver<End>) -> Result<(), Failure> {
    match ended.recv() {
        Ok(End::Signal) => {
            // A node that is leaving already, or has stopped, needs no second goodbye.
            let _ = bruit.leave(LEAVE_WITHIN);
            bruit.stop();
            Ok(())
        }
        Ok(End::Left) => {
            bruit.stop();
            Ok(())
        }
        Ok(End::Stopped(reason)) => {
            bruit.stop();
            Err(Failure::Refused(reason))
        }
        Err(_) => Err(Failure::Refused("the agent's threads have ended".to_owned())),
    }
}
