//! What strace(1) sees of the same commands: nothing is missing here, and nothing is invented.

#[path = "common/deadline.rs"]
mod deadline;
#[path = "common/kept.rs"]
mod kept;
#[path = "common/programs.rs"]
mod programs;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use deadline::{finish, output};
use kept::Kept;
use programs::is_there;

/// How often each call came out in each way.
type Census = BTreeMap<(String, String), usize>;

const CALLS: &str = "unshare,clone,clone3,setns,mount,umount2,pivot_root,chroot,fsopen,fspick,fsconfig,fsmount,move_mount,\
                     open_tree,mount_setattr,sethostname,setdomainname,capset,prctl,seccomp,setuid,setgid,setreuid,setregid,\
                     setresuid,setresgid,setgroups,execve,execveat,write,sendto,sendmsg,mkdir,mkdirat,rmdir,unlinkat";

/// Operations of prctl(2) that change something.
const PRCTL: [&str; 5] = [
    "PR_CAPBSET_DROP",
    "PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL",
    "PR_SET_NO_NEW_PRIVS",
    "PR_SET_SECCOMP",
    "PR_SET_SECUREBITS",
];

/// Whether strace's arguments are of a call that is told.
fn is_told(call: &str, arguments: &str) -> bool {
    match call {
        "clone" | "clone3" => arguments.contains("CLONE_NEW"),
        "prctl" => {
            let is_question = arguments == "PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL";
            PRCTL.iter().any(|operation| arguments.starts_with(operation)) && !is_question
        }
        // Without a filter it is a question.
        "seccomp" => arguments.starts_with("SECCOMP_SET_MODE_FILTER") && !arguments.ends_with("NULL"),
        "write" => {
            let path = arguments.split_once('<').map_or("", |(_, rest)| rest);
            path.starts_with("/proc/") || path.starts_with("/sys/fs/cgroup/")
        }
        "sendto" | "sendmsg" => changes_network(arguments),
        // Below the root of a container is a mount point of the same name.
        "mkdir" | "rmdir" | "mkdirat" => arguments.contains("\"/sys/fs/cgroup/"),
        "unlinkat" => arguments.contains("AT_REMOVEDIR") && arguments.contains("\"/sys/fs/cgroup/"),
        _ => true,
    }
}

/// Whether a message of rtnetlink(7) asks for a change. strace knows the names of the types only where the kernel says what
/// a socket is.
fn changes_network(arguments: &str) -> bool {
    const TYPES: [&str; 8] = ["0x10", "0x11", "0x13", "0x14", "0x15", "0x18", "0x19", "0x58"];
    let kind = arguments.split_once("nlmsg_type=").map_or("", |(_, rest)| rest);
    let is_change = ["RTM_NEW", "RTM_SET", "RTM_DEL"].iter().any(|name| kind.starts_with(name))
        || TYPES.iter().any(|number| kind.starts_with(number));
    // ip(8) asks by a message about no link, and without an attribute, what the kernel can.
    let is_about_none = arguments.contains(&r"\x00".repeat(16)) || arguments.contains("ifi_index=0");
    is_change && !(is_about_none && arguments.contains("nlmsg_len=32,"))
}

fn by_strace(command: &[&str]) -> Census {
    let file = Kept::new();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-yy", "-s", "400", "-e"]).arg(format!("trace={CALLS}")).arg("-o").arg(file.path());
    strace.arg("--").args(command).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    finish(strace.spawn().unwrap());
    let text = String::from_utf8_lossy(&fs::read(file.path()).unwrap()).into_owned();
    let mut unfinished: BTreeMap<String, String> = BTreeMap::new();
    let mut census = Census::new();
    for line in text.lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix(" <unfinished ...>") {
            unfinished.insert(pid.into(), begun.into());
            continue;
        }
        let whole = match rest.strip_prefix("<... ") {
            Some(resumed) => {
                let begun = unfinished.remove(pid).unwrap_or_default();
                format!("{begun}{}", resumed.split_once(" resumed>").map_or("", |(_, rest)| rest))
            }
            None => rest.into(),
        };
        count(&mut census, &whole);
    }
    census
}

/// A line such as `mount("proc", "/proc", "proc", MS_NOSUID, NULL) = -1 EPERM (Operation not permitted)`.
fn count(census: &mut Census, line: &str) {
    let Some((call, rest)) = line.split_once('(') else { return };
    let Some((arguments, answer)) =
        rest.rsplit_once(") = ").or_else(|| rest.rsplit_once(")       = ")).or_else(|| {
            let at = rest.rfind(" = ")?;
            Some((&rest[..at], &rest[at + 3..]))
        })
    else {
        return;
    };
    if !is_told(call, arguments) {
        return;
    }
    let mut words = answer.split_whitespace();
    let outcome = match (words.next(), words.next()) {
        (Some("-1"), Some(errno)) => errno.to_string(),
        (Some("?"), _) | (None, _) => return,
        (Some(_), _) => "OK".into(),
    };
    *census.entry((call.into(), outcome)).or_default() += 1;
}

fn by_us(command: &[&str], options: &[&str]) -> Census {
    let file = Kept::new();
    let mut trace = Command::new(env!("CARGO_BIN_EXE_ns-trace"));
    trace.args(["--wait", "--format", "jsonl", "-o"]).arg(file.path()).args(options).arg("--").args(command);
    finish(trace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let text = fs::read_to_string(file.path()).unwrap();
    let mut census = Census::new();
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        let call = record["call"].as_str().unwrap_or_default();
        let is_counted = CALLS.split(',').any(|it| it == call);
        if record["event"] != "call"
            || !is_counted
            || record["does"] == "netlink" && record["family"] != "NETLINK_ROUTE"
        {
            continue;
        }
        let outcome = record["errno"].as_str().unwrap_or("OK");
        *census.entry((call.into(), outcome.into())).or_default() += 1;
    }
    census
}

/// The same, by both; it changes nothing that would change the next run.
fn compare(command: &[&str]) {
    compare_but(command, &[]);
}

/// The same of a command with a seccomp filter of its own, which refuses `refused`: our filter does not see these.
fn compare_but(command: &[&str], refused: &[(&str, &str)]) {
    let seen = by_strace(command);
    let mut behind = seen.clone();
    behind.retain(|(call, errno), _| !refused.contains(&(call, errno)));
    for (options, expected) in [(&[][..], &behind), (&["--every-call"], &seen)] {
        let told = by_us(command, options);
        assert_eq!(told, *expected, "{command:?} {options:?}");
    }
    assert!(seen.len() > 1, "{command:?}: {seen:?}");
    eprintln!("{command:?}: {} calls", seen.values().sum::<usize>());
}

fn skips(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| !is_there(program));
    if let Some(missing) = missing {
        eprintln!("skip: {missing} is not installed");
    }
    missing.is_some()
}

#[test]
fn of_unshare() {
    if skips(&["strace", "unshare"]) {
        return;
    }
    compare(&[
        "unshare",
        "-Urpf",
        "--mount-proc",
        "--uts",
        "--ipc",
        "--net",
        "--cgroup",
        "sh",
        "-c",
        "hostname inside; true",
    ]);
    compare(&["unshare", "-Um", "sh", "-c", "mount -t tmpfs none /mnt; umount /mnt; chroot / true"]);
    compare(&[
        "sh",
        "-c",
        "unshare -U sh -c 'echo deny > /proc/self/setgroups; echo 0 0 2 > /proc/self/uid_map'",
    ]);
}

#[test]
fn of_bwrap() {
    if skips(&["strace", "bwrap"]) {
        return;
    }
    compare(&["bwrap", "--ro-bind", "/", "/", "--unshare-all", "--proc", "/proc", "--dev", "/dev", "true"]);
    compare(&[
        "bwrap",
        "--dev-bind",
        "/",
        "/",
        "--unshare-net",
        "--hostname",
        "x",
        "--unshare-uts",
        "sh",
        "-c",
        "true",
    ]);
}

#[test]
fn of_ip() {
    if skips(&["strace", "ip", "unshare"]) {
        return;
    }
    compare(&[
        "unshare",
        "-Urn",
        "sh",
        "-c",
        "ip link set lo up; ip addr add 10.0.0.1/24 dev lo; ip route add default dev lo; ip link del none",
    ]);
    // The file is there in that network namespace alone.
    compare(&[
        "unshare",
        "-Urn",
        "sh",
        "-c",
        "ip link add traced0 type veth peer name traced1; echo 1 >/proc/sys/net/ipv4/conf/traced0/forwarding",
    ]);
}

#[test]
fn of_ip_netns() {
    if skips(&["strace", "ip", "unshare"]) {
        return;
    }
    // What is mounted stays in a mount namespace of its own.
    let line = "mount -t tmpfs none /run && ip netns add one && ip netns exec one ip link set lo up && ip -n one link \
                add a type veth peer name b; ip netns del one";
    compare(&["unshare", "-Urmn", "sh", "-c", line]);
}

#[test]
fn of_mini_container() {
    // Beside ours, where the whole project was built.
    let program = PathBuf::from(env!("CARGO_BIN_EXE_ns-trace")).with_file_name("mini-container");
    if skips(&["strace", "busybox"]) || !program.exists() {
        return eprintln!("skip: mini-container was not built");
    }
    let Some(root) = root_filesystem("mini-container") else { return eprintln!("skip: no root filesystem") };
    let (program, root) = (program.to_str().unwrap(), root.0.join("rootfs"));
    let command = [program, "run", root.to_str().unwrap(), "/bin/true"];
    let works = output(Command::new(program).args(&command[1..]).stdin(Stdio::null()));
    if works.status.success() {
        compare_but(&command, &[("unshare", "EPERM")]);
    } else {
        eprintln!("skip: it cannot run here: {}", String::from_utf8_lossy(&works.stderr).trim());
    }
}

/// A directory that is gone when this is.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A directory with a root filesystem, in which is one program, which is static.
fn root_filesystem(name: &str) -> Option<Directory> {
    let directory = std::env::temp_dir().join(format!("ns-trace-{name}-{}", std::process::id()));
    let made = Directory(directory.clone());
    fs::create_dir_all(directory.join("rootfs/bin")).ok()?;
    let found = Command::new("sh").args(["-c", "command -v busybox"]).output().ok()?;
    let busybox = String::from_utf8(found.stdout).ok()?;
    fs::copy(busybox.trim(), directory.join("rootfs/bin/true")).ok()?;
    Some(made)
}

/// A bundle as the OCI runtimes want it.
fn bundle(name: &str) -> Option<Directory> {
    let made = root_filesystem(name)?;
    let spec = Command::new(name).arg("spec").current_dir(&made.0).stderr(Stdio::null()).status().ok()?;
    let path = made.0.join("config.json");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&path).ok()?).ok()?;
    config["process"]["terminal"] = false.into();
    config["process"]["args"] = serde_json::json!(["true"]);
    let is_kept = |it: &Value, key: &str| it[key] != "cgroup";
    config["linux"]["namespaces"].as_array_mut()?.retain(|it| is_kept(it, "type"));
    config["mounts"].as_array_mut()?.retain(|it| is_kept(it, "type"));
    config["linux"].as_object_mut()?.remove("resources");
    fs::write(&path, config.to_string()).ok()?;
    spec.success().then_some(made)
}

fn of_runtime(name: &str) {
    if skips(&["strace", "busybox", name]) {
        return;
    }
    let Some(bundle) = bundle(name) else { return eprintln!("skip: {name} spec fails here") };
    let path = bundle.0.to_str().unwrap();
    let id = format!("ns-trace-{name}-{}", std::process::id());
    // crun knows cgroup v1 and v2, and no machine that has both. In a mount namespace of its own it sees v2 alone.
    let alone = format!(
        "mount -t cgroup2 none /sys/fs/cgroup && exec {name} --cgroup-manager=disabled run --bundle {path} {id}"
    );
    let commands = [vec![name, "run", "--bundle", path, &id], vec!["unshare", "-m", "sh", "-c", &alone]];
    let mut said = String::new();
    for command in commands {
        let works = output(Command::new(command[0]).args(&command[1..]).stdin(Stdio::null()));
        if works.status.success() {
            return compare(&command);
        }
        said += &String::from_utf8_lossy(&works.stderr);
    }
    eprintln!("skip: {name} cannot run here: {}", said.trim());
}

#[test]
fn of_crun() {
    of_runtime("crun");
}

#[test]
fn of_runc() {
    of_runtime("runc");
}
