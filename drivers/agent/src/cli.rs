//! What may be typed. Help texts are the doc comments.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bruit_udp::Interface;
use bruit_udp::core::wire::Kind;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Membership and broadcast for a group of processes: run a member, and ask it.
///
/// Exit codes: 0 done, 1 refused, 2 no agent reachable, 3 usage.
#[derive(Debug, Parser)]
#[command(name = "bruit", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) does: Does,
    /// The agent's local socket. By default the agent picks one, and the other commands take the only one that
    /// answers.
    #[arg(long, global = true, value_name = "SOCKET")]
    pub(crate) control: Option<PathBuf>,
    /// Print JSON, one value a line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Does {
    /// Run a member until Ctrl-C, which leaves the cluster; a second Ctrl-C stops at once.
    Agent(Box<AgentArgs>),
    #[command(flatten)]
    Ask(Ask),
    /// Show what the settings promise in a cluster of a given size.
    Estimate(EstimateArgs),
    /// Run a journal again and check that the same came out.
    Replay(ReplayArgs),
}

/// What can be asked of a running agent.
#[derive(Debug, Subcommand)]
pub(crate) enum Ask {
    /// List the members as this agent sees them.
    Members,
    /// Join through more members, given as host:port.
    Join {
        /// Members to contact; they are tried for ever.
        #[arg(required = true, value_name = "HOST:PORT", value_delimiter = ',')]
        seeds: Vec<String>,
    },
    /// Add a peer, remove a member, or list where peers come from.
    Peers {
        #[command(subcommand)]
        does: Peers,
    },
    /// Measure the round trip to a member.
    Ping {
        /// A name, or an id such as n42.
        member: String,
        /// Where it is; known for members.
        addr: Option<SocketAddr>,
    },
    /// Show counters.
    Stats {
        /// How to print them.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Make the agent leave the cluster and end.
    Leave {
        /// How long to wait for acknowledgements, such as 5s or 500ms.
        #[arg(long, default_value = "5s", value_parser = crate::config::duration)]
        within: Duration,
    },
    /// Explain why a member is held Down.
    Why {
        /// A name, or an id such as n42.
        member: String,
    },
    /// Tell every member; refused before the first contact, and while too much waits.
    Broadcast {
        /// What it is about, at most 64 bytes; may not begin with "bruit.".
        #[arg(long, default_value = "", hide_default_value = true)]
        topic: String,
        /// Wait so long, such as 10s, and say when a majority and when all have it; the exit code is 1 if not all say
        /// so in time.
        #[arg(long, value_name = "DURATION", value_parser = crate::config::duration)]
        report: Option<Duration>,
        /// The message, or - to read standard input, whatever bytes it has.
        text: OsString,
    },
    /// Print what is delivered from now on, until Ctrl-C; also what is lost, and how much was missed.
    Listen {
        /// Of this topic only.
        #[arg(long)]
        topic: Option<String>,
    },
    /// List the broadcasts that this agent still keeps, the newest first.
    Messages {
        /// Of this topic only.
        #[arg(long)]
        topic: Option<String>,
        /// So many at most.
        #[arg(short = 'n', value_name = "N", default_value_t = 20)]
        max: usize,
    },
    /// Show what waits to be sent and what is kept, against the limits.
    Pending,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Peers {
    /// One more member to contact, for ever.
    Add {
        /// Its address.
        addr: SocketAddr,
    },
    /// Declare that a member has left; it stops when it hears so.
    Remove {
        /// A name, or an id such as n42.
        member: String,
    },
    /// Where peers come from: seeds, names, the peers file.
    List,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table for people.
    Text,
    /// JSON.
    Json,
    /// The text format of Prometheus.
    Prometheus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preset {
    /// One data centre.
    Lan,
    /// Across continents.
    Wan,
    /// One machine.
    Local,
    /// As hashicorp/memberlist has it for a data centre.
    MemberlistLan,
    /// As hashicorp/memberlist has it across continents.
    MemberlistWan,
}

/// Where the shared settings come from.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The cluster's name; all its members give the same.
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// The settings to start from.
    #[arg(long, value_enum, default_value_t = Preset::Lan)]
    pub(crate) preset: Preset,
    /// Settings that differ from the preset, in TOML.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The address to bind, host:port; port 0 takes any.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:7946")]
    pub(crate) bind: String,
    /// The member's name, unique in the cluster; the host's name and the port by default.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The member's id as a number; made from the name by default.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) id: Option<u64>,
    /// Members to join through, host:port.
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    pub(crate) join: Vec<String>,
    /// The directory that keeps what must survive a restart.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// The address that others shall use; learnt from them if the bound one is unspecified.
    #[arg(long, value_name = "ADDR")]
    pub(crate) advertise: Option<SocketAddr>,
    /// A multicast group to hear, group:port; broadcasts go to it if the settings say multicast.
    #[arg(long, value_name = "GROUP")]
    pub(crate) multicast: Option<SocketAddr>,
    /// The network of the group: an IPv4 address of this machine, or for an IPv6 group the number of an interface.
    #[arg(long, value_name = "INTERFACE", value_parser = interface)]
    pub(crate) interface: Option<Interface>,
    /// The failure zone.
    #[arg(long, default_value = "")]
    pub(crate) zone: String,
    /// Text that every member sees beside this one.
    #[arg(long, default_value = "")]
    pub(crate) meta: String,
    /// A file of peers, one host:port a line, read again when it changes.
    #[arg(long, value_name = "FILE")]
    pub(crate) peers_file: Option<PathBuf>,
    /// The directory of the journal: every event, for replay.
    #[arg(long, value_name = "DIR")]
    pub(crate) journal: Option<PathBuf>,
    /// Print datagrams with messages of these kinds, or `all`.
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kinds)]
    pub(crate) trace: Vec<Kinds>,
}

#[derive(Debug, Args)]
pub(crate) struct EstimateArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Members of the cluster.
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

/// One word of `--trace`: a kind, or all of them.
#[derive(Clone, Debug)]
pub(crate) struct Kinds(pub(crate) Vec<Kind>);

fn kinds(word: &str) -> Result<Kinds, String> {
    if word == "all" {
        return Ok(Kinds(Kind::ALL.to_vec()));
    }
    let known = || Kind::ALL.map(Kind::name).join(", ");
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == word);
    kind.map(|kind| Kinds(vec![kind]))
        .ok_or_else(|| format!("{word:?} is no kind of message; there are all, {}", known()))
}

fn interface(text: &str) -> Result<Interface, String> {
    let index = || text.parse().map(Interface::Index);
    text.parse().map(Interface::Addr).or_else(|_| index()).map_err(|_| {
        format!("{text:?} is neither an IPv4 address of this machine nor the number of an interface")
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
