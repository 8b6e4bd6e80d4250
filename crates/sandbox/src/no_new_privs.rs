//! no_new_privs: what execve(2) then no longer gives.

use std::path::Path;

use anyhow::Result;
use lesson::user::{by_a_user, in_z};
use lesson::{Claim, Need, Row, Step, hand, inside, right, wrong};
use ns_core::mount::Restriction;
use ns_core::{Fact, Named, Namespaces, Outcome, process};

use crate::program::{self, NET_RAW, PROGRAM};
use crate::user::{CAN_GAIN, no_new_privs};
use crate::{inherited, set_user_id};

const SECOND: &str = "second prctl()";
const AFTERWARDS: &str = "NoNewPrivs afterwards";

const FILE_CAPABILITIES: Claim = Claim::holds(
    "file-capabilities",
    "With no_new_privs, execve() succeeds, and ignores the file capabilities of the program.",
)
.factor("PR_SET_NO_NEW_PRIVS")
.more(&[127])
.requires(CAN_GAIN)
.arms("as it is", "no_new_privs")
.core(&[Row::inside("CAP_NET_RAW by exec", NET_RAW)])
.asks(
    "A process with no_new_privs executes a program whose file gives CAP_NET_RAW. What happens?",
    &[
        right("the program runs, without CAP_NET_RAW"),
        wrong("execve() fails with EPERM", "a privilege that cannot be given seems to be an error"),
        wrong("the program runs, with CAP_NET_RAW", "the file seems to decide, as with ping on some systems"),
    ],
);

pub(crate) const EXECUTE: Step = Step {
    title: "From a process without privilege, execute a program whose file gives CAP_NET_RAW, then a set-user-ID program.",
    calls: &[
        "setxattr(\"/mnt/program\", \"security.capability\", …)",
        "chmod(\"/mnt/program\", 04755)",
        "prctl(PR_SET_NO_NEW_PRIVS, 1)",
        "execve(\"/mnt/program\")",
    ],
    by_hand: &[hand("unshare -Urm sh -c 'mount -t tmpfs none /mnt; cp /usr/bin/grep /mnt; /usr/sbin/setcap cap_net_raw=ep /mnt/grep; for nnp in \"\" --no-new-privs; do setpriv --securebits=+noroot setpriv $nnp /mnt/grep CapEff /proc/self/status; done'").prints("CapEff: 0000000000002000\nCapEff: 0000000000000000"), ],
    claims: &[FILE_CAPABILITIES, set_user_id::IGNORED],
    run: |lab| {
        lab.compare(FILE_CAPABILITIES, false, true, |sets| execute(&[], sets))?
            .shows(inside(NET_RAW).is("no"))?;
        lab.compare(set_user_id::IGNORED, false, true, set_user_id::execute)?
            .shows(inside(set_user_id::ROOT_AFTER).is("no"))
    },
};

const INHERITED: Claim =
    Claim::holds("no-new-privs-inherited", "Children inherit no_new_privs, and execve() keeps it.")
        .factor("PR_SET_NO_NEW_PRIVS")
        .more(&[127])
        .requires(CAN_GAIN);

const FOR_GOOD: Claim = Claim::holds(
    "no-new-privs-for-good",
    "After no_new_privs is set, prctl(PR_SET_NO_NEW_PRIVS, 0) fails with EINVAL, and the attribute stays.",
)
.factor("0 as its argument")
.more(&[127]);

pub(crate) const PASS_ON: Step = Step {
    title: "Set no_new_privs. Read it in a child, then after execve(). Try to clear it.",
    calls: &["prctl(PR_SET_NO_NEW_PRIVS, 1)", "clone3()", "execve()", "prctl(PR_SET_NO_NEW_PRIVS, 0)"],
    by_hand: &[hand("grep NoNewPrivs /proc/self/status; setpriv --no-new-privs sh -c 'grep NoNewPrivs /proc/self/status'").prints("NoNewPrivs: 0\nNoNewPrivs: 1"), 
        // prctl(2) by its number on x86-64.
        hand("perl -e 'print syscall(157, 38, 1, 0, 0, 0), \"\\n\"; print syscall(157, 38, 0, 0, 0, 0), \" $!\\n\"'").prints("0\n-1 EINVAL").needs(&[Need::X86]), ],
    claims: &[INHERITED, FOR_GOOD],
    run: |lab| {
        let [child, after] = inherited::WHERE.map(|at| format!("NoNewPrivs {at}"));
        let passed = lab.arms(false, true, pass_on)?.only(&[&child, &after]);
        lab.judge(INHERITED, passed).shows(inside(child).is(1) & inside(after).is(1))?;
        lab.compare(FOR_GOOD, true, false, set_and_set_to)?
            .in_both_arms(inside(AFTERWARDS).is(1))
            .shows(inside(SECOND).from("OK").to("EINVAL"))
    },
};

/// Executes the program on a mount with these restrictions.
pub(crate) fn execute(restrictions: &'static [Restriction], sets: bool) -> Result<Vec<Fact>> {
    in_z(Namespaces::MNT, move |me| {
        program::put(restrictions)?;
        let found = program::privileges(Path::new(PROGRAM), || {
            program::give_up_all()?;
            no_new_privs(sets)
        })?;
        me.report(NET_RAW, found.net_raw())
    })
}

fn pass_on(sets: bool) -> Result<Vec<Fact>> {
    by_a_user(move |me| {
        no_new_privs(sets)?;
        inherited::report_in_both(me)
    })
}

fn set_and_set_to(value: bool) -> Result<Vec<Fact>> {
    by_a_user(move |me| {
        no_new_privs(true)?;
        let call = || format!("prctl(PR_SET_NO_NEW_PRIVS, {})", u8::from(value));
        me.report(SECOND, Outcome::of(rustix::thread::set_no_new_privs(value).named(call))?)?;
        me.report(AFTERWARDS, process::status(None)?.nonewprivs.unwrap_or(0) as i64)
    })
}
