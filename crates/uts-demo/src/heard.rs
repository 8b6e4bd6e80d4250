//! The matrix: who reads a hostname, by who has set it.
//!
//! Four processes take their turns. We are the first; the second may have a namespace of its own; the third, its
//! guest, enters that one; the fourth may again have its own.

use anyhow::Result;
use lesson::{Claim, Lab, Picture};
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Value, Witness, uts};

/// Who takes part, and what each calls the machine.
const NAMES: [&str; 4] = ["outside", "first", "guest", "second"];
/// Where each is at home. The guest is with the first.
const HOMES: [usize; 4] = [0, 1, 1, 2];

/// Fills the matrix for one shared namespace and for three, and judges `claim` by it.
pub(crate) fn fill(lab: &mut Lab, claim: Claim) -> Result<()> {
    let shared = Matrix::of(Namespaces::NONE)?;
    let apart = Matrix::of(Namespaces::UTS)?;
    lab.picture(
        Picture::Heat(1),
        "Who reads the new hostname, with namespaces of their own",
        &["set by", "outside reads it", "first", "its guest", "second"],
        apart.rows(),
    )?;
    lab.claim(claim).without(shared.facts()).with(apart.facts()).shows(|counts| {
        counts.outside("read by a fellow member").is_some_and(|it| *it == "6 of 6")
            && counts.outside("read by anyone else").is_some_and(|it| *it == "0 of 10")
    })?;
    Ok(())
}

/// For each who sets the hostname: which of the four then read it.
struct Matrix([[bool; 4]; 4]);

impl Matrix {
    fn of(namespaces: Namespaces) -> Result<Matrix> {
        uts::set_hostname("nobody")?;
        let first = Child::spawn(NAMES[1], namespaces, |me| take_turns(me, 1))?;
        let home = first.pid();
        let guest = Child::spawn(NAMES[2], Namespaces::NONE, |me| {
            NsFile::of(Some(home), Kind::Uts)?.enter(Some(Kind::Uts))?;
            take_turns(me, 2)
        })?;
        let second = Child::spawn(NAMES[3], namespaces, |me| take_turns(me, 3))?;
        let mut children = [first, guest, second];
        let mut reads = [[false; 4]; 4];
        for (turn, name) in NAMES.into_iter().enumerate() {
            if turn == 0 {
                uts::set_hostname(name)?;
            }
            for child in &mut children {
                child.release()?;
                child.hear()?; // its turn is over
            }
            reads[turn][0] = uts::hostname() == name;
            for (at, child) in children.iter_mut().enumerate() {
                child.release()?;
                reads[turn][at + 1] = child.hear()?.value == name;
            }
        }
        Ok(Matrix(reads))
    }

    fn rows(&self) -> Vec<Vec<Value>> {
        NAMES
            .into_iter()
            .zip(self.0)
            .map(|(name, reads)| [Value::from(name)].into_iter().chain(reads.map(Value::from)).collect())
            .collect()
    }

    fn facts(&self) -> Vec<Fact> {
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
fn take_turns(me: &mut Witness, own: usize) -> ns_core::Result<()> {
    for turn in 0..NAMES.len() {
        me.pause()?;
        if turn == own {
            uts::set_hostname(NAMES[own])?;
        }
        me.saw("turn over", "yes")?;
        me.pause()?;
        me.saw("hostname", uts::hostname())?;
    }
    Ok(())
}
