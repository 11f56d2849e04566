//! Inclusion groups: of the entries of one group a single one is told.

use super::activation::NotFired;
use super::run::{Candidate, Run, Standing};

/// A group and its candidates, as places among the candidates.
struct Group {
    name: String,
    members: Vec<usize>,
    has_sticky: bool,
}

/// The candidates and what became of them: the group each lost and to which entry, if it
/// lost to one that is known.
struct Contest {
    candidates: Vec<Candidate>,
    lost: Vec<Option<(String, Option<usize>)>>,
}

impl Contest {
    /// The members that did not lose yet.
    fn left(&self, group: &Group) -> Vec<usize> {
        group.members.iter().copied().filter(|member| self.lost[*member].is_none()).collect()
    }

    fn lose(&mut self, member: usize, group: &Group, to: Option<usize>) {
        self.lost[member].get_or_insert((group.name.clone(), to));
    }

    /// Lets one member of those that are left win, by its place among the candidates.
    fn win(&mut self, winner: usize, group: &Group) {
        let entry = self.candidates[winner].at;
        for member in self.left(group) {
            if member != winner {
                self.lose(member, group, Some(entry));
            }
        }
    }
}

impl Run<'_> {
    /// Leaves the winners of the candidates' groups, and those in none.
    pub(super) fn decide_groups(&mut self, candidates: Vec<Candidate>) -> Vec<Candidate> {
        let mut groups = self.groups(&candidates);
        let lost = vec![None; candidates.len()];
        let mut contest = Contest { candidates, lost };
        groups.iter_mut().for_each(|group| self.keep_sticky(&mut contest, group));
        groups.iter().for_each(|group| self.keep_best_scores(&mut contest, group));
        groups.iter().for_each(|group| self.keep_winner(&mut contest, group));

        let mut winners = Vec::new();
        for (candidate, lost) in contest.candidates.into_iter().zip(contest.lost) {
            let Some((group, to)) = lost else {
                winners.push(candidate);
                continue;
            };
            let to = to.map_or_else(String::new, |to| self.name(to));
            self.standings[candidate.at] = Standing::Open(NotFired::GroupLost { group, to });
        }
        winners
    }

    /// The groups in the order in which they first appear.
    fn groups(&self, candidates: &[Candidate]) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let mut place = std::collections::HashMap::new();
        for (member, candidate) in candidates.iter().enumerate() {
            for name in &self.compiled(candidate.at).groups {
                let at = *place.entry(name.as_str()).or_insert_with(|| {
                    groups.push(Group { name: name.clone(), members: vec![], has_sticky: false });
                    groups.len() - 1
                });
                groups[at].members.push(member);
            }
        }
        groups
    }

    /// Where entries stay, the others of their group lose.
    fn keep_sticky(&self, contest: &mut Contest, group: &mut Group) {
        let is_sticky = |member: &usize| self.active.is_sticky(contest.candidates[*member].at);
        let (sticky, others): (Vec<_>, Vec<_>) =
            group.members.iter().copied().partition(|member| is_sticky(member));
        if let Some(first) = sticky.first() {
            let to = contest.candidates[*first].at;
            group.has_sticky = true;
            others.into_iter().for_each(|member| contest.lose(member, group, Some(to)));
        }
    }

    /// Where scores count, those with fewer keys than the best lose.
    fn keep_best_scores(&mut self, contest: &mut Contest, group: &Group) {
        let default = self.settings().use_group_scoring;
        let own = |run: &Self, member: usize| {
            run.written(contest.candidates[member].at).use_group_scoring
        };
        let is_scored = default || group.members.iter().any(|m| own(self, *m) == Some(true));
        if group.has_sticky || !is_scored {
            return;
        }
        let scores: Vec<(usize, usize)> = contest
            .left(group)
            .into_iter()
            .map(|member| (member, self.score(contest.candidates[member].at)))
            .collect();
        let best = scores.iter().map(|(_, score)| *score).max().unwrap_or(0);
        let winner = scores.iter().find(|(_, score)| *score == best);
        let winner = winner.map(|(member, _)| contest.candidates[*member].at);
        let losers: Vec<usize> = scores
            .iter()
            .filter(|(member, score)| *score < best && own(self, *member).unwrap_or(default))
            .map(|(member, _)| *member)
            .collect();
        losers.into_iter().for_each(|member| contest.lose(member, group, winner));
    }

    /// One of those that are left wins: the one that fired in an earlier round, the
    /// highest that asks for it, or one by lot.
    fn keep_winner(&mut self, contest: &mut Contest, group: &Group) {
        if group.has_sticky {
            return;
        }
        let left = contest.left(group);
        let earlier = self.fired.iter().find(|at| self.compiled(**at).groups.contains(&group.name));
        if let Some(&earlier) = earlier {
            left.into_iter().for_each(|member| contest.lose(member, group, Some(earlier)));
            return;
        }
        if left.len() <= 1 {
            return;
        }
        let entry = |member: usize| self.written(contest.candidates[member].at);
        let asks = left.iter().copied().filter(|member| entry(*member).group_override);
        // Of equals the first wins.
        let highest = asks.rev().max_by_key(|member| entry(*member).order);
        let winner = match highest {
            Some(highest) => highest,
            None => {
                let weights: Vec<f64> =
                    left.iter().map(|member| f64::from(entry(*member).group_weight)).collect();
                left[self.draw_weighted(&weights)]
            }
        };
        contest.win(winner, group);
    }

    /// A place by lot, each as likely as its weight.
    fn draw_weighted(&mut self, weights: &[f64]) -> usize {
        let drawn = self.draw() * weights.iter().sum::<f64>();
        let mut sum = 0.0;
        let within = |weight: &f64| {
            sum += weight;
            drawn <= sum
        };
        weights.iter().position(within).unwrap_or(0)
    }
}
