//! What is promised of an experiment's shell: what its card says, job control, exit statuses, and that nothing is left.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use libtest_mimic::{Completion, Failed};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use residue::{Run, settled};
use serde_json::Value;

use crate::ensure::{PATIENCE, ensure};
use crate::experiment::Experiment;
use crate::terminal::Terminal;

/// A job that prints what happens to it. Its output differs from its input, which the terminal echoes.
const JOB: &str = "sh -c 'trap \"echo continued $((6*7))\" CONT; trap \"echo interrupted $((6*7)); exit 3\" INT; \
                   echo started $((6*7)); while :; do sleep 1000 & wait $!; kill $!; done'\n";

/// What describes where a process is, a line each. It is called with the namespaces of the caller.
const PROBE: &str = r#"
for id in "$@"; do
    kind=${id%%:*}
    [ "$(readlink /proc/self/ns/$kind)" = "$id" ] && echo "$kind yours" || echo "$kind new"
done
hostname
id -u
grep -E '^(CapBnd|NoNewPrivs|Seccomp):' /proc/self/status
for file in uid_map gid_map setgroups timens_offsets; do echo "$file:" $(cat /proc/self/$file); done
cut -d ' ' -f 4- /proc/self/mountinfo | sed 's/\(shared\|master\|propagate_from\):[0-9]*/\1/g'
ip -o link | cut -d ' ' -f 2,3
cut -d : -f 2,3 /proc/self/cgroup | sed 's/inception-[0-9-]*-[a-z]*/LEAF/; s/by-hand/LEAF/'
for path in $(cut -d : -f 3 /proc/self/cgroup); do
    for file in pids.max memory.max memory.limit_in_bytes cpu.max cpu.cfs_quota_us; do
        for top in /sys/fs/cgroup /sys/fs/cgroup/*; do
            [ -f $top$path/$file ] && echo "$file $(cat $top$path/$file)"
        done
    done
done | sort -u
ls /; pwd
"#;

/// What its card says to try; or why its shell cannot be opened here without an argument.
fn tries(experiment: &Experiment) -> Result<Result<Vec<Value>, String>, Failed> {
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).trim().to_string();
    let listed = experiment.run(&["shell", "--list-tries"])?;
    let opened = experiment.run(&["shell", "--", "true"])?;
    // One that is another command of its program has no card, and tests of its own.
    if said(&listed).contains("'--list-tries'") {
        return Ok(Err("its shell is another command, without a card".into()));
    }
    let wants = |output: &Output| !output.status.success() && said(output).contains('<');
    if wants(&listed) || wants(&opened) || matches!(opened.status.code(), Some(77)) {
        return Ok(Err(said(&opened)));
    }
    ensure(opened.status.success(), || format!("shell -- true: {opened:?}"))?;
    let lines = String::from_utf8(listed.stdout)?;
    Ok(Ok(lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?))
}

/// Keeps a promise, or says why it cannot be asked for.
fn kept(
    experiment: &Experiment,
    promise: impl FnOnce(&Experiment, &[Value]) -> Result<(), Failed>,
) -> Result<Completion, Failed> {
    match tries(experiment)? {
        Ok(tries) => promise(experiment, &tries).map(|()| Completion::Completed),
        Err(why) => Ok(Completion::ignored_with(why)),
    }
}

/// Opens it at a terminal, with this program as the shell, and waits for its prompt.
fn open(experiment: &Experiment, shell: &str, columns: u16) -> Terminal {
    let mut command = Command::new("setsid");
    command.arg("--ctty").arg(experiment.program()).arg("shell");
    command.env("SHELL", shell).env("LC_ALL", "C.UTF-8").env("TERM", "xterm").env_remove("ENV");
    command.arg("--width").arg(columns.to_string());
    let mut terminal = Terminal::of(&mut command);
    terminal.shows("] $ ");
    terminal
}

pub(crate) fn it_shows_what_its_card_says(experiment: &Experiment) -> Result<Completion, Failed> {
    kept(experiment, |experiment, tries| {
        ensure(tries.len() >= 3, || format!("only {} tries", tries.len()))?;
        let mut terminal = open(experiment, "/bin/sh", 80);
        for it in tries {
            let word = |name: &str| it[name].as_str().unwrap_or_default();
            let answer = terminal.answers(word("command"));
            ensure(answer.contains(word("shows")), || {
                format!("{}: {:?} is expected, and this is shown: {answer}", word("command"), word("shows"))
            })?;
        }
        terminal.types("exit\n");
        let (status, _, text) = terminal.ends_showing();
        ensure(status == Some(0), || format!("{status:?}"))?;
        let card: Vec<&str> = text.split("] $ ").next().unwrap_or_default().lines().collect();
        ensure(card.len() <= 13, || format!("a card of {} lines:\n{}", card.len() - 1, card.join("\n")))?;
        let too_long = card.iter().find(|line| line.chars().count() > 80);
        too_long.map_or(Ok(()), |line| Err(format!("longer than 80 columns: {line}").into()))
    })
}

pub(crate) fn it_has_job_control(experiment: &Experiment) -> Result<Completion, Failed> {
    kept(experiment, |experiment, _| {
        let mut command = Command::new("setsid");
        command
            .arg("--ctty")
            .arg(experiment.program())
            .arg("shell")
            .env("SHELL", "/bin/bash")
            .env("TERM", "dumb");
        let mut terminal = Terminal::of(&mut command);
        let settings = terminal.settings_before();
        terminal.shows("] $ ");
        terminal.types(JOB);
        terminal.shows("started 42\r\n");
        terminal.types("\u{1a}"); // ^Z
        terminal.shows("Stopped");
        terminal.types("fg\n");
        terminal.shows("continued 42\r\n");
        terminal.types("\u{3}"); // ^C
        terminal.shows("interrupted 42\r\n");
        terminal.types("echo status $?\n");
        terminal.shows("status 3\r\n");
        // While the shell edits no line: readline reads the size and sets what it has read (rltty.c), so that a change
        // between the two is lost.
        terminal.types("echo reading $((6*7)); read line; stty size\n");
        terminal.shows("reading 42\r\n");
        terminal.resize(31, 97);
        terminal.types("\n");
        terminal.shows("31 97\r\n");
        // A shell that stops itself goes on, since nobody could bring it back.
        terminal.types("kill -STOP $$; echo alive $((6*7))\n");
        terminal.shows("alive 42\r\n");
        terminal.types("exit 5\n");
        let (status, after, text) = terminal.ends_showing();
        ensure(status == Some(5), || format!("exit 5 gives {status:?}: {text}"))?;
        ensure(after == settings, || format!("the terminal was {settings}, and is {after}"))
    })
}

pub(crate) fn it_ends_as_its_command_ends(experiment: &Experiment) -> Result<Completion, Failed> {
    kept(experiment, |experiment, _| {
        let cases = [("exit 7", 7, ""), ("kill -TERM $$", 143, ""), ("cat; echo out", 0, "out\n")];
        for (script, status, out) in cases {
            let output = experiment.run(&["shell", "--", "sh", "-c", script])?;
            let printed = String::from_utf8_lossy(&output.stdout).into_owned();
            ensure(output.status.code() == Some(status) && printed == out, || {
                format!("{script}: {output:?}")
            })?;
        }
        let one_line = |arguments: &[&str], status: i32| -> Result<(), Failed> {
            let output = experiment.run(&[&["shell"], arguments].concat())?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let is_good =
                output.status.code() == Some(status) && said.lines().count() == 1 && output.stdout.is_empty();
            ensure(is_good, || format!("shell {arguments:?}: {:?}, {said:?}", output.status))
        };
        one_line(&["--", "no-such-program"], 127)?;
        one_line(&["--", "/"], 126)?;
        one_line(&[], 2)?; // no terminal
        one_line(&["--name", "1 2", "--", "true"], 2)?;
        one_line(&["--no-such-option"], 2)
    })
}

/// The example of its help that says how to do it by hand.
fn example(experiment: &Experiment) -> Result<Vec<String>, Failed> {
    let help = String::from_utf8(experiment.run(&["shell", "--help"])?.stdout)?;
    let line = help.lines().map(str::trim).find_map(|line| Some(line.split_once(" --by-hand")?.0));
    let words = line.ok_or("no example of --by-hand")?;
    Ok(words.split_whitespace().skip(1).map(ToString::to_string).collect())
}

pub(crate) fn it_is_the_same_by_hand(experiment: &Experiment) -> Result<Completion, Failed> {
    // The example may ask for more than a shell without options does: limits.
    if tries(experiment)?.is_ok() {
        let words = example(experiment)?;
        let words: Vec<&str> = words.iter().map(String::as_str).chain(["--", "true"]).collect();
        let opened = experiment.run(&words)?;
        if opened.status.code() == Some(77) {
            return Ok(Completion::ignored_with(String::from_utf8_lossy(&opened.stderr).trim().to_string()));
        }
    }
    kept(experiment, |experiment, _| {
        let words = example(experiment)?;
        let ids = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"].map(|kind| {
            let link = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap_or_default();
            link.to_string_lossy().into_owned()
        });
        let probe: Vec<&str> =
            ["--", "sh", "-c", PROBE, "probe"].into_iter().chain(ids.iter().map(String::as_str)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ours = experiment.run(&[words.as_slice(), probe.as_slice()].concat())?;
        let typed = experiment.run(&[words.as_slice(), &["--by-hand"], probe.as_slice()].concat())?;
        let script = String::from_utf8(typed.stdout)?;
        let mut by_hand = Command::new("sh");
        let by_hand = by_hand
            .args(["-c", &script])
            .stdin(Stdio::null())
            .current_dir(std::env::current_dir()?)
            .output()?;
        let (ours, theirs) = (lines(&ours), lines(&by_hand));
        let only = |these: &BTreeSet<String>, those: &BTreeSet<String>| {
            these.difference(those).cloned().collect::<Vec<_>>().join("\n    ")
        };
        ensure(ours == theirs && ours.len() > 8, || {
            format!(
                "by the shell alone:\n    {}\nby hand alone:\n    {}\nstandard error: {}\n{script}",
                only(&ours, &theirs),
                only(&theirs, &ours),
                String::from_utf8_lossy(&by_hand.stderr)
            )
        })
    })
}

fn lines(output: &Output) -> BTreeSet<String> {
    String::from_utf8_lossy(&output.stdout).lines().map(ToString::to_string).collect()
}

/// Kills the opener, the keeper, the attendant and the command, each in a run of its own: of a command in a pipe, and of a
/// shell at a terminal.
pub(crate) fn it_leaves_nothing(experiment: &Experiment) -> Result<Completion, Failed> {
    const JOBS: &str = "sleep 1000 & setsid sleep 1000 & (setsid sleep 1000 &) ; echo started $((6*7))";
    kept(experiment, |experiment, _| {
        for victim in 0..4 {
            let run = Run::new().map_err(|error| format!("{error:#}"))?;
            let mut command = experiment.command(&["shell", "--", "sh", "-c", &format!("{JOBS}; wait")]);
            run.mark(&mut command).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = command.spawn()?;
            let mut line = String::new();
            BufReader::new(child.stdout.take().ok_or("no pipe")?).read_line(&mut line)?;
            ensure(line == "started 42\n", || format!("it does not start: {line:?}"))?;
            ensure(child.try_wait()?.is_none(), || "it does not wait for its jobs".into())?;
            kill_one(child.id(), victim)?;
            let (runs, _) = settled(PATIENCE, || match child.try_wait() {
                Ok(Some(_)) => Vec::new(),
                other => vec![format!("{other:?}")],
            });
            ensure(runs.is_empty(), || {
                format!("process {victim} was killed, and it has not ended: {runs:?}")
            })?;
            nothing_is_left(&run, child.id())
                .map_err(|left| format!("process {victim} was killed: {left}"))?;

            let run = Run::new().map_err(|error| format!("{error:#}"))?;
            let mut command = Command::new("setsid");
            command.arg("--ctty").arg(experiment.program()).arg("shell").env("SHELL", "/bin/sh");
            let mut terminal = Terminal::of(run.mark(&mut command));
            terminal.shows("] $ ");
            terminal.types(&format!("{JOBS}\n"));
            terminal.shows("started 42\r\n");
            let pid = terminal.pid();
            kill_one(pid, victim)?;
            terminal.ends();
            nothing_is_left(&run, pid)
                .map_err(|left| format!("at a terminal, {victim} was killed: {left}"))?;
        }
        Ok(())
    })
}

/// Kills the process that is so many below the one with this PID.
fn kill_one(pid: u32, victim: usize) -> Result<(), Failed> {
    let pid = i32::try_from(pid)?;
    // The kernel's list of children may lack one for a moment (proc_pid_task_tid_children(5)).
    let look = || {
        if chain(pid).len() > victim { Vec::new() } else { vec![format!("only {:?} are there", chain(pid))] }
    };
    let (lacking, _) = settled(PATIENCE, look);
    let pid = chain(pid).get(victim).copied().ok_or_else(|| lacking.join(""))?;
    Ok(kill(Pid::from_raw(pid), Signal::SIGKILL)?)
}

fn nothing_is_left(run: &Run, pid: u32) -> Result<(), String> {
    let (left, _) = settled(PATIENCE, || run.left(pid));
    run.end();
    if left.is_empty() { Ok(()) } else { Err(left.join(", ")) }
}

/// A process, its child, the child of that, and so on: of several the one that is not the cleanup worker.
fn chain(first: i32) -> Vec<i32> {
    let mut chain = vec![first];
    while let Some(next) = chain.last().and_then(|pid| child_of(*pid)) {
        chain.push(next);
    }
    chain
}

fn child_of(parent: i32) -> Option<i32> {
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
    let name = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    children.into_iter().find(|pid: &i32| name(*pid).trim() != "cleanup")
}
