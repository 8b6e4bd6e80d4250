//! What is promised of the machine afterwards: nothing is left behind, whenever the experiment ends.
//!
//! Others may work on the same machine. So what is a run's is known by its marks, or by its holding the run's standard
//! error open. What bears no mark (mounts, devices, the hostname) is compared, and given time to be as it was.

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ChildStderr, Output, Stdio};
use std::thread::spawn;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use residue::{Machine, Run, settled};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::ensure::{PATIENCE, ensure};
use crate::experiment::{Experiment, Transcript, WHOLE};

/// At so many moments of a run it is killed.
const MOMENTS: u32 = 6;

pub(crate) fn nothing_is_left_after_a_run(experiment: &Experiment) -> Result<(), Failed> {
    let machine = what_stays(experiment)?;
    // Inherited by the experiment, some of whose children are killed by signals that dump core.
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE)?;
    setrlimit(Resource::RLIMIT_CORE, hard, hard)?;
    let run = |arguments: &[&str]| {
        let left = |left| format!("{arguments:?}: {left}");
        leaves_nothing(experiment, arguments, None, PATIENCE).map_err(left)
    };
    let began = Instant::now();
    let plain = run(WHOLE)?;
    let took = began.elapsed();
    let sabotaged = run(&[WHOLE, &["--sabotage"]].concat())?;
    run(&["--no-such-option"])?;
    experiment.share(Transcript::read(&plain)?, Transcript::read(&sabotaged)?, took);
    is_as_before(&machine, PATIENCE)
}

pub(crate) fn nothing_is_left_after_a_kill(experiment: &Experiment) -> Result<(), Failed> {
    let machine = what_stays(experiment)?;
    let whole = experiment.takes()?;
    for moment in 1..=MOMENTS {
        leaves_nothing(experiment, WHOLE, Some(whole * moment / MOMENTS), PATIENCE)
            .map_err(|left| format!("killed at moment {moment} of {MOMENTS}: {left}"))?;
    }
    is_as_before(&machine, PATIENCE)
}

/// Runs it, and kills it after `kill_after`, if it still runs then. Once `patience` is over, nothing of this run is there
/// any more. Gives what it said.
fn leaves_nothing(
    experiment: &Experiment,
    arguments: &[&str],
    kill_after: Option<Duration>,
    patience: Duration,
) -> Result<Output, String> {
    let run = Run::new().map_err(|error| format!("{error:#}"))?;
    let mut command = experiment.command(arguments);
    // A core file would lie there, if nothing else is configured.
    run.mark(&mut command).current_dir(run.directory());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|error| format!("cannot be started: {error}"))?;
    let mut stderr = child.stderr.take().ok_or("it has no standard error")?;
    let mut pipe = child.stdout.take().ok_or("it has no standard output")?;
    let stdout = spawn(move || {
        let mut said = Vec::new();
        pipe.read_to_end(&mut said).map(|_| said)
    });
    let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())
        .map_err(|error| format!("pidfd_open(): {error}"))?;
    let ended = is_ready(&pidfd, Instant::now() + kill_after.unwrap_or(patience))?;
    if !ended {
        child.kill().map_err(|error| format!("kill(): {error}"))?;
    }
    let status = child.wait().map_err(|error| format!("wait(): {error}"))?;
    if kill_after.is_none() && !ended {
        return Err(format!("it had not ended after {patience:?}"));
    }
    if status.code().is_none() && status.signal() != Some(9) {
        return Err(format!("{status}"));
    }
    let (left, took) = settled(patience, || run.left(child.id()));
    if !left.is_empty() {
        return Err(format!("left are {left:?}"));
    }
    let stderr = until_its_end(&mut stderr, Instant::now() + patience.saturating_sub(took))?;
    // Whoever held it is gone.
    let stdout = stdout.join().map_err(|_| "its standard output cannot be read")?;
    Ok(Output { status, stdout: stdout.map_err(|error| format!("its standard output: {error}"))?, stderr })
}

/// Waits until a descriptor is ready to be read. False, if it is not at `deadline`.
fn is_ready(fd: &impl AsFd, deadline: Instant) -> Result<bool, String> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Rounded up: a poll of 0 ms would spin through the last of them.
        let timeout = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) if Instant::now() < deadline => {}
            Err(nix::errno::Errno::EINTR) => {}
            Ok(ready) => return Ok(ready > 0),
            Err(error) => return Err(format!("poll(): {error}")),
        }
    }
}

/// What is said in a pipe. It ends when the last process that holds it is gone, be its environment as it may.
fn until_its_end(pipe: &mut ChildStderr, deadline: Instant) -> Result<Vec<u8>, String> {
    let (mut said, mut buffer) = (Vec::new(), [0; 4096]);
    while is_ready(pipe, deadline)? {
        match pipe.read(&mut buffer) {
            Ok(0) => return Ok(said),
            Ok(count) => said.extend_from_slice(&buffer[..count]),
            Err(error) => return Err(format!("its standard error: {error}")),
        }
    }
    Err("a process that it started still holds its standard error open".into())
}

/// What is on this machine before and after a run.
fn what_stays(experiment: &Experiment) -> Result<Machine, Failed> {
    let before = Machine::look_at_ours();
    experiment.run(&["--list-claims"])?;
    Ok(before.that_stays(&Machine::look_at_ours()))
}

/// # Errors
/// What differs from what was, and does so until `patience` is over.
fn is_as_before(before: &Machine, patience: Duration) -> Result<(), Failed> {
    let (changed, _) = settled(patience, || Machine::look_at_ours().differences(before));
    ensure(changed.is_empty(), || format!("the machine has changed: {changed:?}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What is found to be left of a shell script.
    fn left_of(script: &str) -> Result<(), String> {
        let bash = Experiment::new(Path::new("/bin/bash"));
        leaves_nothing(&bash, &["-c", script], None, Duration::from_secs(2)).map(drop)
    }

    #[test]
    fn a_tidy_program_leaves_nothing() {
        assert_eq!(left_of("touch $TMPDIR/file; rm $TMPDIR/file"), Ok(()));
    }

    #[test]
    fn a_process_is_found_by_its_environment() {
        let left = left_of("sleep 20 2>&- & disown");
        assert!(left.is_err_and(|left| left.contains(" sleep")));
    }

    #[test]
    fn a_process_without_an_environment_is_found_by_what_it_holds() {
        let left = left_of("env -i sleep 20 & disown");
        assert!(left.is_err_and(|left| left.contains("holds its standard error")));
    }

    #[test]
    fn a_file_is_found() {
        let left = left_of("touch $TMPDIR/file");
        assert!(left.is_err_and(|left| left.contains("/file")));
    }

    #[test]
    fn what_is_too_slow_is_ended() {
        let left = left_of("exec sleep 20");
        assert!(left.is_err_and(|left| left.starts_with("it had not ended")));
    }

    #[test]
    fn a_machine_that_changed_is_told() {
        let wrong = is_as_before(&Machine::default(), Duration::ZERO).unwrap_err();
        let said = wrong.message().map(String::from).unwrap_or_default();
        for line in ["new: setting /proc/sys/kernel/hostname: ", "new: mount "] {
            assert!(said.contains(line), "{line}: {said}");
        }
    }
}
