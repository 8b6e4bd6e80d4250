//! Who may write which map: a grid of writes.
//!
//! A map is a text of a fixed format, and the kernel accepts it whole or not at all. EINVAL says that the text is not a
//! valid map. EPERM says that the writer may not write this map.

use anyhow::Result;
use lesson::{Claim, Picture, Requirement, Step, hand, inside, outside};
use nix::unistd::{SysconfVar, sysconf};
use ns_core::{Capability, Child, Errno, Fact, Named, Namespaces, Outcome, Reporter, Value, idmap, process};

use crate::maps;
use crate::user::{self, User};

/// The counts of a grid.
const WRITES: &str = "writes";
const ACCEPTED: &str = "maps accepted";
const UNEXPECTED: &str = "unexpected results";

const RULES: Claim = Claim::holds(
    "rules",
    "write() rejects a whole map: EINVAL if the map is invalid, EPERM if the writer may not write it.",
)
.factor("a broken rule")
.notes(&[130, 131]);

pub(crate) const WRITE_AS_A_USER: Step = Step {
    title: "Write the maps of children in new user namespaces: maps that follow the rules, and maps that each break one.",
    calls: &["clone3(CLONE_NEWUSER)", "write(\"/proc/PID/uid_map\", …)"],
    by_hand: &[
        hand("unshare --user sleep 60 &").prints(""),
        hand("echo '0 0 0' > /proc/$!/uid_map  # a length of 0").prints("EINVAL"),
        hand("echo '0 1 1' > /proc/$!/uid_map  # another's ID").prints("EPERM"),
        hand("echo \"7 $(id -u) 1\" > /proc/$!/uid_map; cat /proc/$!/uid_map; kill $!")
            .prints("7 <user id> 1"),
    ],
    claims: &[RULES],
    run: |lab| {
        let grid = Grid::of(User::Ordinary)?;
        lab.table(
            "UID is the writer's own ID outside, OTHER another user's",
            &["written to uid_map", "what it is", "by a user"],
            grid.rows(|_| true, &[&grid]),
        )?;
        lab.compare(RULES, false, true, |breaks_a_rule| {
            Ok(grid.counts(|attempt| (attempt.user != Outcome::Done) == breaks_a_rule))
        })?
        .in_both_arms(outside(UNEXPECTED).is(0))
        .shows(outside(ACCEPTED).is(0))
    },
};

const PRIVILEGED: Claim = Claim::holds(
    "privileged",
    "Root outside can map other users' IDs, ranges and 340 lines, where an ordinary user gets EPERM.",
)
.factor("root as the writer")
.notes(&[130])
.requires(&[
    Requirement::Capability(Capability::CAP_SETUID),
    Requirement::Capability(Capability::CAP_SETGID),
]);

const ROOTS_ID: Claim = Claim::holds(
    "roots-id",
    "Without CAP_SETFCAP, root can map user ID 1 of the parent namespace, and gets EPERM for ID 0.",
)
.factor("0 instead of 1 as the ID outside")
.notes(&[130])
.requires(&[Requirement::Capability(Capability::CAP_SETUID)]);

pub(crate) const WRITE_AS_ROOT: Step = Step {
    title: "Write the same maps as root, from outside, and compare the results.",
    calls: &["write(\"/proc/PID/uid_map\", …)"],
    by_hand: &[hand("unshare --user sleep 60 &").as_root().prints(""), hand("echo '0 1 65535' > /proc/$!/uid_map; cat /proc/$!/uid_map; kill $!").as_root().prints("0 1 65535"), hand("setpriv --bounding-set=-setfcap bash -c 'unshare --user sleep 2 & sleep 1; echo 0 0 1 > /proc/$!/uid_map'").as_root().prints("EPERM"), hand("setpriv --bounding-set=-setfcap bash -c 'unshare --user sleep 2 & sleep 1; echo 1 1 1 > /proc/$!/uid_map'").as_root().prints("").status(0), ],
    claims: &[PRIVILEGED, ROOTS_ID],
    run: |lab| {
        let changes = |attempt: &Attempt| attempt.user != attempt.root;
        let grids = lab.arms(User::Ordinary, User::Root, Grid::of)?;
        let (user, root) = (grids.control(), grids.treatment());
        lab.picture(
            Picture::Heat(2),
            "Maps with different results for a user and for root",
            &["written to uid_map", "what it is", "by a user", "by root"],
            user.rows(changes, &[user, root]),
        )?;
        let same = user.answers.iter().zip(&root.answers).filter(|(user, root)| user.value == root.value);
        lab.saw(Fact::outside("writes with the same result for both", same.count()))?;
        lab.picture(Picture::Bands, "A map as container engines write it", &maps::COLUMNS, two_ranges()?)?;
        lab.judge(PRIVILEGED, grids.map(|grid| grid.counts(changes)))
            .in_both_arms(outside(UNEXPECTED).is(0))
            .shows(outside(ACCEPTED).same_as(outside(WRITES)))?;
        lab.compare(ROOTS_ID, 1, 0, map_without_setfcap)?.shows(inside(WRITE).from("OK").to("EPERM"))
    },
};

/// A write to uid_map, and the results that the rules demand.
struct Attempt {
    shown: String,
    which_is: &'static str,
    /// The map that is written before it, in the same namespace.
    before: Option<String>,
    text: String,
    user: Outcome,
    root: Outcome,
}

/// The result of an attempt.
struct Answer {
    /// The outcome of the write.
    value: Value,
    map_changed: bool,
}

/// All attempts by one writer.
struct Grid {
    writer: User,
    attempts: Vec<Attempt>,
    answers: Vec<Answer>,
}

/// The maps that an ordinary user may write, those for root only, and those that the kernel always rejects.
fn attempts() -> Result<Vec<Attempt>> {
    let (ok, eperm, einval) = (Outcome::Done, Outcome::Failed(Errno::EPERM), Outcome::Failed(Errno::EINVAL));
    let attempt = |shown: &str, text: &str, which_is: &'static str, user: Outcome, root: Outcome| {
        // Shown as in a C string, so that a NUL and a newline are visible.
        let (shown, text) = (shown.escape_debug().to_string(), fill_in(text));
        Attempt { shown, which_is, before: None, text, user, root }
    };
    let good = |text: &str, which_is| attempt(text, text, which_is, ok, ok);
    let no_map = |text: &str, which_is| attempt(text, text, which_is, einval, einval);
    let not_allowed = |text: &str, which_is| attempt(text, text, which_is, eperm, ok);

    // The kernel accepts less than a page in one write.
    let page = sysconf(SysconfVar::PAGE_SIZE).named(|| "sysconf(_SC_PAGESIZE)".into())?;
    let page = usize::try_from(page.unwrap_or(4096))?;
    let padded_to = |width| format!("{:width$}", fill_in("0 UID 1"));
    // From ID 1: since Linux 5.12, mapping ID 0 requires CAP_SETFCAP as well.
    let lines = |count: usize| (1..=count).map(|line| format!("{line} {line} 1\n")).collect::<String>();
    let wraps = format!("0 {} 1", u64::from(user::ids().uid) + (1 << 32));
    Ok(vec![
        good("0 UID 1\n", "the writer's own ID"),
        good("0 UID 1", "no newline"),
        good("\t0  UID\t1 ", "blanks and tabs"),
        good("0 UID 1\n\0uid ", "a NUL, then other bytes"),
        attempt("0 UID 1 …", &padded_to(page - 1), "one byte below a page", ok, ok),
        attempt("0 UID+2³² 1", &wraps, "read modulo 2³²", ok, ok),
        Attempt { before: Some("0 0 0".into()), ..good("0 UID 1", "after a refused write") },
        attempt("(nothing)", "", "an empty write", einval, einval),
        no_map("0 UID 0", "a length of 0"),
        no_map("0 -1 1", "a negative number"),
        no_map("root UID 1", "a name"),
        no_map("0 UID", "two numbers"),
        no_map("0 UID 1 1", "four numbers"),
        no_map("0 UID 1\nuid w", "no NUL, then other bytes"),
        no_map("0 UID 1\n\n", "an empty line"),
        no_map("0 4294967295 1", "the reserved ID (uid_t) -1"),
        no_map("4294967294 UID 2", "a range past the last ID"),
        no_map("0 UID 1\n0 OTHER 1", "an ID inside twice"),
        no_map("0 UID 1\n1 UID 1", "an ID outside twice"),
        attempt("0 UID 1 …", &padded_to(page), "a whole page", einval, einval),
        attempt("1 1 1\n2 2 1\n…", &lines(idmap::MOST_EXTENTS + 1), "341 lines", einval, einval),
        attempt("1 1 1\n2 2 1\n…", &lines(idmap::MOST_EXTENTS), "340 lines", eperm, ok),
        not_allowed("0 OTHER 1", "another user's ID"),
        not_allowed("0 UID 2", "a range of two"),
        not_allowed("0 1 65535", "a range of many"),
        not_allowed("0 UID 1\n1 OTHER 1", "two lines"),
        Attempt {
            before: Some(maps::own_id()),
            ..attempt("0 UID 1", "0 UID 1", "a second write", eperm, eperm)
        },
    ])
}

fn fill_in(text: &str) -> String {
    let ids = user::ids();
    text.replace("UID", &ids.uid.to_string()).replace("OTHER", &ids.other.to_string())
}

impl Grid {
    fn of(writer: User) -> Result<Grid> {
        let attempts = attempts()?;
        let texts: Vec<_> =
            attempts.iter().map(|attempt| (attempt.before.clone(), attempt.text.clone())).collect();
        let mut parent = writer.child("parent", Namespaces::NONE, move |me| {
            for (before, text) in &texts {
                // Each write gets a new namespace, because an accepted map stays.
                let inside = Child::spawn("inside", Namespaces::USER, Reporter::stay)?;
                if let Some(before) = before {
                    Outcome::of(idmap::write_uid_map(Some(inside.pid()), before))?;
                }
                let map_before = idmap::read(Some(inside.pid()), "uid_map")?;
                me.report("write(uid_map)", answer(idmap::write_uid_map(Some(inside.pid()), text))?)?;
                me.report("uid_map changed", idmap::read(Some(inside.pid()), "uid_map")? != map_before)?;
            }
            Ok(())
        })?;
        let mut answers = Vec::new();
        for _ in &attempts {
            answers.push(Answer { value: parent.fact()?.value, map_changed: parent.fact()?.value == true });
        }
        parent.wait()?;
        Ok(Grid { writer, attempts, answers })
    }

    /// A row for each attempt that is `wanted`, with the results in each of `grids`.
    fn rows(&self, wanted: impl Fn(&Attempt) -> bool, grids: &[&Grid]) -> Vec<Vec<Value>> {
        let mut rows = Vec::new();
        for (at, attempt) in self.attempts.iter().enumerate().filter(|(_, attempt)| wanted(attempt)) {
            let mut row: Vec<Value> = vec![attempt.shown.as_str().into(), attempt.which_is.into()];
            row.extend(grids.iter().map(|grid| grid.answers[at].value.clone()));
            rows.push(row);
        }
        rows
    }

    /// The attempts that are `wanted`, counted by their results.
    fn counts(&self, wanted: impl Fn(&Attempt) -> bool) -> Vec<Fact> {
        let asked: Vec<_> =
            self.attempts.iter().zip(&self.answers).filter(|(attempt, _)| wanted(attempt)).collect();
        let count = |is_so: &dyn Fn(&Attempt, &Answer) -> bool| {
            asked.iter().filter(|(attempt, answer)| is_so(attempt, answer)).count()
        };
        let by_the_rules =
            |attempt: &Attempt| if self.writer == User::Root { attempt.root } else { attempt.user };
        vec![
            Fact::outside(WRITES, asked.len()),
            Fact::outside(ACCEPTED, count(&|_, answer| answer.map_changed)),
            Fact::outside("EINVAL", count(&|_, answer| answer.value == "EINVAL")),
            Fact::outside("EPERM", count(&|_, answer| answer.value == "EPERM")),
            Fact::outside(
                UNEXPECTED,
                count(&|attempt, answer| answer.value != Value::from(by_the_rules(attempt))),
            ),
        ]
    }
}

/// The result of a write. An errno other than EINVAL and EPERM is of no rule, and ends the attempts.
fn answer(written: ns_core::Result<()>) -> ns_core::Result<Outcome> {
    match written {
        Err(error) if !matches!(error.errno(), Some(Errno::EINVAL | Errno::EPERM)) => Err(error),
        by_a_rule => Outcome::of(by_a_rule),
    }
}

const WRITE: &str = "write(uid_map)";

/// Root without CAP_SETFCAP maps one user ID of the parent namespace.
fn map_without_setfcap(outside: u32) -> Result<Vec<Fact>> {
    let mut parent = User::Root.child("root", Namespaces::NONE, move |me| {
        process::drop_capability(Capability::CAP_SETFCAP)?;
        let child = Child::spawn("inside", Namespaces::USER, Reporter::stay)?;
        let written = idmap::write_uid_map(Some(child.pid()), &format!("0 {outside} 1\n"));
        me.report("line written", format!("0 {outside} 1"))?;
        me.report(WRITE, Outcome::of(written)?)
    })?;
    Ok(parent.facts()?)
}

/// A map of two ranges, as container engines write it for a user, read back.
fn two_ranges() -> Result<Vec<Vec<Value>>> {
    let text = fill_in("0 UID 1\n1 100000 65536\n");
    let mut parent = User::Root.child("parent", Namespaces::NONE, move |me| {
        let inside = Child::spawn("inside", Namespaces::USER, Reporter::stay)?;
        Outcome::of(idmap::write_uid_map(Some(inside.pid()), &text))?;
        me.report("uid_map", idmap::read(Some(inside.pid()), "uid_map")?)
    })?;
    Ok(maps::rows("uid_map", parent.fact()?.value.as_str().unwrap_or_default()))
}
