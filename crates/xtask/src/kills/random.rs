//! Choices that a seed repeats.

/// A sequence of numbers, the same for the same seed: SplitMix64.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `among`; none of nothing.
    pub(super) fn one<'a, T>(&mut self, among: &'a [T]) -> Option<&'a T> {
        let length = u64::try_from(among.len()).ok().filter(|length| *length > 0)?;
        among.get(usize::try_from(self.next() % length).ok()?)
    }

    /// From 0 up to 1.
    pub(super) fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_choices() {
        let of = |seed| {
            let mut random = Random::new(seed);
            [0; 8].map(|_| random.one(&["a", "b", "c"]).copied())
        };
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
        assert_eq!(Random::new(1).one::<u8>(&[]), None);
        assert!((0..100).all(|seed| (0.0..1.0).contains(&Random::new(seed).part())));
    }
}
