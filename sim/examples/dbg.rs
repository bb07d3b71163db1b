use bruit_core::{Node, Time};
use bruit_sim::faults::Plan;
use bruit_sim::{Check, Cluster, Happening, Violation, trial};
struct Dump(Time, bool);
impl Check<Node> for Dump {
    fn id(&self) -> &'static str {
        "dump"
    }
    fn observe(&mut self, at: Time, _: &Happening<'_>, cluster: &Cluster<Node>) -> Result<(), Violation> {
        if at >= self.0 && !self.1 {
            self.1 = true;
            for (index, node) in cluster.nodes() {
                let text = format!("{node:?}");
                let quiet = text.find("quiet: Quiet").map_or("", |i| &text[i..(i + 400).min(text.len())]);
                println!(
                    "{index} at {at} roots {:x?} marks {:?}\n    {quiet}",
                    node.roots(),
                    node.marks()
                        .map(|m| (m.origin.0, m.epoch, m.contiguous, m.highest, m.gaps))
                        .collect::<Vec<_>>()
                );
            }
        }
        Ok(())
    }
}
fn main() {
    let mut args = std::env::args().skip(1);
    let seed: u64 = args.next().unwrap().parse().unwrap();
    let at: u64 = args.next().unwrap().parse().unwrap();
    let plan = Plan::draw(seed);
    println!(
        "{:?}\n{:?} nodes {} kinds {:?} safety {:?} down {:?}",
        plan.broadcast, plan.preset, plan.nodes, plan.kinds, plan.safety, plan.stay_down
    );
    for act in &plan.acts {
        println!("  {:?} {:?}", act.at, act.op);
    }
    let outcome = trial::run(&plan, vec![Box::new(Dump(Time::from_secs(at), false))]);
    println!("{:?}", outcome.verdict);
}
