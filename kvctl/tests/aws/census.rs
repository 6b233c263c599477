//! Everything that is there, by Describes of the tests' own: one line each, ids replaced by names.
//!
//! What AWS gives every account (the default network) is left out, and what has ended but is still listed. Lines are
//! sorted; two equal censuses mean equal resources, rules, routes and attributes. Tags stand beside the lines.

mod network;
mod services;

use std::collections::BTreeMap;

use crate::client::Client;
use crate::xml::Element;

/// Tags of a resource.
pub(crate) type Tags = BTreeMap<String, String>;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Census {
    /// One line for each resource, rule, route, entry, association and attachment.
    pub(crate) lines: Vec<String>,
    /// Tags of those that can carry some, with the first two words of their line.
    pub(crate) tags: Vec<(String, Tags)>,
    /// How ids are called in the lines.
    names: BTreeMap<String, String>,
}

impl Census {
    /// Looks at everything.
    pub(crate) fn take(client: Client) -> Self {
        let mut census = Self::default();
        network::look(client, &mut census);
        services::look(client, &mut census);
        census.lines.sort();
        census.tags.sort();
        census
    }

    /// The lines as one text.
    pub(crate) fn text(&self) -> String {
        self.lines.join("\n")
    }

    /// Asserts that this is exactly what is there, and says what is missing and what is too much.
    #[track_caller]
    pub(crate) fn is(&self, wanted: &[String], context: &dyn std::fmt::Display) {
        let missing: Vec<&String> = wanted.iter().filter(|line| !self.lines.contains(line)).collect();
        let mut left = wanted.to_vec();
        let mut extra = Vec::new();
        for line in &self.lines {
            match left.iter().position(|wanted| wanted == line) {
                Some(index) => drop(left.swap_remove(index)),
                None => extra.push(line),
            }
        }
        let fine = missing.is_empty() && extra.is_empty();
        assert!(fine, "missing: {missing:#?}\ntoo much: {extra:#?}\n{context}");
    }

    /// The lines that begin with a kind.
    pub(crate) fn of(&self, kind: &str) -> Vec<&str> {
        let start = format!("{kind} ");
        self.lines.iter().filter(|line| line.starts_with(&start)).map(String::as_str).collect()
    }

    /// The id of something by the name it has in the lines; it panics if there is none.
    pub(crate) fn id(&self, name: &str) -> &str {
        let found = self.names.iter().find(|(_, known)| *known == name);
        found.map_or_else(|| panic!("no {name} in {:?}", self.names), |(id, _)| id)
    }

    /// The names of what has an id that another census does not have, sorted.
    pub(crate) fn missing_in(&self, other: &Self) -> Vec<String> {
        let missing = self.names.iter().filter(|(id, _)| !other.names.contains_key(*id));
        let mut names: Vec<String> = missing.map(|(_, name)| name.clone()).collect();
        names.sort();
        names
    }

    /// A text with each id that is known replaced by its name.
    pub(crate) fn with_names(&self, text: &str) -> String {
        let mut known: Vec<(&String, &String)> = self.names.iter().filter(|(id, _)| id.contains('-')).collect();
        // A listener's ARN begins as its load balancer's does.
        known.sort_by_key(|(id, _)| std::cmp::Reverse(id.len()));
        known.into_iter().fold(text.to_owned(), |text, (id, name)| text.replace(id.as_str(), name))
    }

    /// Notes a resource with an id of its own: its line begins with its kind and its name.
    fn add(&mut self, kind: &str, id: &str, tags: Tags, rest: &str) {
        let name = tags.get("Name").cloned().unwrap_or_else(|| "(unnamed)".to_owned());
        self.add_named(kind, id, &name, tags, rest);
    }

    fn add_named(&mut self, kind: &str, id: &str, name: &str, tags: Tags, rest: &str) {
        self.names.insert(id.to_owned(), name.to_owned());
        self.line(kind, &format!("{name} {rest}"));
        self.tags.push((format!("{kind} {name}"), tags));
    }

    /// Gives an id a name without a line.
    fn call(&mut self, id: &str, name: &str) {
        self.names.insert(id.to_owned(), name.to_owned());
    }

    fn line(&mut self, kind: &str, rest: &str) {
        self.lines.push(format!("{kind} {rest}").trim_end().to_owned());
    }

    /// What an id is called; the id's kind if nobody has named it.
    fn name(&self, id: &str) -> String {
        let unknown = || format!("{}-?", id.split('-').next().unwrap_or_default());
        self.names.get(id).cloned().unwrap_or_else(unknown)
    }
}

/// Tags as EC2 writes them.
fn ec2_tags(element: &Element) -> Tags {
    element.list("tagSet").iter().map(|tag| (tag.text_at("key").to_owned(), tag.text_at("value").to_owned())).collect()
}

/// Tags as the query services write them: a list of `Key` and `Value`.
fn query_tags(list: &[Element]) -> Tags {
    list.iter().map(|tag| (tag.text_at("Key").to_owned(), tag.text_at("Value").to_owned())).collect()
}
