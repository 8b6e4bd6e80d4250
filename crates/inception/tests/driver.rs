//! What the driver promises, whatever the experiments do: they are shell scripts here, beside a copy of it.

mod bench;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use bench::{
    Bench, DRIVER, begin, claim, demos, end, fine, first_demo, heeding, is_one_line, judged, lives, output,
    say, skipped, start, text, within_patience,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

#[test]
fn every_status_has_its_meaning() {
    let table = [
        ("fine", fine(), 0, "1 hold, 1 refuted as expected, all as expected"),
        (
            "unexpected",
            say(&[
                begin(&["a", "b"]),
                judged("a", "holds", true),
                judged("b", "refuted", false),
                end(1, 1, 0, 1, 1),
            ]) + "exit 1",
            1,
            "1 hold, 1 NOT AS EXPECTED",
        ),
        (
            "skipped",
            say(&[begin(&["a", "b"]), judged("a", "holds", true), skipped("b"), end(1, 0, 1, 0, 0)]),
            0,
            "1 hold, 1 skipped, all as expected",
        ),
        (
            "nothing",
            say(&[begin(&["a"]), skipped("a"), end(0, 0, 1, 0, 77)]) + "exit 77",
            77,
            "0 hold, 1 skipped, nothing could be asked here",
        ),
    ];
    for (test, script, status, said) in table {
        let bench = Bench::with(test, &script);
        let (code, text) = bench.ask(&["--quiet"]);
        assert_eq!(code, status, "{test}: {text}");
        assert!(text.lines().last().unwrap().contains(said), "{test}: {text}");
    }
}

#[test]
fn what_came_out_otherwise_is_named() {
    let script = say(&[begin(&["a"]), judged("a", "refuted", false), end(0, 1, 0, 1, 1)]) + "exit 1";
    let (_, text) = Bench::with("named", &script).ask(&["--quiet"]);
    assert!(text.contains(": a: refuted; this kernel was to say 'holds'"), "{text}");
}

#[test]
fn a_skip_says_what_is_missing_and_how_to_get_it() {
    let script = say(&[begin(&["a", "b"]), skipped("a"), skipped("b"), end(0, 0, 2, 0, 77)]) + "exit 77";
    let (_, text) = Bench::with("reasons", &script).ask(&["--quiet"]);
    let at = text.find("SKIPPED     2 in ").unwrap_or_else(|| panic!("{text}"));
    assert!(text[at..].contains("missing: CAP_MOON\n            to get it: fly there\n"), "{text}");
}

#[test]
fn options_reach_the_experiment() {
    let script = format!("echo \"$*\" > \"$HERE/arguments\"\n{}", fine());
    let bench = Bench::with("options", &script);
    bench.ask(&["--sabotage", "--must-run", "--quiet"]);
    let arguments = fs::read_to_string(bench.folder.join("arguments")).unwrap();
    assert_eq!(arguments, "--format jsonl --sabotage --must-run\n");
}

#[test]
fn a_skip_fails_where_all_must_run() {
    let skip = |status| {
        say(&[begin(&["a", "b"]), judged("a", "holds", true), skipped("b"), end(1, 0, 1, 0, status)])
    };
    let script = format!("case \"$*\" in *must-run*) {}exit 1;; *) {};; esac", skip(1), skip(0));
    let bench = Bench::with("must", &script);
    assert_eq!(bench.ask(&["--quiet"]).0, 0);
    let (status, text) = bench.ask(&["--quiet", "--must-run"]);
    assert_eq!((status, text.contains("BUT NONE MAY BE SKIPPED")), (1, true), "{text}");
}

#[test]
fn what_breaks_is_named_and_gives_2() {
    let begun = say(&[begin(&["a"])]);
    let loud = say(&[begin(&["a"]), judged("a", "holds", true), end(1, 0, 0, 0, 0)]);
    let table = [
        ("killed", begun.clone() + "kill -KILL $$", "it ended without its last word: killed by SIGKILL"),
        ("early", begun.clone() + "exit 0", "it ended without its last word: exited 0"),
        ("mute", "exit 3".into(), "it ended without its last word: exited 3"),
        ("junk", begun.clone() + "printf '\\033[2Jjunk\\n'; exec sleep 600", "its line 2 is no event"),
        ("half", begun + "printf '{\"event\":'", "its line 2 is no event"),
        ("torn", loud.clone() + "exit 3", "it said that it would exit with 0: exited 3"),
        ("late", loud + "kill -SEGV $$", "it said that it would exit with 0: killed by SIGSEGV"),
        ("count", say(&[begin(&["a"]), end(1, 0, 0, 0, 0)]), "its last count of the verdicts is wrong"),
        ("left", say(&[begin(&["a"]), end(0, 0, 0, 0, 0)]), "it has not settled 'a'"),
    ];
    for (test, script, why) in table {
        let bench = Bench::with(test, &script);
        for options in [&["--quiet"][..], &[], &["--format", "jsonl"]] {
            let (status, text) = bench.ask(options);
            assert_eq!(status, 2, "{test}: {text}");
            assert!(text.contains(why), "{test}: {text}");
            assert!(!text.contains('\u{1b}'), "{test}: {text:?}");
        }
    }
}

#[test]
fn a_program_that_cannot_start_is_named() {
    let bench = Bench::new("start");
    let path = bench.folder.join(first_demo());
    fs::write(&path, "#!/no/such/shell\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let (status, text) = bench.ask(&["--quiet"]);
    assert_eq!(status, 2, "{text}");
    assert!(text.contains("execve(") && text.contains("ENOENT"), "{text}");
}

#[test]
fn every_demo_is_in_the_summary() {
    let bench = Bench::new("all");
    let demos = demos();
    let (broken, fine) = (say(&[begin(&["a"])]), fine());
    for (at, demo) in demos.iter().enumerate() {
        bench.place(demo, if at % 3 == 2 { &broken } else { &fine });
    }
    let output = bench.run(&["run", "--width", "80"]);
    let text = text(&output.stdout);
    for (at, demo) in demos.iter().enumerate() {
        let row = text.lines().find(|line| line.starts_with("│ ") && line.contains(&format!(" {demo} ")));
        let cells: Vec<_> =
            row.unwrap_or_else(|| panic!("{demo}:\n{text}")).split('│').map(str::trim).collect();
        let expected = if at % 3 == 2 { ["0", "0", "BROKEN", "0"] } else { ["1", "1", "0", "0"] };
        assert_eq!(cells[2..6], expected, "{demo}:\n{text}");
    }
    let last = text.lines().last().unwrap();
    if demos.len() < 3 {
        let (count, status) = (demos.len(), output.status.code());
        assert!(last.starts_with(&format!("inception: {count} hold, {count} refuted as expected")), "{last}");
        assert_eq!(status, Some(0));
    } else {
        assert_eq!(output.status.code(), Some(2));
        assert!(text.contains("inception: BROKEN: ") && text.contains(&demos[2]), "{text}");
    }
}

#[test]
fn a_demo_goes_by_its_number_and_by_its_name() {
    let bench = Bench::with("called", &fine());
    let list = text(&bench.run(&["list", "--format", "jsonl"]).stdout);
    let number =
        serde_json::from_str::<Value>(list.lines().next().unwrap()).unwrap()["number"].as_u64().unwrap();
    let name = first_demo();
    for word in [name.clone(), number.to_string(), format!("{number:02}"), format!("{number:02}-{name}")] {
        let output = bench.run(&["run", "--quiet", &word]);
        assert_eq!(output.status.code(), Some(0), "{word}");
    }
    let twice = text(&bench.run(&["run", "--quiet", &name, &name]).stdout);
    assert!(twice.lines().last().unwrap().starts_with("inception: 2 hold, 2 refuted as expected"), "{twice}");
}

#[test]
fn misuse_gets_one_line_and_2() {
    let bench = Bench::with("misuse", &fine());
    let name = first_demo();
    let typo = OsString::from(format!("{name}x"));
    let table: &[(&[&OsStr], &str)] = &[
        (&["run".as_ref(), "nowhere".as_ref()], "no demo is called 'nowhere'; inception list shows them"),
        (&["run".as_ref(), &typo], "; did you mean "),
        (&["read".as_ref(), "nowhere".as_ref()], "no demo is called 'nowhere'"),
        (&["claims".as_ref(), "99".as_ref()], "no demo is called '99'"),
        (&["run".as_ref(), &OsString::from_vec(b"caf\xff\x1b[2J".to_vec())], "no demo is called 'caf"),
        (&["read".as_ref(), &OsString::from_vec(b"\xff".to_vec())], "no demo is called"),
        (&[&OsString::from_vec(b"\xff".to_vec())], "unrecognized subcommand"),
        (&["read".as_ref()], "<NN|NAME>"),
        (&["rum".as_ref()], "did you mean "),
        (&["run".as_ref(), "--width".as_ref(), "3".as_ref()], "3 is not in 20..=400"),
        (&["run".as_ref(), "--format".as_ref(), "xml".as_ref()], "choose from text, jsonl"),
    ];
    for (arguments, said) in table {
        let output = output(bench.command(&[]).args(*arguments));
        let line = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {line}");
        assert!(line.starts_with("inception: ") && line.contains(said), "{arguments:?}: {line}");
        assert!(is_one_line(&line) && !line.contains('\u{1b}'), "{arguments:?}: {line:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_missing_binary_is_told_with_where_it_was_looked_for() {
    let bench = Bench::new("missing");
    for arguments in
        [&["run", &first_demo()][..], &["claims", &first_demo()], &["claims", "--list"], &["run"]]
    {
        let output = output(bench.command(arguments).env("PATH", ""));
        let line = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(is_one_line(&line) && output.stdout.is_empty(), "{line}");
        let folder = bench.folder.canonicalize().unwrap().display().to_string();
        for part in [first_demo().as_str(), folder.as_str(), "PATH", "cargo build"] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
}

/// A checkout with a target directory in which the driver alone is built, and what takes cargo's place: it notes how it
/// was called, and makes each program that it is asked for out of `experiment`.
struct Checkout(Bench);

impl Checkout {
    fn new(test: &str, profile: &str, experiment: &str) -> Checkout {
        let bench = Bench::new(test);
        let root = &bench.folder;
        let folder = root.join("target").join(profile);
        fs::create_dir_all(&folder).unwrap();
        fs::write(
            root.join("target/CACHEDIR.TAG"),
            "# This file is a cache directory tag created by cargo.\n",
        )
        .unwrap();
        fs::rename(root.join("inception"), folder.join("inception")).unwrap();
        for name in demos() {
            fs::create_dir_all(root.join("crates").join(&name)).unwrap();
            fs::write(root.join("crates").join(&name).join("Cargo.toml"), "").unwrap();
        }
        bench.place("experiment", experiment);
        let call = "echo \"$*\" >>\"$HERE/asked\"; test ! -e \"$HERE/fails\" || { echo no >&2; exit 101; }";
        let built = format!("cp \"$HERE/experiment\" \"$HERE/target/{profile}/$2\"");
        let each = format!("while [ $# -gt 0 ]; do case $1 in --bin) {built};; esac; shift; done");
        bench.place("cargo", &format!("{call}\n{each}"));
        Checkout(bench)
    }

    /// Exit status and standard error.
    fn run(&self, profile: &str, arguments: &[&str]) -> (Option<i32>, String) {
        let named = self.0.command(arguments);
        let program = self.0.folder.join("target").join(profile).join("inception");
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).env_remove("CARGO_MANIFEST_DIR");
        command.envs(named.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = output(command.env("CARGO", self.0.folder.join("cargo")).env_remove("LAB_MUST_RUN"));
        (output.status.code(), text(&output.stderr))
    }

    fn asked(&self) -> String {
        fs::read_to_string(self.0.folder.join("asked")).unwrap_or_default()
    }
}

#[test]
fn where_cargo_built_the_driver_cargo_builds_an_experiment_that_is_missing() {
    let first = first_demo();
    for (profile, said) in
        [("debug", "--profile dev"), ("release", "--profile release"), ("a-triple/dist", "--profile dist")]
    {
        let checkout = Checkout::new(&format!("built-{}", profile.replace('/', "-")), profile, &fine());
        let line = format!("inception: building {first}, once\n");
        assert_eq!(checkout.run(profile, &["run", "--quiet", &first]), (Some(0), line));
        let root = checkout.0.folder.canonicalize().unwrap();
        let target = if profile.contains('/') { " --target a-triple" } else { "" };
        assert_eq!(
            checkout.asked(),
            format!(
                "build --quiet {said} --manifest-path {0}/Cargo.toml --target-dir {0}/target{target} --bin {first}\n",
                root.display()
            )
        );
        assert_eq!(checkout.run(profile, &["run", "--quiet", &first]), (Some(0), String::new()), "once");
        assert_eq!(checkout.asked().lines().count(), 1);
    }
}

#[test]
fn several_that_are_missing_are_built_at_once() {
    let checkout = Checkout::new("built-several", "debug", &fine());
    let (_, line) = checkout.run("debug", &["run", "--quiet"]);
    assert_eq!(line, format!("inception: building {} experiments, once\n", demos().len()));
    assert_eq!(checkout.asked().matches("--bin ").count(), demos().len());
}

#[test]
fn a_build_that_fails_is_told() {
    let checkout = Checkout::new("built-badly", "debug", &fine());
    fs::write(checkout.0.folder.join("fails"), "").unwrap();
    let (status, said) = checkout.run("debug", &["run", &first_demo()]);
    let first = first_demo();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(status, Some(2), "{said}");
    assert_eq!(lines[..2], [&format!("inception: building {first}, once"), "no"]);
    assert_eq!(lines[2..], [format!("inception: cannot build {first}: cargo build: exit status: 101")]);
}

#[test]
fn nothing_is_built_where_cargo_did_not_build_or_where_another_user_did() {
    let checkout = Checkout::new("built-not", "debug", &fine());
    let tag = checkout.0.folder.join("target/CACHEDIR.TAG");
    let refused = || {
        let (status, said) = checkout.run("debug", &["run", &first_demo()]);
        assert_eq!((status, checkout.asked().as_str()), (Some(2), ""), "{said}");
        assert!(is_one_line(&said) && said.contains(&format!("cargo build -p {}", first_demo())), "{said}");
    };
    let moved = tag.with_extension("moved");
    fs::rename(&tag, &moved).unwrap();
    refused();
    fs::rename(&moved, &tag).unwrap();
    // Only root can give a directory away.
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(checkout.0.folder.join("target/debug"), Some(64_321), None).unwrap();
        refused();
        std::os::unix::fs::chown(checkout.0.folder.join("target/debug"), Some(0), None).unwrap();
    }
    // The control: nothing else stood in the way.
    assert_eq!(checkout.run("debug", &["run", "--quiet", &first_demo()]).0, Some(0));
}

#[test]
fn a_binary_may_be_on_the_path() {
    let bench = Bench::new("path");
    let elsewhere = Bench::with("elsewhere", &fine());
    let path = format!("{}:/usr/bin:/bin", elsewhere.folder.display());
    let output = output(bench.command(&["run", "--quiet", &first_demo()]).env("PATH", path));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn nothing_is_left_when_the_driver_is_killed() {
    let script = say(&[begin(&["a"])])
        + "echo $$ > \"$HERE/pid.new\"; mv \"$HERE/pid.new\" \"$HERE/pid\"; exec sleep 600";
    for signal in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let bench = Bench::with(signal.as_str(), &script);
        let mut heeding = heeding(&bench.command(&["run", &first_demo()]));
        let mut driver = start(heeding.stdout(Stdio::null()));
        within_patience("the experiment starts", || bench.has("pid"));
        let pid: i32 = fs::read_to_string(bench.folder.join("pid")).unwrap().trim().parse().unwrap();
        assert!(lives(pid));
        kill(Pid::from_raw(i32::try_from(driver.id()).unwrap()), signal).unwrap();
        driver.wait().unwrap();
        within_patience("the experiment dies with it", || !lives(pid));
    }
}

#[test]
fn a_reader_that_goes_is_no_failure() {
    let saw =
        json!({"event": "saw", "who": "x", "view": "outside", "what": "a line", "value": {"number": 1}});
    let endless = say(&[begin(&["a"])])
        + "echo $$ > \"$HERE/new\"; mv \"$HERE/new\" \"$HERE/pid\"\nwhile :; do\n"
        + &say(&[saw])
        + "done";
    let silent =
        say(&[begin(&["a"])]) + "echo $$ > \"$HERE/new\"; mv \"$HERE/new\" \"$HERE/pid\"\nexec sleep 600";
    for (test, script) in [("endless", endless), ("silent", silent)] {
        for options in [&["--steps"][..], &["--format", "jsonl"]] {
            let bench = Bench::with(test, &script);
            let mut command = bench.command(&["run", &first_demo()]);
            command.args(options);
            let mut driver = start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
            let mut reader = BufReader::new(driver.stdout.take().unwrap());
            reader.read_line(&mut String::new()).unwrap();
            within_patience("the experiment is at it", || bench.has("pid"));
            drop(reader);
            let output = driver.wait_with_output().unwrap();
            assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""), "{test}");
            let pid = fs::read_to_string(bench.folder.join("pid")).unwrap().trim().parse().unwrap();
            within_patience("the experiment goes too", || !lives(pid));
        }
    }
    let bench = Bench::with("gone", &fine());
    for command in [&["list"][..], &["doctor"], &["claims", &first_demo()]] {
        let mut driver = start(bench.command(command).stdout(Stdio::piped()).stderr(Stdio::piped()));
        drop(driver.stdout.take());
        let output = driver.wait_with_output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""), "{command:?}");
    }
}

#[test]
fn a_slow_reader_makes_no_experiment_wait() {
    let line = json!({"event": "saw", "who": "x", "view": "outside", "what": "x".repeat(1000), "value": {"number": 1}});
    let script = format!(
        "{}yes '{line}' | head -n 2000\n{}touch \"$HERE/done\"",
        say(&[begin(&["a"]), judged("a", "holds", true)]),
        say(&[end(1, 0, 0, 0, 0)])
    );
    let bench = Bench::with("slow", &script);
    let mut command = bench.command(&["run", &first_demo(), "--format", "jsonl"]);
    let mut driver = start(command.stdout(Stdio::piped()));
    within_patience("2 MB are written while nobody reads", || bench.has("done"));
    let mut read = String::new();
    driver.stdout.take().unwrap().read_to_string(&mut read).unwrap();
    assert_eq!(driver.wait().unwrap().code(), Some(0));
    assert_eq!(read.lines().count(), 2003);
}

#[test]
fn output_that_is_lost_is_told() {
    let bench = Bench::with("lost", &fine());
    let name = first_demo();
    for arguments in
        [&["run", &name][..], &["run", "--quiet", &name], &["list"], &["claims", &name], &["doctor"]]
    {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut command = bench.command(arguments);
        let told = start(command.stdout(full).stderr(Stdio::piped())).wait_with_output().unwrap();
        let line = text(&told.stderr);
        assert_eq!(told.status.code(), Some(2), "{arguments:?}: {line}");
        assert!(is_one_line(&line) && line.contains("No space left"), "{arguments:?}: {line}");

        let script = "exec \"$0\" \"$@\" >&-";
        let mut shell = Command::new("sh");
        let shell = shell.args(["-c", script]).arg(bench.folder.join("inception")).args(arguments);
        let output = output(shell);
        let line = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {line}");
        assert!(is_one_line(&line) && line.contains("standard output is closed"), "{arguments:?}: {line}");
    }
}

#[test]
fn json_lines_pass_through_as_they_are() {
    let odd = r#"{"extra":  "new field" , "event":"saw","who":"x","view":"inside","what":"w","value":{"number":1}}"#;
    let script = say(&[begin(&["a"]), judged("a", "holds", true)])
        + &format!("cat <<'END'\n{odd}\nEND\n")
        + &say(&[end(1, 0, 0, 0, 0)]);
    let bench = Bench::with("through", &script);
    let output = bench.run(&["run", &first_demo(), "--format", "jsonl"]);
    let lines = text(&output.stdout);
    assert_eq!(lines.lines().nth(2), Some(odd));
    assert_eq!((lines.lines().count(), output.status.code()), (4, Some(0)));
}

#[test]
fn a_transcript_that_breaks_off_gets_its_end() {
    let bench = Bench::with("ends", &(say(&[begin(&["a"]), judged("a", "holds", true)]) + "kill -KILL $$"));
    let output = bench.run(&["run", &first_demo(), "--format", "jsonl"]);
    let lines = text(&output.stdout);
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["event"], &last["status"], &last["tally"]["holds"]),
        (&json!("end"), &json!(2), &json!(1))
    );
    assert!(last["broken"].as_str().unwrap().contains("killed by SIGKILL"), "{last}");
    assert!(is_one_line(&text(&output.stderr)), "{}", text(&output.stderr));
}

#[test]
fn what_an_experiment_leaves_behind_holds_up_nobody() {
    let bench = Bench::with("behind", &(fine() + "sleep 600 2> /dev/null & echo $! > \"$HERE/pid\""));
    let (status, text) = bench.ask(&["--quiet"]);
    let pid = fs::read_to_string(bench.folder.join("pid")).unwrap().trim().parse().unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    assert_eq!(status, 0, "{text}");
}

#[test]
fn standard_input_is_left_alone() {
    let bench = Bench::with("stdin", &(String::from("cat > \"$HERE/read\"\n") + &fine()));
    let script = "echo mine | { \"$0\" run --quiet \"$1\" > /dev/null; cat; }";
    let mut shell = Command::new("sh");
    let shell = shell.args(["-c", script]).arg(bench.folder.join("inception")).arg(first_demo());
    let output = output(shell.env("HERE", &bench.folder));
    assert_eq!(text(&output.stdout), "mine\n");
    assert_eq!(fs::read_to_string(bench.folder.join("read")).unwrap(), "");
}

#[test]
fn what_experiments_say_is_shown_and_not_obeyed() {
    let mut hostile = begin(&["a"]);
    hostile["question"] = json!("\u{1b}]0;title\u{7}");
    hostile["claims"][0]["text"] = json!("\u{9b}31mred");
    let step = json!({"event": "step", "number": 1, "title": "\u{1b}[2J", "calls": ["\u{8}"], "by_hand": ["\u{1b}c"]});
    let table = json!({"event": "table", "title": "\u{1b}[1m", "columns": ["\u{1b}[2m"], "rows": [[{"text": "\u{1b}"}]]});
    let actor = json!({"event": "actor", "label": "\u{1b}[3m", "pids": [], "elsewhere": []});
    let events = [hostile, step, table, actor, judged("a", "holds", true), end(1, 0, 0, 0, 0)];
    let bench = Bench::with("hostile", &say(&events));
    for width in ["20", "39", "80", "400"] {
        for options in [&["--verbose"][..], &["--stable"]] {
            let (status, text) = bench.ask(&[&["--color", "never", "--width", width], options].concat());
            assert_eq!(status, 0, "{text}");
            let obeyed = text.chars().find(|c| c.is_control() && *c != '\n');
            assert_eq!(obeyed, None, "{text:?}");
        }
    }
}

#[test]
fn quiet_shows_the_summary_alone() {
    let bench = Bench::with("quiet", &fine());
    let (_, loud) = bench.ask(&["--steps"]);
    let (_, quiet) = bench.ask(&["--quiet"]);
    assert!(loud.contains("Is it so?") && loud.contains("HOLDS"));
    assert!(!quiet.contains("Is it so?") && quiet.contains(&first_demo()));
    assert!(quiet.lines().last().unwrap().starts_with("inception: 1 hold"));
}

#[test]
fn two_stable_runs_read_alike() {
    let bench = Bench::with("stable", &fine());
    assert_eq!(bench.ask(&["--stable"]), bench.ask(&["--stable"]));
}

#[test]
fn lines_fit_and_colour_adds_nothing() {
    let bench = Bench::with("fit", &fine());
    let name = first_demo();
    for width in (20..=100).chain([400]) {
        let width_text = width.to_string();
        let width_text = width_text.as_str();
        for arguments in [&["list"][..], &["run", &name, "--stable"], &["claims", &name]] {
            let plain = text(&bench.run(&[arguments, &["--width", width_text]].concat()).stdout);
            assert!(!plain.contains('\u{1b}'));
            for line in plain.lines() {
                assert!(line.width() <= width, "{arguments:?} at {width}: {line}");
            }
            if width % 20 == 0 {
                let styled = [arguments, &["--width", width_text, "--color", "always"]].concat();
                let styled = text(&bench.run(&styled).stdout);
                assert!(styled.contains('\u{1b}'));
                assert_eq!(anstream::adapter::strip_str(&styled).to_string(), plain);
            }
        }
    }
}

#[test]
fn claims_show_their_verdicts() {
    let bench = Bench::with("claims", &fine());
    let output = bench.run(&["claims", &first_demo(), "--format", "jsonl"]);
    let lines: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(output.status.code(), Some(0));
    let said: Vec<_> = lines.iter().map(|line| (&line["id"], &line["verdict"], &line["expected"])).collect();
    let (holds, refuted) = (json!("holds"), json!("refuted"));
    let (a, b, yes) = (json!("a"), json!("b"), json!(true));
    assert_eq!(said, [(&a, &holds, &yes), (&b, &refuted, &yes)]);
    assert_eq!((&lines[0]["experiment"], &lines[0]["notes"]), (&json!(first_demo()), &json!([84])));
    let table = text(&bench.run(&["claims", &first_demo(), "--width", "100"]).stdout);
    assert!(
        table.contains("│ N84") && table.contains("│ The sentence of a. │ holds    │ holds   │"),
        "{table}"
    );
}

#[test]
fn claims_can_be_listed_without_a_run() {
    let heads = [claim("a"), claim("b")].map(|head| head.to_string()).join("\n");
    let script = format!("[ \"$*\" = '--list-claims --format jsonl' ] || exit 2\ncat <<'END'\n{heads}\nEND");
    let bench = Bench::with("listed", &script);
    let output = bench.run(&["claims", "--list", &first_demo(), "--format", "jsonl"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let first: Value = serde_json::from_str(text(&output.stdout).lines().next().unwrap()).unwrap();
    assert_eq!((&first["id"], &first["verdict"]), (&json!("a"), &Value::Null));
    let broken = Bench::with("unlisted", "echo junk");
    let output = broken.run(&["claims", "--list", &first_demo()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(is_one_line(&text(&output.stderr)), "{}", text(&output.stderr));
}

#[test]
fn the_list_is_the_path_and_says_what_is_done() {
    let core = |id: &str, is: bool| {
        let mut head = claim(id);
        head["core"] = json!(is);
        head["question"] = json!("Is it so?");
        head.to_string()
    };
    let heads = [core("a", true), core("b", true), core("c", false)].join("\n");
    let bench = Bench::with("path-done", &format!("cat <<'END'\n{heads}\nEND"));
    let (first, state) = (first_demo(), bench.folder.join("state"));
    let list = |options: &[&str]| {
        let mut command = bench.command(&[&["list"], options].concat());
        let output = output(command.env("XDG_STATE_HOME", &state));
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
        text(&output.stdout)
    };
    let entries = |text: String| -> Vec<Value> {
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    // What is needed comes before.
    let path = entries(list(&["--format", "jsonl"]));
    for (at, entry) in path.iter().enumerate() {
        let is_before = |needed: &Value| path[..at].iter().any(|it| it["number"] == *needed);
        assert!(entry["needs"].as_array().unwrap().iter().all(is_before), "{entry}");
        assert_eq!(entry["done"], json!(false));
    }
    assert!(!state.exists(), "nothing is made by a look");
    let kept = state.join("inception/predictions.jsonl");
    fs::create_dir_all(kept.parent().unwrap()).unwrap();
    let mut predicted = String::new();
    let mut predict = |claim: &str| {
        let prediction = json!({"experiment": first, "claim": claim, "answer": "no", "right": false, "kernel": "6.12", "at": 1});
        predicted += &format!("{prediction}\n");
        fs::write(&kept, &predicted).unwrap();
        (list(&["--plain"]), entries(list(&["--format", "jsonl"]))[0]["done"].clone())
    };
    for (claim, said, is_done) in
        [("c", "", false), ("a", "\n  done: 1 of 2\n", false), ("b", "\n  done: done\n", true)]
    {
        let (text, done) = predict(claim);
        assert!(text.contains(said) && text.contains("\n  done: ") != said.is_empty(), "{claim}: {text}");
        assert_eq!(done, json!(is_done), "{claim}");
        assert_ne!(
            text.contains(&format!("Next: inception walk {:02},", path[0]["number"].as_u64().unwrap())),
            is_done,
            "{text}"
        );
    }
}

#[test]
fn a_walkthrough_is_found_in_the_checkout_and_its_status_is_passed_on() {
    let first = first_demo();
    let checkout = Checkout::new("walk", "debug", &fine());
    let walk = |options: &[&str]| checkout.run("debug", &[&["walk"], options].concat());
    let (status, said) = walk(&[&first]);
    assert_eq!(status, Some(2));
    assert!(is_one_line(&said) && said.contains(&format!("-{first}.sh: looked in ")), "{said}");
    let list = text(&output(Command::new(DRIVER).args(["list", "--format", "jsonl"])).stdout);
    let number =
        serde_json::from_str::<Value>(list.lines().next().unwrap()).unwrap()["number"].as_u64().unwrap();
    fs::create_dir_all(checkout.0.folder.join("demos")).unwrap();
    let place = |script: &str| checkout.0.place(&format!("demos/{number:02}-{first}.sh"), script);
    // The experiment is built, and is the first of its name on the PATH; standard input is left alone.
    place(&format!(
        "[ \"$(command -v {first})\" = \"${{0%/demos/*}}/target/debug/{first}\" ] && [ -z \"$(cat)\" ] && exit 77"
    ));
    assert_eq!(walk(&[&first]), (Some(77), format!("inception: building {first}, once\n")));
    for (script, expected) in [("exit 0", 0), ("exit 1", 1), ("exit 5", 5), ("exit 130", 130)] {
        place(script);
        assert_eq!(walk(&[&first, "--no-pause"]), (Some(expected), String::new()), "{script}");
    }
    // Of several the worst, and none after one that was left.
    place("echo >>\"$HERE/walked\"; exit 130");
    assert_eq!(walk(&[&first, &first]).0, Some(130));
    assert_eq!(fs::read_to_string(checkout.0.folder.join("walked")).unwrap(), "\n");
    // An orphan whose end the script waits for is taken from the kernel's list, though it is ours.
    place(
        "pid=$(sh -c 'sleep 0.1 >/dev/null & echo $!'); while kill -0 $pid 2>/dev/null; do sleep 0.1; done",
    );
    assert_eq!(walk(&[&first]), (Some(0), String::new()));
    // What it leaves behind is ended, also where it was killed.
    place("sleep 600 & echo $! >\"$HERE/left\"; kill -KILL $$");
    let (status, said) = walk(&[&first]);
    assert!(status == Some(2) && is_one_line(&said) && said.contains("killed by SIGKILL"), "{said}");
    let left = fs::read_to_string(checkout.0.folder.join("left")).unwrap();
    assert!(!lives(left.trim().parse().unwrap()));
}

#[test]
fn the_doctor_reports_and_fails_nobody() {
    let bench = Bench::new("doctor");
    let output = bench.run(&["doctor", "--format", "jsonl"]);
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
    let lines = text(&output.stdout);
    let checks: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for check in &checks {
        let state = check["state"].as_str().unwrap();
        assert!(["ok", "missing"].contains(&state), "{check}");
        assert_eq!(state == "missing", check["remedy"].is_string(), "{check}");
        assert!(!check["found"].as_str().unwrap().is_empty(), "{check}");
    }
    for name in
        ["cgroup", "ipc", "net", "mnt", "pid", "time", "user", "uts", "CAP_SYS_ADMIN", "layout", "strace"]
    {
        assert!(checks.iter().any(|check| check["check"] == name), "{name}");
    }
    let lacking = checks.iter().find(|check| check["check"] == "binaries").unwrap();
    assert_eq!((&lacking["state"], &lacking["remedy"]), (&json!("missing"), &json!("cargo build")));
    let text = text(&bench.run(&["doctor", "--width", "80"]).stdout);
    assert!(text.lines().all(|line| line.width() <= 80), "{text}");
    assert!(text.lines().last().unwrap().contains(&format!(" of {} ok", checks.len())), "{text}");
}

#[test]
fn help_leads_with_examples() {
    for command in [&[][..], &["list"], &["run"], &["walk"], &["read"], &["claims"], &["doctor"]] {
        let output = output(Command::new(DRIVER).args(command).arg("--help"));
        let help = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0));
        let name = [&["inception"], command].concat().join(" ");
        assert!(help.starts_with(&format!("{name}: ")), "{help}");
        assert_eq!(help.lines().nth(2), Some("Examples:"), "{help}");
        assert!(
            help.lines().nth(3).unwrap().starts_with(&format!("  {}", name.split(' ').next().unwrap())),
            "{help}"
        );
        assert!(help.contains(&format!("\n\nUsage: {name}")), "{help}");
    }
    let bare = output(&mut Command::new(DRIVER));
    assert_eq!((bare.status.code(), text(&bare.stderr).as_str()), (Some(0), ""));
    assert!(text(&bare.stdout).starts_with("inception: "));
}

#[test]
fn every_experiment_has_the_test_of_its_promises() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for name in demos() {
        let test = fs::read_to_string(crates.join(&name).join("tests/promises.rs")).unwrap_or_default();
        let call = format!("promises::kept(env!(\"CARGO_BIN_EXE_{name}\"))");
        assert!(test.contains(&call), "crates/{name}/tests/promises.rs is to say: {call}");
    }
}

#[test]
fn no_test_stands_where_cargo_is_told_that_there_is_none() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for entry in fs::read_dir(crates).unwrap() {
        let package = entry.unwrap().path();
        let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap_or_default();
        if !manifest.lines().any(|line| line.starts_with("test = false")) {
            continue;
        }
        let mut folders = vec![package.join("src")];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let has_one = fs::read_to_string(&path).unwrap().contains("#[test]");
                    assert!(!has_one, "{}: remove `test = false` from its Cargo.toml", path.display());
                }
            }
        }
    }
}

#[test]
fn output_that_is_lost_is_told_by_every_command() {
    let bench = Bench::with("lost-everywhere", &fine());
    let first = first_demo();
    let commands = ["", "list", "run", "walk", "read", "review", "report", "claims", "diff", "doctor"];
    let mut lines: Vec<String> = commands.iter().map(|it| format!("{it} --help")).collect();
    lines.extend(["--version", "list", "doctor"].map(String::from));
    lines.extend(["run", "read", "claims"].map(|it| format!("{it} {first}")));
    for line in lines {
        for (redirection, status, said) in [
            (">&-", 2, "standard output is closed"),
            (">/dev/full", 2, "cannot write the output"),
            ("| :", 0, ""),
        ] {
            let mut shell = Command::new("bash");
            shell.args(["-c", &format!("set -o pipefail; \"$0\" {line} {redirection}")]);
            shell.arg(bench.folder.join("inception")).stdin(Stdio::null());
            let environment = bench.command(&[]);
            shell.envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
            let output = output(shell.env_remove("LAB_MUST_RUN"));
            let told = text(&output.stderr);
            assert_eq!(output.status.code(), Some(status), "{line} {redirection}: {told}");
            assert!(told.contains(said), "{line} {redirection}: {told}");
            assert_eq!(told.lines().count(), usize::from(status == 2), "{line} {redirection}: {told}");
        }
    }
}
