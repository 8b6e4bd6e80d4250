//! How a machine is written down.

use ns_core::Result;

use crate::machine::Machine;

/// Whether only root can make a machine.
#[derive(Clone, Copy)]
pub(crate) enum By {
    Root,
    Anyone,
}

/// A machine of which `inception doctor` need not say anything.
pub(crate) fn machine(
    name: impl Into<String>,
    how: impl Into<String>,
    by: By,
    prepare: impl Fn() -> Result<()> + 'static,
) -> Machine {
    Machine {
        name: name.into(),
        how: how.into(),
        needs_root: matches!(by, By::Root),
        named_by: None,
        sudo_works: true,
        hides: None,
        begins_a_pid_namespace: false,
        prepare: Box::new(prepare),
    }
}

/// A machine with a seccomp filter. Who is no root has to set no_new_privs for it.
pub(crate) fn filtered(
    name: impl Into<String>,
    how: impl Into<String>,
    by: By,
    prepare: impl Fn() -> Result<()> + 'static,
) -> Machine {
    let of_root = nix::unistd::geteuid().is_root() && matches!(by, By::Anyone);
    let machine = machine(name, how, by, prepare).named_by("all system calls", "Seccomp");
    if of_root { machine } else { machine.without_sudo() }
}
