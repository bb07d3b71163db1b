//! The running member: it prints its notices, answers over its local socket, and leaves when it is asked to end.

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
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::answer::Answerer;
use crate::cli::{AgentArgs, Kinds};
use crate::config;
use crate::control::{Caller, Control};
use crate::failure::Failure;
use crate::hub::Hub;
use crate::lines::{Line, Printer, line};
use crate::paths;
use crate::protocol::{Reply, Request, Response};

/// The longest time that Ctrl-C waits for the other members to acknowledge the leave.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);
/// The longest time that the agent waits at its end for the last lines to be printed.
const PRINT_WITHIN: Duration = Duration::from_secs(1);
/// The most traced datagrams that wait to be printed.
const TRACE_LINES_MAX: usize = 1_024;
/// The exit code after a second Ctrl-C, which is the one that shells use.
const INTERRUPTED: i32 = 130;

/// A multicast group, and the interface on which it is used.
type Group = (SocketAddr, Option<Interface>);

/// The reason why the agent ends.
#[derive(Debug)]
enum End {
    /// A signal arrived.
    Signal,
    /// `bruit leave` has ended, and its answer was sent.
    Left,
    /// The node has stopped by itself, for this reason.
    Stopped(String),
}

/// Runs a member until a signal, `bruit leave`, or the node's own stop.
pub(crate) fn run(args: &AgentArgs, control: Option<PathBuf>, json: bool) -> Result<(), Failure> {
    let mut config = config::load(&args.config)?;
    let multicast = multicast(args, &mut config)?;
    let name = args.name.clone().unwrap_or_else(|| default_name(&args.bind));
    let path = control.map_or_else(|| paths::default_socket(&config.cluster, &name), Ok)?;
    let control = Control::bind(path)?;
    let signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(Failure::refused)?;
    let (bruit, notices) = start(args, &name, config, multicast)?;
    let printer = Printer { name, json };
    listening(&bruit, &control, &printer);
    trace(&bruit, &args.trace, printer.clone()).map_err(Failure::refused)?;
    let (ends, ended) = channel();
    let hub = Arc::new(Hub::default());
    let printed = print_notices(bruit.clone(), &hub, printer).map_err(Failure::refused)?;
    pass_notices(notices, Arc::clone(&hub), ends.clone()).map_err(Failure::refused)?;
    watch_signals(signals, ends.clone()).map_err(Failure::refused)?;
    serve(&control, &bruit, hub, &args.join, ends).map_err(Failure::refused)?;
    bruit.join(&args.join).map_err(|error| {
        let usage = matches!(error, JoinError::BadSeed(_));
        if usage { Failure::Usage(format!("--join: {error}")) } else { Failure::refused(error) }
    })?;
    let result = end(&bruit, &ended);
    // The printing thread closes the channel when it has ended.
    let _ = printed.recv_timeout(PRINT_WITHIN);
    result
}

/// The multicast group to receive from, and its interface. If broadcasts are multicast and the settings name no group,
/// they go to this one.
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
            usage(format!("--multicast is {group}, but broadcast.first says {other}"))
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
    for (key, value) in &args.tag {
        builder = builder.tag(key, value);
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
        if usage { Failure::usage(error) } else { Failure::refused(error) }
    })
}

/// A name made of the host's name and the port, so that two agents on one machine differ.
fn default_name(bind: &str) -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    match bind.rsplit_once(':') {
        Some((_, port)) if port != "0" => format!("{host}-{port}"),
        _ => format!("{host}-{}", process::id()),
    }
}

fn listening(bruit: &Bruit, control: &Control, printer: &Printer) {
    let (id, addr, epoch) =
        (bruit.id().to_string(), bruit.local_addr(), bruit.read(|node| node.incarnation().epoch));
    let socket = control.path().display().to_string();
    let text = format!("on {addr}, local socket {socket}");
    let name = &printer.name;
    let fields =
        json!({ "addr": addr, "name": name, "id": id, "epoch": epoch.to_string(), "control": socket });
    printer.print(&Line::new("listening", text, fields), bruit.clock().now());
}

/// Prints traced datagrams on a thread of their own, because tracing runs on the node's thread, and output that is read
/// slowly must not delay the node. Datagrams that cannot be printed in time are left out.
fn trace(bruit: &Bruit, words: &[Kinds], printer: Printer) -> io::Result<()> {
    let kinds: Vec<_> = words.iter().flat_map(|word| word.0.iter().copied()).collect();
    if kinds.is_empty() {
        return Ok(());
    }
    let (sender, lines) = sync_channel(TRACE_LINES_MAX);
    let print = move || {
        for (at, text) in lines {
            let fields = json!({ "text": text });
            printer.print(&Line::new("trace", text, fields), at);
        }
    };
    thread::Builder::new().name("bruit-trace".to_owned()).spawn(print)?;
    bruit.trace(kinds, move |traced| drop(sender.try_send((traced.at, traced.to_string()))));
    Ok(())
}

/// Prints the notices on a thread of its own, so that output that is read slowly does not delay other readers.
fn print_notices(bruit: Bruit, hub: &Hub, printer: Printer) -> io::Result<Receiver<()>> {
    let (printing, printed) = channel();
    let notices = hub.read(|_| true).expect("it is the first reader");
    let print = move || {
        let _printing = printing;
        for notice in notices {
            let name = |id| bruit.read(|node| node.member(id).map(|member| member.name.into_owned()));
            printer.print(&line(&notice, |id| name(id).unwrap_or_default()), bruit.clock().now());
        }
    };
    thread::Builder::new().name("bruit-print".to_owned()).spawn(print)?;
    Ok(printed)
}

/// Passes the notices on to the hub, and ends the agent at a notice that says so.
fn pass_notices(notices: Notices, hub: Arc<Hub>, ends: Sender<End>) -> io::Result<()> {
    let pass = move || {
        let mut departed = false;
        for notice in notices {
            departed |= matches!(notice, DriverNotice::Node(Notice::Departed { .. }));
            hub.pass(&notice);
            if let Some(end) = end_of(&notice) {
                let _ = ends.send(end);
            }
        }
        hub.end();
        // After a leave, the thread that asked for it decides how the agent ends.
        if !departed {
            let _ = ends.send(End::Stopped("the node has stopped".to_owned()));
        }
    };
    thread::Builder::new().name("bruit-notices".to_owned()).spawn(pass).map(drop)
}

/// The end that a notice means for the agent.
fn end_of(notice: &DriverNotice) -> Option<End> {
    match notice {
        DriverNotice::Node(Notice::Removed) => {
            Some(End::Stopped("an operator has removed this member".to_owned()))
        }
        DriverNotice::Node(Notice::IdentityConflict { stopped: true, other }) => Some(End::Stopped(format!(
            "another process has this member's id, and goes on (boot {other:016x})"
        ))),
        DriverNotice::Node(Notice::NameTaken { addr, .. }) => {
            Some(End::Stopped(format!("{addr} has this member's id, and goes on")))
        }
        DriverNotice::Node(_) | DriverNotice::Trouble(_) | DriverNotice::Lagged { .. } => None,
    }
}

/// Ends the agent at the first signal, and the process at the second.
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
    let answerer =
        Answerer { bruit: bruit.clone(), given: Mutex::new(Vec::new()), hub, changing_tags: Mutex::new(()) };
    answerer.note(seeds.to_vec());
    let ends = Mutex::new(ends);
    let written = move |response: &Response| {
        if matches!(response, Response::Ok(Reply::Left { .. })) {
            let _ = ends.lock().unwrap_or_else(PoisonError::into_inner).send(End::Left);
        }
    };
    control.serve(move |request: Request, caller: &Caller<'_>| answerer.answer(request, caller), written)
}

/// Waits for a reason to end, and ends the node accordingly.
fn end(bruit: &Bruit, ended: &Receiver<End>) -> Result<(), Failure> {
    match ended.recv() {
        Ok(End::Signal) => {
            // It is refused if the node is leaving already or has stopped, and is not needed then.
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
