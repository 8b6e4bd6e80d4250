//! Who may create user namespaces, how deep they nest, and which other namespaces they allow.

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
    "An ordinary user can create other namespaces together with a user namespace; alone, each fails with EPERM.",
)
.factor("CLONE_NEWUSER in the same call")
.notes(&[119, 120, 121])
.arms("alone", "with NEWUSER")
// The last kind is shown, since all have the same result and a kernel may lack some.
.core(&[Row::last("unshare(CLONE_NEW*)")])
.asks(
    "An ordinary user calls unshare(CLONE_NEWUSER|CLONE_NEWUTS). What happens?",
    &[
        right("it succeeds: both are created"),
        wrong("EPERM, as for CLONE_NEWUTS alone", "CLONE_NEWUTS requires CAP_SYS_ADMIN, which the user lacks"),
        wrong(
            "only the user namespace is created",
            "the kernel seems to check each flag alone, with the user's privileges",
        ),
    ],
);

pub(crate) const CREATE_EACH_KIND: Step = Step {
    title: "As an ordinary user, create each other kind of namespace: alone, then together with a user namespace.",
    calls: &["unshare(CLONE_NEW…)", "unshare(CLONE_NEWUSER|CLONE_NEW…)"],
    by_hand: &[hand("unshare --uts true; unshare --user --uts true; echo $?").prints("EPERM\n0")],
    claims: &[OTHERS],
    run: |lab| {
        let made = lab.arms(Namespaces::NONE, Namespaces::USER, create_each)?;
        let rows = made.control().iter().zip(made.treatment()).map(|(alone, together)| {
            vec![alone.what.as_str().into(), alone.value.clone(), together.value.clone()]
        });
        lab.picture(
            Picture::Heat(1),
            "Results of unshare() by an ordinary user",
            &["flag", "alone", "with CLONE_NEWUSER"],
            rows.collect(),
        )?;
        lab.judge(OTHERS, made).shows(every().from("EPERM").to("OK"))
    },
};

const USER_FIRST: Claim = Claim::holds(
    "user-first",
    "unshare(CLONE_NEWUSER|CLONE_NEWUTS) creates the user namespace first, and it owns the UTS namespace.",
)
.factor("CLONE_NEWUSER in the same call")
.notes(&[121]);

const SETHOSTNAME: &str = "sethostname(\"mine\")";

pub(crate) const CREATE_TWO: Step = Step {
    title: "Create a UTS and a user namespace: in two calls, UTS first, then in one call. Read the owner of the UTS namespace.",
    calls: &["unshare(CLONE_NEWUSER|CLONE_NEWUTS)", "ioctl(uts, NS_GET_USERNS)", "sethostname(\"mine\")"],
    by_hand: &[
        hand("unshare -Ur sh -c 'unshare --uts unshare -Ur hostname mine'")
            .prints("hostname: you must be root to change the host name"),
        hand("unshare -Ur sh -c 'unshare -Ur --uts hostname mine; echo $?'").prints("0"),
    ],
    claims: &[USER_FIRST],
    run: |lab| {
        lab.compare(USER_FIRST, false, true, create_two)?.shows(inside(SETHOSTNAME).from("EPERM").to("OK"))
    },
};

const DEEPEST: Claim = Claim::holds(
    "deepest",
    "User namespaces nest at most 33 levels below the initial one; the next unshare() fails with ENOSPC.",
)
.factor("CLONE_NEWUSER")
.notes(&[117])
.more(&[72]);
const UNMAPPED: Claim = Claim::holds(
    "unmapped",
    "unshare(CLONE_NEWUSER) fails with EPERM if the caller's user ID is not mapped, even with all capabilities.",
)
.factor("an unmapped user ID")
.notes(&[117])
.more(&[72]);

/// Whether this user may have enough user namespaces: 36 levels. Ended ones still count for a moment.
pub(crate) fn room_for_all() -> ns_core::Result<Option<Unmet>> {
    let file = "/proc/sys/user/max_user_namespaces";
    let text = std::fs::read_to_string(file).named(|| format!("cat {file}"))?;
    let few = text.trim().parse::<u64>().is_ok_and(|most| most < 64);
    let what = format!("64 user namespaces for each user ({file} reads {})", text.trim());
    Ok(few.then(|| Unmet::new(what, "sudo sysctl user.max_user_namespaces=10000")))
}

/// The limit of the kernel: the depth of the parent may be at most 32.
const MOST: i64 = 33;
const TRIED: usize = 36;

const MADE: &str = "successful unshare() calls";
const NEXT: &str = "the next call";
const AGAIN: &str = "unshare(CLONE_NEWUSER) again";

pub(crate) const NEST: Step = Step {
    title: "Create nested user namespaces by unshare(), until it fails or 36 calls are made. Then try one from an unmapped user ID.",
    calls: &["unshare(CLONE_NEWUSER)", "write(\"/proc/self/uid_map\", \"0 0 1\")", "…"],
    by_hand: &[hand("export i=0 n='i=$((i+1)); unshare -Ur sh -c \"$n\" || { [ $? = 1 ] && echo $((i-1)); exit 2; }'; sh -c \"$n\"").prints("ENOSPC\n3…"), hand("unshare --user unshare --user true").prints("EPERM"), ],
    claims: &[DEEPEST, UNMAPPED],
    run: |lab| {
        // From the initial user namespace, all levels are available.
        let all_levels = in_the_initial_one()?;
        let as_many = move |levels: &Value| {
            let levels = levels.as_i64().unwrap_or(0);
            if all_levels { levels == MOST } else { (1..MOST).contains(&levels) }
        };
        lab.compare(DEEPEST, Namespaces::NONE, Namespaces::USER, nest)?
            .shows(inside(MADE).that(as_many) & inside(NEXT).is("ENOSPC"))?;
        lab.compare(UNMAPPED, true, false, create_one_more)?.shows(inside(AGAIN).is("EPERM"))
    },
};

const ONE_FOR_ALL: Claim = Claim::holds(
    "one-for-all",
    "unshare(CLONE_NEWUSER) fails with EINVAL in a process that has a second thread.",
)
.factor("a second thread")
.notes(&[118]);

pub(crate) const CREATE_BESIDE_A_THREAD: Step = Step {
    title: "Let a process with a second thread call unshare(CLONE_NEWUSER).",
    calls: &["clone(CLONE_THREAD|…)", "unshare(CLONE_NEWUSER)"],
    by_hand: &[hand("/usr/bin/python3 -c 'import ctypes,os,threading,time; threading.Thread(target=time.sleep,args=[1]).start(); c=ctypes.CDLL(None,use_errno=True); print(c.unshare(0x10000000), os.strerror(ctypes.get_errno()))'").prints("-1 EINVAL"), ],
    claims: &[ONE_FOR_ALL],
    run: |lab| {
        lab.compare(ONE_FOR_ALL, false, true, unshare_beside)?
            .shows(inside("unshare(CLONE_NEWUSER)").is("EINVAL"))
    },
};

fn create_each(beside: Namespaces) -> Result<Vec<Fact>> {
    let mut user = as_user("user", move |me| {
        // A kernel may lack a kind.
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

fn create_two(at_once: bool) -> Result<Vec<Fact>> {
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
            // NS_GET_USERNS fails if the owner is an ancestor.
            refused => Outcome::of(refused)?.into(),
        };
        me.report("ioctl(uts, NS_GET_USERNS)", owner)?;
        me.report(SETHOSTNAME, Outcome::of(uts::set_hostname("mine"))?)
    })
}

/// Whether this process is in the initial user namespace, whose inode number is PROC_USER_INIT_INO on every machine.
fn in_the_initial_one() -> ns_core::Result<bool> {
    Ok(namespace::of_kind(None, Kind::User)?.ino == 0xeffffffd)
}

/// The number of levels that were created, and the result of the next call.
fn nest(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let all_levels = in_the_initial_one()?;
    let mut user = as_user("user", move |me| {
        let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
        let mut made = 0;
        let mut next = Value::from("not tried");
        // One process enters every level, so no other process is needed.
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
        // In a nested namespace, fewer levels are left.
        me.report(MADE, if all_levels { Value::Number(levels) } else { Value::Count(levels) })?;
        me.report(NEXT, next)
    })?;
    Ok(user.facts()?)
}

fn create_one_more(maps: bool) -> Result<Vec<Fact>> {
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
            // The thread waits until the sender is dropped.
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
