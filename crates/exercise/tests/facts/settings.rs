//! /proc/sys, and the clocks of a time namespace.

use ns_core::{Child, Kind, Namespaces, Pid, Reporter, clock, namespace, uts};

use crate::plain::Ending::{Passed, Skipped};
use crate::plain::{Answer, Check};
use crate::scene::{child, own, plain_child, reads, says, start};

pub(crate) const CHECKS: &[Check] = &[
    ("a_setting_is_read_as_it_reads_it", a_setting_is_read_as_it_reads_it),
    ("an_offset_is_that_of_its_own_time_namespace", an_offset_is_that_of_its_own_time_namespace),
];

fn a_setting_is_read_as_it_reads_it() -> Answer {
    let new = child(own(Namespaces::NET | Namespaces::IPC | Namespaces::UTS), |_| {
        ns_core::ipc::set_limit("kernel/msgmax", "4321")?;
        uts::set_hostname("fox")
    })?;
    let plain = plain_child()?;
    let ours = |file: &str| std::fs::read_to_string(file).map(|text| text.trim().to_string());
    reads!(new.pid(),
        "sysctl kernel.msgmax" => "4321",
        "sysctl kernel.hostname" => "fox",
        "sysctl net/ipv4/ip_forward" => "0",
        "sysctl kernel.ostype" => "Linux",
        "sysctl kernel.nothing" => "absent",
    );
    reads!(plain.pid(),
        "sysctl kernel.msgmax" => ours("/proc/sys/kernel/msgmax")?,
        "sysctl kernel.hostname" => ours("/proc/sys/kernel/hostname")?,
    );
    says!(new.pid(), "sysctl kernel.msgmax" => "its sysctl kernel.msgmax is 4321");
    Ok(Passed)
}

fn an_offset_is_that_of_its_own_time_namespace() -> Answer {
    if namespace::of_kind(None, Kind::Time).is_err() {
        return Ok(Skipped("the kernel has no time namespaces".into()));
    }
    // Each unshares, and its child is the first in what it made. The last has one of its own for children, too.
    let mut outer = start(own(Namespaces::NONE), |me| {
        namespace::unshare(Namespaces::TIME)?;
        clock::write_offsets("monotonic 86400 0\nboottime 7200 0")?;
        let inner = Child::spawn("inner", Namespaces::NONE, |me| {
            namespace::unshare(Namespaces::TIME)?;
            clock::write_offsets("monotonic 5 0")?;
            me.report("ready", "yes")?;
            me.stay()
        });
        let mut inner = inner?;
        inner.fact()?;
        me.report("inner", inner.pid())?;
        Reporter::stay(me)
    })?;
    let inner = Pid::from_raw(outer.fact()?.value.as_i64().ok_or("no PID")? as i32);
    reads!(inner, "offset monotonic" => "86400", "offset boottime" => "7200");
    reads!(outer.pid(), "offset monotonic" => clock::offsets(None)?.0.to_string());
    says!(inner, "offset boottime" => "its offset of boottime is 7200 s");
    Ok(Passed)
}
