//! Whether the kinds of fault in a plan had an effect (check CS9).

use super::{Kind, Plan};
use crate::kernel::{Applied, Op};
use crate::network::Cut;

impl Plan {
    /// The kinds of fault in the plan that had no effect (check CS9).
    #[must_use]
    pub fn idle_kinds(&self, applied: &Applied) -> Vec<Kind> {
        self.kinds.iter().copied().filter(|kind| !self.had_effect(*kind, applied)).collect()
    }

    fn had_effect(&self, kind: Kind, applied: &Applied) -> bool {
        let count = match kind {
            Kind::Loss | Kind::Bursts | Kind::RareLoss => applied.lost,
            Kind::Duplicates => applied.duplicated,
            Kind::Reordering => applied.reordered,
            Kind::Damage => applied.damaged,
            Kind::Crashes => applied.crashes,
            Kind::Amnesia | Kind::RepeatedAmnesia => {
                applied.restarts_without_memory + applied.restarts_with_stale_disk
            }
            Kind::Pauses | Kind::ShortPause => applied.pauses,
            Kind::Clocks => applied.clock_changes,
            Kind::LateTicks | Kind::LongLateTicks => applied.late_ticks,
            Kind::Moves => applied.moves,
            Kind::Twins | Kind::SeveralTwins | Kind::Newcomers => applied.clones,
            Kind::Leaves => applied.leaves,
            Kind::Rejoins => applied.rejoins,
            Kind::LateJoins => applied.late_starts,
            Kind::Peers => applied.peers_added,
            Kind::Removals => applied.peers_removed,
            Kind::Metadata => applied.meta_changes,
            Kind::Admission => applied.admissions_asked,
            Kind::Takeovers => applied.addresses_taken,
            Kind::Replacements => applied.replacements,
            Kind::Copies => applied.copies,
            Kind::Snapshots => applied.snapshots,
            Kind::ClockSteps => applied.wall_clock_changes,
            Kind::DiskFailures => applied.refused_writes,
            Kind::EarlyFaults => applied.crashes + applied.pauses,
            Kind::NarrowLinks => applied.over_mtu,
            Kind::FullInboxes => applied.inbox_full,
            // Every datagram has a delay.
            Kind::Delays => 1,
            Kind::Split
            | Kind::Isolation
            | Kind::OneWay
            | Kind::Bridge
            | Kind::Flapping
            | Kind::Gray
            | Kind::ManySplits => self.cut_hits(kind, applied),
        };
        count > 0
    }

    /// The number of datagrams that the cuts of one kind have affected. Cuts are numbered in the order in which they are made.
    fn cut_hits(&self, kind: Kind, applied: &Applied) -> u64 {
        let cuts = self.acts.iter().filter_map(|act| cut_kind(&act.op));
        cuts.zip(&applied.cuts).filter(|(of, _)| *of == kind).map(|(_, (_, hits))| hits).sum()
    }
}

const fn cut_kind(op: &Op) -> Option<Kind> {
    let Op::Cut { cut, flap, gray, .. } = op else { return None };
    Some(match cut {
        _ if flap.is_some() => Kind::Flapping,
        _ if gray.is_some() => Kind::Gray,
        Cut::Split { groups } if groups.len() > 1 => Kind::ManySplits,
        Cut::Split { .. } | Cut::Zone { .. } => Kind::Split,
        Cut::Isolate { .. } => Kind::Isolation,
        Cut::OneWay { .. } | Cut::Egress { .. } | Cut::Ingress { .. } => Kind::OneWay,
        Cut::Pair { .. } | Cut::Bridge { .. } => Kind::Bridge,
    })
}
