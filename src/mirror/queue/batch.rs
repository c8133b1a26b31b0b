//! Records packed one behind the other, as they are sent.

/// Encoded records and where each ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Packed {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Packed {
    pub(super) fn push(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.ends.push(self.bytes.len());
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn records(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Gives back what growing by doubling took too much: a batch may wait for long.
    pub(super) fn sealed(mut self) -> Self {
        self.bytes.shrink_to_fit();
        self
    }

    /// The older and the younger half of the records, the older one the smaller.
    pub(super) fn halves(self) -> (Self, Self) {
        let Self { mut bytes, mut ends } = self;
        let middle = ends.len() / 2;
        let cut = middle.checked_sub(1).and_then(|last| ends.get(last)).copied().unwrap_or(0);
        let tail = bytes.split_off(cut.min(bytes.len()));
        let tail_ends = ends.split_off(middle).iter().map(|end| end.saturating_sub(cut)).collect();
        bytes.shrink_to_fit();
        (Self { bytes, ends }, Self { bytes: tail, ends: tail_ends })
    }
}
