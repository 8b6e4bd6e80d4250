//! `mini-container run` as a user runs it: its output, its errors, and that nothing is left.

mod plain;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use plain::{Directory, PATIENCE, PROGRAM, mounts, refused, rootfs, run, said, sh};

#[test]
fn a_command_sees_a_world_of_its_own() {
    let rootfs = rootfs("world");
    let before = mounts();
    assert_eq!(said(&sh(&rootfs, "echo $$")), "2", "PID 1 is init");
    assert_eq!(said(&sh(&rootfs, "id -u")), "0");
    assert_eq!(said(&sh(&rootfs, "cat /proc/sys/kernel/hostname")), "container");
    assert_eq!(said(&sh(&rootfs, "ls /sys/class/net")), "lo");
    assert_eq!(
        said(&sh(&rootfs, "ls -A /proc/1/cwd 2>/dev/null || echo closed")),
        "closed",
        "init is not looked into"
    );
    let status = said(&sh(&rootfs, "cat /proc/self/status"));
    for line in ["CapEff:\t00000000a80425fb", "CapBnd:\t00000000a80425fb", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "{line}: {status}");
    }
    assert_eq!(mounts(), before);
}

#[test]
fn options_do_what_they_say() {
    let rootfs = rootfs("options");
    let path = rootfs.0.to_str().unwrap();
    let named = run(["--hostname", "lab-1", path, "cat", "/proc/sys/kernel/hostname"]);
    assert_eq!(said(&named), "lab-1");
    let written = run(["--read-only", path, "touch", "/new"]);
    assert_eq!(written.status.code(), Some(1), "nothing can be written");
    assert_eq!(said(&run(["--read-only", path, "sh", "-c", "echo x > /dev/shm/x; cat /dev/shm/x"])), "x");
    let script = "echo $ONE; echo $TWO; echo $HOME; pwd";
    let set = [
        "-e",
        "ONE=1",
        "--env",
        "TWO=a=b c",
        "-e",
        "HOME=/srv",
        "-w",
        "/made/here",
        path,
        "sh",
        "-c",
        script,
    ];
    assert_eq!(said(&run(set)), "1\na=b c\n/srv\n/made/here");
    assert!(!rootfs.at("made").exists());
    let taken = Command::new(PROGRAM)
        .args(["run", "-e", "FROM_HERE", path, "sh", "-c", "echo $FROM_HERE; echo $OTHER"])
        .env("FROM_HERE", "value")
        .env("OTHER", "secret")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(said(&taken), "value");
    refused(&run(["-w", "/bin/sh/x", path, "true"]), 125, &["--workdir", "/bin/sh/x", "another directory"]);
    refused(&run(["-w", "/proc/nosuch", path, "true"]), 125, &["working directory", "proc/nosuch"]);
}

#[test]
fn the_command_runs_as_another_user_if_there_is_one() {
    let rootfs = rootfs("account");
    let path = rootfs.0.to_str().unwrap();
    fs::write(rootfs.at("etc/passwd"), "some:x:7:8:some:/srv/some:/bin/sh\n").unwrap();
    fs::write(rootfs.at("etc/group"), "others:x:9:\n").unwrap();
    let script = "id -u; id -g; echo $HOME; cat /proc/self/status";
    let shown = |account: &str| run(["--user", "auto", "-u", account, path, "sh", "-c", script]);
    for (account, expected) in [
        ("some", "7\n8\n/srv/some\n"),
        ("7", "7\n8\n/srv/some\n"),
        ("some:others", "7\n9\n/srv/some\n"),
        ("5:6", "5\n6\n/\n"),
    ] {
        let output = shown(account);
        // An ordinary user may have no range of IDs.
        if output.status.code() == Some(125) {
            refused(&output, 125, &["leave --user out"]);
            continue;
        }
        let text = said(&output);
        assert!(text.starts_with(expected), "{account}: {text}");
        assert!(
            text.contains("CapEff:\t0000000000000000") && text.contains("CapPrm:\t0000000000000000"),
            "{text}"
        );
    }
    // A list of users that is a FIFO, or a link to what the program has open, is none, and does not hold it up.
    fs::remove_file(rootfs.at("etc/passwd")).unwrap();
    nix::unistd::mkfifo(&rootfs.at("etc/passwd"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    refused(&run(["-u", "some", path, "true"]), 125, &["no such user"]);
    fs::remove_file(rootfs.at("etc/passwd")).unwrap();
    std::os::unix::fs::symlink("/proc/self/fd/0", rootfs.at("etc/passwd")).unwrap();
    refused(&run(["-u", "some", path, "true"]), 125, &["no such user"]);
    // The caller's own ID is mapped to root, and no other.
    refused(&run(["-u", "5", path, "true"]), 125, &["-u 5", "no ID for user 5", "--user auto"]);
    assert_eq!(said(&run(["-u", "0", path, "id", "-u"])), "0");
    refused(&run(["-u", "nosuch", path, "true"]), 125, &["-u nosuch", "no such user", "give its ID"]);
    refused(&run(["-u", "0:nosuch", path, "true"]), 125, &["-u 0:nosuch", "no such group"]);
}

#[test]
fn an_option_of_docker_is_done_or_explained() {
    let rootfs = rootfs("docker");
    let path = rootfs.0.to_str().unwrap();
    // What is so anyway, or is another spelling.
    for options in
        [&["-i"][..], &["--rm", "-i"], &["--interactive"], &["--network", "none"], &["--network=none"]]
    {
        let output = run(options.iter().copied().chain([path, "sh", "-c", "echo done"]));
        assert_eq!(said(&output), "done", "{options:?}");
        assert!(output.stderr.is_empty(), "{options:?}: {output:?}");
    }
    for (spelling, own) in [
        (["--memory", "no"], ["-m", "no"]),
        (["--cpus", "no"], ["--cpu-max", "no"]),
        (["--pids-limit", "no"], ["--pids-max", "no"]),
    ] {
        let told = |option: [&str; 2]| run(option.into_iter().chain([path, "true"])).stderr;
        assert_eq!(String::from_utf8_lossy(&told(spelling)), String::from_utf8_lossy(&told(own)));
    }
    for (options, words) in [
        (&["-d"][..], &["-d is Docker's", "in the background", "run … &"][..]),
        (&["--detach"], &["--detach is Docker's"]),
        (&["-itd"], &["-d is Docker's"]),
        (&["-p", "8080:80"], &["-p is Docker's", "--net"]),
        (&["-p8080:80"], &["-p is Docker's"]),
        (&["--publish=8080:80"], &["--publish is Docker's"]),
        (&["--name", "web"], &["--name is Docker's", "--hostname"]),
        (&["--privileged"], &["--privileged is Docker's", "all capabilities", "mini-container explain"]),
        (&["--network", "host"], &["in Docker", "--net=out"]),
        (&["--network", "backend"], &["in Docker", "--network bridge"]),
        (&["-v", "data:/data"], &["a volume of Docker's", "./data"]),
        (&["--user", "1000:1000"], &["INSIDE:OUTSIDE:LENGTH", "-u 1000"]),
    ] {
        refused(&run(options.iter().copied().chain([path, "true"])), 2, words);
    }
}

#[test]
fn a_terminal_that_is_asked_for_is_there() {
    let rootfs = rootfs("tty");
    let command =
        format!("{PROGRAM} run -it --rm {} sh -c '[ -t 0 ] && echo at a terminal'", rootfs.0.display());
    assert_eq!(plain::shown_at_a_terminal(&command), "at a terminal");
}

#[test]
fn the_root_filesystem_stays_clean() {
    let rootfs = rootfs("clean");
    assert_eq!(
        said(&sh(&rootfs, "touch /new; echo changed > /etc/file; ls /new /etc")),
        "/new\n\n/etc:\nfile"
    );
    assert!(!rootfs.at("new").exists());
    assert!(fs::read_dir(rootfs.at("etc")).unwrap().next().is_none());
}

#[test]
fn the_status_is_the_commands() {
    let rootfs = rootfs("status");
    for (script, status) in
        [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
    {
        assert_eq!(sh(&rootfs, script).status.code(), Some(status), "{script}");
    }
}

#[test]
fn a_command_that_ends_at_once_never_hangs() {
    let rootfs = rootfs("at-once");
    let times = std::env::var("MINI_CONTAINER_STARTS").ok().and_then(|it| it.parse().ok()).unwrap_or(100);
    for _ in 0..times {
        assert!(run([rootfs.0.to_str().unwrap(), "true"]).status.success());
    }
}

#[test]
fn orphans_are_reaped() {
    let rootfs = rootfs("orphans");
    let script = "(sleep 0.1 & ); sleep 0.3; cat /proc/[0-9]*/stat | tr -d '\\n'; echo";
    let processes = said(&sh(&rootfs, script));
    assert!(!processes.contains(" Z "), "{processes}");
}

#[test]
fn signals_are_forwarded() {
    let rootfs = rootfs("signals");
    for (signal, status) in [("TERM", 143), ("INT", 130), ("HUP", 129), ("USR1", 138)] {
        let (mut child, _) = started(&rootfs, "echo ready; exec sleep 60");
        kill(signal, child.id());
        assert_eq!(child.wait().unwrap().code(), Some(status), "{signal}");
    }
    let (mut child, _) = started(&rootfs, "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done");
    kill("TERM", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(9), "a handler of the command's");
}

/// Stopped in the middle of a start, the launcher learns of the command and of a signal for it at the same time.
#[test]
fn a_late_launcher_forwards_what_is_for_the_command() {
    let rootfs = rootfs("late");
    let script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    let was_late = (0..60).filter(|moment| {
        let mut child = start(&rootfs, script);
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let is_ready_within = |milliseconds: u16, said: &BufReader<std::process::ChildStdout>| {
            let mut fds = [PollFd::new(said.get_ref().as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::from(milliseconds)).unwrap() > 0
        };
        std::thread::sleep(Duration::from_micros(250 * moment));
        let was_ready = is_ready_within(0, &said);
        kill("STOP", child.id());
        let came_ready = is_ready_within(100, &said);
        if came_ready {
            kill("TERM", child.id());
            kill("CONT", child.id());
        } else {
            kill("CONT", child.id());
            said.read_line(&mut String::new()).unwrap();
            kill("TERM", child.id());
        }
        assert_eq!(child.wait().unwrap().code(), Some(9), "stopped after {moment} × 250 µs");
        came_ready && !was_ready
    });
    assert!(was_late.count() > 0, "the launcher was never late");
}

#[test]
fn nothing_is_left_of_a_launcher_that_is_killed() {
    let rootfs = rootfs("killed");
    // A number of seconds that no other sleep(1) has.
    let seconds = 100_000 + std::process::id();
    let (mut child, line) = started(&rootfs, &format!("echo ready; exec sleep {seconds}"));
    assert_eq!(line, "ready");
    child.kill().unwrap();
    child.wait().unwrap();
    let late = Instant::now() + PATIENCE;
    while runs(&format!("sleep\0{seconds}\0")) {
        assert!(Instant::now() < late, "the command lives on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_cannot_be_run_is_told_apart() {
    let rootfs = rootfs("not-run");
    let path = rootfs.0.to_str().unwrap();
    refused(&run([path, "nosuch"]), 127, &["nosuch: not found", "install it"]);
    refused(&run([path, "/bin/nosuch"]), 127, &["ROOTFS has no such file"]);
    refused(&run([path, "/etc"]), 126, &["is a directory"]);
    fs::write(rootfs.at("bin/text"), "hello").unwrap();
    refused(&run([path, "text"]), 126, &["may not be executed", "chmod +x"]);
    fs::set_permissions(rootfs.at("bin/text"), fs::Permissions::from_mode(0o755)).unwrap();
    refused(&run([path, "text"]), 126, &["is not a program"]);
    fs::write(rootfs.at("bin/text"), "#!/bin/perl\n").unwrap();
    refused(&run([path, "text"]), 127, &["needs /bin/perl", "ROOTFS lacks"]);
    for first in ["#!/bin/sh\r\n", "#! /bin/sh\r\n"] {
        fs::write(rootfs.at("bin/text"), format!("{first}echo hello\r\n")).unwrap();
        refused(&run([path, "text"]), 127, &["ends with a carriage return", "sed -i 's/\\r$//' /bin/text"]);
    }
    // With an argument, the interpreter is started, and gets the carriage return. Its own message says less.
    fs::write(rootfs.at("bin/text"), "#!/bin/cat nosuch\r\n").unwrap();
    let output = run([path, "text"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.lines().next().is_some_and(|line| line.contains("a part of the argument")), "{told}");
    assert!(told.contains("sed -i 's/\\r$//' /bin/text") && told.lines().count() == 2, "{told}");
    fs::write(rootfs.at("bin/text"), "#!/bin/cat /etc/one\n\r\n").unwrap();
    fs::write(rootfs.at("etc/one"), "").unwrap();
    let output = run([path, "text"]);
    assert!(said(&output) == "#!/bin/cat /etc/one" && output.stderr.is_empty(), "{output:?}");
    fs::write(rootfs.at("bin/text"), "#!/etc/file\n").unwrap();
    fs::write(rootfs.at("etc/file"), "no program").unwrap();
    refused(&run([path, "text"]), 126, &["needs /etc/file, which may not be executed"]);
    fs::write(rootfs.at("bin/text"), b"\x7fELF").unwrap();
    refused(&run([path, "text"]), 126, &["is not a program"]);
    fs::write(rootfs.at("bin/text"), "").unwrap();
    refused(&run([path, "text"]), 126, &["is not a program"]);
    let mut other = fs::read("/bin/true").unwrap();
    // e_machine, in the byte order of this machine. 22 is s390x, on which these tests do not run.
    other[18..20].copy_from_slice(&22_u16.to_ne_bytes());
    fs::write(rootfs.at("bin/text"), &other).unwrap();
    refused(&run([path, "text"]), 126, &["is a program for s390x", std::env::consts::ARCH]);
    // The error names the loader as the program does.
    let mut other = fs::read("/bin/true").unwrap();
    let at = other.windows(4).position(|it| it == b"/lib").unwrap();
    other[at..at + 4].copy_from_slice(b"/opt");
    fs::write(rootfs.at("bin/text"), &other).unwrap();
    refused(&run([path, "text"]), 127, &["needs /opt", "which ROOTFS lacks"]);
    let lonely = Directory::new("lonely");
    fs::create_dir(lonely.at("bin")).unwrap();
    fs::copy("/bin/true", lonely.at("bin/true")).unwrap();
    refused(&run([lonely.0.to_str().unwrap(), "true"]), 127, &["needs /lib", "which ROOTFS lacks"]);
}

#[test]
fn a_command_line_that_makes_no_sense_is_one_line() {
    let rootfs = rootfs("misuse");
    let path = rootfs.0.to_str().unwrap();
    let cases: &[(&[&str], &str)] = &[
        (&["--memory-max", "64MB"], "64M"),
        (&["--memory-max", "0"], "64M"),
        (&["--pids-max", "0"], "--pids-max"),
        (&["--pids-max", "many"], "--pids-max"),
        (&["--cpu-max", "0"], "0.5"),
        (&["--cpu-max", "half"], "0.5"),
        (&["--user", "1000"], "INSIDE:OUTSIDE:LENGTH"),
        (&["--user", "0:1000:0"], "length of 0"),
        (&["--user", "5:1000:1"], "INSIDE is 0"),
        (&["--hostname", "a b"], "letters"),
        (&["--nosuch"], "--nosuch"),
        (&["-t"], "standard input is not a terminal"),
        (&["-u", "0:"], "USER:GROUP"),
        (&["-e", ""], "NAME=VALUE"),
        (&["-e", "MINI_CONTAINER_NOT_SET"], "is not set here"),
        (&["-w", "tmp"], "absolute path"),
        (&["-w", "/tmp/../.."], "without `..`"),
        (&["--net=far"], "--net=out"),
    ];
    for (options, word) in cases {
        let arguments = options.iter().copied().chain([path, "true"]);
        refused(&run(arguments), 2, &[word]);
    }
    refused(&run([path]), 2, &["COMMAND is missing after ROOTFS", "run -- "]);
    refused(&run(["--"]), 2, &["COMMAND is missing", "mini-container run sh"]);
    refused(
        &run(["/nosuch", "true"]),
        125,
        &["/nosuch", "No such file", "scripts/rootfs busybox", "run -- /nosuch"],
    );
    refused(&run([path, "-x"]), 127, &["-x: not found", "options stand before ROOTFS", "run -x …"]);
    refused(&run([path, ""]), 127, &["the empty name: not found"]);
    refused(&run(["", "true"]), 125, &["ROOTFS"]);
    refused(&run(["/dev/null/x", "true"]), 125, &["/dev/null/x", "Not a directory"]);
    // Less than the kernel needs to start a process.
    let starved = run(["--memory-max", "4096", path, "true"]);
    if !String::from_utf8_lossy(&starved.stderr).contains("a limit by the memory controller: ") {
        refused(&starved, 125, &["killed by SIGKILL", "--memory-max"]);
    }
    refused(&run(["/", "true"]), 125, &["other filesystems mounted in it"]);
    refused(&run(["/dev/null", "true"]), 125, &["give a directory or an archive"]);
}

/// Starts a shell command in a container.
fn start(rootfs: &Directory, script: &str) -> std::process::Child {
    Command::new(PROGRAM)
        .args(["run".as_ref(), rootfs.0.as_os_str(), "sh".as_ref(), "-c".as_ref(), script.as_ref()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Starts one, and waits for its first line.
fn started(rootfs: &Directory, script: &str) -> (std::process::Child, String) {
    let mut child = start(rootfs, script);
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim_end().into())
}

fn kill(signal: &str, process: u32) {
    assert!(Command::new("kill").args(["-s", signal, &process.to_string()]).status().unwrap().success());
}

/// Whether a process has these arguments.
fn runs(arguments: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        fs::read(entry.path().join("cmdline")).is_ok_and(|line| line.starts_with(arguments.as_bytes()))
    })
}

#[test]
fn a_shell_at_a_terminal_has_job_control() {
    let rootfs = rootfs("jobs");
    let command = format!("{PROGRAM} run {} sh -i", rootfs.0.display());
    let mut script = plain::at_a_terminal(&command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut keyboard, mut screen) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
    let mut text = String::new();
    // As a user does: each line is typed after the prompt has appeared.
    let mut type_after = |expected: &str, line: &str| {
        while !text.ends_with(expected) {
            let mut byte = [0];
            assert_eq!(screen.read(&mut byte).unwrap(), 1, "ended: {text}");
            text.push(char::from(byte[0]));
        }
        keyboard.write_all(line.as_bytes()).unwrap();
    };
    type_after("# ", "readlink /proc/self/fd/0\n");
    type_after("/dev/pts/0\r\n", "sleep 60 &\n");
    type_after("# ", "jobs\n");
    type_after("Running", "");
    type_after("# ", "fg\n");
    type_after("sleep 60\r\n", "\u{3}");
    // It ended a minute early, by ^C.
    type_after("# ", "exit 5\n");
    assert_eq!(script.wait().unwrap().code(), Some(5), "{text}");
    assert!(!text.contains("job control turned off"), "{text}");
}

#[test]
fn a_network_link_is_there_and_gone_again() {
    let rootfs = rootfs("net");
    let path = rootfs.0.to_str().unwrap();
    let output = run(["--net", path, "sh", "-c", "ls /sys/class/net; cat /sys/class/net/eth0/operstate"]);
    if output.status.success() {
        assert_eq!(said(&output), "eth0\nlo\nup");
    } else {
        refused(&output, 125, &["--net needs CAP_NET_ADMIN", "leave --net out"]);
    }
    let links: Vec<_> = fs::read_dir("/sys/class/net").unwrap().flatten().map(|it| it.file_name()).collect();
    assert!(!links.iter().any(|it| it == "inception-br0"), "{links:?}");
}

#[test]
fn limits_bind_and_leave_no_cgroup() {
    let rootfs = rootfs("limits");
    let path = rootfs.0.to_str().unwrap();
    let forks = run(["--pids-max", "4", path, "sh", "-c", "for i in 1 2 3 4 5; do sleep 0.1 & done; wait"]);
    let fills =
        run(["--memory-max", "16M", path, "sh", "-c", "x=$(head -c 64M /dev/zero | tr '\\0' x); echo lived"]);
    let (forked, filled) = (String::from_utf8_lossy(&forks.stderr), String::from_utf8_lossy(&fills.stderr));
    if forked.contains("a limit by the pids controller: ") {
        refused(&forks, 125, &["leave it out"]);
    } else {
        assert!(forked.contains("ork"), "{forked}");
    }
    if filled.contains("a limit by the memory controller: ") {
        refused(&fills, 125, &["leave it out"]);
    } else {
        assert!(fills.stdout.is_empty(), "killed before it could say a word: {fills:?}");
    }
    // Those of other tests, which run at the same time, are removed when they end.
    let late = Instant::now() + PATIENCE;
    loop {
        let left = Command::new("find")
            .args(["/sys/fs/cgroup", "-name", "inception-*-container"])
            .output()
            .unwrap()
            .stdout;
        if left.is_empty() {
            break;
        }
        assert!(Instant::now() < late, "left: {}", String::from_utf8_lossy(&left));
        std::thread::sleep(Duration::from_millis(20));
    }
}
