//! Who sees a new hostname?
//!
//! A process sets the hostname and the NIS domain name. Which processes read the new names, and which read the old?
//! Watch the outside column: in each control, the names outside change too.
//!
//! The experiment runs in a new UTS namespace, so even the control leaves the host's names alone.

mod file;
mod matrix;
mod rules;
mod shell;

use anyhow::Result;
use lesson::{Claim, Experiment, Row, Step, hand, inside, outside, right, wrong};
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Pid, uts};

const UTS_DEMO: Experiment = Experiment {
    name: "uts-demo",
    question: "Who sees a new hostname?",
    setup: "A name is set on one side. Which name does each side read?",
    arms: ["plain child", "CLONE_NEWUTS"],
    in_short: "a UTS namespace begins as a copy. Only its members read the names that are set in it.",
    notes: "UTS Namespace",
    man: &["uts_namespaces(7)", "sethostname(2)", "uname(2)"],
    examples: &[
        ("uts-demo", "run the experiment"),
        ("uts-demo --sabotage", "the negative control: no claim holds"),
        ("uts-demo --format jsonl | jq .", "the same as data"),
        ("strace -f uts-demo", "its system calls, with those that report facts"),
    ],
    // The control sets the names of this namespace, not those of the host.
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
        rules::SET_WITHOUT_OWNERSHIP,
        rules::READ_THE_RELEASE,
    ],
    shell: Some(shell::SHELL),
    prepare: None,
};

fn main() -> std::process::ExitCode {
    lesson::main(&UTS_DEMO)
}

const STAYS: Claim =
    Claim::holds("stays", "sethostname() and setdomainname() in a new UTS namespace leave its creator's names unchanged.")
        .factor("CLONE_NEWUTS")
        .notes(&[134, 135])
        .core(&[
            Row::outside("hostname outside", "hostname"),
            Row::outside("NIS name outside", "NIS domain name"),
        ])
        .asks(
            "A child in a new UTS namespace sets the hostname and the NIS domain name. Which names does its parent read?",
            &[
                right("both old names"),
                wrong(
                    "both new names",
                    "sethostname() is known to rename the machine, and the caller is root",
                ),
                wrong(
                    "the old hostname and the new NIS domain name",
                    "an NIS domain sounds like a matter of network namespaces",
                ),
            ],
        );

const SET_INSIDE: Step = Step {
    title: "Set both names in a child, in its parent's UTS namespace or in a new one. Then read them in the parent.",
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
    "A new UTS namespace copies its creator's names once; later changes there do not reach it.",
)
.factor("CLONE_NEWUTS")
.notes(&[134, 135])
.core(&[
    Row::inside("child, at first", "hostname at first"),
    Row::inside("after a rename", "hostname later"),
])
.asks(
    "A child is created in a new UTS namespace. Then the host gets a new hostname. Which hostname does the child read?",
    &[
        right("the host's old hostname"),
        wrong(
            "the host's new hostname",
            "a namespace is taken for a layer that shows the host's value until it sets its own",
        ),
        wrong("`(none)`, the kernel's default", "a new network namespace is nearly empty"),
    ],
);

const SET_OUTSIDE: Step = Step {
    title: "Read the names in a child. Set new names in its parent. Then read them in the child again.",
    calls: &["uname()", "sethostname(\"renamed\")", "setdomainname(\"renamed.example\")", "uname()"],
    by_hand: &[hand("hostname; unshare -Ur --uts hostname").prints("<name>\n<name>")],
    claims: &[COPY],
    run: |lab| {
        lab.compare(COPY, Namespaces::NONE, Namespaces::UTS, rename_outside)?
            .in_both_arms(inside("hostname at first").is("outside"))
            .shows(
                inside("hostname later").is("outside")
                    & inside("NIS domain name later").is("outside.example"),
            )
    },
};

const HEARD: Claim = Claim::holds(
    "heard",
    "A hostname set in a UTS namespace is read by all its members, and in no other namespace.",
)
.factor("CLONE_NEWUTS")
.notes(&[135])
.more(&[51, 52])
.core(&[Row::outside("read by members", "read by members"), Row::outside("read by others", "read by others")])
.asks(
    "A process enters the UTS namespace of another and sets the hostname there. Who reads the new name?",
    &[
        right("every member, and nobody else"),
        wrong("only the process that set it", "'isolated' is read as: each process has its own hostname"),
        wrong(
            "the process that set it, and its later children",
            "environment variables do reach later children only",
        ),
    ],
);

const TAKE_TURNS: Step = Step {
    title: "Let four processes in three UTS namespaces set the hostname in turn. Let all four read it after each turn.",
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
        lab.judge(HEARD, matrices.map(|matrix| matrix.facts()))
            .in_both_arms(outside("read by members").is("6 of 6"))
            .shows(outside("read by others").is("0 of 10"))
    },
};

const ENTERED: Claim = Claim::holds(
    "entered",
    "After setns() into another UTS namespace, as by nsenter(1), the caller reads that namespace's hostname.",
)
.factor("the container's ns/uts")
.notes(&[136])
.arms("own ns", "another ns")
.core(&[
    Row::inside("before setns()", "hostname at first"),
    Row::inside("after setns()", "hostname after setns()"),
])
.asks(
    "A process calls setns() on a container's /proc/PID/ns/uts. Which hostname does it read then?",
    &[
        right("the container's"),
        wrong("its own, as before", "a process is believed to keep its first namespaces"),
        wrong(
            "its own; its next child reads the container's",
            "setns() into a PID namespace works like that",
        ),
    ],
);

const ENTER: Step = Step {
    title: "Enter a UTS namespace by setns(), and return: once the caller's own, once that of the process 'container'.",
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
        container.fact()?; // its hostname is set
        lab.actor(&container)?;
        lab.compare(ENTERED, None, Some(container.pid()), visit)?
            .in_both_arms(inside("hostname at first").is("outside"))
            .shows(inside("hostname after setns()").is("container"))
    },
};

/// Sets the hostname to `name`, and the NIS domain name to `name`.example.
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
    let at_first = child.fact()?;
    set_names("renamed")?;
    child.wake()?;
    Ok(vec![at_first, child.fact()?, child.fact()?, Fact::outside("hostname later", uts::hostname())])
}

/// A visitor enters the UTS namespace of `host` (`None`: its own), reads the hostname, and returns.
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
