//! The matrix: which process sets a hostname, and which processes then read it.
//!
//! Four processes set the hostname in turn: `outside`, which is this process, and three children. `first` and `second`
//! each are in a new UTS namespace, except in the control. `guest` enters the namespace of `first`.

use anyhow::Result;
use lesson::{Lab, Picture};
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Reporter, Value, uts};

/// The processes, and the hostname that each sets.
const NAMES: [&str; 4] = ["outside", "first", "guest", "second"];
/// The namespace of each, by number. `guest` is in that of `first`.
const NAMESPACE_OF: [usize; 4] = [0, 1, 1, 2];

/// For each process that sets the hostname: which of the four then read it.
pub(crate) struct Matrix([[bool; 4]; 4]);

/// Lets all four set the hostname in turn. In the control, they share the namespace of this process.
pub(crate) fn take_turns(namespaces: Namespaces) -> Result<Matrix> {
    uts::set_hostname("unset")?;
    let first = Child::spawn(NAMES[1], namespaces, |me| set_and_read(me, 1))?;
    let host = first.pid();
    let guest = Child::spawn(NAMES[2], Namespaces::NONE, |me| {
        NsFile::of(Some(host), Kind::Uts)?.enter(Some(Kind::Uts))?;
        set_and_read(me, 2)
    })?;
    let second = Child::spawn(NAMES[3], namespaces, |me| set_and_read(me, 3))?;
    let mut children = [first, guest, second];
    for child in &mut children {
        child.fact()?; // it is in its namespace
    }
    let mut reads = [[false; 4]; 4];
    for (turn, name) in NAMES.into_iter().enumerate() {
        if turn == 0 {
            uts::set_hostname(name)?;
        }
        for child in &mut children {
            child.wake()?;
            child.fact()?; // its turn is over
        }
        reads[turn][0] = uts::hostname() == name;
        for (at, child) in children.iter_mut().enumerate() {
            child.wake()?;
            reads[turn][at + 1] = child.fact()?.value == name;
        }
    }
    Ok(Matrix(reads))
}

impl Matrix {
    /// Shows which process reads which name.
    pub(crate) fn show(&self, lab: &mut Lab) -> Result<()> {
        lab.picture(
            Picture::Heat(1),
            "Which process reads the new hostname, in the treatment",
            &["set by", "outside reads it", "first", "its guest", "second"],
            self.rows(),
        )
    }

    fn rows(&self) -> Vec<Vec<Value>> {
        NAMES
            .into_iter()
            .zip(self.0)
            .map(|(name, reads)| [Value::from(name)].into_iter().chain(reads.map(Value::from)).collect())
            .collect()
    }

    /// How often a name is read in the namespace in which it is set, and how often in another.
    pub(crate) fn facts(&self) -> Vec<Fact> {
        let count = |same_namespace: bool| {
            let mut cells = Vec::new();
            for (turn, reads) in self.0.iter().enumerate() {
                cells.extend(
                    reads
                        .iter()
                        .zip(NAMESPACE_OF)
                        .filter(|(_, namespace)| (*namespace == NAMESPACE_OF[turn]) == same_namespace)
                        .map(|(read, _)| *read),
                );
            }
            format!("{} of {}", cells.iter().filter(|read| **read).count(), cells.len())
        };
        vec![Fact::outside("read by members", count(true)), Fact::outside("read by others", count(false))]
    }
}

/// In each turn: sets the hostname if `own` is that turn, waits for all others, and reads it.
fn set_and_read(me: &mut Reporter, own: usize) -> ns_core::Result<()> {
    me.report("in its namespace", "yes")?;
    for turn in 0..NAMES.len() {
        me.checkpoint()?;
        if turn == own {
            uts::set_hostname(NAMES[own])?;
        }
        me.report("turn over", "yes")?;
        me.checkpoint()?;
        me.report("hostname", uts::hostname())?;
    }
    Ok(())
}
