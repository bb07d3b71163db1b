//! Fair shares of what is left in a datagram (rule G6): deficit round robin between the classes that have something
//! to spread (Shreedhar and Varghese, SIGCOMM 1995).
//!
//! Each class is granted an equal share of the room of every datagram that is filled. What it could not use, because
//! its next item is too long for the share, it keeps, up to one datagram; who has nothing to say keeps nothing. What
//! nobody else wants is for whoever comes first.

use serde::{Deserialize, Serialize};

/// Who has something to spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Class {
    Membership,
    Broadcast,
}

const CLASSES: [Class; 2] = [Class::Membership, Class::Broadcast];

/// What each class is owed, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shares {
    owed: [usize; CLASSES.len()],
}

impl Shares {
    /// Fills a datagram with `room` left, for the classes that have something to say. `pack` is called once for each of
    /// them, with its allowance, and says how much of it was used and whether there is more to say. The last one may use
    /// all that is left.
    pub(crate) fn fill(
        &mut self,
        room: usize,
        has_some: [bool; CLASSES.len()],
        mut pack: impl FnMut(Class, usize) -> Packed,
    ) {
        let share = room / CLASSES.len();
        let behind = usize::from(self.owed[1] > self.owed[0]);
        let mut left = room;
        for turn in 0..CLASSES.len() {
            let (class, other) = ((turn + behind) % CLASSES.len(), (turn + behind + 1) % CLASSES.len());
            if !has_some[class] {
                self.owed[class] = 0;
                continue;
            }
            let granted = self.owed[class] + share;
            let last = turn > 0 || !has_some[other];
            let packed = pack(CLASSES[class], if last { left } else { granted.min(left) });
            left -= packed.bytes;
            let rest = granted.saturating_sub(packed.bytes).min(room);
            self.owed[class] = if packed.wants_more { rest } else { 0 };
        }
    }
}

/// What a class has put into a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    pub(crate) bytes: usize,
    pub(crate) wants_more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills datagrams of 100 bytes; each class has so many items of one length. What each has sent.
    fn filled(datagrams: usize, items: [(usize, usize); 2]) -> [usize; 2] {
        let (mut shares, mut left) = (Shares::default(), items);
        for _ in 0..datagrams {
            let mut room = 100;
            let has_some = [left[0].0 > 0, left[1].0 > 0];
            shares.fill(100, has_some, |class, allowance| {
                let (count, len) = &mut left[class as usize];
                let fit = (allowance.min(room) / *len).min(*count);
                *count -= fit;
                room -= fit * *len;
                Packed { bytes: fit * *len, wants_more: *count > 0 }
            });
        }
        [0, 1].map(|class| (items[class].0 - left[class].0) * items[class].1)
    }

    #[test]
    fn two_floods_share_evenly() {
        let [membership, broadcast] = filled(100, [(9_999, 10), (9_999, 10)]);
        assert_eq!(membership, broadcast);
        assert_eq!(membership + broadcast, 10_000);
    }

    #[test]
    fn who_has_little_gets_it_through_a_flood_of_the_other() {
        assert_eq!(filled(2, [(3, 20), (9_999, 10)]), [60, 140]);
    }

    #[test]
    fn an_item_longer_than_a_share_is_not_stuck() {
        let [long, _] = filled(10, [(9, 90), (9_999, 1)]);
        assert!(long >= 4 * 90, "{long}");
    }

    #[test]
    fn what_nobody_else_wants_is_used() {
        assert_eq!(filled(1, [(0, 1), (10, 10)]), [0, 100]);
    }
}
