//! Shares keys among the live members: `cargo run -p bruit-udp --example hash_ring`.

use core::error::Error;
use core::time::Duration;
use std::thread;
use std::time::Instant;

use bruit_udp::{Bruit, Config, Member, Node, NodeId};

const KEYS: [&str; 6] = ["apple", "beech", "cedar", "elm", "fir", "oak"];

fn main() -> Result<(), Box<dyn Error>> {
    let (one, _notices) = Bruit::bind("127.0.0.1:0", "one", Config::local("ring"))?;
    let (two, _notices) = Bruit::bind("127.0.0.1:0", "two", Config::local("ring"))?;
    let (three, _notices) = Bruit::bind("127.0.0.1:0", "three", Config::local("ring"))?;
    one.join([""; 0])?;
    two.join([one.local_addr()])?;
    three.join([one.local_addr()])?;
    wait_for(&one, 3)?;
    show(&one);
    three.leave(Duration::from_secs(2))?;
    wait_for(&one, 2)?;
    show(&one);
    Ok(())
}

fn wait_for(bruit: &Bruit, members: usize) -> Result<(), &'static str> {
    let until = Instant::now() + Duration::from_secs(30);
    while bruit.live_members().len() != members {
        if Instant::now() > until {
            return Err("the members do not find each other");
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn show(bruit: &Bruit) {
    println!("{} live members", bruit.live_members().len());
    for key in KEYS {
        let owner = bruit.read(|node| owner(node, key)).and_then(|id| bruit.member(id));
        println!("  {key:<6} {}", owner.map_or("nobody".into(), |member| member.name));
    }
}

/// The member that owns a key: of the live ones that with the greatest hash of its id and the key (rendezvous hashing). If a
/// member goes, only its own keys move.
fn owner(node: &Node, key: &str) -> Option<NodeId> {
    let weight = |member: &Member<'_>| NodeId::from_name(&format!("{} {key}", member.id));
    node.live_members().max_by_key(weight).map(|member| member.id)
}
