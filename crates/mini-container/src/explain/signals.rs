//! Who minds the house: an init.

use anyhow::Result;
use lesson::{Claim, Lab, Step, cause};
use ns_core::Signal::{SIGTERM, SIGWINCH};
use ns_core::{Child, Fact, Namespaces, Spawn, Witness, signals};

use crate::run::init;

pub(crate) const FORWARDED: Claim = Claim::holds(
    "forwarded",
    "SIGTERM stops a command that has an init, which forwards it; as PID 1 itself the command is immune.",
)
.cause("an init that forwards")
.notes(&[87, 88]);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Send SIGTERM to PID 1 of a container, as docker stop does, and then SIGWINCH, which the command handles.",
        calls: &["kill(pid, SIGTERM)", "sigwait()", "kill(command, SIGTERM)", "waitpid(-1)"],
        by_hand: &["mini-container run rootfs sleep 60 & sleep 1; kill $!; wait $!; echo $?"],
    })?;
    lab.claim(FORWARDED)
        .without(stop(false)?)
        .with(stop(cause(true, false))?)
        .shows(|heard| *heard == "ended with status 143")?;
    Ok(())
}

fn stop(with_init: bool) -> Result<Fact> {
    // Under sabotage too it is PID 1: without an init it has to be seen to drop the signal.
    let mut first =
        Spawn::new("PID 1").namespaces_always(Namespaces::PID | Namespaces::MNT).run(move |me| {
            ns_core::mount::make_private()?;
            ns_core::mount::mount("proc", "/proc".as_ref())?;
            if !with_init {
                return command(me);
            }
            signals::block_all()?;
            let mut child = Child::spawn("command", Namespaces::NONE, command)?;
            me.tell(child.hear()?)?;
            let status = init::reap_and_forward(child.pid())?;
            me.saw("the command", format!("ended with status {status}"))
        })?;
    first.hear()?;
    first.signal(SIGTERM)?;
    // Of two that wait, the kernel delivers the lower number first: SIGTERM is 15, and this one 28.
    let _ = first.try_signal(SIGWINCH)?; // it may have ended
    Ok(first.hear()?)
}

/// In both arms: handles SIGWINCH and nothing else.
fn command(me: &mut Witness) -> ns_core::Result<()> {
    let mut caught = signals::catch(&[SIGWINCH])?;
    signals::start_afresh()?;
    me.saw("ready", "yes")?;
    let signal = caught.wait()?.signal;
    me.saw("the command", format!("lives on, and handled {signal}"))
}
