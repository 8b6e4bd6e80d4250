//! What is a cgroup, and who is in it?
//!
//! A cgroup is a directory in a filesystem that the kernel makes up. mkdir makes one, a write moves a process there,
//! rmdir removes it. Watch what happens to the files: nobody makes them, and what is written to them is no text that
//! is kept, but a command.
//!
//! What is shown by hand is one session: its shell variables, and the cgroup $new, last from step to step.

mod cgroups;
mod limits;
mod members;
mod tree;

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use lesson::{Claim, Experiment, Need, Requirement, Row, Step, first, hand, outside, right, wrong};
use nix::sys::stat::{Mode, umask};
use ns_core::cgroup::{self, CgroupParent, CgroupRequest, Layout};
use ns_core::cleanup::{self, Removal, TemporaryDirectory};
use ns_core::probe::Unmet;
use ns_core::{Error, Fact, Named, Namespaces, Outcome, Value, mount};

use cgroups::A_PARENT;

const CGROUP_MK: Experiment = Experiment {
    name: "cgroup-mk",
    question: "What is a cgroup, and who is in it?",
    setup: "The same commands, in a plain directory and in a cgroup.",
    arms: ["directory", "cgroup"],
    in_short: "mkdir creates a cgroup, and the kernel its files. A write to one of them is a command.",
    notes: "What is a cgroup?",
    man: &["cgroups(7)"],
    examples: &[
        ("cgroup-mk", "run the experiment in the nearest cgroup that may be written"),
        ("systemd-run --user --scope -p Delegate=yes cgroup-mk", "as an ordinary user of systemd"),
        ("cgroup-mk --sabotage", "without the factors: no claim holds"),
    ],
    sandbox: Namespaces::NONE,
    requires: &[],
    steps: &[
        FIND_THE_HIERARCHY,
        MAKE_ONE,
        members::JOIN,
        members::WRITE_PIDS,
        members::CREATE_INSIDE,
        members::READ_FROM_ANOTHER_PID_NAMESPACE,
        members::END_A_MEMBER,
        members::REMOVE,
        tree::NEST,
        tree::WRITE_FILES,
        tree::LIMIT,
        tree::ENABLE,
        limits::SET,
        limits::EXCEED,
    ],
    prepare: Some(prepare),
};

fn prepare() -> Result<()> {
    // A umask such as 0777 would keep the owner out of the cgroups that it makes.
    umask(Mode::from_bits_truncate(0o022));
    cgroup::sweep()?;
    // Without a $TMPDIR there is nothing to be swept, and whoever needs one says so.
    let _ = cleanup::sweep_directories();
    Ok(())
}

fn main() -> std::process::ExitCode {
    lesson::main(&CGROUP_MK)
}

/// Version 2, though we may make nothing there.
const A_MOUNT: Requirement = Requirement::Probe(|| {
    Ok(match Layout::detect()?.v2() {
        Some(_) => None,
        // What is lacking for a parent is then this.
        None => CgroupParent::find(CgroupRequest::AnyV2)?.err(),
    })
});

const AT_THE_DEFAULT: Claim = Claim::varies(
    "at-the-default",
    "The root cgroup of version 2 is mounted at /sys/fs/cgroup.",
    "a hybrid system has a tmpfs there, with the hierarchies below",
)
.factor("/sys/fs/cgroup")
.notes(&[31]);
const BY_ITS_MAGIC: Claim = Claim::holds(
    "by-its-magic",
    "Wherever version 2 is mounted, mountinfo names the place, and statfs() gives its type: cgroup2.",
)
.factor("a mount that mountinfo calls cgroup2")
.notes(&[31])
.requires(&[A_MOUNT]);

const FIND_THE_HIERARCHY: Step = Step {
    title: "Find the hierarchy. The path is a habit; the type of the filesystem is the proof.",
    calls: &["statfs(\"/sys/fs/cgroup\")", "read(\"/proc/self/mountinfo\")"],
    by_hand: &[hand(
        "v2=$(findmnt -nfo TARGET -t cgroup2); stat --file-system --format %T /sys/fs/cgroup $v2",
    )
    .prints("…\ncgroup2fs")
    .needs(&[Need::Cgroup])],
    claims: &[AT_THE_DEFAULT, BY_ITS_MAGIC],
    run: |lab| {
        let layout = Layout::detect()?;
        let [elsewhere, default] = ["/proc", "/sys/fs/cgroup"].map(|path| (path, Path::new(path)));
        lab.saw(Fact::outside("the layout of this machine", layout.kind().to_string()))?;
        // Where no sysfs is mounted, there is no such directory.
        lab.compare(AT_THE_DEFAULT, elsewhere, default, filesystem_at)?
            .shows(first().from("ENOENT").to("cgroup2"))?;
        if let Some(mount) = layout.v2_mount() {
            lab.saw(Fact::outside("mountinfo has cgroup2 at", Value::Name(mount.display().to_string())))?;
            lab.compare(BY_ITS_MAGIC, elsewhere, ("that mount", mount), filesystem_at)?
                .shows(first().is("cgroup2"))?;
        }
        Ok(())
    },
};

const MKDIR: Claim =
    Claim::holds("mkdir", "mkdir is all it takes to make a cgroup: it is a directory of cgroupfs.")
        .factor("mkdir in cgroupfs")
        .notes(&[30, 32])
        .requires(&[A_PARENT]);
const FILES: Claim =
    Claim::holds("files", "A new cgroup is full of files at once, and nobody has made them.")
        .factor("mkdir in cgroupfs")
        .notes(&[33])
        .requires(&[A_PARENT])
        .core(&[Row::outside("files, after mkdir", "files in it")])
        .asks(
            "mkdir has created a directory in cgroupfs. What is in it?",
            &[
                right("files, which nobody has created"),
                wrong("nothing", "mkdir creates an empty directory everywhere else"),
                wrong("nothing, until a controller is enabled", "controllers do add files of their own"),
            ],
        );
const NO_FILES: Claim =
    Claim::holds("no-files", "No file can be created in a cgroup, EACCES: the kernel alone makes them.")
        .factor("mkdir in cgroupfs")
        .notes(&[32])
        .requires(&[A_PARENT])
        .core(&[Row::outside("touch file", "touch file")])
        .asks(
            "The owner of a cgroup runs `touch file` in it. What happens?",
            &[
                right("EACCES"),
                wrong("there is a new file", "mkdir works there, and its mode lets the owner write"),
                wrong("EROFS", "/sys is thought to be read-only"),
            ],
        );
const RENAME: Claim = Claim::holds("rename", "A cgroup of version 2 cannot be renamed: EPERM.")
    .factor("mkdir in cgroupfs")
    .more(&[104])
    .requires(&[A_PARENT]);

const MAKE_ONE: Step = Step {
    title: "Make a directory called new in /tmp, and one in cgroupfs. What is in them, and what may one do there?",
    calls: &["mkdir(\"/sys/fs/cgroup/…/new\")", "creat(\"…/new/file\")", "rename(\"…/new\", \"…/newer\")"],
    by_hand: &[
        hand("new=$v2$(sed -n s/^0:://p /proc/self/cgroup)/new; mkdir $new; ls $new | head -n 3")
            .prints("cgroup.controllers\ncgroup.events\ncgroup.freeze")
            .in_the_same_shell(),
        hand("touch $new/file; mv $new $new.renamed").prints("EACCES\nEPERM"),
    ],
    claims: &[MKDIR, FILES, NO_FILES, RENAME],
    run: |lab| {
        let parent = CgroupParent::require(CgroupRequest::AnyV2)?;
        let directory = parent.directory().display().to_string();
        lab.saw(Fact::outside("where we may make cgroups", Value::Name(directory)))?;
        // They stay until the end, so that they can be looked at meanwhile.
        let made = lab.once(|_| Ok((plain_directory()?, parent.create("new")?)))?;
        let (plain, cgroup) = (made.0.path(), made.1.path());
        lab.compare(MKDIR, plain, cgroup, |new| filesystem_at(("new", new)))?.shows(first().is("cgroup2"))?;
        lab.compare(FILES, plain, cgroup, files_in)?
            .shows(outside("files in it").that(|count| count.as_i64() > Some(0)))?;
        lab.compare(NO_FILES, plain, cgroup, touch)?.shows(outside("touch file").is("EACCES"))?;
        let (plain, cgroup) = ((plain, cleanup::DIRECTORY), (cgroup, cgroup::REMOVAL));
        lab.compare(RENAME, plain, cgroup, rename)?.shows(outside("mv new newer").is("EPERM"))
    },
};

fn plain_directory() -> Result<TemporaryDirectory> {
    Ok(TemporaryDirectory::new("plain").map_err(|error| {
        let what = format!("a directory for temporary files, which TMPDIR names or is /tmp: {error}");
        Error::Unmet(Unmet::new(what, "unset TMPDIR, or let it name a directory that you may write to"))
    })?)
}

fn filesystem_at((name, path): (&str, &Path)) -> Result<Fact> {
    let kind: Value = match mount::filesystem_type(path) {
        Ok(kind) => kind.into(),
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

fn rename((directory, removal): (&Path, Removal)) -> Result<Fact> {
    let other = directory.with_extension("renamed");
    // Told before it is so: killed in between, we would leave what nobody knows of.
    cleanup::register(removal, &other)?;
    let answer = std::fs::rename(directory, &other).named(|| "rename()".into());
    if answer.is_ok() {
        // And back, so that its guard finds it again.
        std::fs::rename(&other, directory).context("rename() back")?;
    }
    cleanup::forget(&other);
    Ok(Fact::outside("mv new newer", Outcome::of(answer)?))
}
