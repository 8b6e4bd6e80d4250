//! The three rules of user_namespaces(7), "Capabilities", as a function, compared with the results of the kernel.

use std::path::Path;

use anyhow::Result;
use lesson::user::in_z;
use lesson::{Claim, Compared, Picture, Row, Step, every, hand, inside, right, wrong};
use ns_core::{
    Child, Errno, Fact, Kind, Namespaces, NsFile, Outcome, Reporter, Value, mount, namespace, process, uts,
};

use crate::unowned;
use crate::user::stay_root;

const RULES: Claim = Claim::holds(
    "rules",
    "sethostname(), mount() and a raw socket() succeed or fail as the three rules of user_namespaces(7) predict.",
)
.factor("CLONE_NEWUSER")
.notes(&[111, 123]);
const NOT_ABOVE: Claim = Claim::holds(
    "not-above",
    "With all capabilities in a user namespace, calls on what its parent namespace owns fail with EPERM.",
)
.factor("the parent namespace as the owner")
.notes(&[123])
.arms("own mount ns", "parent's")
.core(&[Row::inside(OLD_MOUNT, OLD_MOUNT)])
.asks(
    "Root in a new user namespace is still in its parent's mount namespace, and makes / private. What happens?",
    &[
        right("EPERM: the parent's user namespace owns those mounts"),
        wrong("it succeeds", "it has CAP_SYS_ADMIN, the only capability that mount(2) requires"),
        wrong(
            "it succeeds, but only inside",
            "a user namespace seems to isolate all that root changes in it",
        ),
    ],
);
const CREATOR: Claim = Claim::holds(
    "creator",
    "From the parent namespace, the creator of a user namespace passes its capability checks with empty capability sets.",
)
.factor("a child namespace as the owner")
.notes(&[123]);

const UNEXPECTED: &str = "unexpected results";

pub(crate) const ASK_THE_RULES: Step = Step {
    title: "Create user namespaces: Z, in the place of the host's, A in Z, and B in A. Let root of A and of B change what each \
            of the three owns. Compare the results with the three rules of user_namespaces(7).",
    calls: &[
        "unshare(CLONE_NEWUSER|CLONE_NEW…)",
        "setns(uts, CLONE_NEWUTS)",
        "capset(0)",
        "sethostname(\"changed\")",
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
            "What the rules predict, and the results of three calls",
            &["caller", "owner", "rules", "sethostname", "mount", "socket"],
            table.rows(),
        )?;
        // If the owner's root is refused too, this machine forbids the call to all, and the rules cannot be judged.
        let owners = CALLS.into_iter().map(|(call, _)| inside(by_the_owner(call)).is("OK"));
        let results = lab.judge(RULES, tables.map(|table| table.against()));
        owners.fold(results, Compared::in_both_arms).shows(inside(UNEXPECTED).is(0))?;
        lab.compare(NOT_ABOVE, Level::A, Level::Z, |owner| Ok(table.answers(Actor::RootOfA, owner)))?
            .shows(every().is("EPERM"))?;
        lab.compare(CREATOR, Level::A, Level::B, |owner| Ok(table.answers(Actor::PlainInA, owner)))?
            .shows(every().from("EPERM").to("OK"))
    },
};

const NEW_ONE: Claim = Claim::holds(
    "new-one",
    "mount() of a new filesystem also requires CAP_SYS_ADMIN in the caller's own user namespace.",
)
.factor("a new filesystem")
.notes(&[123])
.more(&[77]);

pub(crate) const MOUNT_A_FILESYSTEM: Step = Step {
    title: "As root of A, drop all capabilities and enter the mount namespace of B. Change an old mount, then mount a tmpfs.",
    calls: &[
        "setns(mnt, CLONE_NEWNS)",
        "capset(0)",
        "mount(\"/\", MS_REC|MS_PRIVATE)",
        "mount(\"tmpfs\", \"/tmp\", \"tmpfs\")",
    ],
    by_hand: &[hand("unshare -Ur sh -c 'unshare -Urm sleep 60 & sleep 1; nsenter --mount --target $! setpriv --bounding-set -all sh -c \"mount --make-rprivate / && echo OK; mount -t tmpfs x /mnt\"; kill $!'").prints("OK\nmount: /mnt: permission denied.\n…"), ],
    claims: &[NEW_ONE],
    run: |lab| {
        lab.compare(NEW_ONE, OLD_MOUNT, NEW_FILESYSTEM, |call| {
            try_one(Namespaces::USER, Actor::PlainInA, Level::B, call, Kind::Mnt)
        })?
        .shows(every().is("EPERM"))
    },
};

/// A user namespace of this step. Each is the parent of the next.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Level {
    Z,
    A,
    B,
}

/// The caller.
#[derive(Clone, Copy, PartialEq)]
enum Actor {
    /// Root of A, with all capabilities.
    RootOfA,
    /// The same user in A, who has dropped all capabilities.
    PlainInA,
    /// Root of B, with all capabilities.
    RootOfB,
}

const ACTORS: [Actor; 3] = [Actor::RootOfA, Actor::PlainInA, Actor::RootOfB];
const OWNERS: [Level; 3] = [Level::Z, Level::A, Level::B];
/// The calls, and the kind of namespace that each changes.
const CALLS: [(&str, Kind); 3] =
    [("sethostname()", Kind::Uts), (OLD_MOUNT, Kind::Mnt), ("socket(SOCK_RAW)", Kind::Net)];

/// Changes an existing mount.
const OLD_MOUNT: &str = "mount(MS_PRIVATE)";
/// Adds a mount with a new filesystem.
const NEW_FILESYSTEM: &str = "mount(tmpfs)";

/// The name of the fact with the result of a call by root of A on what A owns.
fn by_the_owner(call: &str) -> String {
    format!("{call} by root of A, in A")
}

impl Actor {
    fn level(self) -> Level {
        if self == Actor::RootOfB { Level::B } else { Level::A }
    }

    fn name(self) -> &'static str {
        match self {
            Actor::RootOfA => "root of A",
            Actor::PlainInA => "root of A, no capability",
            Actor::RootOfB => "root of B",
        }
    }

    /// Whether the actor has a capability in the user namespace `owner`, by the three rules.
    fn is_capable_in(self, owner: Level) -> bool {
        let has_all = self != Actor::PlainInA;
        // 1. A member of the namespace has the capability if it is in the effective set.
        let member = self.level() == owner && has_all;
        // 2. A capability in a namespace counts in all descendants of that namespace.
        let above = self.level() < owner && has_all;
        // 3. In the parent namespace, the creating user has all capabilities. The same user created A and B.
        let created = self.level() == Level::A && owner == Level::B;
        member || above || created
    }
}

/// The results by actor, owner and call, in this order.
#[derive(Clone)]
struct Table(Vec<Fact>);

impl Table {
    /// `user` is CLONE_NEWUSER. Without it, A and B are not created, and all is in Z.
    fn tried(user: Namespaces) -> Result<Table> {
        let mut facts = Vec::new();
        for actor in ACTORS {
            for owner in OWNERS {
                for (call, kind) in CALLS {
                    facts.extend(try_one(user, actor, owner, call, kind)?);
                }
            }
        }
        Ok(Table(facts))
    }

    fn answers(&self, actor: Actor, owner: Level) -> Vec<Fact> {
        let at = ACTORS.iter().position(|it| *it == actor).unwrap_or(0) * OWNERS.len()
            + OWNERS.iter().position(|it| *it == owner).unwrap_or(0);
        self.0.iter().skip(at * CALLS.len()).take(CALLS.len()).cloned().collect()
    }

    fn rows(&self) -> Vec<Vec<Value>> {
        let mut rows = Vec::new();
        for actor in ACTORS {
            for owner in OWNERS {
                let said = if actor.is_capable_in(owner) { "yes" } else { "no" };
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
                let said = if actor.is_capable_in(owner) { "OK" } else { "EPERM" };
                let answers = self.answers(actor, owner);
                against += answers.iter().filter(|fact| fact.value != said).count();
                allowed += answers.iter().filter(|fact| fact.value == "OK").count();
            }
        }
        let mut facts = vec![
            Fact::inside("table", UNEXPECTED, against),
            Fact::inside("table", "results that are OK", format!("{allowed} of {}", self.0.len())),
        ];
        let own = self.answers(Actor::RootOfA, Level::A);
        facts.extend(own.into_iter().map(|fact| Fact { what: by_the_owner(&fact.what), ..fact }));
        facts
    }
}

/// One cell: the actor enters a namespace of `kind` that `owner` owns, and makes the call.
fn try_one(
    user: Namespaces,
    actor: Actor,
    owner: Level,
    call: &'static str,
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
                // Root of A may enter a namespace that B owns, by the file of a member of B.
                let member = Child::spawn("member of B", held_at(Level::B), Reporter::stay)?;
                NsFile::of(Some(member.pid()), kind)?.enter(Some(kind))?;
                return act(actor, call, me);
            }
            act(actor, call, me)
        })?;
        actor_child.pass_on(me)
    })
}

fn act(actor: Actor, call: &str, me: &mut Reporter) -> ns_core::Result<()> {
    if actor == Actor::PlainInA {
        process::drop_all_capabilities()?;
    }
    let answer = match call {
        "sethostname()" => uts::set_hostname("changed"),
        OLD_MOUNT => mount::make_private(),
        NEW_FILESYSTEM => mount::mount("tmpfs", Path::new("/tmp")),
        _ => unowned::open_raw_socket(),
    };
    match answer {
        // An errno other than EPERM comes from no rule.
        Err(error) if error.errno() != Some(Errno::EPERM) => Err(error),
        by_a_rule => me.report(call, Outcome::of(by_a_rule)?),
    }
}
