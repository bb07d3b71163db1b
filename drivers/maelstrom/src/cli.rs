//! The command line and the exit codes. The doc comments are the help texts.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use bruit_driver::clock::calendar_nanos;
use bruit_maelstrom::bench::{
    Availability, LatencyDist, Nemesis, Options, Table, Topology, Verdict, Workload, run,
};
use bruit_maelstrom::overrides::{self, Override};
use bruit_maelstrom::{Host, Preset, Settings, stdio};
use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

const USAGE: u8 = 3;

/// A node for Maelstrom that runs bruit, and a compatible bench in virtual time.
///
/// Without a command it runs a node: `maelstrom test -w broadcast --bin bruit-maelstrom`. It serves the workloads echo,
/// unique-ids and broadcast.
///
/// Exit codes of the bench: 0 valid, 1 invalid, 2 unknown (no value was read late enough to decide), 3 wrong usage.
#[derive(Debug, Parser)]
#[command(name = "bruit-maelstrom", version, args_conflicts_with_subcommands = true)]
#[command(disable_help_subcommand = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    does: Option<Does>,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Debug, Subcommand)]
enum Does {
    /// Run a node: lines of JSON on stdin and stdout, until stdin ends. It logs on stderr.
    Node(NodeArgs),
    /// Run Maelstrom's test with nodes in this process, in virtual time, from a seed.
    ///
    /// Without options it prints a table of every preset, with and without partitions, on 25 nodes with a latency of
    /// 100 ms and 100 operations a second for 20 s.
    Bench(BenchArgs),
}

#[derive(Debug, Args)]
struct NodeArgs {
    /// The preset of the settings. All nodes of a test need the same preset.
    #[arg(long, value_enum, default_value_t = Preset::Latency)]
    preset: Preset,
    /// A setting that differs from the preset, such as broadcast.batch=120ms; may be repeated.
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<Override>,
}

/// The options of the bench. Those with a name of Maelstrom's have Maelstrom's meaning.
#[derive(Debug, Default, PartialEq, Args)]
struct BenchArgs {
    /// The requests that clients send [default: broadcast].
    #[arg(short, long, value_enum)]
    workload: Option<Workload>,
    /// The number of nodes, and of clients [default: 25].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=500))]
    node_count: Option<u16>,
    /// The mean latency between two nodes in milliseconds. Clients have no latency [default: 100].
    #[arg(long, value_name = "MILLIS", value_parser = clap::value_parser!(u32).range(..=60_000))]
    latency: Option<u32>,
    /// The distribution of the latency [default: constant].
    #[arg(long, value_enum)]
    latency_dist: Option<LatencyDist>,
    /// The number of operations a second, of all clients together [default: 100].
    #[arg(long, value_name = "HZ", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// The time for which clients send operations, in seconds [default: 20].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    time_limit: Option<u32>,
    /// The neighbours that the nodes are told; bruit ignores them [default: grid].
    #[arg(long, value_enum)]
    topology: Option<Topology>,
    /// The faults during the run [default: none; in the table with and without].
    #[arg(long, value_enum)]
    nemesis: Option<Nemesis>,
    /// The mean time between two faults or repairs, in seconds [default: 10].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    nemesis_interval: Option<u32>,
    /// The share of operations that must succeed: `total`, or a fraction such as 0.99 [default: any].
    #[arg(long, value_name = "FRACTION")]
    availability: Option<Availability>,
    /// The preset of the nodes' settings [default: latency; in the table all].
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// A setting that differs from the preset, such as broadcast.batch=120ms; may be repeated.
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<Override>,
    /// Count the datagrams by the kinds of message that they carry.
    #[arg(long)]
    kinds: bool,
    /// Print the logs of the nodes on stderr.
    #[arg(long)]
    log_stderr: bool,
    /// The seed of the run. Equal seeds give equal runs [default: 1].
    #[arg(long)]
    seed: Option<u64>,
    /// Print a table of every preset, with and without partitions.
    #[arg(long, conflicts_with_all = ["preset", "nemesis"])]
    table: bool,
    /// Print the reports as JSON, one a line.
    #[arg(long)]
    json: bool,
}

/// The reason why the command failed.
#[derive(Debug)]
enum Failure {
    Io(io::Error),
    Usage(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Io(error.into())
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Usage(text)
    }
}

impl BenchArgs {
    fn options(&self) -> Options {
        let default = Options::default();
        let seconds = |given: Option<u32>, default| given.map_or(default, |s| Duration::from_secs(s.into()));
        Options {
            workload: self.workload.unwrap_or(default.workload),
            node_count: self.node_count.map_or(default.node_count, usize::from),
            latency: self.latency.map_or(default.latency, |ms| Duration::from_millis(ms.into())),
            latency_dist: self.latency_dist.unwrap_or(default.latency_dist),
            rate: self.rate.unwrap_or(default.rate),
            time_limit: seconds(self.time_limit, default.time_limit),
            topology: self.topology.unwrap_or(default.topology),
            nemesis: self.nemesis,
            nemesis_interval: seconds(self.nemesis_interval, default.nemesis_interval),
            availability: self.availability,
            preset: self.preset.unwrap_or(default.preset),
            overrides: self.set.clone(),
            kinds: self.kinds,
            log: self.log_stderr,
            seed: self.seed.unwrap_or(default.seed),
        }
    }

    /// True if no option but `--json` was given.
    fn is_plain(&self) -> bool {
        *self == Self { json: self.json, ..Self::default() }
    }
}

pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let done = match cli.does {
        None => node(&cli.node),
        Some(Does::Node(args)) => node(&args),
        Some(Does::Bench(args)) => bench(&args, &mut io::stdout().lock()),
    };
    let (code, text) = match done {
        Ok(code) => return code,
        Err(Failure::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
        Err(Failure::Io(error)) => (ExitCode::FAILURE, error.to_string()),
        Err(Failure::Usage(text)) => (ExitCode::from(USAGE), text),
    };
    eprintln!("bruit-maelstrom: {text}");
    code
}

fn node(args: &NodeArgs) -> Result<ExitCode, Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    let config = overrides::apply(&args.preset.config(), &args.set)?;
    let settings = Settings { config, epoch: calendar_nanos(), seed };
    stdio::run(Host::new(settings).map_err(io::Error::other)?)?;
    Ok(ExitCode::SUCCESS)
}

fn bench(args: &BenchArgs, out: &mut impl Write) -> Result<ExitCode, Failure> {
    let options = args.options();
    if args.table || args.is_plain() {
        let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let bar = progress(2 * Preset::ALL.len() as u64);
        let table = Table::run(&options, jobs, || bar.inc(1))?;
        bar.finish_and_clear();
        if args.json {
            for report in &table.reports {
                writeln!(out, "{}", serde_json::to_string(report)?)?;
            }
        } else {
            write!(out, "{table}")?;
        }
        return Ok(exit(table.verdict()));
    }
    let report = run(&options)?;
    for line in &report.log {
        eprintln!("{line}");
    }
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        writeln!(out, "{report}")?;
    }
    Ok(exit(report.verdict))
}

fn exit(verdict: Verdict) -> ExitCode {
    match verdict {
        Verdict::Valid => ExitCode::SUCCESS,
        Verdict::Invalid => ExitCode::from(1),
        Verdict::Unknown => ExitCode::from(2),
    }
}

/// A progress bar on stderr, which is shown only on a terminal.
fn progress(runs: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} runs, {elapsed} of {duration}");
    ProgressBar::new(runs).with_style(style.expect("the template is valid"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn maelstroms_options_are_accepted_and_no_option_means_the_table() {
        let parse = |line: &str| match Cli::try_parse_from(line.split(' ')).expect("it parses").does {
            Some(Does::Bench(args)) => args,
            other => panic!("{other:?}"),
        };
        let line = "x bench -w broadcast --node-count 5 --latency 10 --rate 50 --time-limit 3 --topology tree4 \
                    --nemesis partition --nemesis-interval 2 --preset tree --seed 7 --availability total";
        let args = parse(line);
        assert!(!args.is_plain());
        let options = args.options();
        assert_eq!((options.node_count, options.latency), (5, Duration::from_millis(10)));
        assert_eq!((options.nemesis, options.topology), (Some(Nemesis::Partition), Topology::Tree4));
        assert!(parse("x bench").is_plain() && parse("x bench --json").is_plain());
        assert_eq!(parse("x bench").options(), Options::default());
    }

    #[test]
    fn without_a_command_it_is_a_node() {
        let cli = Cli::try_parse_from(["x", "--preset", "tree"]).expect("it parses");
        assert!(cli.does.is_none() && cli.node.preset == Preset::Tree);
        assert!(Cli::try_parse_from(["x", "--preset", "tree", "bench"]).is_err());
        assert!(Cli::try_parse_from(["x", "bench", "--table", "--preset", "tree"]).is_err());
    }
}
