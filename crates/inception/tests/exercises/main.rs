//! Every exercise of exercises/ is linted: as an ordinary user, and where it needs root, as root.
//!
//! One after another: a near miss of one would be met by the solution of another.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use serde_json::Value;

/// An exercise, as far as it says how it is tried.
struct Exercise {
    name: String,
    directory: PathBuf,
    needs_root: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut trials = Vec::new();
    for exercise in all(&checkout.join("exercises")) {
        let checkout = checkout.clone();
        trials.push(Trial::ignorable_test(exercise.name.clone(), move || lint(&exercise, &checkout)));
    }
    let example = checkout.clone();
    trials
        .push(Trial::ignorable_test("the_example_of_the_manual_page", move || example_of_the_page(&example)));
    trials.push(Trial::test("a_broken_exercise_is_named_with_what_is_wrong", move || broken(&checkout)));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn all(directory: &Path) -> Vec<Exercise> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|it| it == "toml"))
        .collect();
    paths.sort();
    paths.into_iter().map(|path| Exercise::at(&path)).collect()
}

impl Exercise {
    fn at(path: &Path) -> Exercise {
        let text = fs::read_to_string(path).unwrap_or_default();
        let file: toml::Table = text.parse().unwrap_or_default();
        let needs = file.get("needs").and_then(toml::Value::as_array).cloned().unwrap_or_default();
        Exercise {
            name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            directory: path.parent().unwrap_or(path).into(),
            needs_root: needs.iter().any(|need| need.as_str() == Some("root")),
        }
    }
}

/// What lint says of it, by whom it is for: an ordinary user, where one can do it on this machine.
fn lint(exercise: &Exercise, checkout: &Path) -> Result<Completion, Failed> {
    let is_root = nix::unistd::geteuid().is_root();
    if exercise.needs_root && !is_root {
        return Ok(Completion::ignored_with("needs root: sudo"));
    }
    let inception = env!("CARGO_BIN_EXE_inception");
    if is_root && !exercise.needs_root {
        let mut ordinary = Command::new(checkout.join("scripts/ordinary"));
        ordinary.args(["--cgroup", inception]);
        let said = say(ordinary, exercise)?;
        if matches!(said, Completion::Completed) {
            return Ok(said);
        }
    }
    say(Command::new(inception), exercise)
}

/// What `command` says, which runs inception.
fn say(mut command: Command, exercise: &Exercise) -> Result<Completion, Failed> {
    command
        .args(["exercise", "lint", "--format", "jsonl", &exercise.name, "--from"])
        .arg(&exercise.directory);
    let output = command.env_remove("INCEPTION_EXERCISES").output()?;
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // What scripts/ordinary cannot do on this machine.
    if let Some(why) = out.strip_prefix("skip: ") {
        return Ok(Completion::ignored_with(why.trim()));
    }
    let report: Value = serde_json::from_str(&out).map_err(|_| format!("{}: {out}{error}", output.status))?;
    let lines = |key: &str| {
        let lines = report[key].as_array().into_iter().flatten().filter_map(Value::as_str);
        lines.collect::<Vec<_>>().join("\n")
    };
    match report["result"].as_str() {
        Some("ok") => Ok(Completion::Completed),
        Some("skipped") => Ok(Completion::ignored_with(lines("said"))),
        _ => Err(format!("{}\n{}", lines("said"), lines("terminal")).into()),
    }
}

/// The file that docs/exercise-file.md shows, which inception-exercise(5) has too.
fn example_of_the_page(checkout: &Path) -> Result<Completion, Failed> {
    let page = fs::read_to_string(checkout.join("docs/exercise-file.md"))?;
    let example =
        page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).ok_or("no example")?;
    let directory = scratch("page")?;
    let path = directory.join("own-hostname.toml");
    fs::write(&path, example)?;
    let said = lint(&Exercise::at(&path), checkout);
    fs::remove_dir_all(&directory)?;
    said
}

/// Each fault that lint is to find, in a copy of an exercise that has none.
fn broken(checkout: &Path) -> Result<(), Failed> {
    let page = fs::read_to_string(checkout.join("docs/exercise-file.md"))?;
    let example =
        page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).ok_or("no example")?;
    let directory = scratch("broken")?;
    let path = directory.join("own-hostname.toml");
    let mut faults = Vec::new();
    for (from, to, says) in [
        (
            "hostname {name}\n\"\"\"\n\n[[near",
            "true\n\"\"\"\n\n[[near",
            "the solution: hostname is not met: PID ",
        ),
        (
            "fails = \"own-uts\"",
            "fails = \"hostname\"",
            "the first that is not met is own-uts, and fails says hostname",
        ),
        ("--map-root-user bash\n", "--map-root-user --uts bash\n", "the first that is not met is hostname"),
        (
            "--map-root-user bash\n",
            "--map-root-user --uts bash\nhostname {name}\n",
            "every requirement is met",
        ),
        (
            "--map-root-user bash\n",
            "--map-root-user setsid -f sleep 1000\n",
            "after reset there is still: process ",
        ),
        ("title = \"", "title = \"A title that is longer than what fits into the list: ", "title has "),
        ("lesson = \"uts-demo\"", "lesson = \"uts\"", "lesson \"uts\" is no experiment"),
        ("name = \"word\"", "name = \"word\"\nother = \"word\"", "the value other stands in no task"),
        ("hints = [\"hostname(1) shows it, and sets it.\", \"hostname {name}\"]", "", "hostname has 0 hints"),
        ("level = 1", "level = 11", "line 2: "),
    ] {
        if !example.contains(from) {
            faults.push(format!("the example has no {from:?}"));
        }
        fs::write(&path, example.replacen(from, to, 1))?;
        faults.extend(unsaid(says, &Exercise::at(&path), checkout));
    }
    fs::remove_dir_all(&directory)?;
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
}

/// What is said of an exercise instead of `says`, if that is not said.
fn unsaid(says: &str, exercise: &Exercise, checkout: &Path) -> Option<String> {
    match lint(exercise, checkout) {
        Err(said) if said.message().is_some_and(|said| said.contains(says)) => None,
        Err(said) => Some(format!("{says:?} is not said: {said:?}")),
        Ok(Completion::Completed) => Some(format!("{says:?} is not said: it is fine")),
        Ok(Completion::Ignored { .. }) => None,
    }
}

/// A directory that an ordinary user can read; that of cargo is another one's (scripts/ordinary).
fn scratch(name: &str) -> std::io::Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("inception-exercises-{}-{name}", std::process::id()));
    fs::create_dir_all(&path)?;
    Ok(path)
}
