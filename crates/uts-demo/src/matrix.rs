//! The matrix: who reads a hostname, by who has set it.
//!
//! Four processes take their turns. We are the first; the second may have a namespace of its own; the third, its
//! guest, enters that one; the fourth may again have its own.

use anyhow::Result;
use lesson::{Lab, Picture};
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Reporter, Value, uts};

/// Who takes part, and what each calls the machine.
const NAMES: [&str; 4] = ["outside", "first", "guest", "second"];
/// Where each is at home. The guest is with the first.
const HOMES: [usize; 4] = [0, 1, 1, 2];

/// For each who sets the hostname: which of the four then read it.
pub(crate) struct Matrix([[bool; 4]; 4]);

/// Lets all four take their turns. In the control they share our namespace; else the first and the second have their own.
pub(crate) fn take_turns(namespaces: Namespaces) -> Result<Matrix> {
    uts::set_hostname("nobody")?;
    let first = Child::spawn(NAMES[1], namespaces, |me| set_and_read(me, 1))?;
    let home = first.pid();
    let guest = Child::spawn(NAMES[2], Namespaces::NONE, |me| {
        NsFile::of(Some(home), Kind::Uts)?.enter(Some(Kind::Uts))?;
        set_and_read(me, 2)
    })?;
    let second = Child::spawn(NAMES[3], namespaces, |me| set_and_read(me, 3))?;
    let mut children = [first, guest, second];
    for child in &mut children {
        child.fact()?; // it is at home
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
    /// Shows who reads whose name.
    pub(crate) fn show(&self, lab: &mut Lab) -> Result<()> {
        lab.picture(
            Picture::Heat(1),
            "Who reads the new hostname, with namespaces of their own",
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

    /// How many read a name that is set in their namespace, and how many one that is not.
    pub(crate) fn facts(&self) -> Vec<Fact> {
        let count = |fellows: bool| {
            let mut cells = Vec::new();
            for (turn, reads) in self.0.iter().enumerate() {
                cells.extend(
                    reads
                        .iter()
                        .zip(HOMES)
                        .filter(|(_, home)| (*home == HOMES[turn]) == fellows)
                        .map(|(read, _)| *read),
                );
            }
            format!("{} of {}", cells.iter().filter(|read| **read).count(), cells.len())
        };
        vec![
            Fact::outside("read by a fellow member", count(true)),
            Fact::outside("read by anyone else", count(false)),
        ]
    }
}

/// In each turn: set the hostname if the turn is one's own; when all have had the chance, read it.
fn set_and_read(me: &mut Reporter, own: usize) -> ns_core::Result<()> {
    me.report("at home", "yes")?;
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
