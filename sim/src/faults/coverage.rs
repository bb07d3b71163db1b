//! The coverage of a sweep: how often its plans had each kind of fault, operation and setting, and how often these had an
//! effect. What no plan has ever done is seen at once, because every row is always there.

use std::collections::BTreeMap;

use serde::Serialize;

use super::trial::Outcome;
use super::{Field, Kind, Plan};
use crate::kernel::Op;
use crate::network::DropReason;

/// The counts of all seeds together.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    seeds: u64,
    counts: BTreeMap<(Section, String), Count>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    plans: u64,
    seeds: u64,
    total: u64,
}

/// A part of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Section {
    /// Kinds of fault. They have had an effect if check CS9 says so.
    Kind,
    /// Operations that plans schedule.
    Op,
    /// Settings that differ from those of the preset.
    Setting,
    /// Effects, as the simulator counts them.
    Effect,
    /// Datagrams that were dropped, by the reason.
    Drop,
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The part of the table.
    pub section: Section,
    /// The kind, operation, setting, effect or reason.
    pub name: String,
    /// The number of plans that have it. An effect is in no plan.
    pub plans: u64,
    /// The number of seeds in which it had an effect.
    pub seeds: u64,
    /// How often it happened in all seeds together.
    pub total: u64,
}

impl Coverage {
    /// The number of seeds so far.
    #[must_use]
    pub const fn seeds(&self) -> u64 {
        self.seeds
    }

    /// Counts one run. A plan whose run has stopped early counts with the effects until then.
    pub fn add(&mut self, plan: &Plan, outcome: &Outcome) {
        self.seeds += 1;
        let idle = plan.idle_kinds(&outcome.applied);
        for kind in &plan.kinds {
            self.count(Section::Kind, kind.name(), 1, u64::from(!idle.contains(kind)));
        }
        let ops = plan.acts.iter().fold(BTreeMap::<_, u64>::new(), |mut ops, act| {
            *ops.entry(act.op.name()).or_default() += 1;
            ops
        });
        for (name, times) in ops {
            self.count(Section::Op, name, 1, times);
        }
        for setting in &plan.settings {
            self.count(Section::Setting, setting.field.name(), 1, 1);
        }
        for (name, times) in outcome.applied.counters() {
            self.count(Section::Effect, name, 0, times);
        }
        for reason in DropReason::ALL {
            self.count(Section::Drop, &reason.to_string(), 0, outcome.counters.dropped(reason));
        }
    }

    /// Adds the counts of other seeds.
    pub fn merge(&mut self, other: &Self) {
        self.seeds += other.seeds;
        for (key, count) in &other.counts {
            let sum = self.counts.entry(key.clone()).or_default();
            sum.plans += count.plans;
            sum.seeds += count.seeds;
            sum.total += count.total;
        }
    }

    fn count(&mut self, section: Section, name: &str, plans: u64, times: u64) {
        let count = self.counts.entry((section, name.to_owned())).or_default();
        count.plans += plans;
        count.seeds += u64::from(times > 0);
        count.total += times;
    }

    /// The table, in an order that does not depend on the seeds. It also has the rows that are zero.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        let kinds = Kind::all().map(|kind| (Section::Kind, kind.name().to_owned()));
        let ops = Op::NAMES.into_iter().map(|name| (Section::Op, name.to_owned()));
        let settings = Field::ALL.into_iter().map(|field| (Section::Setting, field.name().to_owned()));
        let none = crate::kernel::Applied::default();
        let effects: Vec<_> = none.counters().map(|(name, _)| (Section::Effect, name.to_owned())).collect();
        let drops = DropReason::ALL.into_iter().map(|reason| (Section::Drop, reason.to_string()));
        kinds.chain(ops).chain(settings).chain(effects).chain(drops).map(|key| {
            let Count { plans, seeds, total } = self.counts.get(&key).copied().unwrap_or_default();
            let (section, name) = key;
            Row { section, name, plans, seeds, total }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::trial;

    #[test]
    fn a_table_has_every_row_and_counts_what_a_run_did() {
        let plan = Plan::draw(5);
        let mut coverage = Coverage::default();
        let empty: Vec<Row> = coverage.rows().collect();
        coverage.add(&plan, &trial::run(&plan, Vec::new()));
        let twice = coverage.clone();
        coverage.merge(&twice);
        let rows: Vec<Row> = coverage.rows().collect();
        assert_eq!(coverage.seeds(), 2);
        assert_eq!(rows.len(), empty.len());
        assert!(empty.iter().all(|row| row.total == 0));
        for row in rows.iter().filter(|row| row.section == Section::Kind) {
            let has = plan.kinds.iter().any(|kind| kind.name() == row.name);
            assert_eq!(row.plans, if has { 2 } else { 0 }, "{}", row.name);
        }
        assert_eq!(rows.iter().filter(|row| row.section == Section::Op).count(), Op::NAMES.len());
    }
}
