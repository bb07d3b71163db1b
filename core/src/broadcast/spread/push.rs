//! The pushes that wait for acknowledgements (gogossip).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::action::Notice;
use crate::context::Ctx;
use crate::id::{MessageId, NodeId};
use crate::time::Time;
use crate::wire::Runs;

/// The greatest number of pushes whose acknowledgements are counted; further pushes are not reported to the
/// application.
const PUSHES_MAX: usize = 4_096;

/// The greatest number of messages in one run of acknowledgements that are processed.
const RUN_MAX: usize = 1_024;

/// The pushes that wait for acknowledgements.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Pushes {
    open: BTreeMap<MessageId, Push>,
}

/// A message that was pushed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Push {
    /// The members that the message was sent to.
    pub(super) contacted: SmallVec<[NodeId; 4]>,
    /// The contacted members that received it from this node first, and have acknowledged that.
    pub(super) acked: SmallVec<[NodeId; 4]>,
    /// The time from which missing acknowledgements are late.
    due: Time,
}

impl Push {
    /// Whether a majority of the contacted members has acknowledged; later acknowledgements are not counted.
    fn is_done(&self) -> bool {
        self.acked.len() > self.contacted.len() / 2
    }
}

impl Pushes {
    /// Begins to wait for the acknowledgements of a message until `due`. Returns false if no member was contacted, or
    /// if too many pushes wait.
    pub(super) fn open(&mut self, id: MessageId, contacted: &[NodeId], due: Time) -> bool {
        let opens = !contacted.is_empty() && self.open.len() < PUSHES_MAX;
        if opens {
            let push = Push { contacted: contacted.into(), acked: SmallVec::new(), due };
            self.open.insert(id, push);
        }
        opens
    }

    /// The time at which the next push is late.
    pub(super) fn next(&self) -> Option<Time> {
        self.open.values().map(|push| push.due).min()
    }

    pub(super) fn on_ack(&mut self, from: NodeId, runs: Runs<'_>, me: NodeId, cx: &mut Ctx<'_>) {
        for run in runs.iter() {
            // Pushes are acknowledged one by one, so most messages of a long run were not pushed from here.
            for seq in (run.first..=run.last).take(RUN_MAX) {
                let id = MessageId { origin: run.origin, epoch: run.epoch, seq };
                let Some(push) = self.open.get_mut(&id) else { continue };
                if push.contacted.contains(&from) && !push.acked.contains(&from) {
                    push.acked.push(from);
                }
                if push.is_done() {
                    self.end(id, me, cx);
                }
            }
        }
    }

    /// Ends and returns the pushes whose acknowledgements are late.
    pub(super) fn end_late(&mut self, me: NodeId, cx: &mut Ctx<'_>) -> Vec<(MessageId, Push)> {
        let late: Vec<MessageId> =
            self.open.iter().filter(|(_, push)| push.due <= cx.now).map(|(id, _)| *id).collect();
        late.into_iter().filter_map(|id| Some((id, self.end(id, me, cx)?))).collect()
    }

    fn end(&mut self, id: MessageId, me: NodeId, cx: &mut Ctx<'_>) -> Option<Push> {
        let push = self.open.remove(&id)?;
        if id.origin == me {
            let count = |members: &[NodeId]| u8::try_from(members.len()).unwrap_or(u8::MAX);
            let (acked, contacted) = (count(&push.acked), count(&push.contacted));
            cx.out.notify(Notice::Pushed { id, acked, contacted });
        }
        Some(push)
    }
}
