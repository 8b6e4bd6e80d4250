//! Who hears a hostname?
//!
//! A process sets the hostname and the NIS domain name. Who reads the new ones, and who goes on reading the old? Watch
//! the outside column: in each control the names outside change too.
//!
//! Outside is a UTS namespace of the experiment's own, so even the control renames nothing that the host would see.

mod file;
mod matrix;
mod rules;

use anyhow::Result;
use lesson::{Claim, Experiment, Row, Step, hand, inside, outside, right, wrong};
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Pid, uts};

const UTS_DEMO: Experiment = Experiment {
    name: "uts-demo",
    question: "Who hears a hostname?",
    setup: "A name is set on one side. Which name does each side read?",
    arms: ["plain child", "CLONE_NEWUTS"],
    in_short: "a UTS namespace begins as a copy. Names that are set in it are read by its members alone.",
    notes: "UTS Namespace",
    man: &["uts_namespaces(7)", "sethostname(2)", "uname(2)"],
    examples: &[
        ("uts-demo", "run the experiment"),
        ("uts-demo --sabotage", "without the namespace: no claim holds"),
        ("uts-demo --format jsonl | jq .", "the same as data"),
        ("strace -f uts-demo", "the system calls, facts on their pipes included"),
    ],
    // The control renames this, in the host's place.
    sandbox: Namespaces::UTS,
    requires: &[],
    steps: &[
        SET_INSIDE,
        SET_OUTSIDE,
        TAKE_TURNS,
        ENTER,
        file::READ_ONE_FILE,
        file::POLL,
        file::WRITE_LONG_NAMES,
        file::WRITE_AS_A_USER,
        rules::SET_LONG_NAMES,
        rules::MAKE_WITHOUT_PRIVILEGE,
        rules::SET_AS_A_STRANGER,
        rules::READ_THE_RELEASE,
    ],
    prepare: None,
};

fn main() -> std::process::ExitCode {
    lesson::main(&UTS_DEMO)
}

const STAYS: Claim =
    Claim::holds("stays", "A hostname and an NIS domain name that are set in a UTS namespace stay in it.")
        .factor("CLONE_NEWUTS")
        .notes(&[134, 135])
        .core(&[
            Row::outside("hostname outside", "hostname"),
            Row::outside("NIS name outside", "NIS domain name"),
        ])
        .asks(
            "A child in a new UTS namespace sets its hostname and its NIS domain name. What is read outside?",
            &[
                right("both old names"),
                wrong(
                    "both new names",
                    "sethostname() is known as what renames the machine, and the caller is root",
                ),
                wrong(
                    "the old hostname and the new NIS domain name",
                    "a NIS domain is a matter of the network, for which there is another namespace",
                ),
            ],
        );

const SET_INSIDE: Step = Step {
    title: "Set both names in a child, which is a member of our namespace, then of one of its own. Read ours.",
    calls: &[
        "clone3(CLONE_NEWUTS)",
        "sethostname(\"inside\")",
        "setdomainname(\"inside.example\")",
        "uname()",
    ],
    by_hand: &[hand("hostname; unshare -Ur --uts sh -c 'hostname inside; hostname'; hostname")
        .prints("<name>\ninside\n<name>")],
    claims: &[STAYS],
    run: |lab| {
        lab.compare(STAYS, Namespaces::NONE, Namespaces::UTS, rename_inside)?
            .shows(outside("hostname").is("outside") & outside("NIS domain name").is("outside.example"))
    },
};

const COPY: Claim = Claim::holds(
    "copy",
    "A UTS namespace begins with a copy of its creator's names; later changes of the creator's do not reach it.",
)
.factor("CLONE_NEWUTS")
.notes(&[134, 135])
.core(&[
    Row::inside("child, at first", "hostname at first"),
    Row::inside("after a rename", "hostname later"),
])
.asks(
    "A child is created in a new UTS namespace; then the host is renamed. Which hostname does the child read?",
    &[
        right("the host's old one"),
        wrong(
            "the host's new one",
            "a namespace is taken for a layer above the host's values, as long as nothing is set in it",
        ),
        wrong("`(none)`, the kernel's default", "a new namespace is expected to be empty, as a network namespace nearly is"),
    ],
);

const SET_OUTSIDE: Step = Step {
    title: "Read both names in a child; then rename ourselves, and let it read again.",
    calls: &["uname()", "sethostname(\"renamed\")", "setdomainname(\"renamed.example\")", "uname()"],
    by_hand: &[hand("hostname; unshare -Ur --uts hostname").prints("<name>\n<name>")],
    claims: &[COPY],
    run: |lab| {
        lab.compare(COPY, Namespaces::NONE, Namespaces::UTS, rename_outside)?.shows(
            inside("hostname at first").is("outside")
                & inside("hostname later").is("outside")
                & inside("NIS domain name later").is("outside.example"),
        )
    },
};

const HEARD: Claim = Claim::holds(
    "heard",
    "Every member of a UTS namespace reads a name that any of them sets, and nobody else does.",
)
.factor("CLONE_NEWUTS")
.notes(&[135])
.more(&[51, 52])
.core(&[
    Row::outside("read by members", "read by a fellow member"),
    Row::outside("read by others", "read by anyone else"),
])
.asks(
    "A process enters the UTS namespace of another and sets the hostname there. Who reads the new name?",
    &[
        right("every member, and nobody else"),
        wrong("only the process that set it", "'isolated' is taken to mean: each process has its own"),
        wrong(
            "the one who set it, and processes that are created later",
            "what is set in the environment reaches new children alone",
        ),
    ],
);

const TAKE_TURNS: Step = Step {
    title: "Four processes in three namespaces set the hostname in turn. After each turn, all read it.",
    calls: &[
        "clone3(CLONE_NEWUTS)",
        "setns(\"/proc/FIRST/ns/uts\", CLONE_NEWUTS)",
        "sethostname(…)",
        "uname()",
    ],
    by_hand: &[],
    claims: &[HEARD],
    run: |lab| {
        let matrices = lab.arms(Namespaces::NONE, Namespaces::UTS, matrix::take_turns)?;
        matrices.treatment().show(lab)?;
        lab.judge(HEARD, matrices.map(|matrix| matrix.facts())).shows(
            outside("read by a fellow member").is("6 of 6") & outside("read by anyone else").is("0 of 10"),
        )
    },
};

const ENTERED: Claim = Claim::holds(
    "entered",
    "setns() into the UTS namespace of a process, as by nsenter, gives the caller that namespace's names.",
)
.factor("another's ns/uts")
.notes(&[136])
.arms("its own ns", "another's ns")
.core(&[
    Row::inside("before setns()", "hostname at first"),
    Row::inside("after setns()", "hostname after setns()"),
])
.asks(
    "A process calls setns() on a container's /proc/PID/ns/uts. Which hostname does it read then?",
    &[
        right("the container's"),
        wrong("its own, as before", "a process is thought to keep the namespaces in which it was created"),
        wrong("its own; its next child reads the container's", "setns() into a PID namespace does work so"),
    ],
);

const ENTER: Step = Step {
    title: "Enter a UTS namespace, and leave it again: once our own, once that of a container called 'container'.",
    calls: &["open(\"/proc/PID/ns/uts\")", "setns(ns, CLONE_NEWUTS)", "uname()"],
    by_hand: &[
        hand("unshare -Ur --uts sh -c 'hostname container; exec sleep 60' &").prints(""),
        hand("hostname; nsenter -U --preserve-credentials --uts --target $! hostname; hostname")
            .prints("<name>\ncontainer\n<name>"),
        hand("kill $!").prints(""),
    ],
    claims: &[ENTERED],
    run: |lab| {
        uts::set_hostname("outside")?;
        let mut container = Child::spawn("container", Namespaces::UTS, |me| {
            uts::set_hostname("container")?;
            me.report("hostname", uts::hostname())?;
            me.stay()
        })?;
        container.fact()?; // it has its name
        lab.actor(&container)?;
        lab.compare(ENTERED, None, Some(container.pid()), visit)?.shows(
            inside("hostname at first").is("outside") & inside("hostname after setns()").is("container"),
        )
    },
};

/// Sets the hostname and, likewise, the NIS domain name.
fn set_names(name: &str) -> ns_core::Result<()> {
    uts::set_hostname(name)?;
    uts::set_domain_name(&format!("{name}.example"))
}

fn rename_inside(namespaces: Namespaces) -> Result<Vec<Fact>> {
    set_names("outside")?;
    let mut child = Child::spawn("child", namespaces, |me| {
        set_names("inside")?;
        me.report("hostname", uts::hostname())?;
        me.report("NIS domain name", uts::domain_name())
    })?;
    let mut facts = child.facts()?;
    facts.push(Fact::outside("hostname", uts::hostname()));
    facts.push(Fact::outside("NIS domain name", uts::domain_name()));
    Ok(facts)
}

fn rename_outside(namespaces: Namespaces) -> Result<Vec<Fact>> {
    set_names("outside")?;
    let mut child = Child::spawn("child", namespaces, |me| {
        me.report("hostname at first", uts::hostname())?;
        me.checkpoint()?;
        me.report("hostname later", uts::hostname())?;
        me.report("NIS domain name later", uts::domain_name())
    })?;
    let at_birth = child.fact()?;
    set_names("renamed")?;
    child.wake()?;
    Ok(vec![at_birth, child.fact()?, child.fact()?, Fact::outside("hostname later", uts::hostname())])
}

/// A visitor enters the UTS namespace of `host` (`None`: its own), looks around, and goes back.
fn visit(host: Option<Pid>) -> Result<Vec<Fact>> {
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        let (home, away) = (NsFile::of(None, Kind::Uts)?, NsFile::of(host, Kind::Uts)?);
        me.report("hostname at first", uts::hostname())?;
        away.enter(Some(Kind::Uts))?;
        me.report("hostname after setns()", uts::hostname())?;
        home.enter(Some(Kind::Uts))?;
        me.report("hostname after setns() back", uts::hostname())
    })?;
    Ok(visitor.facts()?)
}
