//! Where an experiment is: the sets of namespaces and cgroups that it has and we have not.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use ns_core::cgroup::{Layout, Membership};
use ns_core::{Kind, Namespaces, NsFile, NsId, Pid, mount, namespace, process};
use shell::descendants;

/// Namespaces that can be entered, and a process that is in them.
#[derive(Debug)]
pub(super) struct Place {
    /// What the process is called, or what stands for one.
    pub(super) who: String,
    pub(super) pid: Pid,
    /// Those of its namespaces that are not ours.
    pub(super) namespaces: Namespaces,
    /// A namespace that nobody is in, but that the experiment holds: it is entered after those.
    pub(super) held: Option<(NsFile, Kind)>,
    /// Namespaces that are made anew for whoever comes, since those that a step has made are gone.
    pub(super) anew: Namespaces,
    /// Those that the experiment itself is not in.
    pub(super) own: Namespaces,
    /// The directories of the cgroups that the experiment has made and the process is in.
    pub(super) cgroups: Vec<PathBuf>,
}

impl Place {
    /// All of its namespaces that are not ours.
    pub(super) fn all(&self) -> Namespaces {
        let held = self.held.as_ref().map_or(Namespaces::NONE, |(_, kind)| Namespaces::only(*kind));
        self.namespaces | held | self.anew
    }

    /// What it is, in words.
    pub(super) fn words(&self) -> String {
        let words = |kinds: Namespaces| kinds.kinds().map(|kind| kind.to_string()).collect::<Vec<_>>();
        if self.held.is_some() || !self.anew.is_empty() {
            return format!("in the sandbox, {}: {}", self.who, words(self.own).join(" "));
        }
        let mut kinds = words(self.all());
        if !self.cgroups.is_empty() {
            kinds.push("its cgroup".into());
        }
        format!("{}, PID {}: {}", self.who, self.pid, kinds.join(" "))
    }
}

/// The places of `experiment`, of all that descend from it, and of what these hold, each once: the sandbox first, then by
/// PID. `labels` are those of the processes that the experiment has shown; `made` the kinds of namespaces that the last
/// step has made.
pub(super) fn of(experiment: Pid, labels: &HashMap<i32, String>, made: Namespaces) -> Result<Vec<Place>> {
    let ours = namespace::of(None)?;
    let sandbox = namespace::of(Some(experiment))?;
    let mut known: HashSet<(Vec<NsId>, Vec<PathBuf>)> = HashSet::from([(ours.clone(), Vec::new())]);
    let mut lived_in: HashSet<NsId> = ours.iter().copied().collect();
    let mut places = Vec::new();
    let mut family = descendants(experiment);
    let but = |these: &[NsId], those: &[NsId]| {
        let others = these.iter().filter(|id| !those.contains(id));
        others.fold(Namespaces::NONE, |all, id| all | Namespaces::only(id.kind))
    };
    let sandbox_kinds = but(&sandbox, &ours);
    // Of several that are in the same place, the one that has a name.
    family.sort_by_key(|pid| (*pid != experiment, !labels.contains_key(&pid.as_raw()), pid.as_raw()));
    let layout = Layout::detect()?;
    for pid in &family {
        // It may have ended by now, or be none that we may look at.
        let Ok(theirs) = namespace::of(Some(*pid)) else { continue };
        let cgroups = cgroups(*pid, &family, &layout);
        lived_in.extend(&theirs);
        if !known.insert((theirs.clone(), cgroups.clone())) {
            continue;
        }
        let who = match labels.get(&pid.as_raw()) {
            _ if *pid == experiment => "the sandbox".into(),
            Some(label) => label.clone(),
            None if !cgroups.is_empty() => format!("cgroup {}", purpose(&cgroups[0])),
            None => process::name(Some(*pid)).unwrap_or_else(|_| "a child".into()),
        };
        let (namespaces, own) = (but(&theirs, &ours), but(&theirs, &sandbox));
        places.push(Place { who, pid: *pid, namespaces, held: None, anew: Namespaces::NONE, own, cgroups });
    }
    let in_the_sandbox = |who: String| Place {
        who,
        pid: experiment,
        namespaces: sandbox_kinds,
        held: None,
        anew: Namespaces::NONE,
        own: Namespaces::NONE,
        cgroups: Vec::new(),
    };
    for file in family.iter().flat_map(|pid| held_by(*pid)) {
        let Ok(id) = file.id() else { continue };
        if lived_in.insert(id) {
            let place = in_the_sandbox(format!("the namespace {id}, which is held open"));
            places.push(Place { held: Some((file, id.kind)), own: Namespaces::only(id.kind), ..place });
        }
    }
    // A place that lives is better than one like it.
    if !made.is_empty() && !places.iter().any(|place| place.own.contains(made)) {
        let place = in_the_sandbox("new namespaces, as the step makes them".into());
        places.push(Place { anew: made, own: made, ..place });
    }
    Ok(places)
}

/// What a cgroup is for: the end of its name, `inception-PID-STARTTIME-N-PURPOSE`.
fn purpose(directory: &Path) -> String {
    let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.splitn(5, '-').nth(4).map_or_else(|| name.clone(), String::from)
}

/// The directories of the cgroups that a process is in, of those that one of the `family` has made.
fn cgroups(pid: Pid, family: &[Pid], layout: &Layout) -> Vec<PathBuf> {
    let makers: Vec<String> =
        family.iter().map(|pid| format!("{}{pid}-", ns_core::cleanup::PREFIX)).collect();
    let is_theirs =
        |path: &str| path.split('/').any(|part| makers.iter().any(|maker| part.starts_with(maker.as_str())));
    let of = |membership: &Membership| {
        let hierarchy = match membership.controllers.split(',').next()? {
            "" => layout.v2(),
            controller => layout.v1(controller),
        };
        hierarchy?.directory(&membership.path)
    };
    let all = Membership::all_of(Some(pid)).unwrap_or_default();
    all.iter().filter(|it| is_theirs(&it.path)).filter_map(of).collect()
}

/// The namespaces that a process holds: by a descriptor, or by a bind mount that it sees.
fn held_by(pid: Pid) -> Vec<NsFile> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let descriptors = descriptors.map(|entry| entry.path()).filter(|path| {
        let target = fs::read_link(path).unwrap_or_default();
        let target = target.to_string_lossy().into_owned();
        Kind::ALL.into_iter().any(|kind| target.starts_with(&format!("{kind}:[")))
    });
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    let mounts = mount::list(Some(pid)).unwrap_or_default().into_iter().filter(|it| it.fs_type == "nsfs");
    let mounts = mounts.map(|it| root.join(it.mount_point.strip_prefix("/").unwrap_or(Path::new(""))));
    let paths: Vec<PathBuf> = descriptors.chain(mounts).collect();
    paths.into_iter().filter_map(|path| NsFile::open(path.to_str()?).ok()).collect()
}
