//! Mounts against the kernel: what is found where, and that the host's are out of reach.
//!
//! A plain program, since children are made from the only thread.

use std::path::Path;
use std::process::ExitCode;

use ns_core::mount::{self, Propagation, Restriction, Tree};
use ns_core::{
    Child, Errno, Error, Kind, Named, Namespaces, Outcome, Reporter, host, probe, root, sandbox, signals,
};

mod plain;

use plain::{Answer, Check, Ending};

const CHECKS: &[Check] = &[
    ("no_call_reaches_the_mounts_of_the_host", no_call_reaches_the_mounts_of_the_host),
    ("what_is_on_top_is_what_is_found", what_is_on_top_is_what_is_found),
    ("a_moved_mount_is_found_where_it_is_now", a_moved_mount_is_found_where_it_is_now),
    ("peers_have_one_number_and_slaves_know_it", peers_have_one_number_and_slaves_know_it),
    ("an_open_place_is_not_its_name", an_open_place_is_not_its_name),
    ("a_root_is_what_was_made_the_root", a_root_is_what_was_made_the_root),
];

const PLACE: &str = "/mnt";

fn main() -> ExitCode {
    signals::start_afresh().and_then(|()| host::remember()).expect("a procfs at /proc");
    plain::run(CHECKS)
}

/// Runs `body` in a sandbox, with an empty tmpfs at [`PLACE`]. What it tells is to be `yes`, each time.
fn on_a_stage(body: fn(&mut Reporter) -> ns_core::Result<()>) -> Answer {
    if let Some(missing) = probe::sandbox(Namespaces::MNT)? {
        return Ok(Ending::Skipped(missing.to_string()));
    }
    let mut child = Child::spawn("child", Namespaces::NONE, move |me| {
        sandbox::enter(Namespaces::MNT)?;
        mount::mount("tmpfs", Path::new(PLACE))?;
        body(me)
    })?;
    let told = child.facts()?;
    assert!(!told.is_empty(), "nothing was told");
    for fact in told {
        assert!(fact.value == "yes", "{}: {}", fact.what, fact.value);
    }
    Ok(Ending::Passed)
}

fn directory(name: &str) -> ns_core::Result<std::path::PathBuf> {
    let path = Path::new(PLACE).join(name);
    std::fs::create_dir(&path).map_err(|error| Error::Input(error.to_string()))?;
    Ok(path)
}

fn no_call_reaches_the_mounts_of_the_host() -> Answer {
    // Places that are not there: should a guard be missing, the kernel has nothing to change.
    let [from, to] = [Path::new("/nowhere/a"), Path::new("/nowhere/b")];
    let open = std::fs::File::open("/").named(|| "open(\"/\")".into())?;
    let calls: [(&str, ns_core::Result<()>); 10] = [
        ("bind", mount::bind(from, to)),
        ("bind_recursive", mount::bind_recursive(from, to)),
        ("move_to", mount::move_to(from, to)),
        ("restrict", mount::restrict(to, &[])),
        ("set_propagation", mount::set_propagation(to, Propagation::Shared)),
        ("overlay", mount::overlay(from, from, from, to)),
        ("open_tree", Tree::copy_of(from).map(drop)),
        ("open_tree, AT_RECURSIVE", Tree::copy_of_all(from).map(drop)),
        ("open_tree, AT_EMPTY_PATH", Tree::copy_of_open(&open, "/").map(drop)),
        ("pivot", root::pivot(from, to)),
    ];
    for (name, result) in calls {
        let refused = matches!(result, Err(Error::WouldChangeHost { kind: Kind::Mnt, .. }));
        assert!(refused, "{name}: {result:?}");
    }
    // Its options are the machine's.
    let cgroups = Tree::new_filesystem("cgroup2", &[], &[]);
    assert!(matches!(cgroups, Err(Error::WouldChangeHost { kind: Kind::Cgroup, .. })), "{cgroups:?}");
    Ok(Ending::Passed)
}

fn what_is_on_top_is_what_is_found() -> Answer {
    on_a_stage(|me| {
        let place = Path::new(PLACE);
        let id = || Ok(mount::at(None, place)?.map(|it| it.mnt_id));
        let first: Option<i32> = id()?;
        mount::mount("tmpfs", place)?;
        let second: ns_core::Result<Option<i32>> = id();
        let second = second?;
        me.report("another one is on top", second.is_some() && second != first)?;
        mount::unmount(place)?;
        let third: ns_core::Result<Option<i32>> = id();
        me.report("the first one comes to light again", first.is_some() && third? == first)?;
        me.report("the root is found", mount::at(None, Path::new("/"))?.is_some())?;
        me.report("where nothing is mounted nothing is", mount::at(None, &directory("empty")?)?.is_none())
    })
}

fn a_moved_mount_is_found_where_it_is_now() -> Answer {
    on_a_stage(|me| {
        let [from, to] = [directory("from")?, directory("to")?];
        // A place that is mounted on already, and a mount that is older than the one there.
        mount::mount("tmpfs", &from)?;
        mount::mount("tmpfs", &to)?;
        let moved = mount::at(None, &from)?.map(|it| it.mnt_id);
        mount::move_to(&from, &to)?;
        me.report("nothing is at the old place", mount::at(None, &from)?.is_none())?;
        me.report("it is at the new one", mount::at(None, &to)?.map(|it| it.mnt_id) == moved)
    })
}

fn an_open_place_is_not_its_name() -> Answer {
    on_a_stage(|me| {
        let [place, other] = [directory("place")?, directory("other")?];
        let open = std::fs::File::open(&place).named(|| "open(place)".into())?;
        let moved = Path::new(PLACE).join("moved");
        std::fs::rename(&place, &moved).named(|| "rename(place, moved)".into())?;
        std::os::unix::fs::symlink(&other, &place).named(|| "symlink(other, place)".into())?;
        let memory = Tree::new_filesystem("tmpfs", &[("mode", "755")], &[Restriction::ReadOnly])?;
        memory.attach_to(&open, "place")?;
        me.report("it is mounted on what was opened", mount::at(None, &moved)?.is_some())?;
        me.report("and not where the name leads by now", mount::at(None, &other)?.is_none())?;
        let written = Outcome::of(std::fs::write(moved.join("file"), "").named(|| "write()".into()))?;
        me.report("nothing can be written to it", written == Outcome::Failed(Errno::EROFS))
    })
}

fn peers_have_one_number_and_slaves_know_it() -> Answer {
    on_a_stage(|me| {
        let place = Path::new(PLACE);
        let here = || mount::at(None, place).map(Option::unwrap);
        me.report("a new mount is private", mount::peer_group(&here()?).is_none())?;
        mount::set_propagation(place, Propagation::Shared)?;
        let group = mount::peer_group(&here()?);
        me.report("a shared one has a number", group.is_some())?;
        let mut copy = Child::spawn("copy", Namespaces::MNT, move |me| {
            me.report("its copy has the same", mount::peer_group(&here()?) == group)?;
            mount::set_propagation(place, Propagation::Slave)?;
            me.report("a slave has it for a master", mount::master(&here()?) == group)?;
            mount::set_propagation(place, Propagation::Unbindable)?;
            me.report("an unbindable one says so", mount::is_unbindable(&here()?))
        })?;
        for fact in copy.facts()? {
            me.send(fact)?;
        }
        Ok(())
    })
}

fn a_root_is_what_was_made_the_root() -> Answer {
    on_a_stage(|me| {
        let jail = directory("jail")?;
        me.report("at first it is /", root::of(None)? == Path::new("/"))?;
        let inside = jail.clone();
        let mut child = Child::spawn("chrooted", Namespaces::NONE, move |me| {
            root::chroot(&inside)?;
            me.report("ready", "yes")?;
            me.stay()
        })?;
        child.fact()?;
        me.report("then the directory", root::of(Some(child.pid()))? == jail)?;
        let before = root::working_directory(None)?;
        me.report("and not where it works", root::working_directory(Some(child.pid()))? == before)
    })
}
