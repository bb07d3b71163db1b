use super::*;
use bruit_core::broadcast::{FirstPhase, Order, PersistSeen, Repair};

#[test]
fn a_serialized_plan_parses_to_itself_and_is_valid() {
    for plan in (0..200).map(Plan::draw).chain((0..600).map(|seed| Plans::Wide.draw(seed))) {
        let seed = plan.seed;
        let text = serde_json::to_string(&plan).expect("a plan can be serialized");
        assert_eq!(serde_json::from_str::<Plan>(&text).expect("and parsed"), plan);
        assert!(plan.acts.is_sorted_by_key(|act| act.at));
        assert!(plan.acts.iter().all(|act| act.at < plan.safety), "seed {seed}");
        assert_eq!(plan.validate(), Ok(()), "seed {seed}");
    }
}

#[test]
fn no_two_processes_of_a_plan_start_at_the_same_time() {
    for seed in 0..2_000 {
        let plan = Plans::Wide.draw(seed);
        let births = plan.acts.iter().filter(|act| act.op.births() > 0).map(|act| act.at);
        let births: Vec<Duration> = births.collect();
        assert!(births.is_sorted_by(|one, next| one < next), "seed {seed}: {births:?}");
    }
}

/// If this changes, the seeds in issues and in tests mean other plans than before.
#[test]
fn basic_plans_are_frozen() {
    let text: String =
        (0..50).map(|seed| serde_json::to_string(&Plan::draw(seed).acts).expect("text")).collect();
    assert_eq!(crate::base::of_bytes(text.as_bytes()), 1_559_916_947_953_354_652);
}

#[test]
fn a_plan_that_names_a_process_that_is_never_started_is_refused() {
    let mut plan = Plan::draw(1);
    plan.nodes = 16;
    plan.acts = vec![Act { at: Duration::ZERO, op: Op::Crash { node: Index(998) } }];
    assert_eq!(plan.validate(), Err("act 1 (crash) names n999, and must name n1 to n16".into()));
    plan.acts = vec![Act { at: Duration::ZERO, op: Op::Replace { former: Index(16) } }];
    assert_eq!(plan.validate(), Ok(()), "n17 is started by this act");
}

fn broadcasts(plan: &Plan) -> impl Iterator<Item = (u32, u32)> {
    plan.acts.iter().filter_map(|act| broadcast(&act.op))
}

type Feature = (&'static str, fn(&Plan) -> bool);

#[test]
fn plans_differ_in_kind() {
    let basic: Vec<Plan> = (0..400).map(Plan::draw).collect();
    let wide: Vec<Plan> = (0..400).map(|seed| Plans::Wide.draw(seed)).collect();
    for (plans, kinds) in [(&basic, &Kind::BASIC[..]), (&wide, &Kind::WIDE[..])] {
        for kind in kinds {
            let with = plans.iter().filter(|plan| plan.kinds.contains(kind)).count();
            assert!((10..350).contains(&with), "{} of 400 plans have {}", with, kind.name());
        }
    }
    let counted: [Feature; 8] = [
        ("no broadcast", |plan| broadcasts(plan).count() == 0),
        ("a tree", |plan| matches!(plan.broadcast.first, FirstPhase::Tree { .. })),
        ("a group", |plan| matches!(plan.broadcast.first, FirstPhase::Multicast { group: Some(_) })),
        ("a pull", |plan| matches!(plan.broadcast.repair, Repair::Pull { .. })),
        ("an order", |plan| plan.broadcast.order == Order::Origin),
        ("a disk", |plan| plan.broadcast.persist_seen == PersistSeen::BeforeDelivery),
        ("a burst", |plan| broadcasts(plan).any(|(_, count)| count > 10)),
        ("fragments", |plan| broadcasts(plan).any(|(bytes, _)| bytes > 10_000)),
    ];
    for (what, has) in counted {
        let with = basic.iter().filter(|plan| has(plan)).count();
        assert!((20..350).contains(&with), "{with} of 400 plans have {what}");
    }
    for plans in [&basic, &wide] {
        assert!(plans.iter().any(|plan| plan.kinds.len() <= 2));
        assert!(plans.iter().any(|plan| plan.kinds.len() >= 9));
    }
    for field in Field::ALL {
        let with = wide.iter().filter(|plan| plan.settings.iter().any(|setting| setting.field == field));
        assert!((8..200).contains(&with.count()), "{}", field.name());
    }
}
