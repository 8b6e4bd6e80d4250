//! PID 1 of a container: an init, or the command itself.

use anyhow::Result;
use lesson::{Claim, Requirement, Step, hand, inside};
use ns_core::Signal::{SIGTERM, SIGWINCH};
use ns_core::probe::{self, Unmet};
use ns_core::{Child, Fact, Namespaces, Outcome, Refused, Reporter, Spawn, mount, signals};

use crate::run::init;

const FORWARDED: Claim = Claim::holds(
    "forwarded",
    "Init forwards SIGTERM, which ends the command; a command that is PID 1 itself, without a handler, drops it.",
)
.factor("an init that forwards")
.notes(&[87, 88])
.requires(&[Requirement::Probe(kill)]);

pub(crate) const STOP: Step = Step {
    title: "Send SIGTERM to PID 1 of a container, as docker stop does, then SIGWINCH, which the command handles.",
    calls: &["kill(pid, SIGTERM)", "sigwait()", "kill(command, SIGTERM)", "waitpid(-1)"],
    by_hand: &[
        hand("mkdir -p rootfs/bin; cp $(command -v busybox) rootfs/bin/; ln -s busybox rootfs/bin/sleep")
            .prints(""),
        hand("mini-container run rootfs sleep 60 & sleep 1; kill $!; wait $!; echo $?").prints("143"),
    ],
    claims: &[FORWARDED],
    run: |lab| {
        lab.compare(FORWARDED, false, true, stop)?.shows(inside("the command").is("ended with status 143"))
    },
};

/// Unmet if kill(2) fails, so that an init cannot forward a signal.
fn kill() -> ns_core::Result<Option<Unmet>> {
    Ok(match signals::send(nix::unistd::getpid(), None)? {
        Outcome::Failed(errno) => {
            Some(probe::why_refused(Refused { call: "kill()".into(), errno }, Namespaces::NONE))
        }
        _ => None,
    })
}

fn stop(has_init: bool) -> Result<Fact> {
    let mut first = Spawn::new("PID 1").namespaces(Namespaces::PID | Namespaces::MNT).run(move |me| {
        mount::make_private()?;
        mount::mount("proc", "/proc".as_ref())?;
        if !has_init {
            return command(me);
        }
        signals::block_all()?;
        let mut child = Child::spawn("command", Namespaces::NONE, command)?;
        me.send(child.fact()?)?;
        let status = init::reap_and_forward(child.pid())?;
        me.report("the command", format!("ended with status {status}"))
    })?;
    first.fact()?; // the command's handler is installed
    first.signal(SIGTERM)?;
    // Of two pending signals, the kernel delivers the lower number first: SIGTERM is 15, SIGWINCH 28.
    let _ = first.try_signal(SIGWINCH)?; // it may have ended
    Ok(first.fact()?)
}

/// The command in both arms. It handles only SIGWINCH.
fn command(me: &mut Reporter) -> ns_core::Result<()> {
    let mut caught = signals::catch(&[SIGWINCH])?;
    signals::start_afresh()?;
    me.report("ready", "yes")?;
    let signal = caught.wait()?.signal;
    me.report("the command", format!("lives on, and handled {signal}"))
}
