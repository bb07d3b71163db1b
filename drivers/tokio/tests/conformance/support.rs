//! Both handles behind one trait, so that a scenario does not know which driver it runs on.

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bruit_core::{BroadcastConfig, Config, MemberChange, NodeId, Notice, Rejected};
use bruit_driver::udp::Running;
use bruit_driver::{JournalSettings, News, RecvError, StartError};
use bruit_tokio::Interface;
use tokio::runtime;
use tokio::sync::oneshot;

/// Longer than anything here takes, even on a machine that is busy with something else.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Which driver a node runs on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Udp,
    /// A runtime with one thread.
    TokioOne,
    /// A runtime with several.
    TokioMany,
}

/// What scenarios set about a node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) journal: Option<JournalSettings>,
    pub(crate) peers_file: Option<PathBuf>,
    pub(crate) notices_max: Option<usize>,
    pub(crate) multicast: Option<(SocketAddr, Option<Interface>)>,
    pub(crate) broadcast: Option<BroadcastConfig>,
}

/// A running node and the reader of its news.
pub(crate) trait Handle {
    fn running(&self) -> &Running;
    fn joined(&self, within: Duration) -> bool;
    fn leave(&self, within: Duration) -> Result<bool, Rejected>;
    fn ping(&self, id: NodeId, addr: SocketAddr) -> Result<Option<Duration>, Rejected>;
    fn stop(&self);
    fn recv(&mut self, within: Duration) -> Result<News, RecvError>;
    fn try_recv(&mut self) -> Option<News>;
}

pub(crate) fn config() -> Config {
    let mut config = Config::local("conformance");
    config.membership.probe_interval = Duration::from_millis(200);
    config.membership.probe_timeout = Duration::from_millis(80);
    config
}

/// The builder of either driver, with these settings.
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
    pub(crate) fn start_at(
        self,
        addr: &str,
        name: &str,
        options: Options,
    ) -> Result<Box<dyn Handle>, StartError> {
        let runtime = match self {
            Self::Udp => {
                let (bruit, notices) = builder!(bruit_udp, name, options).start(addr)?;
                return Ok(Box::new(Udp { bruit, notices }));
            }
            Self::TokioOne => runtime::Builder::new_current_thread(),
            Self::TokioMany => runtime::Builder::new_multi_thread(),
        };
        let host = Host::start(runtime);
        let (bruit, notices) = host.handle.block_on(builder!(bruit_tokio, name, options).start(addr))?;
        Ok(Box::new(Tokio { bruit, notices, host }))
    }

    #[track_caller]
    pub(crate) fn start_with(self, name: &str, options: Options) -> Box<dyn Handle> {
        self.start_at("127.0.0.1:0", name, options).expect("it starts")
    }

    #[track_caller]
    pub(crate) fn start(self, name: &str) -> Box<dyn Handle> {
        self.start_with(name, Options::default())
    }
}

struct Udp {
    bruit: bruit_udp::Bruit,
    notices: bruit_udp::Notices,
}

impl Handle for Udp {
    fn running(&self) -> &Running {
        &self.bruit
    }

    fn joined(&self, within: Duration) -> bool {
        self.bruit.joined(within)
    }

    fn leave(&self, within: Duration) -> Result<bool, Rejected> {
        self.bruit.leave(within)
    }

    fn ping(&self, id: NodeId, addr: SocketAddr) -> Result<Option<Duration>, Rejected> {
        self.bruit.ping(id, addr)
    }

    fn stop(&self) {
        self.bruit.stop();
    }

    fn recv(&mut self, within: Duration) -> Result<News, RecvError> {
        self.notices.recv_timeout(within)
    }

    fn try_recv(&mut self) -> Option<News> {
        self.notices.try_recv()
    }
}

struct Tokio {
    // Dropped before the runtime it runs on.
    bruit: bruit_tokio::Bruit,
    notices: bruit_tokio::Notices,
    host: Host,
}

impl Handle for Tokio {
    fn running(&self) -> &Running {
        &self.bruit
    }

    fn joined(&self, within: Duration) -> bool {
        self.host.handle.block_on(self.bruit.joined(within))
    }

    fn leave(&self, within: Duration) -> Result<bool, Rejected> {
        self.host.handle.block_on(self.bruit.leave(within))
    }

    fn ping(&self, id: NodeId, addr: SocketAddr) -> Result<Option<Duration>, Rejected> {
        self.host.handle.block_on(self.bruit.ping(id, addr))
    }

    fn stop(&self) {
        self.host.handle.block_on(self.bruit.stop());
    }

    fn recv(&mut self, within: Duration) -> Result<News, RecvError> {
        let notices = &mut self.notices;
        let received =
            self.host.handle.block_on(async { tokio::time::timeout(within, notices.recv()).await });
        received.map_err(|_| RecvError::Timeout)?.ok_or(RecvError::Ended)
    }

    fn try_recv(&mut self) -> Option<News> {
        self.notices.try_recv()
    }
}

/// A runtime that is driven on a thread of its own.
struct Host {
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

/// Looks again and again until it holds.
#[track_caller]
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < SOON, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[track_caller]
pub(crate) fn wait(node: &mut dyn Handle, what: &str, mut wanted: impl FnMut(&Notice<'_>) -> bool) {
    let started = Instant::now();
    loop {
        let left = SOON.checked_sub(started.elapsed()).unwrap_or_default();
        match node.recv(left) {
            Ok(News::Notice(notice)) if wanted(&notice) => return,
            Ok(_) => {}
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

#[track_caller]
pub(crate) fn wait_change(node: &mut dyn Handle, id: NodeId, change: MemberChange) {
    wait(
        node,
        &format!("{id} {change:?}"),
        |notice| matches!(notice, Notice::Member { change: changed, member } if member.id == id && *changed == change),
    );
}

/// Three nodes of these kinds that all know each other.
#[track_caller]
pub(crate) fn three(kinds: [Kind; 3]) -> [Box<dyn Handle>; 3] {
    three_with(kinds, &Options::default())
}

#[track_caller]
pub(crate) fn three_with(kinds: [Kind; 3], options: &Options) -> [Box<dyn Handle>; 3] {
    let mut names = ["a", "b", "c"].into_iter();
    let nodes = kinds.map(|kind| kind.start_with(names.next().expect("three names"), options.clone()));
    let seed = nodes[0].running().local_addr();
    for node in &nodes {
        node.running().join([seed]).expect("joins");
    }
    for node in &nodes {
        assert!(node.joined(SOON));
        until("all are members", || node.running().status().members == 3);
    }
    nodes
}

/// A port that no other UDP socket of this machine uses at the moment, whatever its address.
pub(crate) fn spare_port() -> u16 {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("bound");
    socket.local_addr().expect("it has an address").port()
}
