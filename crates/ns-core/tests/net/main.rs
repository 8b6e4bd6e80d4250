//! Links, addresses and routes against the kernel, in network namespaces that end with this process.
//!
//! A second thread could not be brought into them, so everything runs on the first and only one (`harness = false`).

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Trial};
use nix::sched::{CloneFlags, unshare};
use ns_core::net::Netlink;

/// Checks with their names, which are the sentences that they prove.
macro_rules! named {
    ($($check:ident),* $(,)?) => { &[$((stringify!($check), $check as Check)),*] };
}

mod addresses;
mod bench;
mod line;
mod links;
mod masquerade;
mod packets;
mod peers;
mod refusals;
mod waits;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    ns_core::host::remember().expect("a procfs at /proc");
    let host = Netlink::open().expect("a line to the network that we were started in");
    let missing = if arguments.list { None } else { become_root_of_new_namespaces().err() };
    let mut checks = checks(missing);
    checks
        .push(Trial::test("nothing is changed on the host", move || line::nothing_is_changed_through(&host)));
    libtest_mimic::run(&arguments, checks).exit_code()
}

/// A user namespace in which we are root, so that no privilege is needed, and a network namespace that it owns.
fn become_root_of_new_namespaces() -> Result<(), String> {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)
        .map_err(|errno| format!("unshare(CLONE_NEWUSER|CLONE_NEWNET): {errno}"))?;
    // user_namespaces(7): gid_map may be written only once setgroups is denied.
    for (file, text) in
        [("setgroups", "deny".into()), ("uid_map", format!("0 {uid} 1")), ("gid_map", format!("0 {gid} 1"))]
    {
        let path = format!("/proc/self/{file}");
        std::fs::write(&path, &text).map_err(|error| format!("echo {text} > {path}: {error}"))?;
    }
    Ok(())
}

/// The checks; each is skipped, in sight, with what is missing.
fn checks(missing: Option<String>) -> Vec<Trial> {
    let all = [
        links::CHECKS,
        addresses::CHECKS,
        packets::CHECKS,
        masquerade::CHECKS,
        waits::CHECKS,
        refusals::CHECKS,
        line::CHECKS,
        peers::CHECKS,
    ]
    .concat();
    let must_run = std::env::var_os("LAB_MUST_RUN").is_some_and(|value| value == "1");
    all.into_iter()
        .map(|(name, check)| {
            let missing = missing.clone();
            Trial::ignorable_test(name.replace('_', " "), move || {
                let done = match missing {
                    Some(missing) => Completion::ignored_with(missing),
                    None => check()?,
                };
                if let (true, Completion::Ignored { reason }) = (must_run, &done) {
                    return Err(format!("LAB_MUST_RUN=1, but skipped: {reason:?}").into());
                }
                Ok(done)
            })
        })
        .collect()
}
