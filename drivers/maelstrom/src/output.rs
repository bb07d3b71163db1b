//! The lines that a node wants written.

/// The lines that calls to a [`Host`](crate::Host) want written. Each call appends to them; the caller writes them and
/// then clears them.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// The lines for stdout: one JSON object each, without the end of the line.
    pub lines: Vec<String>,
    /// The lines for stderr, for people.
    pub log: Vec<String>,
}

impl Output {
    /// Removes all lines and keeps the allocated memory.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.log.clear();
    }
}
