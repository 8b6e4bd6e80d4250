//! `ns-compare --list`: every namespace that has a member, and the number of its members.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use ns_core::{Errno, Fact, NsId, Pid, Value, namespace};
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
    namespaces: HashMap<NsId, Members>,
    processes: i64,
    unreadable: i64,
}

impl Census {
    fn take(proc: &Path) -> Result<Census> {
        let mut census = Census::default();
        let list = || format!("readdir(\"{}\")", proc.display());
        for entry in std::fs::read_dir(proc).with_context(list)? {
            let name = entry.with_context(list)?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            census.count(proc, Pid::from_raw(pid))?;
        }
        let found = census.processes + census.unreadable;
        ensure!(found > 0, "no process in {}: is a procfs mounted there?", proc.display());
        Ok(census)
    }

    fn count(&mut self, proc: &Path, pid: Pid) -> Result<()> {
        let namespaces = match namespace::of_under(proc, Some(pid)) {
            // It has ended meanwhile. It is left out of all kinds, so that their counts agree.
            Ok(namespaces) if is_over(&namespaces) => return Ok(()),
            Ok(namespaces) => namespaces,
            Err(error) => match error.errno() {
                Some(Errno::ENOENT | Errno::ESRCH) => return Ok(()),
                Some(Errno::EACCES | Errno::EPERM) => {
                    self.unreadable += 1;
                    return Ok(());
                }
                _ => return Err(error.into()),
            },
        };
        self.processes += 1;
        for id in namespaces {
            let members = self.namespaces.entry(id).or_insert(Members { count: 0, lowest: pid });
            members.count += 1;
            members.lowest = members.lowest.min(pid);
        }
        Ok(())
    }
}

/// The events that show all processes of this procfs.
pub(crate) fn of(proc: &Path) -> Result<Vec<Event>> {
    let Census { namespaces, processes, unreadable } = Census::take(proc)?;
    let mut namespaces: Vec<_> = namespaces.into_iter().collect();
    namespaces.sort_by_key(|(id, members)| (id.kind, members.lowest, id.ino));
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
