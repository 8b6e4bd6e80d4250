//! Where util-linux can answer the same question, it must say the same: lsns(8), nsenter(1), unshare(1).
//!
//! A plain program, since children are made from the only thread.

use std::process::{Command, ExitCode, Stdio};

use ns_core::{Child, Kind, Namespaces, Reporter, Spawn, idmap, namespace, probe, sandbox, signals, uts};

mod plain;

use plain::{Answer, Check, Ending};

const CHECKS: &[Check] = &[
    ("lsns_lists_the_namespaces_that_we_read", lsns_lists_the_namespaces_that_we_read),
    ("nsenter_hears_the_hostname_that_was_set_inside", nsenter_hears_the_hostname_that_was_set_inside),
    ("unshare_writes_the_maps_that_we_write", unshare_writes_the_maps_that_we_write),
    ("unshare_makes_the_init_that_we_make", unshare_makes_the_init_that_we_make),
];

fn main() -> ExitCode {
    signals::start_afresh().and_then(|()| ns_core::host::remember()).expect("a procfs at /proc");
    plain::run(CHECKS)
}

/// The skip of a check whose peer is not there.
fn without(program: &str) -> Option<Ending> {
    probe::program(program).map(|missing| Ending::Skipped(missing.to_string()))
}

/// What a command prints, without the last newline.
fn said_by(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_string())
}

fn same(ours: &str, theirs: &str) -> Result<(), String> {
    if ours == theirs { Ok(()) } else { Err(format!("we say {ours:?}, the peer says {theirs:?}")) }
}

fn lsns_lists_the_namespaces_that_we_read() -> Answer {
    if let Some(skip) = without("lsns") {
        return Ok(skip);
    }
    let new = sandbox::needed(Namespaces::UTS | Namespaces::IPC | Namespaces::NET);
    let child = Child::spawn("child", new, Reporter::stay).map_err(|error| error.to_string())?;
    let pid = child.pid().to_string();
    // It may give up, and say nothing, when a process ends while it looks.
    let look = || said_by("lsns", &["--noheadings", "--output", "TYPE,NS", "--task", &pid]);
    let said = (0..20).map(|_| look()).find(Result::is_ok).unwrap_or_else(look)?;
    let mut theirs: Vec<_> =
        said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let ours = namespace::of(Some(child.pid())).map_err(|error| error.to_string())?;
    let mut ours: Vec<_> = ours.iter().map(|id| format!("{} {}", id.kind, id.ino)).collect();
    ours.sort();
    theirs.sort();
    same(&ours.join(", "), &theirs.join(", "))?;
    Ok(Ending::Passed)
}

fn nsenter_hears_the_hostname_that_was_set_inside() -> Answer {
    if let Some(skip) = without("nsenter") {
        return Ok(skip);
    }
    let mut child = Child::spawn("child", sandbox::needed(Namespaces::UTS), |me| {
        uts::set_hostname("heard-inside")?;
        me.report("set", "yes")?;
        me.stay()
    })
    .map_err(|error| error.to_string())?;
    child.fact().map_err(|error| error.to_string())?;
    let pid = child.pid().to_string();
    let user = if sandbox::needed(Namespaces::UTS).contains(Namespaces::USER) {
        ["--user", "--preserve-credentials"].as_slice()
    } else {
        &[]
    };
    let arguments = [&["--target", &pid, "--uts"], user, &["uname", "--nodename"]].concat();
    same("heard-inside", &said_by("nsenter", &arguments)?)?;
    same(&uts::hostname(), &said_by("uname", &["--nodename"])?)?;
    Ok(Ending::Passed)
}

fn unshare_writes_the_maps_that_we_write() -> Answer {
    if let Some(skip) = without("unshare") {
        return Ok(skip);
    }
    let (uid, gid) = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
    let spawn = Spawn::new("child").namespaces(Namespaces::USER).maps(idmap::IdMaps::own(0, uid, gid));
    let mut child = spawn
        .run(|me| {
            for file in ["uid_map", "gid_map", "setgroups"] {
                me.report(file, idmap::read(None, file)?)?;
            }
            Ok(())
        })
        .map_err(|error| error.to_string())?;
    for file in ["uid_map", "gid_map", "setgroups"] {
        let ours = child.fact().map_err(|error| error.to_string())?.value.to_string();
        let path = format!("/proc/self/{file}");
        let theirs = said_by("unshare", &["--user", "--map-root-user", "cat", &path])?;
        same(&ours, &theirs.split_whitespace().collect::<Vec<_>>().join(" "))?;
    }
    Ok(Ending::Passed)
}

fn unshare_makes_the_init_that_we_make() -> Answer {
    if let Some(skip) = without("unshare") {
        return Ok(skip);
    }
    let mut child = Child::spawn("init", Namespaces::PID | Namespaces::USER, |me| {
        me.report("getpid()", nix::unistd::getpid())?;
        me.report("getppid()", nix::unistd::getppid())
    })
    .map_err(|error| error.to_string())?;
    let mut next = || child.fact().map(|fact| fact.value.to_string()).map_err(|error| error.to_string());
    let ours = format!("{} {}", next()?, next()?);
    let theirs = ["--user", "--map-root-user", "--pid", "--fork", "sh", "-c", "echo $$ $PPID"];
    same(&ours, &said_by("unshare", &theirs)?)?;
    // And both leave the other kinds alone.
    let kept = namespace::of_kind(None, Kind::Uts).map_err(|error| error.to_string())?.to_string();
    same(&kept, &said_by("unshare", &["--user", "readlink", "/proc/self/ns/uts"])?)?;
    Ok(Ending::Passed)
}
