//! The total order of writes to one key, and the hybrid clock that issues it.
//!
//! `Stamp = (time, writer, rmw)`. `time` is a hybrid logical clock in microseconds (Kulkarni et al. 2014):
//! near real time for people and expiry, but correctness never depends on any clock. `writer` is drawn anew
//! at every start of a process and recorded durably before its first use, so that no stamp is issued twice.
//! `rmw` orders compare-and-set chains on one base (carstamps, Burke et al., Gryff, NSDI 2020).

use std::fmt;
use std::str::FromStr;

/// Orders all writes of one key. The zero stamp means "never written".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp {
    /// Hybrid logical time in microseconds since 1970.
    pub time: u64,
    /// The process that issued it; unique per start of a process.
    pub writer: u64,
    /// Position in a chain of compare-and-sets on the same base; 0 for a plain write.
    pub rmw: u32,
}

impl Stamp {
    /// Below every issued stamp.
    pub const ZERO: Self = Self { time: 0, writer: 0, rmw: 0 };
}

impl fmt::Display for Stamp {
    /// `time-writer-rmw` in hexadecimal: the text inside an ETag.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}-{:x}", self.time, self.writer, self.rmw)
    }
}

/// The text is not `time-writer-rmw` in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stamp is written time-writer-rmw, three lowercase hexadecimal numbers")]
pub struct StampParseError;

impl FromStr for Stamp {
    type Err = StampParseError;
    fn from_str(text: &str) -> Result<Self, StampParseError> {
        let mut parts = text.split('-');
        let (Some(time), Some(writer), Some(rmw), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(StampParseError);
        };
        let stamp = Self {
            time: u64::from_str_radix(time, 16).map_err(|_| StampParseError)?,
            writer: u64::from_str_radix(writer, 16).map_err(|_| StampParseError)?,
            rmw: u32::from_str_radix(rmw, 16).map_err(|_| StampParseError)?,
        };
        // One spelling per stamp, so that ETags compare as text.
        if stamp.to_string() == text { Ok(stamp) } else { Err(StampParseError) }
    }
}

/// Issues stamps: never twice, always above everything it has seen.
#[derive(Debug)]
pub struct HybridClock {
    last: u64,
    writer: u64,
}

impl HybridClock {
    /// `writer` must be new to the cluster (64 random bits) and durable before the first [`HybridClock::issue`].
    #[must_use]
    pub fn new(writer: u64) -> Self {
        Self { last: 0, writer }
    }

    /// Moves past a stamp seen in any message or record.
    pub fn observe(&mut self, seen: Stamp) {
        self.last = self.last.max(seen.time);
    }

    /// The current hybrid time in microseconds, not issued to anyone.
    #[must_use]
    pub fn now(&self, wall_micros: u64) -> u64 {
        self.last.max(wall_micros)
    }

    /// A stamp above `floor` and above all that was issued or observed here; at wall time unless that is behind.
    pub fn issue(&mut self, wall_micros: u64, floor: Stamp) -> Stamp {
        let above = self.last.max(floor.time).saturating_add(1);
        self.last = above.max(wall_micros);
        Stamp { time: self.last, writer: self.writer, rmw: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn issued_stamps_rise_above_all_seen(events in proptest::collection::vec((any::<bool>(), 0u64..1000, 0u64..1000), 1..100)) {
            let mut clock = HybridClock::new(5);
            let mut floor = Stamp::ZERO;
            for (issue, wall, seen) in events {
                let seen = Stamp { time: seen, writer: 9, rmw: 3 };
                if issue {
                    let stamp = clock.issue(wall, seen);
                    prop_assert!(stamp > floor && stamp > seen && stamp.time >= wall);
                    floor = stamp;
                } else {
                    clock.observe(seen);
                    floor = floor.max(seen);
                }
            }
        }

        #[test]
        fn text_round_trips(time: u64, writer: u64, rmw: u32) {
            let stamp = Stamp { time, writer, rmw };
            prop_assert_eq!(stamp.to_string().parse(), Ok(stamp));
        }
    }

    #[test]
    fn only_one_spelling_parses() {
        for bad in ["", "1-2", "1-2-3-4", "01-2-3", "A-2-3", "+1-2-3", "1-2-100000000"] {
            assert_eq!(bad.parse::<Stamp>(), Err(StampParseError), "{bad}");
        }
    }
}
