//! What every experiment promises, whichever it is: tested by running it and reading its events, as a user would.
//!
//! A trial a promise and experiment. As root, each runs a second time as an ordinary user.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use lesson::{ClaimHead, Event, Verdict};
use libtest_mimic::{Arguments, Failed, Trial};

/// A user and group that no system gives to anyone.
const STRANGER: u32 = 64_321;

/// An experiment's binary, and who runs it.
#[derive(Clone)]
struct Subject {
    name: String,
    program: PathBuf,
    as_stranger: bool,
}

type Promise = fn(&Subject) -> Result<(), Failed>;

const PROMISES: &[(&str, Promise)] = &[
    ("every_verdict_is_as_expected", every_verdict_is_as_expected),
    ("no_claim_holds_under_sabotage", no_claim_holds_under_sabotage),
    ("every_claim_is_settled_once", every_claim_is_settled_once),
    ("two_runs_read_alike", two_runs_read_alike),
    ("lines_fit_and_colour_adds_nothing", lines_fit_and_colour_adds_nothing),
    ("misuse_gets_one_line_and_exit_2", misuse_gets_one_line_and_exit_2),
    ("lost_output_is_told", lost_output_is_told),
    ("a_skip_fails_when_it_must_run", a_skip_fails_when_it_must_run),
    ("a_hostile_start_changes_nothing", a_hostile_start_changes_nothing),
    ("nothing_is_left_after_a_kill", nothing_is_left_after_a_kill),
    ("help_leads_with_examples", help_leads_with_examples),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let root = nix::unistd::getuid().is_root();
    let shared = SharedCopy::new();
    let mut trials = Vec::new();
    for (name, program) in experiments() {
        for as_stranger in if root { [false, true].as_slice() } else { &[false] } {
            let program = if *as_stranger { shared.copy(&program) } else { program.clone() };
            let subject = Subject { name: name.clone(), program, as_stranger: *as_stranger };
            for (promise, check) in PROMISES {
                let who = if *as_stranger { "as_an_ordinary_user::" } else { "" };
                let (subject, check) = (subject.clone(), *check);
                trials.push(Trial::test(format!("{name}::{who}{promise}"), move || check(&subject)));
            }
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(shared);
    conclusion.exit_code()
}

/// Every crate beside this one whose library is `lesson` is an experiment; its binary stands beside ours.
fn experiments() -> BTreeMap<String, PathBuf> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is in a folder");
    let here = std::env::current_exe().expect("this program has a path");
    let binaries = here.parent().and_then(Path::parent).expect("tests are built two folders down");
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(crates).expect("crates/ can be listed").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let manifest = fs::read_to_string(entry.path().join("Cargo.toml")).unwrap_or_default();
        if manifest.contains("\nlesson.workspace = true") && name != "inception" {
            let program = binaries.join(&name);
            assert!(program.is_file(), "{} is missing: cargo build --workspace", program.display());
            found.insert(name, program);
        }
    }
    found
}

/// A folder from which an ordinary user can run what was built in a home that is closed to him.
struct SharedCopy(PathBuf);

impl SharedCopy {
    fn new() -> SharedCopy {
        use std::os::unix::fs::PermissionsExt;
        let path = std::env::temp_dir().join(format!("inception-tests-{}", std::process::id()));
        fs::create_dir_all(&path).expect("the temporary directory can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("our own folder");
        SharedCopy(path)
    }

    fn copy(&self, program: &Path) -> PathBuf {
        let copy = self.0.join(program.file_name().expect("a program has a name"));
        fs::copy(program, &copy).expect("the temporary directory has room");
        copy
    }
}

impl Drop for SharedCopy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Subject {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).stdin(Stdio::null()).env_remove("LAB_MUST_RUN").env_remove("CLICOLOR_FORCE");
        if self.as_stranger {
            command.uid(STRANGER).gid(STRANGER);
            command.current_dir("/");
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Result<Output, Failed> {
        Ok(self.command(arguments).output()?)
    }

    fn transcript(&self, arguments: &[&str]) -> Result<Transcript, Failed> {
        let output = self.run(&[&["--format", "jsonl"], arguments].concat())?;
        Transcript::read(&output)
    }
}

/// A run as data.
struct Transcript {
    status: Option<i32>,
    claims: Vec<ClaimHead>,
    verdicts: Vec<(String, Verdict)>,
    surprises: Vec<String>,
    broken: Option<String>,
    sabotage: bool,
}

impl Transcript {
    fn read(output: &Output) -> Result<Transcript, Failed> {
        let mut read = Transcript {
            status: output.status.code(),
            claims: Vec::new(),
            verdicts: Vec::new(),
            surprises: Vec::new(),
            broken: Some(format!("no end; on standard error: {}", String::from_utf8_lossy(&output.stderr))),
            sabotage: false,
        };
        for line in String::from_utf8(output.stdout.clone())?.lines() {
            match serde_json::from_str(line)? {
                Event::Begin { claims, sabotage, .. } => (read.claims, read.sabotage) = (claims, sabotage),
                Event::Judged { claim, verdict, expected, without, with } => {
                    if !expected {
                        read.surprises.push(format!("{claim} {verdict:?}: {without:?} | {with:?}"));
                    }
                    read.verdicts.push((claim, verdict));
                }
                Event::Skipped { claim, .. } => read.verdicts.push((claim, Verdict::Skipped)),
                Event::End { broken, status, .. } => {
                    ensure(Some(i32::from(status)) == read.status, || {
                        format!("says status {status}, exits {:?}", read.status)
                    })?;
                    read.broken = broken;
                }
                _ => {}
            }
        }
        Ok(read)
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.verdicts.iter().filter(|(_, own)| *own == verdict).count()
    }
}

fn ensure(condition: bool, complaint: impl FnOnce() -> String) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(complaint().into()) }
}

fn every_verdict_is_as_expected(subject: &Subject) -> Result<(), Failed> {
    let run = subject.transcript(&[])?;
    ensure(run.broken.is_none(), || format!("broken: {:?}", run.broken))?;
    ensure(run.surprises.is_empty(), || run.surprises.join("\n"))?;
    ensure(matches!(run.status, Some(0 | 77)), || format!("exits {:?}", run.status))
}

fn no_claim_holds_under_sabotage(subject: &Subject) -> Result<(), Failed> {
    let run = subject.transcript(&["--sabotage"])?;
    ensure(run.broken.is_none(), || format!("broken: {:?}", run.broken))?;
    ensure(run.sabotage, || "the transcript does not say that it is sabotaged".into())?;
    let holds: Vec<_> = run.verdicts.iter().filter(|(_, verdict)| *verdict == Verdict::Holds).collect();
    ensure(holds.is_empty(), || format!("these hold without their cause: {holds:?}"))?;
    let all_skipped = run.count(Verdict::Skipped) == run.verdicts.len();
    ensure(run.status == Some(if all_skipped { 77 } else { 1 }), || format!("exits {:?}", run.status))
}

fn every_claim_is_settled_once(subject: &Subject) -> Result<(), Failed> {
    let run = subject.transcript(&[])?;
    let declared: Vec<_> = run.claims.iter().map(|claim| claim.id.as_str()).collect();
    let unique: BTreeSet<_> = declared.iter().collect();
    ensure(unique.len() == declared.len(), || format!("an id stands twice: {declared:?}"))?;
    let settled: BTreeSet<_> = run.verdicts.iter().map(|(claim, _)| claim.as_str()).collect();
    ensure(settled == declared.iter().copied().collect(), || {
        format!("declared {declared:?}, settled {settled:?}")
    })?;
    ensure(run.verdicts.len() == declared.len(), || "a claim was settled twice".into())?;
    for claim in &run.claims {
        let ClaimHead { id, text, cause, .. } = claim;
        ensure(
            id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
            || format!("the id {id:?}"),
        )?;
        ensure(!cause.is_empty(), || format!("{id} names no cause"))?;
        ensure(text.ends_with('.') && text.len() <= 140, || format!("{id} is no short sentence: {text:?}"))?;
        ensure(!claim.notes.is_empty() || !claim.more.is_empty(), || format!("{id} answers to no number"))?;
        if let Some(correction) = &claim.correction {
            let right = run.claims.iter().find(|other| other.id == *correction);
            let expect = right.map(|right| right.expect.as_str());
            ensure(expect.is_some_and(|it| it != "refuted"), || {
                format!("{id} is corrected by {correction:?}, which is {expect:?}")
            })?;
        }
    }
    let listed = subject.run(&["--list-claims", "--format", "jsonl"])?;
    let listed: Vec<ClaimHead> =
        String::from_utf8(listed.stdout)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure(listed == run.claims, || "--list-claims lists other claims".into())
}

fn two_runs_read_alike(subject: &Subject) -> Result<(), Failed> {
    let first = subject.run(&["--stable"])?;
    for _ in 0..3 {
        let again = subject.run(&["--stable"])?;
        let differ = |a: &[u8], b: &[u8]| {
            let (a, b) = (String::from_utf8_lossy(a).into_owned(), String::from_utf8_lossy(b).into_owned());
            a.lines().zip(b.lines()).find(|(a, b)| a != b).map(|(a, b)| format!("{a:?} and {b:?}"))
        };
        ensure(again.stdout == first.stdout, || format!("{:?}", differ(&first.stdout, &again.stdout)))?;
    }
    Ok(())
}

fn lines_fit_and_colour_adds_nothing(subject: &Subject) -> Result<(), Failed> {
    for width in ["20", "40", "60", "80", "200"] {
        let output = subject.run(&["--stable", "--width", width])?;
        let text = String::from_utf8(output.stdout)?;
        ensure(!text.contains('\x1b'), || "an escape sequence goes into a pipe".into())?;
        let mut is_command = false;
        for line in text.lines() {
            is_command = match line.trim_start() {
                // What is typed stays whole where it cannot be broken without saying something else.
                typed if typed.starts_with("by hand  $ ") => true,
                shown if shown.is_empty() || shown.starts_with("- ") => false,
                _ => is_command,
            };
            let columns = unicode_width::UnicodeWidthStr::width(line);
            ensure(is_command || columns <= width.parse()?, || {
                format!("{columns} columns of {width}: {line:?}")
            })?;
        }
    }
    let plain = subject.command(&["--stable", "--width", "80"]).env("NO_COLOR", "1").output()?;
    let coloured = subject.run(&["--stable", "--width", "80", "--color", "always"])?;
    ensure(coloured.stdout.contains(&b'\x1b'), || "--color always gives no colour".into())?;
    let stripped = anstream::adapter::strip_bytes(&coloured.stdout).into_vec();
    ensure(stripped == plain.stdout, || "colour changes the words".into())
}

fn one_line(output: &Output, status: i32) -> Result<String, Failed> {
    let text = String::from_utf8(output.stderr.clone())?;
    ensure(output.status.code() == Some(status), || format!("{}: {text}", output.status))?;
    ensure(text.lines().count() == 1, || format!("not one line: {text}"))?;
    ensure(!text.contains("panicked") && !text.contains('\x1b'), || format!("{text:?}"))?;
    Ok(text)
}

fn misuse_gets_one_line_and_exit_2(subject: &Subject) -> Result<(), Failed> {
    for (arguments, named) in [
        (["--format", "xml"].as_slice(), "xml"),
        (&["--moon"], "--moon"),
        (&["--width", "3"], "3"),
        (&["--color"], "--color"),
        (&["--width", "\x1b[2J"], "--width"),
    ] {
        let output = subject.run(arguments)?;
        let line = one_line(&output, 2)?;
        ensure(line.contains(named), || format!("{arguments:?} is not named: {line}"))?;
        ensure(output.stdout.is_empty(), || "something was printed all the same".into())?;
    }
    let garbled = subject.command(&[]).arg(OsStr::from_bytes(b"\xff\xfe")).output()?;
    one_line(&garbled, 2).map(drop)
}

fn lost_output_is_told(subject: &Subject) -> Result<(), Failed> {
    for (redirection, status, said) in [
        (">&-", 2, "standard output is closed"),
        (">/dev/full", 2, "cannot write the output"),
        ("| :", 0, ""),
    ] {
        for format in ["text", "jsonl"] {
            let line = format!("set -o pipefail; \"$0\" --format {format} {redirection}");
            let mut shell = Command::new("bash");
            shell.args(["-c", &line]).arg(&subject.program).stdin(Stdio::null());
            if subject.as_stranger {
                shell.uid(STRANGER).gid(STRANGER).current_dir("/");
            }
            let output = shell.output()?;
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            ensure(
                output.status.code() == Some(status) || (status == 0 && output.status.code() == Some(77)),
                || format!("{redirection}: {}: {text}", output.status),
            )?;
            ensure(text.contains(said) && text.lines().count() == usize::from(status == 2), || {
                format!("{redirection}: says {text:?}")
            })?;
        }
    }
    Ok(())
}

fn a_skip_fails_when_it_must_run(subject: &Subject) -> Result<(), Failed> {
    let relaxed = subject.transcript(&[])?;
    let strict = subject.transcript(&["--must-run"])?;
    let from_environment = subject.command(&["--format", "jsonl"]).env("LAB_MUST_RUN", "1").output()?;
    ensure(from_environment.status.code() == strict.status, || "LAB_MUST_RUN=1 is no --must-run".into())?;
    let wanted = if relaxed.count(Verdict::Skipped) > 0 { Some(1) } else { relaxed.status };
    ensure(strict.status == wanted, || format!("exits {:?} instead of {wanted:?}", strict.status))
}

fn a_hostile_start_changes_nothing(subject: &Subject) -> Result<(), Failed> {
    let usual = subject.transcript(&[])?.verdicts;
    // Signals ignored or blocked by the parent, no environment, descriptors closed: none is the experiment's fault.
    let mut starts: Vec<&[&str]> = vec![
        &["env", "--ignore-signal=CHLD,INT,QUIT,TERM,USR1,SEGV", "--block-signal=TERM,INT"],
        &["env", "-i"],
        &["bash", "-c", "exec \"$@\" <&- 2>&-", "bash"],
    ];
    if nix::unistd::getuid().is_root() && !subject.as_stranger {
        // As the only member of namespaces, whose numbers are free once it leaves them.
        starts.push(&["unshare", "--mount", "--propagation", "unchanged", "--uts", "--ipc"]);
    }
    for start in starts {
        let mut command = Command::new(start[0]);
        command.args(&start[1..]).arg(&subject.program).args(["--format", "jsonl"]).stdin(Stdio::null());
        if subject.as_stranger {
            command.uid(STRANGER).gid(STRANGER).current_dir("/");
        }
        let run = Transcript::read(&command.output()?)?;
        ensure(run.broken.is_none(), || format!("{start:?}: broken: {:?}", run.broken))?;
        ensure(run.verdicts == usual, || format!("{start:?}: {:?} instead of {usual:?}", run.verdicts))?;
    }
    Ok(())
}

fn help_leads_with_examples(subject: &Subject) -> Result<(), Failed> {
    let output = subject.run(&["--help"])?;
    let text = String::from_utf8(output.stdout)?;
    ensure(output.status.success(), || format!("{}", output.status))?;
    let (examples, usage) = (text.find("Examples:"), text.find("Usage:"));
    ensure(examples.is_some() && examples < usage, || format!("no examples before the usage: {text}"))?;
    for line in text.lines() {
        ensure(line.len() <= 100, || format!("{} columns: {line:?}", line.len()))?;
    }
    Ok(())
}

/// Every process whose environment holds `token`, by the names of its programs.
fn who_carries(token: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.windows(token.len()).any(|window| window == token.as_bytes()) {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            found.push(format!("{} {}", entry.file_name().to_string_lossy(), name.trim()));
        }
    }
    found
}

/// What on the host an experiment could have changed.
fn host_state() -> Result<(String, Vec<String>), Failed> {
    let hostname = fs::read_to_string("/proc/sys/kernel/hostname")?;
    let mounts = fs::read_to_string("/proc/self/mountinfo")?.lines().map(ToString::to_string).collect();
    Ok((hostname, mounts))
}

/// Cgroups with our prefix whose name holds this PID.
fn cgroups_of(pid: u32) -> Vec<PathBuf> {
    let prefix = format!("inception-{pid}-");
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().starts_with(&prefix) {
                    found.push(entry.path());
                }
                folders.push(entry.path());
            }
        }
    }
    found
}

fn nothing_is_left_after_a_kill(subject: &Subject) -> Result<(), Failed> {
    let began = Instant::now();
    subject.run(&["--format", "jsonl"])?;
    let whole = began.elapsed();
    let before = host_state()?;
    let token =
        format!("INCEPTION_TOKEN={}-{}-{}", subject.name, std::process::id(), u8::from(subject.as_stranger));
    let (key, value) = token.split_once('=').unwrap_or_default();
    for moment in 1..=12_u32 {
        let mut run = subject.command(&["--format", "jsonl"]);
        let mut child =
            run.env(key, value).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0).spawn()?;
        let until = Instant::now() + whole * moment / 12;
        while Instant::now() < until {
            std::thread::yield_now();
        }
        child.kill()?;
        let status = child.wait()?;
        // Its output ends when the last process that holds it is gone.
        let mut output = String::new();
        child.stdout.take().map(|mut out| out.read_to_string(&mut output)).transpose()?;
        ensure(status.signal() == Some(9) || status.code().is_some(), || format!("{status}"))?;
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let (left, cgroups) = (who_carries(&token), cgroups_of(child.id()));
            if left.is_empty() && cgroups.is_empty() {
                break;
            }
            ensure(Instant::now() < deadline, || {
                format!("killed at moment {moment} of 12: left are {left:?} {cgroups:?}")
            })?;
            std::thread::yield_now();
        }
    }
    let after = host_state()?;
    ensure(after == before, || format!("the host changed: {before:?} to {after:?}"))
}
