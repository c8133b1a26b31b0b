//! Repeatable chance for tests.

/// SplitMix64 (Steele, Lea, Flood 2014): the same seed rolls the same numbers.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        let below = u64::try_from(sides).ok().and_then(|sides| self.next().checked_rem(sides));
        below.and_then(|number| usize::try_from(number).ok()).unwrap_or(0)
    }
}
