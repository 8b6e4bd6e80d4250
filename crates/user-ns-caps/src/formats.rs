//! binfmt_misc: which interpreter the kernel starts for which format of a program.

use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Kernel, Need, Requirement, Step, hand, inside, outside};
use nix::unistd::execv;
use ns_core::mount::{self, Tree};
use ns_core::{Child, Fact, Named, Namespaces, Outcome, namespace};

use crate::filesystems::an_empty_mount_point;
use crate::user::stay_root;
use lesson::user::in_z;

const OWN_FORMATS: Claim = Claim::holds_since(
    "binfmt",
    "Root inside can mount binfmt_misc, and a format that it registers applies in its user namespace only.",
    Kernel(6, 7),
)
.factor("a format registered in A's binfmt_misc")
.more(&[138])
.requires(&[Requirement::Probe(an_empty_mount_point)]);

pub(crate) const REGISTER_A_FORMAT: Step = Step {
    title: "As root of A, mount binfmt_misc, and register a format whose interpreter does not exist. Execute such a file in A and Z.",
    calls: &[
        "mount(\"binfmt_misc\", \"/mnt\", \"binfmt_misc\")",
        "write(\"/mnt/register\", \":ours:M::INCEPTION::/nowhere:\")",
        "execve(\"/tmp/program\")",
    ],
    by_hand: &[hand("f=$(mktemp); printf INCEPTION > $f; chmod +x $f; /usr/bin/python3 -c \"import os; os.execv('$f', ['program'])\"").prints("…\nOSError: … ENOEXEC…"), hand("unshare -Urm sh -c \"mount -t binfmt_misc none /mnt; echo :ours:M::INCEPTION::/nowhere: > /mnt/register; /usr/bin/python3 -c \\\"import os; os.execv('$f', ['program'])\\\"\"; rm $f").prints("…\nFileNotFoundError: … ENOENT…").needs(&[Need::Kernel(6, 7)]), ],
    claims: &[OWN_FORMATS],
    run: |lab| {
        // With the format registered, the kernel looks for the interpreter: ENOENT. Without it, the format is unknown:
        // ENOEXEC.
        // Before Linux 6.7 root inside cannot mount it: EPERM.
        let known = inside(MOUNT).that(|answer| *answer == "OK" || *answer == "EPERM");
        lab.compare(OWN_FORMATS, false, true, register)?
            .in_both_arms(known & outside(EXECVE).is("ENOEXEC"))
            .shows(inside(EXECVE).from("ENOEXEC").to("ENOENT"))
    },
};

const MOUNT: &str = "mount -t binfmt_misc";
const EXECVE: &str = "execve()";
const PROGRAM: &str = "/tmp/program";
/// The first bytes of the program, and the line that registers them: Documentation/admin-guide/binfmt-misc.rst.
const MAGIC: &str = "INCEPTION";
const FORMAT: &str = ":ours:M::INCEPTION::/nowhere:";

fn register(registers: bool) -> Result<Vec<Fact>> {
    in_z(Namespaces::MNT, move |me| {
        Tree::new_filesystem("tmpfs", &[], &[])?.attach(Path::new("/tmp"))?;
        fs::write(PROGRAM, MAGIC).named(|| format!("write(\"{PROGRAM}\")"))?;
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(PROGRAM, executable).named(|| format!("chmod(\"{PROGRAM}\", 0755)"))?;
        let mut a = Child::spawn("root of A", Namespaces::NONE, move |me| {
            namespace::unshare(Namespaces::USER | Namespaces::MNT)?;
            stay_root(Namespaces::USER)?;
            let mounted = Outcome::of(mount::mount("binfmt_misc", Path::new("/mnt")))?;
            if registers && mounted == Outcome::Done {
                let file = "/mnt/register";
                let opened = OpenOptions::new().write(true).open(file).named(|| format!("open(\"{file}\")"));
                opened?.write_all(FORMAT.as_bytes()).named(|| format!("write(\"{file}\", \"{FORMAT}\")"))?;
            }
            me.report(MOUNT, mounted)?;
            me.report(EXECVE, executed()?)?;
            me.checkpoint()
        })?;
        let answers = [a.fact()?, a.fact()?];
        // Before A ends, and its formats with it.
        let outside = executed()?;
        a.wake()?;
        answers.into_iter().try_for_each(|fact| me.send(fact))?;
        me.send(Fact::outside(EXECVE, outside))
    })
}

/// The errno of execve().
fn executed() -> ns_core::Result<Outcome> {
    let path = CString::new(PROGRAM).unwrap_or_default();
    Outcome::of(execv(&path, &[&path]).named(|| format!("execve(\"{PROGRAM}\")")))
}
