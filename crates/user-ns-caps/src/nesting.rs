//! Who may make user namespaces, how deep, and what else they open the door to.

use anyhow::Result;
use lesson::user::{as_user, in_z};
use lesson::{Claim, Picture, Row, Step, every, hand, inside, right, wrong};
use nix::unistd::{getgid, getuid};
use ns_core::idmap::IdMaps;
use ns_core::probe::{self, Unmet};
use ns_core::{Child, Fact, Kind, Named, Namespaces, NsFile, Outcome, Value, namespace, uts};

use crate::user::stay_root;

const OTHERS: Claim = Claim::holds(
    "others",
    "An ordinary user may make a user namespace, and with it each other kind, which alone gives EPERM.",
)
.factor("CLONE_NEWUSER beside it")
.notes(&[119, 120, 121])
.arms("alone", "with NEWUSER")
// The same for each kind, and not every kernel has each.
.core(&[Row::last("unshare(CLONE_NEW*)")])
.asks(
    "An ordinary user calls unshare(CLONE_NEWUSER|CLONE_NEWUTS). What happens?",
    &[
        right("it succeeds: both are created"),
        wrong("EPERM, as for CLONE_NEWUTS alone", "CLONE_NEWUTS takes CAP_SYS_ADMIN, which the user lacks"),
        wrong(
            "the user namespace is created, the other is not",
            "the flags are thought to be taken one by one, each with the user's privileges",
        ),
    ],
);

pub(crate) const MAKE_EACH_KIND: Step = Step {
    title: "As an ordinary user, make each other kind of namespace: alone, and together with a user namespace.",
    calls: &["unshare(CLONE_NEW…)", "unshare(CLONE_NEWUSER|CLONE_NEW…)"],
    by_hand: &[hand("unshare --uts true; unshare --user --uts true; echo $?").prints("EPERM\n0")],
    claims: &[OTHERS],
    run: |lab| {
        let made = lab.arms(Namespaces::NONE, Namespaces::USER, make_each)?;
        let rows = made.control().iter().zip(made.treatment()).map(|(alone, together)| {
            vec![alone.what.as_str().into(), alone.value.clone(), together.value.clone()]
        });
        lab.picture(
            Picture::Heat(1),
            "What unshare() gives to an ordinary user",
            &["flag", "alone", "with CLONE_NEWUSER"],
            rows.collect(),
        )?;
        lab.judge(OTHERS, made).shows(every().from("EPERM").to("OK"))
    },
};

const USER_FIRST: Claim = Claim::holds(
    "user-first",
    "Made in one call, the user namespace is made first and owns the others; made later, it owns none of them.",
)
.factor("CLONE_NEWUSER in the same call")
.notes(&[121]);

const SETHOSTNAME: &str = "sethostname(\"mine\")";

pub(crate) const MAKE_TWO: Step = Step {
    title: "Make a UTS and a user namespace: in two calls, UTS first, then in one. Who owns the UTS namespace?",
    calls: &["unshare(CLONE_NEWUSER|CLONE_NEWUTS)", "ioctl(uts, NS_GET_USERNS)", "sethostname(\"mine\")"],
    by_hand: &[
        hand("unshare -Ur sh -c 'unshare --uts unshare -Ur hostname mine'")
            .prints("hostname: you must be root to change the host name"),
        hand("unshare -Ur sh -c 'unshare -Ur --uts hostname mine; echo $?'").prints("0"),
    ],
    claims: &[USER_FIRST],
    run: |lab| {
        lab.compare(USER_FIRST, false, true, make_two)?.shows(inside(SETHOSTNAME).from("EPERM").to("OK"))
    },
};

const DEEPEST: Claim = Claim::holds(
    "deepest",
    "User namespaces nest 33 deep below the machine's first one: one more gives ENOSPC.",
)
.factor("CLONE_NEWUSER")
.notes(&[117])
.more(&[72]);
const UNMAPPED: Claim = Claim::holds(
    "unmapped",
    "A process whose user ID is not mapped cannot make a user namespace, whatever it may do else: EPERM.",
)
.factor("an unmapped user ID")
.notes(&[117])
.more(&[72]);

/// How many this user may have: of 36 levels each is one, and what has ended may still be counted for a moment.
pub(crate) fn room_for_all() -> ns_core::Result<Option<Unmet>> {
    let file = "/proc/sys/user/max_user_namespaces";
    let text = std::fs::read_to_string(file).named(|| format!("cat {file}"))?;
    let few = text.trim().parse::<u64>().is_ok_and(|most| most < 64);
    let what = format!("64 user namespaces for each user ({file} reads {})", text.trim());
    Ok(few.then(|| Unmet::new(what, "sudo sysctl user.max_user_namespaces=10000")))
}

/// What the kernel allows (the depth of the parent may not be above 32).
const MOST: i64 = 33;
const TRIED: usize = 36;

const MADE: &str = "unshare() calls that succeeded";
const NEXT: &str = "one call more";
const AGAIN: &str = "unshare(CLONE_NEWUSER) again";

pub(crate) const NEST: Step = Step {
    title: "Make a user namespace in a user namespace in a user namespace, until the kernel refuses or 36 calls are made.",
    calls: &["unshare(CLONE_NEWUSER)", "write(\"/proc/self/uid_map\", \"0 0 1\")", "…"],
    by_hand: &[hand("export i=0 n='i=$((i+1)); unshare -Ur sh -c \"$n\" || { [ $? = 1 ] && echo $((i-1)); exit 2; }'; sh -c \"$n\"").prints("ENOSPC\n3…"), hand("unshare --user unshare --user true").prints("EPERM"), ],
    claims: &[DEEPEST, UNMAPPED],
    run: |lab| {
        // Started in the initial one, all levels are ours to make.
        let all_ours = in_the_initial_one()?;
        let as_many = move |levels: &Value| {
            let levels = levels.as_i64().unwrap_or(0);
            if all_ours { levels == MOST } else { (1..MOST).contains(&levels) }
        };
        lab.compare(DEEPEST, Namespaces::NONE, Namespaces::USER, nest)?
            .shows(inside(MADE).that(as_many) & inside(NEXT).is("ENOSPC"))?;
        lab.compare(UNMAPPED, true, false, make_one_below)?.shows(inside(AGAIN).is("EPERM"))
    },
};

const ONE_FOR_ALL: Claim = Claim::holds(
    "one-for-all",
    "A process is in one user namespace with all of its threads: unshare(CLONE_NEWUSER) by one of two gives EINVAL.",
)
.factor("a second thread")
.notes(&[118]);

pub(crate) const MAKE_BESIDE_A_THREAD: Step = Step {
    title: "Let a process with a second thread make a user namespace.",
    calls: &["clone(CLONE_THREAD|…)", "unshare(CLONE_NEWUSER)"],
    by_hand: &[hand("/usr/bin/python3 -c 'import ctypes,os,threading,time; threading.Thread(target=time.sleep,args=[1]).start(); c=ctypes.CDLL(None,use_errno=True); print(c.unshare(0x10000000), os.strerror(ctypes.get_errno()))'").prints("-1 EINVAL"), ],
    claims: &[ONE_FOR_ALL],
    run: |lab| {
        lab.compare(ONE_FOR_ALL, false, true, unshare_beside)?
            .shows(inside("unshare(CLONE_NEWUSER)").is("EINVAL"))
    },
};

fn make_each(beside: Namespaces) -> Result<Vec<Fact>> {
    let mut user = as_user("user", move |me| {
        // A kernel may lack one.
        let here = |kind: &Kind| *kind != Kind::User && probe::kind(*kind).is_none();
        for kind in Kind::ALL.into_iter().filter(here) {
            let mut child = Child::spawn("creator", Namespaces::NONE, move |me| {
                me.report(kind.flag(), Outcome::of(namespace::unshare(Namespaces::only(kind) | beside))?)
            })?;
            child.pass_on(me)?;
        }
        Ok(())
    })?;
    Ok(user.facts()?)
}

fn make_two(at_once: bool) -> Result<Vec<Fact>> {
    in_z(Namespaces::UTS, move |me| {
        if at_once {
            namespace::unshare(Namespaces::USER | Namespaces::UTS)?;
        } else {
            namespace::unshare(Namespaces::UTS)?;
            namespace::unshare(Namespaces::USER)?;
        }
        let owner = NsFile::of(None, Kind::Uts)?.owner();
        let own = namespace::of_kind(None, Kind::User)?;
        let owner = match owner {
            Ok(owner) if owner.id()? == own => "the new user namespace".into(),
            Ok(_) => Value::from("another"),
            // An owner above is out of sight.
            refused => Outcome::of(refused)?.into(),
        };
        me.report("ioctl(uts, NS_GET_USERNS)", owner)?;
        me.report(SETHOSTNAME, Outcome::of(uts::set_hostname("mine"))?)
    })
}

/// Whether we are in the initial user namespace, which has the same inode number on every machine: PROC_USER_INIT_INO.
fn in_the_initial_one() -> ns_core::Result<bool> {
    Ok(namespace::of_kind(None, Kind::User)?.ino == 0xeffffffd)
}

/// How many levels were made, and what came of one more.
fn nest(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let all_ours = in_the_initial_one()?;
    let mut user = as_user("user", move |me| {
        let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
        let mut made = 0;
        let mut next = Value::from("not tried");
        // One process goes down all the way: nothing else has to be there.
        while made < TRIED {
            if let Err(error) = namespace::unshare(namespaces) {
                next = Outcome::of(Err::<(), _>(error))?.into();
                break;
            }
            if made == 0 && !namespaces.is_empty() {
                IdMaps::own(0, uid, gid).write_for(None)?;
            } else {
                stay_root(namespaces)?;
            }
            made += 1;
        }
        let levels = i64::try_from(made).unwrap_or(i64::MAX);
        // Whoever is in a namespace already has fewer left.
        me.report(MADE, if all_ours { Value::Number(levels) } else { Value::Count(levels) })?;
        me.report(NEXT, next)
    })?;
    Ok(user.facts()?)
}

fn make_one_below(maps: bool) -> Result<Vec<Fact>> {
    in_z(Namespaces::NONE, move |me| {
        namespace::unshare(Namespaces::USER)?;
        if maps {
            stay_root(Namespaces::USER)?;
        }
        me.report(AGAIN, Outcome::of(namespace::unshare(Namespaces::USER))?)
    })
}

fn unshare_beside(another: bool) -> Result<Vec<Fact>> {
    let mut user = as_user("user", move |me| {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let thread = if another {
            // It waits until the sender is dropped.
            let thread = std::thread::Builder::new().spawn(move || wait.recv().is_ok());
            Some(thread.named(|| "clone(CLONE_THREAD)".into())?)
        } else {
            None
        };
        let answer = Outcome::of(namespace::unshare(Namespaces::USER))?;
        drop(go);
        if let Some(thread) = thread {
            let _ = thread.join();
        }
        me.report("unshare(CLONE_NEWUSER)", answer)
    })?;
    Ok(user.facts()?)
}
