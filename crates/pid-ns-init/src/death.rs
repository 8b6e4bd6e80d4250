//! PR_SET_PDEATHSIG in init: the signal that the kernel sends it when its parent ends.

use std::io::Read;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::Result;
use lesson::{Claim, Step, inside};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::wait::{WaitStatus, waitpid};
use ns_core::Signal::{SIGKILL, SIGTERM, SIGUSR1};
use ns_core::{Child, Fact, Named, Namespaces, Signal, Spawn, signals};

use crate::end::{inside_a_namespace, pid_at_level, report_pids};
use crate::sender::send;

const PARENT_DEATH: Claim = Claim::holds(
    "parent-death",
    "When init's parent ends, PR_SET_PDEATHSIG kills init with SIGKILL; SIGTERM without a handler is dropped.",
)
.factor("SIGKILL instead of SIGTERM")
.notes(&[87, 90]);

pub(crate) const END_ITS_PARENT: Step = Step {
    title: "Request a signal by PR_SET_PDEATHSIG in init, and end init's parent. Then send init SIGUSR1, which it handles.",
    calls: &["prctl(PR_SET_PDEATHSIG, signal)", "exit()", "kill(init, SIGUSR1)", "waitpid(init)"],
    by_hand: &[],
    claims: &[PARENT_DEATH],
    run: |lab| {
        lab.compare(PARENT_DEATH, SIGTERM, SIGKILL, end_the_parent_of_an_init)?
            .shows(inside("what comes first").from("handles SIGUSR1").to("killed by SIGKILL"))
    },
};

/// The effect on init of `signal`, sent when its parent ends, and of SIGUSR1 after that.
fn end_the_parent_of_an_init(signal: Signal) -> Result<Vec<Fact>> {
    inside_a_namespace(move |me| {
        let (mut here, mut there) = UnixStream::pair().named(|| "socketpair(AF_UNIX)".into())?;
        let patience = Some(Duration::from_secs(10));
        here.set_read_timeout(patience).named(|| "setsockopt(SO_RCVTIMEO)".into())?;
        let mut parent = Child::spawn("parent", Namespaces::NONE, move |me| {
            let mut init =
                Spawn::new("init").namespaces(Namespaces::PID).outlives_parent().run(move |me| {
                    let mut caught = signals::catch(&[SIGUSR1])?;
                    set_pdeathsig(signal).named(|| format!("prctl(PR_SET_PDEATHSIG, {signal})"))?;
                    report_pids(me)?;
                    let first = caught.wait()?.signal;
                    there.write_all(format!("handles {first}").as_bytes()).named(|| "write(socket)".into())
                })?;
            me.send(init.fact()?)?;
            init.abandon();
            Ok(())
        })?;
        let init = pid_at_level(&parent.fact()?, 1)?;
        // When waitpid(2) returns the parent, the kernel has sent the signal.
        parent.facts()?;
        // If init has ended already, it is a zombie of this process, and kill(2) still succeeds.
        send(init, SIGUSR1)?;
        let mut text = String::new();
        here.read_to_string(&mut text).named(|| "read(socket)".into())?;
        let status = waitpid(init, None).named(|| "waitpid(init)".into())?;
        let came_first = match status {
            WaitStatus::Signaled(_, signal, _) => format!("killed by {signal}"),
            _ => text,
        };
        me.report("what comes first", came_first)
    })
}
