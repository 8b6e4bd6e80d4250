//! Capabilities and what else a process may do.

use nix::sys::prctl;
use nix::unistd::geteuid;
use ns_core::seccomp::{Action, Filter};
use ns_core::{Capability, Namespaces, capabilities, process};

use crate::plain::Ending::{Passed, Skipped};
use crate::plain::{Answer, Check};
use crate::scene::{child, look, own, plain_child, reads, says};

pub(crate) const CHECKS: &[Check] = &[
    ("capabilities_are_those_of_the_set", capabilities_are_those_of_the_set),
    ("no_new_privs_and_seccomp_are_read", no_new_privs_and_seccomp_are_read),
    ("who_cleared_its_dumpable_attribute_is_known", who_cleared_its_dumpable_attribute_is_known),
];

fn capabilities_are_those_of_the_set() -> Answer {
    let root = child(own(Namespaces::NONE), |_| {
        capabilities::leave_bounding_set(Capability::CAP_SYS_PTRACE)?;
        capabilities::make_ambient(Capability::CAP_NET_RAW)
    })?;
    says!(root.pid(),
        "capabilities effective" => "its effective capabilities are all",
        "capabilities bounding" => "its bounding capabilities are all but CAP_SYS_PTRACE",
        "capabilities ambient" => "its ambient capabilities are CAP_NET_RAW",
    );
    reads!(root.pid(), "capabilities ambient" => "CAP_NET_RAW", "capabilities inheritable" => "CAP_NET_RAW");
    let nobody = child(Namespaces::NONE, |_| process::drop_all_capabilities())?;
    reads!(nobody.pid(),
        "capabilities effective" => "",
        "capabilities permitted" => "",
        "capabilities ambient" => "",
    );
    says!(nobody.pid(), "capabilities permitted" => "its permitted capabilities are none");
    Ok(Passed)
}

fn no_new_privs_and_seccomp_are_read() -> Answer {
    let plain = plain_child()?;
    let before = process::status(None)?;
    if before.seccomp != Some(0) || before.nonewprivs != Some(0) {
        return Ok(Skipped("this process is filtered already".into()));
    }
    reads!(plain.pid(), "no_new_privs" => "no", "seccomp" => "none");
    let restricted = child(Namespaces::NONE, |_| {
        prctl::set_no_new_privs().map_err(|errno| ns_core::Error::Call { call: "prctl()".into(), errno })?;
        Filter::new(&[], Action::Allow)?.install()
    })?;
    reads!(restricted.pid(), "no_new_privs" => "yes", "seccomp" => "filter");
    says!(restricted.pid(), "no_new_privs" => "no_new_privs is set");
    Ok(Passed)
}

fn who_cleared_its_dumpable_attribute_is_known() -> Answer {
    const USER: u32 = 64_321;
    let is_root = geteuid().is_root();
    let make = |dumpable: bool| {
        child(Namespaces::NONE, |_| {
            if is_root {
                process::become_user(USER)?;
            }
            prctl::set_dumpable(dumpable)
                .map_err(|errno| ns_core::Error::Call { call: "prctl()".into(), errno })
        })
    };
    let (hidden, open) = (make(false)?, make(true)?);
    reads!(hidden.pid(), "undumpable" => "yes");
    reads!(open.pid(), "undumpable" => "no");
    if is_root {
        let seen = look("undumpable", plain_child()?.pid());
        assert!(seen.starts_with("unreadable: "), "{seen}");
    } else {
        // Nobody but root looks into it, and that is not taken for an absence.
        let seen = look("namespace uts", hidden.pid());
        assert!(seen.starts_with("unreadable: ") && seen.contains("EACCES"), "{seen}");
    }
    Ok(Passed)
}
