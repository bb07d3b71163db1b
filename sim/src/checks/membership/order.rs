//! CM11: the notices of one observer about one member, which may be itself, follow one grammar: `Up`, then any of
//! `Suspected`, `Refuted`, `Updated` and `Restarted`, then `Down` or `Left`, then `Up` again or `Forgotten`. No notice is
//! missing or repeated, a `Restarted` has another boot and an `Updated` the same one, and the last notice agrees with the view.

use std::collections::{BTreeMap, BTreeSet};

use bruit_core::{Admission, Command, Member, MemberChange, MemberState, NodeId};

use crate::base::{Index, mix, of_bytes};
use crate::checks::scene::{Scene, change};
use crate::kernel::{Check, Happening, Memory, Violation};

/// What an observer has last reported of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    state: MemberState,
    boot: u64,
    /// The digest of the address, the name, the zone, the metadata and the tags.
    content: u64,
}

impl Told {
    fn of(member: &Member<'_>) -> Self {
        let Member { name, addr, zone, meta, tags, .. } = member;
        let content = mix(of_bytes(format!("{addr} {name} {zone} {tags}").as_bytes()), of_bytes(meta));
        Self { state: member.state, boot: member.boot, content }
    }
}

/// CM11: what each observer has reported of each member.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    told: BTreeMap<(Index, NodeId), Told>,
    /// The members that the application of an observer has refused. It is told that they left, while they live.
    vetoed: BTreeSet<(Index, NodeId)>,
}

impl Order {
    /// A process that goes on from a snapshot does not report again what it has reported before.
    fn adopt(&mut self, observer: Index, scene: &Scene<'_>) {
        let Some(node) = scene.node(observer) else { return };
        self.told.extend(node.members().map(|member| ((observer, member.id), Told::of(&member))));
    }
}

/// The way in which a change does not fit what was told before, if it does not.
fn misfit(before: Option<Told>, change: MemberChange, now: Told) -> Option<&'static str> {
    let before = before?;
    match change {
        MemberChange::Updated if now.boot != before.boot => Some("a restart"),
        MemberChange::Updated if now.content == before.content => Some("nothing new"),
        MemberChange::Restarted if now.boot == before.boot => Some("the same process"),
        MemberChange::Suspected | MemberChange::Refuted
            if (now.boot, now.content) != (before.boot, before.content) =>
        {
            Some("a new record")
        }
        _ => None,
    }
}

/// The state after a change; the inner `None` is a member that is unknown or forgotten. `None` if the grammar does not
/// allow the change.
const fn next(state: Option<MemberState>, change: MemberChange) -> Option<Option<MemberState>> {
    use MemberState::{Alive, Down, Left, Suspect};
    Some(match (state, change) {
        (None | Some(Down | Left), MemberChange::Up) | (Some(Suspect), MemberChange::Refuted) => Some(Alive),
        (Some(Alive), MemberChange::Suspected) => Some(Suspect),
        (Some(Alive | Suspect), MemberChange::Updated | MemberChange::Restarted) => state,
        (Some(Alive | Suspect), MemberChange::Down) => Some(Down),
        (Some(Alive | Suspect | Down), MemberChange::Left) => Some(Left),
        (Some(Down | Left), MemberChange::Forgotten) => None,
        _ => return None,
    })
}

impl Check<Scene<'_>> for Order {
    fn observe(&mut self, happening: &Happening<'_>, scene: &Scene<'_>) -> Result<(), Violation> {
        if let Happening::Crashed { node } = *happening {
            self.told.retain(|(observer, _), _| *observer != node);
            self.vetoed.retain(|(observer, _)| *observer != node);
        }
        match *happening {
            Happening::Cloned { node, .. } | Happening::Restarted { node, memory: Memory::Snapshot } => {
                self.adopt(node, scene);
            }
            Happening::Command { node, command: Command::Admit { id, admission: Admission::Veto } } => {
                self.vetoed.insert((node, *id));
            }
            _ => {}
        }
        let Some((observer, change, member)) = change(happening) else { return Ok(()) };
        scene.judges();
        let key = (observer, member.id);
        let before = self.told.get(&key).copied();
        let Some(after) = next(before.map(|told| told.state), change) else {
            let before = before.map_or("unknown".to_owned(), |told| format!("{:?}", told.state));
            let text = format!("it reported {change:?} of {}, which was {before}", member.id);
            return Err(scene.violation(observer, text));
        };
        let now = Told::of(member);
        if let Some(what) = misfit(before, change, now) {
            let text = format!("it reported {change:?} of {}, and it was {what}", member.id);
            return Err(scene.violation(observer, text));
        }
        // The application has asked not to be shown a member that it has refused, although that member lives.
        let veto = change == MemberChange::Left && now.state.is_live() && self.vetoed.remove(&key);
        match after {
            Some(after) if now.state != after && !veto => {
                let text = format!("it reported {change:?} of {} and shows it {:?}", member.id, now.state);
                return Err(scene.violation(observer, text));
            }
            Some(_) if !veto => _ = self.told.insert(key, now),
            Some(_) | None => _ = self.told.remove(&key),
        }
        Ok(())
    }

    fn conclude(&mut self, scene: &Scene<'_>) -> Result<(), Violation> {
        for ((observer, id), told) in &self.told {
            if scene.world.joined(*observer).is_none() {
                continue;
            }
            let shown = scene.nodes.member(*observer, *id).map(|member| Told::of(&member));
            // Of a member that is gone, or shown as gone, only the return is told.
            let agrees = |shown: Told| {
                if told.state.is_live() { shown == *told } else { shown.state == told.state }
            };
            if !shown.is_some_and(agrees) {
                let text = format!("its last notice made {id} {told:?}, and it shows {shown:?}");
                return Err(scene.violation(*observer, text));
            }
        }
        for observer in scene.world.indices().filter(|node| scene.world.joined(*node).is_some()) {
            for id in scene.nodes.live(observer) {
                if !self.told.contains_key(&(observer, id)) {
                    return Err(scene.violation(observer, format!("it shows {id}, and never reported it")));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::fixture::{Fixture, member};
    use bruit_core::MemberChange::{Down, Forgotten, Left, Refuted, Restarted, Suspected, Up, Updated};
    use bruit_core::{Admission, Command, Member, MemberChange, MemberState, NodeId, Notice};

    fn history(changes: &[MemberChange]) -> Fixture {
        let mut history = Fixture::new(2, "CM11");
        history.tells(0, Up, 1, 0).tells(1, Up, 2, 0);
        for change in changes {
            history.tells(0, *change, 2, 0);
        }
        history
    }

    #[test]
    fn changes_out_of_place_are_found() {
        history(&[Suspected]).fires("Suspected of n2, which was unknown");
        history(&[Up, Up]).fires("Up of n2, which was Alive");
        history(&[Up, Refuted]).fires("Refuted of n2, which was Alive");
        history(&[Up, Down, Down]).fires("Down of n2, which was Down");
        history(&[Up, Left, Left]).fires("Left of n2, which was Left");
        history(&[Up, Forgotten]).fires("Forgotten of n2, which was Alive");
        history(&[Up, Down, Updated]).fires("Updated of n2, which was Down");
        history(&[Up, Down, Restarted]).fires("Restarted of n2, which was Down");
    }

    /// Member 2 is up at process 0, which then reports this change of it, with this boot and metadata.
    fn changes(change: MemberChange, boot: u64, meta: &'static [u8]) -> Fixture {
        let mut history = history(&[Up]);
        let state = if change == Suspected { MemberState::Suspect } else { MemberState::Alive };
        let up = member(2, 0, state);
        let member = Member { boot: up.boot + boot, meta: meta.into(), ..up };
        history.notices(0, &Notice::Member { change, member });
        history
    }

    #[test]
    fn a_change_that_is_called_by_another_name_is_found() {
        changes(Updated, 1, &[0]).fires("Updated of n2, and it was a restart");
        changes(Updated, 0, &[0]).fires("Updated of n2, and it was nothing new");
        changes(Updated, 0, &[1]).is_silent();
        changes(Restarted, 0, &[1]).fires("Restarted of n2, and it was the same process");
        changes(Restarted, 1, &[0]).is_silent();
        changes(Suspected, 1, &[0]).fires("Suspected of n2, and it was a new record");
        changes(Suspected, 0, &[0]).is_silent();
    }

    #[test]
    fn a_view_that_does_not_match_the_last_notice_is_found() {
        history(&[Up]).shows(0, 2, MemberState::Suspect).ends().fires("it shows Some(Told { state: Suspect");
        history(&[]).shows(0, 2, MemberState::Alive).ends().fires("never reported");
        changes(Updated, 0, &[1]).ends().fires("its last notice made n2");
        changes(Restarted, 1, &[0]).ends().fires("its last notice made n2");
    }

    #[test]
    fn a_refused_member_that_lives_is_not_shown_and_one_that_has_left_is_forgotten() {
        let veto = Command::Admit { id: NodeId(2), admission: Admission::Veto };
        let left = |state| Notice::Member { change: Left, member: member(2, 0, state) };
        let mut lives = history(&[Up]);
        lives.notices(0, &left(MemberState::Alive)).fires("it reported Left of n2 and shows it Alive");
        let mut lives = history(&[Up]);
        lives.commanded(0, &veto).notices(0, &left(MemberState::Alive)).tells(0, Up, 2, 0).is_silent();
        let mut gone = history(&[Up]);
        gone.commanded(0, &veto).tells(0, Left, 2, 0).tells(0, Forgotten, 2, 0).is_silent();
    }

    #[test]
    fn a_process_that_does_not_report_itself_is_found() {
        Fixture::new(1, "CM11").ends().fires("it shows n1, and never reported it");
    }

    #[test]
    fn every_allowed_change_is_fine() {
        let changes = [
            Up, Updated, Suspected, Updated, Restarted, Refuted, Restarted, Suspected, Down, Up, Left,
            Forgotten, Up, Down, Forgotten,
        ];
        history(&changes).ends().is_silent();
    }
}
