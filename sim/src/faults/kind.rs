//! The kinds of fault that a plan may have.

use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($section:ident: [$($(#[$doc:meta])* $kind:ident = $name:literal,)*])*) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Kind {
            $($($(#[$doc])* $kind,)*)*
        }

        impl Kind {
            $(
                #[doc = concat!("The kinds of ", stringify!($section), " plans, in the order in which they are drawn.")]
                pub const $section: [Self; [$(Self::$kind),*].len()] = [$(Self::$kind),*];
            )*

            /// The name of the kind, as plans write it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($(Self::$kind => $name,)*)* }
            }

            /// All kinds: first those of basic plans.
            pub fn all() -> impl Iterator<Item = Self> {
                [$(&Self::$section[..]),*].into_iter().flatten().copied()
            }
        }
    };
}

kinds! {
    BASIC: [
        /// Datagrams are lost independently of each other.
        Loss = "loss",
        /// Datagrams are lost in bursts.
        Bursts = "bursts",
        /// Datagrams arrive twice.
        Duplicates = "duplicates",
        /// Datagrams are held back, so that others overtake them.
        Reordering = "reordering",
        /// Datagrams are damaged.
        Damage = "damage",
        /// The network is cut into groups.
        Split = "split",
        /// Some members are cut off from all others.
        Isolation = "isolation",
        /// Datagrams are blocked in one direction.
        OneWay = "one-way",
        /// Two groups cannot reach each other; the other members reach both.
        Bridge = "bridge",
        /// A cut comes and goes.
        Flapping = "flapping",
        /// Some members lose many datagrams, and the others are delayed.
        Gray = "gray",
        /// Members crash, and restart with their disk or stay down.
        Crashes = "crashes",
        /// Members crash, and restart without memory or with an old disk.
        Amnesia = "amnesia",
        /// Members are paused for a while.
        Pauses = "pauses",
        /// Clocks run fast or slow.
        Clocks = "clocks",
        /// Ticks are delivered late.
        LateTicks = "late-ticks",
        /// Members move to other addresses.
        Moves = "moves",
        /// A second process with the id of a member is started.
        Twins = "twins",
    ]
    WIDE: [
        /// Members leave for good. Some processes run on, and some end.
        Leaves = "leaves",
        /// Members leave and join again in the same process.
        Rejoins = "rejoins",
        /// Processes start after the cluster has formed.
        LateJoins = "late-joins",
        /// A process starts alone, and is told the address of a member or a member that of the process. When
        /// everything heals it is introduced once more.
        Peers = "peers",
        /// An operator removes a member that runs, or one that has crashed.
        Removals = "removals",
        /// Members change their metadata, several times in a row.
        Metadata = "metadata",
        /// Members ask for admissions. The operator admits, refuses, or does not answer, and in the end admits everybody.
        Admission = "admission",
        /// A member moves to the address of a crashed one.
        Takeovers = "takeovers",
        /// A process with a new id starts at the address of a crashed member.
        Replacements = "replacements",
        /// A process is started under a name in use, with a clock that is right or wrong. The old one stays, leaves, crashes or
        /// is paused.
        Newcomers = "newcomers",
        /// Two or three second processes are started, of one id or of several.
        SeveralTwins = "several-twins",
        /// A snapshot of a running member goes on as another process at another address.
        Copies = "copies",
        /// A member goes on after a snapshot, crashes, and is resumed from the snapshot at its old address.
        Snapshots = "snapshots",
        /// The wall clock of a member is set, and the member restarts.
        ClockSteps = "clock-steps",
        /// Disks refuse all writes for a while.
        DiskFailures = "disk-failures",
        /// Very few datagrams are lost.
        RareLoss = "rare-loss",
        /// One member is paused for 200 ms, once.
        ShortPause = "short-pause",
        /// A crash, a pause and a cut come while the cluster forms.
        EarlyFaults = "early-faults",
        /// Ticks are delivered later than the node tolerates (`membership.late_slack`).
        LongLateTicks = "long-late-ticks",
        /// Links do not carry the longest datagrams.
        NarrowLinks = "narrow-links",
        /// The small inbox of a paused member overflows.
        FullInboxes = "full-inboxes",
        /// Members restart without memory or with an old disk, several times.
        RepeatedAmnesia = "repeated-amnesia",
        /// The network is cut into three or four groups.
        ManySplits = "many-splits",
        /// Delays are constant or exponential, differ from link to link, or keep the order of datagrams.
        Delays = "delays",
    ]
}
