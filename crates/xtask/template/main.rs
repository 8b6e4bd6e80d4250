//! @question@
//!
//! POSIX shared memory is files in /dev/shm, and what keeps files apart is mounts. Watch the outside column.

mod shell;

use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Experiment, Row, Step, hand, outside, right, wrong};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::unlink;
use ns_core::{Child, Fact, Named, Namespaces, mount};

const @NAME@: Experiment = Experiment {
    name: "@name@",
    question: "@question@",
    setup: "A child mounts a tmpfs on /dev/shm and makes a file in it.",
    arms: ["plain child", "CLONE_NEWNS"],
    in_short: "POSIX shared memory is files, and a mount namespace keeps files apart.",
    notes: "IPC Namespace",
    man: &["shm_overview(7)", "mount_namespaces(7)"],
    examples: &[
        ("@name@", "run the experiment"),
        ("@name@ --sabotage", "without the namespace: no claim holds"),
    ],
    // The control mounts over this /dev/shm, in the host's place.
    sandbox: Namespaces::MNT,
    requires: &[],
    steps: &[MAKE_A_FILE],
    shell: Some(shell::SHELL),
    prepare: None,
};

fn main() -> std::process::ExitCode {
    lesson::main(&@NAME@)
}

const STAYS: Claim =
    Claim::holds("stays", "A tmpfs that is mounted on /dev/shm in a mount namespace keeps its files in.")
        .factor("CLONE_NEWNS")
        .more(&[80])
        .core(&[Row::outside("file, looked for outside", "/dev/shm/file")])
        .asks(
            "A process in a new mount namespace mounts a tmpfs on /dev/shm and makes a file in it. Who finds the file?",
            &[
                right("that namespace alone"),
                wrong("everyone: /dev/shm is shared memory", "its name says so, and shm_open() is known as IPC"),
                wrong("everyone in its IPC namespace", "POSIX shared memory is thought to belong to that namespace"),
            ],
        );

const MAKE_A_FILE: Step = Step {
    title: "Mount a tmpfs on /dev/shm in a child, make a file there, and look for it from outside.",
    calls: &[
        "clone3(CLONE_NEWNS)",
        "mount(\"tmpfs\", \"/dev/shm\", \"tmpfs\")",
        "open(\"/dev/shm/file\", O_CREAT)",
    ],
    by_hand: &[
        hand("unshare -Urm sh -c 'mount -t tmpfs tmpfs /dev/shm; touch /dev/shm/file; ls /dev/shm'; ls /dev/shm/file")
            .prints("file\nENOENT"),
    ],
    claims: &[STAYS],
    run: |lab| {
        lab.compare(STAYS, Namespaces::NONE, Namespaces::MNT, make_a_file)?
            .shows(outside("/dev/shm/file").from("there").to("not there"))
    },
};

/// Makes a file in a tmpfs that a child mounts in `namespaces`, and looks for it from both sides.
fn make_a_file(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("child", namespaces, |me| {
        mount::mount("tmpfs", Path::new("/dev/shm"))?;
        open("/dev/shm/file", OFlag::O_CREAT, Mode::S_IRUSR)
            .named(|| "open(\"/dev/shm/file\", O_CREAT)".into())?;
        me.report("/dev/shm/file", look())?;
        me.checkpoint()?;
        // For the other arm, which would find it.
        unlink("/dev/shm/file").named(|| "unlink(\"/dev/shm/file\")".into())
    })?;
    let mut facts = vec![child.fact()?, Fact::outside("/dev/shm/file", look())];
    child.wake()?;
    facts.extend(child.facts()?);
    Ok(facts)
}

fn look() -> &'static str {
    if Path::new("/dev/shm/file").exists() { "there" } else { "not there" }
}
