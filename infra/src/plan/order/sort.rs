//! An order in which all steps can be carried out, or the steps that wait for each other.
//!
//! Wishes are dropped before a circle is reported. Nothing here knows what the steps are about, except to prefer the
//! order in which people expect to read them.

use std::collections::BTreeSet;

use super::{Circle, Graph, Node, NodeAt};

/// Deletes after the others, then by kind.
type Rank = (bool, usize);

impl Graph<'_, '_> {
    /// The nodes in an order that can be carried out, each with what it waits for.
    ///
    /// # Errors
    /// Steps that wait for each other, after all wishes among them were dropped.
    pub(in crate::plan) fn sort(&mut self) -> Result<Vec<NodeAt>, Circle> {
        let circle = match self.try_sort() {
            Ok(order) => return Ok(order),
            Err(circle) => circle,
        };
        for step in &circle {
            self.softly[*step].retain(|first| !circle.contains(first));
        }
        self.try_sort().map_err(|circle| Circle(circle.into_iter().map(|at| self.nodes[at]).collect()))
    }

    /// As [`Graph::sort`], but an edge that closes a circle is dropped: the last resort for lists of wanted resources
    /// that need each other, which nobody could carry out in any order.
    pub(in crate::plan) fn sort_anyhow(&mut self) -> Vec<NodeAt> {
        loop {
            match self.try_sort() {
                Ok(order) => return order,
                Err(circle) => {
                    for step in &circle {
                        self.after[*step].retain(|first| !(circle.contains(first) && *first > *step));
                        self.softly[*step].clear();
                        let _itself = self.after[*step].remove(step);
                    }
                }
            }
        }
    }

    fn try_sort(&self) -> Result<Vec<NodeAt>, BTreeSet<NodeAt>> {
        let mut waiting: Vec<usize> = vec![0; self.nodes.len()];
        let mut unlocks: Vec<Vec<NodeAt>> = vec![Vec::new(); self.nodes.len()];
        for (at, waits) in waiting.iter_mut().enumerate() {
            for first in self.firsts(at) {
                unlocks[first].push(at);
                *waits += 1;
            }
        }
        let mut ready: BTreeSet<(Rank, NodeAt)> =
            (0..self.nodes.len()).filter(|at| waiting[*at] == 0).map(|at| (self.rank(at), at)).collect();
        let mut order = Vec::with_capacity(self.nodes.len());
        while let Some((_, at)) = ready.pop_first() {
            order.push(at);
            for next in &unlocks[at] {
                waiting[*next] -= 1;
                if waiting[*next] == 0 {
                    let _new = ready.insert((self.rank(*next), *next));
                }
            }
        }
        if order.len() == self.nodes.len() { Ok(order) } else { Err(self.core(&waiting, &unlocks)) }
    }

    /// Of the steps that never became ready: without those that only wait for a circle.
    fn core(&self, waiting: &[usize], unlocks: &[Vec<NodeAt>]) -> BTreeSet<NodeAt> {
        let mut core: BTreeSet<NodeAt> = (0..waiting.len()).filter(|at| waiting[*at] > 0).collect();
        let mut needed: Vec<usize> =
            unlocks.iter().map(|next| next.iter().filter(|at| core.contains(at)).count()).collect();
        let mut unneeded: Vec<NodeAt> = core.iter().copied().filter(|at| needed[*at] == 0).collect();
        while let Some(at) = unneeded.pop() {
            let _was = core.remove(&at);
            for first in self.firsts(at).filter(|first| waiting[*first] > 0) {
                needed[first] -= 1;
                if needed[first] == 0 {
                    unneeded.push(first);
                }
            }
        }
        core
    }

    /// What a step waits for, once each.
    pub(in crate::plan) fn firsts(&self, at: NodeAt) -> impl Iterator<Item = NodeAt> + '_ {
        self.after[at].union(&self.softly[at]).copied()
    }

    /// As people expect to read it: what is made in order of kind, then what is deleted in the opposite order.
    fn rank(&self, at: NodeAt) -> Rank {
        match self.nodes[at] {
            Node::Make(wanted) => (false, self.decisions.wanted[wanted].key.kind as usize),
            Node::Delete(found) => (true, usize::MAX - self.decisions.survey.found[found].kind() as usize),
        }
    }
}
