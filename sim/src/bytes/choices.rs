//! A byte slice as a source of choices. After its end every choice is zero, which always means the harmless option.

use core::time::Duration;

#[derive(Clone, Copy, Debug)]
pub(super) struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *byte
    }

    pub(super) fn word(&mut self) -> u64 {
        u64::from_le_bytes(core::array::from_fn(|_| self.byte()))
    }

    /// A position in a sequence of `len` items.
    pub(super) fn position(&mut self, len: usize) -> usize {
        usize::from(self.byte()) % len.max(1)
    }

    /// The next bytes, up to `most`; their number is a choice as well.
    pub(super) fn bytes(&mut self, most: usize) -> &'a [u8] {
        let wanted = usize::from(self.byte()) | usize::from(self.byte()) << 8;
        let (taken, rest) = self.rest.split_at((wanted % (most + 1)).min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// A step in time: zero, or up to a quarter of a second, ten seconds, or four minutes.
    pub(super) fn step(&mut self) -> Duration {
        let (scale, count) = (self.byte() % 4, u64::from(self.byte()));
        match scale {
            0 => Duration::ZERO,
            1 => Duration::from_millis(count),
            2 => Duration::from_millis(count * 40),
            _ => Duration::from_secs(count),
        }
    }
}
