//! Links that go, and waits for what becomes of them.

use std::os::fd::AsFd;

use libtest_mimic::Completion;
use ns_core::Errno;

use crate::bench::{Check, DONE, Net, named, refused, veth_pair};

pub(crate) const CHECKS: &[(&str, Check)] = named![
    one_end_deleted_takes_the_other_along,
    the_far_end_goes_when_a_namespace_dies,
    a_wait_for_a_link_that_goes_ends_with_enodev,
    a_wait_sees_what_comes_while_it_waits,
];

fn one_end_deleted_takes_the_other_along() -> Result<Completion, String> {
    let (a, b) = veth_pair();
    let vb = b.link("vb").index;
    a.net.delete(a.link("va").index).unwrap();
    b.net.wait_until_gone(vb).unwrap();
    assert_eq!(b.net.link_by_index(vb), Ok(None));
    DONE
}

/// The end in `a` of a pair whose other end is in a namespace that is about to die.
fn end_of_a_dying_pair(a: &Net) -> u32 {
    let b = Net::new();
    let index = a.net.create_veth(&named("va"), &named("vb"), Some(b.file.as_fd())).unwrap();
    a.net.set_up(index).unwrap();
    a.enter();
    index
}

fn the_far_end_goes_when_a_namespace_dies() -> Result<Completion, String> {
    let a = Net::new();
    let va = end_of_a_dying_pair(&a);
    a.net.wait_until_gone(va).unwrap();
    assert_eq!(a.net.link(&named("va")), Ok(None));
    DONE
}

fn a_wait_for_a_link_that_goes_ends_with_enodev() -> Result<Completion, String> {
    let a = Net::new();
    let va = end_of_a_dying_pair(&a);
    refused(a.net.wait_until_running(va), Errno::ENODEV, &format!("ip link show if{va}"));
    DONE
}

fn a_wait_sees_what_comes_while_it_waits() -> Result<Completion, String> {
    let (a, b) = (Net::new(), Net::new());
    let va = a.net.create_veth(&named("va"), &named("vb"), Some(b.file.as_fd())).unwrap();
    a.net.set_up(va).unwrap();
    let setter = std::thread::spawn(move || {
        while !main_thread_sleeps() {
            std::thread::yield_now();
        }
        b.net.set_up(b.link("vb").index).unwrap();
        b
    });
    let seen = a.net.wait_until_running(va);
    let _b = setter.join().unwrap();
    assert!(seen.unwrap().lower_up);
    DONE
}

/// Whether the main thread waits for something: S in proc_pid_stat(5), behind its name in brackets.
fn main_thread_sleeps() -> bool {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{}/stat", std::process::id())).unwrap();
    stat.rsplit_once(") ").unwrap().1.starts_with('S')
}
