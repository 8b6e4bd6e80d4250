//! Where an experiment runs: it tells its steps, shows what it saw, and asks for verdicts.

use std::collections::BTreeSet;
use std::io;

use anyhow::{Context, Result, bail, ensure};
use ns_core::net::plan::Device;
use ns_core::probe::Missing;
use ns_core::{Child, Fact, Kind, NsFile, Pid, Value, View, namespace, process, sabotage};

use crate::event::{Actor, Arm, ClaimHead, Event, Misconception, Picture, Tally};
use crate::judge::{Verdict, is_expected, judge};
use crate::model::{Claim, Expect, Experiment, Kernel, Step};
use crate::render::Renderer;

/// The bench on which an experiment is done.
pub struct Lab {
    experiment: &'static Experiment,
    renderer: Box<dyn Renderer>,
    kernel: Kernel,
    steps: usize,
    settled: BTreeSet<&'static str>,
    tally: Tally,
}

impl Lab {
    pub(crate) fn new(experiment: &'static Experiment, renderer: Box<dyn Renderer>, kernel: Kernel) -> Lab {
        Lab { experiment, renderer, kernel, steps: 0, settled: BTreeSet::new(), tally: Tally::default() }
    }

    /// Tells the step that comes next.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn step(&mut self, step: Step) -> Result<()> {
        self.steps += 1;
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        self.emit(&Event::Step {
            number: self.steps,
            goal: step.goal.into(),
            calls: owned(step.calls),
            by_hand: owned(step.by_hand),
        })
    }

    /// Says who a child is: its PIDs and the namespaces that it does not share with us. To be called while it lives.
    ///
    /// # Errors
    /// When it is gone, or the output cannot be written.
    pub fn actor(&mut self, child: &Child) -> Result<()> {
        self.process(child.label(), child.pid())
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

    /// Shows which cables and bridges join network namespaces. `named` says what the names and addresses of devices
    /// are: the same in every run, or of this one.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn cables(&mut self, title: &str, devices: Vec<Device>, named: fn(String) -> Value) -> Result<()> {
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
        self.picture(Picture::Cables, title, &columns, devices.into_iter().map(row).collect())
    }

    fn show_table(
        &mut self,
        title: &str,
        columns: &[&str],
        rows: Vec<Vec<Value>>,
        picture: Option<Picture>,
    ) -> Result<()> {
        ensure!(
            rows.iter().all(|row| row.len() == columns.len()),
            "table '{title}': a row has another length"
        );
        let columns = columns.iter().map(ToString::to_string).collect();
        self.emit(&Event::Table { title: title.into(), columns, rows, picture })
    }

    /// Whether all of `claims` can be asked on this machine. If one lacks what it needs, all are skipped, with the
    /// reason shown, and the caller leaves them alone.
    ///
    /// # Errors
    /// When a probe could not be made, or the output cannot be written.
    pub fn can_ask(&mut self, claims: &[Claim]) -> Result<bool> {
        let mut missing = None;
        for need in claims.iter().flat_map(|claim| claim.needs) {
            missing = need.missing()?;
            if missing.is_some() {
                break;
            }
        }
        let Some(missing) = missing else { return Ok(true) };
        for claim in claims {
            self.skip(*claim, missing.clone())?;
        }
        Ok(false)
    }

    /// Skips a claim that this machine cannot be asked.
    ///
    /// # Errors
    /// When the claim is not the experiment's or is settled already, or the output cannot be written.
    pub fn skip(&mut self, claim: Claim, missing: Missing) -> Result<()> {
        self.settle(claim)?;
        self.tally.count(Verdict::Skipped, true);
        let Missing { what, remedy } = missing;
        self.emit(&Event::Skipped { claim: claim.id.into(), missing: what, remedy })
    }

    /// Asks for the verdict on a claim: `.without(…)` its cause, `.with(…)` it, and what `.shows(…)` the effect.
    pub fn claim(&mut self, claim: Claim) -> Asked<'_> {
        Asked { lab: self, claim }
    }

    pub(crate) fn emit(&mut self, event: &Event) -> Result<()> {
        let shown = self.renderer.show(event);
        self.or_go_on(shown)
    }

    pub(crate) fn finish(&mut self) -> Result<()> {
        let finished = self.renderer.finish();
        self.or_go_on(finished)
    }

    fn or_go_on(&mut self, shown: io::Result<()>) -> Result<()> {
        match shown {
            // The reader has gone. The experiment goes on, and cleans up, for nobody.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.renderer = Box::new(crate::render::Nobody);
                Ok(())
            }
            other => other.context("cannot write the output"),
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    pub(crate) fn unsettled(&self) -> impl Iterator<Item = &'static Claim> {
        self.experiment.claims.iter().filter(|claim| !self.settled.contains(claim.id))
    }

    fn settle(&mut self, claim: Claim) -> Result<()> {
        let known = self.experiment.claims.iter().any(|own| own.id == claim.id);
        ensure!(known, "the claim '{}' is judged but not declared", claim.id);
        ensure!(self.settled.insert(claim.id), "the claim '{}' is judged twice", claim.id);
        Ok(())
    }
}

/// For a cause that `ns_core` does not leave out by itself: `cause`, or under `--sabotage` what stands in its place.
pub fn cause<T>(cause: T, nothing: T) -> T {
    if sabotage::on() { nothing } else { cause }
}

/// What was seen in one arm.
#[derive(Debug, Clone, Default)]
pub struct Observation(Vec<Fact>);

impl Observation {
    /// All facts.
    pub fn facts(&self) -> &[Fact] {
        &self.0
    }

    /// The value of the first fact: that on which the claim rests, when there is one alone.
    pub fn value(&self) -> &Value {
        const NOTHING: &Value = &Value::List(Vec::new());
        self.0.first().map_or(NOTHING, |fact| &fact.value)
    }

    /// The value of the fact `what`, seen from inside.
    pub fn inside(&self, what: &str) -> Option<&Value> {
        self.find(View::Inside, what)
    }

    /// The value of the fact `what`, seen from outside.
    pub fn outside(&self, what: &str) -> Option<&Value> {
        self.find(View::Outside, what)
    }

    fn find(&self, view: View, what: &str) -> Option<&Value> {
        self.0.iter().find(|fact| fact.view == view && fact.what == what).map(|fact| &fact.value)
    }
}

/// Compares with the first fact's value.
impl<T> PartialEq<T> for Observation
where
    Value: PartialEq<T>,
{
    fn eq(&self, other: &T) -> bool {
        self.value() == other
    }
}

impl From<Fact> for Observation {
    fn from(fact: Fact) -> Observation {
        Observation(vec![fact])
    }
}

impl From<Vec<Fact>> for Observation {
    fn from(facts: Vec<Fact>) -> Observation {
        Observation(facts)
    }
}

impl<const N: usize> From<[Fact; N]> for Observation {
    fn from(facts: [Fact; N]) -> Observation {
        Observation(facts.into())
    }
}

/// A claim that waits for its control.
///
/// Leaving the control out does not compile:
///
/// ```compile_fail,E0599
/// # fn run(lab: &mut lesson::Lab, claim: lesson::Claim) -> anyhow::Result<()> {
/// lab.claim(claim).with(ns_core::Fact::outside("getpid()", 1)).shows(|pid| *pid == 1)?;
/// # Ok(()) }
/// ```
///
/// With it, it does:
///
/// ```
/// # fn run(lab: &mut lesson::Lab, claim: lesson::Claim) -> anyhow::Result<()> {
/// # use ns_core::Fact;
/// lab.claim(claim)
///     .without(Fact::outside("getpid()", 2))
///     .with(Fact::outside("getpid()", 1))
///     .shows(|pid| *pid == 1)?;
/// # Ok(()) }
/// ```
#[must_use = "a claim that is asked and not judged breaks the experiment"]
pub struct Asked<'a> {
    lab: &'a mut Lab,
    claim: Claim,
}

/// A claim that waits for its cause.
#[must_use = "a claim that is asked and not judged breaks the experiment"]
pub struct Controlled<'a> {
    asked: Asked<'a>,
    without: Observation,
}

/// A claim that waits for its verdict.
#[must_use = "a claim that is asked and not judged breaks the experiment"]
pub struct Compared<'a> {
    controlled: Controlled<'a>,
    with: Observation,
}

impl<'a> Asked<'a> {
    /// What was seen without the cause.
    pub fn without(self, seen: impl Into<Observation>) -> Controlled<'a> {
        Controlled { asked: self, without: seen.into() }
    }
}

impl<'a> Controlled<'a> {
    /// What was seen with the cause.
    pub fn with(self, seen: impl Into<Observation>) -> Compared<'a> {
        Compared { controlled: self, with: seen.into() }
    }
}

impl Compared<'_> {
    /// Judges: `effect` says of either arm whether the effect is to be seen in it.
    ///
    /// # Errors
    /// When an arm saw nothing, the claim is not declared or judged already, or the output cannot be written.
    pub fn shows(self, effect: impl Fn(&Observation) -> bool) -> Result<Verdict> {
        let Compared { controlled: Controlled { asked: Asked { lab, claim }, without }, with } = self;
        lab.settle(claim)?;
        if without.0.is_empty() || with.0.is_empty() {
            bail!("the claim '{}' has an arm in which nothing was seen", claim.id);
        }
        let (before, after) = (effect(&without), effect(&with));
        let verdict = judge(before, after);
        let expected = is_expected(claim.expect, verdict, lab.kernel);
        lab.tally.count(verdict, expected);
        lab.emit(&Event::Judged {
            claim: claim.id.into(),
            verdict,
            expected,
            without: Arm { effect: before, facts: without.0 },
            with: Arm { effect: after, facts: with.0 },
        })?;
        Ok(verdict)
    }
}

impl From<&Claim> for ClaimHead {
    fn from(claim: &Claim) -> ClaimHead {
        let (expect, correction) = match claim.expect {
            Expect::Holds => ("holds".into(), None),
            Expect::Refuted { correction } => ("refuted".into(), Some(correction.into())),
            Expect::HoldsSince(kernel) => (format!("since {kernel}"), None),
            Expect::Varies(why) => (format!("varies: {why}"), None),
        };
        ClaimHead {
            id: claim.id.into(),
            text: claim.text.into(),
            cause: claim.cause.into(),
            expect,
            correction,
            notes: claim.notes.into(),
            more: claim.more.into(),
            misconceptions: claim
                .misconceptions
                .iter()
                .map(|(answer, why)| Misconception { answer: (*answer).into(), why: (*why).into() })
                .collect(),
        }
    }
}
