//! Threads: each has namespaces of its own, except where they could not be apart.

use std::sync::mpsc;
use std::thread;

use anyhow::Result;
use lesson::{Claim, Lab, Picture, Step, cause};
use ns_core::{Child, Error, Fact, Kind, Namespaces, NsFile, Outcome, Spawn, Witness, uts};

use crate::{of, take_name_and_stay};

pub(crate) const REFUSED: Claim = Claim::holds(
    "threads",
    "Beside a second thread setns() refuses user and mount namespaces (EINVAL) and time namespaces (EUSERS).",
)
.cause("a second thread")
.notes(&[118])
.more(&[2]);
pub(crate) const ALONE: Claim = Claim::holds(
    "thread-alone",
    "Of the other five a thread enters alone: its process's first thread stays where it was.",
)
.cause("another thread")
.notes(&[15])
.more(&[126]);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Enter each kind of a container's namespaces, from a process with one thread, and from one with two.",
        calls: &["clone3(CLONE_THREAD|…)", "setns(ns, CLONE_NEW…)"],
        by_hand: &[
            "unshare -Ur --mount --uts /usr/bin/python3 -c 'import ctypes,os,threading,time; c=ctypes.CDLL(None,use_errno=True); f=lambda k: print(k, c.setns(os.open(\"/proc/self/ns/\"+k,0),0), os.strerror(ctypes.get_errno())); f(\"mnt\"); threading.Thread(target=time.sleep,args=[1]).start(); f(\"uts\"); f(\"mnt\")'",
        ],
    })?;
    let container = Spawn::new("container").namespaces_always(Namespaces::all()).run(Witness::stay)?;
    let (alone, beside) = (try_each(&container, false)?, try_each(&container, cause(true, false))?);
    lab.picture(
        Picture::Heat(1),
        "How setns() answers",
        &["kind", "to the only thread", "beside another"],
        Kind::ALL
            .into_iter()
            .zip(alone.iter().zip(&beside))
            .map(|(kind, (alone, beside))| {
                vec![kind.link().into(), alone.value.clone(), beside.value.clone()]
            })
            .collect(),
    )?;
    lab.claim(REFUSED).without(alone).with(beside).shows(|answers| {
        Kind::ALL.into_iter().zip(answers.facts()).all(|(kind, fact)| {
            fact.value
                == *match kind {
                    Kind::User | Kind::Mnt => "EINVAL",
                    Kind::Time => "EUSERS",
                    _ => "OK",
                }
        })
    })?;

    lab.step(Step {
        goal: "Let a second thread enter a container's UTS namespace, and ask both for the hostname.",
        calls: &["setns(uts, CLONE_NEWUTS)", "uname()"],
        by_hand: &[
            "/usr/bin/python3 -c 'import ctypes,os,socket,sys,threading; n=os.open(\"/proc/%s/ns/uts\"%sys.argv[1],0); t=threading.Thread(target=lambda: (ctypes.CDLL(None).setns(n,0), print(socket.gethostname()))); t.start(); t.join(); print(socket.gethostname())' $c  # as root",
        ],
    })?;
    let mut container = Spawn::new("container").namespaces_always(Namespaces::UTS).run(take_name_and_stay)?;
    container.hear()?;
    let uts = of(&container, Kind::Uts)?;
    lab.claim(ALONE)
        .without(enter_by_thread(&uts, false)?)
        .with(enter_by_thread(&uts, cause(true, false))?)
        .shows(|it| {
            it.inside("hostname of the thread that entered").is_some_and(|it| *it == crate::NAME)
                && it.inside("hostname of the first thread").is_some_and(|it| *it == "outside")
        })?;
    Ok(())
}

fn try_each(container: &Child, beside: bool) -> Result<Vec<Fact>> {
    let mut answers = Vec::new();
    for kind in Kind::ALL {
        let file = of(container, kind)?;
        let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
            // The thread runs until there is nobody left to send it anything.
            let (end, ended) = mpsc::channel::<()>();
            let other = beside.then(|| thread::spawn(move || ended.recv()));
            let answer = Outcome::of(file.enter(Some(kind)));
            drop(end);
            drop(other.map(thread::JoinHandle::join));
            me.saw(format!("setns({kind})"), answer?)
        })?;
        answers.push(visitor.hear()?);
    }
    Ok(answers)
}

fn enter_by_thread(uts: &NsFile, by_another: bool) -> Result<Vec<Fact>> {
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        let enter = || uts.enter(Some(Kind::Uts)).map(|()| uts::hostname());
        let heard = if by_another {
            let ended = thread::scope(|scope| scope.spawn(enter).join());
            ended.map_err(|_| Error::Input("the thread panicked".into()))??
        } else {
            enter()?
        };
        me.saw("hostname of the thread that entered", heard)?;
        me.saw("hostname of the first thread", uts::hostname())
    })?;
    Ok(visitor.hear_all()?)
}
