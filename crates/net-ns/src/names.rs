//! The device names that the kernel accepts.

use anyhow::Result;
use lesson::{Claim, Step, every, first, hand};
use ns_core::net::Netlink;
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Outcome, Reporter, Value};

const LENGTH: Claim =
    Claim::holds("length", "A device name has at most 15 bytes; with 16, RTM_NEWLINK fails with ERANGE.")
        .factor("a 16th byte")
        .notes(&[66]);
const FORBIDDEN: Claim = Claim::holds(
    "forbidden",
    "RTM_NEWLINK fails with EINVAL for a name with '/', ':', a space or a tab, and for '.' and '..'.",
)
.factor("a forbidden character or name")
.notes(&[66]);
const ESCAPES: Claim = Claim::holds(
    "escapes",
    "A device name can contain an escape sequence: RTM_NEWLINK accepts ESC, but fails with EINVAL for '/'.",
)
.factor("ESC instead of '/'")
.notes(&[66]);
const A0: Claim = Claim::holds(
    "byte-a0",
    "RTM_NEWLINK takes the byte 0xA0 for white space: the name à fails with EINVAL, and é is accepted.",
)
.factor("à instead of é")
.notes(&[66]);
const COUNTS: Claim =
    Claim::holds("counts", "The kernel replaces %d in a device name by a number: n%d becomes n0.")
        .factor("%d")
        .notes(&[66]);

pub(crate) const NAME: Step = Step {
    title: "Create a device with each name, unchecked. Most programs refuse many of these names before the kernel does.",
    calls: &["RTM_NEWLINK(IFLA_IFNAME=…)"],
    by_hand: &[hand("ip link add 'a;b' type bridge; ip link add \"$(printf '\\33[31m')\" type bridge; ip link add 'n%d' type bridge").prints("").in_the_same_shell(), hand("ip -brief link show type bridge | cat -v | cut -d ' ' -f 1").prints("br0\na;b\n^[[31m\nn0"), ],
    claims: &[LENGTH, FORBIDDEN, ESCAPES, A0, COUNTS],
    run: |lab| {
        let empty = Empty::new()?;
        lab.table(
            "Device names",
            &["requested name", "bytes", "outcome", "actual name"],
            NAMES.iter().map(|name| row(&empty.net, name)).collect::<Result<_>>()?,
        )?;
        lab.compare(LENGTH, &["fifteen-bytes-x"][..], &["sixteen-bytes-xx"][..], ask)?
            .shows(first().from("OK").to("ERANGE"))?;
        let permitted = &["a-b", "a_b", "a;b", "a.b", "...", "...."][..];
        let forbidden = &["a/b", "a:b", "a b", "a\tb", ".", ".."][..];
        lab.compare(FORBIDDEN, permitted, forbidden, ask)?.shows(every().from("OK").to("EINVAL"))?;
        lab.compare(ESCAPES, &["/[2J"][..], &["\x1b[2J"][..], ask)?.shows(first().from("EINVAL").to("OK"))?;
        lab.compare(A0, &["é"][..], &["à"][..], ask)?.shows(first().from("OK").to("EINVAL"))?;
        lab.compare(COUNTS, "nd", "n%d", |name| {
            let named = Empty::new()?.net.try_name(name)?;
            Ok(Fact::outside(format!("name of a device requested as {name}"), named))
        })?
        .shows(first().is("n0"))
    },
};

/// Names that people or programs may use.
const NAMES: &[&str] = &[
    "eth0",
    "fifteen-bytes-x",
    "sixteen-bytes-xx",
    "...",
    "-x",
    "a;b",
    "$(id)",
    "*",
    "\x1b[2J",
    "a\x7f",
    "é",
    "à",
    "n%d",
    "n%s",
    "%",
    ".",
    "..",
    "a/b",
    "a:b",
    "a b",
    "a\tb",
    "a\nb",
    "all",
    "default",
    "lo",
];

fn row(net: &Netlink, name: &str) -> Result<Vec<Value>> {
    let tried = net.try_name(name);
    let called = tried.as_ref().map_or(Value::Text("–".into()), |called| called.as_str().into());
    Ok(vec![name.into(), (name.len() as i64).into(), Outcome::of(tried)?.into(), called])
}

fn ask(names: &[&str]) -> Result<Vec<Fact>> {
    let Empty { net, .. } = &Empty::new()?;
    let answer =
        |name: &&str| Ok(Fact::outside(format!("RTM_NEWLINK({name:?})"), Outcome::of(net.try_name(name))?));
    names.iter().map(answer).collect()
}

/// A network namespace without devices but lo. Those that are created in it go with it, which nobody has to wait for: to
/// delete one takes the kernel some grace periods of RCU.
struct Empty {
    net: Netlink,
    _member: Child,
}

impl Empty {
    fn new() -> Result<Empty> {
        let member = Child::spawn("member", Namespaces::NET, Reporter::stay)?;
        let net = Netlink::open_in(&NsFile::of(Some(member.pid()), Kind::Net)?)?;
        Ok(Empty { net, _member: member })
    }
}
