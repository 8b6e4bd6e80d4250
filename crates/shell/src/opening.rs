//! A plan that is carried out.

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;

use ns_core::{Error, Namespaces, Reporter, Result, Spawn, Unmet, mount, namespace, process};

use crate::attendant::{Attendant, attend};
use crate::change::Change;
use crate::limits::Made;
use crate::mark::Mark;
use crate::opener::{Ended, hold};
use crate::plan::Plan;
use crate::program::Program;
use crate::target;

/// A plan with what it needs outside: the cgroups are made. Dropping it removes them.
#[derive(Debug)]
pub struct Opening<'a> {
    plan: &'a Plan,
    made: Made,
    joined: Vec<(PathBuf, File)>,
}

impl<'a> Opening<'a> {
    /// Makes the cgroups.
    ///
    /// # Errors
    /// [`Error::Unmet`] where no cgroup can be made, or none of the limits can be set.
    pub fn prepare(plan: &'a Plan) -> Result<Opening<'a>> {
        let mut made = Made::default();
        if let Some((name, limits)) = &plan.limits {
            made = limits.make(name)?;
            if let Some((_, unmet)) = made.lacking.first().filter(|_| made.cgroups.is_empty()) {
                return Err(Error::Unmet(unmet.clone()));
            }
            made.or_a_plain_one(name)?;
        }
        let joined = plan.into.as_ref().map_or(Ok(Vec::new()), target::Target::cgroups)?;
        Ok(Opening { plan, made, joined })
    }

    /// Variables with the directories of the cgroups that were made, which are too long for a card: `CGROUP` has the first,
    /// `CGROUP_PIDS` that of the limit by the controller pids.
    pub fn variables(&self) -> Vec<(String, OsString)> {
        let path = |at: usize| self.made.cgroups.get(at).map(|(_, cgroup)| cgroup.path().into());
        let of = self
            .made
            .set
            .iter()
            .map(|(controller, at)| (format!("CGROUP_{}", controller.to_uppercase()), *at));
        let all = [("CGROUP".to_string(), 0)].into_iter().chain(of);
        all.filter_map(|(name, at)| Some((name, path(at)?))).collect()
    }

    /// The limits that were asked for and could not be set: the controllers, and why not.
    pub fn lacking(&self) -> &[(&'static str, Unmet)] {
        &self.made.lacking
    }

    /// Opens the program, which a person calls `name`, and waits for its end.
    ///
    /// # Errors
    /// As [`hold`].
    pub fn open(&self, program: &Program, name: &str) -> Result<Ended> {
        let plan = self.plan;
        let depth = plan.depth.max(1);
        let maps = plan.maps()?;
        // Of the others, the time namespace is made when its clocks are known, and the cgroup namespace by the program's
        // process, when that is in its cgroup.
        let created = plan.namespaces();
        let at_once = created.difference(Namespaces::TIME | Namespaces::CGROUP);
        hold(program, name, depth, |mark| {
            let attendant = match (&plan.into, maps) {
                (None, Some(maps)) => Spawn::new("attendant").namespaces(at_once).maps(maps),
                (None, None) => Spawn::new("attendant").namespaces(at_once),
                (Some(_), _) => Spawn::new("attendant"),
            };
            attendant.run(|me| self.be_there(me, program, mark, created, at_once))
        })
    }

    fn be_there(
        &self,
        me: &mut Reporter,
        program: &Program,
        mark: &Mark,
        created: Namespaces,
        at_once: Namespaces,
    ) -> Result<()> {
        let plan = self.plan;
        if let Some(target) = &plan.into {
            target.enter()?;
            if !at_once.is_empty() {
                namespace::unshare(at_once)?;
            }
        } else if plan.becomes_root() {
            process::become_root()?;
        }
        if at_once.contains(Namespaces::MNT) {
            mount::make_private()?;
        }
        plan.changes.iter().filter(|change| !change.is_last()).try_for_each(Change::make)?;
        let has_offsets = plan.changes.iter().any(|change| matches!(change, Change::Offsets { .. }));
        if created.contains(Namespaces::TIME) && !has_offsets {
            namespace::unshare(Namespaces::TIME)?;
        }
        let attendant = Attendant {
            program,
            mark,
            nested: plan.depth.saturating_sub(1),
            handles: &plan.handles,
            first: &|| match created.contains(Namespaces::PID) {
                true => mount::mount("proc", std::path::Path::new("/proc")),
                false => Ok(()),
            },
            last: &|| {
                self.made.join()?;
                target::join(&self.joined)?;
                if created.contains(Namespaces::CGROUP) {
                    namespace::unshare(Namespaces::CGROUP)?;
                }
                plan.changes.iter().filter(|change| change.is_last()).try_for_each(Change::make)
            },
        };
        attend(me, &attendant, Spawn::new("program"))
    }
}
