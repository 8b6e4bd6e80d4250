//! `docker-view`, run as a user would run it: against processes of several creators, and against an engine that
//! scripts/docker-lab starts and takes down. What a machine lacks is seen as an ignored trial, with the remedy.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use transcript::{Event, Verdict};

/// A user and group that no system gives to anyone.
const STRANGER: u32 = 64_321;
/// A machine under load is slow.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where cargo put it, unless this program was carried to another machine, which says where it is there.
static PROGRAM: LazyLock<String> = LazyLock::new(|| {
    std::env::var("DOCKER_VIEW").unwrap_or_else(|_| env!("CARGO_BIN_EXE_docker-view").into())
});

type Test = fn() -> Result<(), Failed>;
/// What a machine may lack: whether it is there, and how to get it.
type Need = (fn() -> bool, &'static str);

const ROOT: Need = (|| nix::unistd::getuid().is_root(), "needs root: sudo");
const BUBBLEWRAP: Need = (|| has("bwrap"), "bwrap is missing: apt install bubblewrap");
const BUSYBOX: Need =
    (|| busybox().is_some(), "a busybox without shared libraries is missing: apt install busybox-static");
const CONTAINER: Need =
    (|| beside("mini-container").is_file(), "mini-container is not built: cargo build -p mini-container");
const PODMAN: Need = (|| has("podman") && has("runc"), "podman or runc is missing: apt install podman runc");
const SYSTEMD: Need =
    (|| Path::new("/run/systemd/system").is_dir(), "systemd is not what booted this machine: scripts/vm 13");
const ENGINE: Need =
    (|| has("dockerd") && has("docker"), "a Docker engine is missing: apt install docker.io docker-cli");

/// A trial that is ignored, with the reason, where one of `needs` is missing.
fn trial(name: &str, needs: &'static [Need], test: Test) -> Trial {
    Trial::ignorable_test(name, move || match needs.iter().find(|(is_there, _)| !is_there()) {
        Some((_, why)) => Ok(Completion::ignored_with(why)),
        None => test().map(|()| Completion::Completed),
    })
}

fn main() -> ExitCode {
    let trials = vec![
        trial("a_pid_that_is_none_or_gone_gets_one_line", &[], a_pid_that_is_none_or_gone_gets_one_line),
        trial("a_process_of_another_user_gets_one_line", &[ROOT], a_process_of_another_user_gets_one_line),
        trial("a_zombie_gets_one_line", &[], a_zombie_gets_one_line),
        trial("a_plain_process_is_one", &[], a_plain_process_is_one),
        trial("what_unshare_made_is_made_by_hand", &[], what_unshare_made_is_made_by_hand),
        trial("a_process_is_told_on_one_screen", &[], a_process_is_told_on_one_screen),
        trial("a_bubblewrap_sandbox_is_one", &[BUBBLEWRAP], a_bubblewrap_sandbox_is_one),
        trial("a_mini_container_is_one", &[CONTAINER, BUSYBOX], a_mini_container_is_one),
        trial("a_podman_container_is_one", &[ROOT, PODMAN, BUSYBOX], a_podman_container_is_one),
        trial("a_systemd_service_is_one", &[ROOT, SYSTEMD], a_systemd_service_is_one),
        trial("several_are_looked_at_in_their_order", &[], several_are_looked_at_in_their_order),
        trial("no_engine_is_a_skip_with_its_remedy", &[], no_engine_is_a_skip_with_its_remedy),
        trial(
            "every_claim_comes_out_as_expected",
            &[ROOT, ENGINE, BUSYBOX],
            every_claim_comes_out_as_expected,
        ),
        trial("no_claim_holds_under_sabotage", &[ROOT, ENGINE, BUSYBOX], no_claim_holds_under_sabotage),
        trial(
            "docker_containers_are_told_with_their_options",
            &[ROOT, ENGINE, BUSYBOX],
            docker_containers_are_told_with_their_options,
        ),
        trial(
            "nothing_is_left_at_the_engine_after_a_kill",
            &[ROOT, ENGINE, BUSYBOX],
            nothing_is_left_at_the_engine_after_a_kill,
        ),
    ];
    let mut arguments = Arguments::from_args();
    // Two engines at one time would be in each other's cgroups.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(more).any(|directory| directory.join(program).is_file())
}

fn beside(program: &str) -> PathBuf {
    Path::new(&*PROGRAM).with_file_name(program)
}

/// A busybox, with a root directory for it to stand in; Debian's static one.
fn busybox() -> Option<PathBuf> {
    let found =
        ["/usr/bin/busybox", "/bin/busybox"].map(PathBuf::from).into_iter().find(|path| path.is_file())?;
    let linked = Command::new("ldd").arg(&found).output().ok()?;
    (!linked.status.success()).then_some(found)
}

fn docker_view(arguments: &[&str]) -> Result<Output, Failed> {
    Ok(Command::new(&*PROGRAM).args(arguments).stdin(Stdio::null()).output()?)
}

fn ensure(condition: bool, complaint: impl FnOnce() -> String) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(complaint().into()) }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn one_line(output: &Output, said: &str) -> Result<(), Failed> {
    let line = text(&output.stderr);
    ensure(output.status.code() == Some(2), || format!("{}: {line}", output.status))?;
    ensure(line.lines().count() == 1 && line.contains(said), || format!("says {line:?}"))?;
    ensure(output.stdout.is_empty(), || "something was printed all the same".into())
}

fn events(output: &Output) -> Result<Vec<Event>, Failed> {
    Ok(text(&output.stdout).lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// What it was taken for, and all that was said of it.
fn judged(pids: &[u32]) -> Result<(Vec<String>, String), Failed> {
    let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
    let mut arguments = vec!["--format", "jsonl", "--pid"];
    arguments.extend(pids.iter().map(String::as_str));
    let output = docker_view(&arguments)?;
    ensure(output.status.success(), || text(&output.stderr))?;
    let facts = events(&output)?.into_iter().filter_map(|event| match event {
        Event::Saw(fact) if fact.what == "most likely" => Some(fact.value.to_string()),
        _ => None,
    });
    Ok((facts.collect(), text(&output.stdout)))
}

/// A process of ours, which ends with the trial, and its children with it.
struct Sleeper(Child);

impl Sleeper {
    fn spawn(command: &[&str]) -> Result<Sleeper, Failed> {
        let mut program = Command::new(command[0]);
        program.args(&command[1..]).stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        Ok(Sleeper(program.spawn()?))
    }

    /// The process below it, or it itself, that has become `sleep` with these arguments.
    fn sleeping(&self, seconds: &str) -> Result<u32, Failed> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut next = vec![self.0.id()];
            while let Some(pid) = next.pop() {
                let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let words: Vec<_> = line.split(|byte| *byte == 0).map(text).collect();
                let sleeps = words.iter().rev().skip(1).take(2).map(String::as_str).eq([seconds, "sleep"]);
                let is_it = words.first().is_some_and(|first| first == "sleep" || first.ends_with("busybox"));
                if sleeps && is_it {
                    return Ok(pid);
                }
                let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
                next.extend(
                    children.unwrap_or_default().split(' ').filter_map(|pid| pid.parse::<u32>().ok()),
                );
            }
            ensure(Instant::now() < deadline, || format!("no sleep {seconds} below {}", self.0.id()))?;
            std::thread::yield_now();
        }
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let group = nix::unistd::Pid::from_raw(-i32::try_from(self.0.id()).unwrap_or(i32::MAX));
        let _ = nix::sys::signal::kill(group, nix::sys::signal::Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

fn a_pid_that_is_none_or_gone_gets_one_line() -> Result<(), Failed> {
    for (pid, said) in [
        ("0", "is not a PID"),
        ("-1", "is not a PID"),
        ("moon", "is not a PID"),
        ("2147483647", "there is no process"),
    ] {
        one_line(&docker_view(&["--pid", pid])?, said)?;
    }
    // One that is gone is no half answer for the others.
    let sleeper = Sleeper::spawn(&["sleep", "60"])?;
    one_line(&docker_view(&["--pid", &sleeper.0.id().to_string(), "2147483647"])?, "there is no process")
}

fn a_process_of_another_user_gets_one_line() -> Result<(), Failed> {
    let folder = std::env::temp_dir().join(format!("docker-view-test-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let program = folder.join("docker-view");
    std::fs::copy(&*PROGRAM, &program)?;
    std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let own = std::process::id().to_string();
    let output =
        Command::new(&program).args(["--pid", &own]).uid(STRANGER).gid(STRANGER).current_dir("/").output();
    std::fs::remove_dir_all(&folder)?;
    one_line(&output?, "of user 0: run as that user, or with sudo")
}

fn a_zombie_gets_one_line() -> Result<(), Failed> {
    let sleeper = Sleeper::spawn(&["true"])?;
    let stat = format!("/proc/{}/stat", sleeper.0.id());
    let deadline = Instant::now() + PATIENCE;
    while !std::fs::read_to_string(&stat)?.contains(") Z ") {
        ensure(Instant::now() < deadline, || "true does not end".into())?;
    }
    one_line(&docker_view(&["--pid", &sleeper.0.id().to_string()])?, "has ended")
}

fn a_plain_process_is_one() -> Result<(), Failed> {
    let sleeper = Sleeper::spawn(&["sleep", "60"])?;
    let (what, said) = judged(&[sleeper.sleeping("60")?])?;
    // Below a service it is that service's.
    ensure(["a plain process", "a systemd service"].contains(&what[0].as_str()), || said)
}

fn what_unshare_made_is_made_by_hand() -> Result<(), Failed> {
    let made =
        Sleeper::spawn(&["unshare", "-Ur", "--uts", "--pid", "--fork", "--kill-child", "sleep", "60"])?;
    let (what, said) = judged(&[made.sleeping("60")?])?;
    ensure(what == ["a container made by hand, as by unshare"], || said.clone())?;
    ensure(said.contains("namespaces of its own: pid user uts"), || said)
}

fn a_process_is_told_on_one_screen() -> Result<(), Failed> {
    let made = Sleeper::spawn(&["unshare", "-Urpf", "--kill-child", "sleep", "60"])?;
    let pid = made.sleeping("60")?.to_string();
    let (short, long) = (docker_view(&["--pid", &pid])?, docker_view(&["--pid", &pid, "--verbose"])?);
    let (short, long) = (text(&short.stdout), text(&long.stdout));
    ensure(short.lines().count() <= 24, || format!("longer than a screen:\n{short}"))?;
    ensure(short.lines().all(|line| line.chars().count() <= 80), || {
        format!("wider than 80 columns:\n{short}")
    })?;
    for said in [
        &format!("PID {pid} is sleep. In its own PID namespace it is PID 1."),
        "It is most likely a container made by hand, as by unshare:",
        "  since it has namespaces of its own: pid user",
        "pid and user are other than docker-view's.",
        "It is on the network of docker-view.",
    ] {
        ensure(short.contains(said), || format!("{said:?} is not in\n{short}"))?;
    }
    ensure(long.contains("\u{250c}") && !short.contains('\u{250c}'), || {
        format!("tables, on request:\n{long}")
    })
}

fn a_bubblewrap_sandbox_is_one() -> Result<(), Failed> {
    let sandbox = ["bwrap", "--ro-bind", "/", "/", "--unshare-all", "--die-with-parent", "sleep", "60"];
    let sandbox = Sleeper::spawn(&sandbox)?;
    let (what, said) = judged(&[sandbox.sleeping("60")?])?;
    ensure(what == ["a bubblewrap sandbox"], || said)
}

fn a_mini_container_is_one() -> Result<(), Failed> {
    let rootfs = std::env::temp_dir().join(format!("docker-view-rootfs-{}", std::process::id()));
    std::fs::create_dir_all(rootfs.join("bin"))?;
    std::fs::copy(busybox().ok_or("no busybox")?, rootfs.join("bin/busybox"))?;
    let (mini, directory) = (beside("mini-container"), rootfs.display().to_string());
    let told =
        Sleeper::spawn(&[&mini.display().to_string(), "run", &directory, "/bin/busybox", "sleep", "60"])
            .and_then(|container| judged(&[container.sleeping("60")?]));
    std::fs::remove_dir_all(&rootfs)?;
    let (what, said) = told?;
    ensure(what == ["a container of mini-container"], || said)
}

fn a_podman_container_is_one() -> Result<(), Failed> {
    let rootfs = std::env::temp_dir().join(format!("docker-view-podman-{}", std::process::id()));
    std::fs::create_dir_all(rootfs.join("bin"))?;
    std::fs::copy(busybox().ok_or("no busybox")?, rootfs.join("bin/busybox"))?;
    // In the foreground, below conmon; removed when it ends. The limits are such as need no privilege.
    let (name, directory) = (format!("docker-view-{}", std::process::id()), rootfs.display().to_string());
    let limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"];
    let run =
        ["podman", "--runtime", "runc", "run", "--rm", "--detach", "--name", &name, "--network", "none"];
    let command = ["--rootfs", &directory, "/bin/busybox", "sleep", "60"];
    let run = [run.as_slice(), &limits, &command].concat();
    let started = Command::new(run[0]).args(&run[1..]).stdin(Stdio::null()).output()?;
    let told = ensure(started.status.success(), || text(&started.stderr)).and_then(|()| {
        let asked = ["inspect", "--format", "{{.State.Pid}}", &name];
        let pid = text(&Command::new("podman").args(asked).output()?.stdout);
        judged(&[pid.trim().parse()?])
    });
    Command::new("podman").args(["rm", "--force", "--time", "0", &name]).output()?;
    std::fs::remove_dir_all(&rootfs)?;
    let (what, said) = told?;
    ensure(what == ["a podman container"], || said)
}

fn a_systemd_service_is_one() -> Result<(), Failed> {
    let unit = format!("docker-view-{}.service", std::process::id());
    let run = ["--quiet", "--collect", "--unit", &unit, "--property=PrivateTmp=yes", "sleep", "60"];
    let started = Command::new("systemd-run").args(run).output()?;
    ensure(started.status.success(), || text(&started.stderr))?;
    let pid = Command::new("systemctl").args(["show", "--property=MainPID", "--value", &unit]).output()?;
    let told = text(&pid.stdout).trim().parse().map_err(Failed::from).and_then(|pid| judged(&[pid]));
    Command::new("systemctl").args(["stop", &unit]).output()?;
    let (what, said) = told?;
    ensure(what == ["a systemd service"], || said.clone())?;
    ensure(said.contains(&unit) && said.contains("it has mounts of its own"), || said)
}

fn several_are_looked_at_in_their_order() -> Result<(), Failed> {
    let made = Sleeper::spawn(&["unshare", "-Ur", "--uts", "sleep", "60"])?;
    let (what, said) = judged(&[made.sleeping("60")?, std::process::id()])?;
    ensure(what.len() == 2 && what[0].starts_with("a container made by hand") && what[1] != what[0], || said)
}

fn no_engine_is_a_skip_with_its_remedy() -> Result<(), Failed> {
    let nowhere = "unix:///nonexistent/docker.sock";
    let output = Command::new(&*PROGRAM).env("DOCKER_HOST", nowhere).stdin(Stdio::null()).output()?;
    ensure(output.status.code() == Some(77), || format!("{}", output.status))?;
    // As one line: where it is broken is no matter here.
    let said = text(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    ensure(said.contains("scripts/docker-lab run docker-view"), || said)
}

/// Runs a command where an engine is, which is gone afterwards.
fn in_the_lab(command: &[&str]) -> Result<Output, Failed> {
    let installed = Path::new(&*PROGRAM).with_file_name("../scripts/docker-lab");
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/docker-lab");
    let script = if installed.is_file() { installed } else { here };
    let directory = std::env::temp_dir().join(format!("docker-lab-{}", std::process::id()));
    let output = Command::new(script)
        .env("DOCKER_LAB", &directory)
        .env_remove("DOCKER_HOST")
        .arg("run")
        .args(command)
        .stdin(Stdio::null())
        .output()?;
    ensure(!directory.exists(), || format!("{} was left", directory.display()))?;
    ensure(!text(&output.stdout).starts_with("skip: "), || text(&output.stdout))?;
    Ok(output)
}

fn verdicts(output: &Output) -> Result<Vec<(String, Verdict, bool)>, Failed> {
    let said = || format!("{}: {}", output.status, text(&output.stderr));
    let found = events(output)?.into_iter().filter_map(|event| match event {
        Event::Judged { claim, verdict, expected, .. } => Some((claim, verdict, expected)),
        _ => None,
    });
    let found: Vec<_> = found.collect();
    ensure(found.len() > 15, said)?;
    Ok(found)
}

fn every_claim_comes_out_as_expected() -> Result<(), Failed> {
    let output = in_the_lab(&[&PROGRAM, "--all", "--format", "jsonl"])?;
    let odd: Vec<_> = verdicts(&output)?.into_iter().filter(|(_, _, expected)| !expected).collect();
    ensure(odd.is_empty() && output.status.success(), || format!("{}: {odd:?}", output.status))
}

fn no_claim_holds_under_sabotage() -> Result<(), Failed> {
    let output = in_the_lab(&[&PROGRAM, "--all", "--format", "jsonl", "--sabotage"])?;
    let held: Vec<_> =
        verdicts(&output)?.into_iter().filter(|(_, verdict, _)| *verdict == Verdict::Holds).collect();
    ensure(held.is_empty() && output.status.success(), || format!("{}: {held:?}", output.status))
}

/// An image of busybox alone, and of what is left when a command has ended.
const IMAGE: &str = "set -e
tar -cC /usr bin/busybox | docker import - box >/dev/null
look() { docker run --detach $1 box busybox sleep 600 >/tmp/docker-view-id-$$; shift
    \"$PROGRAM\" --pid $(docker inspect --format '{{.State.Pid}}' $(cat /tmp/docker-view-id-$$))
    rm /tmp/docker-view-id-$$; }
";

fn in_the_lab_by_shell(script: &str) -> Result<Output, Failed> {
    let script = format!("PROGRAM={}\n{IMAGE}{script}", *PROGRAM);
    in_the_lab(&["bash", "-c", &script])
}

fn docker_containers_are_told_with_their_options() -> Result<(), Failed> {
    let script =
        "for options in '' '--network host' '--read-only --cap-drop ALL' '--cap-add SYS_ADMIN --init' \
                  '--security-opt seccomp=unconfined'; do
        echo \"== $options\"; look \"$options\" | grep -E 'most likely|as if by' || true; done";
    let output = in_the_lab_by_shell(script)?;
    let said = text(&output.stdout);
    let mut asked = 0;
    for part in said.split("== ").skip(1) {
        let (options, answer) = part.split_once('\n').unwrap_or_default();
        ensure(answer.contains("It is most likely a Docker container:"), || format!("{options}: {answer}"))?;
        let told: Vec<&str> =
            answer.lines().filter_map(|line| line.split_once("as if by ")).map(|(_, it)| it).collect();
        let mut given: Vec<String> = options
            .split("--")
            .map(str::trim)
            .filter(|it| !it.is_empty())
            .map(|it| format!("--{it}"))
            .collect();
        let mut told: Vec<String> = told.iter().map(ToString::to_string).collect();
        given.sort();
        told.sort();
        ensure(given == told, || format!("{given:?} was taken for {told:?}"))?;
        asked += 1;
    }
    ensure(asked == 5, || format!("{said}{}", text(&output.stderr)))
}

fn nothing_is_left_at_the_engine_after_a_kill() -> Result<(), Failed> {
    let script = "for tenths in 1 3 8 15 30 60 90; do
        \"$PROGRAM\" >/dev/null 2>&1 & p=$!
        read -rt $((tenths / 10)).$((tenths % 10)) <><(:) || true
        kill -KILL $p 2>/dev/null || true; wait $p 2>/dev/null || true
        # What a client has under way still, its watchdog waits for.
        for _ in {1..50}; do pgrep --full '^sh -c .* watchdog inception-' >/dev/null || [[ -n $(docker ps --all --quiet; docker image ls | grep inception-) ]] || break
            read -rt 0.2 <><(:) || true; done
        echo \"$tenths: $(docker ps --all --quiet) $(docker image ls | grep inception- || true)\"; done";
    let said = text(&in_the_lab_by_shell(script)?.stdout);
    ensure(said.lines().count() == 7 && said.lines().all(|line| line.trim_end().ends_with(':')), || said)
}
