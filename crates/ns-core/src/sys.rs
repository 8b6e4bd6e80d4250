//! Every `unsafe` of the workspace, in the modules below, each behind a signature that is safe to call.
#![allow(unsafe_code)]

mod clock;
mod clone;
mod descriptors;
mod ipc;
mod keys;
mod landlock;
mod links;
mod machine;
mod mounts;
mod nsfs;
mod passed;
mod perf;
mod ptrace;
mod seccomp;
mod signals;
mod stdout;
mod text;

pub(crate) use clock::clock_gettime;
pub(crate) use clone::{Forked, clone_as_typed, clone3, exit_now, fork_child, vfork_child};
pub(crate) use descriptors::{close_all, close_all_but, close_on_exec_from};
pub use ipc::SysV;
pub(crate) use ipc::{
    Attached, mq_open, mq_receive, mq_send, mq_waiting, msgrcv, msgsnd, semaphore_value, semop, sysv_get,
    sysv_stat,
};
pub use keys::{add_user_key, find_user_key, user_keyring};
pub(crate) use landlock::{
    landlock_abi, landlock_allow_beneath, landlock_allow_port, landlock_create, landlock_restrict_self,
};
pub(crate) use links::set_link_flags;
pub use machine::{delete_module, settimeofday_nothing, swapoff, swapon};
pub(crate) use mounts::{MountAttr, mount_setattr};
pub(crate) use nsfs::{
    name_to_handle, ns_ioctl_fd, ns_ioctl_number, ns_ioctl_type, ns_ioctl_u32, ns_ioctl_u64, open_nsfs_handle,
};
pub(crate) use passed::{receive_descriptor, send_descriptor};
pub use perf::count_page_faults;
pub(crate) use ptrace::{
    Request, allow_tracer, event_message, ptrace, shares_descriptors, syscall_info, wait,
};
pub(crate) use seccomp::{
    add_descriptor, answer_notification, exit_thread, receive_notification, set_filter, set_strict_mode,
};
pub(crate) use signals::{default_signal, fault, forget_handled, handle_signal, ignore_signal, send_sigio};
pub use stdout::stdout_was_closed;
pub use text::c_string;
