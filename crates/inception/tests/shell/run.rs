//! Running commands in one shell, in a place from which nothing gets out.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A user and group that no system gives to anyone; the one of scripts/ordinary.
pub(crate) const STRANGER: u32 = 64_321;
/// What every process of a session has in its environment.
const TOKEN: &str = "INCEPTION_SHELL";
/// Stands in the output after what a command printed.
const MARK: char = '\u{1e}';

/// Where things are.
pub(crate) struct Place {
    /// The checkout.
    pub(crate) checkout: PathBuf,
    /// The built programs.
    pub(crate) programs: PathBuf,
    pub(crate) root: bool,
    /// A session that takes longer has failed.
    pub(crate) at_most: Duration,
}

/// Commands that are typed into one shell, one after another.
#[derive(Debug, Default)]
pub(crate) struct Script<'a> {
    pub(crate) commands: Vec<&'a str>,
    /// What is done before the first, and not shown.
    pub(crate) before: Option<&'a str>,
    /// Whether the shell is root's.
    pub(crate) as_root: bool,
    /// Whether a Docker engine is to run.
    pub(crate) docker: bool,
    /// Whether an ordinary user gets a cgroup.
    pub(crate) cgroup: bool,
    /// Whether it sees the machine's own processes.
    pub(crate) machine: bool,
    /// Whether what it leaves behind is ended, and is no fault.
    pub(crate) may_leave: bool,
}

/// What a command printed, and its exit status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Printed {
    pub(crate) status: i32,
    pub(crate) text: String,
}

/// A directory of a session's own, and all of its processes.
struct Scratch {
    path: PathBuf,
    token: String,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for signal in ["TERM", "KILL"] {
            for _ in 0..100 {
                let left = processes(&self.token);
                if left.is_empty() {
                    break;
                }
                for (pid, _) in left {
                    let _ = Command::new("kill")
                        .args([&format!("-{signal}"), &pid])
                        .stderr(Stdio::null())
                        .status();
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Runs the commands, and says what each printed. `number` is no other session's of this process.
///
/// # Errors
/// What went wrong, if it is not a matter of what was printed: it took too long, a command read the next one as its
/// input, or something was left behind.
pub(crate) fn run(place: &Place, script: &Script<'_>, number: usize) -> Result<Vec<Printed>, String> {
    let commands = &script.commands;
    let scratch = scratch(place, number).map_err(|error| format!("a scratch directory: {error}"))?;
    let output = scratch.path.join("output");
    let mut child = start(place, script, &scratch, &output).map_err(|error| format!("starting: {error}"))?;
    let mut stdin = child.stdin.take().expect("its standard input is a pipe");
    let mut watch =
        Watch { child: &mut child, output, at_most: place.at_most, until: Instant::now() + place.at_most };
    // The shells that the commands start read on where the first one stopped, so a mark is printed by whichever reads.
    let lines: String = (1..).zip(commands).map(|(at, command)| typed(at, command)).collect();
    // What runs before the first command is the session's frame.
    let met = stdin.write_all(typed(0, script.before.unwrap_or(":")).as_bytes());
    watch.wait_for(0)?;
    let frame = processes(&scratch.token);
    let fed = met.and_then(|()| stdin.write_all(lines.as_bytes()));
    watch.wait_for(commands.len())?;
    let left = if script.may_leave { Vec::new() } else { left_behind(&scratch.token, &frame) };
    drop(stdin);
    watch.wait_for_the_end()?;
    let text = watch.printed()?;
    drop(scratch);

    fed.map_err(|error| format!("the shell stopped reading: {error}; it printed:\n{text}"))?;
    let printed = split(&text, commands.len())?;
    if !left.is_empty() {
        return Err(format!("left behind:\n{}", left.join("\n")));
    }
    Ok(printed)
}

/// A session that runs, and the file that it prints to.
struct Watch<'a> {
    child: &'a mut Child,
    output: PathBuf,
    at_most: Duration,
    until: Instant,
}

impl Watch<'_> {
    fn printed(&self) -> Result<String, String> {
        let text = fs::read(&self.output).map_err(|error| format!("{}: {error}", self.output.display()))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Waits for the mark behind a command, or the end of the session.
    fn wait_for(&mut self, mark: usize) -> Result<(), String> {
        while !self.printed()?.contains(&format!("{MARK}{mark} ")) && !self.has_ended()? {
            self.wait()?;
        }
        Ok(())
    }

    fn wait_for_the_end(&mut self) -> Result<(), String> {
        while !self.has_ended()? {
            self.wait()?;
        }
        Ok(())
    }

    fn has_ended(&mut self) -> Result<bool, String> {
        Ok(self.child.try_wait().map_err(|error| error.to_string())?.is_some())
    }

    fn wait(&self) -> Result<(), String> {
        if Instant::now() > self.until {
            return Err(format!("not done after {} s; so far:\n{}", self.at_most.as_secs(), self.printed()?));
        }
        std::thread::sleep(Duration::from_millis(5));
        Ok(())
    }
}

/// The command, and then a mark with its exit status, which the next command may ask for.
fn typed(at: usize, command: &str) -> String {
    // Who types takes a moment for each line, in which a background process comes to where the next line wants it.
    let wait = if command.trim_end().ends_with('&') { "sleep 1\n" } else { "" };
    let mark = |status: &str| format!(r"printf '\036{at} %s\036' {status}");
    let (fine, else_) = (mark("0"), mark("$__"));
    format!(
        "{command}\n{wait}{{ case $? in 0) {fine};; *) __=$?; {else_}; (exit $__);; esac; }} 2>/dev/null\n"
    )
}

/// What stands between the marks.
fn split(text: &str, commands: usize) -> Result<Vec<Printed>, String> {
    let mut printed = Vec::new();
    let mut rest = text;
    for at in 0..=commands {
        let missing =
            || format!("command {at} did not end, or read the next one as its input; it printed:\n{text}");
        let (before, after) = rest.split_once(&format!("{MARK}{at} ")).ok_or_else(missing)?;
        let (status, after) = after.split_once(MARK).ok_or_else(missing)?;
        printed.push(Printed { status: status.parse().map_err(|_| missing())?, text: as_typed(before) });
        rest = after;
    }
    printed.remove(0);
    Ok(printed)
}

/// A shell that reads a pipe numbers its lines, and tells at once of a background process that was killed. One that is
/// typed at does neither: of jobs it tells between prompts, and the pages leave that out.
fn as_typed(text: &str) -> String {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let plain = line.strip_prefix("/usr/bin/").or_else(|| line.strip_prefix("/bin/")).unwrap_or(line);
        let rest = plain.strip_prefix("bash: line ").and_then(|rest| rest.split_once(": "));
        let Some((_, message)) = rest.filter(|(number, _)| digits(number)) else {
            lines.push(line.into());
            continue;
        };
        let mut words = message.split_whitespace();
        let job = words.next().is_some_and(digits) && matches!(words.next(), Some("Killed" | "Terminated"));
        if !job {
            lines.push(format!("bash: {message}"));
        }
    }
    lines.join("\n")
}

fn scratch(place: &Place, number: usize) -> std::io::Result<Scratch> {
    let name = format!("inception-shell-{}-{number}", std::process::id());
    let path = std::env::temp_dir().join(&name);
    fs::create_dir(&path)?;
    let scratch = Scratch { path, token: name };
    for directory in ["work", "home", "tmp", "bin"] {
        fs::create_dir(scratch.path.join(directory))?;
    }
    for entry in ["scripts", "demos", "docs", "solutions"] {
        std::os::unix::fs::symlink(place.checkout.join(entry), scratch.path.join("work").join(entry))?;
    }
    fs::create_dir(scratch.path.join("work/target"))?;
    std::os::unix::fs::symlink(&place.programs, scratch.path.join("work/target/debug"))?;
    // Root needs no sudo, and may not have one.
    let sudo = scratch.path.join("bin/sudo");
    fs::write(&sudo, "#!/bin/sh\nexec \"$@\"\n")?;
    fs::set_permissions(&sudo, fs::Permissions::from_mode(0o755))?;
    File::create(scratch.path.join("output"))?;
    Ok(scratch)
}

fn start(place: &Place, script: &Script<'_>, scratch: &Scratch, output: &Path) -> std::io::Result<Child> {
    let Script { as_root, docker, .. } = *script;
    let mut line: Vec<String> = Vec::new();
    let mut add = |words: &[&str]| line.extend(words.iter().map(ToString::to_string));
    // What is killed with us takes its PID namespace along.
    add(&["setpriv", "--pdeathsig", "KILL", "--"]);
    if place.root && !script.machine {
        add(&["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
    }
    let ordinary = place.checkout.join("scripts/ordinary").display().to_string();
    let lab = place.checkout.join("scripts/docker-lab").display().to_string();
    if docker {
        add(&[&lab, "run"]);
    } else if place.root && !as_root {
        if script.machine {
            let who = STRANGER.to_string();
            add(&["setpriv", "--reuid", &who, "--regid", &who, "--clear-groups", "--inh-caps=-all", "--"]);
        } else {
            add(&[&ordinary]);
        }
        if script.cgroup {
            add(&["--cgroup"]);
        }
        for directory in ["work", "home", "tmp"] {
            chown(scratch.path.join(directory), Some(STRANGER), Some(STRANGER))?;
        }
    }
    // A script that starts us by `&` has SIGINT ignored, and a shell does not change that.
    add(&["/usr/bin/env", "--default-signal", "-"]);
    let mut path = vec![place.programs.display().to_string()];
    let standard: &[&str] = if as_root {
        path.push(scratch.path.join("bin").display().to_string());
        &["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
    } else {
        &["/usr/local/bin", "/usr/bin", "/bin"]
    };
    path.extend(standard.iter().map(ToString::to_string));
    let at = |name: &str| scratch.path.join(name).display().to_string();
    for (name, value) in [
        ("PATH", path.join(":")),
        ("HOME", at("home")),
        ("TMPDIR", at("tmp")),
        ("SHELL", "/bin/bash".into()),
        ("LC_ALL", "C.UTF-8".into()),
        ("TERM", "dumb".into()),
        ("USER", if as_root { "root".into() } else { "student".into() }),
        (TOKEN, scratch.token.clone()),
    ] {
        add(&[&format!("{name}={value}")]);
    }
    if docker {
        add(&[&format!("DOCKER_HOST=unix://{}/docker.sock", at("lab"))]);
    }
    add(&["setsid", "--wait", "bash", "--norc", "--noprofile"]);

    let printed = File::options().append(true).open(output)?;
    let mut command = Command::new(&line[0]);
    command.args(&line[1..]).current_dir(scratch.path.join("work"));
    command.env(TOKEN, &scratch.token).env("TMPDIR", at("tmp")).env("DOCKER_LAB", at("lab"));
    command.stdin(Stdio::piped()).stdout(printed.try_clone()?).stderr(printed).spawn()
}

/// What outlives the session by more than a moment.
fn left_behind(token: &str, frame: &[(String, String)]) -> Vec<String> {
    let until = Instant::now() + Duration::from_secs(1);
    loop {
        let mut left = processes(token);
        left.retain(|(pid, _)| !frame.iter().any(|(framed, _)| framed == pid));
        if left.is_empty() || Instant::now() > until {
            return left.into_iter().map(|(pid, line)| format!("process {pid}: {line}")).collect();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The processes that have the token in their environment, which is inherited.
fn processes(token: &str) -> Vec<(String, String)> {
    let wanted = format!("{TOKEN}={token}");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|word| word == wanted.as_bytes()) {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push((pid, String::from_utf8_lossy(&line).replace('\0', " ")));
        }
    }
    found
}
