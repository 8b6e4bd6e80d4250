//! What a device may be called: what the kernel takes, as it stands.

use anyhow::Result;
use lesson::{Claim, Step, every, first, hand};
use ns_core::net::Netlink;
use ns_core::{Fact, Outcome, Value};

const LENGTH: Claim = Claim::holds("length", "A device's name has at most 15 bytes: with 16, ERANGE.")
    .factor("a 16th byte")
    .notes(&[66]);
const FORBIDDEN: Claim = Claim::holds(
    "forbidden",
    "The kernel refuses '/', ':' and white space in a device's name, and the names '.' and '..': EINVAL.",
)
.factor("what could be mistaken for a path or an end")
.notes(&[66]);
const ESCAPES: Claim = Claim::holds(
    "escapes",
    "A device's name may have an escape sequence in it: the kernel takes ESC, where it refuses '/'.",
)
.factor("ESC instead of '/'")
.notes(&[66]);
const A0: Claim = Claim::holds(
    "byte-a0",
    "A name with the byte 0xA0 is refused as white space: no device is called à, though one may be called é.",
)
.factor("à instead of é")
.notes(&[66]);
const COUNTS: Claim =
    Claim::holds("counts", "For %d in a device's name the kernel puts a number: n%d becomes n0.")
        .factor("%d")
        .notes(&[66]);

pub(crate) const NAME: Step = Step {
    title: "Ask the kernel for a device of each name, as it stands; most programs would refuse many of them first.",
    calls: &["RTM_NEWLINK(IFLA_IFNAME=…)"],
    by_hand: &[hand("ip link add 'a;b' type bridge; ip link add \"$(printf '\\33[31m')\" type bridge; ip link add 'n%d' type bridge").prints("").in_the_same_shell(), hand("ip -brief link show type bridge | cat -v | cut -d ' ' -f 1").prints("br0\na;b\n^[[31m\nn0"), ],
    claims: &[LENGTH, FORBIDDEN, ESCAPES, A0, COUNTS],
    run: |lab| {
        let net = Netlink::open()?;
        lab.table(
            "What a device may be called",
            &["asked for", "bytes", "the kernel says", "it is called"],
            NAMES.iter().map(|name| row(&net, name)).collect::<Result<_>>()?,
        )?;
        let ask = |names: &[&str]| ask(&net, names);
        lab.compare(LENGTH, &["fifteen-bytes-x"][..], &["sixteen-bytes-xx"][..], ask)?
            .shows(first().from("OK").to("ERANGE"))?;
        let permitted = &["a-b", "a_b", "a;b", "a.b", "...", "...."][..];
        let forbidden = &["a/b", "a:b", "a b", "a\tb", ".", ".."][..];
        lab.compare(FORBIDDEN, permitted, forbidden, ask)?.shows(every().from("OK").to("EINVAL"))?;
        lab.compare(ESCAPES, &["/[2J"][..], &["\x1b[2J"][..], ask)?.shows(first().from("EINVAL").to("OK"))?;
        lab.compare(A0, &["é"][..], &["à"][..], ask)?.shows(first().from("OK").to("EINVAL"))?;
        lab.compare(COUNTS, "nd", "n%d", |name| {
            Ok(Fact::outside(format!("a device made as {name} is called"), net.try_name(name)?))
        })?
        .shows(first().is("n0"))
    },
};

/// What people and programs may give.
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

fn ask(net: &Netlink, names: &[&str]) -> Result<Vec<Fact>> {
    let answer =
        |name: &&str| Ok(Fact::outside(format!("RTM_NEWLINK({name:?})"), Outcome::of(net.try_name(name))?));
    names.iter().map(answer).collect()
}
