//! The report of a run, for people and as JSON.

use std::collections::BTreeMap;
use std::fmt;

use bruit_core::Time;
use serde::{Serialize, Serializer};

use super::history::History;
use super::options::{Options, Workload};
use super::rules::{self, Rule, Violation};
use super::set_full::{self, SetFull};
use super::world::{NetStats, World};

/// The most violations and errors that a report lists. Further ones are only counted.
const LISTED_MAX: usize = 10;

/// The verdict on a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every rule held.
    Valid,
    /// No rule was violated, but no element was read late enough to decide.
    Unknown,
    /// A rule was violated, an element was lost, or a node wrote a line that Maelstrom would refuse.
    Invalid,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Valid => "valid",
            Self::Unknown => "unknown",
            Self::Invalid => "INVALID",
        })
    }
}

/// One cut of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// The shape of the cut.
    pub target: &'static str,
    /// The time of the cut.
    #[serde(serialize_with = "millis")]
    pub made: Time,
    /// The time of the healing.
    #[serde(serialize_with = "millis_if")]
    pub healed: Option<Time>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn millis<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(time.as_millis())
}

#[expect(clippy::ref_option, reason = "serde passes a reference")]
fn millis_if<S: Serializer>(time: &Option<Time>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(Time::as_millis).serialize(serializer)
}

/// The report of a run.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// The options of the run.
    pub options: Options,
    /// The numbers of messages.
    pub net: NetStats,
    /// The number of operations that clients began.
    pub invoke_count: usize,
    /// The number of operations that succeeded.
    pub ok_count: usize,
    /// The number of messages between nodes for each operation. Reads are operations too.
    pub msgs_per_op: f64,
    /// The number of datagrams with a message of each kind, and the bytes of all, if they were counted.
    pub kinds: Option<BTreeMap<&'static str, u64>>,
    /// The result of Maelstrom's own checker for broadcasts.
    pub workload: Option<SetFull>,
    /// The number of elements that Maelstrom's checker calls lost or that a final read lacks.
    pub lost_count: usize,
    /// The first ten violations of further rules.
    pub violations: Vec<Violation>,
    /// The number of violations.
    pub violation_count: usize,
    /// The first ten wrong answers to clients and lines that Maelstrom would refuse.
    pub errors: Vec<String>,
    /// The cuts, with times in milliseconds.
    pub cuts: Vec<Cut>,
    /// The lines that the nodes logged, with time and name, if they were kept.
    #[serde(skip)]
    pub log: Vec<String>,
    /// The verdict.
    pub verdict: Verdict,
}

impl Report {
    pub(super) fn new(options: &Options, history: &History, world: &World, cuts: Vec<Cut>) -> Self {
        let mut violations = rules::check_answers(history);
        let (mut lost, mut workload) = (std::collections::BTreeSet::new(), None);
        if options.workload == Workload::Broadcast {
            let (further, missing) = rules::check_reads(history, options.node_count);
            violations.extend(further);
            let result = set_full::check(history);
            lost.extend(missing.0);
            lost.extend(&result.lost);
            workload = Some(result);
        }
        violations.extend(availability(options, history));
        let mut errors = history.errors.clone();
        errors.extend(world.refused.iter().map(|line| format!("Maelstrom would refuse {line:.80}")));
        let verdict = if !violations.is_empty() || !lost.is_empty() || !world.refused.is_empty() {
            Verdict::Invalid
        } else if workload.as_ref().is_some_and(|result| result.stable_count == 0) {
            Verdict::Unknown
        } else {
            Verdict::Valid
        };
        let violation_count = violations.len();
        violations.truncate(LISTED_MAX);
        errors.truncate(LISTED_MAX);
        Self {
            options: options.clone(),
            net: *world.stats(),
            invoke_count: history.invoked,
            ok_count: history.ok,
            msgs_per_op: per_op(world.stats().servers.msg_count, history.invoked),
            kinds: world.kinds.clone(),
            workload,
            lost_count: lost.len(),
            violations,
            violation_count,
            errors,
            cuts,
            log: world.log.clone().unwrap_or_default(),
            verdict,
        }
    }
}

fn availability(options: &Options, history: &History) -> Option<Violation> {
    let wanted = options.availability?;
    let (ok, invoked) = (history.ok as u64, history.invoked as u64);
    (ok * 1_000_000 < invoked * u64::from(wanted.0)).then(|| Violation {
        rule: Rule::Availability,
        text: format!("{ok} of {invoked} operations succeeded"),
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn per_op(messages: u64, operations: usize) -> f64 {
    if operations == 0 { 0.0 } else { messages as f64 / operations as f64 }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { options, net, .. } = self;
        writeln!(f, "operations  {} invoked, {} ok", self.invoke_count, self.ok_count)?;
        for (who, count) in [("all", net.all), ("clients", net.clients), ("servers", net.servers)] {
            let (sent, received, unique) = (count.send_count, count.recv_count, count.msg_count);
            writeln!(f, "{who:<11} {sent} sent, {received} received, {unique} unique")?;
        }
        writeln!(f, "msgs-per-op {:.2} between servers", self.msgs_per_op)?;
        for (kind, count) in self.kinds.iter().flatten() {
            writeln!(f, "  {kind:<11} {count}")?;
        }
        if let Some(result) = &self.workload {
            let SetFull { attempt_count, stable_count, stale_count, lost, never_read, stable_latencies: q } =
                result;
            writeln!(
                f,
                "elements    {attempt_count} attempted, {stable_count} stable, {stale_count} stale, {} lost, {} \
                 never read",
                lost.len(),
                never_read.len()
            )?;
            writeln!(
                f,
                "stable after (ms)  0: {}  0.5: {}  0.95: {}  0.99: {}  1: {}",
                q.min, q.median, q.p95, q.p99, q.max
            )?;
        }
        for cut in &self.cuts {
            let healed = cut.healed.map_or_else(|| "never".to_owned(), |time| time.to_string());
            writeln!(f, "cut         {} at {}, healed at {healed}", cut.target, cut.made)?;
        }
        for error in &self.errors {
            writeln!(f, "error       {error}")?;
        }
        for violation in &self.violations {
            writeln!(f, "violated    {:?}: {}", violation.rule, violation.text)?;
        }
        if self.violation_count > self.violations.len() {
            writeln!(f, "            and {} more", self.violation_count - self.violations.len())?;
        }
        write!(f, "{} (preset {}, seed {})", self.verdict, options.preset.name(), options.seed)
    }
}
