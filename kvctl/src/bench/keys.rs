//! Which key comes next: all alike, or few often (Zipf).
//!
//! The Zipf generator is that of Gray et al., "Quickly Generating Billion-Record Synthetic Databases" (SIGMOD 1994),
//! section 3.2, with theta 0.99 as in YCSB: constant time for each key after one pass over their number. Ranks are
//! scattered over the keys, so that the frequent ones do not all stand in one partition.

use rand::Rng;

/// Skew of the Zipf distribution, as in YCSB.
const THETA: f64 = 0.99;

/// How keys are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Distribution {
    /// All alike.
    #[default]
    Uniform,
    /// Few often, most rarely.
    Zipfian,
}

/// Chooses keys by number.
#[derive(Debug, Clone)]
pub struct Chooser {
    count: u64,
    zipf: Option<Zipf>,
}

#[derive(Debug, Clone, Copy)]
struct Zipf {
    alpha: f64,
    zeta: f64,
    eta: f64,
}

impl Chooser {
    /// Chooses among `count` keys, at least one.
    #[must_use]
    pub fn new(count: u64, distribution: Distribution) -> Self {
        let count = count.max(1);
        Self { count, zipf: (distribution == Distribution::Zipfian).then(|| Zipf::new(count)) }
    }

    /// The number of the next key.
    pub fn next(&self, rng: &mut impl Rng) -> u64 {
        match &self.zipf {
            None => rng.random_range(0..self.count),
            // A multiplication by an odd constant (Fibonacci hashing) scatters neighbouring ranks.
            Some(zipf) => zipf.rank(rng.random(), self.count).wrapping_mul(0x9E37_79B9_7F4A_7C15) % self.count,
        }
    }
}

impl Zipf {
    #[expect(clippy::cast_precision_loss, reason = "key counts are far below 2^52")]
    fn new(count: u64) -> Self {
        let zeta_of = |count: u64| (1..=count).map(|rank| (rank as f64).powf(-THETA)).sum::<f64>();
        let zeta = zeta_of(count);
        let eta = (1.0 - (2.0 / count as f64).powf(1.0 - THETA)) / (1.0 - zeta_of(count.min(2)) / zeta);
        Self { alpha: 1.0 / (1.0 - THETA), zeta, eta }
    }

    /// The rank, from 0, for a number that is uniform in 0 to 1.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the product lies between 0 and the count, and is cut to it"
    )]
    fn rank(&self, uniform: f64, count: u64) -> u64 {
        let scaled = uniform * self.zeta;
        if scaled < 1.0 || count == 1 {
            return 0;
        }
        if scaled < 1.0 + 0.5_f64.powf(THETA) || count == 2 {
            return 1;
        }
        let rank = count as f64 * (self.eta * uniform - self.eta + 1.0).powf(self.alpha);
        (rank as u64).min(count - 1)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn every_choice_is_a_key() {
        let mut rng = StdRng::seed_from_u64(1);
        for distribution in [Distribution::Uniform, Distribution::Zipfian] {
            for count in [1, 2, 3, 1000] {
                let chooser = Chooser::new(count, distribution);
                assert!((0..1000).all(|_| chooser.next(&mut rng) < count), "{distribution:?} of {count}");
            }
        }
    }

    #[test]
    fn zipf_prefers_few_and_uniform_does_not() {
        let mut rng = StdRng::seed_from_u64(2);
        let mut most = |distribution| {
            let chooser = Chooser::new(1000, distribution);
            let mut counts = [0_u32; 1000];
            for _ in 0..20_000 {
                counts[usize::try_from(chooser.next(&mut rng)).expect("small")] += 1;
            }
            counts.into_iter().max().unwrap_or(0)
        };
        assert!(most(Distribution::Uniform) < 100);
        // The first rank has 1 of zeta(1000) = 7.5, some 13 percent.
        assert!((2000..3500).contains(&most(Distribution::Zipfian)));
    }
}
