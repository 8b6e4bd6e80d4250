//! A survey: from the processes of a procfs to a map.
//!
//! Each process costs nine system calls (`ns_core::namespace::scan`). All else is asked once a namespace: its owner and
//! parent (ioctl_ns(2)), and once for each first process: its name, its cgroup, and the mounts of its mount namespace.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use ns_core::mount::mountinfo;
use ns_core::{Kind, NsFile, NsId, namespace};
use shell::Mark;

use crate::cgroup::Cgroups;
use crate::creator::Creator;
use crate::descriptors;
use crate::model::{Keeper, Map, Namespace};
use crate::processes::Processes;
use crate::shells;

/// What to look at.
#[derive(Debug, Clone)]
pub struct Survey {
    /// Where the procfs is.
    pub proc: PathBuf,
    /// Whether to look at each descriptor of each process too.
    pub held: bool,
    /// Whether to look at the cgroup of each first process, and what limits it.
    pub cgroups: bool,
    /// Whether to ask for the serial numbers of namespaces, by which maps are compared.
    pub serials: bool,
}

impl Survey {
    /// One of the processes of the procfs at `proc`, and of nothing more.
    pub fn of(proc: &Path) -> Survey {
        Survey { proc: proc.into(), held: false, cgroups: false, serials: false }
    }

    /// Takes it.
    ///
    /// # Errors
    /// When there is no procfs.
    pub fn take(&self) -> Result<Map> {
        let map = self.take_while(&mut || true)?;
        Ok(map.expect("nothing gives it up"))
    }

    /// Takes it, and asks at each process and each namespace whether to `go_on`: who asks for it has something else to do
    /// meanwhile. None once it is given up.
    ///
    /// # Errors
    /// As [`Survey::take`].
    pub fn take_while(&self, go_on: &mut dyn FnMut() -> bool) -> Result<Option<Map>> {
        let mut map = Map { schema: 1, ..Map::default() };
        let mut processes = Processes::of(&self.proc);
        let pids = count(&self.proc, &mut map, go_on)?;
        relate(&mut map, &mut processes, &pids, self.serials, go_on);
        for namespace in map.namespaces.values_mut().take_while(|_| go_on()) {
            namespace.first = namespace.lowest.and_then(|pid| processes.get(pid));
        }
        find_mounts(&mut map, &mut processes, go_on);
        if self.held {
            descriptors::find(&mut map, &mut processes, &pids, go_on);
        }
        tell_creators(&mut map, &mut processes, go_on);
        if self.cgroups {
            tell_cgroups(&mut map, &mut processes, go_on);
        }
        if !go_on() {
            return Ok(None);
        }
        for namespace in map.namespaces.values_mut() {
            namespace.kept_by.sort();
            namespace.kept_by.dedup();
        }
        Ok(Some(map))
    }
}

/// Counts the members of each namespace. Returns the processes that were looked at.
fn count(proc: &Path, map: &mut Map, go_on: &mut dyn FnMut() -> bool) -> Result<Vec<i32>> {
    // A tree for each kind, not one hash table: of most kinds there are few, and this is asked eight times a process.
    let mut members: [BTreeMap<u64, (usize, i32)>; Kind::ALL.len()] = Default::default();
    let mut pids = Vec::new();
    let mut unreadable = 0;
    namespace::scan(proc, |pid, found| {
        go_on();
        let Ok(inodes) = found else {
            unreadable += 1;
            return;
        };
        pids.push(pid.as_raw());
        for (of_kind, inode) in members.iter_mut().zip(inodes).filter(|(_, inode)| *inode != 0) {
            let (count, lowest) = of_kind.entry(inode).or_insert((0, pid.as_raw()));
            *count += 1;
            *lowest = pid.as_raw().min(*lowest);
        }
    })?;
    ensure!(pids.len() + unreadable > 0, "no process in {}: is a procfs mounted there?", proc.display());
    (map.processes, map.unreadable) = (pids.len(), unreadable);
    for (kind, of_kind) in Kind::ALL.into_iter().zip(members) {
        for (inode, (count, lowest)) in of_kind {
            let namespace = map.at(namespace::identity(kind, inode)?);
            (namespace.members, namespace.lowest) = (count, Some(lowest));
        }
    }
    Ok(pids)
}

/// Asks each namespace that has members for its owner and its parent. Those that are found so and have no member are
/// added.
fn relate(
    map: &mut Map,
    processes: &mut Processes,
    pids: &[i32],
    serials: bool,
    go_on: &mut dyn FnMut() -> bool,
) {
    let known: Vec<(NsId, i32)> =
        map.namespaces.values().filter_map(|namespace| Some((namespace.id, namespace.lowest?))).collect();
    let mut ended = Vec::new();
    for (id, pid) in known.into_iter().take_while(|_| go_on()) {
        let file = match processes.namespace(pid, id.kind) {
            Err(error) if error.is_no_process() => count_again(map, processes, pids, id),
            // Else it is one of another user.
            opened => opened.ok(),
        };
        let Some(file) = file else {
            ended.extend((map.at(id).members == 0).then_some(id));
            continue;
        };
        if serials {
            map.at(id).serial = file.serial().ok();
        }
        processes.relate(map, id, file);
    }
    for id in ended {
        map.namespaces.remove(&id);
        // Those that keep it find it once more.
        let keeps = |it: &&Namespace| it.owner == Some(id) || it.parent == Some(id);
        let keepers: Vec<_> = map.namespaces.values().filter(keeps).map(|it| (it.id, it.lowest)).collect();
        for (keeper, lowest) in keepers {
            if let Some(Ok(file)) = lowest.map(|pid| processes.namespace(pid, keeper.kind)) {
                processes.relate(map, keeper, file);
            }
        }
    }
}

/// The first member of a namespace has ended since it was counted. All may have, or only that one. Gives the namespace,
/// opened, if there is another.
fn count_again(map: &mut Map, processes: &Processes, pids: &[i32], id: NsId) -> Option<NsFile> {
    let left: Vec<i32> = pids.iter().filter(|pid| processes.is_in(**pid, id)).copied().collect();
    let namespace = map.at(id);
    (namespace.members, namespace.lowest) = (left.len(), left.iter().min().copied());
    processes.namespace(namespace.lowest?, id.kind).ok()
}

/// Finds the namespaces that are bind-mounted somewhere: in any mount namespace that has a member.
fn find_mounts(map: &mut Map, processes: &mut Processes, go_on: &mut dyn FnMut() -> bool) {
    let members = map.namespaces.values().filter(|namespace| namespace.id.kind == Kind::Mnt);
    let members: Vec<i32> = members.filter_map(|namespace| namespace.lowest).collect();
    for pid in members.into_iter().take_while(|_| go_on()) {
        let Some(text) = processes.read_all(pid, "mountinfo") else { continue };
        // Few have any, and to take each line of each apart costs more than all else.
        if !text.windows(8).any(|word| word == b" - nsfs ") {
            continue;
        }
        for mount in mountinfo::parse(&text).into_iter().flatten().filter(|mount| mount.fs_type == "nsfs") {
            let Some((kind, inode)) = namespace::parse_link(&mount.root) else { continue };
            let Ok(id) = namespace::identity(kind, inode) else { continue };
            let is_new = !map.namespaces.contains_key(&id);
            let point = mount.mount_point.display().to_string();
            if is_new {
                let path = processes.path(pid, "root").join(point.trim_start_matches('/'));
                match NsFile::open(path.display().to_string()) {
                    // Another mount may cover it.
                    Ok(file) if file.id().is_ok_and(|found| found == id) => processes.relate(map, id, file),
                    _ => {}
                }
            }
            map.at(id).kept_by.push(Keeper::Mount { path: point, pid });
        }
    }
}

/// Tells what made each namespace that the first process of all is not in.
fn tell_creators(map: &mut Map, processes: &mut Processes, go_on: &mut dyn FnMut() -> bool) {
    let first = map.first_of_all();
    let mut creators: HashMap<i32, Option<Creator>> = HashMap::new();
    let mut marks: HashMap<i32, Option<Mark>> = HashMap::new();
    for namespace in map.namespaces.values_mut().take_while(|_| go_on()) {
        let Some(pid) = namespace.lowest.filter(|pid| Some(*pid) != first) else { continue };
        let by_itself = creators.entry(pid).or_insert_with(|| creator(processes, pid));
        namespace.made_by.clone_from(by_itself);
        let shell = marks.entry(pid).or_insert_with(|| shells::mark_of_child(processes, pid));
        if let Some(mark) = shell.as_ref().filter(|mark| shells::is_made_for(mark, namespace.id)) {
            namespace.made_by = Some(Creator::by_mark(mark));
        }
    }
}

/// What made the namespaces of a process, by its program, or else by its cgroup.
fn creator(processes: &mut Processes, pid: i32) -> Option<Creator> {
    let is_bwrap = processes.command(pid) == "bwrap";
    let program = is_bwrap.then(|| processes.program(pid)).flatten();
    program
        .and_then(|program| Creator::by_program(&program))
        .or_else(|| Creator::by_cgroups(&processes.cgroups(pid)))
}

/// Tells the cgroup of each first process, and what limits it.
fn tell_cgroups(map: &mut Map, processes: &mut Processes, go_on: &mut dyn FnMut() -> bool) {
    let Some(mut cgroups) = Cgroups::detect() else { return };
    for namespace in map.namespaces.values_mut().take_while(|_| go_on()) {
        let text = namespace.lowest.map(|pid| processes.cgroups(pid));
        namespace.cgroup = text.and_then(|text| cgroups.of(&text));
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// The PID of a process that has ended.
    fn ended() -> i32 {
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id().try_into().unwrap()
    }

    /// Our UTS namespace, of which a process that has ended was counted; and what is known of it after all.
    fn after_the_end_of_its_first(pids: &[i32]) -> Option<(usize, Option<i32>)> {
        let mut map = Map::default();
        let id = NsFile::open("/proc/self/ns/uts").unwrap().id().unwrap();
        (map.at(id).members, map.at(id).lowest) = (2, Some(ended()));
        relate(&mut map, &mut Processes::of(Path::new("/proc")), pids, false, &mut || true);
        map.namespaces.get(&id).map(|namespace| (namespace.members, namespace.lowest))
    }

    #[test]
    fn a_namespace_whose_members_have_all_ended_is_gone() {
        assert_eq!(after_the_end_of_its_first(&[]), None);
    }

    #[test]
    fn a_namespace_whose_members_have_all_ended_stays_where_another_keeps_it() {
        let open = |kind: &str| NsFile::open(format!("/proc/self/ns/{kind}")).unwrap().id().unwrap();
        let (user, owned) = (open("user"), open("ipc"));
        let mut map = Map::default();
        (map.at(user).members, map.at(user).lowest) = (1, Some(ended()));
        (map.at(owned).members, map.at(owned).lowest) = (1, std::process::id().try_into().ok());
        relate(&mut map, &mut Processes::of(Path::new("/proc")), &[], false, &mut || true);
        let kept = &map.namespaces[&user];
        assert_eq!((kept.members, kept.kept_by.len()), (0, 1), "{kept:?}");
    }

    #[test]
    fn a_namespace_whose_first_member_has_ended_has_the_others() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(after_the_end_of_its_first(&[own]), Some((1, Some(own))));
    }
}
