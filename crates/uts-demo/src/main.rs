//! Who hears a hostname?
//!
//! A process sets the hostname and the NIS domain name. Who reads the new ones, and who goes on reading the old? Watch
//! the outside column: in each control the names outside change too.
//!
//! Outside is a UTS namespace of the experiment's own, so even the control renames nothing that the host would see.

mod file;
mod heard;
mod rules;

use anyhow::Result;
use lesson::{Claim, Experiment, Lab, Step};
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Pid, uts};

const STAYS: Claim =
    Claim::holds("stays", "A hostname and an NIS domain name that are set in a UTS namespace stay in it.")
        .cause("CLONE_NEWUTS")
        .notes(&[134, 135])
        .misconceptions(&[(
            "hostname = inside; NIS domain name = inside.example",
            "sethostname() is known as what renames the machine, and the caller is root",
        )]);
const COPY: Claim = Claim::holds(
    "copy",
    "A UTS namespace begins with a copy of its maker's names; later changes of the maker's do not reach it.",
)
.cause("CLONE_NEWUTS")
.notes(&[134, 135]);
const HEARD: Claim = Claim::holds(
    "heard",
    "Every member of a UTS namespace reads a name that any of them sets, and nobody else does.",
)
.cause("CLONE_NEWUTS")
.notes(&[135])
.more(&[51, 52]);
const ENTERED: Claim = Claim::holds(
    "entered",
    "setns() into the UTS namespace of a process, as by nsenter, gives the caller that namespace's names.",
)
.cause("another's ns/uts")
.notes(&[136]);

const UTS_DEMO: Experiment = Experiment {
    name: "uts-demo",
    question: "Who hears a hostname?",
    notes: "UTS Namespace",
    man: &["uts_namespaces(7)", "sethostname(2)", "uname(2)"],
    examples: &[
        ("uts-demo", "run the experiment"),
        ("uts-demo --sabotage", "without the namespace: no claim holds"),
        ("uts-demo --format jsonl | jq .", "the same as data"),
        ("strace -f uts-demo", "the system calls, facts on their pipes included"),
    ],
    // The control renames this, in the host's place.
    stage: Namespaces::UTS,
    needs: &[],
    claims: &[
        STAYS,
        COPY,
        HEARD,
        ENTERED,
        file::ONE_FILE,
        file::WOKEN,
        file::CUT,
        file::BY_FILE,
        rules::TOO_LONG,
        rules::ADMIN,
        rules::OWNER,
        rules::UNAME26,
    ],
    run,
};

fn main() -> std::process::ExitCode {
    lesson::main(&UTS_DEMO)
}

fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Set both names in a child, which is a member of our namespace, then of one of its own. Read ours.",
        calls: &["clone3(CLONE_NEWUTS)", "sethostname(\"inside\")", "setdomainname(\"inside.example\")", "uname()"],
        by_hand: &["unshare --user --map-root-user --uts sh -c 'hostname inside; hostname'; hostname"],
    })?;
    let (plain, inside) = (rename_inside(Namespaces::NONE)?, rename_inside(Namespaces::UTS)?);
    lab.claim(STAYS).without(plain).with(inside).shows(|names| {
        names.outside("hostname").is_some_and(|it| *it == "outside")
            && names.outside("NIS domain name").is_some_and(|it| *it == "outside.example")
    })?;

    lab.step(Step {
        goal: "Read both names in a child; then rename ourselves, and let it read again.",
        calls: &["uname()", "sethostname(\"renamed\")", "setdomainname(\"renamed.example\")", "uname()"],
        by_hand: &["hostname; unshare -Ur --uts hostname"],
    })?;
    let (plain, inside) = (rename_outside(Namespaces::NONE)?, rename_outside(Namespaces::UTS)?);
    lab.claim(COPY).without(plain).with(inside).shows(|names| {
        names.inside("hostname at birth").is_some_and(|it| *it == "outside")
            && names.inside("hostname later").is_some_and(|it| *it == "outside")
            && names.inside("NIS domain name later").is_some_and(|it| *it == "outside.example")
    })?;

    lab.step(Step {
        goal: "Four processes in three namespaces set the hostname in turn. After each turn, all read it.",
        calls: &[
            "clone3(CLONE_NEWUTS)",
            "setns(\"/proc/FIRST/ns/uts\", CLONE_NEWUTS)",
            "sethostname(…)",
            "uname()",
        ],
        by_hand: &[],
    })?;
    heard::fill(lab, HEARD)?;

    lab.step(Step {
        goal: "Enter a UTS namespace, and leave it again: once our own, once that of a container called 'container'.",
        calls: &["open(\"/proc/PID/ns/uts\")", "setns(ns, CLONE_NEWUTS)", "uname()"],
        by_hand: &[
            "unshare -Ur --uts sh -c 'hostname container; sleep 60' &",
            "nsenter --user --preserve-credentials --uts --target $! hostname; hostname",
        ],
    })?;
    uts::set_hostname("outside")?;
    let mut container = Child::spawn("container", Namespaces::UTS, |me| {
        uts::set_hostname("container")?;
        me.saw("hostname", uts::hostname())?;
        me.stay()
    })?;
    container.hear()?; // it has its name
    lab.actor(&container)?;
    lab.claim(ENTERED).without(visit(None)?).with(visit(Some(container.pid()))?).shows(|name| {
        name.inside("hostname at first").is_some_and(|it| *it == "outside")
            && name.inside("hostname after setns()").is_some_and(|it| *it == "container")
    })?;

    file::run(lab)?;
    rules::run(lab)
}

/// Sets the hostname and, likewise, the NIS domain name.
fn set_names(name: &str) -> ns_core::Result<()> {
    uts::set_hostname(name)?;
    uts::set_domain_name(&format!("{name}.example"))
}

fn rename_inside(namespaces: Namespaces) -> Result<Vec<Fact>> {
    set_names("outside")?;
    let mut child = Child::spawn("child", namespaces, |me| {
        set_names("inside")?;
        me.saw("hostname", uts::hostname())?;
        me.saw("NIS domain name", uts::domain_name())
    })?;
    let mut facts = child.hear_all()?;
    facts.push(Fact::outside("hostname", uts::hostname()));
    facts.push(Fact::outside("NIS domain name", uts::domain_name()));
    Ok(facts)
}

fn rename_outside(namespaces: Namespaces) -> Result<Vec<Fact>> {
    set_names("outside")?;
    let mut child = Child::spawn("child", namespaces, |me| {
        me.saw("hostname at birth", uts::hostname())?;
        me.pause()?;
        me.saw("hostname later", uts::hostname())?;
        me.saw("NIS domain name later", uts::domain_name())
    })?;
    let at_birth = child.hear()?;
    set_names("renamed")?;
    child.release()?;
    Ok(vec![at_birth, child.hear()?, child.hear()?, Fact::outside("hostname later", uts::hostname())])
}

/// A visitor enters the UTS namespace of `host` (`None`: its own), looks around, and goes back.
fn visit(host: Option<Pid>) -> Result<Vec<Fact>> {
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        let (home, away) = (NsFile::of(None, Kind::Uts)?, NsFile::of(host, Kind::Uts)?);
        me.saw("hostname at first", uts::hostname())?;
        away.enter(Some(Kind::Uts))?;
        me.saw("hostname after setns()", uts::hostname())?;
        home.enter(Some(Kind::Uts))?;
        me.saw("hostname after setns() back", uts::hostname())
    })?;
    Ok(visitor.hear_all()?)
}
