//! A member in forty lines: one std socket and one `Node`, no driver.
//!
//! ```text
//! cargo run --example bare_loop -- 127.0.0.1:7001
//! cargo run --example bare_loop -- 127.0.0.1:7002 127.0.0.1:7001
//! ```
#![expect(clippy::std_instead_of_core, reason = "it stands on std; one spelling reads better")]

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bruit_core::{Action, Boot, Command, Config, Event, Node, NodeId, Outbox, Time};

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let addresses: Result<Vec<SocketAddr>, _> = std::env::args().skip(1).map(|arg| arg.parse()).collect();
    let addresses = addresses?;
    let [addr, seeds @ ..] = addresses.as_slice() else {
        return Err("usage: bare_loop ADDR [SEED]...".into());
    };
    let socket = UdpSocket::bind(addr)?;
    let start = Instant::now();
    let now = || Time::ZERO + start.elapsed();

    let epoch = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?;
    let mut seed = [0; 32];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut seed)?;
    let name = addr.to_string();
    let boot = Boot::new(NodeId::from_name(&name), name, *addr, epoch, seed);
    let mut node = Node::new(boot, Config::local("demo"), now())?;

    let mut out = Outbox::new();
    let mut buffer = [0; 65_535];
    node.handle_into(Event::Command(Command::Join { seeds: seeds.to_vec() }), now(), &mut out);
    loop {
        for action in out.iter() {
            match action {
                Action::Send { to, bytes } => drop(socket.send_to(&bytes, to)), // UDP loses some; so may we
                Action::Notify(notice) => println!("{} {notice:?}", now()),
                Action::Answer(_) | Action::Store { .. } | Action::WakeAt(_) => {}
                // Nothing else runs from this node's state; a driver gives `Event::Seed` here.
                Action::Reseed => {}
            }
        }
        out.clear();
        let wait = node.next_wake().map_or(Duration::MAX, |wake| wake.since(now()));
        socket.set_read_timeout(Some(wait.clamp(Duration::from_micros(1), Duration::from_secs(60))))?;
        if let Ok((len, from)) = socket.recv_from(&mut buffer) {
            node.handle_into(Event::Datagram { from, bytes: &buffer[..len] }, now(), &mut out);
        }
        node.handle_into(Event::Tick, now(), &mut out);
    }
}
