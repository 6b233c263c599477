//! How many replicas must answer, as one validated type.
//!
//! `R + W > N` and `2W > N` hold by construction for [`Consistency::Quorum`] and [`Consistency::All`];
//! [`Consistency::One`] gives linearizability up and says so in its name.

/// How many replicas an operation waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consistency {
    /// One replica: fast, available with one survivor, not linearizable.
    One,
    /// A majority: the default and the promise.
    #[default]
    Quorum,
    /// Every replica: refuses when any is away.
    All,
}

impl Consistency {
    /// Its name in queries and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Quorum => "quorum",
            Self::All => "all",
        }
    }

    /// Reads a name back.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::One, Self::Quorum, Self::All].into_iter().find(|level| level.name() == name)
    }

    /// Replicas that must answer out of `replicas`; at least 1.
    #[must_use]
    pub fn required(self, replicas: usize) -> usize {
        match self {
            Self::One => 1,
            Self::Quorum => replicas / 2 + 1,
            Self::All => replicas.max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorums_of_one_epoch_intersect() {
        for replicas in 1..=7 {
            let quorum = Consistency::Quorum.required(replicas);
            assert!(2 * quorum > replicas && quorum <= replicas, "{replicas}");
            assert_eq!(Consistency::All.required(replicas), replicas);
            assert_eq!(Consistency::One.required(replicas), 1);
        }
    }
}
