//! Keys: a user has one user keyring in each user namespace.

use anyhow::Result;
use lesson::user::in_z;
use lesson::{Claim, Requirement, Step, hand, inside};
use ns_core::probe::Unmet;
use ns_core::{Child, Fact, Namespaces, Outcome};

use crate::keys;
use crate::user::stay_root;

const KEY: &str = "inception";

const KEYS: Claim = Claim::holds(
    "keys",
    "In a new user namespace the user has another keyring: KEYCTL_SEARCH for the old key fails with ENOKEY.",
)
.factor("CLONE_NEWUSER")
.notes(&[110])
.requires(&[Requirement::Probe(a_keyring)]);

pub(crate) const LOOK_FOR_A_KEY: Step = Step {
    title: "Add a key to the user keyring in Z. Search for it in Z, then in A, as the same user.",
    calls: &[
        "add_key(\"user\", …, KEY_SPEC_USER_KEYRING)",
        "keyctl(KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, …)",
    ],
    by_hand: &[hand("unshare -Ur sh -c 'keyctl add user k v @u; keyctl search @u user k; unshare -Ur keyctl search @u user k'").prints("<key>\n<key>\n…"), ],
    claims: &[KEYS],
    run: |lab| {
        lab.compare(KEYS, Namespaces::NONE, Namespaces::USER, look_for_a_key)?.shows(
            inside("keyctl(KEYCTL_SEARCH)").is("ENOKEY") & inside("same keyring as in Z").is("no"),
        )
    },
};

fn look_for_a_key(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_z(Namespaces::NONE, move |me| {
        let key = keys::add(KEY)?;
        let keyring = keys::user_keyring()?;
        let mut child = Child::spawn("root of A", namespaces, move |me| {
            stay_root(namespaces)?;
            let found = match keys::find(KEY)? {
                Some(found) if found == key => "the key",
                Some(_) => "another key",
                None => "ENOKEY",
            };
            me.report("keyctl(KEYCTL_SEARCH)", found)?;
            me.report("same keyring as in Z", keys::user_keyring()? == keyring)
        })?;
        child.pass_on(me)
    })
}

/// What prevents this process from using keyrings, such as the seccomp filter of a container engine. A child tries.
fn a_keyring() -> ns_core::Result<Option<Unmet>> {
    let facts = in_z(Namespaces::NONE, |me| me.report("add_key()", Outcome::of(keys::add(KEY))?));
    let facts = facts.map_err(|error| ns_core::Error::Input(error.to_string()))?;
    let answer = facts.first().map_or("nothing".into(), |fact| fact.value.to_string());
    Ok((answer != "OK").then(|| {
        Unmet::new(
            format!("a keyring: add_key() returns {answer}"),
            "run outside of a container, on a kernel with CONFIG_KEYS",
        )
    }))
}
