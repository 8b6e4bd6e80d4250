//! What is a cgroup, and who is in it?
//!
//! A cgroup is a directory of cgroupfs, a filesystem of the kernel. mkdir creates a cgroup, a write moves a process into
//! it, and rmdir removes it. Watch the files: the kernel provides them, and a write to one is a command.
//!
//! The commands by hand are one session. Later steps use its shell variables and the cgroup $new.

mod cgroups;
mod limits;
mod members;
mod shell;
mod tree;

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use lesson::{Claim, Experiment, Need, Requirement, Row, Step, first, hand, outside, right, wrong};
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
    in_short: "mkdir creates a cgroup, and the kernel provides its files. A write to a file is a command.",
    notes: "What is a cgroup?",
    man: &["cgroups(7)"],
    examples: &[
        ("cgroup-mk", "run the experiment, below the nearest cgroup that you may write to"),
        (
            "systemd-run --user --scope -p Delegate=yes cgroup-mk",
            "run it as an ordinary user, in a cgroup that systemd delegates",
        ),
        ("cgroup-mk --sabotage", "run the negative control: without the factors, no claim holds"),
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
    shell: Some(shell::SHELL),
    prepare: Some(prepare),
};

fn prepare() -> Result<()> {
    cgroup::sweep()?;
    // Without a usable $TMPDIR there is nothing to remove. The step that needs it reports that.
    let _ = cleanup::sweep_directories();
    Ok(())
}

fn main() -> std::process::ExitCode {
    lesson::main(&CGROUP_MK)
}

/// A mount of version 2, even if no cgroup can be created there.
const A_MOUNT: Requirement = Requirement::Probe(|| {
    Ok(match Layout::detect()?.v2() {
        Some(_) => None,
        // Then this is also what a parent lacks.
        None => CgroupParent::find(CgroupRequest::AnyV2)?.err(),
    })
});

const AT_THE_DEFAULT: Claim = Claim::varies(
    "at-the-default",
    "cgroup v2 is mounted at /sys/fs/cgroup.",
    "a hybrid machine mounts the hierarchies below that directory",
)
.factor("/sys/fs/cgroup")
.arms("/proc", "/sys/fs/cgroup")
.notes(&[31]);
const BY_ITS_MAGIC: Claim = Claim::holds(
    "by-its-magic",
    "/proc/self/mountinfo shows where version 2 is mounted, and statfs() of that directory reports cgroup2.",
)
.factor("a mount that mountinfo calls cgroup2")
.arms("/proc", "cgroup2 mount")
.notes(&[31])
.requires(&[A_MOUNT]);

const FIND_THE_HIERARCHY: Step = Step {
    title: "Find the hierarchy of version 2: by its usual path, and by the type of its filesystem.",
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
        lab.saw(Fact::outside("cgroup layout", layout.kind().to_string()))?;
        // Where no sysfs is mounted, there is no such directory.
        lab.compare(AT_THE_DEFAULT, elsewhere, default, filesystem_at)?
            .shows(first().from("ENOENT").to("cgroup2"))?;
        if let Some(mount) = layout.v2_mount() {
            lab.saw(Fact::outside("mountinfo has cgroup2 at", Value::Name(mount.display().to_string())))?;
            lab.compare(BY_ITS_MAGIC, elsewhere, ("the cgroup2 mount", mount), filesystem_at)?
                .shows(first().is("cgroup2"))?;
        }
        Ok(())
    },
};

const MKDIR: Claim = Claim::holds(
    "mkdir",
    "mkdir() in cgroupfs creates a cgroup: statfs() of the new directory reports cgroup2.",
)
.factor("mkdir in cgroupfs")
.notes(&[30, 32])
.requires(&[A_PARENT]);
const FILES: Claim = Claim::holds("files", "A new cgroup has files at once: the kernel provides them.")
    .factor("mkdir in cgroupfs")
    .notes(&[33])
    .requires(&[A_PARENT])
    .core(&[Row::outside("files, after mkdir", "files")])
    .asks(
        "mkdir has created a directory in cgroupfs. What is in it?",
        &[
            right("files, which the kernel provides"),
            wrong("nothing", "elsewhere mkdir creates an empty directory"),
            wrong("nothing, until a controller is enabled", "an enabled controller adds files of its own"),
        ],
    );
const NO_FILES: Claim =
    Claim::holds("no-files", "A file cannot be created in a cgroup: open(O_CREAT) fails with EACCES.")
        .factor("mkdir in cgroupfs")
        .notes(&[32])
        .requires(&[A_PARENT])
        .core(&[Row::outside("touch file", "touch file")])
        .asks(
            "The owner of a cgroup runs `touch file` in it. What happens?",
            &[
                right("EACCES"),
                wrong("the file is created", "mkdir succeeds there, and the mode allows the owner to write"),
                wrong("EROFS", "much of /sys is read-only"),
            ],
        );
const RENAME: Claim = Claim::holds("rename", "rename() of a version 2 cgroup fails with EPERM.")
    .factor("mkdir in cgroupfs")
    .more(&[104])
    .requires(&[A_PARENT]);

const MAKE_ONE: Step = Step {
    title: "Create a directory called new in /tmp, and one in cgroupfs. List each, create a file in it, and rename it.",
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
        lab.saw(Fact::outside("parent of the new cgroups", Value::Name(directory)))?;
        // They stay until the end of the run, so that a reader can inspect them.
        let made = lab.once(|_| Ok((plain_directory()?, parent.create("new")?)))?;
        let (plain, cgroup) = (made.0.path(), made.1.path());
        lab.compare(MKDIR, plain, cgroup, |new| filesystem_at(("new", new)))?.shows(first().is("cgroup2"))?;
        lab.compare(FILES, plain, cgroup, files_in)?
            .shows(outside("files").that(|count| count.as_i64() > Some(0)))?;
        lab.compare(NO_FILES, plain, cgroup, touch)?.shows(outside("touch file").is("EACCES"))?;
        let (plain, cgroup) = ((plain, cleanup::DIRECTORY), (cgroup, cgroup::REMOVAL));
        lab.compare(RENAME, plain, cgroup, rename)?.shows(outside("mv new newer").is("EPERM"))
    },
};

fn plain_directory() -> Result<TemporaryDirectory> {
    Ok(TemporaryDirectory::new("plain").map_err(|error| {
        let what = format!("a directory for temporary files (TMPDIR, or /tmp): {error}");
        Error::Unmet(Unmet::new(what, "unset TMPDIR, or set it to a directory that you may write to"))
    })?)
}

fn filesystem_at((name, path): (&str, &Path)) -> Result<Fact> {
    let kind: Value = match mount::filesystem_type(path) {
        Ok(kind) => kind.into(),
        refused => Outcome::of(refused)?.into(),
    };
    Ok(Fact::outside(format!("filesystem type of {name}"), kind))
}

fn files_in(directory: &Path) -> Result<Fact> {
    let files = std::fs::read_dir(directory).with_context(|| format!("ls {}", directory.display()))?;
    let count = i64::try_from(files.count()).unwrap_or(i64::MAX);
    Ok(Fact::outside("files", if count == 0 { Value::Number(0) } else { Value::Count(count) }))
}

fn touch(directory: &Path) -> Result<Fact> {
    let file = directory.join("file");
    let answer = File::create_new(&file).named(|| "creat(\"…/file\")".into());
    let _ = std::fs::remove_file(&file);
    Ok(Fact::outside("touch file", Outcome::of(answer)?))
}

fn rename((directory, removal): (&Path, Removal)) -> Result<Fact> {
    let other = directory.with_extension("renamed");
    // Registered before the rename. Otherwise a kill in between would leave an unknown directory.
    cleanup::register(removal, &other)?;
    let answer = std::fs::rename(directory, &other).named(|| "rename()".into());
    if answer.is_ok() {
        // Renamed back, so that its guard finds it.
        std::fs::rename(&other, directory).context("rename() back")?;
    }
    cleanup::forget(&other);
    Ok(Fact::outside("mv new newer", Outcome::of(answer)?))
}
