//! What a scenario or a fault plan does to a cluster, as data: it can be printed, replayed and shrunk.

use core::time::Duration;

use bruit_core::Command;
use serde::{Deserialize, Serialize};

use crate::cluster::Index;
use crate::happening::Memory;
use crate::network::{Cut, CutId, Flap, Gray, InFlight, NetworkConfig};

/// One act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "op")]
#[non_exhaustive]
pub enum Op {
    /// Starts so many more processes.
    Spawn {
        /// How many.
        count: u32,
        /// Whom they join through, instead of the first process of all. A process that is to join through itself
        /// is a cluster of one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        through: Option<Index>,
    },
    /// Cuts the network.
    Cut {
        /// How.
        cut: Cut,
        /// What happens to what is in flight.
        #[serde(default)]
        in_flight: InFlight,
        /// Makes it come and go.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        flap: Option<Flap>,
        /// Heals it after so long; without, it stands until a `heal`.
        #[serde(
            default,
            rename = "for",
            with = "crate::span::option",
            skip_serializing_if = "Option::is_none"
        )]
        lasts: Option<Duration>,
        /// Makes it lose only some and delay the others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gray: Option<Gray>,
    },
    /// Removes one cut, by its number in the run (counted from 1).
    Heal {
        /// Which.
        cut: CutId,
    },
    /// Removes all cuts.
    HealAll,
    /// Stops a process without a word.
    Crash {
        /// Which.
        node: Index,
    },
    /// Starts a crashed process again, at its address.
    Restart {
        /// Which.
        node: Index,
        /// What it remembers.
        memory: Memory,
    },
    /// Lets a process stand still.
    Pause {
        /// Which.
        node: Index,
    },
    /// Lets it run again.
    Resume {
        /// Which.
        node: Index,
        /// What it finds first.
        #[serde(default)]
        release: Release,
    },
    /// Gives a running process another address; the old one leads nowhere. Its node is told by
    /// [`Command::SetAddr`].
    Move {
        /// Which.
        node: Index,
    },
    /// Starts a second process with the same identity.
    Clone {
        /// Whose.
        node: Index,
    },
    /// Lets the clock of a process run fast or slow from now on.
    ClockRate {
        /// Which.
        node: Index,
        /// Parts per million fast, or slow if negative.
        ppm: i32,
    },
    /// Delivers the ticks of a process late by up to this much, anew each time.
    LateTicks {
        /// Which.
        node: Index,
        /// The most.
        #[serde(with = "crate::span")]
        by: Duration,
    },
    /// Replaces the settings of the network.
    Network {
        /// By these.
        network: NetworkConfig,
    },
    /// Lets a member say goodbye.
    Leave {
        /// Which.
        node: Index,
        /// How long it waits for acknowledgements.
        #[serde(with = "crate::span")]
        within: Duration,
    },
    /// Lets a member broadcast.
    Broadcast {
        /// Which.
        node: Index,
        /// About what.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        topic: String,
        /// The payload; without, it is made up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// Length of a made-up payload; at least that of its stamp, 24.
        #[serde(default)]
        bytes: u32,
        /// How many, one behind the other.
        #[serde(default = "one")]
        count: u32,
        /// Whether it wants reports, and for how long.
        #[serde(default, with = "crate::span::option", skip_serializing_if = "Option::is_none")]
        report: Option<Duration>,
    },
    /// Tells a member of another, by [`Command::AddPeer`].
    AddPeer {
        /// Which.
        node: Index,
        /// Of whom.
        peer: Index,
    },
    /// Gives a process a command.
    Command {
        /// Which.
        node: Index,
        /// The command.
        command: Command,
    },
}

const fn one() -> u32 {
    1
}

/// What a process finds first when it runs again after a pause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Release {
    /// Its datagrams, then its timers: what a good driver does.
    #[default]
    InboxFirst,
    /// Its timers, then its datagrams.
    TimersFirst,
    /// Its timers somewhere between its datagrams, where the seed says.
    Random,
}
