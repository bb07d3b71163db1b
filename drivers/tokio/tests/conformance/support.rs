//! The handles of both drivers behind one type, so that a scenario does not know which driver it runs on.

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bruit_tokio::core::wire::Kind as MessageKind;
use bruit_tokio::{
    Answer, Broadcast, BroadcastConfig, Command, Config, DriverNotice, DriverStats, Interface, JoinError,
    JournalSettings, Member, MemberChange, MessageId, NodeId, Notice, RecvError, Rejected, Source,
    StartError, Stats, Status, Traced, View,
};
use tokio::runtime;
use tokio::sync::oneshot;

/// Longer than anything here takes, even on a machine that is busy with something else.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// The driver that a node runs on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Udp,
    /// A runtime with one thread.
    TokioOne,
    /// A runtime with several threads.
    TokioMany,
}

/// The settings of a node that scenarios choose.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) journal: Option<JournalSettings>,
    pub(crate) peers_file: Option<PathBuf>,
    pub(crate) notices_max: Option<usize>,
    pub(crate) multicast: Option<(SocketAddr, Option<Interface>)>,
    pub(crate) broadcast: Option<BroadcastConfig>,
}

pub(crate) fn config() -> Config {
    let mut config = Config::local("conformance");
    config.membership.probe_interval = Duration::from_millis(200);
    config.membership.probe_timeout = Duration::from_millis(80);
    config
}

/// The builder of either driver, with the settings that `$options` gives.
macro_rules! builder {
    ($driver:ident, $name:expr, $options:expr) => {{
        let mut config = config();
        if let Some(broadcast) = $options.broadcast {
            config.broadcast = broadcast;
        }
        let mut builder = $driver::Builder::new($name, config);
        if let Some(dir) = $options.state_dir {
            builder = builder.state_dir(dir);
        }
        if let Some(settings) = $options.journal {
            builder = builder.journal(settings);
        }
        if let Some(path) = $options.peers_file {
            builder = builder.peers_file(path);
        }
        if let Some(max) = $options.notices_max {
            builder = builder.notices_max(max);
        }
        if let Some((group, interface)) = $options.multicast {
            builder = builder.multicast(group, interface);
        }
        builder
    }};
}

impl Kind {
    pub(crate) fn start_at(self, addr: &str, name: &str, options: Options) -> Result<Node, StartError> {
        let runtime = match self {
            Self::Udp => {
                let (bruit, notices) = builder!(bruit_udp, name, options).start(addr)?;
                return Ok(Node::Udp { bruit, notices });
            }
            Self::TokioOne => runtime::Builder::new_current_thread(),
            Self::TokioMany => runtime::Builder::new_multi_thread(),
        };
        let host = Host::start(runtime);
        let (bruit, notices) = host.handle.block_on(builder!(bruit_tokio, name, options).start(addr))?;
        Ok(Node::Tokio { bruit, notices, host })
    }

    #[track_caller]
    pub(crate) fn start_with(self, name: &str, options: Options) -> Node {
        self.start_at("127.0.0.1:0", name, options).expect("it starts")
    }

    #[track_caller]
    pub(crate) fn start(self, name: &str) -> Node {
        self.start_with(name, Options::default())
    }
}

/// A running node on either driver, and the reader of its notices.
pub(crate) enum Node {
    Udp { bruit: bruit_udp::Bruit, notices: bruit_udp::Notices },
    // The handle is dropped before the runtime that its node runs on.
    Tokio { bruit: bruit_tokio::Bruit, notices: bruit_tokio::Notices, host: Host },
}

/// Evaluates an expression on the handle of either driver.
macro_rules! on_either {
    ($node:expr, $bruit:ident => $call:expr) => {
        match $node {
            Node::Udp { bruit: $bruit, .. } => $call,
            Node::Tokio { bruit: $bruit, .. } => $call,
        }
    };
}

/// The methods that both handles have.
impl Node {
    pub(crate) fn local_addr(&self) -> SocketAddr {
        on_either!(self, bruit => bruit.local_addr())
    }

    pub(crate) fn id(&self) -> NodeId {
        on_either!(self, bruit => bruit.id())
    }

    pub(crate) fn join(&self, seeds: impl IntoIterator<Item = impl ToString>) -> Result<(), JoinError> {
        on_either!(self, bruit => bruit.join(seeds))
    }

    pub(crate) fn broadcast(
        &self,
        topic: impl Into<String>,
        payload: impl Into<Vec<u8>>,
    ) -> Result<MessageId, Rejected> {
        on_either!(self, bruit => bruit.broadcast(topic, payload))
    }

    pub(crate) fn submit(&self, broadcast: Broadcast) -> Result<MessageId, Rejected> {
        on_either!(self, bruit => bruit.submit(broadcast))
    }

    pub(crate) fn recent(&self, topic: &str) -> Vec<(MessageId, Vec<u8>)> {
        on_either!(self, bruit => bruit.recent(topic))
    }

    pub(crate) fn members(&self) -> Vec<Member<'static>> {
        on_either!(self, bruit => bruit.members())
    }

    pub(crate) fn view(&self) -> Arc<View> {
        on_either!(self, bruit => bruit.view())
    }

    pub(crate) fn set_meta(&self, meta: &[u8]) -> Result<(), Rejected> {
        on_either!(self, bruit => bruit.set_meta(meta))
    }

    pub(crate) fn set_tags<const N: usize>(&self, tags: [(&str, &str); N]) -> Result<(), Rejected> {
        on_either!(self, bruit => bruit.set_tags(tags))
    }

    pub(crate) fn command(&self, command: Command) -> Result<Answer, Rejected> {
        on_either!(self, bruit => bruit.command(command))
    }

    pub(crate) fn read<R>(&self, read: impl FnOnce(&bruit_tokio::Node) -> R) -> R {
        on_either!(self, bruit => bruit.read(read))
    }

    pub(crate) fn stats(&self) -> Stats {
        on_either!(self, bruit => bruit.stats())
    }

    pub(crate) fn driver_stats(&self) -> DriverStats {
        on_either!(self, bruit => bruit.driver_stats())
    }

    pub(crate) fn status(&self) -> Status {
        on_either!(self, bruit => bruit.status())
    }

    pub(crate) fn is_stopped(&self) -> bool {
        on_either!(self, bruit => bruit.is_stopped())
    }

    pub(crate) fn sources(&self) -> Vec<Source> {
        on_either!(self, bruit => bruit.sources())
    }

    pub(crate) fn trace(
        &self,
        kinds: impl IntoIterator<Item = MessageKind>,
        show: impl Fn(&Traced<'_>) + Send + Sync + 'static,
    ) {
        on_either!(self, bruit => bruit.trace(kinds, show));
    }
}

/// The methods that wait: tokio's are awaited on the runtime of the node.
impl Node {
    pub(crate) fn joined(&self, within: Duration) -> bool {
        match self {
            Self::Udp { bruit, .. } => bruit.joined(within),
            Self::Tokio { bruit, host, .. } => host.handle.block_on(bruit.joined(within)),
        }
    }

    pub(crate) fn leave(&self, within: Duration) -> Result<bool, Rejected> {
        match self {
            Self::Udp { bruit, .. } => bruit.leave(within),
            Self::Tokio { bruit, host, .. } => host.handle.block_on(bruit.leave(within)),
        }
    }

    pub(crate) fn ping(&self, id: NodeId, addr: SocketAddr) -> Result<Option<Duration>, Rejected> {
        match self {
            Self::Udp { bruit, .. } => bruit.ping(id, addr),
            Self::Tokio { bruit, host, .. } => host.handle.block_on(bruit.ping(id, addr)),
        }
    }

    pub(crate) fn stop(&self) {
        match self {
            Self::Udp { bruit, .. } => bruit.stop(),
            Self::Tokio { bruit, host, .. } => host.handle.block_on(bruit.stop()),
        }
    }

    pub(crate) fn views(&self) -> Views {
        match self {
            Self::Udp { bruit, .. } => Views::Udp(bruit.views()),
            Self::Tokio { bruit, host, .. } => Views::Tokio(bruit.views(), host.handle.clone()),
        }
    }

    pub(crate) fn recv(&mut self, within: Duration) -> Result<DriverNotice, RecvError> {
        match self {
            Self::Udp { notices, .. } => notices.recv_timeout(within),
            Self::Tokio { notices, host, .. } => {
                let received =
                    host.handle.block_on(async { tokio::time::timeout(within, notices.recv()).await });
                received.map_err(|_| RecvError::Timeout)?.ok_or(RecvError::Ended)
            }
        }
    }

    pub(crate) fn try_recv(&mut self) -> Option<DriverNotice> {
        match self {
            Self::Udp { notices, .. } => notices.try_recv(),
            Self::Tokio { notices, .. } => notices.try_recv(),
        }
    }
}

/// The views of either driver.
pub(crate) enum Views {
    Udp(bruit_udp::Views),
    Tokio(bruit_tokio::Views, runtime::Handle),
}

impl Views {
    pub(crate) fn next(&mut self) -> Option<Arc<View>> {
        match self {
            Self::Udp(views) => views.next(),
            Self::Tokio(views, handle) => handle.block_on(views.next()),
        }
    }
}

/// A runtime that is driven on a thread of its own.
pub(crate) struct Host {
    handle: runtime::Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    fn start(mut builder: runtime::Builder) -> Self {
        let runtime = builder.worker_threads(2).enable_all().build().expect("a runtime");
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || drop(runtime.block_on(stopped)));
        Self { handle, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.stop.take());
        let thread = self.thread.take().expect("it is taken here alone");
        assert!(thread.join().is_ok(), "the runtime's thread panicked");
    }
}

/// Checks again and again until the condition holds.
#[track_caller]
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < SOON, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[track_caller]
pub(crate) fn wait(node: &mut Node, what: &str, mut wanted: impl FnMut(&Notice<'_>) -> bool) {
    let started = Instant::now();
    loop {
        let left = SOON.checked_sub(started.elapsed()).unwrap_or_default();
        match node.recv(left) {
            Ok(DriverNotice::Node(notice)) if wanted(&notice) => return,
            Ok(_) => {}
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

#[track_caller]
pub(crate) fn wait_change(node: &mut Node, id: NodeId, change: MemberChange) {
    wait(
        node,
        &format!("{id} {change:?}"),
        |notice| matches!(notice, Notice::Member { change: changed, member } if member.id == id && *changed == change),
    );
}

/// Three nodes of these kinds that all know each other.
#[track_caller]
pub(crate) fn three(kinds: [Kind; 3]) -> [Node; 3] {
    three_with(kinds, &Options::default())
}

#[track_caller]
pub(crate) fn three_with(kinds: [Kind; 3], options: &Options) -> [Node; 3] {
    let mut names = ["a", "b", "c"].into_iter();
    let nodes = kinds.map(|kind| kind.start_with(names.next().expect("three names"), options.clone()));
    let seed = nodes[0].local_addr();
    for node in &nodes {
        node.join([seed]).expect("joins");
    }
    for node in &nodes {
        assert!(node.joined(SOON));
        until("all are members", || node.status().members == 3);
    }
    nodes
}

/// A port that no other UDP socket of this machine uses at the moment, whatever its address.
pub(crate) fn spare_port() -> u16 {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("bound");
    socket.local_addr().expect("it has an address").port()
}
