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
    /// Fills a datagram with `room` left. `pack` is called with a class and its allowance, says how much of it is
    /// left, and whether the class has nothing more to say.
    pub(crate) fn fill(&mut self, room: usize, mut pack: impl FnMut(Class, usize) -> Packed) {
        let mut left = room;
        let mut wants_more = [false; CLASSES.len()];
        let behind = usize::from(self.owed[1] > self.owed[0]);
        for turn in 0..CLASSES.len() {
            let class = (turn + behind) % CLASSES.len();
            let share = (self.owed[class] + room / CLASSES.len()).min(left);
            let packed = pack(CLASSES[class], share);
            left -= packed.bytes;
            wants_more[class] = packed.wants_more;
            let rest = (self.owed[class] + room / CLASSES.len()).saturating_sub(packed.bytes);
            self.owed[class] = if packed.wants_more { rest.min(room) } else { 0 };
        }
        for (class, owed) in self.owed.iter_mut().enumerate() {
            if wants_more[class] && left > 0 {
                let packed = pack(CLASSES[class], left);
                left -= packed.bytes;
                *owed = owed.saturating_sub(packed.bytes);
            }
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
            shares.fill(100, |class, allowance| {
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
