//! The two programs that the study notes print in C, as printed and mended: docs/c-programs.md says what is wrong with
//! them, and here each fault is shown. A trial runs one and the same shell script with either program. What it writes
//! must differ as said, so a fault that nobody could see would not pass for one.
//!
//! Each script makes the namespaces that it needs, as root of a user namespace: nothing of the host is touched.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

const PROGRAMS: [(&str, &str); 2] = [
    ("pid_ns_test", include_str!("../../../docs/c/pid_ns_test.c")),
    ("user_ns", include_str!("../../../docs/c/user_ns.c")),
];
/// Where the mended ones are, unless SOLUTIONS names another folder, such as a student's. Students do not get them.
const SOLUTIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../solutions");
const DOCUMENT: &str = include_str!("../../../docs/c-programs.md");

/// A fault, the program that has it, and a script that calls the program `./program`.
struct Fault {
    sentence: &'static str,
    program: &'static str,
    /// Commands that must succeed for the script to be asked at all.
    needs: &'static [&'static str],
    script: &'static str,
    printed: &'static str,
    mended: &'static str,
}

const NAMESPACES: &str = "unshare -Urpf --uts true";
const NEW_PROC: &str = "unshare -Urpf --mount-proc true";
/// As whom the scripts for user_ns start it; it has to mount a procfs of its own.
const AS_1000: &str = "unshare --user --map-user=1000 --map-group=1000 unshare -Urpf --mount-proc true";
const TRACE: &str = "strace -o /dev/null true";

const FAULTS: &[Fault] = &[
    Fault {
        sentence: "pid_ns_test renames the machine unless a UTS namespace was made for it",
        program: "pid_ns_test",
        needs: &[NAMESPACES, "command -v hostname"],
        script: "unshare -Ur --uts sh -c 'hostname machine; unshare --pid --fork ./program /bin/true; uname -n'",
        printed: "init process PID : 1\ntest\n",
        mended: "init process PID : 1\nmachine\n",
    },
    Fault {
        sentence: "pid_ns_test calls itself init whoever it is",
        program: "pid_ns_test",
        needs: &[NAMESPACES],
        script: "unshare -Ur --uts ./program /bin/true 2>&1 | sed 's/[0-9][0-9]*/N/'; echo ${PIPESTATUS[0]}",
        printed: "init process PID : N\n0\n",
        mended: "pid_ns_test: this is PID N, and no init; start it by unshare --pid --fork\n2\n",
    },
    Fault {
        sentence: "pid_ns_test says its line twice when its shell cannot be executed",
        program: "pid_ns_test",
        needs: &[NAMESPACES],
        script: "unshare -Urpf --uts ./program /no/such 2>/dev/null",
        printed: "init process PID : 1\ninit process PID : 1\n",
        mended: "init process PID : 1\n",
    },
    Fault {
        sentence: "pid_ns_test reports a signal only when it ends, unless to a terminal",
        program: "pid_ns_test",
        needs: &[NAMESPACES],
        // It waits for the line, and for no longer than three seconds.
        script: r#"cat >hear <<'HEAR'
#!/bin/sh
kill -INT $PPID
n=0; until grep -q SIGINT out || [ $n -eq 60 ]; do sleep 0.05; n=$((n + 1)); done
echo 'the shell ends'
HEAR
chmod +x hear; unshare -Urpf --uts ./program ./hear >>out; cat out"#,
        printed: "the shell ends\ninit process PID : 1\nSIGINT RECEIVED\n",
        mended: "init process PID : 1\nSIGINT RECEIVED\nthe shell ends\n",
    },
    Fault {
        sentence: "pid_ns_test ends with 0 and without a word when it cannot fork",
        program: "pid_ns_test",
        needs: &[NAMESPACES],
        // Its children belong into a PID namespace whose init, the /bin/true, has ended.
        script: "unshare -Urpf --uts sh -c \"exec unshare --pid sh -c '/bin/true; exec ./program /bin/sh'\"; echo $?",
        printed: "init process PID : 1\n0\n",
        mended: "init process PID : 1\npid_ns_test: fork: Cannot allocate memory\n1\n",
    },
    Fault {
        sentence: "pid_ns_test leaves every orphan but its shell a zombie",
        program: "pid_ns_test",
        needs: &[NAMESPACES, NEW_PROC],
        // The subshell of $(…) ends before its child does, which init adopts. A zombie is given two seconds to go.
        script: r#"cat >orphan <<'ORPHAN'
#!/bin/sh
orphan=$(sleep 0.1 >/dev/null & echo $!)
n=0; while [ -e /proc/$orphan ] && [ $n -lt 40 ]; do sleep 0.05; n=$((n + 1)); done
grep PPid /proc/$orphan/status 2>/dev/null && grep State /proc/$orphan/status || echo gone
ORPHAN
chmod +x orphan; unshare -Urpf --uts --mount-proc ./program ./orphan | grep -v init"#,
        printed: "PPid:\t1\nState:\tZ (zombie)\n",
        mended: "gone\n",
    },
    Fault {
        sentence: "pid_ns_test ends with 0 whatever its shell ended with",
        program: "pid_ns_test",
        needs: &[NAMESPACES],
        script: "unshare -Urpf --uts ./program /bin/false; echo $?",
        printed: "init process PID : 1\n0\n",
        mended: "init process PID : 1\n1\n",
    },
    Fault {
        sentence: "user_ns serves user 1000 and nobody else",
        program: "user_ns",
        needs: &[AS_1000],
        script: "for id in 1000 1001; do \
                     unshare --user --map-user=$id --map-group=$id ./program 2>&1 <<<'id -u'; done",
        printed: "0\nchild has terminated\nuid write error\nchild has terminated\n",
        mended: "0\nchild has terminated\n0\nchild has terminated\n",
    },
    Fault {
        sentence: "user_ns writes 14 bytes of a text that has 9 and a NUL",
        program: "user_ns",
        needs: &[AS_1000, TRACE],
        script: "unshare --user --map-user=1000 --map-group=1000 \
                     strace -qq -f -e trace=write -e signal=none -o log ./program </dev/null >/dev/null; \
                 sed -n 's/.* write.*\"\\(0 1000 1..\\).*, \\([0-9]*\\)) *= \\([0-9]*\\)/\\1 \\2 \\3/p' log",
        printed: "0 1000 1\\n 14 14\n0 1000 1\\n 14 14\n",
        mended: "0 1000 1\\n 9 9\n0 1000 1\\n 9 9\n",
    },
    Fault {
        sentence: "user_ns ends with 0 whatever its child ended with",
        program: "user_ns",
        needs: &[AS_1000],
        script: "unshare --user --map-user=1000 --map-group=1000 ./program <<<'exit 3'; echo $?",
        printed: "child has terminated\n0\n",
        mended: "child has terminated\n3\n",
    },
    Fault {
        sentence: "user_ns leaves its namespaces running when it is killed",
        program: "user_ns",
        needs: &[AS_1000],
        // The shell inside is asked a second question after the program has ended, and `cat` reads until no process
        // holds its end of the pipe any more.
        script: r#"cat >ask <<'ASK'
mkfifo in out
./program <in >out & program=$!
exec 3>in 4<out
echo 'echo ready' >&3; read -r answer <&4; echo "$answer"
{ kill -KILL $program; wait $program; } 2>/dev/null
trap '' PIPE
echo 'echo "PID $$ is still here"; exit' >&3
exec 3>&-; cat <&4
ASK
unshare --user --map-user=1000 --map-group=1000 bash ask 2>/dev/null"#,
        printed: "ready\nPID 1 is still here\n",
        mended: "ready\n",
    },
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let built = if arguments.list { Err("only listed".into()) } else { Built::new() };
    let mut trials: Vec<Trial> = FAULTS
        .iter()
        .map(|fault| {
            let folder = built.as_ref().map(|built| built.0.clone()).map_err(String::clone);
            Trial::ignorable_test(fault.sentence, move || match folder.and_then(|it| fault.asked_in(it)) {
                Ok(folder) => fault.shows_in(&folder),
                Err(missing) if must_run() => Err(format!("LAB_MUST_RUN=1, but skipped: {missing}").into()),
                Err(missing) => Ok(Completion::ignored_with(missing)),
            })
        })
        .collect();
    trials.push(Trial::test("the document quotes each line as it stands in the program", quotes_are_right));
    trials.push(Trial::test("the document names every fault", faults_are_named));
    trials.push(Trial::ignorable_test("what students get has no solution", handout_has_no_solution));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn must_run() -> bool {
    std::env::var_os("LAB_MUST_RUN").is_some_and(|value| value == "1")
}

/// The text of a mended program, where there is one.
fn solution(program: &str) -> Option<String> {
    let folder = std::env::var_os("SOLUTIONS").unwrap_or_else(|| SOLUTIONS.into());
    fs::read_to_string(Path::new(&folder).join(format!("{program}_mended.c"))).ok()
}

/// A folder with the programs, compiled: the two printed ones, and those of the mended that there are.
struct Built(PathBuf);

impl Built {
    /// The error says what is missing.
    fn new() -> Result<Built, String> {
        let built = Built(std::env::temp_dir().join(format!("inception-c-{}", std::process::id())));
        fs::create_dir_all(&built.0).map_err(|error| format!("a temporary directory: {error}"))?;
        let printed = PROGRAMS.iter().map(|(name, text)| ((*name).to_string(), (*text).to_string()));
        let mended =
            PROGRAMS.iter().filter_map(|(name, _)| Some((format!("{name}_mended"), solution(name)?)));
        for (name, source) in printed.chain(mended) {
            let file = built.0.join(&name).with_extension("c");
            fs::write(&file, source).map_err(|error| format!("a temporary directory: {error}"))?;
            let cc = Command::new("cc").arg("-w").arg("-o").arg(built.0.join(&name)).arg(&file).output();
            match cc {
                Err(error) => return Err(format!("a C compiler (apt install gcc libc6-dev): cc: {error}")),
                Ok(cc) if !cc.status.success() => {
                    let said = String::from_utf8_lossy(&cc.stderr);
                    // Without its headers a compiler is of no use; anything else is our text's fault.
                    assert!(said.contains("No such file"), "cc {}: {said}", file.display());
                    return Err("the headers of C (apt install libc6-dev)".into());
                }
                Ok(_) => {}
            }
        }
        Ok(built)
    }
}

impl Drop for Built {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Fault {
    /// The folder again, if this machine can be asked; else what it refuses.
    fn asked_in(&self, folder: PathBuf) -> Result<PathBuf, String> {
        match self.needs.iter().find(|need| !matches!(run("bash", need, &folder), Ok((true, _)))) {
            Some(refused) => Err(format!("this machine refuses: {refused}")),
            None => Ok(folder),
        }
    }

    fn shows_in(&self, built: &Path) -> Result<Completion, Failed> {
        for (program, expected) in
            [(self.program.to_string(), self.printed), (format!("{}_mended", self.program), self.mended)]
        {
            if !built.join(&program).exists() {
                return Ok(Completion::ignored_with(format!(
                    "no {program}.c: students write it, docs/teacher.md"
                )));
            }
            let folder = built.join(format!("{} with {program}", self.sentence));
            fs::create_dir(&folder)?;
            // By cp, so that no descriptor of ours is ever open for writing to what is to be executed.
            let copied = Command::new("cp").arg(built.join(&program)).arg(folder.join("program")).status()?;
            ensure(copied.success(), || "the temporary directory has room".into())?;
            let (_, said) = run("bash", self.script, &folder)?;
            ensure(said == expected, || format!("{program}: said {said:?}\nexpected {expected:?}"))?;
        }
        Ok(Completion::Completed)
    }
}

/// Whether a script succeeded, and all that it wrote.
fn run(shell: &str, script: &str, folder: &Path) -> Result<(bool, String), Failed> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    let output = Command::new("timeout")
        .args([OsStr::new("60"), OsStr::new(shell), OsStr::new("-c")])
        .arg(format!("exec 2>&1; {script}"))
        .current_dir(folder)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()?;
    Ok((output.status.success(), String::from_utf8(output.stdout)?))
}

fn ensure(condition: bool, complaint: impl FnOnce() -> String) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(complaint().into()) }
}

/// A row of a table in the document is `| LINE | what stands there | …`, under a heading that names the program.
fn quotes_are_right() -> Result<(), Failed> {
    let (mut source, mut rows) = ("", 0);
    for line in DOCUMENT.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            let named = PROGRAMS.iter().find(|(name, _)| heading.contains(&format!("`{name}`")));
            source = named.map_or("", |(_, text)| text);
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let Some(number) = cells.get(1).and_then(|cell| cell.split('–').next()?.parse::<usize>().ok())
        else {
            continue;
        };
        let quoted = cells.get(2).and_then(|cell| cell.split('`').nth(1)).unwrap_or("nothing quoted");
        let stands = source.lines().nth(number - 1).unwrap_or_default();
        ensure(stands.contains(quoted), || format!("line {number} is {stands:?}, not {quoted:?}"))?;
        rows += 1;
    }
    ensure(rows > 20, || format!("only {rows} rows are quoted"))
}

/// As long as this is a repository; what students got is none with a solution in it.
fn handout_has_no_solution() -> Result<Completion, Failed> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let git = |arguments: &[&str], folder: &Path| {
        let output = Command::new("git").arg("-C").arg(folder).args(arguments).output();
        output
            .ok()
            .filter(|it| it.status.success())
            .map(|it| String::from_utf8_lossy(&it.stdout).into_owned())
    };
    if !checkout.join("solutions").exists() || git(&["rev-parse", "HEAD"], &checkout).is_none() {
        return Ok(Completion::ignored_with("no repository with solutions"));
    }
    let folder = std::env::temp_dir().join(format!("inception-handout-{}", std::process::id()));
    let made = Command::new(checkout.join("scripts/handout")).arg(&folder).output()?;
    let files = git(&["ls-files"], &folder).unwrap_or_default();
    let commits = git(&["rev-list", "--count", "--all"], &folder).unwrap_or_default();
    let exercises = fs::read_to_string(folder.join("exercises/own-hostname.toml")).unwrap_or_default();
    fs::remove_dir_all(&folder)?;
    ensure(made.status.success(), || String::from_utf8_lossy(&made.stderr).into_owned())?;
    ensure(files.contains("docs/c/user_ns.c\n"), || format!("the exercise is missing: {files}"))?;
    ensure(!files.contains("_mended"), || format!("a solution: {files}"))?;
    let is_for_students = exercises.contains("[[requirement]]") && !exercises.contains("[solution]");
    ensure(is_for_students, || format!("an exercise: {exercises}"))?;
    ensure(commits.trim() == "1", || format!("{commits} commits: there was a solution before"))?;
    Ok(Completion::Completed)
}

fn faults_are_named() -> Result<(), Failed> {
    let text = DOCUMENT.split_whitespace().collect::<Vec<_>>().join(" ");
    for Fault { sentence, program, .. } in FAULTS {
        let words = sentence.strip_prefix(program).unwrap_or(sentence).trim();
        ensure(text.contains(words), || format!("not in the document: {words}"))?;
    }
    Ok(())
}
