//! A terminal of tmux's, with keys to press and a screen to read, and a state directory of its own.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;

/// A user and group that no system gives to anyone.
pub(crate) const STRANGER: u32 = 64_321;
/// A machine under load, and emulated, is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who sits there.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) is_stranger: bool,
    /// A folder with the programs, which everybody may run.
    pub(crate) programs: PathBuf,
}

pub(crate) struct Desk {
    person: Person,
    folder: PathBuf,
    /// Stands in the environment of all that runs here.
    token: String,
    /// What else stands there.
    environment: Vec<(String, String)>,
}

static DESKS: AtomicUsize = AtomicUsize::new(0);

impl Desk {
    pub(crate) fn new(person: &Person) -> Desk {
        let number = DESKS.fetch_add(1, Ordering::Relaxed);
        let token = format!("inception-desk-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(&token);
        let state = folder.join("state");
        fs::create_dir_all(&state).expect("the temporary directory can be written");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("our own folder");
        if person.is_stranger {
            chown(&state, Some(STRANGER), Some(STRANGER)).expect("root gives away");
        }
        // No pager, but where a test sets one.
        let environment = vec![("PAGER".to_string(), "cat".to_string())];
        Desk { person: person.clone(), folder, token, environment }
    }

    /// Sets a variable of the environment of what is run from here on.
    pub(crate) fn set(&mut self, variable: &str, value: &str) {
        self.environment.retain(|(name, _)| name != variable);
        self.environment.push((variable.into(), value.into()));
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn predictions(&self) -> PathBuf {
        self.folder.join("state/inception/predictions.jsonl")
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.join(name);
        fs::write(&path, text).expect("our own folder");
        path.display().to_string()
    }

    /// The words that run `line` as the person, with the desk's environment.
    fn words(&self, line: &[&str]) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        if self.person.is_stranger {
            let id = STRANGER.to_string();
            words.extend(["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"].map(String::from));
        }
        let unset = ["CI", "LAB_MUST_RUN", "NO_COLOR", "CLICOLOR_FORCE", "SUDO_UID", "PKEXEC_UID", "LESS"];
        words.push("env".into());
        words.extend(unset.iter().flat_map(|it| ["-u".to_string(), (*it).to_string()]));
        words.push(format!("DESK={}", self.token));
        words.extend(self.environment.iter().map(|(name, value)| format!("{name}={value}")));
        words.push(format!("XDG_STATE_HOME={}", self.folder.join("state").display()));
        words.push("SHELL=/bin/bash".into());
        words.push(self.person.programs.join(line[0]).display().to_string());
        words.extend(line[1..].iter().map(ToString::to_string));
        words
    }

    /// Runs a program without a terminal.
    pub(crate) fn run(&self, line: &[&str]) -> Output {
        let words = self.words(line);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir("/").stdin(Stdio::null());
        command.output().expect("it can be started")
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.folder.join("tmux")).args(["-f", "/dev/null"]).args(arguments);
        let output = command.env_remove("TMUX").env("LC_ALL", "C.UTF-8").stdin(Stdio::null()).output();
        let output = output.expect("tmux can be started");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Opens the terminal, and starts a program in it; its exit status is told when it ends.
    pub(crate) fn open(&self, columns: u16, line: &[&str]) {
        self.open_sized((columns, 50), line);
    }

    /// As [`Desk::open`], of so many columns and rows.
    pub(crate) fn open_sized(&self, (columns, rows): (u16, u16), line: &[&str]) {
        let words: Vec<String> = self.words(line).iter().map(|it| format!("'{it}'")).collect();
        let script = format!(
            "cd /; stty -a > {}/before; {}; echo \"exit status $?\"; stty -a > {}/after; read -r _",
            self.folder.display(),
            words.join(" "),
            self.folder.display()
        );
        let (columns, rows) = (columns.to_string(), rows.to_string());
        // All that it writes, from its first byte on.
        let record = format!("cat > {}", self.folder.join("written").display());
        let script = format!("read -r _; {script}");
        self.tmux(&["new-session", "-d", "-x", &columns, "-y", &rows, "sh", "-c", &script]);
        self.tmux(&["pipe-pane", &record]);
        self.press("Enter");
    }

    /// All that was written to the terminal so far, as it was written.
    pub(crate) fn written(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.join("written")).unwrap_or_default()).into_owned()
    }

    /// A second terminal, which shows nothing of its own: its name.
    pub(crate) fn second_terminal(&self) -> String {
        self.tmux(&["split-window", "-d", "sh", "-c", "stty -echo; exec sleep 1000"]);
        self.tmux(&["display-message", "-p", "-t", "{bottom}", "#{pane_tty}"]).trim().into()
    }

    /// What the second terminal shows.
    pub(crate) fn on_the_second(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-t", "{bottom}"])
    }

    /// What is to be seen now, without what ran off the screen.
    pub(crate) fn visible(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-J"])
    }

    pub(crate) fn press(&self, keys: &str) {
        self.tmux(&["send-keys", keys]);
    }

    /// What is shown can be read also when the terminal's programs have ended.
    pub(crate) fn outlasts_its_program(&self) {
        self.tmux(&["set-option", "remain-on-exit", "on"]);
    }

    /// Types a line.
    pub(crate) fn type_line(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.tmux(&["send-keys", "Enter"]);
    }

    pub(crate) fn resize(&self, columns: u16) {
        self.resize_to(columns, 50);
    }

    pub(crate) fn resize_to(&self, columns: u16, rows: u16) {
        self.tmux(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    pub(crate) fn hang_up(&self) {
        self.tmux(&["kill-server"]);
    }

    /// All that was shown, lines as the program ended them.
    pub(crate) fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-J", "-S", "-"])
    }

    /// Lines as the terminal broke them.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.tmux(&["capture-pane", "-p", "-S", "-"]).lines().map(ToString::to_string).collect()
    }

    /// Waits until the screen ends with `text`, apart from blanks.
    pub(crate) fn ends_with(&self, text: &str) -> Result<(), Failed> {
        self.until(&format!("the screen ends with {text:?}"), |screen| screen.trim_end().ends_with(text))
    }

    /// Waits until the screen has `text` so many times.
    pub(crate) fn shows(&self, text: &str, times: usize) -> Result<(), Failed> {
        self.until(&format!("{text:?} is shown {times} times"), |screen| {
            screen.matches(text).count() >= times
        })
    }

    /// Waits until the screen has one of both.
    pub(crate) fn either(&self, one: &str, other: &str) -> Result<(), Failed> {
        self.until(&format!("{one:?} or {other:?} is shown"), |screen| {
            screen.contains(one) || screen.contains(other)
        })
    }

    pub(crate) fn until(&self, what: &str, mut is_so: impl FnMut(&str) -> bool) -> Result<(), Failed> {
        let began = Instant::now();
        loop {
            let screen = self.screen();
            if is_so(&screen) {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(
                    format!("not within {PATIENCE:?}: {what}. The screen:\n{}", screen.trim_end()).into()
                );
            }
            sleep(Duration::from_millis(20));
        }
    }

    /// Processes of this desk, zombies left out, by PID and name.
    pub(crate) fn processes(&self) -> Vec<(i32, String)> {
        let wanted = format!("DESK={}", self.token);
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            let is_ours = environment.split(|byte| *byte == 0).any(|it| it == wanted.as_bytes());
            let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
            let pid = entry.file_name().to_string_lossy().parse();
            if let (true, Ok(pid), false) = (is_ours, pid, status.contains("\nState:\tZ")) {
                let name = status.lines().next().and_then(|it| it.split_once('\t')).map_or("", |it| it.1);
                found.push((pid, name.to_string()));
            }
        }
        found
    }

    /// Nothing of this desk lives, or lies in a cgroup tree.
    pub(crate) fn is_left_clean(&self, pids: &[i32]) -> Result<(), Failed> {
        let began = Instant::now();
        loop {
            let (processes, cgroups) = (self.processes(), cgroups_of(pids));
            if processes.is_empty() && cgroups.is_empty() {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("left: {processes:?} {cgroups:?}").into());
            }
            sleep(Duration::from_millis(20));
        }
    }

    /// The terminal's settings are those that it had before.
    pub(crate) fn settings_are_back(&self) -> Result<(), Failed> {
        let read = |name: &str| fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        self.until("the settings after are written", |_| read("after").contains("echo"))?;
        let size_aside = |text: String| text.split_once(';').map_or(String::new(), |it| it.1.to_string());
        let (before, after) = (size_aside(read("before")), size_aside(read("after")));
        let strip = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
        if strip(&before) == strip(&after) { Ok(()) } else { Err(format!("{before}\n{after}").into()) }
    }
}

impl Desk {
    /// The terminal gets back the settings that it had before, though its program could not do it.
    pub(crate) fn settings_come_back(&self) -> Result<(), Failed> {
        let terminal = self.tmux(&["display-message", "-p", "#{pane_tty}"]);
        let flags = |text: &str| -> Vec<String> {
            let words = text.split(|c: char| c == ';' || c.is_whitespace());
            words.filter(|it| ["icanon", "echo", "isig"].contains(it)).map(ToString::to_string).collect()
        };
        let before = flags(&fs::read_to_string(self.folder.join("before")).unwrap_or_default());
        self.until(&format!("{terminal} has {before:?}"), |_| {
            let now = Command::new("stty").args(["-a", "-F", terminal.trim()]).output();
            now.is_ok_and(|it| flags(&String::from_utf8_lossy(&it.stdout)) == before && before.len() == 3)
        })
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.hang_up();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Cgroups with our prefix whose name holds one of these PIDs.
pub(crate) fn cgroups_of(pids: &[i32]) -> Vec<PathBuf> {
    let prefixes: Vec<String> = pids.iter().map(|pid| format!("inception-{pid}-")).collect();
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let name = entry.file_name().to_string_lossy().into_owned();
                if prefixes.iter().any(|prefix| name.starts_with(prefix)) {
                    found.push(entry.path());
                }
                folders.push(entry.path());
            }
        }
    }
    found
}
