//! The three rules of user_namespaces(7), "Capabilities", as a function; and what the kernel says to all that it foretells.

use std::path::Path;

use anyhow::Result;
use lesson::user::in_z;
use lesson::{Claim, Picture, Row, Step, every, hand, inside, right, wrong};
use ns_core::{
    Child, Errno, Fact, Kind, Namespaces, NsFile, Outcome, Reporter, Value, mount, namespace, process, uts,
};

use crate::unowned;
use crate::user::stay_root;

const RULES: Claim = Claim::holds(
    "rules",
    "What a process may do to a resource follows by three rules from the user namespace that owns it.",
)
.factor("CLONE_NEWUSER")
.notes(&[111, 123]);
const NOT_ABOVE: Claim = Claim::holds(
    "not-above",
    "All capabilities in a user namespace have no effect on what an ancestor owns: EPERM.",
)
.factor("an owner above")
.notes(&[123])
.arms("its own", "its parent's")
.core(&[Row::inside(OLD_MOUNT, OLD_MOUNT)])
.asks(
    "Root in a new user namespace stays in its parent's mount namespace, and makes / private there. What happens?",
    &[
        right("EPERM: the parent's user namespace owns those mounts"),
        wrong("it succeeds", "it has CAP_SYS_ADMIN, and the manual page asks for no more"),
        wrong(
            "it succeeds, and the parent sees nothing of it",
            "a user namespace is thought to isolate whatever root changes in it",
        ),
    ],
);
const CREATOR: Claim = Claim::holds(
    "creator",
    "With no capability of its own, the creator of a user namespace has all in it, from the parent namespace.",
)
.factor("being in the owner's parent")
.notes(&[123]);

const SURPRISES: &str = "answers against the rules";

pub(crate) const ASK_THE_RULES: Step = Step {
    title: "Make user namespaces: Z, which stands in for the machine's own, A in Z, and B in A. Who may change what \
            which of them owns? Ask the three rules of user_namespaces(7) first, and then the kernel.",
    calls: &[
        "unshare(CLONE_NEWUSER|CLONE_NEW…)",
        "setns(uts, CLONE_NEWUTS)",
        "capset(0)",
        "sethostname(\"deed\")",
        "mount(\"/\", MS_REC|MS_PRIVATE)",
        "socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)",
    ],
    by_hand: &[hand("unshare -Ur --uts sh -c 'hostname A; unshare -Ur hostname B; unshare -Ur --uts hostname B; hostname'").prints("hostname: you must be root to change the host name\nA"), ],
    claims: &[RULES, NOT_ABOVE, CREATOR],
    run: |lab| {
        let tables = lab.arms(Namespaces::NONE, Namespaces::USER, Table::tried)?;
        let table = tables.treatment().clone();
        lab.picture(
            Picture::Heat(2),
            "May they? What the rules say, and what the kernel says to three calls",
            &["who acts", "owner", "rules", "sethostname", "mount", "socket"],
            table.rows(),
        )?;
        // Where the owner itself is refused, this machine forbids the call to everybody: no word on the rules.
        let owners = DEEDS.into_iter().map(|(deed, _)| inside(by_the_owner(deed)).is("OK"));
        let as_foretold = owners.fold(inside(SURPRISES).is(0), |all, one| all & one);
        lab.judge(RULES, tables.map(|table| table.against())).shows(as_foretold)?;
        lab.compare(NOT_ABOVE, Level::A, Level::Z, |owner| Ok(table.answers(Actor::RootOfA, owner)))?
            .shows(every().is("EPERM"))?;
        lab.compare(CREATOR, Level::A, Level::B, |owner| Ok(table.answers(Actor::PlainInA, owner)))?
            .shows(every().from("EPERM").to("OK"))
    },
};

const NEW_ONE: Claim = Claim::holds(
    "new-one",
    "A new filesystem takes CAP_SYS_ADMIN in the mounter's own user namespace, besides that which owns the mounts.",
)
.factor("a new filesystem")
.notes(&[123])
.more(&[77]);

pub(crate) const MOUNT_SOMETHING_NEW: Step = Step {
    title: "As A's root, whose capabilities are dropped, change B's mounts: an old one, and by a new filesystem.",
    calls: &[
        "setns(mnt, CLONE_NEWNS)",
        "capset(0)",
        "mount(\"/\", MS_REC|MS_PRIVATE)",
        "mount(\"tmpfs\", \"/tmp\", \"tmpfs\")",
    ],
    by_hand: &[hand("unshare -Ur sh -c 'unshare -Urm sleep 60 & sleep 1; nsenter --mount --target $! setpriv --bounding-set -all sh -c \"mount --make-rprivate / && echo OK; mount -t tmpfs x /mnt\"; kill $!'").prints("OK\nmount: /mnt: permission denied.\n…"), ],
    claims: &[NEW_ONE],
    run: |lab| {
        lab.compare(NEW_ONE, OLD_MOUNT, NEW_FILESYSTEM, |deed| {
            try_one(Namespaces::USER, Actor::PlainInA, Level::B, deed, Kind::Mnt)
        })?
        .shows(every().is("EPERM"))
    },
};

/// A user namespace of the trial. Each is the parent of the next.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Level {
    Z,
    A,
    B,
}

/// Who acts.
#[derive(Clone, Copy, PartialEq)]
enum Actor {
    /// A's root, with all capabilities.
    RootOfA,
    /// The same user in A, who has given all of them up.
    PlainInA,
    /// B's root, with all capabilities.
    RootOfB,
}

const ACTORS: [Actor; 3] = [Actor::RootOfA, Actor::PlainInA, Actor::RootOfB];
const OWNERS: [Level; 3] = [Level::Z, Level::A, Level::B];
/// What is tried, and the kind of namespace that holds it.
const DEEDS: [(&str, Kind); 3] =
    [("sethostname()", Kind::Uts), (OLD_MOUNT, Kind::Mnt), ("socket(SOCK_RAW)", Kind::Net)];

/// Changes a mount that is there.
const OLD_MOUNT: &str = "mount(MS_PRIVATE)";
/// Of mounts too, but this one makes something new.
const NEW_FILESYSTEM: &str = "mount(tmpfs)";

/// The name of the fact that says what A's root may do to what A owns.
fn by_the_owner(deed: &str) -> String {
    format!("{deed} by A's root, in A")
}

impl Actor {
    fn level(self) -> Level {
        if self == Actor::RootOfB { Level::B } else { Level::A }
    }

    fn name(self) -> &'static str {
        match self {
            Actor::RootOfA => "A's root",
            Actor::PlainInA => "A's root, no capability",
            Actor::RootOfB => "B's root",
        }
    }

    /// Whether the actor has a capability in the user namespace `owner`, by the three rules.
    fn has_it_in(self, owner: Level) -> bool {
        let has_all = self != Actor::PlainInA;
        // 1. As a member, if it is in the effective set.
        let member = self.level() == owner && has_all;
        // 2. Whoever has it in a namespace has it in all below.
        let above = self.level() < owner && has_all;
        // 3. Who made a namespace has all in it, seen from its parent. The same user made A and B.
        let made = self.level() == Level::A && owner == Level::B;
        member || above || made
    }
}

/// Every actor, owner and deed, in this order.
#[derive(Clone)]
struct Table(Vec<Fact>);

impl Table {
    /// `user` is CLONE_NEWUSER; without it there is neither A nor B, but only Z.
    fn tried(user: Namespaces) -> Result<Table> {
        let mut facts = Vec::new();
        for actor in ACTORS {
            for owner in OWNERS {
                for (deed, kind) in DEEDS {
                    facts.extend(try_one(user, actor, owner, deed, kind)?);
                }
            }
        }
        Ok(Table(facts))
    }

    fn answers(&self, actor: Actor, owner: Level) -> Vec<Fact> {
        let at = ACTORS.iter().position(|it| *it == actor).unwrap_or(0) * OWNERS.len()
            + OWNERS.iter().position(|it| *it == owner).unwrap_or(0);
        self.0.iter().skip(at * DEEDS.len()).take(DEEDS.len()).cloned().collect()
    }

    fn rows(&self) -> Vec<Vec<Value>> {
        let mut rows = Vec::new();
        for actor in ACTORS {
            for owner in OWNERS {
                let said = if actor.has_it_in(owner) { "yes" } else { "no" };
                let owner_name = ["Z", "A", "B"][owner as usize];
                let mut row: Vec<Value> = vec![actor.name().into(), owner_name.into(), said.into()];
                row.extend(self.answers(actor, owner).into_iter().map(|fact| fact.value));
                rows.push(row);
            }
        }
        rows
    }

    fn against(&self) -> Vec<Fact> {
        let (mut against, mut allowed) = (0_usize, 0_usize);
        for actor in ACTORS {
            for owner in OWNERS {
                let said = if actor.has_it_in(owner) { "OK" } else { "EPERM" };
                let answers = self.answers(actor, owner);
                against += answers.iter().filter(|fact| fact.value != said).count();
                allowed += answers.iter().filter(|fact| fact.value == "OK").count();
            }
        }
        let mut facts = vec![
            Fact::inside("table", SURPRISES, against),
            Fact::inside("table", "answers that are OK", format!("{allowed} of {}", self.0.len())),
        ];
        let own = self.answers(Actor::RootOfA, Level::A);
        facts.extend(own.into_iter().map(|fact| Fact { what: by_the_owner(&fact.what), ..fact }));
        facts
    }
}

/// One cell: the actor gets to a namespace of `kind` that `owner` owns, and does the deed.
fn try_one(
    user: Namespaces,
    actor: Actor,
    owner: Level,
    deed: &'static str,
    kind: Kind,
) -> Result<Vec<Fact>> {
    in_z(Namespaces::only(kind), move |me| {
        let held_at = |level: Level| {
            if owner == level && !user.is_empty() { user | Namespaces::only(kind) } else { user }
        };
        let mut actor_child = Child::spawn(actor.name(), Namespaces::NONE, move |me| {
            namespace::unshare(held_at(Level::A))?;
            stay_root(user)?;
            if actor == Actor::RootOfB {
                namespace::unshare(held_at(Level::B))?;
                stay_root(user)?;
            } else if owner == Level::B {
                // What B owns is had from a member of B, which A's root may do.
                let member = Child::spawn("member of B", held_at(Level::B), Reporter::stay)?;
                NsFile::of(Some(member.pid()), kind)?.enter(Some(kind))?;
                return act(actor, deed, me);
            }
            act(actor, deed, me)
        })?;
        actor_child.pass_on(me)
    })
}

fn act(actor: Actor, deed: &str, me: &mut Reporter) -> ns_core::Result<()> {
    if actor == Actor::PlainInA {
        process::drop_all_capabilities()?;
    }
    let answer = match deed {
        "sethostname()" => uts::set_hostname("deed"),
        OLD_MOUNT => mount::make_private(),
        NEW_FILESYSTEM => mount::mount("tmpfs", Path::new("/tmp")),
        _ => unowned::open_raw_socket(),
    };
    match answer {
        // One that no rule gives says nothing about them.
        Err(error) if error.errno() != Some(Errno::EPERM) => Err(error),
        by_a_rule => me.report(deed, Outcome::of(by_a_rule)?),
    }
}
