//! `ns-compare --list`: every namespace that has a member, and the number of its members.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Result, ensure};
use ns_core::namespace::Inodes;
use ns_core::{Errno, Error, Fact, Kind, NsId, Pid, Value, namespace};
use transcript::{Event, Table};

use crate::process::{command, is_over};

/// The members of a namespace.
struct Members {
    count: i64,
    lowest: Pid,
}

/// All namespaces with their members, at approximately one moment.
#[derive(Default)]
struct Census {
    /// For each kind, in the order of [`Kind::ALL`], the members of each namespace by its inode number.
    namespaces: [HashMap<u64, Members>; Kind::ALL.len()],
    processes: i64,
    unreadable: i64,
}

impl Census {
    /// # Errors
    /// When `proc` cannot be read, or shows no process.
    fn take(proc: &Path) -> Result<Census> {
        let mut census = Census::default();
        let mut broken = None;
        namespace::scan(proc, |pid, found| match found {
            Ok(inodes) => census.count(pid, inodes),
            Err(Errno::EACCES | Errno::EPERM) => census.unreadable += 1,
            Err(errno) => broken = Some((pid, errno)),
        })?;
        if let Some((pid, errno)) = broken {
            let call = format!("readlink(\"{}/{pid}/ns/…\")", proc.display());
            return Err(Error::Call { call, errno }.into());
        }
        let found = census.processes + census.unreadable;
        ensure!(found > 0, "no process in {}: is a procfs mounted there?", proc.display());
        Ok(census)
    }

    /// Counts a process, unless it has ended. It is left out of all kinds then, so that their counts agree.
    fn count(&mut self, pid: Pid, inodes: Inodes) {
        let kinds = || Kind::ALL.into_iter().zip(inodes).filter(|(_, inode)| *inode != 0);
        if is_over(kinds().map(|(kind, _)| kind)) {
            return;
        }
        self.processes += 1;
        for (members, inode) in self.namespaces.iter_mut().zip(inodes).filter(|(_, inode)| *inode != 0) {
            let members = members.entry(inode).or_insert(Members { count: 0, lowest: pid });
            members.count += 1;
            members.lowest = members.lowest.min(pid);
        }
    }

    /// Every namespace that has a member: by kind, and then by its first member.
    fn sorted(self) -> Result<Vec<(NsId, Members)>> {
        let of_each_kind = Kind::ALL.into_iter().zip(self.namespaces);
        let all = of_each_kind.flat_map(|(kind, all)| all.into_iter().map(move |it| (kind, it)));
        let all = all.map(|(kind, (inode, members))| Ok((namespace::identity(kind, inode)?, members)));
        let mut all = all.collect::<Result<Vec<_>>>()?;
        all.sort_by_key(|(id, members)| (id.kind, members.lowest, id.ino));
        Ok(all)
    }
}

/// The events that show all processes of this procfs.
pub(crate) fn of(proc: &Path) -> Result<Vec<Event>> {
    let census = Census::take(proc)?;
    let (processes, unreadable) = (census.processes, census.unreadable);
    let namespaces = census.sorted()?;
    let mut commands = HashMap::new();
    let mut rows = Vec::with_capacity(namespaces.len());
    for (id, Members { count, lowest }) in namespaces {
        let command: &String = commands.entry(lowest).or_insert_with(|| command(proc, lowest));
        let (count, command) = (Value::Count(count), Value::Name(command.clone()));
        rows.push(vec![id.kind.link().into(), id.into(), count, lowest.into(), command]);
    }
    let mut events = vec![Event::Table(Table {
        title: "Every namespace that has a member".into(),
        columns: ["kind", "namespace", "processes", "lowest PID", "command"].map(Into::into).to_vec(),
        rows,
        picture: None,
    })];
    events.push(Event::Saw(Fact::outside("processes", Value::Count(processes))));
    if unreadable > 0 {
        let root = nix::unistd::geteuid().is_root();
        let what = if root { "processes unreadable" } else { "processes unreadable (sudo shows more)" };
        events.push(Event::Saw(Fact::outside(what, Value::Count(unreadable))));
    }
    Ok(events)
}
