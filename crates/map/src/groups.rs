//! Namespaces that belong together: those whose first process is the same.

use std::collections::BTreeMap;

use crate::model::{Keeper, Namespace, Process};

/// Namespaces that have the same first process; or one that has none.
#[derive(Debug, Clone)]
pub struct Group<'a> {
    /// By kind. There is one at least.
    pub namespaces: Vec<&'a Namespace>,
}

/// The sets of `namespaces` that have the same first process, by its PID. Those without a process stand last, each in a set
/// of its own.
pub fn groups<'a>(namespaces: impl IntoIterator<Item = &'a Namespace>) -> Vec<Group<'a>> {
    let mut groups: BTreeMap<(bool, Option<i32>, usize), Vec<&Namespace>> = BTreeMap::new();
    for (at, namespace) in namespaces.into_iter().enumerate() {
        let own = if namespace.lowest.is_none() { at } else { 0 };
        groups.entry((namespace.lowest.is_none(), namespace.lowest, own)).or_default().push(namespace);
    }
    groups.into_values().map(|namespaces| Group { namespaces }).collect()
}

impl<'a> Group<'a> {
    /// The first process of all of them.
    pub fn first(&self) -> Option<&'a Process> {
        self.namespaces.first().and_then(|namespace| namespace.first.as_ref())
    }

    /// Their kinds.
    pub fn kinds(&self) -> Vec<&'static str> {
        self.namespaces.iter().map(|namespace| namespace.id.kind.link()).collect()
    }

    /// The least and the greatest number of processes that one of them has.
    pub fn members(&self) -> (usize, usize) {
        let members = || self.namespaces.iter().map(|namespace| namespace.members);
        (members().min().unwrap_or(0), members().max().unwrap_or(0))
    }

    /// How many processes each has, in words: `3`, or `1-3`.
    pub fn count(&self) -> String {
        match self.members() {
            (least, most) if least == most => most.to_string(),
            (least, most) => format!("{least}-{most}"),
        }
    }

    /// What made them, in words.
    pub fn made_by(&self) -> Vec<String> {
        let mut words: Vec<String> =
            self.namespaces.iter().filter_map(|it| it.made_by.as_ref().map(ToString::to_string)).collect();
        words.dedup();
        words
    }

    /// What keeps them besides their processes.
    pub fn kept_by(&self) -> impl Iterator<Item = &'a Keeper> {
        self.namespaces.iter().flat_map(|namespace| &namespace.kept_by)
    }
}
