//! The standard input, output and error of the command: they give no access to the caller's files or keys.

mod plain;

use std::fs::{self, File};
use std::process::{Command, Stdio};

use plain::{Directory, PROGRAM, refused, rootfs, said};
use promises::Terminal;

/// `mini-container run` with a shell command, whose streams the test sets.
fn container(rootfs: &Directory, script: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("run").arg(&rootfs.0).args(["sh", "-c", script]);
    command
}

#[test]
fn a_file_is_passed_on_and_not_handed_over() {
    let rootfs = rootfs("file");
    let work = Directory::new("streams");
    let (input, output) = (work.at("input"), work.at("output"));
    fs::write(&input, "what was given\n").unwrap();
    let script = "cat; echo evil >/proc/self/fd/0; chmod 4755 /proc/self/fd/1; echo to-error >&2; exit 7";
    plain::install(&rootfs.0, std::path::Path::new("/bin/chmod"));
    let both = File::create(&output).unwrap();
    let status = container(&rootfs, script)
        .stdin(File::open(&input).unwrap())
        .stdout(both.try_clone().unwrap())
        .stderr(both)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(7));
    assert_eq!(fs::read_to_string(&input).unwrap(), "what was given\n", "it could be read, and no more");
    assert_eq!(
        fs::read_to_string(&output).unwrap(),
        "what was given\nto-error\n",
        "in order, though by two streams"
    );
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&output).unwrap().permissions());
    assert_eq!(mode & 0o7000, 0, "no set-user-ID bit: {mode:o}");
}

#[test]
fn much_is_passed_on_whole() {
    let rootfs = rootfs("much");
    let work = Directory::new("much-streams");
    let bytes: Vec<u8> = (0..5_000_000_u32).flat_map(u32::to_ne_bytes).collect();
    fs::write(work.at("input"), &bytes).unwrap();
    let status = container(&rootfs, "cat")
        .stdin(File::open(work.at("input")).unwrap())
        .stdout(File::create(work.at("output")).unwrap())
        .status()
        .unwrap();
    assert!(status.success());
    assert!(fs::read(work.at("output")).unwrap() == bytes);
    // A command that reads nothing does not block the launcher.
    let input = File::open(work.at("input")).unwrap();
    assert!(container(&rootfs, "exec 0<&-; true").stdin(input).status().unwrap().success());
}

#[test]
fn what_cannot_be_written_is_no_success() {
    let rootfs = rootfs("full");
    let work = Directory::new("full-streams");
    let script = format!(
        "mount -t tmpfs -o size=4k none {0} && exec {PROGRAM} run {1} sh -c 'head -c 20000 /dev/zero; true' > {0}/full",
        work.0.display(),
        rootfs.0.display()
    );
    let output =
        Command::new("unshare").args(["-Urm", "sh", "-c", &script]).stdin(Stdio::null()).output().unwrap();
    refused(&output, 125, &["write to standard output: ENOSPC"]);
}

#[test]
fn a_directory_is_no_way_out() {
    let rootfs = rootfs("directory");
    let outside = Directory::new("outside");
    fs::write(outside.at("secret"), "").unwrap();
    let output = container(&rootfs, "ls /proc/self/fd/0/").stdin(File::open(&outside.0).unwrap()).output();
    refused(&output.unwrap(), 125, &["standard input is a directory", "give a file or a pipe"]);
    let output = container(&rootfs, "ls /proc/self/fd/2/")
        .stdin(Stdio::null())
        .stderr(File::open(&outside.0).unwrap())
        .output()
        .unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(125), 0));
    // The control: a pipe and the null device are inherited.
    let output = container(&rootfs, "readlink /proc/self/fd/0").stdin(Stdio::null()).output().unwrap();
    assert_eq!(said(&output), "/dev/null");
}

#[test]
fn nothing_typed_is_read_through_standard_error() {
    let rootfs = rootfs("keys");
    plain::install(&rootfs.0, std::path::Path::new("/bin/stty"));
    for streams in ["</dev/null", "</dev/null >/dev/null"] {
        let script =
            "echo ready $((6*7)) >&2; stty raw -echo <&2; (read line <&2; echo \"got $line\" >&2) & sleep 1";
        let command = format!("exec {PROGRAM} run {} sh -c '{script}' {streams}", rootfs.0.display());
        let mut terminal = Terminal::with(&["sh", "-c", &command]);
        let settings = terminal.settings_before();
        terminal.shows("ready 42\r\n");
        terminal.types("secret\n");
        let (status, settings_after, text) = terminal.ends_showing();
        assert_eq!(status, Some(0), "{text}");
        assert!(!text.contains("got"), "{streams}: {text}");
        assert_eq!(settings_after, settings, "{streams}: the terminal is set as it was");
    }
}

#[test]
fn what_is_typed_goes_in_where_standard_input_is_the_terminal() {
    let rootfs = rootfs("typed");
    let work = Directory::new("typed-streams");
    let output = work.at("output");
    let script = "readlink /proc/self/fd/0; read line; echo \"got $line\"";
    let command = format!("exec {PROGRAM} run {} sh -c '{script}' >{}", rootfs.0.display(), output.display());
    let mut terminal = Terminal::with(&["sh", "-c", &command]);
    let settings = terminal.settings_before();
    terminal.types("hello\n");
    let (status, settings_after) = terminal.ends();
    assert_eq!((status, settings_after), (Some(0), settings));
    assert_eq!(fs::read_to_string(output).unwrap(), "/dev/pts/0\ngot hello\n");
}
