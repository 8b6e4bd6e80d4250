//! What is a cgroup, and who is in it?
//!
//! A cgroup is a directory in a filesystem that the kernel makes up. mkdir makes one, a write moves a process there,
//! rmdir removes it. Watch what happens to the files: nobody makes them, and what is written to them is no text that
//! is kept, but a command.
//!
//! What is shown by hand is one session: its shell variables, and the cgroup $new, last from step to step.

mod limits;
mod members;
mod tree;

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use lesson::{Claim, Experiment, Lab, Need, Step, cause};
use ns_core::cgroup::{self, Cgroup, Layout, Place, Want};
use ns_core::janitor::TemporaryDirectory;
use ns_core::probe::Missing;
use ns_core::{Fact, Named, Namespaces, Outcome, Value, mount};

/// A place for cgroups of version 2, whatever its controllers.
pub(crate) const A_PLACE: Need = Need::Probe(|| missing(Want::AnyV2));
/// Version 2, though we may make nothing there.
const A_MOUNT: Need = Need::Probe(|| {
    Ok(match Layout::detect()?.v2() {
        Some(_) => None,
        // What is missing for a place is then this.
        None => missing(Want::AnyV2)?,
    })
});

const AT_THE_DEFAULT: Claim = Claim::varies(
    "at-the-default",
    "The root cgroup of version 2 is mounted at /sys/fs/cgroup.",
    "a hybrid system has a tmpfs there, with the hierarchies below",
)
.cause("/sys/fs/cgroup")
.notes(&[31]);
const BY_ITS_MAGIC: Claim = Claim::holds(
    "by-its-magic",
    "Wherever version 2 is mounted, mountinfo names the place, and statfs() gives its type: cgroup2.",
)
.cause("a mount that mountinfo calls cgroup2")
.notes(&[31])
.needs(&[A_MOUNT]);
const MKDIR: Claim =
    Claim::holds("mkdir", "mkdir is all it takes to make a cgroup: it is a directory of cgroupfs.")
        .cause("mkdir in cgroupfs")
        .notes(&[30, 32])
        .needs(&[A_PLACE]);
const FILES: Claim =
    Claim::holds("files", "A new cgroup is full of files at once, and nobody has made them.")
        .cause("mkdir in cgroupfs")
        .notes(&[33])
        .needs(&[A_PLACE]);
const NO_FILES: Claim = Claim::holds(
    "no-files",
    "Nobody can add a file to a cgroup, not even root: the kernel alone makes them.",
)
.cause("mkdir in cgroupfs")
.notes(&[32])
.needs(&[A_PLACE]);
const RENAME: Claim = Claim::holds("rename", "A cgroup of version 2 cannot be renamed: EPERM.")
    .cause("mkdir in cgroupfs")
    .more(&[104])
    .needs(&[A_PLACE]);

const CGROUP_MK: Experiment = Experiment {
    name: "cgroup-mk",
    question: "What is a cgroup, and who is in it?",
    notes: "What is a cgroup?",
    man: &["cgroups(7)"],
    examples: &[
        ("cgroup-mk", "run the experiment in the nearest cgroup that may be written"),
        ("systemd-run --user --scope -p Delegate=yes cgroup-mk", "as an ordinary user of systemd"),
        ("cgroup-mk --sabotage", "without the causes: no claim holds"),
    ],
    stage: Namespaces::NONE,
    needs: &[],
    claims: &[
        AT_THE_DEFAULT,
        BY_ITS_MAGIC,
        MKDIR,
        FILES,
        NO_FILES,
        RENAME,
        members::LISTED,
        members::MOVES,
        members::APPENDED,
        members::COMMAND,
        members::BORN_IN,
        members::OTHER_NUMBERS,
        members::ZOMBIE,
        members::BUSY,
        members::POPULATED,
        tree::PATHS,
        tree::BUSY,
        tree::READ_ONLY,
        tree::OFFERED,
        tree::TOP_DOWN,
        tree::BOTTOM_UP,
        tree::DEPTH,
        tree::DESCENDANTS,
        limits::IN_A_FILE,
        limits::BINDS,
        limits::NONSENSE,
    ],
    run,
};

fn main() -> std::process::ExitCode {
    lesson::main(&CGROUP_MK)
}

fn run(lab: &mut Lab) -> Result<()> {
    cgroup::sweep()?;
    let layout = Layout::detect()?;
    lab.step(Step {
        goal: "Find the hierarchy. The path is a habit; the type of the filesystem is the proof.",
        calls: &["statfs(\"/sys/fs/cgroup\")", "read(\"/proc/self/mountinfo\")"],
        by_hand: &[
            "findmnt --types cgroup,cgroup2",
            "v2=$(findmnt -nfo TARGET -t cgroup2); stat --file-system --format %T /sys/fs/cgroup $v2",
        ],
    })?;
    lab.saw(Fact::outside("the layout of this machine", layout.kind().to_string()))?;
    let elsewhere = Path::new("/proc");
    let path = cause("/sys/fs/cgroup", "/proc");
    lab.claim(AT_THE_DEFAULT)
        .without(filesystem_at("/proc", elsewhere)?)
        .with(filesystem_at(path, Path::new(path))?)
        .shows(|it| *it == "cgroup2")?;
    if lab.can_ask(&[BY_ITS_MAGIC])? {
        let mount = layout.v2_mount().context("cgroup2 in /proc/self/mountinfo")?;
        lab.saw(Fact::outside("mountinfo has cgroup2 at", Value::Name(mount.display().to_string())))?;
        let (name, path) = cause(("that mount", mount), ("/proc", elsewhere));
        lab.claim(BY_ITS_MAGIC)
            .without(filesystem_at("/proc", elsewhere)?)
            .with(filesystem_at(name, path)?)
            .shows(|it| *it == "cgroup2")?;
    }

    if lab.can_ask(&[MKDIR, FILES, NO_FILES, RENAME])? {
        make_one(lab)?;
    }
    members::run(lab)?;
    tree::run(lab)?;
    limits::run(lab)
}

/// A directory beside a cgroup.
fn make_one(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Make a directory called new in /tmp, and one in cgroupfs. What is in them, and what may one do there?",
        calls: &[
            "mkdir(\"/sys/fs/cgroup/…/new\")",
            "creat(\"…/new/file\")",
            "rename(\"…/new\", \"…/newer\")",
        ],
        by_hand: &[
            "new=$v2$(sed -n s/^0:://p /proc/self/cgroup)/new; mkdir $new",
            "ls $new; touch $new/file; mv $new $new.renamed",
        ],
    })?;
    let place = find(Want::AnyV2)?;
    lab.saw(Fact::outside(
        "where we may make cgroups",
        Value::Name(place.directory().display().to_string()),
    ))?;
    let plain = TemporaryDirectory::new("plain")?;
    let cgroup = place.create("new")?;
    let (plain, made) = (plain.path(), cause(cgroup.path(), plain.path()));
    lab.claim(MKDIR)
        .without(filesystem_at("new", plain)?)
        .with(filesystem_at("new", made)?)
        .shows(|it| *it == "cgroup2")?;
    lab.claim(FILES)
        .without(files_in(plain)?)
        .with(files_in(made)?)
        .shows(|count| count.value().as_i64().is_some_and(|count| count > 0))?;
    lab.claim(NO_FILES).without(touch(plain)?).with(touch(made)?).shows(|answer| *answer != "OK")?;
    lab.claim(RENAME).without(rename(plain)?).with(rename(made)?).shows(|answer| *answer == "EPERM")?;
    Ok(())
}

/// What is missing for a place, as a need.
fn missing(want: Want<'_>) -> ns_core::Result<Option<Missing>> {
    Ok(Place::find(want)?.err())
}

/// A place that a need has found before.
fn find(want: Want<'_>) -> Result<Place> {
    Place::find(want)?.map_err(|missing| anyhow::anyhow!("{}", missing.what))
}

/// What a process's /proc/PID/cgroup says of version 2: the path of its cgroup from the root.
fn cgroup_of(process: ns_core::Pid) -> Result<String> {
    Ok(cgroup::path_of(Some(process), "")?.unwrap_or_else(|| "none".into()))
}

/// Whether that path is the cgroup's.
fn is_in(process: ns_core::Pid, cgroup: &Cgroup) -> Result<bool> {
    let name = cgroup.path().file_name().unwrap_or_default();
    Ok(Path::new(&cgroup_of(process)?).file_name() == Some(name))
}

fn filesystem_at(name: &str, path: &Path) -> Result<Fact> {
    let kind: Value = match mount::filesystem_type(path) {
        Ok(kind) => kind.into(),
        // Where no sysfs is mounted, there is no such directory.
        refused => Outcome::of(refused)?.into(),
    };
    Ok(Fact::outside(format!("type of the filesystem at {name}"), kind))
}

fn files_in(directory: &Path) -> Result<Fact> {
    let files = std::fs::read_dir(directory).with_context(|| format!("ls {}", directory.display()))?;
    let count = i64::try_from(files.count()).unwrap_or(i64::MAX);
    Ok(Fact::outside("files in it", if count == 0 { Value::Number(0) } else { Value::Count(count) }))
}

fn touch(directory: &Path) -> Result<Fact> {
    let file = directory.join("file");
    let answer = File::create_new(&file).named(|| "creat(\"…/file\")".into());
    let _ = std::fs::remove_file(&file);
    Ok(Fact::outside("touch file", Outcome::of(answer)?))
}

fn rename(directory: &Path) -> Result<Fact> {
    // Renamed and back, so that its guard finds it again.
    let other = directory.with_extension("renamed");
    let answer = std::fs::rename(directory, &other).named(|| "rename()".into());
    if answer.is_ok() {
        std::fs::rename(&other, directory).context("rename() back")?;
    }
    Ok(Fact::outside("mv new newer", Outcome::of(answer)?))
}
