//! What becomes of each wanted and each found resource, and why.
//!
//! A resource that must be made anew takes those with it that cannot exist without it; the others are changed after
//! it. Data is never taken: volumes and parameters that nobody wants are told of and left. The order of the steps is
//! not decided here.

use super::compare::{differences, sentence};
use super::matching::{Matching, Standing, WantedAt, is_default};
use super::survey::{FoundAt, Survey};
use super::{Difference, Note};
use crate::observed::Condition;
use crate::resource::{Key, Kind, OnChange, Reference, Resource, Spec, Value};

/// What becomes of a wanted resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is made.
    Create(String),
    /// It is deleted and made anew.
    Replace(String),
    /// It is changed in place.
    Update(Vec<Difference>),
    /// It is waited for; in the cloud's words.
    Await(String),
    /// It is as wanted.
    Same,
    /// A blocker stands in the way.
    Blocked,
}

/// Everything that is decided before the order.
pub(super) struct Decisions<'a> {
    pub(super) wanted: &'a [Resource],
    pub(super) survey: &'a Survey<'a>,
    pub(super) matching: &'a Matching,
    /// For each wanted resource.
    pub(super) fates: Vec<Fate>,
    /// For each found resource: why it is deleted.
    pub(super) doomed: Vec<Option<String>>,
    pub(super) notes: Vec<Note>,
    /// For each found resource: its references of kept ones as keys.
    specs: Vec<Spec>,
}

impl<'a> Decisions<'a> {
    /// Compares; `blocked` tells of which missing resources nothing may be made.
    pub(super) fn between(
        wanted: &'a [Resource],
        survey: &'a Survey<'a>,
        matching: &'a Matching,
        blocked: &dyn Fn(&Resource) -> bool,
    ) -> Self {
        let mut decisions = Self {
            wanted,
            survey,
            matching,
            fates: Vec::with_capacity(wanted.len()),
            doomed: vec![None; survey.found.len()],
            notes: Vec::new(),
            specs: (0..survey.found.len()).map(|at| matching.translated(survey, wanted, at)).collect(),
        };
        for (at, resource) in wanted.iter().enumerate() {
            let fate = match matching.kept[at] {
                Some(found) => decisions.compare(at, found),
                None if blocked(resource) => Fate::Blocked,
                None => decisions.create(at),
            };
            decisions.fates.push(fate);
        }
        decisions.doom_unwanted();
        decisions.spread();
        decisions
    }

    /// Everything that is ours goes; volumes and parameters stay if `keep_data`.
    pub(super) fn removal(survey: &'a Survey<'a>, matching: &'a Matching, keep_data: bool) -> Self {
        let mut decisions = Self {
            wanted: &[],
            survey,
            matching,
            fates: Vec::new(),
            doomed: vec![None; survey.found.len()],
            notes: Vec::new(),
            specs: Vec::new(),
        };
        for (at, found) in survey.found.iter().enumerate() {
            if let Condition::Deleting { state } = &found.condition {
                decisions.note_found(at, format!("it is going away already ({state})"));
            } else if keep_data && is_data(found.kind()) {
                decisions.note_found(at, "it is kept, because it holds data".to_owned());
            } else if matching.standing[at] != Standing::Going && !decisions.stays_with_data(at) {
                decisions.doomed[at] = Some("the cluster is removed".to_owned());
            }
        }
        decisions
    }

    fn compare(&mut self, at: WantedAt, found_at: FoundAt) -> Fate {
        let (resource, found) = (&self.wanted[at], self.survey.found[found_at]);
        let all = differences(resource, found, &self.specs[found_at]);
        // A volume may hold data; a network's own group lives as long as the network.
        let stays = resource.key.kind == Kind::Volume || is_default(&found.spec);
        if let Condition::Failed { reason } = &found.condition {
            if !stays {
                return Fate::Replace(format!("it failed: {reason}"));
            }
            self.note(at, format!("it failed: {reason}; it is left, because it cannot be made anew"));
        }
        let must = all.iter().find(|difference| difference.on_change == OnChange::Replace);
        if let Some(difference) = must.filter(|_| !stays) {
            return Fate::Replace(format!("{}, which cannot be changed in place", sentence(difference)));
        }
        let (left, changes): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|difference| difference.on_change == OnChange::Leave);
        for difference in &left {
            self.note(at, format!("{}; it is left as it is", sentence(difference)));
        }
        match (&found.condition, changes.is_empty()) {
            (Condition::Pending { state }, true) => Fate::Await(state.clone()),
            (_, true) => Fate::Same,
            (_, false) => Fate::Update(changes),
        }
    }

    fn create(&mut self, at: WantedAt) -> Fate {
        let Some(old) = self.matching.going.get(&at) else { return Fate::Create("it does not exist".to_owned()) };
        let found = self.survey.found[*old];
        let state = match &found.condition {
            Condition::Deleting { state } => state,
            _ => "with what it belongs to",
        };
        Fate::Create(format!("{} is going away ({state})", found.id))
    }

    /// Decides about found resources that are not kept.
    fn doom_unwanted(&mut self) {
        for at in 0..self.survey.found.len() {
            let found = self.survey.found[at];
            let why = match self.matching.standing[at] {
                Standing::Kept(_) | Standing::Going => continue,
                Standing::Second(kept) => {
                    let users = self.survey.dependents(kept);
                    let kept = &self.survey.found[kept].id;
                    match users {
                        0 => format!("a second one; {kept} is kept"),
                        1 => format!("a second one; {kept} is in use by 1 resource"),
                        _ => format!("a second one; {kept} is in use by {users} resources"),
                    }
                }
                Standing::Extra => "not part of the cluster".to_owned(),
            };
            if is_data(found.kind()) {
                self.note_found(at, format!("{why}; it is kept, because it may hold data"));
            } else if !self.is_left(at) {
                self.doomed[at] = Some(why);
            }
        }
    }

    /// Whether an unwanted resource is nobody's business: it stays with what it belongs to.
    fn is_left(&self, at: FoundAt) -> bool {
        let found = self.survey.found[at];
        let carrier = self.survey.carrier[at];
        match &found.spec {
            // Files of a bucket are data of those who put them there.
            Spec::Object(_) => carrier.is_none_or(|bucket| self.doomed[bucket].is_none()),
            Spec::SecurityGroup(group) if group.default => carrier.is_none_or(|vpc| self.doomed[vpc].is_none()),
            Spec::SecurityGroupRule(_) => carrier.is_some_and(|group| {
                is_default(&self.survey.found[group].spec) && !self.is_kept(group) && self.doomed[group].is_none()
            }),
            // Every subnet has a list; deleting the association means the network's own list, which it may have.
            Spec::NetworkAclAssociation(association) => {
                self.survey.find(Kind::NetworkAcl, &association.acl).is_none()
                    && carrier.is_none_or(|subnet| self.doomed[subnet].is_none())
            }
            Spec::VolumeAttachment(_) => self.stays_with_data(at),
            _ => false,
        }
    }

    /// Whether it is the attachment of a volume that is kept as data, to a machine that stays.
    fn stays_with_data(&self, at: FoundAt) -> bool {
        let Spec::VolumeAttachment(attachment) = &self.survey.found[at].spec else { return false };
        let of_kept_data = self
            .survey
            .find(Kind::Volume, &attachment.volume)
            .is_some_and(|volume| !self.is_kept(volume) && self.doomed[volume].is_none());
        of_kept_data && self.survey.carrier[at].is_none_or(|machine| self.doomed[machine].is_none())
    }

    fn is_kept(&self, at: FoundAt) -> bool {
        matches!(self.matching.standing[at], Standing::Kept(_))
    }

    /// Whether it is deleted by deleting something else: its own step is not needed.
    pub(super) fn vanishes(&self, at: FoundAt) -> bool {
        let Some(carrier) = self.survey.carrier[at].filter(|carrier| self.doomed[*carrier].is_some()) else {
            return false;
        };
        // Groups that name each other could not be deleted in any order: such rules go first.
        self.survey.found[at].kind() != Kind::SecurityGroupRule
            || !self.survey.uses[at].iter().any(|used| *used != carrier && self.doomed[*used].is_some())
    }

    /// Lets replacements and deletions take effect on what names the resources concerned.
    pub(super) fn spread(&mut self) {
        let mut next: Vec<FoundAt> = Vec::new();
        for (at, fate) in self.fates.iter().enumerate() {
            if let (Fate::Replace(why), Some(found)) = (fate, self.matching.kept[at])
                && self.doomed[found].is_none()
            {
                self.doomed[found] = Some(why.clone());
            }
        }
        next.extend((0..self.doomed.len()).filter(|at| self.doomed[*at].is_some()));
        while let Some(gone) = next.pop() {
            for user in self.survey.users[gone].clone() {
                if let Some(why) = self.struck(gone, user) {
                    if let Standing::Kept(at) = self.matching.standing[user] {
                        self.fates[at] = Fate::Replace(why.clone());
                    }
                    self.doomed[user] = Some(why);
                    next.push(user);
                }
            }
        }
    }

    /// What the deletion of `gone` does to a kept resource that names it: why it has to go too, if it has to.
    fn struck(&mut self, gone: FoundAt, user: FoundAt) -> Option<String> {
        let Standing::Kept(at) = self.matching.standing[user] else { return None };
        if self.doomed[user].is_some() || self.wanted[at].key.kind == Kind::Volume {
            return None;
        }
        let name = self.label(gone);
        if self.survey.carrier[user] == Some(gone) {
            return Some(format!("it goes away with {name}"));
        }
        let Standing::Kept(anew) = self.matching.standing[gone] else { return None };
        let reference = Reference::Key(self.wanted[anew].key.clone());
        let fields = self.specs[user].fields();
        let naming = fields.iter().zip(self.survey.found[user].spec.fields());
        let mut changes = Vec::new();
        for (field, seen) in naming.filter(|(field, _)| names(&field.value, &reference)) {
            match field.on_change {
                OnChange::Replace => return Some(format!("{name}, which it names, is made anew")),
                OnChange::Configure => changes.push(Difference {
                    field: field.name.to_owned(),
                    from: seen.value.to_string(),
                    to: field.value.to_string(),
                    on_change: OnChange::Configure,
                }),
                OnChange::Leave => {}
            }
        }
        self.add_changes(at, changes);
        None
    }

    fn add_changes(&mut self, at: WantedAt, changes: Vec<Difference>) {
        if changes.is_empty() {
            return;
        }
        if let Fate::Update(known) = &mut self.fates[at] {
            for change in changes {
                if known.iter().all(|one| one.field != change.field) {
                    known.push(change);
                }
            }
        } else {
            self.fates[at] = Fate::Update(changes);
        }
    }

    /// How people call a found resource.
    pub(super) fn label(&self, at: FoundAt) -> String {
        match self.matching.standing[at] {
            Standing::Kept(wanted) => self.wanted[wanted].key.to_string(),
            _ => format!("{} {}", self.survey.found[at].kind().noun(), self.survey.found[at].id),
        }
    }

    fn note(&mut self, at: WantedAt, text: String) {
        let resource = &self.wanted[at];
        self.notes.push(Note { key: resource.key.clone(), name: resource.name.clone(), text });
    }

    fn note_found(&mut self, at: FoundAt, text: String) {
        let found = self.survey.found[at];
        self.notes.push(Note { key: Key::new(found.kind(), found.id.clone()), name: found.name.clone(), text });
    }
}

const fn is_data(kind: Kind) -> bool {
    matches!(kind, Kind::Volume | Kind::Parameter)
}

fn names(value: &Value, reference: &Reference) -> bool {
    match value {
        Value::Reference(one) => one == reference,
        Value::References(several) => several.contains(reference),
        Value::Absent | Value::Text(_) | Value::Flag(_) | Value::Number(_) | Value::Texts(_) => false,
    }
}
