//! Where an experiment runs: it shows what it observed, and asks for verdicts.

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use ns_core::cgroup::{Cgroup, CgroupParent, CgroupRequest};
use ns_core::net::plan::Device;
use ns_core::probe::Unmet;
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Pid, Reporter, Value, namespace, process};
use transcript::{Actor, Event, Kernel, Picture, Table, Tally, Verdict};

use crate::claim::Claim;
use crate::render::{Nobody, Renderer};
use crate::turn::{Turn, Turns};
use crate::unmet::remedy;

/// What became of a claim so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Its step goes on.
    Open,
    /// Judged or skipped.
    Settled,
    /// Not chosen to be asked in this run.
    Left,
}

/// The bench on which an experiment is done.
pub struct Lab {
    renderer: Box<dyn Renderer>,
    kernel: Kernel,
    sabotaged: bool,
    claims: BTreeMap<&'static str, State>,
    tally: Tally,
    kept: HashMap<TypeId, Rc<dyn Any>>,
    children: Vec<Child>,
    /// Cgroups that some of them are in; they go after these.
    cgroups: Vec<Cgroup>,
    /// Whether somebody pauses between the steps, and may want a shell where they were.
    is_paced: bool,
    turns: Turns,
}

impl Lab {
    pub(crate) fn new(
        renderer: Box<dyn Renderer>,
        kernel: Kernel,
        sabotaged: bool,
        is_paced: bool,
        turns: Turns,
    ) -> Lab {
        Lab {
            renderer,
            kernel,
            sabotaged,
            claims: BTreeMap::new(),
            tally: Tally::default(),
            kept: HashMap::new(),
            children: Vec::new(),
            cgroups: Vec::new(),
            is_paced,
            turns,
        }
    }

    /// Waits for a turn for a step, beside those of other experiments or `alone`. It ends when the value is dropped.
    pub(crate) fn take_turn(&self, alone: bool) -> Result<Turn> {
        Ok(self.turns.take(alone)?)
    }

    /// Says who a child is: its PIDs and the namespaces that it does not share with us. To be called while it lives.
    ///
    /// # Errors
    /// When it is gone, or the output cannot be written.
    pub fn actor(&mut self, child: &Child) -> Result<()> {
        self.process(child.label(), child.pid())
    }

    /// As [`Lab::actor`], and lets it live until the next step begins, so that one can look at it between the two.
    ///
    /// # Errors
    /// As there.
    pub fn keep(&mut self, child: Child) -> Result<()> {
        self.actor(&child)?;
        self.children.push(child);
        Ok(())
    }

    /// Where somebody pauses after this step, leaves a process in a new cgroup, as `request` has it, that `limit` may
    /// limit. A shell that is opened then can be in it, too. It goes when the next step begins. It is not shown, and no
    /// claim rests on it. A step leaves one at most.
    ///
    /// # Errors
    /// When the machine refuses it.
    pub fn leave_a_member(
        &mut self,
        request: CgroupRequest<'_>,
        purpose: &str,
        limit: impl FnOnce(&Cgroup) -> ns_core::Result<()>,
    ) -> Result<()> {
        if self.is_paced && self.cgroups.is_empty() {
            let cgroup = CgroupParent::require(request)?.create(purpose)?;
            limit(&cgroup)?;
            let member = Child::spawn("member", Namespaces::NONE, Reporter::checkpoint)?;
            cgroup.join(member.pid())?;
            self.children.push(member);
            self.cgroups.push(cgroup);
        }
        Ok(())
    }

    /// Ends what was kept from the step before.
    pub(crate) fn let_go(&mut self) {
        self.children.clear();
        self.cgroups.clear();
    }

    /// As [`Lab::actor`], of a process that is not our child.
    ///
    /// # Errors
    /// As there.
    pub fn process(&mut self, label: &str, pid: Pid) -> Result<()> {
        let ours = namespace::of(None)?;
        let mut elsewhere = namespace::of(Some(pid))?;
        elsewhere.retain(|id| !ours.contains(id));
        let pids = process::pids(Some(pid))?;
        let mut pid_namespaces = Vec::new();
        if pids.len() > 1 {
            let mut namespace = NsFile::of(Some(pid), Kind::Pid)?;
            pid_namespaces.push(namespace.id()?);
            while pid_namespaces.len() + 1 < pids.len() {
                namespace = namespace.parent()?;
                pid_namespaces.push(namespace.id()?);
            }
            pid_namespaces.reverse();
        }
        self.emit(&Event::Actor(Actor { label: label.into(), pids, elsewhere, pid_namespaces }))
    }

    /// Shows something that no claim rests on.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn saw(&mut self, fact: Fact) -> Result<()> {
        self.emit(&Event::Saw(fact))
    }

    /// Shows facts in rows and columns. Every row is as long as `columns`.
    ///
    /// # Errors
    /// When a row is not, or the output cannot be written.
    pub fn table(&mut self, title: &str, columns: &[&str], rows: Vec<Vec<Value>>) -> Result<()> {
        self.show_table(title, columns, rows, None)
    }

    /// Shows facts in rows and columns that can be drawn, too: what the columns of each picture are stands there.
    ///
    /// # Errors
    /// As [`Lab::table`].
    pub fn picture(
        &mut self,
        picture: Picture,
        title: &str,
        columns: &[&str],
        rows: Vec<Vec<Value>>,
    ) -> Result<()> {
        self.show_table(title, columns, rows, Some(picture))
    }

    /// Shows which veth links and bridges join network namespaces. `named` says what the names and addresses of devices
    /// are: the same in every run, or of this one.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn links(&mut self, title: &str, devices: Vec<Device>, named: fn(String) -> Value) -> Result<()> {
        let or_empty = |text: Option<String>| text.map_or_else(|| "".into(), named);
        let row = |device: Device| {
            let other_end = device.other_end.map(|(site, name)| format!("{site}/{name}"));
            vec![
                device.site.into(),
                named(device.name),
                Value::List(device.addresses.into_iter().map(named).collect()),
                or_empty(device.bridge),
                or_empty(other_end),
            ]
        };
        let columns = ["namespace", "device", "addresses", "port of", "other end"];
        self.picture(Picture::Links, title, &columns, devices.into_iter().map(row).collect())
    }

    fn show_table(
        &mut self,
        title: &str,
        columns: &[&str],
        rows: Vec<Vec<Value>>,
        picture: Option<Picture>,
    ) -> Result<()> {
        let columns = columns.iter().map(ToString::to_string).collect();
        let table = Table { title: title.into(), columns, rows, picture };
        ensure!(table.uneven().is_none(), "table '{title}': a row has another length");
        self.emit(&Event::Table(table))
    }

    /// What several steps share, such as a container that all of them look at: made by the first that asks for it, and
    /// kept until the experiment ends.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn once<T: Any>(&mut self, make: impl FnOnce(&mut Lab) -> Result<T>) -> Result<Rc<T>> {
        if let Some(kept) = self.kept.get(&TypeId::of::<T>()) {
            return Rc::clone(kept).downcast().map_err(|_| anyhow::anyhow!("kept as another type"));
        }
        let made = Rc::new(make(self)?);
        self.kept.insert(TypeId::of::<T>(), Rc::clone(&made) as Rc<dyn Any>);
        Ok(made)
    }

    /// Whether a claim of this step is still to be asked: false if this machine lacks what it needs, and for what was
    /// asked already.
    pub fn asks(&self, claim: &Claim) -> bool {
        self.claims.get(claim.id) == Some(&State::Open)
    }

    /// Skips a claim that this machine cannot be asked.
    ///
    /// # Errors
    /// When the claim is not of this step or is settled already, or the output cannot be written.
    pub fn skip(&mut self, claim: Claim, unmet: Unmet) -> Result<()> {
        if self.claims.get(claim.id) == Some(&State::Left) {
            return Ok(());
        }
        self.settle_as(&claim, Verdict::Skipped, true)?;
        let (missing, remedy) = (unmet.to_string(), remedy(&unmet));
        self.emit(&Event::Skipped { claim: claim.id.into(), missing, remedy })
    }

    /// Declares the claims of a step, none of which is asked yet.
    pub(crate) fn leave(&mut self, claims: &[Claim]) -> Result<()> {
        for claim in claims {
            let new = self.claims.insert(claim.id, State::Left).is_none();
            ensure!(new, "the claim '{}' stands at two steps", claim.id);
        }
        Ok(())
    }

    /// Opens those that are asked in this run.
    pub(crate) fn open(&mut self, claims: &[Claim]) {
        for claim in claims {
            self.claims.insert(claim.id, State::Open);
        }
    }

    /// Notes the verdict on a claim.
    pub(crate) fn settle_as(&mut self, claim: &Claim, verdict: Verdict, expected: bool) -> Result<()> {
        match self.claims.insert(claim.id, State::Settled) {
            Some(State::Open) => {}
            Some(State::Settled) => anyhow::bail!("the claim '{}' is judged twice", claim.id),
            Some(State::Left) | None => {
                anyhow::bail!("the claim '{}' is judged and stands at no step", claim.id)
            }
        }
        self.tally.count(verdict, expected);
        Ok(())
    }

    pub(crate) fn emit(&mut self, event: &Event) -> Result<()> {
        let shown = self.renderer.show(event);
        self.or_go_on(shown)
    }

    pub(crate) fn finish(&mut self) -> Result<()> {
        // What steps have kept ends while there is still somebody to report it to.
        self.let_go();
        self.kept.clear();
        let finished = self.renderer.finish();
        self.or_go_on(finished)
    }

    fn or_go_on(&mut self, shown: io::Result<()>) -> Result<()> {
        match shown {
            // The reader has gone. The experiment goes on, and cleans up, for nobody.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.renderer = Box::new(Nobody);
                Ok(())
            }
            other => other.context("cannot write the output"),
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    pub(crate) fn kernel(&self) -> Kernel {
        self.kernel
    }

    pub(crate) fn is_sabotaged(&self) -> bool {
        self.sabotaged
    }
}
