//! Children against the live kernel: what they tell, how they end, and that none is left behind.
//!
//! Each check makes its own children from the only thread, which no test harness of Rust allows: so this is a plain
//! program that prints a line a check.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::kill;
use nix::unistd::{getpid, getppid};
use ns_core::Signal::{SIGKILL, SIGSTOP, SIGTERM, SIGUSR1};
use ns_core::{
    Capability, Child, Errno, Error, Kind, Named, Namespaces, NsFile, Outcome, Pid, Spawn, Value, host,
    idmap, ipc, mount, namespace, process, signals, stage, uts,
};

mod plain;

use plain::{Answer, Check, Ending};

const CHECKS: &[Check] = &[
    ("facts_arrive_in_order_and_then_the_end", facts_arrive_in_order_and_then_the_end),
    ("an_error_or_a_panic_breaks_and_is_no_fact", an_error_or_a_panic_breaks_and_is_no_fact),
    ("a_stop_is_heard", a_stop_is_heard),
    ("a_long_story_is_heard_whole", a_long_story_is_heard_whole),
    ("what_was_told_before_a_violent_end_is_heard", what_was_told_before_a_violent_end_is_heard),
    ("a_second_thread_forbids_children", a_second_thread_forbids_children),
    ("a_child_keeps_no_descriptor_of_ours", a_child_keeps_no_descriptor_of_ours),
    ("a_dropped_child_is_dead", a_dropped_child_is_dead),
    ("a_grandchild_dies_with_its_parent", a_grandchild_dies_with_its_parent),
    ("two_thousand_children_that_end_at_once", two_thousand_children_that_end_at_once),
    ("children_die_with_a_killed_parent", children_die_with_a_killed_parent),
    ("children_die_although_they_changed_user", children_die_although_they_changed_user),
    ("clone_stands_in_where_clone3_is_hidden", clone_stands_in_where_clone3_is_hidden),
    ("handled_signals_are_heard_lowest_first", handled_signals_are_heard_lowest_first),
    ("the_host_is_not_changed", the_host_is_not_changed),
    ("a_stage_makes_an_ordinary_user_root_in_it", a_stage_makes_an_ordinary_user_root_in_it),
    ("namespaces_are_who_the_links_say", namespaces_are_who_the_links_say),
    ("relations_of_namespaces_follow_how_they_were_made", relations_of_namespaces_follow_how_they_were_made),
    ("a_socket_leads_to_the_network_it_was_born_in", a_socket_leads_to_the_network_it_was_born_in),
    ("a_child_is_mapped_before_it_begins", a_child_is_mapped_before_it_begins),
    ("an_outliving_child_is_refused_on_the_host", an_outliving_child_is_refused_on_the_host),
    (
        "a_number_is_chosen_in_a_namespace_and_not_on_the_host",
        a_number_is_chosen_in_a_namespace_and_not_on_the_host,
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
        me.saw("getppid()", getppid())?;
        me.pause()?;
        me.saw("released", "yes")
    }))?;
    let first = said(child.hear())?;
    ensure!(first.value == getpid().as_raw(), "its parent is {}", first.value);
    said(child.release())?;
    ensure!(said(child.hear())?.what == "released", "it went on too early");
    let end = said(child.hear())?;
    ensure!(end.what == "end" && end.value == "exited 0", "{} = {}", end.what, end.value);
    ensure!(said(child.hear())?.what == "end", "the end is said as often as it is asked");
    Ok(Ending::Passed)
}

fn an_error_or_a_panic_breaks_and_is_no_fact() -> Answer {
    let mut failing = said(Child::spawn("failing", Namespaces::NONE, |_| {
        namespace::of(Some(Pid::from_raw(-7))).map(drop)
    }))?;
    let error = failing.hear().map_err(|error| error.to_string());
    ensure!(
        error.as_ref().is_err_and(|it| it.contains("failing: open(\"/proc/-7/ns\"): ENOENT")),
        "{error:?}"
    );
    let mut panicking = said(Child::spawn("panicking", Namespaces::NONE, |_| panic!("on purpose")))?;
    let error = panicking.hear();
    ensure!(
        matches!(&error, Err(Error::Broken { message, .. }) if message == "panicked: on purpose"),
        "{error:?}"
    );
    Ok(Ending::Passed)
}

fn a_stop_is_heard() -> Answer {
    let mut child = said(Child::spawn("child", Namespaces::NONE, |me| {
        let _ = signals::send(getpid(), Some(SIGSTOP))?;
        me.saw("went on", "yes")
    }))?;
    ensure!(said(child.hear())?.value == "stopped by SIGSTOP", "it was not seen to stop");
    said(child.signal(ns_core::Signal::SIGCONT))?;
    ensure!(said(child.hear())?.what == "went on", "it did not go on");
    Ok(Ending::Passed)
}

fn a_long_story_is_heard_whole() -> Answer {
    let text = "x".repeat(300_000); // several times what a pipe holds
    let told = text.clone();
    let mut child = said(Child::spawn("child", Namespaces::NONE, move |me| me.saw("story", told)))?;
    ensure!(said(child.hear())?.value == text.as_str(), "the story was cut");
    Ok(Ending::Passed)
}

fn what_was_told_before_a_violent_end_is_heard() -> Answer {
    let mut child = said(Child::spawn("child", Namespaces::NONE, |me| {
        me.saw("last words", "these")?;
        signals::send(getpid(), Some(SIGKILL)).map(drop)
    }))?;
    ensure!(said(child.wait())?.to_string() == "killed by SIGKILL", "it ended otherwise");
    ensure!(said(child.hear())?.value == "these", "its last words were lost");
    ensure!(said(child.hear())?.value == "killed by SIGKILL", "its end was lost");
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
    let deadline = Instant::now() + Duration::from_secs(5);
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
    let _elder = said(Child::spawn("elder", Namespaces::NONE, ns_core::Witness::stay))?;
    ensure!(count(&open_files()) == before + 3, "we hold other than two pipe ends and a pidfd of the elder");
    let mut younger = said(Child::spawn("younger", Namespaces::NONE, |me| me.saw("open", open_files())))?;
    let Value::List(open) = said(younger.hear())?.value else { return Err("no list".into()) };
    let open: Vec<_> = open.iter().map(ToString::to_string).collect();
    ensure!(count(&open) == before + 2, "it has other than its own two pipe ends: {open:?}");
    Ok(Ending::Passed)
}

fn a_dropped_child_is_dead() -> Answer {
    let child = said(Child::spawn("child", Namespaces::NONE, ns_core::Witness::stay))?;
    let pid = child.pid();
    drop(child);
    ensure!(kill(pid, None) == Err(Errno::ESRCH), "it lives on");
    Ok(Ending::Passed)
}

fn a_grandchild_dies_with_its_parent() -> Answer {
    let mut parent = said(Child::spawn("parent", Namespaces::NONE, |me| {
        let grandchild = Child::spawn("grandchild", Namespaces::NONE, ns_core::Witness::stay)?;
        me.saw("grandchild", grandchild.pid())?;
        me.stay()
    }))?;
    let grandchild = Pid::from_raw(said(parent.hear())?.value.as_i64().unwrap_or(0) as i32);
    said(parent.signal(SIGKILL))?;
    let state = said(process::wait_for_state(grandchild, &['Z', 'X']))?;
    ensure!(state.is_none() || state == Some('Z'), "it is in state {state:?}");
    Ok(Ending::Passed)
}

fn two_thousand_children_that_end_at_once() -> Answer {
    for round in 0..2000 {
        let end = said(said(Child::spawn("brief", Namespaces::NONE, |_| Ok(())))?.hear())?;
        ensure!(end.value == "exited 0", "round {round}: {}", end.value);
    }
    Ok(Ending::Passed)
}

/// What this program does when it is started as somebody's subject.
fn play(role: &str) -> ! {
    let begun = signals::start_afresh().and_then(|()| host::remember());
    let played = begun.and_then(|()| match role {
        "parent" => stage::enter(Namespaces::UTS).and_then(|_| {
            let everything = Namespaces::PID | Namespaces::MNT | Namespaces::IPC;
            let mut children = Vec::new();
            loop {
                for namespaces in [Namespaces::NONE, everything, Namespaces::USER, Namespaces::UTS] {
                    children.push(Child::spawn("child", namespaces, ns_core::Witness::stay)?);
                }
                if children.len() > 12 {
                    children.clear();
                }
            }
        }),
        "parent-of-changed" => {
            let mut child = Child::spawn("child", Namespaces::NONE, |me| {
                process::become_user(64_321)?;
                me.saw("changed", "yes")?;
                loop {
                    nix::unistd::pause();
                }
            })?;
            child.hear()?;
            signals::send(getpid(), Some(SIGKILL)).map(drop)
        }
        "clone" => {
            let mut child =
                Child::spawn("child", Namespaces::UTS | Namespaces::USER, |me| me.saw("born", "yes"))?;
            child.hear().map(drop)
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
    let deadline = Instant::now() + Duration::from_secs(5);
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
    for round in 0..60_u32 {
        let mut parent = start("parent", &token)?;
        // The moments are swept over the first milliseconds, in which children are made and end all the time.
        let moment = Instant::now() + Duration::from_micros(u64::from(round) * 150);
        while Instant::now() < moment {}
        if round % 10 == 9 {
            let deadline = Instant::now() + Duration::from_secs(5);
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

fn clone_stands_in_where_clone3_is_hidden() -> Answer {
    if let Some(missing) = ns_core::probe::program("strace", "strace") {
        return Ok(Ending::Skipped(format!("{} is missing: {}", missing.what, missing.remedy)));
    }
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let status = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "-e", "inject=clone3:error=ENOSYS"])
        .arg(program)
        .arg("--role=clone")
        .stdin(Stdio::null())
        .status()
        .map_err(|error| error.to_string())?;
    ensure!(status.success(), "without clone3: {status}");
    Ok(Ending::Passed)
}

fn handled_signals_are_heard_lowest_first() -> Answer {
    let mut child = said(Child::spawn("child", Namespaces::NONE, |me| {
        let mut caught = signals::catch(&[SIGTERM, SIGUSR1])?;
        signals::block(&[SIGTERM, SIGUSR1])?;
        signals::send(getpid(), Some(SIGTERM))?;
        signals::send(getpid(), Some(SIGUSR1))?;
        me.saw("pending", signals::is_pending(SIGTERM)?)?;
        signals::unblock(&[SIGTERM, SIGUSR1])?;
        me.saw("first", caught.wait()?.signal)?;
        let second = caught.wait()?;
        me.saw("second", second.signal)?;
        me.saw("from us", second.sender == getpid())
    }))?;
    let heard: Vec<_> = said(child.hear_all())?.iter().map(|fact| fact.value.to_string()).collect();
    ensure!(heard == ["yes", "SIGUSR1", "SIGTERM", "yes"], "{heard:?}");
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

fn a_stage_makes_an_ordinary_user_root_in_it() -> Answer {
    let mut child = said(Child::spawn("child", Namespaces::NONE, |me| {
        let stage = stage::enter(Namespaces::UTS | Namespaces::MNT)?;
        me.saw("namespaces", stage.namespaces.as_typed())?;
        me.saw("getuid()", nix::unistd::getuid().as_raw())?;
        me.saw("left", host::left(Kind::Uts)?)?;
        me.saw("sethostname()", Outcome::of(uts::set_hostname("stage"))?)
    }))?;
    let heard: Vec<_> = said(child.hear_all())?.iter().map(|fact| fact.value.to_string()).collect();
    ensure!(heard[1..] == ["0", "yes", "OK"], "{heard:?}");
    let privileged = process::is_capable(Capability::CAP_SYS_ADMIN);
    ensure!(
        heard[0].contains("CLONE_NEWUSER") != privileged,
        "privileged: {privileged}, stage: {}",
        heard[0]
    );
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
    let child = said(Child::spawn("child", Namespaces::USER | Namespaces::UTS, ns_core::Witness::stay))?;
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
        me.saw("it leads back", NsFile::of_socket(&socket)?.id()? == born_in)?;
        let file = NsFile::of(None, Kind::Uts)?;
        me.saw("a file", Outcome::of(NsFile::of_socket(&file))?)
    }))?;
    ensure!(said(child.hear())?.value == "yes", "the socket leads elsewhere");
    ensure!(said(child.hear())?.value == "ENOTTY", "a file leads somewhere");
    Ok(Ending::Passed)
}

fn a_child_is_mapped_before_it_begins() -> Answer {
    let (uid, gid) = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
    let spawn = Spawn::new("child").namespaces(Namespaces::USER).maps(idmap::IdMaps::own(7, uid, gid));
    let mut child = said(spawn.run(|me| {
        me.saw("getuid()", nix::unistd::getuid().as_raw())?;
        me.saw("setgroups", idmap::read(None, "setgroups")?)
    }))?;
    ensure!(said(child.hear())?.value == 7, "it began unmapped");
    ensure!(said(child.hear())?.value == "deny", "setgroups was not denied");
    Ok(Ending::Passed)
}

fn a_number_is_chosen_in_a_namespace_and_not_on_the_host() -> Answer {
    let refused = Spawn::new("child").numbered(&[777]).run(|_| Ok(()));
    ensure!(matches!(refused, Err(Error::WouldChangeHost { kind: Kind::Pid, .. })), "{refused:?}");
    let mut outside = said(Child::spawn("outside", Namespaces::NONE, |me| {
        stage::enter(Namespaces::USER | Namespaces::PID)?;
        let mut init = Child::spawn("init", Namespaces::NONE, |me| {
            let mut chosen = Spawn::new("child").numbered(&[777]).run(|me| me.saw("getpid()", getpid()))?;
            me.tell(chosen.hear()?)?;
            let again = Spawn::new("child").numbered(&[1]).run(|_| Ok(()));
            me.saw("1, which is taken", Outcome::of(again)?)
        })?;
        init.hear_all()?.into_iter().try_for_each(|fact| me.tell(fact))
    }))?;
    ensure!(said(outside.hear())?.value == 777, "another number");
    ensure!(said(outside.hear())?.value == "EEXIST", "1 was given twice");
    Ok(Ending::Passed)
}

fn an_outliving_child_is_refused_on_the_host() -> Answer {
    let refused = Spawn::new("child").outlives_parent().run(|_| Ok(()));
    ensure!(matches!(refused, Err(Error::WouldChangeHost { kind: Kind::Pid, .. })), "{refused:?}");
    Ok(Ending::Passed)
}
