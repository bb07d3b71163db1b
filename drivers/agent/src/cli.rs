//! The command line. The doc comments are the help texts.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bruit_udp::Interface;
use bruit_udp::core::MemberState;
use bruit_udp::core::wire::Kind;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Membership and broadcast for a group of processes. `bruit agent` runs a member; the other commands ask it.
///
/// Exit codes: 0 done, 1 refused, 2 no agent reachable, 3 wrong usage.
#[derive(Debug, Parser)]
#[command(name = "bruit", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) does: Does,
    /// The agent's local socket. By default the agent chooses a path, and the other commands find the socket if only
    /// one agent of this user runs.
    #[arg(long, global = true, value_name = "SOCKET")]
    pub(crate) control: Option<PathBuf>,
    /// Print one JSON value a line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Does {
    /// Run a member until Ctrl-C, which leaves the cluster. A second Ctrl-C stops at once.
    Agent(Box<AgentArgs>),
    #[command(flatten)]
    Ask(Ask),
    /// Estimate delays and traffic for a cluster of a given size.
    Estimate(EstimateArgs),
    /// Replay a journal, and check that the node acts exactly as recorded.
    Replay(ReplayArgs),
}

/// The commands that ask a running agent.
#[derive(Debug, Subcommand)]
pub(crate) enum Ask {
    /// List the members that this agent knows, sorted by name.
    Members(MembersArgs),
    /// Declare that a member has left, for one that has failed for good. A member that runs stops as soon as it learns of it.
    ForceLeave {
        /// The member's name, or its id such as n42.
        member: String,
        /// Do it: without this, the command is refused.
        #[arg(long)]
        yes: bool,
    },
    /// Show or change tags, which every member sees.
    Tags {
        #[command(subcommand)]
        does: Option<Tags>,
    },
    /// Join the cluster through more members.
    Join {
        /// Members to contact, as host:port. They are retried forever.
        #[arg(required = true, value_name = "HOST:PORT", value_delimiter = ',')]
        seeds: Vec<String>,
    },
    /// Add the address of a member to contact, or list these addresses and their sources.
    Peers {
        #[command(subcommand)]
        does: Peers,
    },
    /// Measure the round trip to a member.
    Ping {
        /// The member's name, or its id such as n42.
        member: String,
        /// The member's address. It is not needed if the agent knows the member.
        addr: Option<SocketAddr>,
    },
    /// Print the agent's counters and gauges.
    Stats {
        /// The output format.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Make the agent leave the cluster and exit.
    Leave {
        /// The longest time to wait for acknowledgements, such as 5s or 500ms.
        #[arg(long, default_value = "5s", value_parser = crate::duration::duration)]
        within: Duration,
    },
    /// Explain why this agent holds a member Down.
    Why {
        /// The member's name, or its id such as n42.
        member: String,
    },
    /// Send a message to every member.
    ///
    /// It is refused before the first contact with another member, and while too many messages wait to be sent.
    Broadcast {
        /// The topic, at most 64 bytes. It must not begin with "bruit.".
        #[arg(long, default_value = "", hide_default_value = true)]
        topic: String,
        /// Wait up to this time, such as 10s, and report when a majority and when all members have the message. The
        /// exit code is 1 if not all members acknowledge it in time.
        #[arg(long, value_name = "DURATION", value_parser = crate::duration::duration)]
        report: Option<Duration>,
        /// The message, or - to read it from standard input, as any bytes.
        text: OsString,
    },
    /// Print the broadcasts delivered from now on, until Ctrl-C.
    ///
    /// It also prints which broadcasts are lost, and how many notices were dropped because they were read too slowly.
    Listen {
        /// Only broadcasts of this topic.
        #[arg(long)]
        topic: Option<String>,
    },
    /// List the broadcasts that this agent still keeps, the newest first.
    Messages {
        /// Only broadcasts of this topic.
        #[arg(long)]
        topic: Option<String>,
        /// The largest number of broadcasts to list.
        #[arg(short = 'n', value_name = "N", default_value_t = 20)]
        max: usize,
    },
    /// Show how many broadcasts wait to be sent and how many are kept, with the limits.
    Pending,
}

/// Which members to list, and how much of each.
#[derive(Debug, Args)]
pub(crate) struct MembersArgs {
    /// Only members in one of these states.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) status: Vec<Status>,
    /// Only members of this failure zone.
    #[arg(long)]
    pub(crate) zone: Option<String>,
    /// Only members with all of these tags: with this value, or with any value if only the key is given.
    #[arg(long, value_name = "KEY[=VALUE]")]
    pub(crate) tag: Vec<String>,
    /// Show ids, incarnations and boots, too.
    #[arg(long)]
    pub(crate) long: bool,
}

/// The states of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Status {
    /// The member answers.
    Alive,
    /// The member may have failed.
    Suspect,
    /// The member has failed.
    Down,
    /// The member has left.
    Left,
}

impl Status {
    /// The state of this name.
    pub(crate) const fn state(self) -> MemberState {
        match self {
            Self::Alive => MemberState::Alive,
            Self::Suspect => MemberState::Suspect,
            Self::Down => MemberState::Down,
            Self::Left => MemberState::Left,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tags {
    /// List the tags of a member; this agent's own by default.
    List {
        /// The member's name, or its id such as n42.
        member: Option<String>,
    },
    /// Set tags of this agent's member. Its other tags stay.
    Set {
        /// The tags, such as role=db.
        #[arg(required = true, value_name = "KEY=VALUE", value_parser = tag)]
        tags: Vec<(String, String)>,
    },
    /// Remove tags of this agent's member.
    Unset {
        /// The keys of the tags.
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Peers {
    /// Add the address of a member to contact. It is retried forever.
    Add {
        /// The address of the member.
        addr: SocketAddr,
    },
    /// List the peers with their sources: given as seeds, or the peers file.
    List,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table of text.
    Text,
    /// JSON.
    Json,
    /// The text format of Prometheus.
    Prometheus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preset {
    /// For one data centre.
    Lan,
    /// For a cluster across continents.
    Wan,
    /// For one machine.
    Local,
    /// The settings of hashicorp/memberlist for a data centre.
    MemberlistLan,
    /// The settings of hashicorp/memberlist for a cluster across continents.
    MemberlistWan,
}

/// The arguments for the shared settings.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The cluster's name. It must be equal on all members.
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// The preset that the settings start from.
    #[arg(long, value_enum, default_value_t = Preset::Lan)]
    pub(crate) preset: Preset,
    /// A TOML file of settings that differ from the preset.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The address to bind, as host:port. Port 0 takes any free port.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:7946")]
    pub(crate) bind: String,
    /// The member's name, unique in the cluster. By default the host's name and the port.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The member's id as a number. By default it is made from the name.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) id: Option<u64>,
    /// Members to join through, as host:port.
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    pub(crate) join: Vec<String>,
    /// The directory for the data that must survive a restart.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// The address that this member announces. By default the bound address; if that is unspecified, the member learns
    /// its address from the others.
    #[arg(long, value_name = "ADDR")]
    pub(crate) advertise: Option<SocketAddr>,
    /// A multicast group to receive from, as group:port. Broadcasts are sent to it if the settings choose multicast.
    #[arg(long, value_name = "GROUP")]
    pub(crate) multicast: Option<SocketAddr>,
    /// The network interface for the group: an IPv4 address of this machine, or for an IPv6 group the index of an
    /// interface.
    #[arg(long, value_name = "INTERFACE", value_parser = interface)]
    pub(crate) interface: Option<Interface>,
    /// The failure zone, such as a rack or a data centre.
    #[arg(long, default_value = "")]
    pub(crate) zone: String,
    /// A text that every member sees with this one.
    #[arg(long, default_value = "")]
    pub(crate) meta: String,
    /// A tag that every member sees, such as role=db. It can be given several times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = tag)]
    pub(crate) tag: Vec<(String, String)>,
    /// A file with one host:port a line. It is read again when it changes.
    #[arg(long, value_name = "FILE")]
    pub(crate) peers_file: Option<PathBuf>,
    /// The directory for a journal of every event, for replay.
    #[arg(long, value_name = "DIR")]
    pub(crate) journal: Option<PathBuf>,
    /// Print each datagram that carries a message of one of these kinds, or `all`.
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kinds)]
    pub(crate) trace: Vec<Kinds>,
}

#[derive(Debug, Args)]
pub(crate) struct EstimateArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The number of members.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) nodes: u32,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The directory of the journal.
    pub(crate) dir: PathBuf,
    /// Print every event.
    #[arg(long)]
    pub(crate) events: bool,
}

/// One word of `--trace`: a kind, or `all` for every kind.
#[derive(Clone, Debug)]
pub(crate) struct Kinds(pub(crate) Vec<Kind>);

fn kinds(word: &str) -> Result<Kinds, String> {
    if word == "all" {
        return Ok(Kinds(Kind::ALL.to_vec()));
    }
    let known = || Kind::ALL.map(Kind::name).join(", ");
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == word);
    kind.map(|kind| Kinds(vec![kind]))
        .ok_or_else(|| format!("{word:?} is not a kind of message; choose from all, {}", known()))
}

fn tag(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

fn interface(text: &str) -> Result<Interface, String> {
    let index = || text.parse().map(Interface::Index);
    text.parse().map(Interface::Addr).or_else(|_| index()).map_err(|_| {
        format!("{text:?} is neither an IPv4 address of this machine nor the index of an interface")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
