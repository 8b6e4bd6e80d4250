//! Programs where the kernel answers some system calls otherwise.

use std::process::{Child, Command, Output, Stdio};

use ns_core::Errno;
use ns_core::seccomp::{Action, Filter, Rule};

/// A kernel without Landlock.
pub(crate) const NO_LANDLOCK: Answer = (libc::SYS_landlock_create_ruleset, None, libc::ENOSYS);

/// A system call that is answered by an errno; with a flag, only where its first argument has that.
pub(crate) type Answer = (i64, Option<u64>, i32);

/// Runs a program where the kernel answers some calls otherwise: each by a seccomp filter of the thread that starts it.
pub(crate) fn where_the_kernel_answers(answers: &[Answer], program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    started_where_the_kernel_answers(answers, command).wait_with_output().unwrap()
}

/// Starts a program so.
pub(crate) fn started_where_the_kernel_answers(answers: &[Answer], mut command: Command) -> Child {
    let filters: Vec<Filter> = answers.iter().map(filter).collect();
    let thread = std::thread::spawn(move || {
        nix::sys::prctl::set_no_new_privs().unwrap();
        filters.iter().for_each(|filter| filter.install().unwrap());
        command.spawn().unwrap()
    });
    thread.join().unwrap()
}

fn filter((call, flag, errno): &Answer) -> Filter {
    let every = Rule::call(*call);
    let rule = flag.map_or(every, |flag| every.with_bits(0, flag as u32));
    Filter::new(&[rule], Action::Refuse(Errno::from_raw(*errno))).unwrap()
}
