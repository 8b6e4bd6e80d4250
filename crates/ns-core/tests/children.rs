//! Children against the live kernel: what they tell, how they end, and that none is left behind.
//!
//! Each check makes its own children from the only thread, which no test harness of Rust allows: so this is a plain
//! program that prints a line a check.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::kill;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{getpid, getppid};
use ns_core::Signal::{SIGKILL, SIGSTOP, SIGTERM, SIGUSR1};
use ns_core::child::{NetworkAside, become_program, start_program};
use ns_core::net::set_up_loopback;
use ns_core::{
    Capability, Child, Errno, Error, ExitStatus, Fact, Kind, Message, Named, Namespaces, NsFile, Outcome,
    Pid, Refused, Spawn, Value, host, idmap, ipc, mount, namespace, probe, process, sandbox, signals, uts,
};

mod plain;

use plain::{Answer, Check, Ending};

/// How long an end is waited for. It comes in milliseconds, on an emulated machine that others keep waiting in seconds.
const PATIENCE: Duration = Duration::from_secs(60);

const CHECKS: &[Check] = &[
    ("facts_arrive_in_order_and_then_the_end", facts_arrive_in_order_and_then_the_end),
    ("an_error_or_a_panic_breaks_and_is_no_fact", an_error_or_a_panic_breaks_and_is_no_fact),
    ("facts_called_end_and_state_are_facts", facts_called_end_and_state_are_facts),
    ("what_comes_next_has_the_name_that_is_asked_for", what_comes_next_has_the_name_that_is_asked_for),
    ("a_refused_call_reaches_the_parent_as_data", a_refused_call_reaches_the_parent_as_data),
    ("a_stop_is_received", a_stop_is_received),
    ("what_is_reported_before_a_stop_arrives_before_it", what_is_reported_before_a_stop_arrives_before_it),
    ("a_long_report_arrives_whole", a_long_report_arrives_whole),
    ("what_was_reported_before_a_violent_end_arrives", what_was_reported_before_a_violent_end_arrives),
    ("a_second_thread_forbids_children", a_second_thread_forbids_children),
    ("a_child_keeps_no_descriptor_of_ours", a_child_keeps_no_descriptor_of_ours),
    ("a_dropped_child_is_dead", a_dropped_child_is_dead),
    ("a_grandchild_dies_with_its_parent", a_grandchild_dies_with_its_parent),
    ("children_that_end_at_once_are_waited_for", children_that_end_at_once_are_waited_for),
    ("children_die_with_a_killed_parent", children_die_with_a_killed_parent),
    ("children_die_although_they_changed_user", children_die_although_they_changed_user),
    ("clone_stands_in_where_clone3_is_hidden", clone_stands_in_where_clone3_is_hidden),
    ("a_child_ends_where_pidfd_send_signal_is_hidden", a_child_ends_where_pidfd_send_signal_is_hidden),
    ("a_child_ends_that_may_not_be_signalled", a_child_ends_that_may_not_be_signalled),
    ("who_wakes_a_child_that_gave_up_is_told_why", who_wakes_a_child_that_gave_up_is_told_why),
    ("a_write_beyond_the_limit_on_file_sizes_says_so", a_write_beyond_the_limit_on_file_sizes_says_so),
    ("a_chroot_to_a_mount_point_is_found", a_chroot_to_a_mount_point_is_found),
    ("handled_signals_arrive_lowest_first", handled_signals_arrive_lowest_first),
    ("the_host_is_not_changed", the_host_is_not_changed),
    ("a_sandbox_makes_an_ordinary_user_root_in_it", a_sandbox_makes_an_ordinary_user_root_in_it),
    ("who_comes_back_to_a_namespace_has_not_left_it", who_comes_back_to_a_namespace_has_not_left_it),
    ("a_program_starts_in_the_memory_of_its_parent", a_program_starts_in_the_memory_of_its_parent),
    ("namespaces_are_who_the_links_say", namespaces_are_who_the_links_say),
    ("relations_of_namespaces_follow_how_they_were_made", relations_of_namespaces_follow_how_they_were_made),
    ("a_socket_leads_to_the_network_it_was_born_in", a_socket_leads_to_the_network_it_was_born_in),
    ("a_network_is_made_aside", a_network_is_made_aside),
    ("a_child_is_mapped_before_it_begins", a_child_is_mapped_before_it_begins),
    ("an_outliving_child_is_refused_on_the_host", an_outliving_child_is_refused_on_the_host),
    (
        "a_pid_is_chosen_in_a_namespace_and_not_on_the_host",
        a_pid_is_chosen_in_a_namespace_and_not_on_the_host,
    ),
];

fn main() -> ExitCode {
    let argument = std::env::args().nth(1).unwrap_or_default();
    if let Some(role) = argument.strip_prefix("--role=") {
        play(role);
    }
    signals::start_afresh().and_then(|()| host::remember()).expect("a procfs at /proc");
    plain::run(CHECKS)
}

macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+).into());
        }
    };
}

/// The test's own errors and the crate's read alike.
fn said<T>(result: ns_core::Result<T>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

fn facts_arrive_in_order_and_then_the_end() -> Answer {
    let mut child = said(Child::spawn("child", Namespaces::NONE, |me| {
        me.report("getppid()", getppid())?;
        me.checkpoint()?;
        me.report("woken", "yes")
    }))?;
    let first = said(child.fact())?;
    ensure!(first.value == getpid().as_raw(), "its parent is {}", first.value);
    said(child.wake())?;
    ensure!(said(child.fact())?.what == "woken", "it went on too early");
    for _ in 0..2 {
        let end = said(child.recv())?;
        ensure!(
            end == Message::Exited(ExitStatus::Exited(0)),
            "the end is said as often as it is asked: {end:?}"
        );
    }
    let nothing = child.fact().map_err(|error| error.to_string());
    ensure!(nothing == Err("child: it ended before it reported: exited 0".into()), "{nothing:?}");
    Ok(Ending::Passed)
}

fn an_error_or_a_panic_breaks_and_is_no_fact() -> Answer {
    let mut failing = said(Child::spawn("failing", Namespaces::NONE, |_| {
        namespace::of(Some(Pid::from_raw(-7))).map(drop)
    }))?;
    let error = failing.fact().map_err(|error| error.to_string());
    ensure!(
        error.as_ref().is_err_and(|it| it.contains("failing: open(\"/proc/-7/ns\"): ENOENT")),
        "{error:?}"
    );
    let mut panicking = said(Child::spawn("panicking", Namespaces::NONE, |_| panic!("on purpose")))?;
    let error = panicking.fact();
    ensure!(
        matches!(&error, Err(Error::Broken { message, .. }) if message == "panicked: on purpose"),
        "{error:?}"
    );
    Ok(Ending::Passed)
}

/// What a child calls its facts is its own affair.
fn facts_called_end_and_state_are_facts() -> Answer {
    let mut child = said(Child::spawn("child", Namespaces::NONE, |me| {
        for what in ["end", "state", "end", "last"] {
            me.report(what, "reported")?;
        }
        signals::send(getpid(), Some(SIGKILL)).map(drop)
    }))?;
    let mut facts = said(child.facts())?;
    let end = facts.pop().ok_or("no end")?;
    ensure!(end == Fact::inside("child", "end", ExitStatus::Killed(SIGKILL)), "{end:?}");
    let reported = ["end", "state", "end", "last"].map(|what| Fact::inside("child", what, "reported"));
    ensure!(facts == reported, "{facts:?}");
    Ok(Ending::Passed)
}

fn what_comes_next_has_the_name_that_is_asked_for() -> Answer {
    let mut child = said(Child::spawn("child", Namespaces::NONE, |me| {
        me.report("its own name", 7)?;
        me.report("its own name", 8)?;
        signals::send(getpid(), Some(SIGSTOP))?;
        std::process::exit(3)
    }))?;
    let next = said(child.next("asked"))?;
    ensure!(next == Fact::inside("child", "asked", 7), "{next:?}");
    let kept = said(child.fact())?;
    ensure!(kept == Fact::inside("child", "its own name", 8), "{kept:?}");
    let stopped = said(child.next("asked"))?;
    ensure!(stopped == Fact::inside("child", "asked", "stopped by SIGSTOP"), "{stopped:?}");
    ensure!(
        child.facts().is_err_and(|error| error.to_string().contains("stopped by SIGSTOP")),
        "it was not said"
    );
    said(child.signal(ns_core::Signal::SIGCONT))?;
    let ended = said(child.next("asked"))?;
    ensure!(ended == Fact::inside("child", "asked", ExitStatus::Exited(3)), "{ended:?}");
    Ok(Ending::Passed)
}

fn a_refused_call_reaches_the_parent_as_data() -> Answer {
    let open = |pid| namespace::of(Some(Pid::from_raw(pid))).map(drop);
    let mut outer = said(Child::spawn("outer", Namespaces::NONE, |_| {
        Child::spawn("inner", Namespaces::NONE, |_| open(-7))?.fact().map(drop)
    }))?;
    let error = outer.fact().err().ok_or("it did not break")?;
    let refused = Some(Refused { call: "open(\"/proc/-7/ns\")".into(), errno: Errno::ENOENT });
    ensure!(matches!(error, Error::Broken { .. }) && error.refused() == refused, "{error:?}");
    ensure!(Outcome::of(Err::<(), _>(error)).is_err(), "what a child's set-up meets is no answer");
    let mut panicking = said(Child::spawn("panicking", Namespaces::NONE, |_| panic!("on purpose")))?;
    ensure!(panicking.fact().is_err_and(|error| error.refused().is_none()), "a panic is no refused call");
    Ok(Ending::Passed)
}

fn a_stop_is_received() -> Answer {
    let mut child = said(Child::spawn("child", Namespaces::NONE, |me| {
        let _ = signals::send(getpid(), Some(SIGSTOP))?;
        me.report("went on", "yes")
    }))?;
    ensure!(said(child.recv())? == Message::Stopped(SIGSTOP), "it was not seen to stop");
    said(child.signal(ns_core::Signal::SIGCONT))?;
    ensure!(said(child.fact())?.what == "went on", "it did not go on");
    Ok(Ending::Passed)
}

fn what_is_reported_before_a_stop_arrives_before_it() -> Answer {
    // Whoever waits looks for a stop after one millisecond without a report: so the moments are swept over that one. Two
    // thousand, or as many as an emulated machine comes to in a few seconds.
    let enough = Instant::now() + Duration::from_secs(4);
    for round in (0..2000_u64).take_while(|round| *round < 50 || Instant::now() < enough) {
        let mut child = said(Child::spawn("child", Namespaces::NONE, |me| {
            me.checkpoint()?;
            let moment = Instant::now() + Duration::from_micros(900 + round % 200);
            while Instant::now() < moment {}
            me.report("stops", "now")?;
            signals::send(getpid(), Some(SIGSTOP)).map(drop)
        }))?;
        said(child.wake())?;
        ensure!(matches!(said(child.recv())?, Message::Fact(_)), "round {round}: the stop came first");
        ensure!(said(child.recv())? == Message::Stopped(SIGSTOP), "round {round}: it was not seen to stop");
    }
    Ok(Ending::Passed)
}

fn a_long_report_arrives_whole() -> Answer {
    let text = "x".repeat(300_000); // several times what a pipe holds
    let reported = text.clone();
    let mut child = said(Child::spawn("child", Namespaces::NONE, move |me| me.report("story", reported)))?;
    ensure!(said(child.fact())?.value == text.as_str(), "the story was cut");
    Ok(Ending::Passed)
}

fn what_was_reported_before_a_violent_end_arrives() -> Answer {
    let mut child = said(Child::spawn("child", Namespaces::NONE, |me| {
        me.report("last words", "these")?;
        signals::send(getpid(), Some(SIGKILL)).map(drop)
    }))?;
    ensure!(said(child.wait())?.to_string() == "killed by SIGKILL", "it ended otherwise");
    ensure!(said(child.fact())?.value == "these", "its last words were lost");
    ensure!(said(child.recv())? == Message::Exited(ExitStatus::Killed(SIGKILL)), "its end was lost");
    Ok(Ending::Passed)
}

fn a_second_thread_forbids_children() -> Answer {
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || gate.recv());
    let refused = Child::spawn("child", Namespaces::NONE, |_| Ok(()));
    let _ = open.send(());
    let _ = thread.join();
    let error = refused.err().map(|error| error.to_string());
    ensure!(error.as_ref().is_some_and(|it| it.contains("2 threads run")), "{error:?}");
    // A joined thread may take a moment to leave /proc/self/task.
    let deadline = Instant::now() + PATIENCE;
    while said(process::thread_count())? > 1 && Instant::now() < deadline {}
    Ok(Ending::Passed)
}

/// What the open descriptors of the caller stand for.
fn open_files() -> Vec<String> {
    let entries = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .map(|it| it.to_string_lossy().into())
        .collect()
}

fn a_child_keeps_no_descriptor_of_ours() -> Answer {
    let count =
        |open: &[String]| open.iter().filter(|it| it.starts_with("pipe:") || it.contains("pidfd")).count();
    let before = count(&open_files());
    let _elder = said(Child::spawn("elder", Namespaces::NONE, ns_core::Reporter::stay))?;
    ensure!(count(&open_files()) == before + 3, "we hold other than two pipe ends and a pidfd of the elder");
    let mut younger = said(Child::spawn("younger", Namespaces::NONE, |me| me.report("open", open_files())))?;
    let Value::List(open) = said(younger.fact())?.value else { return Err("no list".into()) };
    let open: Vec<_> = open.iter().map(ToString::to_string).collect();
    ensure!(count(&open) == before + 2, "it has other than its own two pipe ends: {open:?}");
    Ok(Ending::Passed)
}

fn a_dropped_child_is_dead() -> Answer {
    let child = said(Child::spawn("child", Namespaces::NONE, ns_core::Reporter::stay))?;
    let pid = child.pid();
    drop(child);
    ensure!(kill(pid, None) == Err(Errno::ESRCH), "it lives on");
    Ok(Ending::Passed)
}

fn a_grandchild_dies_with_its_parent() -> Answer {
    let mut parent = said(Child::spawn("parent", Namespaces::NONE, |me| {
        let grandchild = Child::spawn("grandchild", Namespaces::NONE, ns_core::Reporter::stay)?;
        me.report("grandchild", grandchild.pid())?;
        me.stay()
    }))?;
    let grandchild = Pid::from_raw(said(parent.fact())?.value.as_i64().unwrap_or(0) as i32);
    said(parent.signal(SIGKILL))?;
    let state = said(process::wait_for_state(grandchild, &['Z', 'X']))?;
    ensure!(matches!(state, None | Some('Z' | 'X')), "it is in state {state:?}");
    Ok(Ending::Passed)
}

fn children_that_end_at_once_are_waited_for() -> Answer {
    // Two thousand, or as many as an emulated machine starts in a few seconds.
    let enough = Instant::now() + Duration::from_secs(4);
    for round in (0..2000).take_while(|round| *round < 200 || Instant::now() < enough) {
        let end = said(said(Child::spawn("brief", Namespaces::NONE, |_| Ok(())))?.recv())?;
        ensure!(end == Message::Exited(ExitStatus::Exited(0)), "round {round}: {end:?}");
    }
    Ok(Ending::Passed)
}

/// What this program does when it is started as somebody's subject.
fn play(role: &str) -> ! {
    let begun = signals::start_afresh().and_then(|()| host::remember());
    let played = begun.and_then(|()| match role {
        "parent" => sandbox::enter(Namespaces::UTS).and_then(|_| {
            let everything = Namespaces::PID | Namespaces::MNT | Namespaces::IPC;
            let mut children = Vec::new();
            loop {
                for namespaces in [Namespaces::NONE, everything, Namespaces::USER, Namespaces::UTS] {
                    children.push(Child::spawn("child", namespaces, ns_core::Reporter::stay)?);
                }
                if children.len() > 12 {
                    children.clear();
                }
            }
        }),
        "parent-of-changed" => {
            let mut child = Child::spawn("child", Namespaces::NONE, |me| {
                process::become_user(64_321)?;
                me.report("changed", "yes")?;
                loop {
                    nix::unistd::pause();
                }
            })?;
            child.fact()?;
            signals::send(getpid(), Some(SIGKILL)).map(drop)
        }
        "parent-of-one-that-stays" => Child::spawn("child", Namespaces::NONE, |_| {
            loop {
                nix::unistd::pause();
            }
        })
        .and_then(|child| {
            let began = Instant::now();
            drop(child);
            // A wait would end after ten.
            let late = began.elapsed() > Duration::from_secs(9);
            if late { Err(Error::Input("it was waited for".into())) } else { Ok(()) }
        }),
        "clone" => {
            let mut child =
                Child::spawn("child", Namespaces::UTS | Namespaces::USER, |me| me.report("born", "yes"))?;
            child.fact().map(drop)
        }
        _ => Ok(()),
    });
    std::process::exit(i32::from(played.is_err()));
}

/// Every process whose environment holds `token`.
fn who_carries(token: &str) -> BTreeSet<i32> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.windows(token.len()).any(|window| window == token.as_bytes()) {
            found.insert(pid);
        }
    }
    found
}

fn nobody_carries(token: &str) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = who_carries(token);
        if left.is_empty() {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{} processes are left behind: {left:?}", left.len());
    }
}

fn start(role: &str, token: &str) -> Result<std::process::Child, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command
        .arg(format!("--role={role}"))
        .env("NS_CORE_TOKEN", token)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.process_group(0);
    command.spawn().map_err(|error| error.to_string())
}

fn children_die_with_a_killed_parent() -> Answer {
    let token = format!("killed-parent-{}", getpid());
    let mut caught_alive = 0;
    // Sixty moments, or as many as an emulated machine comes to in a few seconds: first every third.
    let enough = Instant::now() + Duration::from_secs(6);
    let rounds = (0..3).flat_map(|first| (first..60_u32).step_by(3));
    for round in rounds.take_while(|round| round % 3 == 0 || Instant::now() < enough) {
        let mut parent = start("parent", &token)?;
        // The moments are swept over the first milliseconds, in which children are made and end all the time.
        let moment = Instant::now() + Duration::from_micros(u64::from(round) * 150);
        while Instant::now() < moment {}
        if round % 10 == 9 {
            let deadline = Instant::now() + PATIENCE;
            while who_carries(&token).len() < 3 && Instant::now() < deadline {}
        }
        caught_alive += usize::from(who_carries(&token).len() > 1);
        parent.kill().map_err(|error| error.to_string())?;
        parent.wait().map_err(|error| error.to_string())?;
        nobody_carries(&token).map_err(|why| format!("killed after round {round}: {why}"))?;
    }
    ensure!(caught_alive > 0, "no kill found a child alive, so nothing was proven");
    Ok(Ending::Passed)
}

fn children_die_although_they_changed_user() -> Answer {
    if !process::is_capable(Capability::CAP_SETUID) {
        return Ok(Ending::Skipped("CAP_SETUID is missing: run as root".into()));
    }
    let token = format!("changed-user-{}", getpid());
    let status = start("parent-of-changed", &token)?.wait().map_err(|error| error.to_string())?;
    ensure!(status.code().is_none(), "the parent was to be killed, but {status}");
    nobody_carries(&token)?;
    Ok(Ending::Passed)
}

/// This program in a role, with a system call that gives each of `answers` instead of being made.
fn without(call: &str, answers: &[&str], role: &str) -> Answer {
    if let Some(missing) = probe::program("strace") {
        return Ok(Ending::Skipped(missing.to_string()));
    }
    for errno in answers {
        let status = Command::new("strace")
            .args(["-f", "-o", "/dev/null", "-e", &format!("inject={call}:error={errno}")])
            .arg(std::env::current_exe()?)
            .arg(format!("--role={role}"))
            .stdin(Stdio::null())
            .status()?;
        ensure!(status.success(), "without {call} ({errno}): {status}");
    }
    Ok(Ending::Passed)
}

fn clone_stands_in_where_clone3_is_hidden() -> Answer {
    without("clone3", &["ENOSYS", "EPERM"], "clone")
}

fn a_child_ends_where_pidfd_send_signal_is_hidden() -> Answer {
    without("pidfd_send_signal", &["ENOSYS", "EPERM"], "parent-of-one-that-stays")
}

fn a_child_ends_that_may_not_be_signalled() -> Answer {
    if !process::is_capable(Capability::CAP_SETUID) || !process::is_capable(Capability::CAP_KILL) {
        return Ok(Ending::Skipped("CAP_SETUID and CAP_KILL".into()));
    }
    let mut parent = said(Child::spawn("parent", Namespaces::NONE, |me| {
        process::drop_capability(Capability::CAP_KILL)?;
        let mut child = Child::spawn("child", Namespaces::NONE, |me| {
            process::become_user(64_321)?;
            me.report("changed", "yes")?;
            me.stay()
        })?;
        child.fact()?;
        let pid = child.pid();
        me.report("SIGTERM", child.try_signal(SIGTERM)?)?;
        let began = Instant::now();
        drop(child);
        me.report("at once", began.elapsed() < Duration::from_secs(1))?;
        me.report("gone", signals::send(pid, None)?)
    }))?;
    let values: Vec<_> = said(parent.facts())?.iter().map(|fact| fact.value.to_string()).collect();
    ensure!(values == ["EPERM", "yes", "ESRCH"], "{values:?}");
    Ok(Ending::Passed)
}

fn who_wakes_a_child_that_gave_up_is_told_why() -> Answer {
    let mut child = said(Child::spawn("child", Namespaces::NONE, |me| {
        me.report("before", "yes")?;
        Err::<(), _>(Errno::EPERM).named(|| "setns(uts)".into())
    }))?;
    said(child.wait())?;
    let told = child.wake().err().and_then(|error| error.refused());
    ensure!(told == Some(Refused { call: "setns(uts)".into(), errno: Errno::EPERM }), "{told:?}");
    ensure!(said(child.fact())?.what == "before", "what it reported before is lost");
    ensure!(child.fact().is_err(), "its last record is lost");

    let mut silent = said(Child::spawn("child", Namespaces::NONE, |_| Ok(())))?;
    said(silent.wait())?;
    let told = silent.wake().err().and_then(|error| error.errno());
    ensure!(told == Some(Errno::EPIPE), "of one that came to its end: {told:?}");
    Ok(Ending::Passed)
}

fn a_write_beyond_the_limit_on_file_sizes_says_so() -> Answer {
    let mut child = said(Child::spawn("child", Namespaces::NONE, |me| {
        use nix::sys::resource::{Resource, setrlimit};
        setrlimit(Resource::RLIMIT_FSIZE, 0, 0).named(|| "setrlimit(RLIMIT_FSIZE, 0)".into())?;
        let file = nix::sys::memfd::memfd_create(c"file", nix::sys::memfd::MFdFlags::empty())
            .named(|| "memfd_create()".into())?;
        let written = nix::unistd::write(&file, b"text").named(|| "write()".into());
        me.report("write()", Outcome::of(written)?)
    }))?;
    let facts = said(child.facts())?;
    let values: Vec<_> = facts.iter().map(|fact| fact.value.to_string()).collect();
    ensure!(values == ["EFBIG"], "{values:?}");
    Ok(Ending::Passed)
}

fn a_chroot_to_a_mount_point_is_found() -> Answer {
    ensure!(!probe::is_chrooted(), "this process is in a chroot");
    if let Some(missing) = said(probe::sandbox(Namespaces::MNT))? {
        return Ok(Ending::Skipped(missing.to_string()));
    }
    let mut child = said(Child::spawn("child", Namespaces::NONE, |me| {
        sandbox::enter(Namespaces::MNT)?;
        me.report("before", probe::is_chrooted())?;
        nix::mount::mount(
            Some("/"),
            "/mnt",
            None::<&str>,
            nix::mount::MsFlags::MS_BIND | nix::mount::MsFlags::MS_REC,
            None::<&str>,
        )
        .named(|| "mount --rbind / /mnt".into())?;
        nix::unistd::chroot("/mnt").named(|| "chroot(\"/mnt\")".into())?;
        me.report("root", probe::is_chrooted())?;
        process::drop_all_capabilities()?;
        me.report("without capabilities", probe::is_chrooted())
    }))?;
    let facts = said(child.facts())?;
    let values: Vec<_> = facts.iter().map(|fact| fact.value.to_string()).collect();
    ensure!(values == ["no", "yes", "yes"], "{values:?}");
    Ok(Ending::Passed)
}

fn handled_signals_arrive_lowest_first() -> Answer {
    let mut child = said(Child::spawn("child", Namespaces::NONE, |me| {
        let mut caught = signals::catch(&[SIGTERM, SIGUSR1])?;
        signals::block(&[SIGTERM, SIGUSR1])?;
        signals::send(getpid(), Some(SIGTERM))?;
        signals::send(getpid(), Some(SIGUSR1))?;
        me.report("pending", signals::is_pending(SIGTERM)?)?;
        signals::unblock(&[SIGTERM, SIGUSR1])?;
        me.report("first", caught.wait()?.signal)?;
        let second = caught.wait()?;
        me.report("second", second.signal)?;
        me.report("from us", second.sender == getpid())
    }))?;
    let values: Vec<_> = said(child.facts())?.iter().map(|fact| fact.value.to_string()).collect();
    ensure!(values == ["yes", "SIGUSR1", "SIGTERM", "yes"], "{values:?}");
    Ok(Ending::Passed)
}

fn the_host_is_not_changed() -> Answer {
    let before = uts::hostname();
    let refused = [
        uts::set_hostname("changed"),
        uts::set_domain_name("changed"),
        uts::write_hostname("changed"),
        mount::make_private(),
        mount::mount("tmpfs", "/mnt".as_ref()),
        mount::unmount("/proc".as_ref()),
        ipc::make_queue(0x1dea).map(drop),
        signals::send(Pid::from_raw(-1), Some(SIGUSR1)).map(drop),
        process::reboot(process::RebootMode::RB_AUTOBOOT),
        ns_core::clock::Clock::Realtime.set_to_itself(),
    ];
    for (number, result) in refused.iter().enumerate() {
        ensure!(matches!(result, Err(Error::WouldChangeHost { .. })), "call {number} was made: {result:?}");
    }
    ensure!(uts::hostname() == before, "the hostname changed");
    Ok(Ending::Passed)
}

fn a_sandbox_makes_an_ordinary_user_root_in_it() -> Answer {
    let mut child = said(Child::spawn("child", Namespaces::NONE, |me| {
        let sandbox = sandbox::enter(Namespaces::UTS | Namespaces::MNT)?;
        me.report("namespaces", sandbox.namespaces.as_typed())?;
        me.report("getuid()", nix::unistd::getuid().as_raw())?;
        me.report("left", host::left(Kind::Uts)?)?;
        me.report("sethostname()", Outcome::of(uts::set_hostname("stage"))?)
    }))?;
    let values: Vec<_> = said(child.facts())?.iter().map(|fact| fact.value.to_string()).collect();
    ensure!(values[1..] == ["0", "yes", "OK"], "{values:?}");
    let privileged = process::is_capable(Capability::CAP_SYS_ADMIN);
    ensure!(
        values[0].contains("CLONE_NEWUSER") != privileged,
        "privileged: {privileged}, sandbox: {}",
        values[0]
    );
    Ok(Ending::Passed)
}

fn who_comes_back_to_a_namespace_has_not_left_it() -> Answer {
    let mut child = said(Child::spawn("child", Namespaces::NONE, |me| {
        host::remember()?;
        // Root alone may go back. Another has left the user namespace, where it could.
        let host = NsFile::of(None, Kind::Uts)?;
        sandbox::enter(Namespaces::UTS)?;
        me.report("left", host::left(Kind::Uts)?)?;
        me.report("left, asked again", host::left(Kind::Uts)?)?;
        let came_back = host.enter(Some(Kind::Uts)).is_ok();
        me.report("left, unless it came back", host::left(Kind::Uts)? == came_back)
    }))?;
    let values: Vec<_> = said(child.facts())?.iter().map(|fact| fact.value.to_string()).collect();
    ensure!(values == ["yes", "yes", "no"], "{values:?}");
    Ok(Ending::Passed)
}

fn a_program_starts_in_the_memory_of_its_parent() -> Answer {
    let mut left = 0;
    let failed = said(start_program(|| {
        left = 7;
        3
    }))?;
    let status = waitpid(failed, None).map_err(|errno| errno.to_string())?;
    ensure!(status == WaitStatus::Exited(failed, 3) && left == 7, "{status:?}, {left}");
    let program = std::path::Path::new("/bin/sh");
    let executed = said(start_program(|| {
        let error = become_program(program, ["sh", "-c", "exit 5"]).err();
        error.and_then(|error| error.errno()).map_or(4, |errno| errno as i32)
    }))?;
    let status = waitpid(executed, None).map_err(|errno| errno.to_string())?;
    ensure!(status == WaitStatus::Exited(executed, 5), "{status:?}");
    Ok(Ending::Passed)
}

fn namespaces_are_who_the_links_say() -> Answer {
    for id in said(namespace::of(None))? {
        let file = said(NsFile::of(None, id.kind))?;
        ensure!(said(file.id())? == id, "{id} by its link, {} by its descriptor", said(file.id())?);
        let path = format!("/proc/self/ns/{}", id.kind);
        let link = std::fs::read_link(&path).map_err(|error| error.to_string())?;
        ensure!(link.to_string_lossy() == id.to_string(), "{path} says {}", link.display());
    }
    ensure!(said(namespace::names())?.len() >= 8, "fewer names than eight kinds");
    Ok(Ending::Passed)
}

fn relations_of_namespaces_follow_how_they_were_made() -> Answer {
    let ours = said(NsFile::of(None, Kind::User))?;
    let child = said(Child::spawn("child", Namespaces::USER | Namespaces::UTS, ns_core::Reporter::stay))?;
    let user = said(NsFile::of(Some(child.pid()), Kind::User))?;
    let uts = said(NsFile::of(Some(child.pid()), Kind::Uts))?;
    ensure!(said(said(uts.owner())?.id())? == said(user.id())?, "the UTS namespace has another owner");
    ensure!(said(said(user.parent())?.id())? == said(ours.id())?, "the user namespace has another parent");
    ensure!(said(user.owner_uid())? == nix::unistd::geteuid().as_raw(), "another user owns it");
    ensure!(said(uts.kind())? == Kind::Uts, "NS_GET_NSTYPE says another kind");
    ensure!(
        uts.parent().err().and_then(|error| error.errno()) == Some(Errno::EINVAL),
        "a UTS namespace has a parent"
    );
    let file = said(NsFile::open("/proc/self/status"))?;
    ensure!(
        file.kind().err().and_then(|error| error.errno()) == Some(Errno::ENOTTY),
        "a plain file has a kind"
    );
    Ok(Ending::Passed)
}

fn a_socket_leads_to_the_network_it_was_born_in() -> Answer {
    let mut child = said(Child::spawn("child", Namespaces::USER | Namespaces::NET, |me| {
        let socket = std::os::unix::net::UnixDatagram::unbound().named(|| "socket(AF_UNIX)".into())?;
        let born_in = namespace::of_kind(None, Kind::Net)?;
        namespace::unshare(Namespaces::NET)?;
        me.report("it leads back", NsFile::of_socket(&socket)?.id()? == born_in)?;
        let file = NsFile::of(None, Kind::Uts)?;
        me.report("a file", Outcome::of(NsFile::of_socket(&file))?)
    }))?;
    ensure!(said(child.fact())?.value == "yes", "the socket leads elsewhere");
    ensure!(said(child.fact())?.value == "ENOTTY", "a file leads somewhere");
    Ok(Ending::Passed)
}

fn a_network_is_made_aside() -> Answer {
    let ours = said(namespace::of_kind(None, Kind::Net))?;
    let made = |furnish: fn() -> ns_core::Result<()>| -> Result<_, String> {
        let (creator, network) = said(NetworkAside::promise())?;
        let child = said(Child::spawn("child", Namespaces::USER, |me| {
            network.enter()?;
            let entered = NsFile::of(None, Kind::Net)?;
            let owner = entered.owner()?.id()? == namespace::of_kind(None, Kind::User)?;
            me.report("owned by the child's user namespace", owner)?;
            me.report(
                "lo is up",
                std::net::UdpSocket::bind(("127.0.0.1", 0))
                    .is_ok_and(|socket| socket.connect(("127.0.0.1", 9)).is_ok()),
            )?;
            me.report("it is", entered.id()?.to_string())
        }))?;
        let owner = said(NsFile::of(Some(child.pid()), Kind::User))?;
        Ok((child, creator.create(&owner, furnish)))
    };
    let (mut child, done) = made(set_up_loopback)?;
    said(done)?;
    let facts: Vec<_> = said(child.facts())?.iter().map(|fact| fact.value.to_string()).collect();
    ensure!(facts[..2] == ["yes", "yes"] && facts[2] != ours.to_string(), "{facts:?}");
    ensure!(said(namespace::of_kind(None, Kind::Net))? == ours, "this process has moved");
    ensure!(!said(host::left(Kind::Net))?, "this process believes that it has moved");
    let (mut child, done) = made(|| Ok(()))?;
    said(done)?;
    ensure!(said(child.fact())?.value == "yes" && said(child.fact())?.value == "no", "lo is up by itself");
    // The process that makes it holds no end of its parent's, which would hide the parent's death.
    let (creator, network) = said(NetworkAside::promise())?;
    let mut child = said(Child::spawn("child", Namespaces::USER, |_| network.enter()))?;
    let owner = said(NsFile::of(Some(child.pid()), Kind::User))?;
    let is_open = || nix::sys::stat::fstat(child.messages()).is_ok();
    said(creator.create(&owner, || {
        if is_open() { Err(Error::Input("it has the reports of the child".into())) } else { Ok(()) }
    }))?;
    ensure!(is_open(), "this process has them no longer");
    ensure!(said(child.facts())?.is_empty(), "it reports");
    // Whoever waits for a network that there will never be does not wait for ever.
    let (mut child, done) = made(|| Err(Error::Input("broke off".into())))?;
    ensure!(matches!(&done, Err(Error::Input(why)) if why == "broke off"), "{done:?}");
    ensure!(child.fact().is_err(), "it entered what was not handed over");
    Ok(Ending::Passed)
}

fn a_child_is_mapped_before_it_begins() -> Answer {
    let (uid, gid) = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
    let spawn = Spawn::new("child").namespaces(Namespaces::USER).maps(idmap::IdMaps::own(7, uid, gid));
    let mut child = said(spawn.run(|me| {
        me.report("getuid()", nix::unistd::getuid().as_raw())?;
        me.report("setgroups", idmap::read(None, "setgroups")?)
    }))?;
    ensure!(said(child.fact())?.value == 7, "it began unmapped");
    ensure!(said(child.fact())?.value == "deny", "setgroups was not denied");
    Ok(Ending::Passed)
}

fn a_pid_is_chosen_in_a_namespace_and_not_on_the_host() -> Answer {
    let refused = Spawn::new("child").set_tid(&[777]).run(|_| Ok(()));
    ensure!(matches!(refused, Err(Error::WouldChangeHost { kind: Kind::Pid, .. })), "{refused:?}");
    let mut outside = said(Child::spawn("outside", Namespaces::NONE, |me| {
        sandbox::enter(Namespaces::USER | Namespaces::PID)?;
        let mut init = Child::spawn("init", Namespaces::NONE, |me| {
            let mut chosen = Spawn::new("child").set_tid(&[777]).run(|me| me.report("getpid()", getpid()))?;
            me.send(chosen.fact()?)?;
            let again = Spawn::new("child").set_tid(&[1]).run(|_| Ok(()));
            me.report("1, which is taken", Outcome::of(again)?)
        })?;
        init.facts()?.into_iter().try_for_each(|fact| me.send(fact))
    }))?;
    ensure!(said(outside.fact())?.value == 777, "another number");
    ensure!(said(outside.fact())?.value == "EEXIST", "1 was given twice");
    Ok(Ending::Passed)
}

fn an_outliving_child_is_refused_on_the_host() -> Answer {
    let refused = Spawn::new("child").outlives_parent().run(|_| Ok(()));
    ensure!(matches!(refused, Err(Error::WouldChangeHost { kind: Kind::Pid, .. })), "{refused:?}");
    Ok(Ending::Passed)
}
