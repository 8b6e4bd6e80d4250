//! What happened, as sentences. The subject is the process, which stands before them.

use ns_core::{capabilities, series};

use crate::model::{Act, Ended, Made};
use crate::why;

/// What a call did, or that it was refused and why.
pub(crate) fn sentence(made: &Made) -> String {
    let act = phrase(&made.act, made);
    match &made.errno {
        None => act,
        Some(errno) => {
            let reason = why::of(&made.act, errno).map_or_else(String::new, |why| format!(": {why}"));
            format!("{act}: refused, {errno}{reason}")
        }
    }
}

/// What the call asks for.
fn phrase(act: &Act, made: &Made) -> String {
    match act {
        Act::Unshare { namespaces, flags } if namespaces.is_empty() => {
            format!("stops sharing, by unshare({})", word(flags))
        }
        Act::Unshare { namespaces, flags } => {
            format!("creates {}, by unshare({})", new_namespaces(namespaces), word(flags))
        }
        Act::Clone { namespaces, flags } => {
            let child = made.result.map_or_else(|| "a process".to_string(), |pid| format!("process {pid}"));
            let call = &made.call;
            format!("creates {child} in {}, by {call}({})", new_namespaces(namespaces), word(flags))
        }
        Act::Setns { namespaces, of } => {
            let kinds: Vec<String> =
                namespaces.iter().map(|kind| format!("{} namespace", kind_in_words(kind))).collect();
            let what =
                if kinds.is_empty() { "a namespace".into() } else { format!("the {}", series(&kinds)) };
            format!("enters {what} of {of}, by setns()")
        }
        Act::PivotRoot { new_root, put_old } => {
            let old = if put_old == new_root || put_old == "." {
                "the old one is stacked below it".into()
            } else {
                format!("the old one goes to {put_old}")
            };
            format!("makes {new_root} the root of its mount namespace, by pivot_root(); {old}")
        }
        Act::Chroot { path } => format!("changes its root directory to {path}, by chroot()"),
        Act::IdMap { file, of, text } => id_map(file, of, text),
        Act::Cgroup { file, path, text } => cgroup(file, path, text, made.pid),
        Act::CgroupMake { path } => format!("creates the cgroup {path}"),
        Act::CgroupRemove { path } => format!("removes the cgroup {path}"),
        Act::Proc { path, text } => format!("writes \"{text}\" to {path}"),
        Act::Netlink { family, messages } => {
            let texts: Vec<&str> = messages.iter().map(|message| message.text.as_str()).collect();
            let mut kinds: Vec<&str> = messages.iter().map(|message| message.kind.as_str()).collect();
            kinds.dedup();
            format!("{}, by {family} ({})", texts.join("; "), kinds.join(", "))
        }
        Act::NetlinkRefused { family } => format!("reads the kernel's answer by {family}"),
        Act::Seccomp { mode, .. } if mode == "strict" => {
            "lets itself make four system calls and no other (seccomp, strict mode)".into()
        }
        Act::Seccomp { instructions, flags, .. } => {
            let flags = if flags.is_empty() { String::new() } else { format!(", {}", word(flags)) };
            format!("puts itself behind a seccomp filter of {instructions} instructions{flags}")
        }
        Act::Hostname { hostname } => format!("sets the hostname of its UTS namespace to \"{hostname}\""),
        Act::DomainName { domain } => {
            format!("sets the NIS domain name of its UTS namespace to \"{domain}\"")
        }
        Act::Execute { path, arguments, ambient } => {
            let line: Vec<String> = arguments.iter().skip(1).map(|it| quoted(it)).collect();
            let kept = match ambient {
                0 => String::new(),
                mask => format!(", with ambient capabilities: {}", capabilities_in_words(*mask)),
            };
            format!("executes {}{kept}", [vec![path.clone()], line].concat().join(" "))
        }
        other => {
            mounts(other, made.result).or_else(|| privileges(other)).unwrap_or_else(|| made.call.clone())
        }
    }
}

fn mounts(act: &Act, result: Option<i64>) -> Option<String> {
    let descriptor = result.map_or_else(String::new, |fd| format!(", as descriptor {fd}"));
    Some(match act {
        Act::Mount { source, target, fs, flags, data } => mount(source, target, fs, flags, data),
        Act::Umount { target, flags } if flags.iter().any(|flag| flag == "MNT_DETACH") => {
            format!("takes the mounts at {target} out of its mount namespace (MNT_DETACH)")
        }
        Act::Umount { target, .. } => format!("unmounts {target}"),
        Act::Fsopen { fs } => format!("prepares a new {fs}, by fsopen()"),
        Act::Fspick { path } => format!("prepares a change of the filesystem at {path}, by fspick()"),
        Act::Fsconfig { create: true, .. } => "has the kernel make what it prepared, by fsconfig()".into(),
        Act::Fsconfig { key, value, .. } if value.is_empty() => format!("sets {key} of it, by fsconfig()"),
        Act::Fsconfig { key, value, .. } => format!("sets {key} of it to {value}, by fsconfig()"),
        Act::Fsmount { flags } => {
            format!("makes a mount of it, still at no place{descriptor}, by fsmount({})", word(flags))
        }
        Act::OpenTree { path, flags } if flags.iter().any(|flag| flag == "OPEN_TREE_CLONE") => {
            format!(
                "copies the mount at {path}, still to no place{descriptor}, by open_tree({})",
                word(flags)
            )
        }
        Act::OpenTree { path, .. } => format!("opens the mount at {path}, by open_tree()"),
        Act::MoveMount { from, to } if from.starts_with('/') => {
            format!("moves the mount at {from} to {to}, by move_mount()")
        }
        Act::MoveMount { from, to } => format!("puts the mount of {from} at {to}, by move_mount()"),
        Act::MountSetattr { path, set, clear, propagation, recursive } => {
            let below = if *recursive { " and all mounts below it" } else { "" };
            let set = (!set.is_empty()).then(|| format!("sets {} of", word(set)));
            let cleared = (!clear.is_empty()).then(|| format!("clears {} of", word(clear)));
            let made = (!propagation.is_empty()).then(|| format!("sets {} of", word(propagation)));
            let all: Vec<String> = set.into_iter().chain(cleared).chain(made).collect();
            format!("{} {path}{below}, by mount_setattr()", all.join(" and "))
        }
        _ => return None,
    })
}

fn privileges(act: &Act) -> Option<String> {
    Some(match act {
        Act::Capset { effective, permitted, inheritable, .. } => {
            let sets = [("permitted", permitted), ("effective", effective), ("inheritable", inheritable)];
            let told = sets.map(|(name, mask)| format!("{name} {}", capabilities_in_words(*mask)));
            format!("sets its capabilities: {}, by capset()", told.join("; "))
        }
        Act::CapabilityLost { capability } => {
            format!("gives {capability} up for good (it leaves the bounding set), by prctl()")
        }
        Act::AmbientCleared => "empties its ambient set of capabilities, by prctl()".into(),
        Act::NoNewPrivs => "lets no program that it executes gain privileges (no_new_privs)".into(),
        Act::SecureBits { bits } => format!("sets its securebits to {}, by prctl()", word(bits)),
        Act::Ids { group, ids } => {
            let what = if *group { "group" } else { "user" };
            let names = ["real", "effective", "saved"];
            if let [id] = ids[..] {
                return Some(format!("becomes {what} {id}"));
            }
            let kept = |(name, id): (&&str, &i64)| (*id != -1).then(|| format!("{name} {id}"));
            let told: Vec<String> = names.iter().zip(ids).filter_map(kept).collect();
            if told.is_empty() {
                format!("keeps its {what} IDs")
            } else {
                format!("sets its {what} IDs: {}", series(&told))
            }
        }
        Act::Groups { count: 0, .. } => "leaves all its supplementary groups, by setgroups()".into(),
        Act::Groups { groups, .. } => {
            let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
            format!("takes the supplementary groups {}, by setgroups()", series(&groups))
        }
        _ => return None,
    })
}

fn mount(source: &str, target: &str, fs: &str, flags: &[String], data: &str) -> String {
    let has = |name: &str| flags.iter().any(|flag| flag == name);
    let left = |known: &[&str]| {
        let rest: Vec<&str> = flags.iter().map(String::as_str).filter(|it| !known.contains(it)).collect();
        if rest.is_empty() { String::new() } else { format!(" ({})", rest.join("|")) }
    };
    let below = if has("MS_REC") { " and all mounts below it" } else { "" };
    for (flag, propagation) in [
        ("MS_PRIVATE", "private"),
        ("MS_SLAVE", "a slave"),
        ("MS_SHARED", "shared"),
        ("MS_UNBINDABLE", "unbindable"),
    ] {
        if has(flag) && !has("MS_BIND") {
            return format!(
                "makes the mount at {target}{below} {propagation}{}",
                left(&["MS_REC", flag, "MS_SILENT"])
            );
        }
    }
    if has("MS_REMOUNT") {
        let known = ["MS_REMOUNT", "MS_BIND", "MS_SILENT"];
        return format!("changes the mount at {target}, by a remount{}", left(&known));
    }
    if has("MS_BIND") {
        return format!("binds {source}{below} to {target}{}", left(&["MS_BIND", "MS_REC", "MS_SILENT"]));
    }
    if has("MS_MOVE") {
        return format!("moves the mount at {source} to {target}");
    }
    let data = if data.is_empty() { String::new() } else { format!(" with \"{data}\"") };
    format!("mounts a {fs} on {target}{}{data}", left(&["MS_SILENT"]))
}

fn id_map(file: &str, of: &str, text: &str) -> String {
    if file == "setgroups" {
        return format!("writes \"{text}\" to setgroups of process {of}");
    }
    let what = if file == "gid_map" { "group" } else { "user" };
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [inside, outside, count] = fields[..] else { return format!("\"{line}\"") };
        match count {
            "1" => format!("{what} {inside} is {what} {outside} outside"),
            _ => format!("{count} {what}s from {inside} are those from {outside} outside"),
        }
    };
    let lines: Vec<String> = text.lines().map(line).collect();
    format!("writes {file} of process {of}: {}", lines.join("; "))
}

fn cgroup(file: &str, path: &str, text: &str, pid: i32) -> String {
    match file {
        "cgroup.procs" | "tasks" => {
            let who = if text == "0" || text == pid.to_string() {
                "itself".into()
            } else {
                format!("process {text}")
            };
            format!("moves {who} into the cgroup {path}")
        }
        "cgroup.subtree_control" => format!("enables \"{text}\" for the children of the cgroup {path}"),
        _ => format!("writes \"{text}\" to {file} of the cgroup {path}"),
    }
}

/// A kind of namespace, as a sentence has it.
pub(crate) fn kind_in_words(kind: &str) -> &str {
    match kind {
        "mnt" => "mount",
        "net" => "network",
        "pid" => "PID",
        "uts" => "UTS",
        "ipc" => "IPC",
        other => other,
    }
}

fn new_namespaces(kinds: &[String]) -> String {
    let one = |kind: &String| {
        let kind = kind_in_words(kind);
        let article = if kind == "IPC" { "an" } else { "a" };
        format!("{article} {kind} namespace")
    };
    series(&kinds.iter().map(one).collect::<Vec<_>>())
}

/// A mask of capabilities: none, all, or their names; where most are there, those that are not.
pub(crate) fn capabilities_in_words(mask: u64) -> String {
    let all = capabilities::all().unwrap_or(u64::MAX);
    let (there, missing) = (names_of(mask & all), names_of(all & !mask));
    match (there.len(), missing.len()) {
        (0, _) => "none".into(),
        (_, 0) => "all".into(),
        (_, few) if few <= 3 => format!("all but {}", missing.join(", ")),
        (count, _) if count > 6 => format!("{count} ({}, …)", there[..3].join(", ")),
        _ => there.join(", "),
    }
}

fn names_of(mask: u64) -> Vec<String> {
    let bits = (0..u64::BITS).filter(|bit| mask & (1 << bit) != 0);
    bits.map(|bit| capabilities::named(bit).map_or_else(|| bit.to_string(), |it| it.to_string())).collect()
}

/// How a process ended.
pub(crate) fn ending(ended: &Ended) -> String {
    match (ended.status, ended.signal) {
        (_, Some(signal)) => format!("is killed by {}", signal_in_words(signal)),
        (status, None) => format!("ends with status {}", status.unwrap_or(0)),
    }
}

/// A signal by its name; real-time signals have numbers alone.
pub(crate) fn signal_in_words(signal: i32) -> String {
    ns_core::Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |it| it.as_str().into())
}

fn word(flags: &[String]) -> String {
    if flags.is_empty() { "0".into() } else { flags.join("|") }
}

/// As a shell would have it.
fn quoted(argument: &str) -> String {
    shlex::try_quote(argument).map_or_else(|_| format!("{argument:?}"), std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(call: &str, act: Act, result: Result<i64, &str>) -> Made {
        Made {
            pid: 7,
            tid: None,
            name: "bwrap".into(),
            call: call.into(),
            result: result.ok(),
            errno: result.err().map(Into::into),
            took: 1,
            act,
        }
    }

    fn texts(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).into()).collect()
    }

    #[test]
    fn a_sentence_says_what_was_done_and_by_which_call() {
        let act = Act::Unshare {
            namespaces: texts(&["user", "mnt", "pid"]),
            flags: texts(&["CLONE_NEWUSER", "CLONE_NEWNS", "CLONE_NEWPID"]),
        };
        assert_eq!(
            sentence(&made("unshare", act, Ok(0))),
            "creates a user namespace, a mount namespace and a PID namespace, by \
             unshare(CLONE_NEWUSER|CLONE_NEWNS|CLONE_NEWPID)"
        );
    }

    #[test]
    fn a_refusal_has_its_errno_and_its_reason() {
        let act = Act::Hostname { hostname: "inside".into() };
        assert_eq!(
            sentence(&made("sethostname", act, Err("EPERM"))),
            "sets the hostname of its UTS namespace to \"inside\": refused, EPERM: it lacks CAP_SYS_ADMIN in the user \
             namespace that owns this one"
        );
    }

    #[test]
    fn maps_are_read_line_by_line() {
        assert_eq!(
            id_map("uid_map", "42", "0 1000 1\n1 100000 65536"),
            "writes uid_map of process 42: user 0 is user 1000 outside; 65536 users from 1 are those from 100000 outside"
        );
    }

    #[test]
    fn mounts_are_told_by_their_flags() {
        let told = |source, target, fs, flags: &[&str]| mount(source, target, fs, &texts(flags), "");
        assert_eq!(told("proc", "/proc", "proc", &["MS_NOSUID"]), "mounts a proc on /proc (MS_NOSUID)");
        assert_eq!(
            told("none", "/", "", &["MS_REC", "MS_PRIVATE"]),
            "makes the mount at / and all mounts below it private"
        );
        assert_eq!(told("/usr", "/newroot/usr", "", &["MS_BIND"]), "binds /usr to /newroot/usr");
    }
}
