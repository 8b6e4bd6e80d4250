//! Who may make user namespaces, how deep, and what else they open the door to.

use anyhow::Result;
use lesson::{Claim, Lab, Picture, Step, cause};
use nix::unistd::getuid;
use ns_core::{Child, Fact, Kind, Named, Namespaces, NsFile, Outcome, Value, Witness, namespace};

use crate::person::{as_user, in_z, stay_root, tell_all_of};

pub(crate) const OTHERS: Claim = Claim::holds(
    "others",
    "An ordinary user may make a user namespace, and with it each other kind, which alone gives EPERM.",
)
.cause("CLONE_NEWUSER beside it")
.notes(&[119, 120, 121]);
pub(crate) const USER_FIRST: Claim = Claim::holds(
    "user-first",
    "Made in one call, the user namespace is made first and owns the others; made later, it owns none of them.",
)
.cause("CLONE_NEWUSER in the same call")
.notes(&[121]);
pub(crate) const DEEPEST: Claim = Claim::holds(
    "deepest",
    "User namespaces nest 33 deep below the machine's first one: one more gives ENOSPC.",
)
.cause("CLONE_NEWUSER")
.notes(&[117])
.more(&[72]);
pub(crate) const UNMAPPED: Claim = Claim::holds(
    "unmapped",
    "A process whose user ID is not mapped cannot make a user namespace, whatever it may do else: EPERM.",
)
.cause("an unmapped user ID")
.notes(&[117])
.more(&[72]);
pub(crate) const ONE_FOR_ALL: Claim = Claim::holds(
    "one-for-all",
    "A process is in one user namespace with all of its threads: unshare(CLONE_NEWUSER) by one of two gives EINVAL.",
)
.cause("a second thread")
.notes(&[118]);

/// What the kernel allows (the depth of the parent may not be above 32).
const MOST: i64 = 33;
const TRIED: usize = 36;
/// PROC_USER_INIT_INO: the initial user namespace has the same inode number on every machine.
const FIRST: u64 = 0xeffffffd;

const MADE: &str = "unshare() calls that succeeded";
const NEXT: &str = "one call more";

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "As an ordinary user, make each other kind of namespace: alone, and together with a user namespace.",
        calls: &["unshare(CLONE_NEW…)", "unshare(CLONE_NEWUSER|CLONE_NEW…)"],
        by_hand: &["unshare --uts true; unshare --user --uts true; echo $?"],
    })?;
    let alone = make_each(Namespaces::NONE)?;
    let together = make_each(Namespaces::USER)?;
    let rows = alone.iter().zip(&together);
    let rows = rows.map(|(alone, together)| {
        vec![alone.what.as_str().into(), alone.value.clone(), together.value.clone()]
    });
    lab.picture(
        Picture::Heat(1),
        "What unshare() gives to an ordinary user",
        &["flag", "alone", "with CLONE_NEWUSER"],
        rows.collect(),
    )?;
    lab.claim(OTHERS)
        .without(alone)
        .with(together)
        .shows(|seen| seen.facts().iter().all(|fact| fact.value == "OK"))?;

    lab.step(Step {
        goal: "Make a UTS and a user namespace: in two calls, UTS first, then in one. Who owns the UTS namespace?",
        calls: &["unshare(CLONE_NEWUSER|CLONE_NEWUTS)", "ioctl(uts, NS_GET_USERNS)", "sethostname(\"mine\")"],
        by_hand: &[
            "unshare -Ur sh -c 'unshare --uts unshare -Ur hostname mine'",
            "unshare -Ur sh -c 'unshare -Ur --uts hostname mine; echo $?'",
        ],
    })?;
    lab.claim(USER_FIRST)
        .without(make_both(false)?)
        .with(make_both(true)?)
        .shows(|seen| seen.inside("sethostname(\"mine\")").is_some_and(|it| *it == "OK"))?;

    lab.step(Step {
        goal: "Make a user namespace in a user namespace in a user namespace, until the kernel refuses or 36 calls are made.",
        calls: &["unshare(CLONE_NEWUSER)", "write(\"/proc/self/uid_map\", \"0 0 1\")", "…"],
        by_hand: &[
            "export i=0 n='i=$((i+1)); unshare -Ur sh -c \"$n\" || { [ $? = 1 ] && echo $((i-1)); exit 2; }'; sh -c \"$n\"",
            "unshare --user unshare --user true",
        ],
    })?;
    // Started in the machine's first one, all levels are ours to make.
    let first = namespace::of_kind(None, Kind::User)?.ino == FIRST;
    let dig = |namespaces| dig_down(namespaces, first);
    lab.claim(DEEPEST).without(dig(Namespaces::NONE)?).with(dig(Namespaces::USER)?).shows(|seen| {
        let levels = seen.inside(MADE).and_then(Value::as_i64).unwrap_or(0);
        let as_many = if first { levels == MOST } else { (1..MOST).contains(&levels) };
        as_many && seen.inside(NEXT).is_some_and(|it| *it == "ENOSPC")
    })?;
    lab.claim(UNMAPPED)
        .without(make_one_below(true)?)
        .with(make_one_below(false)?)
        .shows(|seen| seen.inside("unshare(CLONE_NEWUSER) again").is_some_and(|it| *it == "EPERM"))?;

    lab.step(Step {
        goal: "Let a process with a second thread make a user namespace.",
        calls: &["clone(CLONE_THREAD|…)", "unshare(CLONE_NEWUSER)"],
        by_hand: &[
            "/usr/bin/python3 -c 'import ctypes,os,threading,time; threading.Thread(target=time.sleep,args=[1]).start(); c=ctypes.CDLL(None,use_errno=True); print(c.unshare(0x10000000), os.strerror(ctypes.get_errno()))'",
        ],
    })?;
    lab.claim(ONE_FOR_ALL)
        .without(unshare_beside(false)?)
        .with(unshare_beside(cause(true, false))?)
        .shows(|answer| *answer == "EINVAL")?;
    Ok(())
}

fn make_each(beside: Namespaces) -> Result<Vec<Fact>> {
    let mut user = as_user("user", move |me| {
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::User) {
            let child = Child::spawn("maker", Namespaces::NONE, move |me| {
                me.saw(kind.flag(), Outcome::of(namespace::unshare(kind.only() | beside))?)
            })?;
            tell_all_of(child, me)?;
        }
        Ok(())
    })?;
    Ok(user.hear_all()?)
}

fn make_both(at_once: bool) -> Result<Vec<Fact>> {
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
        me.saw("ioctl(uts, NS_GET_USERNS)", owner)?;
        me.saw("sethostname(\"mine\")", Outcome::of(ns_core::uts::set_hostname("mine"))?)
    })
}

/// Tells how many levels were made, and what came of one more.
fn dig_down(namespaces: Namespaces, first: bool) -> Result<Vec<Fact>> {
    let mut user = as_user("user", move |me| {
        let (uid, gid) = (getuid().as_raw(), nix::unistd::getgid().as_raw());
        let mut made = 0;
        let mut refused = None;
        // One process goes down all the way: nothing else has to be there.
        while made < TRIED {
            if let Err(error) = namespace::unshare(namespaces) {
                refused = Some(error);
                break;
            }
            if made == 0 && !namespaces.is_empty() {
                ns_core::idmap::IdMaps::own(0, uid, gid).write_for(None)?;
            } else {
                stay_root(namespaces)?;
            }
            made += 1;
        }
        let levels = i64::try_from(made).unwrap_or(i64::MAX);
        // Whoever is in a namespace already has fewer left.
        me.saw(MADE, if first { Value::Number(levels) } else { Value::Count(levels) })?;
        match refused {
            Some(error) => me.saw(NEXT, Outcome::of::<()>(Err(error))?),
            None => me.saw(NEXT, "not tried"),
        }
    })?;
    Ok(user.hear_all()?)
}

fn make_one_below(maps: bool) -> Result<Vec<Fact>> {
    in_z(Namespaces::NONE, move |me| {
        namespace::unshare(Namespaces::USER)?;
        if maps {
            stay_root(Namespaces::USER)?;
        }
        me.saw("unshare(CLONE_NEWUSER) again", Outcome::of(namespace::unshare(Namespaces::USER))?)
    })
}

fn unshare_beside(another: bool) -> Result<Vec<Fact>> {
    let mut user = as_user("user", move |me: &mut Witness| {
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
        me.saw("unshare(CLONE_NEWUSER)", answer)
    })?;
    Ok(user.hear_all()?)
}
