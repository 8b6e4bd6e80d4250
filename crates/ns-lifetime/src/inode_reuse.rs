//! Three namespaces, one after another, with one inode number.

use anyhow::Result;
use lesson::{Claim, Step, first};
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, NsId, Reporter, Value};

/// In this many, made in a row, three neighbours are looked for: another process of this machine may come between. Where
/// it did each time, the row is made again, so many times at most.
const MANY: usize = 32;
const ROWS: usize = 8;

const TWINS: Claim = Claim::holds(
    "twins",
    "Three namespaces, each made when the one before was gone, can have one and the same inode number.",
)
.factor("the end of the one before")
.notes(&[18]);
const HELD: Claim = Claim::holds(
    "held",
    "Namespaces that are held open at one time, by descriptors, have different inode numbers.",
)
.factor("open(ns/uts)")
.notes(&[18]);

pub(crate) const MAKE_IN_A_ROW: Step = Step {
    title: "Make UTS namespaces in a row, and look for three neighbours with one inode number. First keep \
            all of them, then let each go before the next.",
    calls: &["clone3(CLONE_NEWUTS)", "fstat(\"/proc/PID/ns/uts\")", "ioctl(uts, NS_GET_ID)"],
    by_hand: &["for n in 1 2 3; do unshare --user --map-root-user --uts readlink /proc/self/ns/uts; done"],
    claims: &[TWINS, HELD],
    run: |lab| {
        let made = lab.arms(true, false, in_a_row)?;
        if let Some(three) = alike(made.treatment()) {
            lab.table("Three in a row", &["namespace", "reads", "its NS_GET_ID"], rows(three))?;
        }
        let found = made.map(|made| Fact::outside("three in a row that read alike", alike(&made).is_some()));
        lab.judge(TWINS, found.clone()).shows(first().is("yes"))?;
        lab.judge(HELD, found.swapped()).shows(first().is("no"))
    },
};

fn rows(three: &[Made]) -> Vec<Vec<Value>> {
    let name = |(made, which): (&Made, &str)| {
        let serial = made.serial.zip(three[0].serial).map(|(serial, first)| {
            Value::Text(if serial == first { "the first's" } else { "another" }.into())
        });
        vec![which.into(), made.id.into(), serial.unwrap_or("this kernel gives none".into())]
    };
    three.iter().zip(["first", "second", "third"]).map(name).collect()
}

struct Made {
    id: NsId,
    serial: Option<u64>,
}

fn alike(made: &[Made]) -> Option<&[Made]> {
    made.windows(3).find(|three| three.iter().all(|it| it.id == three[0].id))
}

/// A row of namespaces; of those that are not kept, the first row that has three neighbours with one number.
fn in_a_row(keep: bool) -> Result<Vec<Made>> {
    let mut made = make(keep)?;
    for _ in 1..ROWS {
        if keep || alike(&made).is_some() {
            break;
        }
        made = make(keep)?;
    }
    Ok(made)
}

fn make(keep: bool) -> Result<Vec<Made>> {
    let mut kept = Vec::new();
    let mut made = Vec::new();
    for _ in 0..MANY {
        let child = Child::spawn("child", Namespaces::UTS, Reporter::stay)?;
        let file = NsFile::of(Some(child.pid()), Kind::Uts)?;
        made.push(Made { id: file.id()?, serial: file.serial().ok() });
        kept.extend(keep.then_some(file));
        // Here the child ends and, if its file was not kept, its namespace.
    }
    Ok(made)
}
