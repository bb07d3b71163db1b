//! Operations on a cluster as data, so that scenarios and fault plans can be printed and replayed.

use core::time::Duration;

use bruit_core::Command;
use serde::{Deserialize, Serialize};

use super::happening::Memory;
use crate::base::Index;
use crate::network::{Cut, CutId, Flap, Gray, InFlight, NetworkConfig};

/// One operation on a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "op")]
#[non_exhaustive]
pub enum Op {
    /// Starts new processes.
    Spawn {
        /// How many processes to start.
        count: u32,
        /// The process that they join through, instead of the first process of all. A process that joins through itself
        /// is a cluster of one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        through: Option<Index>,
    },
    /// Cuts the network.
    Cut {
        /// The shape of the cut.
        cut: Cut,
        /// The treatment of the datagrams in flight.
        #[serde(default)]
        in_flight: InFlight,
        /// Lets the cut come and go.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        flap: Option<Flap>,
        /// Heals the cut after this time. Without it the cut stands until a `heal`.
        #[serde(
            default,
            rename = "for",
            with = "crate::base::span::option",
            skip_serializing_if = "Option::is_none"
        )]
        lasts: Option<Duration>,
        /// Lets the cut lose only some datagrams and delay the others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gray: Option<Gray>,
    },
    /// Removes one cut.
    Heal {
        /// The number of the cut in the run, counted from 1.
        cut: CutId,
    },
    /// Removes all cuts.
    HealAll,
    /// Crashes a process.
    Crash {
        /// The process to crash.
        node: Index,
    },
    /// Restarts a crashed process at its address.
    Restart {
        /// The process to restart.
        node: Index,
        /// The memory that it has of earlier boots.
        memory: Memory,
    },
    /// Pauses a process.
    Pause {
        /// The process to pause.
        node: Index,
    },
    /// Resumes a paused process.
    Resume {
        /// The process to resume.
        node: Index,
        /// The order in which the process handles its inbox and its timers.
        #[serde(default)]
        release: Release,
    },
    /// Moves a running process to a new address; the old one becomes unreachable. The node is told by
    /// [`Command::SetAddr`].
    Move {
        /// The process to move.
        node: Index,
    },
    /// Starts a second process with the same id.
    Clone {
        /// The process to clone.
        node: Index,
    },
    /// Lets the clock of a process run fast or slow from now on.
    ClockRate {
        /// The process.
        node: Index,
        /// By how many parts per million the clock runs fast, or slow if negative.
        ppm: i32,
    },
    /// Delivers each tick of a process late, by a random time.
    LateTicks {
        /// The process.
        node: Index,
        /// The greatest delay.
        #[serde(with = "crate::base::span")]
        by: Duration,
    },
    /// Replaces the settings of the network.
    Network {
        /// The new settings.
        network: NetworkConfig,
    },
    /// Lets a member leave.
    Leave {
        /// The member.
        node: Index,
        /// How long the member waits for acknowledgements.
        #[serde(with = "crate::base::span")]
        within: Duration,
    },
    /// Lets a member broadcast.
    Broadcast {
        /// The member.
        node: Index,
        /// The topic of the message.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        topic: String,
        /// The payload. Without it, a payload is made up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// The length of a made-up payload; at least that of its stamp, 24 bytes.
        #[serde(default)]
        bytes: u32,
        /// How many messages the member broadcasts, all at the same time.
        #[serde(default = "one")]
        count: u32,
        /// How long the member wants reports on the broadcast; `None` asks for no reports.
        #[serde(default, with = "crate::base::span::option", skip_serializing_if = "Option::is_none")]
        report: Option<Duration>,
    },
    /// Tells a member the address of another one, by [`Command::AddPeer`].
    AddPeer {
        /// The member that is told.
        node: Index,
        /// The member whose address it is told.
        peer: Index,
    },
    /// Gives a command to a process.
    Command {
        /// The process.
        node: Index,
        /// The command.
        command: Command,
    },
}

const fn one() -> u32 {
    1
}

/// The order in which a resumed process handles its inbox and its timers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Release {
    /// The datagrams in the inbox come first, then the timers, as in a good driver.
    #[default]
    InboxFirst,
    /// The timers come first, then the datagrams in the inbox.
    TimersFirst,
    /// The timers come at a random place between the datagrams.
    Random,
}
