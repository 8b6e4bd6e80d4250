//! Inode reuse: three namespaces, one after another, with the same inode number.

use anyhow::Result;
use lesson::{Claim, Step, first, hand};
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, NsId, Reporter, Value};

/// How many namespaces are created in a row, to find three consecutive ones with the same inode number. Another process
/// of the machine may create one in between. If there are no three, another row is created, at most `ROWS` of them.
const MANY: usize = 32;
const ROWS: usize = 8;

const TWINS: Claim = Claim::holds(
    "twins",
    "Three UTS namespaces can have the same inode number, if each is created after the previous one is gone.",
)
.factor("the end of the previous one")
.notes(&[18]);
const HELD: Claim = Claim::holds(
    "held",
    "UTS namespaces that are held open by descriptors at the same time have different inode numbers.",
)
.factor("open(ns/uts)")
.notes(&[18]);

pub(crate) const MAKE_IN_A_ROW: Step = Step {
    title: "Create UTS namespaces in a row: keep all of them, then end each before the next. Look for three consecutive \
            ones with the same inode number.",
    calls: &["clone3(CLONE_NEWUTS)", "fstat(\"/proc/PID/ns/uts\")", "ioctl(uts, NS_GET_ID)"],
    by_hand: &[hand(
        "for n in 1 2 3; do unshare --user --map-root-user --uts readlink /proc/self/ns/uts; done",
    )
    .prints("uts:[…]\nuts:[…]\nuts:[…]")],
    claims: &[TWINS, HELD],
    run: |lab| {
        let made = lab.arms(true, false, in_a_row)?;
        if let Some(three) = three_equal(made.treatment()) {
            lab.table("Three in a row", &["namespace", "its link", "its NS_GET_ID"], rows(three))?;
        }
        let found =
            made.map(|made| Fact::outside("three in a row with one inode", three_equal(&made).is_some()));
        lab.judge(TWINS, found.clone()).shows(first().is("yes"))?;
        lab.judge(HELD, found.swapped()).shows(first().is("no"))
    },
};

fn rows(three: &[Made]) -> Vec<Vec<Value>> {
    let name = |(made, which): (&Made, &str)| {
        let serial = made.serial.zip(three[0].serial).map(|(serial, first)| {
            Value::Text(if serial == first { "the first's" } else { "another" }.into())
        });
        vec![which.into(), made.id.into(), serial.unwrap_or("not on this kernel".into())]
    };
    three.iter().zip(["first", "second", "third"]).map(name).collect()
}

struct Made {
    id: NsId,
    serial: Option<u64>,
}

fn three_equal(made: &[Made]) -> Option<&[Made]> {
    made.windows(3).find(|three| three.iter().all(|it| it.id == three[0].id))
}

/// A row of namespaces. If they are not kept, the first row that has three consecutive ones with the same inode number.
fn in_a_row(keep: bool) -> Result<Vec<Made>> {
    let mut made = make(keep)?;
    for _ in 1..ROWS {
        if keep || three_equal(&made).is_some() {
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
        // Dropping the child ends it. If its file was not kept, its namespace is gone too.
    }
    Ok(made)
}
