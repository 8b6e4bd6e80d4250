//! What `inception exercise` promises a learner: each test has a home of its own, and types what a learner types.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use unicode_width::UnicodeWidthStr;

const DRIVER: &str = env!("CARGO_BIN_EXE_inception");

/// A learner with an empty home. Another name gives other values.
struct Learner {
    home: TempDir,
    name: &'static str,
}

impl Learner {
    fn new(name: &'static str) -> Learner {
        Learner { home: tempfile::tempdir().unwrap(), name }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(DRIVER);
        command.arg("exercise").args(arguments).env("XDG_STATE_HOME", self.home.path());
        command
            .env("INCEPTION_STUDENT", self.name)
            .env_remove("INCEPTION_EXERCISES")
            .env_remove("INCEPTION_CLASS");
        command.env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    /// The status and what was written, of which one stream is empty.
    fn types(&self, arguments: &[&str]) -> (i32, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        assert!(out.is_empty() || err.is_empty(), "{arguments:?}: {out}{err}");
        (status.code().unwrap(), out + &err)
    }

    fn log(&self) -> PathBuf {
        self.home.path().join("inception/exercises.jsonl")
    }

    fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.log()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Begins own-hostname, and gives the hostname that is asked for.
    fn begins(&self) -> String {
        let (status, text) = self.types(&["start", "own-hostname"]);
        assert_eq!(status, 0, "{text}");
        text.split("whose hostname is ").nth(1).unwrap().split('.').next().unwrap().into()
    }
}

/// A shell with a UTS namespace of its own, which does what it is told. `None` where no user namespace can be made.
struct Shell(Child);

impl Shell {
    fn open() -> Option<Shell> {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--uts", "sh"]).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut shell = Shell(command.spawn().ok()?);
        shell.says("echo ready").then_some(shell)
    }

    /// Types a command, and waits until it is done.
    fn says(&mut self, command: &str) -> bool {
        let typed = writeln!(self.0.stdin.as_mut().unwrap(), "{command} >/dev/null; echo done");
        let mut byte = [0];
        typed.is_ok()
            && std::iter::from_fn(|| {
                std::io::Read::read_exact(self.0.stdout.as_mut().unwrap(), &mut byte).ok().map(|()| byte[0])
            })
            .any(|byte| byte == b'\n')
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_first_exercise_is_done_and_taken_back() {
    let _alone = ALONE.lock();
    let learner = Learner::new("first");
    let name = learner.begins();
    let (status, text) = learner.types(&["check"]);
    assert_eq!(status, 1, "{text}");
    assert!(text.contains(" ✗ hostname "), "{text}");
    let Some(mut shell) = Shell::open() else { return };
    assert!(shell.says(&format!("hostname {name}")));
    let (status, text) = learner.types(&["check"]);
    assert_eq!(status, 0, "{text}");
    let pid = shell.0.id();
    assert!(text.contains(&format!(" ✓ own-uts   PID {pid} (sh) is in a new UTS namespace\n")), "{text}");
    assert!(
        text.contains(&format!(" ✓ hostname  PID {pid} (sh): its hostname is {name}\n ✓ machine   ")),
        "{text}"
    );
    assert!(text.contains("\n\nDone: 3 of 3.\n"), "{text}");
    let (_, list) = learner.types(&["list"]);
    assert!(list.lines().any(|line| line.contains("own-hostname") && line.contains("done")), "{list}");
    let (status, text) = learner.types(&["reset"]);
    assert_eq!(status, 0, "{text}");
    assert!(text.starts_with(&format!("ended PID {pid} (sh)\n\nown-hostname: ")), "{text}");
    assert!(text.contains("attempt 2\n") && !text.contains(&format!("is {name}.")), "{text}");
    let kinds: Vec<_> = learner.events().iter().map(|event| event["event"].clone()).collect();
    assert_eq!(kinds, ["started", "checked", "checked", "done", "reset", "started"]);
    assert_eq!(shell.0.wait().unwrap().code(), None, "it was killed");
    assert_eq!(learner.types(&["reset", "--end"]).1, "own-hostname is closed.\n");
    assert!(!learner.home.path().join("inception/exercises/own-hostname").exists());
}

#[test]
fn the_values_are_those_of_a_student_in_a_class() {
    let learner = Learner::new("ada");
    let begun = |options: &[&str]| {
        let learner = Learner::new("nobody");
        let (status, text) = learner.types(&[&["start", "own-hostname"], options].concat());
        assert_eq!(status, 0, "{text}");
        (text, learner.events()[0]["seed"].clone())
    };
    let (text, seed) = begun(&["--student", "ada", "--class", "2026a"]);
    assert_eq!(begun(&["--student", "ada", "--class", "2026a"]), (text.clone(), seed.clone()));
    assert_ne!(begun(&["--student", "bob", "--class", "2026a"]).1, seed);
    assert_ne!(begun(&["--student", "ada"]).1, seed);
    learner.begins();
    assert_eq!(learner.events()[0]["student"], "ada");
    let (status, said) = learner.types(&["start", "pid-1", "--student", "a\nb"]);
    assert_eq!((status, said.lines().count()), (2, 1), "{said}");
}

#[test]
fn two_attempts_of_one_exercise_are_not_open_at_once() {
    let learner = Learner::new("twice");
    learner.begins();
    let (status, said) = learner.types(&["start", "own-hostname"]);
    let expected = "inception: own-hostname is begun already: inception exercise check own-hostname looks, and \
                    reset own-hostname begins anew\n";
    assert_eq!((status, said.as_str()), (2, expected));
    // Of several that begin at the same moment, one does.
    let learner = Learner::new("race");
    let begin =
        || learner.command(&["start", "own-hostname"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let all: Vec<_> = (0..4).map(|_| begin().unwrap()).collect();
    let statuses: Vec<_> = all.into_iter().map(|mut it| it.wait().unwrap().code().unwrap()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 0).count(), 1, "{statuses:?}");
    assert_eq!(learner.events().len(), 1);
}

#[test]
fn a_watch_ends_by_itself_and_a_killed_one_loses_nothing() {
    let _alone = ALONE.lock();
    let learner = Learner::new("watch");
    let name = learner.begins();
    let Some(mut shell) = Shell::open() else { return };
    let watch = || learner.command(&["watch"]).stdout(Stdio::piped()).spawn().unwrap();
    let has_looked = |times: usize| {
        let end = Instant::now() + Duration::from_secs(20);
        let looked = || learner.events().iter().filter(|event| event["event"] == "checked").count() >= times;
        while !looked() {
            assert!(Instant::now() < end, "no look");
            std::thread::yield_now();
        }
    };
    let mut killed = watch();
    has_looked(1);
    killed.kill().unwrap();
    killed.wait().unwrap();
    let mut waits = watch();
    has_looked(2);
    assert_eq!(waits.try_wait().unwrap(), None, "it is not done yet");
    assert!(shell.says(&format!("hostname {name}")));
    let began = Instant::now();
    let ended = waits.wait().unwrap();
    // Some 100 ms on an idle machine.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(ended.code(), Some(0));
    assert_eq!(learner.events().last().unwrap()["event"], "done");
    assert_eq!(learner.types(&["check"]).0, 0);
}

#[test]
fn hints_go_from_the_idea_to_the_command() {
    let learner = Learner::new("hints");
    let name = learner.begins();
    let texts: Vec<_> = (0..4).map(|_| learner.types(&["hint"]).1).collect();
    assert!(texts[0].contains("\n1. ") && !texts[0].contains("\n2. "), "{}", texts[0]);
    assert!(texts[2].contains("\n3. unshare --user"), "{}", texts[2]);
    assert_eq!(texts[2], texts[3], "there is no more");
    let levels: Vec<_> = learner.events().iter().skip(1).map(|event| event["level"].clone()).collect();
    assert_eq!(levels, [1, 2, 3, 3]);
    assert!(!texts[2].contains(&name), "those of the first requirement");
}

#[test]
fn the_solution_is_shown_after_a_check() {
    let learner = Learner::new("solution");
    let name = learner.begins();
    let (status, said) = learner.types(&["solution"]);
    assert_eq!(
        (status, said.as_str()),
        (2, "inception: try it first, and look: inception exercise check own-hostname\n")
    );
    learner.types(&["check"]);
    let (status, said) = learner.types(&["solution", "--from", &exercises()]);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("\n    unshare --user --map-root-user --uts bash\n"), "{said}");
    assert!(said.contains(&format!("\n    hostname {name}\n")), "{said}");
    assert_eq!(learner.events().last().unwrap()["event"], "solution");
}

/// The directory of the exercises, with their solutions.
fn exercises() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../exercises").display().to_string()
}

#[test]
fn the_program_holds_no_solution() {
    let program = fs::read(DRIVER).unwrap();
    let has = |text: &str| program.windows(text.len()).any(|it| it == text.as_bytes());
    let own = fs::read_to_string(Path::new(&exercises()).join("own-hostname.toml")).unwrap();
    let (students, teachers) = own.split_once("\n[solution]\n").unwrap();
    assert!(students.contains("sethostname() in the copy") && has("sethostname() in the copy"));
    let what = "the hostname is that of the machine still";
    assert!(teachers.contains(what) && !has(what));
}

#[test]
fn what_the_machine_lacks_is_named_with_its_remedy() {
    let learner = Learner::new("lacks");
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(Path::new(&exercises()).join("own-hostname.toml")).unwrap();
    let needy = text.replace("\"user-namespaces\"", "\"program no-such\"");
    fs::write(folder.path().join("needy.toml"), needy).unwrap();
    let from = folder.path().display().to_string();
    let (status, said) = learner.types(&["start", "needy", "--from", &from]);
    assert_eq!(
        (status, said.as_str()),
        (77, "needy is skipped: the program no-such; to get it: install no-such\n")
    );
    assert_eq!(fs::read_to_string(learner.log()).unwrap(), "", "nothing began");
    let output = learner.command(&["list"]).env("INCEPTION_EXERCISES", folder.path()).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("  needy\n"));
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let learner = Learner::new("wrong");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("broken.toml"), "title = \"x\"\nlevle = 1\n").unwrap();
    let from = &folder.path().display().to_string();
    let file = format!("{from}/broken.toml, line 2: unknown field `levle`");
    for (arguments, says) in [
        (
            &["check"][..],
            "no exercise is begun; inception exercise list shows them, and start NAME begins one",
        ),
        (&["start", "own-hostnam"], "no exercise is called 'own-hostnam'; did you mean own-hostname?"),
        (&["start", "x"], "no exercise is called 'x'; inception exercise list shows them"),
        (&["check", "pid-1"], "pid-1 is not begun; begin it: inception exercise start pid-1"),
        (&["hint", "pid-1"], "pid-1 is not begun; "),
        (&["start", "broken", "--from", from], &file),
        (&["list", "--from", "/nowhere"], "cannot read the exercises in /nowhere: No such file"),
        (
            &["list", "--from", "/proc/self/fdinfo"],
            "/proc/self/fdinfo has no exercise; its files are called NAME.toml",
        ),
        (&["solution", "../x"], "no exercise is called '../x'"),
    ] {
        let (status, said) = learner.types(arguments);
        assert_eq!((status, said.lines().count()), (2, 1), "{arguments:?}: {said}");
        assert!(said.starts_with("inception: ") && said.contains(says), "{arguments:?}: {said}");
    }
    // One that is broken hides no other.
    fs::copy(format!("{}/pid-1.toml", exercises()), folder.path().join("pid-1.toml")).unwrap();
    let output = learner.command(&["list", "--from", from]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stdout).unwrap().contains("  pid-1\n"));
    assert_eq!(String::from_utf8(output.stderr).unwrap().lines().count(), 1);
}

#[test]
fn attempts_that_cannot_be_kept_are_not_begun() {
    let learner = Learner::new("link");
    fs::create_dir_all(learner.home.path().join("inception")).unwrap();
    symlink("/etc/passwd", learner.log()).unwrap();
    let (status, said) = learner.types(&["start", "own-hostname"]);
    assert_eq!(status, 2);
    assert!(
        said.contains("cannot keep attempts in") && said.ends_with(": it is a symbolic link\n"),
        "{said}"
    );
    let learner = Learner::new("full");
    let dir = learner.home.path().join("inception/exercises/own-hostname");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("mine"), "").unwrap();
    let (status, said) = learner.types(&["start", "own-hostname"]);
    assert_eq!((status, said.lines().count()), (2, 1), "{said}");
    assert!(said.contains("is not empty; move away what you need of it"), "{said}");
    assert!(dir.join("mine").exists());
}

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/exercises.md");

/// To write it anew: `WRITE_DOCS=1 cargo test -p inception --test exercise`.
#[test]
fn the_document_lists_all_exercises() {
    let output = Learner::new("list")
        .command(&["list", "--format", "jsonl", "--from", &exercises()])
        .output()
        .unwrap();
    let entries = String::from_utf8(output.stdout).unwrap();
    let mut table = "\n| level | exercise | title | explained by |\n|---|---|---|---|\n".to_string();
    for entry in entries.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let word = |key: &str| entry[key].as_str().unwrap().to_string();
        table += &format!(
            "| {} | `{}` | {} | {} |\n",
            entry["level"],
            word("name"),
            word("title"),
            word("lesson")
        );
    }
    let written = fs::read_to_string(DOCUMENT).unwrap();
    let (before, rest) = written.split_once("exercise -->\n").unwrap();
    let (_, after) = rest.split_once("\n<!-- /exercises -->").unwrap();
    let right = format!("{before}exercise -->\n{table}\n<!-- /exercises -->{after}");
    if std::env::var_os("WRITE_DOCS").is_some() {
        fs::write(DOCUMENT, &right).unwrap();
        return;
    }
    assert!(
        written == right,
        "docs/exercises.md differs: WRITE_DOCS=1 cargo test -p inception --test exercise"
    );
}

/// Held by a test whose shells others would find: they all descend from this program.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn a_screen_is_a_screen_at_every_width() {
    let learner = Learner::new("widths");
    learner.begins();
    for width in [20, 30, 40, 60, 80, 100] {
        for command in ["check", "hint", "list"] {
            let (_, text) = learner.types(&[command, "--width", &width.to_string()]);
            let widest = text.lines().map(UnicodeWidthStr::width).max().unwrap();
            // A name or a command that has no blank cannot be broken.
            assert!(widest <= width.max(30), "{command}, {width}:\n{text}");
            assert!(width < 60 || text.lines().count() <= 24, "{command}, {width}:\n{text}");
        }
    }
    let (_, plain) = learner.types(&["check", "--plain"]);
    assert!(plain.is_ascii() && plain.contains("\nnot met: hostname: "), "{plain}");
}
