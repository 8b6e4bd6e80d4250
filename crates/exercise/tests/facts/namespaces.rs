//! Namespaces, names.

use std::time::Duration;

use exercise::Fact;
use nix::unistd::getpid;
use ns_core::{Child, Kind, Namespaces, Reporter, namespace, uts};

use crate::plain::Ending::Passed;
use crate::plain::{Answer, Check};
use crate::scene::{child, look, own, plain_child, reads, says, start, subject};
use crate::spent::processor_time;

pub(crate) const CHECKS: &[Check] = &[
    ("a_namespace_is_the_one_of_the_link", a_namespace_is_the_one_of_the_link),
    ("a_namespace_has_a_parent_and_an_owner", a_namespace_has_a_parent_and_an_owner),
    ("names_are_those_of_its_uts_namespace", names_are_those_of_its_uts_namespace),
    ("names_are_read_in_nested_user_namespaces", names_are_read_in_nested_user_namespaces),
    ("two_hundred_processes_are_looked_at_in_a_moment", two_hundred_processes_are_looked_at_in_a_moment),
    ("with_two_threads_nothing_is_entered", with_two_threads_nothing_is_entered),
];

fn a_namespace_is_the_one_of_the_link() -> Answer {
    let (plain, new) = (plain_child()?, child(Namespaces::all(), |_| Ok(()))?);
    for kind in Kind::ALL {
        let fact = format!("namespace {kind}");
        let ours = namespace::of_kind(None, kind)?.to_string();
        assert_eq!(look(&fact, plain.pid()), ours);
        assert_eq!(look(&fact, new.pid()), namespace::of_kind(Some(new.pid()), kind)?.to_string());
        assert_ne!(look(&fact, new.pid()), ours);
    }
    let id = namespace::of_kind(Some(new.pid()), Kind::Uts)?.ino;
    says!(new.pid(), "namespace uts" => format!("it is in the UTS namespace {id}"));
    Ok(Passed)
}

fn a_namespace_has_a_parent_and_an_owner() -> Answer {
    let new = child(own(Namespaces::UTS | Namespaces::PID), |_| Ok(()))?;
    let ours = |kind| Ok::<_, ns_core::Error>(namespace::of_kind(None, kind)?.to_string());
    reads!(new.pid(),
        "parent namespace user" => ours(Kind::User)?,
        "parent namespace pid" => ours(Kind::Pid)?,
        "owner of uts" => look("namespace user", new.pid()),
        "owner of user" => ours(Kind::User)?,
    );
    // Ours is the limit of what we may see.
    let above = look("parent namespace pid", getpid());
    assert!(above.contains("NS_GET_PARENT): EPERM"), "{above}");
    Ok(Passed)
}

fn rename(_: &mut Reporter) -> ns_core::Result<()> {
    uts::set_hostname("fox")?;
    uts::set_domain_name("fox.example")
}

fn names_are_those_of_its_uts_namespace() -> Answer {
    let (plain, new) = (plain_child()?, child(own(Namespaces::UTS), rename)?);
    reads!(plain.pid(), "hostname" => uts::hostname(), "domain name" => uts::domain_name());
    reads!(new.pid(), "hostname" => "fox", "domain name" => "fox.example");
    says!(new.pid(), "hostname" => "its hostname is fox");
    assert_ne!(uts::hostname(), "fox", "the look changed our own namespace");
    Ok(Passed)
}

/// A grandchild whose UTS namespace belongs to its grandparent's child, as after `unshare -Ur --uts` and `unshare -U`.
fn names_are_read_in_nested_user_namespaces() -> Answer {
    let mut outer = start(own(Namespaces::UTS), |me| {
        rename(me)?;
        let inner = Child::spawn("inner", Namespaces::USER, Reporter::stay)?;
        me.report("inner", inner.pid())?;
        me.stay()
    })?;
    let inner = outer.fact()?.value.as_i64().ok_or("no PID")?;
    let inner = ns_core::Pid::from_raw(inner as i32);
    reads!(inner, "hostname" => "fox", "owner of uts" => look("namespace user", outer.pid()));
    Ok(Passed)
}

fn two_hundred_processes_are_looked_at_in_a_moment() -> Answer {
    let children = (0..200).map(|_| plain_child()).collect::<Result<Vec<_>, _>>()?;
    let subjects = children.iter().map(|it| subject(it.pid())).collect::<Result<Vec<_>, _>>()?;
    let facts = [Fact::parse("namespace uts")?, Fact::parse("hostname")?];
    // Processor time, and the best of twenty: the machine may have other things to do.
    let looks = (0..20).map(|_| -> Result<Duration, Box<dyn std::error::Error>> {
        let began = processor_time()?;
        for subject in &subjects {
            facts.iter().for_each(|fact| drop(fact.see(*subject)));
        }
        Ok(processor_time()? - began)
    });
    let best = looks.collect::<Result<Vec<_>, _>>()?.into_iter().min().unwrap_or_default();
    // A program without optimisation needs several times as long.
    let most = Duration::from_millis(if cfg!(debug_assertions) { 40 } else { 10 });
    assert!(best < most, "{best:?}");
    Ok(Passed)
}

fn with_two_threads_nothing_is_entered() -> Answer {
    let new = child(own(Namespaces::UTS), rename)?;
    let (ready, wait) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || wait.recv());
    let seen = look("hostname", new.pid());
    drop(ready);
    let _ = thread.join();
    assert_eq!(seen, "unreadable: cannot make a child: 2 threads run, and only one may");
    Ok(Passed)
}
