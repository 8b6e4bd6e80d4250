//! Every command that an experiment shows to be typed by hand is typed, and prints what stands below it.
//!
//! A trial is a session: the commands of a step, in one shell, as the user whom they are for. What a machine lacks is seen
//! as an ignored trial, with the reason. A command without a declared output is not run; how many there are is counted.
//! BY_HAND_RESULTS=FILE adds to that what became of each session, a JSON object a line; BY_HAND_AS=root or user runs the
//! sessions of the one alone, BY_HAND_ALL=1 those without a declared output too, and BY_HAND_NEEDY=1 those alone that
//! need what few machines have. BY_HAND_CHECKOUT is where the walkthroughs are, for a test that was carried to another
//! machine.

#[path = "../built/mod.rs"]
mod built;
mod lesson;
#[path = "../shell/mod.rs"]
mod shell;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use serde_json::{Value, json};
use transcript::{Hand, Need};

use lesson::Session;
use shell::machine::{self, PACKAGES};
use shell::run::{self, Place, Printed, Script};
use shell::value::{Found, Reading};

/// So many commands have no declared output yet. The number may only fall.
const UNKNOWN: usize = 0;
/// So many columns has what is shown of a line, at 80 columns.
const COLUMNS: usize = 66;
/// So many lines are shown of an output: more say less.
const LINES: usize = 4;
/// A session has so long for each of its commands, and so long in all: an emulated machine is slow to start a program.
const FOR_EACH: Duration = Duration::from_secs(10);
const AT_LEAST: Duration = Duration::from_secs(30);
const AT_MOST: Duration = Duration::from_secs(240);

/// Where the sessions are run, and where is written what became of them.
struct Bench {
    checkout: PathBuf,
    programs: PathBuf,
    root: bool,
    results: Option<Mutex<File>>,
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(2));
    let results = std::env::var_os("BY_HAND_RESULTS").map(|path| {
        let file = File::options().append(true).create(true).open(&path);
        Mutex::new(file.unwrap_or_else(|error| panic!("{}: {error}", path.to_string_lossy())))
    });
    let driver = driver();
    let bench = Arc::new(Bench {
        checkout: checkout(),
        programs: built::programs(&driver),
        root: nix::unistd::getuid().is_root(),
        results,
    });
    // Of one experiment no other is asked what it shows: an emulated machine takes seconds for all.
    let only = arguments.filter.as_deref().and_then(|filter| Some(filter.split_once('/')?.0));
    let sessions: Vec<Session> = lesson::experiments(&bench.checkout, &bench.programs)
        .iter()
        .filter(|program| only.is_none_or(|only| program.ends_with(only)))
        .flat_map(|program| lesson::sessions(program))
        .collect();
    let mut trials = checks(&sessions);
    for (number, session) in sessions.into_iter().enumerate() {
        let bench = bench.clone();
        trials.push(Trial::ignorable_test(session.name(), move || look(&bench, &session, number)));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The driver that cargo says; of a test that was carried to another machine, the one that is installed there.
fn driver() -> PathBuf {
    let cargo =
        std::env::var("CARGO_BIN_EXE_inception").unwrap_or_else(|_| env!("CARGO_BIN_EXE_inception").into());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::env::split_paths(&path).map(|folder| folder.join("inception"));
    [PathBuf::from(cargo)]
        .into_iter()
        .chain(installed)
        .find(|path| path.is_file())
        .expect("inception is built")
}

/// The one that cargo says; of a test that was carried to another machine, the one that its caller says.
fn checkout() -> PathBuf {
    let carried = std::env::var_os("BY_HAND_CHECKOUT").map(PathBuf::from);
    carried.unwrap_or_else(|| {
        let cargo = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").into());
        Path::new(&cargo).join("../..").canonicalize().expect("the checkout is there")
    })
}

/// Runs a session where that is possible, and compares. On a busy machine a background process may be late for the next
/// line: what printed another is typed once more, and alone.
fn look(bench: &Bench, session: &Session, number: usize) -> Result<Completion, Failed> {
    type_it(bench, session, number, false).or_else(|_| type_it(bench, session, 1000 + number, true))
}

fn type_it(bench: &Bench, session: &Session, number: usize, again: bool) -> Result<Completion, Failed> {
    if let Some(why) = missing(bench, session) {
        bench.tell(session, &json!({"result": "skipped", "why": why}));
        return Ok(Completion::ignored_with(why));
    }
    let can = |hand: &Hand| hand.about.needs.iter().all(|need| is_there(bench, *need));
    let typed: Vec<&(usize, Hand)> = session.typed.iter().filter(|(_, hand)| can(hand)).collect();
    let commands: Vec<&str> = typed.iter().map(|(_, hand)| hand.command.as_str()).collect();
    let script = Script {
        as_root: session.as_root,
        cgroup: session.needs().iter().any(|need| matches!(need, Need::Cgroup | Need::Controllers)),
        docker: session.needs().contains(&Need::Docker),
        machine: session.needs().iter().any(|need| matches!(need, Need::Systemd)),
        may_leave: true,
        before: None,
        commands,
    };
    let for_all = FOR_EACH * u32::try_from(session.typed.len())?;
    let at_most = for_all.clamp(AT_LEAST, AT_MOST);
    let Bench { checkout, programs, root, .. } = bench;
    let place = Place { checkout: checkout.clone(), programs: programs.clone(), root: *root, at_most };
    /// What changes the whole machine, or starts an engine, is typed alone.
    static ALONE: RwLock<()> = RwLock::new(());
    let is_alone = again || script.docker || session.needs().contains(&Need::ThrowAway);
    let (_alone, _beside) = if is_alone { (Some(ALONE.write()), None) } else { (None, Some(ALONE.read())) };
    let printed = run::run(&place, &script, number).inspect_err(|why| {
        bench.tell(session, &json!({"result": "failed", "why": why}));
    })?;
    let mut found = Found::default();
    let faults: String = (typed.iter().zip(&printed))
        .filter_map(|((step, hand), printed)| fault(*step, hand, printed, &mut found))
        .collect();
    let left_out = session.typed.len() - typed.len();
    let typed = typed.iter().zip(&printed).map(|((step, hand), Printed { status, text })| {
        json!({"step": step, "command": hand.command, "printed": text, "status": status})
    });
    let result = if faults.is_empty() { "passed" } else { "failed" };
    bench.tell(
        session,
        &json!({"result": result, "why": faults, "left_out": left_out, "typed": typed.collect::<Vec<_>>()}),
    );
    if faults.is_empty() { Ok(Completion::Completed) } else { Err(faults.into()) }
}

/// What is not as declared. `found` are the samples of the commands before.
fn fault(step: usize, hand: &Hand, printed: &Printed, found: &mut Found) -> Option<String> {
    let Hand { command, about } = hand;
    let mut faults = String::new();
    if let Some(said) = &about.prints {
        match agree(said, &printed.text, found) {
            Some(samples) => *found = samples,
            None => {
                let said = said.iter().fold(String::new(), |all, line| all + "→ " + line + "\n");
                let _ = write!(faults, "is to print:\n{said}prints:\n{}\n", printed.text);
            }
        }
    }
    if about.status.is_some_and(|status| status != printed.status) {
        let _ = writeln!(faults, "is to exit with {:?}, exits with {}", about.status, printed.status);
    }
    (!faults.is_empty()).then(|| format!("step {step}: {command}\n{faults}"))
}

fn agree(said: &[String], printed: &str, found: &Found) -> Option<Found> {
    let printed = printed.replace('\t', " ");
    let lines: Vec<&str> = printed.lines().collect();
    let reading = Reading { values: &BTreeMap::new(), columns: true, abridged: true };
    reading.agree(said, &lines, found)
}

/// Why a session is not run here.
fn missing(bench: &Bench, session: &Session) -> Option<String> {
    let asked = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    let unknown = session.unknown();
    if unknown > 0 && !asked("BY_HAND_ALL", "1") {
        return Some(format!("{unknown} of its {} commands have no declared output", session.typed.len()));
    }
    if session.as_root && !bench.root {
        return Some("needs root: sudo".into());
    }
    if asked("BY_HAND_NEEDY", "1") && session.typed.iter().all(|(_, hand)| hand.about.needs.is_empty()) {
        return Some("it needs nothing: typed on every machine".into());
    }
    let only_root = asked("BY_HAND_AS", "root") || !bench.checkout.join("scripts/ordinary").is_file();
    if bench.root && !session.as_root && only_root {
        return Some("an ordinary user types it: run as one".into());
    }
    if session.as_root && asked("BY_HAND_AS", "user") {
        return Some("root types it".into());
    }
    if let Some(need) = session.needs().iter().find(|need| !is_there(bench, **need)) {
        return Some(format!("needs {}", need.sentence()));
    }
    let mut lacking = PACKAGES.iter().filter(|(program, _)| {
        !machine::has(program) && session.typed.iter().any(|(_, hand)| machine::types(&hand.command, program))
    });
    lacking.next().map(|(program, package)| format!("needs {program}: apt install {package}"))
}

fn is_there(bench: &Bench, need: Need) -> bool {
    match need {
        Need::Cgroup => machine::has_a_cgroup(bench.root),
        Need::Controllers => machine::has_controllers(),
        Need::V1 => machine::has_v1(),
        Need::Systemd => machine::has_systemd(),
        Need::ThrowAway => {
            let line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
            line.split_whitespace().any(|word| word == "inception.throwaway")
        }
        Need::X86 => cfg!(target_arch = "x86_64"),
        Need::Docker => machine::has_docker(bench.root),
        Need::Capabilities => machine::has_every_capability(),
        Need::Kernel(major, minor) => machine::kernel() >= (major, minor),
    }
}

impl Bench {
    /// Writes what became of a session.
    fn tell(&self, session: &Session, what: &Value) {
        let Some(results) = &self.results else { return };
        let mut line = json!({
            "left_out": 0,
            "kernel": machine::release(),
            "user": if session.as_root { "root" } else { "an ordinary user" },
            "session": session.name(),
            "commands": session.typed.len(),
            "unknown": session.unknown(),
        });
        let more = what.as_object().cloned().unwrap_or_default();
        line.as_object_mut().expect("it is one").extend(more);
        let written = results.lock().map(|mut file| writeln!(file, "{line}"));
        assert!(written.is_ok_and(|written| written.is_ok()), "BY_HAND_RESULTS cannot be written");
    }
}

// --- What is looked for without a run ---

fn checks(sessions: &[Session]) -> Vec<Trial> {
    let unknown: usize = sessions.iter().map(Session::unknown).sum();
    let faults: String =
        sessions.iter().flat_map(written_wrongly).fold(String::new(), |all, fault| all + &fault + "\n");
    vec![
        Trial::test("the_commands_without_an_output_get_fewer", move || match unknown {
            UNKNOWN => Ok(()),
            more if more > UNKNOWN => Err(format!("{more} commands have none, {UNKNOWN} may").into()),
            fewer => {
                Err(format!("{fewer} commands have none: write that to UNKNOWN, tests/by_hand/main.rs")
                    .into())
            }
        }),
        Trial::test("what_is_declared_is_short_and_anyone_can_type_it", move || {
            if faults.is_empty() { Ok(()) } else { Err(faults.into()) }
        }),
        Trial::test("another_output_is_noticed", || another_output_is_noticed().map_err(Into::into)),
    ]
}

fn written_wrongly(session: &Session) -> Vec<String> {
    let mut faults = Vec::new();
    let known = session.unknown() == 0;
    for (step, Hand { command, about }) in session.typed.iter().filter(|_| known) {
        let mut say = |what: &str| faults.push(format!("{}, step {step}: {what}: {command}", session.name()));
        if machine::types(command, "sudo") {
            say("not everyone has sudo: as_root()");
        }
        let lines = about.prints.as_deref().unwrap_or_default();
        if lines.len() > LINES || lines.iter().any(|line| line.chars().count() > COLUMNS) {
            say(&format!("more than {LINES} lines of {COLUMNS} columns"));
        }
    }
    faults
}

fn another_output_is_noticed() -> Result<(), String> {
    for (said, printed, right) in [
        ("", "", true),
        ("", "x", false),
        ("a\nb", "a\nb", true),
        ("a\nb", "a\nb\nc", false),
        ("a\n…", "a\nb\nc", true),
        ("a … d", "a b c d", true),
        ("a … d", "a b c", false),
        ("PID 1", "PID\t  1", true),
        ("PID 1", "PID\t  12", false),
        ("EPERM", "unshare: unshare failed: Operation not permitted", true),
        ("EPERM", "unshare: unshare failed: Invalid argument", false),
        ("EPERM", "EPERM", true),
        ("sh: …: EPERM", "sh: 1: Operation not permitted", true),
        ("EVERYONE", "EVERYONE", true),
        ("<name>: <name>", "a: a", true),
        ("<name>: <name>", "a: b", false),
        ("<pid A> <pid B>", "7 8", true),
        ("<pid A> <pid B>", "7 7", false),
        ("<pid A> <name A>", "7 7", true),
        ("<NO> <a>", "<NO> <a>", true),
        ("<NO>", "NO", false),
    ] {
        let lines: Vec<String> = said.lines().map(str::to_string).collect();
        if agree(&lines, printed, &Found::default()).is_some() != right {
            return Err(format!("{said:?} and {printed:?}"));
        }
    }
    Ok(())
}
