//! What the facts of one look read, each once.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use nix::unistd::getpid;
use ns_core::{NsId, process};
use wake::Subject;

use crate::expect::Beside;
use crate::fact::Fact;
use crate::model::Requirement;
use crate::seen::Seen;
use crate::snapshot::Snapshot;

/// A requirement whose fact is understood.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) requirement: Requirement,
    pub(crate) fact: Fact,
    /// The place of the first requirement with the same fact, which is read once.
    pub(crate) first: usize,
}

/// One look at the machine.
#[derive(Debug)]
pub(crate) struct View {
    /// The checker, whose namespaces are the learner's own.
    pub(crate) own: Subject,
    old_namespaces: BTreeSet<NsId>,
    own_namespaces: BTreeSet<NsId>,
    read: RefCell<HashMap<(usize, Subject), Seen>>,
}

impl View {
    /// A look that has read nothing yet. `old_namespaces` are those that are not new.
    ///
    /// # Errors
    /// Where /proc is no procfs.
    pub(crate) fn new(snapshot: &Snapshot, old_namespaces: BTreeSet<NsId>) -> ns_core::Result<View> {
        let own = Subject { pid: getpid(), started: process::start_time(None)? };
        let own_namespaces = snapshot.own().collect();
        Ok(View { own, old_namespaces, own_namespaces, read: RefCell::default() })
    }

    /// What the fact of `ask` reads of `subject`.
    pub(crate) fn see(&self, ask: &Ask, subject: Subject) -> Seen {
        let key = (ask.first, subject);
        if let Some(seen) = self.read.borrow().get(&key) {
            return seen.clone();
        }
        let seen = ask.fact.see(subject);
        self.read.borrow_mut().insert(key, seen.clone());
        seen
    }

    /// Whether `ask` is met by `subject`, compared with the `other` process where it compares.
    pub(crate) fn is_met(&self, ask: &Ask, subject: Subject, other: Option<Subject>) -> bool {
        let seen = self.see(ask, subject);
        let other = other.map(|other| self.see(ask, other));
        let is_new = |id| self.is_new(id);
        ask.requirement.expect.is_met(&seen, &Beside { is_new: &is_new, other: other.as_ref() })
    }

    /// Whether a namespace did not exist when the attempt began.
    pub(crate) fn is_new(&self, id: NsId) -> bool {
        !self.old_namespaces.contains(&id)
    }

    /// Whether it is one of the checker's own.
    pub(crate) fn is_own(&self, id: NsId) -> bool {
        self.own_namespaces.contains(&id)
    }
}
