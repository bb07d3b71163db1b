//! The start of a node by its join. A node without an address to ask takes its id at once (rule A2a), so the join is held
//! until the first look-up of every name and of the peers file has ended, at most for `membership.join_wait`.
//!
//! The commands that come meanwhile are answered as by a node that waits for its id.

use std::iter::once;
use std::mem::discriminant;
use std::net::SocketAddr;

use bruit_core::{Action, Answer, Command, Event, Notice, Outbox, Phase, Rejected, Time};

use super::Driver;
use crate::error::Trouble;

/// The peers that were found, and the join that is held until more of them are.
#[derive(Debug, Default)]
pub(super) struct Start {
    /// The addresses found for the names, and those of the peers file.
    peers: Vec<SocketAddr>,
    /// The one of them that the node was given as a seed.
    seed: Option<SocketAddr>,
    /// True while a name or the peers file is looked up for the first time.
    looking_up: bool,
    held: Option<Held>,
}

/// A join that is held.
#[derive(Clone, Debug)]
struct Held {
    /// The node joins at this time at the latest.
    until: Time,
    seeds: Vec<SocketAddr>,
    /// The commands that follow the join: the last one of each kind.
    later: Vec<Command>,
}

impl Start {
    /// The latest time of the join that is held.
    pub(super) fn due(&self) -> Option<Time> {
        self.held.as_ref().map(|held| held.until)
    }
}

/// The peers of the node, and the commands while it has not started.
#[expect(clippy::wildcard_enum_match_arm, reason = "all other commands are for a node that runs")]
impl Driver {
    /// Notes that names or the peers file are looked up for the first time. Until [`peers_are_found`](Self::peers_are_found),
    /// the join of a node that has not started is held.
    pub const fn look_for_peers(&mut self) {
        self.start.looking_up = true;
    }

    /// Goes on with the join that is held: no name is looked up for the first time any more.
    pub fn peers_are_found(&mut self, out: &mut Outbox) {
        self.start.looking_up = false;
        if !self.is_stopped() {
            self.release(out);
        }
    }

    /// Replaces the peers of the node. They are given to it now or when it starts.
    pub fn set_peers(&mut self, peers: Vec<SocketAddr>, out: &mut Outbox) {
        self.start.peers = peers;
        let takes_peers = matches!(self.node.phase(), Phase::Waiting | Phase::Running);
        if takes_peers && !self.is_stopped() {
            self.give_peers(out);
        }
    }

    /// Gives the node a command, or keeps it for a node whose join is held.
    pub(super) fn command(&mut self, command: Command, out: &mut Outbox) -> Result<Answer, Rejected> {
        let starts = matches!(self.node.phase(), Phase::Idle | Phase::Left);
        let joins = starts && matches!(command, Command::Join { .. });
        if self.start.held.is_some() || joins && self.start.looking_up {
            return self.hold(command);
        }
        match command {
            Command::Join { seeds } if starts => self.join(seeds, out),
            command => self.give_command(command, out),
        }
    }

    /// Keeps a command until the node joins. It is refused if the node would refuse it then.
    fn hold(&mut self, command: Command) -> Result<Answer, Rejected> {
        let now = self.clock.now();
        let until = now + self.node.config().membership.join_wait;
        let first = Held { until, seeds: Vec::new(), later: Vec::new() };
        let mut held = self.start.held.clone().unwrap_or(first);
        match command {
            Command::Join { seeds } => held.seeds.extend(seeds),
            Command::AddPeer(addr) => held.seeds.push(addr),
            Command::SetMeta(_) | Command::SetTags(_) | Command::SetAddr(_) | Command::SetPeers(_) => {
                let kind = discriminant(&command);
                held.later.retain(|kept| discriminant(kept) != kind);
                held.later.push(command);
            }
            Command::Leave { .. } => {
                // No other process knows of this one.
                self.start.held = None;
                self.notify(Notice::Departed { acknowledged: true, alone: true });
                return Ok(Answer::Done);
            }
            _ => return Err(Rejected::NotJoined),
        }
        // A copy of the node shows what it would refuse.
        let (mut copy, mut out) = (self.node.clone(), Outbox::new());
        let join = Command::Join { seeds: held.seeds.clone() };
        for command in once(join).chain(held.later.iter().cloned()) {
            copy.handle_into(Event::Command(command), now, &mut out);
        }
        let refused = out.iter().find_map(|action| {
            if let Action::Answer(Err(rejected)) = action { Some(rejected) } else { None }
        });
        if let Some(rejected) = refused {
            return Err(rejected);
        }
        self.start.held = Some(held);
        Ok(Answer::Done)
    }

    /// Carries out the join that is held, and the commands that follow it.
    pub(super) fn release(&mut self, out: &mut Outbox) {
        let Some(Held { seeds, later, .. }) = self.start.held.take() else { return };
        let mut answers = vec![self.join(seeds, out)];
        answers.extend(later.into_iter().map(|command| self.give_command(command, out)));
        for rejected in answers.into_iter().filter_map(Result::err) {
            self.report_trouble(Trouble::PeersRefused(rejected));
        }
    }

    /// Starts the node with these seeds, and with the peers found so far.
    fn join(&mut self, mut seeds: Vec<SocketAddr>, out: &mut Outbox) -> Result<Answer, Rejected> {
        let own = self.node.addr();
        let is_other = |addr: &SocketAddr| *addr != own;
        // The node takes peers only after the join. Without another seed, one of them comes with the join.
        let seed = self.start.peers.iter().copied().find(is_other);
        self.start.seed = seed.filter(|_| !seeds.iter().any(is_other));
        seeds.extend(self.start.seed);
        let answer = self.give_command(Command::Join { seeds }, out)?;
        if !self.start.peers.is_empty() {
            self.give_peers(out);
        }
        Ok(answer)
    }

    fn give_peers(&mut self, out: &mut Outbox) {
        let Start { peers, seed, .. } = &self.start;
        let mut peers: Vec<_> = peers.iter().copied().filter(|peer| Some(*peer) != *seed).collect();
        let found = peers.len();
        let mut answer = self.give_command(Command::SetPeers(peers.clone()), out);
        if let Err(Rejected::TooMany { len, max, .. }) = answer {
            peers.truncate(found.saturating_sub(len.saturating_sub(max)));
            let kept = peers.len();
            answer = self.give_command(Command::SetPeers(peers), out);
            self.report_trouble(Trouble::PeersLeftOut { found, kept });
        }
        if let Err(rejected) = answer {
            self.report_trouble(Trouble::PeersRefused(rejected));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bruit_core::{Broadcast, Config};

    use super::super::{Settings, Started};
    use super::*;
    use crate::notices::DriverNotice;

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// A node whose join is held, for at most `join_wait`.
    fn held(join_wait: Duration) -> Started {
        let mut config = Config::local("test");
        config.membership.join_wait = join_wait;
        let mut started = Settings::new("one", addr(7000), config).start().expect("starts");
        started.driver.look_for_peers();
        let (answer, sent) = give(&mut started.driver, Command::Join { seeds: vec![addr(7000)] });
        assert_eq!((answer, sent.as_slice()), (Ok(Answer::Done), [].as_slice()));
        assert_eq!(started.driver.node().phase(), Phase::Idle);
        started
    }

    /// The answer to a command, and the addresses to which the node has sent something then.
    fn give(driver: &mut Driver, command: Command) -> (Result<Answer, Rejected>, Vec<SocketAddr>) {
        let mut out = Outbox::new();
        let answer = driver.step(Event::Command(command), &mut out);
        (answer.expect("a command is answered"), receivers(&out))
    }

    fn receivers(out: &Outbox) -> Vec<SocketAddr> {
        out.iter()
            .filter_map(|action| if let Action::Send { to, .. } = action { Some(to) } else { None })
            .collect()
    }

    #[test]
    fn a_join_is_held_until_the_peers_are_found_and_asks_all_of_them() {
        let Started { mut driver, .. } = held(Duration::from_secs(60));
        let mut out = Outbox::new();
        driver.set_peers(vec![addr(7000), addr(7001), addr(7002)], &mut out);
        assert_eq!((driver.node().phase(), receivers(&out)), (Phase::Idle, vec![]));
        driver.peers_are_found(&mut out);
        assert_eq!(driver.node().phase(), Phase::Waiting);
        assert!([7001, 7002].iter().all(|port| receivers(&out).contains(&addr(*port))));
        out.clear();
        driver.set_peers(vec![addr(7001), addr(7003)], &mut out);
        assert_eq!(receivers(&out), [addr(7003)]);
    }

    #[test]
    fn a_join_that_finds_no_peers_goes_on_in_time() {
        let Started { mut driver, .. } = held(Duration::from_millis(1));
        let meta = b"of this node";
        assert_eq!(give(&mut driver, Command::SetMeta(meta.to_vec())).0, Ok(Answer::Done));
        while driver.node().phase() == Phase::Idle {
            let wake = driver.next_wake().expect("the join is due");
            assert!(wake <= driver.clock().now() + Duration::from_millis(1));
            driver.step(Event::Tick, &mut Outbox::new());
        }
        assert_eq!(driver.node().phase(), Phase::Running, "it knows nobody to ask");
        assert_eq!(driver.node().members().next().map(|own| own.meta.to_vec()), Some(meta.to_vec()));
    }

    #[test]
    fn a_join_that_is_held_takes_more_seeds_and_what_cannot_be_done_is_refused() {
        let Started { mut driver, .. } = held(Duration::from_secs(60));
        let mut answer = |command| give(&mut driver, command).0;
        assert_eq!(answer(Command::Broadcast(Broadcast::new("", ""))), Err(Rejected::NotJoined));
        assert!(matches!(answer(Command::SetMeta(vec![0; 9_999])), Err(Rejected::Oversized { .. })));
        let nowhere = addr(0);
        assert_eq!(answer(Command::Join { seeds: vec![nowhere] }), Err(Rejected::Unreachable(nowhere)));
        assert_eq!(answer(Command::Join { seeds: vec![addr(7001)] }), Ok(Answer::Done));
        assert_eq!(answer(Command::AddPeer(addr(7002))), Ok(Answer::Done));
        let mut out = Outbox::new();
        driver.peers_are_found(&mut out);
        assert_eq!((driver.node().phase(), receivers(&out)), (Phase::Waiting, vec![addr(7001), addr(7002)]));
    }

    #[test]
    fn a_leave_ends_a_join_that_is_held() {
        let Started { mut driver, mut notices, .. } = held(Duration::from_secs(60));
        let leave = Command::Leave { within: Duration::from_secs(1) };
        assert_eq!(give(&mut driver, leave.clone()), (Ok(Answer::Done), vec![]));
        assert_eq!(driver.departed(), Some(true));
        let departed = DriverNotice::Node(Notice::Departed { acknowledged: true, alone: true });
        assert_eq!(notices.try_recv(), Some(departed));
        let mut out = Outbox::new();
        driver.set_peers(vec![addr(7001)], &mut out);
        driver.peers_are_found(&mut out);
        assert_eq!((driver.node().phase(), receivers(&out)), (Phase::Idle, vec![]), "nothing is left to do");
        assert_eq!(give(&mut driver, leave).0, Err(Rejected::NotStarted));
        let (answer, sent) = give(&mut driver, Command::Join { seeds: vec![] });
        assert_eq!((answer, sent), (Ok(Answer::Done), vec![addr(7001)]), "it can join again");
    }
}
