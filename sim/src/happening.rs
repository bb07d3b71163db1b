//! What checks and timelines are told: everything that happens in a run, in order.

use core::net::SocketAddr;

use bruit_core::{Answer, Command, NodeId, Notice, Rejected, Slot, Time};

use crate::cluster::Index;
use crate::network::{Cut, CutId, DropReason};
use crate::process::Port;

/// Something that happened.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Happening<'a> {
    /// A process was started for the first time.
    Started {
        /// Which.
        node: Index,
    },
    /// A process stopped without a word; what it had not made durable is lost.
    Crashed {
        /// Which.
        node: Index,
    },
    /// A process was started again.
    Restarted {
        /// Which.
        node: Index,
        /// What it remembers.
        memory: Memory,
    },
    /// A process stands still; its clock runs on and its inbox fills.
    Paused {
        /// Which.
        node: Index,
    },
    /// A paused process runs again; what it missed follows.
    Resumed {
        /// Which.
        node: Index,
    },
    /// A process has moved to another address.
    Moved {
        /// Which.
        node: Index,
        /// The new address.
        addr: SocketAddr,
    },
    /// A process was given a command.
    Command {
        /// Which.
        node: Index,
        /// The command.
        command: &'a Command,
    },
    /// A node answered a command.
    Answered {
        /// Which.
        node: Index,
        /// Its answer.
        answer: &'a Result<Answer, Rejected>,
    },
    /// A node told its application something.
    Notice {
        /// Which.
        node: Index,
        /// What.
        notice: &'a Notice<'a>,
    },
    /// A process sent a datagram.
    Sent {
        /// Which.
        from: Index,
        /// Whereto.
        to: SocketAddr,
        /// On which port.
        port: Port,
        /// The payload.
        bytes: &'a [u8],
        /// What the network will do with it.
        fate: Fate,
    },
    /// A datagram is about to be given to a process; `Handled` follows.
    Delivered {
        /// Who sent it.
        from: Index,
        /// Who receives it.
        to: Index,
        /// On which port.
        port: Port,
        /// The payload as it arrives.
        bytes: &'a [u8],
        /// When it was sent, in true time.
        sent: Time,
        /// Whether the network changed its bytes or its destination.
        damaged: bool,
    },
    /// A datagram that was under way was lost.
    Lost {
        /// Who sent it.
        from: Index,
        /// Whom it was for, if the address is still somebody's.
        to: Option<Index>,
        /// On which port.
        port: Port,
        /// Why.
        reason: DropReason,
    },
    /// A node asked for a write to the disk of its process.
    Storing {
        /// Which.
        node: Index,
        /// Which slot.
        slot: Slot,
        /// Which of its writes.
        serial: u64,
    },
    /// A write to the disk of a process is durable.
    Durable {
        /// Whose.
        node: Index,
        /// Which slot.
        slot: Slot,
        /// Which of its writes.
        serial: u64,
    },
    /// A process has handled one input. Its notices, answers and datagrams came before.
    Handled {
        /// Which.
        node: Index,
    },
    /// The network was cut.
    CutMade {
        /// The name of the cut, for healing it.
        id: CutId,
        /// How.
        cut: &'a Cut,
    },
    /// A cut is gone.
    Healed {
        /// Which.
        id: CutId,
    },
    /// A second process with the same identity was started.
    Cloned {
        /// The new process.
        node: Index,
        /// The identity that it shares.
        id: NodeId,
    },
    /// The settings of the network changed.
    NetworkChanged,
}

/// What a network does with a datagram when it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It never leaves.
    Dropped(DropReason),
    /// It is for a group: one copy for each other process.
    Group {
        /// Copies that are under way; each may still be lost at its end.
        carried: u32,
        /// Copies that never left.
        dropped: u32,
    },
    /// It is under way; it may still be lost at its end.
    Carried {
        /// When the first copy arrives, in true time.
        arrives: Time,
        /// How many copies are under way.
        copies: u8,
        /// Whether its bytes or its destination were changed.
        damaged: bool,
    },
}

/// What a restarted process remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Memory {
    /// Everything that was durable.
    Disk,
    /// Durable content from before the latest write of each slot: a disk restored from a copy.
    StaleDisk,
    /// Nothing. Its clock is good, so its epoch still rises.
    Amnesia,
    /// Nothing, and its clock was set back: its first epoch comes again.
    AmnesiaClockBack,
}
