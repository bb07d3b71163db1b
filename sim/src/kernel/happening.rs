//! The happenings of a run, as checks observe them, in order.

use core::fmt;
use core::net::SocketAddr;

use bruit_core::{Answer, Command, NodeId, Notice, Rejected, Slot, Time};

use crate::base::Index;
use crate::network::{Cut, CutId, DropReason, Fate, Port};
use crate::process::WallClock;

/// A happening: one thing that happened in a run, such as a start, a datagram or a notice.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Happening<'a> {
    /// A process was started for the first time.
    Started {
        /// The new process.
        node: Index,
    },
    /// A process crashed. Everything that it had not made durable is lost.
    Crashed {
        /// The crashed process.
        node: Index,
    },
    /// A crashed process was started again.
    Restarted {
        /// The restarted process.
        node: Index,
        /// The memory that the process has of earlier boots.
        memory: Memory,
    },
    /// A process was paused. Its clock runs on and its inbox fills.
    Paused {
        /// The paused process.
        node: Index,
    },
    /// A paused process was resumed. The datagrams and the tick that waited for it follow.
    Resumed {
        /// The resumed process.
        node: Index,
    },
    /// A process moved to another address.
    Moved {
        /// The process that moved.
        node: Index,
        /// The new address of the process.
        addr: SocketAddr,
    },
    /// A process was given a command.
    Command {
        /// The process that got the command.
        node: Index,
        /// The command.
        command: &'a Command,
    },
    /// A node answered a command.
    Answered {
        /// The process of the node.
        node: Index,
        /// The answer.
        answer: &'a Result<Answer, Rejected>,
    },
    /// A node notified its application.
    Notice {
        /// The process of the node.
        node: Index,
        /// The notice.
        notice: &'a Notice<'a>,
    },
    /// A process sent a datagram.
    Sent {
        /// The sender.
        from: Index,
        /// The address that the datagram was sent to.
        to: SocketAddr,
        /// The port that it was sent on.
        port: Port,
        /// The payload.
        bytes: &'a [u8],
        /// The verdict of the network on the datagram.
        fate: Fate,
    },
    /// A datagram is about to be given to a process; `Handled` follows.
    Delivered {
        /// The sender.
        from: Index,
        /// The receiver.
        to: Index,
        /// The port on which the datagram arrives.
        port: Port,
        /// The payload as it arrives.
        bytes: &'a [u8],
        /// The true time at which the datagram was sent.
        sent: Time,
        /// Whether the network changed the bytes or the destination.
        damaged: bool,
    },
    /// A datagram that was under way was lost.
    Lost {
        /// The sender.
        from: Index,
        /// The receiver, if a process still has the address.
        to: Option<Index>,
        /// The port that the datagram was sent on.
        port: Port,
        /// The reason of the loss.
        reason: DropReason,
    },
    /// A node asked for a write to the disk of its process.
    Storing {
        /// The process of the node.
        node: Index,
        /// The slot to be written.
        slot: Slot,
        /// The number of the write.
        serial: u64,
    },
    /// A write to the disk of a process became durable.
    Durable {
        /// The process that owns the disk.
        node: Index,
        /// The slot that was written.
        slot: Slot,
        /// The number of the write.
        serial: u64,
    },
    /// A process is about to be given a tick; `Handled` follows.
    Ticked {
        /// The process that is ticked.
        node: Index,
    },
    /// A process has handled one input. Its notices, answers and datagrams were observed before this.
    Handled {
        /// The process that handled the input.
        node: Index,
    },
    /// The network was cut.
    CutMade {
        /// The id of the cut, which heals it.
        id: CutId,
        /// The shape of the cut.
        cut: &'a Cut,
    },
    /// A cut was removed.
    Healed {
        /// The id of the cut.
        id: CutId,
    },
    /// A second process with the same id was started.
    Cloned {
        /// The new process.
        node: Index,
        /// The id that both processes have.
        id: NodeId,
    },
    /// A snapshot of a process was made. It runs on.
    Saved {
        /// The process that was saved.
        node: Index,
    },
    /// The disk of a process began to refuse all writes, or accepts them again.
    DiskChanged {
        /// The process that owns the disk.
        node: Index,
        /// Whether the disk refuses all writes now.
        fails: bool,
    },
    /// The wall clock of a process was set. The process notices it at its next start.
    ClockSet {
        /// The process.
        node: Index,
        /// The error of its clock from now on.
        clock: WallClock,
    },
    /// The settings of the network changed.
    NetworkChanged,
}

/// The memory that a restarted process has of its earlier boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Memory {
    /// The process has everything that was durable on its disk.
    Disk,
    /// The process has the content of each slot before its latest write, like a disk that was restored from a backup.
    StaleDisk,
    /// The process has nothing. Its clock is right, so the epoch still rises.
    Amnesia,
    /// The process has nothing, and its clock was set back, so that it begins with a low epoch, which is about its first one if
    /// epochs count boots.
    AmnesiaClockBack,
    /// The process goes on from its latest snapshot ([`Op::Save`](crate::Op::Save)), disk included, as a virtual machine
    /// does. It is not started again, and it is told its address if that has changed.
    Snapshot,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disk => "with its disk",
            Self::StaleDisk => "with an old disk",
            Self::Amnesia => "without memory",
            Self::AmnesiaClockBack => "without memory, its clock set back",
            Self::Snapshot => "from its snapshot",
        })
    }
}
