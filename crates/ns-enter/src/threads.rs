//! Threads: each can be in namespaces of its own, except for those kinds that threads must share.

use std::sync::mpsc;
use std::thread;

use anyhow::Result;
use lesson::{Claim, Compared, Effect, Requirement, Step, hand, inside};
use nix::sched::CloneFlags;
use ns_core::{Child, Error, Fact, Kind, Named, Namespaces, NsFile, Outcome, uts};

use crate::answers::show_answers;
use crate::container::{NAME, kinds, of, of_all_kinds, start, take_name};

const REFUSED: Claim = Claim::holds(
    "threads",
    "If threads share CLONE_FS, setns() into user and mount namespaces fails with EINVAL, into time with EUSERS.",
)
.factor("a second thread")
.notes(&[118])
.more(&[2])
.requires(&[Requirement::Namespace(Kind::Time)]);
const UNSHARED: Claim = Claim::holds(
    "unshared-fs",
    "After unshare(CLONE_FS), setns() into a mount namespace succeeds in a process with two threads.",
)
.factor("unshare(CLONE_FS)")
.more(&[2]);

pub(crate) const ENTER_BESIDE_A_THREAD: Step = Step {
    title: "Enter each kind of a container's namespaces: from a process with one thread, and from one with two. \
            Enter the mount namespace also after unshare(CLONE_FS).",
    calls: &["clone3(CLONE_THREAD|…)", "unshare(CLONE_FS)", "setns(ns, CLONE_NEW…)"],
    by_hand: &[hand("unshare -Ur --mount --uts /usr/bin/python3 -c 'import ctypes,os,threading,time; c=ctypes.CDLL(None,use_errno=True); f=lambda k: print(k, c.setns(os.open(\"/proc/self/ns/\"+k,0),0), os.strerror(ctypes.get_errno())); f(\"mnt\"); threading.Thread(target=time.sleep,args=[1]).start(); f(\"uts\"); f(\"mnt\")'").prints("mnt 0 Success\nuts 0 Success\nmnt -1 EINVAL").in_the_same_shell(), ],
    claims: &[REFUSED, UNSHARED],
    run: |lab| {
        let container = start(of_all_kinds(), || Ok(()))?;
        let answers = lab.arms(false, true, |beside| try_each(&container, beside))?;
        show_answers(lab, ["one thread", "two threads"], &answers)?;
        let others = kinds().filter(|kind| !matches!(kind, Kind::User | Kind::Mnt | Kind::Time));
        let others = others.map(|kind| inside(format!("setns({kind})")).from("EINVAL").to("OK"));
        others.fold(lab.judge(REFUSED, answers), Compared::in_both_arms).shows(refuses_what_threads_share())?;
        lab.compare(UNSHARED, false, true, |unshares| try_one(&container, Kind::Mnt, true, unshares))?
            .shows(inside("setns(mnt)").from("EINVAL").to("OK"))
    },
};

const ALONE: Claim = Claim::holds(
    "thread-alone",
    "setns(uts) by a second thread moves only that thread: the first thread keeps its UTS namespace.",
)
.factor("another thread")
.notes(&[15])
.more(&[126]);

pub(crate) const ENTER_BY_A_THREAD: Step = Step {
    title: "Enter a container's UTS namespace by a second thread, and read the hostname in both threads.",
    calls: &["setns(uts, CLONE_NEWUTS)", "uname()"],
    by_hand: &[hand("unshare -Ur bash  # a shell of your own, for this step").prints("").in_the_same_shell(), hand("unshare --uts sh -c 'hostname container; exec sleep 60' & sleep 1").prints(""), hand("/usr/bin/python3 -c 'import ctypes,os,socket,sys,threading; n=os.open(\"/proc/%s/ns/uts\"%sys.argv[1],0); t=threading.Thread(target=lambda: (ctypes.CDLL(None).setns(n,0), print(socket.gethostname()))); t.start(); t.join(); print(socket.gethostname())' $!; kill $!; exit").prints("container\n<name>"), ],
    claims: &[ALONE],
    run: |lab| {
        uts::set_hostname("outside")?;
        let container = start(Namespaces::UTS, take_name)?;
        let uts = of(&container, Kind::Uts)?;
        lab.compare(ALONE, false, true, |by_another| enter_by_thread(&uts, by_another))?
            .in_both_arms(inside("hostname of the thread that entered").is(NAME))
            .shows(inside("hostname of the first thread").is("outside"))
    },
};

/// setns() fails for user and mount namespaces with EINVAL and for time namespaces with EUSERS.
fn refuses_what_threads_share() -> Effect {
    inside("setns(user)").is("EINVAL")
        & inside("setns(mnt)").is("EINVAL")
        & inside("setns(time)").is("EUSERS")
}

fn try_each(container: &Child, beside: bool) -> Result<Vec<Fact>> {
    kinds().map(|kind| try_one(container, kind, beside, false)).collect()
}

/// Enters a namespace of a container, with a second thread if `beside`. The threads share CLONE_FS unless the first
/// `unshares`.
fn try_one(container: &Child, kind: Kind, beside: bool, unshares: bool) -> Result<Fact> {
    let file = of(container, kind)?;
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        // The thread runs until the sender is dropped.
        let (end, ended) = mpsc::channel::<()>();
        let other = beside.then(|| thread::Builder::new().spawn(move || ended.recv()));
        let other = other.transpose().named(made_a_thread)?;
        if unshares {
            nix::sched::unshare(CloneFlags::CLONE_FS).named(|| "unshare(CLONE_FS)".into())?;
        }
        let answer = Outcome::of(file.enter(Some(kind)));
        drop(end);
        drop(other.map(thread::JoinHandle::join));
        me.report(format!("setns({kind})"), answer?)
    })?;
    Ok(visitor.fact()?)
}

fn made_a_thread() -> String {
    "clone3(CLONE_THREAD|…)".into()
}

fn enter_by_thread(uts: &NsFile, by_another: bool) -> Result<Vec<Fact>> {
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        let enter = || uts.enter(Some(Kind::Uts)).map(|()| uts::hostname());
        let hostname = if by_another {
            let ended = thread::scope(|scope| {
                let other = thread::Builder::new().spawn_scoped(scope, enter).named(made_a_thread)?;
                other.join().map_err(|_| Error::Input("the thread panicked".into()))
            });
            ended??
        } else {
            enter()?
        };
        me.report("hostname of the thread that entered", hostname)?;
        me.report("hostname of the first thread", uts::hostname())
    })?;
    Ok(visitor.facts()?)
}
