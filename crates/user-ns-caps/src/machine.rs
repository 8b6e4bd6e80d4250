//! What exists once on a machine: the clock, the kernel's modules, swap, devices. For these, the kernel checks
//! capabilities in the initial user namespace.
//!
//! Each call changes nothing, even if it is allowed.

use std::path::Path;

use anyhow::Result;
use lesson::user::in_z;
use lesson::{Claim, Effect, Requirement, Row, Step, every, first, hand, right, wrong};
use ns_core::probe::Unmet;
use ns_core::{
    Capability, Child, Errno, Fact, Named, Namespaces, Outcome, Reporter, Spawn, mount, namespace, uts,
};

use crate::unowned;
use crate::user::stay_root;

const UNOWNED: Claim = Claim::holds(
    "unowned",
    "settimeofday(), delete_module(), swapoff() and mknod() of device 1:3 fail with EPERM for root inside.",
)
.factor("what the machine has once")
.notes(&[126])
.arms("hostname", "the clock")
.core(&[Row::first("root inside sets it")])
.asks(
    "Root in a user namespace has all capabilities. It sets the time. What happens?",
    &[
        right("EPERM: the initial user namespace owns the clock"),
        wrong("the time changes in its namespace", "a time namespace seems to have its own wall clock"),
        wrong("the time of the machine changes", "CapEff shows CAP_SYS_TIME"),
    ],
);

const SET_NO_TIME: &str = "settimeofday(NULL, NULL)";

pub(crate) const CHANGE_THE_MACHINE: Step = Step {
    title: "As root of A, change what the namespaces of A hold. Then try to change what the machine has once.",
    calls: &[
        "settimeofday(NULL, NULL)",
        "delete_module(\"no_such_module\")",
        "swapoff(\"no such file\")",
        "mknod(\"/tmp/device\", S_IFCHR, 1:3)",
    ],
    by_hand: &[
        hand("unshare -Ur date --set=now").prints("EPERM\n…"),
        hand("unshare -Ur /sbin/swapoff /no").prints("swapoff: Not superuser."),
        hand("unshare -Ur mknod /tmp/null c 1 3").prints("EPERM"),
    ],
    claims: &[UNOWNED],
    run: |lab| lab.compare(UNOWNED, false, true, in_a)?.shows(all_refused()),
};

const WHITEOUT: Claim = Claim::holds(
    "whiteout",
    "mknod() by root inside creates the character device 0:0, a whiteout; for 1:3, it fails with EPERM.",
)
.factor("0:0 as the device")
.notes(&[126]);
const NO_DEVICE: Claim =
    Claim::refuted("no-device", "Only the initial user namespace can create a device.", "whiteout")
        .factor("0:0 as the device")
        .notes(&[126]);

pub(crate) const CREATE_DEVICES: Step = Step {
    title: "As root of Z, create two device nodes in a tmpfs: 1:3, which is /dev/null, and 0:0.",
    calls: &["mknod(\"/tmp/device\", S_IFCHR, 1:3)", "mknod(\"/tmp/device\", S_IFCHR, 0:0)"],
    by_hand: &[hand("unshare -Urm sh -c 'mount -t tmpfs none /mnt; cd /mnt; mknod null c 1 3; mknod whiteout c 0 0; stat -c \"%n: %F\" *'").prints("EPERM\nwhiteout: character special file"), ],
    claims: &[WHITEOUT, NO_DEVICE],
    run: |lab| {
        let made = lab.arms((1, 3), (0, 0), make_device)?;
        lab.judge(WHITEOUT, made.clone()).shows(first().from("EPERM").to("OK"))?;
        lab.judge(NO_DEVICE, made).shows(first().is("EPERM"))
    },
};

const REAL_ROOT: Claim = Claim::holds(
    "real-root",
    "After unshare(CLONE_NEWUSER), root of the host gets EPERM from settimeofday(), delete_module(), swapoff() and mknod().",
)
.factor("CLONE_NEWUSER")
.notes(&[123, 126])
.requires(&[
    Requirement::Capability(Capability::CAP_SYS_ADMIN),
    Requirement::Capability(Capability::CAP_SYS_TIME),
    Requirement::Capability(Capability::CAP_SYS_MODULE),
    Requirement::Capability(Capability::CAP_MKNOD),
    Requirement::Probe(the_initial_namespace),
]);

pub(crate) const CHANGE_IT_AS_ROOT: Step = Step {
    title: "As root of the host, make the same calls before and after unshare(CLONE_NEWUSER).",
    calls: &["unshare(CLONE_NEWUSER)", "settimeofday(NULL, NULL)", "…"],
    by_hand: &[hand("/sbin/swapoff /no; unshare -Ur /sbin/swapoff /no")
        .as_root()
        .prints("ENOENT\nswapoff: Not superuser.")],
    claims: &[REAL_ROOT],
    run: |lab| lab.compare(REAL_ROOT, Namespaces::NONE, Namespaces::USER, as_root)?.shows(all_refused()),
};

/// ENOENT means that the call is allowed: the module or file does not exist.
fn all_refused() -> Effect {
    every().from("OK").or("ENOENT").to("EPERM")
}

/// As root of A, which owns a UTS, a mount and a network namespace.
fn in_a(of_the_machine: bool) -> Result<Vec<Fact>> {
    let held = Namespaces::UTS | Namespaces::MNT | Namespaces::NET;
    in_z(held, move |me| {
        namespace::unshare(held | Namespaces::USER)?;
        stay_root(Namespaces::USER)?;
        if of_the_machine {
            return ask_for_the_machine(me);
        }
        me.report("sethostname(\"mine\")", Outcome::of(uts::set_hostname("mine"))?)?;
        me.report("mount(tmpfs)", Outcome::of(mount::mount("tmpfs", Path::new("/tmp")))?)?;
        me.report("socket(SOCK_RAW)", Outcome::of(unowned::open_raw_socket())?)
    })
}

fn ask_for_the_machine(me: &mut Reporter) -> ns_core::Result<()> {
    // In a new tmpfs, so that the result depends on the device alone.
    mount::mount("tmpfs", Path::new("/tmp"))?;
    let answers = [
        (SET_NO_TIME, unowned::set_no_time()),
        ("delete_module(\"no_such_module\")", unowned::remove_no_module()),
        ("swapoff(\"no such file\")", unowned::swap_off_nothing()),
        ("mknod(S_IFCHR, 1:3)", unowned::make_device(Path::new("/tmp/device"), 1, 3)),
    ];
    for (call, answer) in answers {
        let answer = Outcome::of(answer)?;
        // A kernel without modules or swap returns ENOSYS to all callers. Every kernel has a clock.
        if answer != Outcome::Failed(Errno::ENOSYS) || call == SET_NO_TIME {
            me.report(call, answer)?;
        }
    }
    Ok(())
}

fn make_device((major, minor): (u64, u64)) -> Result<Vec<Fact>> {
    in_z(Namespaces::MNT, move |me| {
        mount::mount("tmpfs", Path::new("/tmp"))?;
        let path = Path::new("/tmp/device");
        me.report(
            format!("mknod(S_IFCHR, {major}:{minor})"),
            Outcome::of(unowned::make_device(path, major, minor))?,
        )?;
        let found = std::fs::symlink_metadata(path).named(|| "lstat()".into());
        me.report("node exists", found.is_ok())
    })
}

/// As the root that runs the experiment, in a new mount namespace.
fn as_root(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut root = Spawn::new("root").namespaces(Namespaces::MNT).run(move |me| {
        mount::make_private()?;
        let mut child = Child::spawn("root", Namespaces::NONE, move |me| {
            if namespaces.contains(Namespaces::USER) {
                // A mount inside requires a mount namespace that the user namespace owns.
                namespace::unshare(namespaces | Namespaces::MNT)?;
                stay_root(namespaces)?;
            }
            ask_for_the_machine(me)
        })?;
        child.pass_on(me)
    })?;
    Ok(root.facts()?)
}

/// Whether this root is in the initial user namespace. Elsewhere, settimeofday() fails.
fn the_initial_namespace() -> ns_core::Result<Option<Unmet>> {
    Ok(match Outcome::of(unowned::set_no_time())? {
        Outcome::Done => None,
        refused => Some(Unmet::new(
            format!("root of the host: settimeofday(NULL, NULL) fails with {refused}"),
            "run as root, outside of containers and user namespaces",
        )),
    })
}
