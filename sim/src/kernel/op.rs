//! Operations on a cluster as data, so that scenarios and fault plans can be printed and replayed.

use core::time::Duration;

use bruit_core::{Admission, Command};
use serde::{Deserialize, Serialize};

use super::happening::Memory;
use crate::base::Index;
use crate::network::{Cut, CutId, Flap, Gray, InFlight, NetworkConfig};
use crate::process::WallClock;

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
        /// How many of the first processes they join through, unless `through` names one.
        #[serde(default = "one")]
        seeds: u32,
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
    /// Starts a second process with the same id, which has a boot of its own and joins through the first three processes.
    Clone {
        /// The process to clone.
        node: Index,
        /// The wall clock that the second process takes its epoch from.
        #[serde(default, skip_serializing_if = "is_right")]
        clock: WallClock,
    },
    /// Moves a running process to the address of a crashed process, which gets a new one.
    TakeOver {
        /// The process to move.
        node: Index,
        /// The crashed process.
        former: Index,
    },
    /// Starts a process with a new id at the address of a crashed process, which gets a new one.
    Replace {
        /// The crashed process.
        former: Index,
    },
    /// Makes a snapshot of a process and of its disk. A later `copy`, or a `restart` with the memory `snapshot`, goes on from
    /// it.
    Save {
        /// The process to save.
        node: Index,
    },
    /// Lets the latest snapshot of a process go on as another process at a new address, which it is told. The original
    /// is left as it is.
    Copy {
        /// The process that was saved.
        node: Index,
    },
    /// Sets the wall clock of a process, which decides the epoch of its next start.
    WallClock {
        /// The process.
        node: Index,
        /// The error of the clock.
        clock: WallClock,
    },
    /// Lets the disk of a process refuse all writes, or accept them again. Refused writes are tried again.
    Disk {
        /// The process that owns the disk.
        node: Index,
        /// Whether the disk refuses all writes.
        fails: bool,
    },
    /// Sets the capacity of the inbox that a process has while it is paused.
    Inbox {
        /// The process.
        node: Index,
        /// The capacity in bytes; 212 992 by default.
        #[serde(default = "inbox_bytes")]
        bytes: u32,
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
    /// Lets a process join as it did after its start. One that has left joins again.
    Join {
        /// The process.
        node: Index,
    },
    /// Gives a member new metadata, made up of a serial number.
    SetMeta {
        /// The member.
        node: Index,
        /// The length of the metadata; at most 512.
        bytes: u32,
    },
    /// Lets a member declare that another one has left, by [`Command::RemovePeer`].
    RemovePeer {
        /// The member that is told.
        node: Index,
        /// The member that is removed.
        peer: Index,
    },
    /// Sets how the operator of a member answers when it asks for the admission of another one (`membership.admission`).
    Answers {
        /// The member that asks.
        node: Index,
        /// The answers.
        answers: Answers,
        /// The time until each answer.
        #[serde(with = "crate::base::span")]
        after: Duration,
    },
    /// Lets a member show another one in its view, or hide it, by [`Command::Admit`].
    Admit {
        /// The member whose view it is.
        node: Index,
        /// The member that is shown or hidden.
        peer: Index,
        /// Whether it is shown.
        admission: Admission,
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

fn is_right(clock: &WallClock) -> bool {
    *clock == WallClock::Right
}

const fn inbox_bytes() -> u32 {
    crate::process::host::INBOX_BYTES
}

/// How an operator answers questions of admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answers {
    /// Nobody answers.
    Silence,
    /// Each member is admitted.
    Accept,
    /// Each member is refused.
    Veto,
    /// One in three members is refused, one is admitted, and about one nobody answers.
    Mixed,
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

impl Op {
    /// The names of all operations.
    pub const NAMES: [&'static str; 29] = [
        "spawn",
        "cut",
        "heal",
        "heal-all",
        "crash",
        "restart",
        "pause",
        "resume",
        "move",
        "clone",
        "take-over",
        "replace",
        "save",
        "copy",
        "wall-clock",
        "disk",
        "inbox",
        "clock-rate",
        "late-ticks",
        "network",
        "join",
        "set-meta",
        "remove-peer",
        "answers",
        "admit",
        "leave",
        "broadcast",
        "add-peer",
        "command",
    ];

    /// The name of the operation, as scenarios and plans write it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Spawn { .. } => "spawn",
            Self::Cut { .. } => "cut",
            Self::Heal { .. } => "heal",
            Self::HealAll => "heal-all",
            Self::Crash { .. } => "crash",
            Self::Restart { .. } => "restart",
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
            Self::Move { .. } => "move",
            Self::Clone { .. } => "clone",
            Self::TakeOver { .. } => "take-over",
            Self::Replace { .. } => "replace",
            Self::Save { .. } => "save",
            Self::Copy { .. } => "copy",
            Self::WallClock { .. } => "wall-clock",
            Self::Disk { .. } => "disk",
            Self::Inbox { .. } => "inbox",
            Self::ClockRate { .. } => "clock-rate",
            Self::LateTicks { .. } => "late-ticks",
            Self::Network { .. } => "network",
            Self::Join { .. } => "join",
            Self::SetMeta { .. } => "set-meta",
            Self::RemovePeer { .. } => "remove-peer",
            Self::Answers { .. } => "answers",
            Self::Admit { .. } => "admit",
            Self::Leave { .. } => "leave",
            Self::Broadcast { .. } => "broadcast",
            Self::AddPeer { .. } => "add-peer",
            Self::Command { .. } => "command",
        }
    }

    /// The processes that the operation names.
    #[must_use]
    pub fn subjects(&self) -> Vec<Index> {
        match self {
            Self::Crash { node }
            | Self::Restart { node, .. }
            | Self::Pause { node }
            | Self::Resume { node, .. }
            | Self::Move { node }
            | Self::Clone { node, .. }
            | Self::Save { node }
            | Self::Copy { node }
            | Self::WallClock { node, .. }
            | Self::Disk { node, .. }
            | Self::Inbox { node, .. }
            | Self::ClockRate { node, .. }
            | Self::LateTicks { node, .. }
            | Self::Join { node }
            | Self::SetMeta { node, .. }
            | Self::Answers { node, .. }
            | Self::Leave { node, .. }
            | Self::Broadcast { node, .. }
            | Self::Command { node, .. } => vec![*node],
            Self::AddPeer { node, peer }
            | Self::RemovePeer { node, peer }
            | Self::Admit { node, peer, .. } => {
                vec![*node, *peer]
            }
            Self::TakeOver { node, former } => vec![*node, *former],
            Self::Replace { former } => vec![*former],
            Self::Spawn { through, .. } => through.iter().copied().collect(),
            Self::Cut { cut, .. } => cut.subjects(),
            Self::Network { network } => network.links.iter().flat_map(|pair| [pair.from, pair.to]).collect(),
            Self::Heal { .. } | Self::HealAll => Vec::new(),
        }
    }

    /// The number of processes that the operation starts.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "few operations start processes")]
    pub const fn births(&self) -> u32 {
        match self {
            Self::Spawn { count, .. } => *count,
            Self::Clone { .. } | Self::Copy { .. } | Self::Replace { .. } => 1,
            _ => 0,
        }
    }
}
