//! Capabilities that root has dropped, and what gives them back.

use std::path::Path;

use anyhow::Result;
use lesson::user::in_z;
use lesson::{Claim, Row, Step, hand, inside, right, wrong};
use ns_core::{Capability, Fact, Namespaces, Outcome, capabilities, mount, process, uts};

use crate::program::{self, NET_RAW};
use crate::user::{CAN_GAIN, no_new_privs};

const MOUNT: &str = "mount(\"tmpfs\", \"/mnt\", \"tmpfs\")";
const SETHOSTNAME: &str = "sethostname(\"lab\")";
const SYS_ADMIN_AFTER: &str = "CAP_SYS_ADMIN after execve()";
const THIS_PROGRAM: &str = "/proc/self/exe";

const ROOT_WITHOUT: Claim = Claim::holds(
    "without-sys-admin",
    "Root without CAP_SYS_ADMIN gets EPERM from mount() and sethostname(), even in namespaces that it owns.",
)
.factor("a dropped CAP_SYS_ADMIN")
.more(&[129])
.arms("root", "no SYS_ADMIN")
.core(&[Row::inside("sethostname()", SETHOSTNAME)])
.asks(
    "Root owns its UTS namespace, and has dropped CAP_SYS_ADMIN. It calls sethostname(). What happens?",
    &[
        right("EPERM"),
        wrong("it succeeds: it is user 0", "root seems to be a user ID, and not a set of capabilities"),
        wrong("it succeeds: the namespace is its own", "owning a namespace seems to be enough"),
        wrong("it succeeds: execve() gave it back", "execve() does give it back, but here there is none"),
    ],
);

const BOUNDING: Claim = Claim::holds(
    "bounding-set",
    "execve() gives root back a capability that it dropped, unless that was dropped from the bounding set too.",
)
.factor("PR_CAPBSET_DROP")
.more(&[129])
.requires(CAN_GAIN);

const AMBIENT: Claim =
    Claim::holds("ambient", "With no_new_privs, execve() still keeps the ambient capabilities.")
        .factor("an ambient set")
        .more(&[127, 129]);

pub(crate) const DROP: Step = Step {
    title: "As root of Z, drop CAP_SYS_ADMIN, mount a tmpfs, and set the hostname. Then execute a program, and read its capabilities.",
    calls: &[
        "capset(all but CAP_SYS_ADMIN)",
        MOUNT,
        SETHOSTNAME,
        "prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN)",
        "prctl(PR_SET_SECUREBITS, SECBIT_NOROOT)",
        "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW)",
        "execve()",
    ],
    by_hand: &[hand("unshare -Ur --uts --mount sh -c 'hostname lab; hostname; setpriv --bounding-set=-sys_admin hostname other; setpriv --bounding-set=-sys_admin mount -t tmpfs none /mnt'").prints("lab\nhostname: you must be root to change the host name\nmount: /mnt: permission denied.\n…"), hand("unshare -Ur setpriv --bounding-set=-sys_admin grep CapEff /proc/self/status").prints("CapEff: …ffdfffff"), hand("unshare -Ur setpriv --securebits=+noroot --no-new-privs --inh-caps=+net_raw --ambient-caps=+net_raw grep CapEff /proc/self/status").prints("CapEff: 0000000000002000")],
    claims: &[ROOT_WITHOUT, BOUNDING, AMBIENT],
    run: |lab| {
        lab.compare(ROOT_WITHOUT, false, true, mount_and_name)?
            .shows(inside(MOUNT).from("OK").to("EPERM") & inside(SETHOSTNAME).from("OK").to("EPERM"))?;
        lab.compare(BOUNDING, false, true, drop_and_execute)?.shows(inside(SYS_ADMIN_AFTER).is("no"))?;
        lab.compare(AMBIENT, false, true, keep_and_execute)?.shows(inside(NET_RAW).is("yes"))
    },
};

fn mount_and_name(drops: bool) -> Result<Vec<Fact>> {
    in_z(Namespaces::MNT | Namespaces::UTS, move |me| {
        if drops {
            process::drop_capability(Capability::CAP_SYS_ADMIN)?;
        }
        me.report(MOUNT, Outcome::of(mount::mount("tmpfs", Path::new("/mnt")))?)?;
        me.report(SETHOSTNAME, Outcome::of(uts::set_hostname("lab"))?)
    })
}

fn drop_and_execute(leaves: bool) -> Result<Vec<Fact>> {
    in_z(Namespaces::NONE, move |me| {
        let found = program::privileges(Path::new(THIS_PROGRAM), || {
            if leaves {
                capabilities::leave_bounding_set(Capability::CAP_SYS_ADMIN)?;
            }
            process::drop_capability(Capability::CAP_SYS_ADMIN)
        })?;
        me.report(SYS_ADMIN_AFTER, found.sys_admin())
    })
}

fn keep_and_execute(keeps: bool) -> Result<Vec<Fact>> {
    in_z(Namespaces::NONE, move |me| {
        let found = program::privileges(Path::new(THIS_PROGRAM), || {
            if keeps {
                capabilities::make_ambient(Capability::CAP_NET_RAW)?;
            }
            // All capabilities are still permitted. With SECBIT_NOROOT, execve() keeps only the ambient ones.
            capabilities::forget_root()?;
            no_new_privs(true)
        })?;
        me.report(NET_RAW, found.net_raw())
    })
}
