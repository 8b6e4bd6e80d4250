//! When does a namespace die?
//!
//! With its last member, unless something else holds it. Nobody can look for what has no process and no name; so we let
//! the kernel count. A user namespace of our own may have so many namespaces of a kind at a time and no more. Watch for
//! what the kernel says to one more: ENOSPC while the earlier ones live, OK when one of them is gone.
//!
//! At the end stands a namespace that nothing in /proc leads to, which lives all the same: a packet of its is under way.

mod immortal;
mod office;
mod pins;
mod twins;

use anyhow::Result;
use lesson::{Claim, Experiment, Lab, Observation, Picture, Step, cause};
use ns_core::{Fact, Kind, Namespaces, NsFile, Value, process};

use office::{end, gone, member, one_more};

const LAST_ENDS: Claim = Claim::holds(
    "last-ends",
    "A namespace of any kind is gone when its last member has ended: there is room for another.",
)
.cause("exit(0)")
.notes(&[19]);
const LAST_LEAVES: Claim =
    Claim::holds("last-leaves", "A namespace is gone when its last member has left it for another.")
        .cause("setns()")
        .notes(&[19]);
const ZOMBIE: Claim = Claim::holds(
    "zombie",
    "A zombie is a member of nothing: the namespace goes before anyone waits for the process.",
)
.cause("exit(0)")
.notes(&[19]);

const NS_LIFETIME: Experiment = Experiment {
    name: "ns-lifetime",
    question: "When does a namespace die?",
    notes: "Linux namespaces",
    man: &["namespaces(7)", "user_namespaces(7)", "ioctl_ns(2)", "tcp(7)"],
    examples: &[
        ("ns-lifetime", "run the experiment"),
        ("ns-lifetime --sabotage", "without what keeps them: no claim holds"),
        ("ns-lifetime --format jsonl | jq .", "the same as data"),
        ("strace -f ns-lifetime", "the system calls, facts on their pipes included"),
    ],
    // Network for the far end of a cable, hostname for the names; mounts so that none of ours reaches the host.
    stage: Namespaces::UTS.union(Namespaces::NET).union(Namespaces::MNT),
    needs: &[],
    claims: &[
        LAST_ENDS,
        LAST_LEAVES,
        ZOMBIE,
        pins::DESCRIPTOR,
        pins::BIND,
        pins::BY_NAME,
        pins::IN_ITSELF,
        pins::CHILD,
        pins::OWNED,
        pins::PID_CHILDREN,
        pins::TIME_CHILDREN,
        pins::PROC,
        pins::MQUEUE,
        pins::MQUEUE_OUTLIVES,
        pins::LISTED,
        pins::SOCKET,
        pins::FILE,
        pins::PIDFD,
        pins::SYSFS,
        immortal::IMMORTAL,
        immortal::ACKNOWLEDGED,
        twins::TWINS,
        twins::HELD,
        twins::HANDLE,
    ],
    run,
};

fn main() -> std::process::ExitCode {
    lesson::main(&NS_LIFETIME)
}

fn run(lab: &mut Lab) -> Result<()> {
    office::stay_on_this_cpu()?;
    lab.step(Step {
        goal: "Where one namespace of a kind may live, make one, and try to make another: while its only member \
               lives, and when it has ended. So with each of the eight kinds.",
        calls: &["write(\"/proc/sys/user/max_uts_namespaces\", \"1\")", "clone3(CLONE_NEWUTS)", "exit(0)"],
        by_hand: &[
            "unshare --user --map-root-user  # a shell of your own",
            "echo 1 > /proc/sys/user/max_uts_namespaces",
            "unshare --uts sleep 60 & sleep 0.1; unshare --uts true",
            "kill $!; wait; unshare --uts true && echo room",
        ],
    })?;
    let (living, ended) = (every_kind(false)?, every_kind(cause(true, false))?);
    let rows = living.iter().zip(&ended).map(|((kind, lives), (_, ended))| {
        vec![kind.link().into(), lives.value().clone(), ended.value().clone()]
    });
    lab.picture(
        Picture::Heat(1),
        "One more",
        &["kind", "while the member lives", "when it has ended"],
        rows.collect(),
    )?;
    let gone_of = |all: &[(Kind, Observation)]| {
        let kinds: Vec<_> = all.iter().filter(|(_, seen)| gone(seen)).map(|(kind, _)| kind.link()).collect();
        Fact::outside(
            "kinds with room for one more",
            if kinds.is_empty() { "none".into() } else { kinds.join(" ") },
        )
    };
    let all = Kind::ALL.map(Kind::link).join(" ");
    lab.claim(LAST_ENDS)
        .without(gone_of(&living))
        .with(gone_of(&ended))
        .shows(|kinds| *kinds == all.as_str())?;

    lab.step(Step {
        goal: "Let the last member leave for another namespace, or end and not be waited for.",
        calls: &["setns()", "exit(0)", "clone3(CLONE_NEWUTS)"],
        by_hand: &[],
    })?;
    lab.claim(LAST_LEAVES).without(leave(false)?).with(leave(cause(true, false))?).shows(gone)?;
    lab.claim(ZOMBIE).without(zombie(false)?).with(zombie(cause(true, false))?).shows(|process| {
        gone(process) && process.inside("state of the process").is_some_and(|it| *it == "Z")
    })?;

    pins::on_the_list(lab)?;
    pins::not_on_the_list(lab)?;
    immortal::run(lab)?;
    twins::run(lab)
}

fn every_kind(ends: bool) -> Result<Vec<(Kind, Observation)>> {
    let of_kind = |kind| {
        let seen = one_more(kind, 1, move |_| {
            let mut member = member(kind, |_| Ok(()))?;
            if ends {
                end(&mut member)?;
            }
            // With it goes its pidfd, which would keep a PID namespace.
            Ok((!ends).then_some(member))
        })?;
        Ok((kind, seen))
    };
    Kind::ALL.into_iter().map(of_kind).collect()
}

fn leave(leaves: bool) -> Result<Observation> {
    one_more(Kind::Uts, 2, move |_| {
        let host = member(Kind::Uts, |_| Ok(()))?;
        let other = NsFile::of(Some(host.pid()), Kind::Uts)?;
        let guest = member(Kind::Uts, |_| if leaves { other.enter(Some(Kind::Uts)) } else { Ok(()) })?;
        Ok((host, guest))
    })
}

fn zombie(ends: bool) -> Result<Observation> {
    one_more(Kind::Uts, 1, move |me| {
        let member = member(Kind::Uts, |_| Ok(()))?;
        let state = if ends {
            member.release()?;
            process::wait_for_state(member.pid(), &['Z'])?.map_or("gone".into(), String::from)
        } else {
            "alive".into()
        };
        me.saw("state of the process", Value::Text(state))?;
        Ok(member)
    })
}
