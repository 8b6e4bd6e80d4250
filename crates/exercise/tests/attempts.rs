//! Attempts at exercises on live processes: begun, looked at, spoilt, taken back.
//!
//! From the only thread, since the learners are children.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use exercise::{Attempt, Event, Exercise, Learner, Look, State, Store, clear};
use nix::unistd::{getgid, getpid, getuid};
use ns_core::idmap::IdMaps;
use ns_core::{
    Child, Kind, Namespaces, Pid, Reporter, Result, Signal, Spawn, cleanup, host, namespace, pids, probe,
    process, signals, until, uts,
};
use tempfile::TempDir;

#[path = "../../ns-core/tests/plain/mod.rs"]
mod plain;
#[path = "facts/spent.rs"]
mod spent;

use plain::Ending::{Passed, Skipped};
use plain::{Answer, Check};
use spent::processor_time;

const CHECKS: &[Check] = &[
    ("the_untouched_machine_meets_nothing", the_untouched_machine_meets_nothing),
    ("what_is_done_is_found", what_is_done_is_found),
    ("what_is_half_done_is_said", what_is_half_done_is_said),
    ("what_was_there_before_is_no_candidate", what_was_there_before_is_no_candidate),
    ("a_process_that_changes_is_one", a_process_that_changes_is_one),
    (
        "a_number_that_is_used_again_is_of_another_namespace",
        a_number_that_is_used_again_is_of_another_namespace,
    ),
    ("two_subjects_are_two_processes", two_subjects_are_two_processes),
    ("the_better_process_is_the_subject", the_better_process_is_the_subject),
    ("what_ends_is_met_no_more", what_ends_is_met_no_more),
    ("what_is_to_be_gone_has_to_be_there_first", what_is_to_be_gone_has_to_be_there_first),
    ("another_namespace_is_no_place_to_look_from", another_namespace_is_no_place_to_look_from),
    ("a_reset_ends_what_matched_and_nothing_else", a_reset_ends_what_matched_and_nothing_else),
    ("a_reset_leaves_what_was_there_before", a_reset_leaves_what_was_there_before),
    ("an_attempt_is_kept_and_goes_on", an_attempt_is_kept_and_goes_on),
    ("a_lost_snapshot_ends_an_attempt_in_one_line", a_lost_snapshot_ends_an_attempt_in_one_line),
    ("a_stranger_that_meets_a_part_is_left_alone", a_stranger_that_meets_a_part_is_left_alone),
    ("an_orphan_that_meets_all_of_it_is_ended", an_orphan_that_meets_all_of_it_is_ended),
    ("a_later_subject_is_found_among_many", a_later_subject_is_found_among_many),
    (
        "a_cgroup_that_was_made_is_removed_with_its_members",
        a_cgroup_that_was_made_is_removed_with_its_members,
    ),
    ("a_file_is_handed_out", a_file_is_handed_out),
    ("a_look_is_cheap", a_look_is_cheap),
];

fn main() -> ExitCode {
    signals::start_afresh().and_then(|()| host::remember()).expect("a procfs at /proc");
    let ended = if lacking().is_some() { plain::run(NOTHING) } else { plain::run(CHECKS) };
    if cleanup::finish().is_err() { ExitCode::FAILURE } else { ended }
}

const NOTHING: &[Check] = &[("a_machine_without_user_namespaces_has_no_learners", skip)];

/// Every learner here is root in a user namespace.
fn lacking() -> Option<String> {
    let found = probe::sandbox(Namespaces::USER | Namespaces::UTS).expect("a child that tries");
    found.map(|unmet| unmet.to_string())
}

fn skip() -> Answer {
    Ok(Skipped(lacking().unwrap_or_default()))
}

const HEAD: &str = r#"
title = "A test"
level = 1
lesson = "uts-demo"
minutes = 1
task = "Call it {name}."
explanation = "So it is."
[values]
name = "word"
"#;
const OWN_UTS: &str = "of = 'the shell'\nfact = 'namespace uts'\nnew = true";
const HOSTNAME: &str = "of = 'the shell'\nfact = 'hostname'\nis = '{name}'";

/// An attempt at an exercise with these requirements, among our own children.
fn begin(requirements: &[&str]) -> std::result::Result<Attempt, Box<dyn Error>> {
    let numbered = requirements.iter().enumerate();
    let asks: String = numbered.map(|(at, it)| format!("[[requirement]]\nname = 'r{at}'\n{it}\n")).collect();
    let exercise = Exercise::parse("a-test", &(HEAD.to_string() + &asks), "a-test.toml", &|_| None)?;
    let mut attempt = Attempt::begin(&exercise, &learner(), 1, Path::new("/nowhere"))?;
    attempt.within = Some(getpid());
    Ok(attempt)
}

fn learner() -> Learner {
    Learner { student: "ada".into(), uid: getuid().as_raw(), gid: getgid().as_raw(), ..Learner::default() }
}

/// A child that is root in new `namespaces`, has done `body`, and stays.
fn child(namespaces: Namespaces, body: impl FnOnce(&mut Reporter) -> Result<()>) -> Result<Child> {
    let maps = IdMaps::own(0, getuid().as_raw(), getgid().as_raw());
    let mut child = Spawn::new("child").namespaces(namespaces | Namespaces::USER).maps(maps).run(|me| {
        body(me)?;
        me.report("ready", "yes")?;
        me.stay()
    })?;
    child.fact()?;
    Ok(child)
}

/// A child with a UTS namespace of its own, and that hostname.
fn called(name: &str) -> Result<Child> {
    child(Namespaces::UTS, |_| uts::set_hostname(name))
}

fn name(attempt: &Attempt) -> String {
    attempt.values.get("name").unwrap_or_default().into()
}

fn met(look: &Look) -> Vec<bool> {
    look.requirements.iter().map(|judged| judged.met).collect()
}

fn the_untouched_machine_meets_nothing() -> Answer {
    let look = begin(&[OWN_UTS, HOSTNAME])?.look()?;
    assert_eq!(met(&look), [false, false]);
    let said = &look.requirements[0].sentence;
    assert_eq!(said, "no process is in a new UTS namespace: all that started since are in yours");
    assert!(!look.is_done());
    Ok(Passed)
}

fn what_is_done_is_found() -> Answer {
    let mut attempt = begin(&[OWN_UTS, HOSTNAME])?;
    let name = name(&attempt);
    let child = called(&name)?;
    let look = attempt.look()?;
    assert!(look.is_done(), "{look:?}");
    let who = format!("PID {} ({})", child.pid(), process::name(Some(child.pid()))?);
    assert_eq!(look.requirements[0].sentence, format!("{who} is in a new UTS namespace"));
    assert_eq!(look.requirements[1].sentence, format!("{who}: its hostname is {name}"));
    Ok(Passed)
}

fn what_is_half_done_is_said() -> Answer {
    let mut attempt = begin(&[OWN_UTS, HOSTNAME])?;
    let _child = child(Namespaces::UTS, |_| Ok(()))?;
    let look = attempt.look()?;
    assert_eq!(met(&look), [true, false]);
    let (name, host) = (name(&attempt), uts::hostname());
    let said = &look.requirements[1].sentence;
    assert!(said.ends_with(&format!("its hostname is still {host}; the task says {name}")), "{said}");
    Ok(Passed)
}

fn what_was_there_before_is_no_candidate() -> Answer {
    let name = name(&begin(&[HOSTNAME])?);
    let _child = called(&name)?;
    let look = begin(&[OWN_UTS, HOSTNAME])?.look()?;
    assert_eq!(met(&look), [false, false], "{look:?}");
    assert!(look.candidates.is_empty());
    Ok(Passed)
}

fn a_process_that_changes_is_one() -> Answer {
    let name = name(&begin(&[HOSTNAME])?);
    let mut child = Spawn::new("child").run(|me| {
        me.checkpoint()?;
        ns_core::sandbox::enter(Namespaces::USER | Namespaces::UTS)?;
        uts::set_hostname(&name)?;
        me.report("ready", "yes")?;
        me.stay()
    })?;
    let mut attempt = begin(&[OWN_UTS, HOSTNAME])?;
    assert_eq!(met(&attempt.look()?), [false, false]);
    child.wake()?;
    child.fact()?;
    assert!(attempt.look()?.is_done());
    Ok(Passed)
}

fn two_subjects_are_two_processes() -> Answer {
    let other = "of = 'another'\nfact = 'hostname'\ndiffers_from = 'the shell'";
    let same = "of = 'another'\nfact = 'namespace user'\nnew = true";
    let mut attempt = begin(&[OWN_UTS, HOSTNAME, other, same])?;
    let name = name(&attempt);
    let _first = called(&name)?;
    let look = attempt.look()?;
    assert_eq!(met(&look), [true, true, false, false], "one process is not both: {look:?}");
    let _second = called("another")?;
    let look = attempt.look()?;
    assert!(look.is_done(), "{look:?}");
    assert_ne!(look.requirements[0].subject, look.requirements[2].subject);
    Ok(Passed)
}

fn the_better_process_is_the_subject() -> Answer {
    let mut attempt = begin(&[OWN_UTS, HOSTNAME])?;
    let name = name(&attempt);
    let right = called(&name)?;
    let _newer = called("wrong")?;
    let look = attempt.look()?;
    assert_eq!(look.requirements[1].subject.map(|it| it.pid), Some(right.pid()));
    drop(right);
    assert_eq!(met(&attempt.look()?), [true, false]);
    Ok(Passed)
}

fn what_ends_is_met_no_more() -> Answer {
    let mut attempt = begin(&[OWN_UTS, HOSTNAME])?;
    let name = name(&attempt);
    for _ in 0..20 {
        let child = called(&name)?;
        assert!(attempt.look()?.is_done());
        drop(child);
        assert_eq!(met(&attempt.look()?), [false, false]);
    }
    Ok(Passed)
}

fn what_is_to_be_gone_has_to_be_there_first() -> Answer {
    let gone = &format!("{HOSTNAME}\nthen = 'gone'");
    let mut attempt = begin(&[gone])?;
    let name = name(&attempt);
    assert!(!attempt.look()?.is_done(), "never there");
    let child = called(&name)?;
    let look = attempt.look()?;
    assert!(!look.is_done(), "still there");
    let said = &look.requirements[0].sentence;
    assert!(said.ends_with(&format!("its hostname is {name}; in the end it is to be gone")), "{said}");
    drop(child);
    let look = attempt.look()?;
    assert_eq!(look.requirements[0].sentence, "the shell: it was there, and is gone");
    assert!(look.is_done());
    Ok(Passed)
}

fn another_namespace_is_no_place_to_look_from() -> Answer {
    let mut attempt = begin(&[OWN_UTS])?;
    let mut child = Spawn::new("child").namespaces(Namespaces::USER).run(move |me| {
        let refused = attempt.look().map_or_else(|error| error.to_string(), |look| format!("{look:?}"));
        me.report("refused", refused)
    })?;
    let said = child.fact()?.value.to_string();
    assert!(said.starts_with("this shell is in another user namespace than `start` was"), "{said}");
    Ok(Passed)
}

fn a_reset_ends_what_matched_and_nothing_else() -> Answer {
    let mut attempt = begin(&[OWN_UTS, HOSTNAME])?;
    let name = name(&attempt);
    let matched = called(&name)?;
    let other = Spawn::new("other").run(Reporter::stay)?;
    assert!(attempt.look()?.is_done());
    let cleared = clear(&attempt)?;
    assert_eq!(cleared.did.len(), 1, "{cleared:?}");
    assert!(cleared.did[0].starts_with(&format!("ended PID {} (", matched.pid())), "{cleared:?}");
    assert_eq!(cleared.left, [""; 0]);
    assert!(process::state(matched.pid()).is_err(), "it has ended, and was waited for");
    assert!(process::state(other.pid()).is_ok_and(|state| state != 'Z'), "it met nothing");
    assert_eq!(clear(&attempt)?, exercise::Cleared::default(), "nothing is left to do");
    Ok(Passed)
}

/// A child that goes into a UTS namespace of its own when it is woken.
fn going() -> Result<Child> {
    Spawn::new("old").run(|me| {
        me.checkpoint()?;
        ns_core::sandbox::enter(Namespaces::USER | Namespaces::UTS)?;
        me.report("ready", "yes")?;
        me.stay()
    })
}

fn a_number_that_is_used_again_is_of_another_namespace() -> Answer {
    // Others may take the number first.
    for _ in 0..100 {
        let mut old = going()?;
        let ending = called("ending")?;
        let uts = |child: &Child| namespace::of_kind(Some(child.pid()), Kind::Uts);
        let number = uts(&ending)?;
        let mut attempt = begin(&[OWN_UTS])?;
        drop(ending);
        old.wake()?;
        old.fact()?;
        if uts(&old)? == number {
            let look = attempt.look()?;
            assert!(look.is_done(), "{look:?}");
            return Ok(Passed);
        }
    }
    Ok(Skipped("the kernel uses no number again".into()))
}

fn a_reset_leaves_what_was_there_before() -> Answer {
    let host = uts::hostname();
    let mut old = going()?;
    let mut attempt = begin(&[OWN_UTS])?;
    old.wake()?;
    old.fact()?;
    assert!(attempt.look()?.is_done());
    let cleared = clear(&attempt)?;
    assert_eq!(cleared.did, [""; 0]);
    assert!(cleared.left[0].ends_with(": it was there before the attempt"), "{cleared:?}");
    assert!(process::state(old.pid()).is_ok_and(|state| state != 'Z'));
    assert_eq!(uts::hostname(), host);
    Ok(Passed)
}

/// A directory for a log, and the exercise of which attempts are kept there.
fn desk() -> std::result::Result<(TempDir, Store, Exercise), Box<dyn Error>> {
    let root = TempDir::new()?;
    let store = Store::open(root.path())?;
    let gone = &format!("{HEAD}[[requirement]]\nname = 'gone'\n{HOSTNAME}\nthen = 'gone'\n");
    Ok((root, store, Exercise::parse("a-test", gone, "a-test.toml", &|_| None)?))
}

fn an_attempt_is_kept_and_goes_on() -> Answer {
    let (root, store, exercise) = desk()?;
    let dir = store.make_dir("a-test")?;
    let mut attempt = Attempt::begin(&exercise, &learner(), 1, &dir)?;
    store.keep(&attempt)?;
    store.log_start(&attempt, &learner())?;
    let name = name(&attempt);
    let child = called(&name)?;
    let look = attempt.look()?;
    let (met, unmet) = (look.names(true), look.names(false));
    let (shown, trace) = (look.shown, look.trace);
    store.log(&attempt, Event::Checked { met, unmet, said: Vec::new(), by: "check".into(), shown, trace })?;
    drop(child);
    // Torn by whoever: the next line is whole all the same.
    fs::OpenOptions::new()
        .append(true)
        .open(root.path().join("exercises.jsonl"))?
        .write_all(b"{\"event\":")?;
    let state = store.state()?;
    assert_eq!(state, Store::so_far(root.path())?);
    drop(attempt);
    let Some(open) = state.open() else { return Err("no attempt is open".into()) };
    let mut again = store.attempt(&exercise, open)?;
    assert_eq!(again.values.get("name"), Some(name.as_str()));
    assert!(again.look()?.is_done(), "that it was there is remembered");
    store.log(&again, Event::Done)?;
    assert!(store.state()?.is_done("a-test"));
    assert_eq!(store.state()?.next("a-test"), 2);
    Ok(Passed)
}

fn a_lost_snapshot_ends_an_attempt_in_one_line() -> Answer {
    let (root, store, exercise) = desk()?;
    let attempt = Attempt::begin(&exercise, &learner(), 1, &store.make_dir("a-test")?)?;
    store.keep(&attempt)?;
    store.log_start(&attempt, &learner())?;
    fs::write(root.path().join("exercises/a-test.start.json"), "{")?;
    let state: State = store.state()?;
    let Some(open) = state.open() else { return Err("no attempt is open".into()) };
    let mut lost = store.attempt(&exercise, open)?;
    let Err(error) = lost.look() else { return Err("it was looked at".into()) };
    assert!(error.to_string().ends_with("begin another: inception exercise reset"), "{error}");
    let cleared = clear(&lost)?.without_dir(&lost.dir);
    assert_eq!(cleared, exercise::Cleared::default());
    assert!(!lost.dir.exists());
    Ok(Passed)
}

/// A process with a UTS namespace of its own that is nobody's child any more, as a daemon is. Dropping it ends it.
struct Orphan(i32, OwnedFd);

impl Orphan {
    fn called(name: &str) -> std::result::Result<Orphan, Box<dyn Error>> {
        let script =
            format!("setsid unshare -Ur --uts sh -c 'hostname {name}; echo $$; exec sleep 1000' & read -r _");
        let mut shell =
            Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(shell.stdout.take().ok_or("no pipe")?).read_line(&mut line)?;
        let pid = line.trim().parse()?;
        let pidfd = pids::open(Pid::from_raw(pid))?;
        drop(shell.stdin.take());
        shell.wait()?;
        // Its program is another in a moment, and what is said of it.
        until("sleep", || Ok((process::name(Some(Pid::from_raw(pid)))? == "sleep").then_some(())))?;
        Ok(Orphan(pid, pidfd))
    }

    fn lives(&self) -> bool {
        process::state(Pid::from_raw(self.0)).is_ok_and(|state| state != 'Z')
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        let _ = pids::signal(self.1.as_fd(), Signal::SIGKILL);
    }
}

fn a_stranger_that_meets_a_part_is_left_alone() -> Answer {
    let mut attempt = begin(&[OWN_UTS, HOSTNAME])?;
    attempt.within = None;
    let orphan = Orphan::called("another")?;
    attempt.look()?;
    let cleared = clear(&attempt)?;
    assert_eq!(cleared.did, [""; 0]);
    let pid = orphan.0;
    // On a busy machine, somebody else's may be the one that was looked at.
    let says = format!("PID {pid} (sleep): it may be something else; if it is yours, type: kill -9 {pid}");
    assert!(
        cleared.left.iter().all(|left| *left == says || !left.contains(&format!("PID {pid} "))),
        "{cleared:?}"
    );
    assert!(orphan.lives());
    Ok(Passed)
}

fn an_orphan_that_meets_all_of_it_is_ended() -> Answer {
    let mut attempt = begin(&[OWN_UTS, HOSTNAME])?;
    attempt.within = None;
    let orphan = Orphan::called(&name(&attempt))?;
    assert!(attempt.look()?.is_done());
    let cleared = clear(&attempt)?;
    assert_eq!(cleared.did, [format!("ended PID {} (sleep)", orphan.0)], "{cleared:?}");
    assert!(!orphan.lives());
    Ok(Passed)
}

fn a_later_subject_is_found_among_many() -> Answer {
    let visitor = [
        "of = 'the visitor'\nfact = 'namespace mnt'\nsame_as = 'you'",
        "of = 'the visitor'\nfact = 'namespace uts'\nsame_as = 'the shell'",
        "of = 'the visitor'\nfact = 'namespace user'\nsame_as = 'the shell'",
    ];
    let mut attempt = begin(&[&[OWN_UTS, HOSTNAME], &visitor[..]].concat())?;
    let name = name(&attempt);
    let shell = called(&name)?;
    let pidfd = pids::open(shell.pid())?;
    let mut guest = Spawn::new("visitor").run(|me| {
        namespace::enter_all_of(pidfd.as_fd(), Namespaces::USER | Namespaces::UTS)?;
        me.report("ready", "yes")?;
        me.stay()
    })?;
    guest.fact()?;
    // All of these are newer, and in the same mount namespace.
    let _crowd = (0..100).map(|_| Spawn::new("other").run(Reporter::stay)).collect::<Result<Vec<_>>>()?;
    let look = attempt.look()?;
    assert!(look.is_done(), "{look:?}");
    // They share all that is asked for, so either may be either.
    let found: BTreeSet<_> = look.requirements.iter().filter_map(|it| Some(it.subject?.pid)).collect();
    assert_eq!(found, BTreeSet::from([shell.pid(), guest.pid()]));
    Ok(Passed)
}

fn a_cgroup_that_was_made_is_removed_with_its_members() -> Answer {
    let text =
        HEAD.replace("minutes", "needs = ['controller pids']\nminutes").replace("Call", "In {cgroup}, call");
    let text = text
        + "[[requirement]]\nname = 'member'\nof = 'the shell'\nfact = 'cgroup pids'\ncontains = '/{name}'\n";
    let exercise = Exercise::parse("a-test", &text, "a-test.toml", &|_| None)?;
    if let Some(unmet) = exercise.needs[0].unmet()? {
        return Ok(Skipped(unmet.to_string()));
    }
    let mut attempt = Attempt::begin(&exercise, &learner(), 1, Path::new("/nowhere"))?;
    attempt.within = Some(getpid());
    let name = name(&attempt);
    let place = Path::new(attempt.values.get("cgroup").ok_or("no {cgroup}")?).join(&name);
    let (below, beside) = (place.join("below"), place.with_file_name(format!("{name}-beside")));
    let made = [&place, &below, &beside];
    made.iter().try_for_each(fs::create_dir)?;
    let member = Spawn::new("member").run(Reporter::stay)?;
    let unseen = clear(&attempt)?;
    assert_eq!(unseen.did.len(), 2, "what is called as a value: {unseen:?}");
    fs::create_dir(&place)?;
    fs::write(place.join("cgroup.procs"), member.pid().to_string())?;
    let found = attempt.look()?.is_done();
    let cleared = clear(&attempt)?;
    fs::remove_dir(&beside)?;
    assert!(found);
    assert_eq!(cleared.did.len(), 2, "{cleared:?}");
    assert!(!place.exists());
    assert!(process::state(member.pid()).is_err(), "it has ended, and was waited for");
    Ok(Passed)
}

fn a_file_is_handed_out() -> Answer {
    let root = TempDir::new()?;
    let text = HEAD.replace("minutes", "files = ['docs/c/a.c']\nminutes")
        + "[[requirement]]\nname = 'r'\n"
        + HOSTNAME;
    let exercise = Exercise::parse("a-test", &text, "a-test.toml", &|path| Some(format!("/* {path} */")))?;
    let store = Store::open(root.path())?;
    let attempt = Attempt::begin(&exercise, &learner(), 1, &store.make_dir("a-test")?)?;
    store.keep(&attempt)?;
    assert_eq!(fs::read_to_string(attempt.dir.join("a.c"))?, "/* docs/c/a.c */");
    Ok(Passed)
}

fn a_look_is_cheap() -> Answer {
    let mut attempt = begin(&[OWN_UTS, HOSTNAME])?;
    let name = name(&attempt);
    let _children = (0..30).map(|_| called(&name)).collect::<Result<Vec<_>>>()?;
    let began = processor_time()?;
    for _ in 0..10 {
        assert!(attempt.look()?.is_done());
    }
    let each = (processor_time()? - began) / 10;
    assert!(each.as_millis() < 200, "{each:?}");
    Ok(Passed)
}
