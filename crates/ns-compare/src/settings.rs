//! A setting that belongs to no kind of namespace: a write inside changes it for the whole machine.

use anyhow::Result;
use lesson::{Claim, Need, Requirement, Step, hand, outside};
use ns_core::machine::{self, Setting};
use ns_core::probe::Unmet;
use ns_core::{Child, Fact, Named, Namespaces};

use crate::eight::of_this_kernel;
use crate::kinds::apart;

const CORE_PATTERN: Claim = Claim::holds(
    "core-pattern",
    "Root's write to core_pattern in new namespaces of all kinds but user changes it for the whole machine.",
)
.factor("core_pattern instead of the hostname")
.notes(&[3])
.requires(&[Requirement::Probe(changeable)]);

pub(crate) const SET_CORE_PATTERN: Step = Step {
    title: "In new namespaces of all kinds but user, write two settings of /proc/sys/kernel: hostname and core_pattern.",
    calls: &["clone3(CLONE_NEW…|…)", "write(\"/proc/sys/kernel/core_pattern\", \"inside\")"],
    by_hand: &[hand("cd /proc/sys/kernel; old=$(<core_pattern); unshare -pfmiun sh -c 'echo inside > hostname; echo inside > core_pattern'").as_root().prints("").needs(&[Need::ThrowAway]), hand("cat hostname core_pattern; echo \"$old\" > core_pattern").as_root().prints("<name>\ninside"), ],
    claims: &[CORE_PATTERN],
    run: |lab| {
        lab.compare(CORE_PATTERN, "hostname", "core_pattern", write_inside)?
            .shows(outside("outside reads what was written").is("yes"))
    },
};

fn changeable() -> ns_core::Result<Option<Unmet>> {
    machine::changeable("/proc/sys/kernel/core_pattern")
}

/// Reads a setting outside after a member of new namespaces has written to it.
fn write_inside(name: &'static str) -> Result<Vec<Fact>> {
    apart(move |me| {
        let path = &format!("/proc/sys/kernel/{name}");
        let namespaces = of_this_kernel().difference(Namespaces::USER);
        let mut member = Child::spawn("member", namespaces, |me| {
            // Dropping it restores the old value.
            let _setting = Setting::change(path, "inside")?;
            me.report(name, read(path)?)?;
            me.checkpoint()
        })?;
        let inside = member.fact()?;
        let outside = read(path)?;
        member.wake()?;
        member.pass_on(me)?;
        me.send(Fact::outside("outside reads what was written", inside.value == outside.as_str()))?;
        me.send(inside)
    })
}

fn read(path: &str) -> ns_core::Result<String> {
    let text = std::fs::read_to_string(path).named(|| format!("read(\"{path}\")"))?;
    Ok(text.trim_end().into())
}
