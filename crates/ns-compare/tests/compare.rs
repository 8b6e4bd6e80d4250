//! `ns-compare PID PID…` and `ns-compare --list`, run as a user would run them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use ns_core::Value;
use transcript::{Event, Table};

/// An ID that no user and no group of a system has.
const STRANGER: u32 = 64_321;

fn ns_compare(arguments: &[impl AsRef<OsStr>]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ns-compare"));
    command.args(arguments).stdin(Stdio::null()).output().expect("ns-compare runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("ns-compare writes UTF-8")
}

/// The one line that it writes to standard error before it exits with status 2.
fn complaint(arguments: &[impl AsRef<OsStr>]) -> String {
    refusal(&ns_compare(arguments))
}

fn refusal(output: &Output) -> String {
    let line = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(output.stdout.is_empty(), "something was printed all the same: {}", text(&output.stdout));
    line
}

fn events(output: &Output) -> Vec<Event> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("an event a line")).collect()
}

/// The rows of the first table.
fn first_table(output: &Output) -> Vec<Vec<Value>> {
    let rows = events(output).into_iter().find_map(|event| match event {
        Event::Table(Table { rows, .. }) => Some(rows),
        _ => None,
    });
    rows.unwrap_or_else(|| panic!("no table: {output:?}"))
}

/// The kinds of the rows with `word`.
fn kinds_with(output: &Output, word: &str) -> Vec<String> {
    let rows = first_table(output).into_iter().filter(|row| row[2] == *word);
    rows.map(|row| row[0].to_string()).collect()
}

/// A process of the test, which ends with its children when the test ends.
struct Sleeper(Child);

impl Sleeper {
    /// Runs `command`, and waits until it has become the program called `name`.
    fn spawn(command: &[&str], name: &str) -> Sleeper {
        let mut program = Command::new(command[0]);
        program.args(&command[1..]).stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0);
        let sleeper = Sleeper(program.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")));
        sleeper.wait_until(|comm, state| comm == name && state == 'S');
        sleeper
    }

    fn plain() -> Sleeper {
        Sleeper::spawn(&["sleep", "60"], "sleep")
    }

    /// A process in new namespaces. Without root, it is also in a new user namespace.
    fn apart(kinds: &[&str]) -> Sleeper {
        let user: &[&str] = if is_root() { &[] } else { &["--user", "--map-root-user"] };
        Sleeper::spawn(&[&["unshare"], user, kinds, &["sleep", "60"]].concat(), "sleep")
    }

    fn wait_until(&self, ready: impl Fn(&str, char) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let stat = fs::read(format!("/proc/{}/stat", self.0.id())).unwrap_or_default();
            let stat = String::from_utf8_lossy(&stat);
            let name = stat.find('(').zip(stat.rfind(')')).map(|(from, to)| &stat[from + 1..to]);
            let state = stat.rfind(')').and_then(|at| stat[at + 1..].trim_start().chars().next());
            if name.zip(state).is_some_and(|(name, state)| ready(name, state)) {
                return;
            }
            assert!(Instant::now() < deadline, "process {} does not come that far: {stat}", self.0.id());
            std::thread::yield_now();
        }
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        // Until it is waited for, its PID, which is also its process group, cannot be reused.
        let group = nix::unistd::Pid::from_raw(self.0.id() as i32);
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::SIGKILL);
        let _ = self.0.wait();
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0)
}

/// A new folder, removed at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("ns-compare-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("the temporary directory can be written");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("a new folder");
        Folder(path)
    }

    /// Adds a process as a procfs shows it: its name, and its namespaces by kind and inode.
    fn process(&self, pid: u32, name: &[u8], namespaces: &[(&str, u64)]) {
        let ns = self.0.join(pid.to_string()).join("ns");
        fs::create_dir_all(&ns).expect("a new folder");
        fs::write(self.0.join(pid.to_string()).join("comm"), name).expect("a new folder");
        for (kind, inode) in namespaces {
            symlink(format!("{kind}:[{inode}]"), ns.join(kind)).expect("a new folder");
        }
    }

    fn ask(&self, arguments: &[&str]) -> Output {
        let mut all: Vec<OsString> = vec!["--proc".into(), self.0.clone().into()];
        all.extend(arguments.iter().map(Into::into));
        ns_compare(&all)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn processes_that_share_all_exit_0() {
    let (one, other) = (Sleeper::plain(), Sleeper::plain());
    for pids in [vec![one.pid(), other.pid()], vec![one.pid()], vec![one.pid(), one.pid(), other.pid()]] {
        let output = ns_compare(&pids);
        assert_eq!(output.status.code(), Some(0), "{pids:?}: {}", text(&output.stdout));
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn a_process_apart_exits_1_and_the_kinds_are_named() {
    let (near, apart) = (Sleeper::plain(), Sleeper::apart(&["--uts", "--ipc"]));
    let output = ns_compare(&["--format", "jsonl", &near.pid(), &apart.pid()]);
    assert_eq!(output.status.code(), Some(1));
    let mut expected = vec!["ipc", "user", "uts"];
    expected.retain(|kind| *kind != "user" || !is_root());
    assert_eq!(kinds_with(&output, "no"), expected);
}

#[test]
fn one_pid_is_compared_with_ourselves() {
    let apart = Sleeper::apart(&["--uts"]);
    let output = ns_compare(&[&apart.pid()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("B, ns-compare, is PID"), "{}", text(&output.stdout));
}

#[test]
fn the_owner_and_the_parent_are_shown() {
    let apart = Sleeper::spawn(&["unshare", "--user", "--map-root-user", "--uts", "sleep", "60"], "sleep");
    let output = ns_compare(&["--format", "jsonl", &apart.pid()]);
    let namespaces = |row: &[Value]| row.iter().map(ToString::to_string).collect::<Vec<_>>();
    let tables: Vec<_> = events(&output)
        .into_iter()
        .filter_map(|event| if let Event::Table(Table { rows, .. }) = event { Some(rows) } else { None })
        .collect();
    let of = |link: &str| fs::read_link(link).expect("we may read it").display().to_string();
    let (theirs, ours) = (of(&format!("/proc/{}/ns/user", apart.pid())), of("/proc/self/ns/user"));
    let uts = of(&format!("/proc/{}/ns/uts", apart.pid()));
    let row = |id: &str| tables[1].iter().map(|row| namespaces(row)).find(|row| row[0] == id).expect("a row");
    assert_eq!(row(&uts)[1..3], ["A".to_string(), theirs.clone()], "whose the UTS namespace is");
    assert_eq!(row(&theirs)[2], ours, "whose the user namespace is");
    assert_eq!(row(&theirs)[4], ours, "the parent of the user namespace");
}

#[test]
fn a_pid_that_is_gone_is_named() {
    let mut child = Command::new("true").spawn().expect("true runs");
    child.wait().expect("it ends");
    let line = complaint(&[child.id().to_string()]);
    assert!(line.contains(&format!("there is no process {}", child.id())), "{line}");
}

#[test]
fn a_zombie_is_in_no_namespaces() {
    let mut ended = Sleeper::plain();
    ended.0.kill().expect("it is ours");
    ended.wait_until(|_, state| state == 'Z');
    let line = complaint(&[ended.pid()]);
    assert!(line.contains("has ended"), "{line}");
}

#[test]
fn what_is_no_pid_is_named_harmlessly() {
    for word in ["abc", "0", "-5", "", "1x", "99999999999999999999", "/proc/1", "\x1b[2J"] {
        let line = complaint(&[word]);
        assert!(line.contains("is not a PID: give a number"), "{word:?}: {line}");
        assert!(!line.contains('\x1b'), "{line:?}");
    }
    let line = complaint(&[OsStr::from_bytes(b"\xff\xfe")]);
    assert!(line.contains("is not a PID"), "{line}");
    let line = complaint(&["--list", "1"]);
    assert!(line.contains("--list"), "{line}");
}

#[test]
fn another_users_process_is_refused_with_its_owner() {
    let folder = Folder::new("stranger");
    let program = folder.0.join("ns-compare");
    // By cp: a child of another test could inherit a descriptor of this process that is open for writing. Then execve()
    // of the copy would fail with ETXTBSY.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_ns-compare")).arg(&program).status();
    assert!(copied.is_ok_and(|status| status.success()), "the temporary directory has room");
    let sleeper = Sleeper::plain();
    let mut command = Command::new(&program);
    let (pid, owner) = if is_root() {
        command.uid(STRANGER).gid(STRANGER);
        (sleeper.pid(), "sleep' of user 0")
    } else {
        ("1".into(), "of user 0")
    };
    let output = command.arg(&pid).current_dir("/").output().expect("the copy runs");
    let line = refusal(&output);
    assert!(line.contains(owner) && line.contains("sudo"), "{line}");
}

#[test]
fn unreadable_processes_are_counted() {
    let folder = Folder::new("unreadable");
    let program = folder.0.join("ns-compare");
    // By cp: a child of another test could inherit a descriptor of this process that is open for writing. Then execve()
    // of the copy would fail with ETXTBSY.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_ns-compare")).arg(&program).status();
    assert!(copied.is_ok_and(|status| status.success()), "the temporary directory has room");
    let _sleeper = Sleeper::plain();
    let mut command = Command::new(&program);
    if is_root() {
        command.uid(STRANGER).gid(STRANGER);
    }
    let output = command.args(["--list"]).current_dir("/").output().expect("the copy runs");
    assert_eq!(output.status.code(), Some(0));
    let shown = text(&output.stdout);
    assert!(shown.contains("processes unreadable (sudo shows more) = "), "{shown}");
}

#[test]
fn a_fabricated_proc_is_compared() {
    let proc = Folder::new("fabricated");
    proc.process(7, b"seven\n", &[("user", 11), ("uts", 12), ("net", 13)]);
    proc.process(8, b"eight\n", &[("user", 11), ("uts", 12), ("net", 13)]);
    proc.process(9, b"\x1b[2Jnine \xff\n", &[("user", 11), ("uts", 22), ("net", 13)]);
    assert_eq!(proc.ask(&["7", "8"]).status.code(), Some(0));
    let differ = proc.ask(&["7", "9", "--format", "jsonl"]);
    assert_eq!(differ.status.code(), Some(1));
    assert_eq!(kinds_with(&differ, "no"), ["uts"]);
    assert_eq!(kinds_with(&differ, "-"), ["cgroup", "ipc", "mnt", "pid", "time"], "kinds that it lacks");
    let shown = text(&proc.ask(&["7", "9"]).stdout);
    assert!(shown.contains("\\u{1b}[2Jnine") && !shown.contains('\x1b'), "{shown:?}");
    assert!(refusal(&proc.ask(&["7", "10"])).contains("there is no process 10"));
}

#[test]
fn a_fabricated_proc_is_listed() {
    let proc = Folder::new("listed");
    proc.process(70, b"seven\n", &[("user", 11), ("uts", 12)]);
    proc.process(8, b"ei\x07ght\n", &[("user", 11), ("uts", 12)]);
    proc.process(9, b"nine\n", &[("user", 11), ("uts", 22)]);
    proc.process(10, b"a zombie\n", &[("user", 11), ("pid", 5)]);
    fs::create_dir(proc.0.join("sys")).expect("a new folder");
    let output = proc.ask(&["--list", "--format", "jsonl"]);
    assert_eq!(output.status.code(), Some(0));
    let rows: Vec<Vec<String>> =
        first_table(&output).iter().map(|row| row.iter().map(ToString::to_string).collect()).collect();
    assert_eq!(
        rows,
        [
            ["user", "user:[11]", "3", "8", "ei\\u{7}ght"],
            ["uts", "uts:[12]", "2", "8", "ei\\u{7}ght"],
            ["uts", "uts:[22]", "1", "9", "nine"],
        ]
    );
}

#[test]
fn a_folder_without_processes_is_no_proc() {
    let empty = Folder::new("empty");
    assert!(refusal(&empty.ask(&["--list"])).contains("is a procfs mounted there?"));
    assert!(refusal(&empty.ask(&["--proc", "/nowhere", "--list"])).contains("--proc"));
}

#[test]
fn a_hostile_name_reaches_no_terminal() {
    let rename = "printf '\\033[2J\\377' > /proc/self/task/$$/comm; read -r line";
    let hostile = Sleeper::spawn(&["sh", "-c", rename], "\x1b[2J\u{fffd}");
    for arguments in
        [vec![hostile.pid()], vec!["--list".into()], vec!["--format".into(), "jsonl".into(), hostile.pid()]]
    {
        let output = ns_compare(&arguments);
        assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
        assert!(!output.stdout.is_empty() && !output.stdout.contains(&b'\x1b'), "{arguments:?}");
    }
}

#[test]
fn lost_output_is_told() {
    let sleeper = Sleeper::plain();
    for arguments in [vec![sleeper.pid()], vec!["--list".into()]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ns-compare"));
        let full = File::options().write(true).open("/dev/full").expect("there is /dev/full");
        let output = command.args(&arguments).stdout(full).stderr(Stdio::piped()).output().expect("it runs");
        assert!(refusal(&output).contains("cannot write the output"));
    }
}

#[test]
fn two_stable_runs_read_alike_and_fit() {
    let (near, apart) = (Sleeper::plain(), Sleeper::apart(&["--uts"]));
    let once =
        |width: &str| text(&ns_compare(&["--stable", "--width", width, &near.pid(), &apart.pid()]).stdout);
    assert_eq!(once("80"), once("80"));
    for width in [20, 40, 60, 80] {
        let shown = once(&width.to_string());
        assert!(shown.lines().all(|line| line.chars().count() <= width), "{shown}");
    }
}

/// Namespaces by kind and inode, each with its number of processes, as lsns(8) lists them.
fn lsns(arguments: &[&str]) -> BTreeMap<String, String> {
    // It may give up, and say nothing, when a process ends while it looks.
    let look = || {
        let mut lsns = Command::new("lsns");
        let output = lsns.args(["--noheadings", "-o", "TYPE,NS,NPROCS"]).args(arguments).output();
        text(&output.expect("lsns runs").stdout)
    };
    let lines = (0..20).map(|_| look()).find(|lines| !lines.is_empty()).expect("lsns lists something");
    let words = lines.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    words.map(|it| (format!("{}:[{}]", it[0], it[1]), it[2].to_string())).collect()
}

#[test]
fn lsns_agrees() {
    if !Path::new("/usr/bin/lsns").exists() {
        assert!(std::env::var_os("LAB_MUST_RUN").is_none_or(|it| it != "1"), "lsns is missing");
        eprintln!("SKIPPED: lsns is missing: apt-get install util-linux");
        return;
    }
    let user: &[&str] = if is_root() { &[] } else { &["--user", "--map-root-user"] };
    let two = [&["unshare"], user, &["--uts", "--ipc", "sh", "-c", "sleep 60 & exec sleep 60"]].concat();
    let apart = Sleeper::spawn(&two, "sleep");
    let compared = ns_compare(&["--format", "jsonl", &apart.pid()]);
    let ours: Vec<String> = first_table(&compared).iter().map(|row| row[3].to_string()).collect();
    let mut theirs: Vec<String> = lsns(&["--task", &apart.pid()]).into_keys().collect();
    theirs.sort_by_key(|id| ours.iter().position(|own| own == id));
    assert_eq!(ours, theirs);

    let listed = ns_compare(&["--format", "jsonl", "--list"]);
    let rows = first_table(&listed);
    // lsns loses rows when a process ends while it reads, so the test runs it again.
    let complete = |all: &BTreeMap<String, String>| ours.iter().all(|id| all.contains_key(id));
    let everything = (0..20).map(|_| lsns(&[])).find(complete).expect("lsns lists them all");
    for kind in ["uts", "ipc"] {
        let id = ours.iter().find(|id| id.starts_with(kind)).expect("a namespace of its own");
        let row = rows.iter().find(|row| row[1].to_string() == *id).expect("a row");
        assert_eq!((row[2].to_string(), everything[id].as_str()), ("2".into(), "2"), "members of {id}");
    }
}
