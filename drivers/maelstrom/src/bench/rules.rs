//! Rules that Maelstrom's own checker does not check: it pools the reads of all nodes and ignores duplicates.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::history::{Elements, History};
use super::set_full::known;

/// A violation of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The violated rule.
    pub rule: Rule,
    /// A description for people.
    pub text: String,
}

/// The rules that every run must keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The final read of every node shows every element that was known before.
    FinalReads,
    /// No read shows an element twice.
    NoDuplicates,
    /// No read shows a value that was not broadcast before.
    NothingInvented,
    /// An element that a read at a node shows is shown by all later reads at that node.
    NothingVanishes,
    /// An echo returns the text that was sent.
    EchoIsEqual,
    /// No id is generated twice.
    IdsAreUnique,
    /// The demanded share of operations succeeds.
    Availability,
}

fn violation(rule: Rule, text: String) -> Violation {
    Violation { rule, text }
}

/// The elements that were known before the end and that a node lacked in its final read.
#[derive(Clone, Debug, Default)]
pub(super) struct Missing(pub(super) BTreeSet<u64>);

/// Checks the reads of `nodes` nodes.
pub(super) fn check_reads(history: &History, nodes: usize) -> (Vec<Violation>, Missing) {
    let mut violations = Vec::new();
    each_read(history, &mut violations);
    vanished(history, &mut violations);
    let missing = final_reads(history, nodes, &mut violations);
    (violations, missing)
}

fn each_read(history: &History, violations: &mut Vec<Violation>) {
    // Elements are broadcast in the order of the adds, so each read needs only those invoked since the last one.
    let (mut attempted, mut adds) = (Elements::default(), history.adds.iter().peekable());
    for read in &history.reads {
        while let Some(add) = adds.next_if(|add| add.invoked.index < read.ok.index) {
            attempted.insert(add.element);
        }
        let at = format!("a read at n{} after {}", read.node, read.ok.time);
        if let Some(element) = read.duplicate {
            violations.push(violation(Rule::NoDuplicates, format!("{at} shows {element} twice")));
        }
        let invented = read.elements.first_beyond(&attempted).map(|element| element.to_string());
        if let Some(value) = invented.or_else(|| read.foreign.clone()) {
            violations.push(violation(
                Rule::NothingInvented,
                format!("{at} shows {value:.80}, which was not broadcast"),
            ));
        }
    }
}

fn vanished(history: &History, violations: &mut Vec<Violation>) {
    let mut last: BTreeMap<usize, &Elements> = BTreeMap::new();
    for read in &history.reads {
        let before = last.insert(read.node, &read.elements);
        if let Some(element) = before.and_then(|before| before.first_beyond(&read.elements)) {
            let text = format!("a read at n{} after {} no longer shows {element}", read.node, read.ok.time);
            violations.push(violation(Rule::NothingVanishes, text));
        }
    }
}

fn final_reads(history: &History, nodes: usize, violations: &mut Vec<Violation>) -> Missing {
    let mut missing = Missing::default();
    let known: Vec<_> = history
        .adds
        .iter()
        .filter_map(|add| known(add, &history.reads).map(|moment| (add.element, moment)))
        .collect();
    for node in 0..nodes {
        let Some(read) = history.reads.iter().find(|read| read.is_final && read.node == node) else {
            violations.push(violation(Rule::FinalReads, format!("n{node} did not answer its final read")));
            continue;
        };
        let lacks: Vec<u64> = known
            .iter()
            .filter(|(element, moment)| {
                moment.index < read.invoked.index && !read.elements.contains(*element)
            })
            .map(|(element, _)| *element)
            .collect();
        if let Some(first) = lacks.first() {
            let text =
                format!("the final read at n{node} lacks {} known elements, {first} first", lacks.len());
            violations.push(violation(Rule::FinalReads, text));
        }
        missing.0.extend(lacks);
    }
    missing
}

/// Checks the answers to `echo` and `generate`.
pub(super) fn check_answers(history: &History) -> Vec<Violation> {
    let mut violations: Vec<_> =
        history.wrong_echoes.iter().map(|text| violation(Rule::EchoIsEqual, text.clone())).collect();
    let mut seen = BTreeSet::new();
    for id in history.ids.iter().filter(|id| !seen.insert(*id)) {
        violations.push(violation(Rule::IdsAreUnique, format!("{id} was generated twice")));
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Story;
    use super::*;

    #[track_caller]
    fn check(story: Story, expected: &[Rule]) -> Missing {
        let (violations, missing) = check_reads(&story.history(), 2);
        let rules: Vec<Rule> = violations.iter().map(|violation| violation.rule).collect();
        assert_eq!(rules, expected, "{violations:?}");
        missing
    }

    fn ended(story: Story, elements: &[u64]) -> Story {
        story.final_read(0, elements).final_read(1, elements)
    }

    #[test]
    fn a_good_history_passes() {
        let story = Story::new().add(0).read(0, &[0]).read(1, &[]).failed_add(1).add(2).read(1, &[2, 0]);
        check(ended(story, &[2, 0]), &[]);
    }

    #[test]
    fn a_known_element_that_one_node_lacks_at_the_end_is_lost() {
        let story = Story::new().add(0).add(1).final_read(0, &[0, 1]).final_read(1, &[0]);
        assert_eq!(check(story, &[Rule::FinalReads]).0, BTreeSet::from([1]));
        let seen_only = Story::new().failed_add(0).read(0, &[0]).final_read(0, &[0]).final_read(1, &[]);
        check(seen_only, &[Rule::FinalReads]);
    }

    #[test]
    fn a_node_without_a_final_read_fails() {
        check(Story::new().add(0).final_read(1, &[0]), &[Rule::FinalReads]);
    }

    #[test]
    fn an_element_twice_in_one_read_is_a_duplicate() {
        check(ended(Story::new().add(0).read(1, &[0, 0]), &[0]), &[Rule::NoDuplicates]);
    }

    #[test]
    fn an_element_that_was_never_or_not_yet_broadcast_is_invented() {
        check(ended(Story::new().add(0).read(1, &[0, 7]).add(7), &[0, 7]), &[Rule::NothingInvented]);
        let both = [Rule::NothingInvented, Rule::NothingInvented];
        check(ended(Story::new().add(0), &[0, 9]), &both);
    }

    #[test]
    fn an_element_that_a_node_showed_before_must_not_vanish() {
        let story = Story::new().add(0).add(1).read(1, &[0, 1]).read(0, &[0]).read(1, &[1]);
        check(ended(story, &[0, 1]), &[Rule::NothingVanishes]);
    }

    #[test]
    fn wrong_echoes_and_repeated_ids_are_violations() {
        let mut history = History::default();
        history.ids = ["a", "b", "a"].map(str::to_owned).to_vec();
        history.wrong_echoes.push("x".to_owned());
        let rules: Vec<Rule> = check_answers(&history).into_iter().map(|violation| violation.rule).collect();
        assert_eq!(rules, [Rule::EchoIsEqual, Rule::IdsAreUnique]);
    }
}
