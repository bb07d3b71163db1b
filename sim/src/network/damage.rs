//! Damage to datagrams: a flipped bit, a missing end, extra bytes at the end, or delivery to a wrong address.

use crate::base::{Random, scale};

/// A kind of damage, with a random draw that is scaled once the length of the datagram is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    Flip(u64),
    Truncate(u64),
    Extend(u64),
    Misdeliver(u64),
}

const EXTENSION_MAX: u64 = 16;

impl Damage {
    pub(super) fn draw(ppm: u32, random: &mut Random) -> Option<Self> {
        if !random.chance(ppm) {
            return None;
        }
        let kind = random.below(4);
        let word = random.next_u64();
        Some(match kind {
            0 => Self::Flip(word),
            1 => Self::Truncate(word),
            2 => Self::Extend(word),
            _ => Self::Misdeliver(word),
        })
    }

    /// Changes the bytes. `Misdeliver` changes none; the sender of the datagram applies it to the destination.
    pub(crate) fn apply(self, bytes: &mut Vec<u8>) {
        let position = |word, len: usize| usize::try_from(scale(word, len as u64)).expect("below a length");
        match self {
            Self::Flip(word) if !bytes.is_empty() => {
                let bit = position(word, bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            Self::Truncate(word) => bytes.truncate(position(word, bytes.len())),
            Self::Extend(word) => {
                let more = position(word, usize::try_from(EXTENSION_MAX).expect("small")) + 1;
                bytes.extend(word.to_le_bytes().iter().cycle().take(more));
            }
            Self::Flip(_) | Self::Misdeliver(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_damage_changes_the_bytes_as_named() {
        let original = vec![7; 20];
        let damaged = |damage: Damage| {
            let mut bytes = original.clone();
            damage.apply(&mut bytes);
            bytes
        };
        let flipped = damaged(Damage::Flip(u64::MAX / 3));
        assert_eq!(original.iter().zip(&flipped).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>(), 1);
        assert!(damaged(Damage::Truncate(u64::MAX)).len() < 20);
        assert!((21..=36).contains(&damaged(Damage::Extend(u64::MAX)).len()));
        assert_eq!(damaged(Damage::Misdeliver(1)), original);
        Damage::Flip(1).apply(&mut Vec::new());
    }
}
