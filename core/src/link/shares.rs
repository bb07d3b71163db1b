//! Fair shares of the free room in a datagram (rule G6): deficit round robin between the classes that have messages to
//! send (Shreedhar and Varghese, SIGCOMM 1995).
//!
//! Each class is granted an equal share of the room of every datagram that is filled. A class that could not use its
//! share because its next item is longer keeps the share for later, up to one datagram; a class that has sent all it had
//! keeps nothing. A class that has nothing for the receiver of a datagram takes no part in it. The class that is served last in a datagram may use all the room that is left.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// The shares of all classes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shares {
    classes: Vec<Class>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Class {
    /// The bytes that the class is owed; at most one datagram.
    owed: usize,
    /// The number of datagrams in a row that had no room for its next item. Among classes that are owed a whole
    /// datagram each, the one with the highest number is served next.
    waited: u32,
}

/// The result of one turn of a class in a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    pub(crate) bytes: usize,
    pub(crate) wants_more: bool,
}

impl Shares {
    /// Makes the shares of `classes` classes, at most 64.
    pub(crate) fn new(classes: usize) -> Self {
        Self { classes: alloc::vec![Class::default(); classes] }
    }

    /// Fills a datagram that has `room` bytes left. `has_some` says which classes have something to send. `pack` is
    /// called once for each of them, beginning with the class that is owed most, with the number of bytes that the
    /// class may use.
    pub(crate) fn fill(
        &mut self,
        room: usize,
        has_some: impl Fn(usize) -> bool,
        mut pack: impl FnMut(usize, usize) -> Packed,
    ) {
        let mut waiting = 0_u64;
        (0..self.classes.len()).filter(|place| has_some(*place)).for_each(|place| waiting |= 1 << place);
        // There are at least two shares, so that a class that is alone does not save up more than one that is not.
        let share = room / waiting.count_ones().max(2) as usize;
        let mut left = room;
        while let Some(place) = self.next(waiting, room) {
            waiting &= !(1 << place);
            let class = &mut self.classes[place];
            let granted = class.owed + share;
            let packed = pack(place, if waiting == 0 { left } else { granted.min(left) });
            left -= packed.bytes;
            // A datagram with little room does not take away what is owed from one with more.
            let rest = granted.saturating_sub(packed.bytes).min(room.max(class.owed));
            class.owed = if packed.wants_more { rest } else { 0 };
            let waits = packed.wants_more && packed.bytes == 0;
            class.waited = if waits { class.waited.saturating_add(1) } else { 0 };
        }
    }

    /// The class of `set` that is served next in a datagram with `room` bytes left: the one that is owed most, and of
    /// those that are owed all of it the one that has waited longest.
    fn next(&self, set: u64, room: usize) -> Option<usize> {
        let rank = |Class { owed, waited }| (owed.min(room), if owed >= room { waited } else { 0 });
        let places = (0..self.classes.len()).filter(|place| set & 1 << place != 0);
        places.min_by_key(|place| core::cmp::Reverse(rank(self.classes[*place])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Fills datagrams of 100 bytes for classes that each have a number of items of one length. Returns the bytes that
    /// each class has sent.
    fn filled<const N: usize>(datagrams: usize, items: [(usize, usize); N]) -> [usize; N] {
        let (mut shares, mut left) = (Shares::new(N), items);
        for _ in 0..datagrams {
            let mut room = 100;
            let has_some = left.map(|(count, _)| count > 0);
            shares.fill(
                100,
                |class| has_some[class],
                |class, allowance| {
                    let (count, len) = &mut left[class];
                    let fit = (allowance.min(room) / *len).min(*count);
                    *count -= fit;
                    room -= fit * *len;
                    Packed { bytes: fit * *len, wants_more: *count > 0 }
                },
            );
        }
        core::array::from_fn(|class| (items[class].0 - left[class].0) * items[class].1)
    }

    #[test]
    fn floods_share_evenly() {
        assert_eq!(filled(100, [(9_999, 10), (9_999, 10)]), [5_000; 2]);
        assert_eq!(filled(100, [(9_999, 5), (9_999, 5), (9_999, 5), (9_999, 5)]), [2_500; 4]);
    }

    #[test]
    fn a_class_with_few_items_gets_them_through_a_flood_of_another() {
        assert_eq!(filled(2, [(3, 20), (9_999, 10)]), [60, 140]);
    }

    #[test]
    fn an_item_longer_than_a_share_is_not_stuck() {
        let [long, _] = filled(10, [(9, 90), (9_999, 1)]);
        assert!(long >= 4 * 90, "{long}");
    }

    #[test]
    fn a_class_that_is_alone_uses_the_whole_datagram() {
        assert_eq!(filled(1, [(0, 1), (10, 10)]), [0, 100]);
    }

    /// Fills datagrams of these rooms. A class has items of one length without end, for the datagrams that it takes part in.
    fn filled_in<const N: usize>(
        rooms: impl Iterator<Item = usize>,
        lens: [usize; N],
        takes_part: impl Fn(usize, usize) -> bool,
    ) -> [usize; N] {
        let (mut shares, mut sent) = (Shares::new(N), [0; N]);
        for (place, room) in rooms.enumerate() {
            let mut left = room;
            shares.fill(
                room,
                |class| takes_part(class, place),
                |class, allowance| {
                    assert!(takes_part(class, place), "only classes that have something are asked");
                    assert!(allowance <= left, "no more than the room is given away");
                    let bytes = allowance / lens[class] * lens[class];
                    left -= bytes;
                    sent[class] += bytes;
                    Packed { bytes, wants_more: true }
                },
            );
        }
        sent
    }

    fn even<const N: usize>(lens: [usize; N]) -> Result<(), TestCaseError> {
        let sent = filled_in(core::iter::repeat_n(100, 100 * N), lens, |_, _| true);
        for class in 0..N {
            prop_assert!(sent[class] >= 100 * 100 / 4, "{:?} of {:?}", sent, lens);
        }
        let same = lens.iter().all(|len| *len == lens[0]);
        let (least, most) = (sent.iter().min().expect("some"), sent.iter().max().expect("some"));
        prop_assert!(!same || most - least <= 300, "{:?} of {:?}", sent, lens);
        Ok(())
    }

    #[test]
    fn varying_rooms_keep_what_a_class_is_owed() {
        let rooms = || [100, 20].into_iter().cycle().take(400);
        let sent = filled_in(rooms(), [90, 1], |_, _| true);
        assert!(sent[0] > 0, "{sent:?}");
    }

    #[test]
    fn a_class_that_has_nothing_for_every_second_datagram_does_not_starve() {
        let sent = filled_in([100].into_iter().cycle().take(400), [1, 90], |class, place| {
            class == 0 || place % 2 == 0
        });
        assert!(sent[1] > 0, "{sent:?}");
    }

    proptest! {
        #[test]
        fn none_of_two_classes_starves(lens in prop::array::uniform2(1_usize..=100)) { even(lens)? }
        #[test]
        fn none_of_three_classes_starves(lens in prop::array::uniform3(1_usize..=100)) { even(lens)? }
        #[test]
        fn none_of_five_classes_starves(lens in prop::array::uniform5(1_usize..=100)) { even(lens)? }
        #[test]
        fn none_of_six_classes_starves(lens in prop::array::uniform6(1_usize..=100)) { even(lens)? }

        #[test]
        fn classes_get_no_more_than_the_room(
            rooms in prop::collection::vec(0_usize..1_500, 1..60),
            lens in prop::array::uniform5(1_usize..=1_500),
            present in any::<u64>(),
        ) {
            let total: usize = rooms.iter().sum();
            let part = |class: usize, place: usize| present >> ((class * 13 + place) % 64) & 1 == 1;
            let sent = filled_in(rooms.into_iter(), lens, part);
            prop_assert!(sent.iter().sum::<usize>() <= total);
        }

        /// With rooms that vary, but all of them longer than any item.
        #[test]
        fn no_class_starves_in_rooms_longer_than_its_items(
            rooms in prop::collection::vec(100_usize..1_400, 2..8),
            lens in prop::array::uniform3(1_usize..=100),
        ) {
            let sent = filled_in(rooms.iter().copied().cycle().take(400), lens, |_, _| true);
            let total: usize = rooms.iter().copied().cycle().take(400).sum();
            for class in 0..3 {
                prop_assert!(sent[class] >= total / 3 / 4, "{:?} of {:?}", sent, lens);
            }
        }
    }

    proptest! {
        /// With four classes, a class that always has something to send gets its share of all bytes, except for the
        /// item that waits at the end, whatever the lengths of the items.
        #[test]
        fn no_class_starves(lens in prop::array::uniform4(1_usize..=100), idle in prop::array::uniform4(any::<bool>())) {
            let items = core::array::from_fn(|class| (if idle[class] { 0 } else { 99_999 }, lens[class]));
            let sent: [usize; 4] = filled(400, items);
            let active = idle.iter().filter(|idle| !**idle).count();
            for class in 0..4 {
                prop_assert_eq!(sent[class] == 0, idle[class]);
                if !idle[class] {
                    // A datagram that holds one long item may leave no room for the share of another.
                    prop_assert!(sent[class] >= 400 * 100 / active / 4, "{:?} of {:?}", sent, lens);
                }
            }
        }
    }
}
