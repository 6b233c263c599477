//! What shall go wrong, and when. Deciding is pure: the same rules, seed and calls give the same faults.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::call::Call;
use crate::client::Client;

/// What happens to a call.
#[derive(Clone)]
pub(crate) enum Effect {
    /// It is answered with an error and never reaches the service.
    Refuse { status: u16, code: &'static str, message: &'static str },
    /// It is carried out, and answered with an error all the same.
    RefuseAfter { status: u16, code: &'static str, message: &'static str },
    /// The connection closes before it reaches the service.
    DropBefore,
    /// It is carried out, and the connection closes without an answer.
    DropAfter,
    /// It is carried out at once, and answered late.
    AnswerLate(Duration),
    /// A page of HTML instead of an answer; it never reaches the service.
    Html,
    /// It is carried out, and answered with a page of HTML.
    HtmlAfter,
    /// Its answer is changed on the way.
    Rewrite(fn(&str) -> String),
    /// A read is answered as the same read was before, for so long after that one.
    Stale(Duration),
    /// Somebody else does something just before it is carried out.
    Meanwhile(Arc<dyn Fn(Client) + Send + Sync>),
    /// The process under test is killed before it is carried out.
    KillBefore,
    /// It is carried out, and the process under test is killed before it hears of it.
    KillAfter,
}

impl std::fmt::Debug for Effect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refuse { code, .. } => write!(f, "refuse {code}"),
            Self::RefuseAfter { code, .. } => write!(f, "refuse {code} after"),
            Self::DropBefore => f.write_str("drop before"),
            Self::DropAfter => f.write_str("drop after"),
            Self::AnswerLate(delay) => write!(f, "answer {delay:?} late"),
            Self::Html => f.write_str("html"),
            Self::HtmlAfter => f.write_str("html after"),
            Self::Rewrite(_) => f.write_str("rewrite"),
            Self::Stale(time) => write!(f, "stale for {time:?}"),
            Self::Meanwhile(_) => f.write_str("meanwhile"),
            Self::KillBefore => f.write_str("kill before"),
            Self::KillAfter => f.write_str("kill after"),
        }
    }
}

/// Which calls of a pattern are hit.
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    /// Every one.
    Always,
    /// The first so many.
    First(usize),
    /// One in so many, by chance, at most so many times.
    OneIn { calls: u32, most: usize },
    /// The call of this index, whatever its pattern's count is.
    Index(usize),
}

/// A fault that may happen.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// Actions, separated by `|`; `*` stands for any end: `Create*|AllocateAddress`. `reads` and `changes` for all.
    pub(crate) actions: &'static str,
    pub(crate) when: When,
    pub(crate) effect: Effect,
}

/// Rules with their memory.
pub(crate) struct Rules {
    rules: Vec<(Rule, usize)>,
    random: StdRng,
}

impl Rules {
    pub(crate) fn new(rules: Vec<Rule>, seed: u64) -> Self {
        Self { rules: rules.into_iter().map(|rule| (rule, 0)).collect(), random: StdRng::seed_from_u64(seed) }
    }

    /// What happens to a call: the effect of the first rule that hits it.
    pub(crate) fn decide(&mut self, call: &Call) -> Option<Effect> {
        for (rule, hits) in &mut self.rules {
            if !matches(rule.actions, call) {
                continue;
            }
            let hit = match rule.when {
                When::Always => true,
                When::First(count) => *hits < count,
                When::OneIn { calls, most } => *hits < most && self.random.random_range(0..calls) == 0,
                When::Index(index) => call.index == index,
            };
            if hit {
                *hits += 1;
                return Some(rule.effect.clone());
            }
        }
        None
    }

    /// How often each rule hit.
    pub(crate) fn hits(&self) -> Vec<usize> {
        self.rules.iter().map(|(_, hits)| *hits).collect()
    }
}

fn matches(actions: &str, call: &Call) -> bool {
    actions.split('|').any(|pattern| match (pattern, pattern.strip_suffix('*')) {
        ("changes", _) => call.mutating,
        ("reads", _) => !call.mutating,
        (_, Some(start)) => call.action.starts_with(start),
        _ => call.action == pattern,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(index: usize, action: &str) -> Call {
        let mutating = !action.starts_with("Describe");
        Call { index, action: action.to_owned(), mutating, began: 0, ended: None, status: None }
    }

    #[test]
    fn rules_hit_what_they_name() {
        for (actions, when, hit) in [
            ("CreateVpc", When::First(1), "CreateVpc0"),
            ("Create*", When::First(2), "CreateVpc0 CreateSubnet2"),
            ("reads", When::Always, "DescribeVpcs1 DescribeVpcs4"),
            ("changes", When::First(9), "CreateVpc0 CreateSubnet2 CreateVpc3"),
            ("*", When::Index(3), "CreateVpc3"),
            ("CreateVpc|DescribeVpcs", When::OneIn { calls: 1, most: 2 }, "CreateVpc0 DescribeVpcs1"),
            ("DeleteVpc", When::Always, ""),
        ] {
            let mut rules = Rules::new(vec![Rule { actions, when, effect: Effect::DropBefore }], 1);
            let calls = ["CreateVpc", "DescribeVpcs", "CreateSubnet", "CreateVpc", "DescribeVpcs"];
            let hits: Vec<String> = (0..)
                .zip(calls)
                .filter(|(index, action)| rules.decide(&call(*index, action)).is_some())
                .map(|(index, action)| format!("{action}{index}"))
                .collect();
            assert_eq!(hits.join(" "), hit, "{actions} {when:?}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let hits = |seed: u64| {
            let rule = Rule { actions: "*", when: When::OneIn { calls: 4, most: 99 }, effect: Effect::Html };
            let mut rules = Rules::new(vec![rule], seed);
            (0..64).filter(|index| rules.decide(&call(*index, "CreateVpc")).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(hits(7), hits(7));
        assert_ne!(hits(7), hits(8));
    }
}
