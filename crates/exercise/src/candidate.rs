//! Which processes may be the learner's.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use anyhow::Result;
use nix::unistd::{Pid, getpid};
use ns_core::NsId;
use wake::Subject;

use crate::family::Family;
use crate::process::{self, Inside, Process};
use crate::snapshot::Snapshot;

/// The name of the program that checks: another run of it is no part of a solution.
const CHECKER: &str = "inception";
/// How far above the checker the ancestor is that it shares with a shell of the same person: a shell, a terminal or the
/// processes of a login, sudo.
const NEAR: usize = 4;

/// What has changed since an attempt began.
#[derive(Debug)]
pub(crate) struct Changes {
    /// The processes that were not there, or have changed. First are those near the checker, of those the ones in
    /// namespaces that are not the checker's, and of those the newest.
    pub(crate) candidates: Vec<Process>,
    /// Those of them that are not near: what meets one requirement by chance.
    pub(crate) strange: BTreeSet<Subject>,
    /// The first of them that is near, and in a namespace that is not the checker's: of it something can be said, even if
    /// it meets nothing.
    pub(crate) apart: Option<Process>,
    /// Those that were not there, that the checker may not read, and that are near: what sudo started, for one.
    pub(crate) unreadable: Vec<Process>,
    /// How many more the checker may not read.
    pub(crate) strangers: usize,
    /// The namespaces that are not new.
    pub(crate) old_namespaces: BTreeSet<NsId>,
}

impl Changes {
    /// What has changed since `snapshot`; with `within`, among the descendants of that process alone.
    ///
    /// # Errors
    /// Where /proc is no procfs.
    pub(crate) fn since(snapshot: &Snapshot, within: Option<Pid>) -> Result<Changes> {
        let all = process::all()?;
        let family = Family::of(&all);
        let least = family.lineage(getpid()).count().saturating_sub(NEAR);
        let is_near = |process: &Process| {
            let is_kin = family.nearness(process.subject.pid, getpid()) >= least;
            is_kin || (process.has_terminal && process.is_of_our_user())
        };
        let (mut candidates, mut unreadable, mut strangers) = (Vec::new(), Vec::new(), 0);
        let mut kept = BTreeSet::new();
        for process in &all {
            let pid = process.subject.pid;
            if pid == getpid() || process.name == CHECKER {
                continue;
            }
            let inside = process.inside();
            if let Some(inside) = &inside {
                kept.extend(snapshot.kept(process, &inside.namespaces));
            }
            if within.is_some_and(|root| !family.descends(pid, root)) {
                continue;
            }
            match snapshot.has_changed(process, inside.as_ref().map(|inside| inside.fingerprint.as_str())) {
                Some(true) => candidates.extend(inside.map(|inside| (process, inside))),
                None if !snapshot.had(process) && process.lives_on() => {
                    if is_near(process) {
                        unreadable.push(process.clone());
                    } else {
                        strangers += 1;
                    }
                }
                Some(false) | None => {}
            }
        }
        let is_apart =
            |inside: &Inside| inside.namespaces.iter().any(|id| !snapshot.own().any(|own| own == *id));
        candidates.sort_by_cached_key(|(process, inside)| {
            let Subject { pid, started } = process.subject;
            Reverse((is_near(process), is_apart(inside), started, pid))
        });
        let apart = candidates.first().filter(|(process, inside)| is_near(process) && is_apart(inside));
        let apart = apart.map(|(process, _)| (*process).clone());
        let strange = candidates.iter().filter(|(process, _)| !is_near(process));
        let strange = strange.map(|(process, _)| process.subject).collect();
        let candidates = candidates.into_iter().map(|(process, _)| process.clone()).collect();
        Ok(Changes {
            candidates,
            strange,
            apart,
            unreadable,
            strangers,
            old_namespaces: snapshot.remaining(kept),
        })
    }
}
