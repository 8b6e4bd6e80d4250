//! Whether the source of this workspace is built in floors: no file imports a file that imports it, directly or by others,
//! and a facade holds `mod` and `use` only.
//!
//! A facade is a `lib.rs`, a `mod.rs`, or a `foo.rs` beside a directory `foo`. It is no floor of its own: who imports a name
//! from it imports the file that defines the name. Tests inside a file may import what they like.

mod circles;
mod crates;
mod imports;
mod modules;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use circles::Graph;
use modules::Crate;

/// What is wrong with the source of a crate, a line each. `root` is its `lib.rs` or `main.rs`.
fn faults(root: &Path) -> Vec<String> {
    let source = Crate::read(root);
    let mut faults: Vec<String> = source.overfull_facades().collect();
    faults.extend(Graph::of(imports::of(&source)).circles());
    faults
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn roots(name: &str) -> Vec<PathBuf> {
    let source = workspace().join(name).join("src");
    ["lib.rs", "main.rs"].map(|root| source.join(root)).into_iter().filter(|root| root.is_file()).collect()
}

fn crates() -> BTreeSet<String> {
    let entries = fs::read_dir(workspace()).expect("the directory of the crates");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| !roots(name).is_empty()).collect()
}

#[test]
fn no_file_imports_a_file_that_imports_it() {
    let mut found = Vec::new();
    for name in crates() {
        let faults = roots(&name).into_iter().flat_map(|root| faults(&root));
        found.extend(faults.map(|fault| format!("{name}: {fault}")));
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// Data below, doing above it, telling above that. An experiment sees no other; what only reads transcripts is built without
/// a system call.
#[test]
fn a_crate_is_built_of_those_below_it() {
    const BELOW: &[(&str, &[&str])] = &[
        ("observation", &[]),
        ("ns-core", &["observation"]),
        ("transcript", &["observation"]),
        ("exercise", &["ns-core", "observation", "wake"]),
        ("map", &["ns-core", "observation", "shell", "wake"]),
        ("pages", &["ns-core"]),
        ("wake", &["ns-core"]),
        ("residue", &[]),
        ("promises", &["lesson", "residue", "transcript"]),
        ("machines", &["ns-core", "residue", "transcript"]),
        ("shell", &["ns-core"]),
        ("lesson", &["ns-core", "observation", "shell", "transcript"]),
        ("inception", &["exercise", "lesson", "ns-core", "pages", "residue", "shell", "transcript"]),
        ("ns-map", &["lesson", "map", "ns-core", "pages"]),
        ("ns-map-live", &["lesson", "map", "ns-core", "shell"]),
        ("ns-trace", &["lesson", "ns-core", "pages"]),
        ("xtask", &["lesson", "observation", "residue", "transcript"]),
    ];
    const OF_AN_EXPERIMENT: &[&str] = &["lesson", "ns-core", "transcript"];
    let below: BTreeMap<_, _> = BELOW.iter().copied().collect();
    let mut found = 0;
    for (name, used) in crates::built_of() {
        let below = below.get(name.as_str()).copied().unwrap_or(OF_AN_EXPERIMENT);
        let wrong: Vec<_> = used.iter().filter(|it| !below.contains(&it.as_str())).collect();
        assert!(wrong.is_empty(), "{name} is built of {wrong:?}, which is not below it");
        found += 1;
    }
    assert!(found > BELOW.len(), "only {found} crates were found");
}

/// What ratatui is in needs a newer Rust than Debian 13's. All else is built without a word about it.
#[test]
fn a_plain_cargo_build_leaves_out_what_needs_a_newer_rust() {
    assert_eq!(crates::left_out(), [("ns-map-live".to_string(), "1.88".to_string())]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A crate of these files, written to a directory of its own.
    struct Written(PathBuf);

    impl Written {
        fn new(files: &[(&str, &str)]) -> Written {
            use std::sync::atomic::{AtomicU32, Ordering};
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let directory = std::env::temp_dir().join(format!("floors-{}-{number}", std::process::id()));
            for (name, text) in files {
                let path = directory.join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Written(directory)
        }

        fn faults(&self) -> Vec<String> {
            faults(&self.0.join("lib.rs"))
        }
    }

    impl Drop for Written {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn faults_of(files: &[(&str, &str)]) -> Vec<String> {
        Written::new(files).faults()
    }

    const TWO: (&str, &str) = ("lib.rs", "mod a; mod b;");

    #[test]
    fn floors_are_good() {
        let faults =
            faults_of(&[TWO, ("a.rs", "use crate::b::{self, B}; fn a() { b::c() }"), ("b.rs", "struct B;")]);
        assert!(faults.is_empty(), "{faults:?}");
    }

    #[test]
    fn whatever_form_an_import_has_a_circle_is_found() {
        for import in [
            "use crate::a::A;",
            "use super::a::A;",
            "use crate::{c::C, a::{A, self as other}};",
            "pub(crate) use crate::a::A;",
            "pub use crate::a::*;",
            "fn b() { crate::a::x() }",
            "fn b(a: super::a::A) {}",
            "use crate::a; fn b() { a::x() }",
            "use super::a as other; fn b() -> other::A { other::x() }",
            "fn b() { println!(\"{}\", crate::a::x()) }",
            "mod inner { use crate::a::A; }",
            "fn b() { use crate::a::A; }",
            "impl crate::a::T for B {}",
            "fn b() { let crate::a::A { .. } = b(); }",
        ] {
            let faults = faults_of(&[TWO, ("a.rs", "use crate::b::B;"), ("b.rs", import)]);
            assert_eq!(faults.len(), 1, "{import}: {faults:?}");
            assert!(faults[0].starts_with("circle: a.rs -> b.rs -> a.rs"), "{faults:?}");
        }
    }

    #[test]
    fn what_goes_by_a_third_file_is_a_circle_too() {
        let faults = faults_of(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "use crate::c::C;"),
            ("c.rs", "use crate::a::A;"),
        ]);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].starts_with("circle: a.rs -> b.rs -> c.rs -> a.rs"), "{faults:?}");
    }

    #[test]
    fn a_facade_is_seen_through() {
        let facade = "mod low; mod high; pub use high::High; pub use low::{Low, Lower as Deep}; pub(crate) use low::*;";
        let good = faults_of(&[
            ("lib.rs", "mod a; mod b; pub use b::Low;"),
            ("a.rs", "pub struct A;"),
            ("b.rs", facade),
            ("b/high.rs", "use super::Low; use super::low::Lower; use crate::a::A; pub struct High;"),
            ("b/low.rs", "pub struct Low; pub struct Lower; pub fn f() {}"),
        ]);
        assert!(good.is_empty(), "{good:?}");
        for import in
            ["use super::High;", "use super::high;\nfn f() { high::f() }", "use crate::b; fn f() { b::High }"]
        {
            let bad = faults_of(&[
                ("lib.rs", "mod a; mod b;"),
                ("a.rs", ""),
                ("b.rs", facade),
                ("b/high.rs", "use super::Deep; pub struct High;"),
                ("b/low.rs", import),
            ]);
            assert_eq!(bad.len(), 1, "{import}: {bad:?}");
        }
    }

    #[test]
    fn what_only_tests_import_is_no_arrow() {
        let faults = faults_of(&[
            TWO,
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "#[cfg(test)] mod tests { use crate::a::A; } #[cfg(test)] use crate::a::B;"),
        ]);
        assert!(faults.is_empty(), "{faults:?}");
    }

    #[test]
    fn names_of_other_crates_and_of_the_file_itself_are_no_arrow() {
        let faults = faults_of(&[
            TWO,
            (
                "a.rs",
                "use std::fs; use b_lib::a; use self::inner::X; mod inner { pub struct X; } fn f() { Self::g() }",
            ),
            ("b.rs", "use nix::a::A; fn a() { a::b() }"),
        ]);
        assert!(faults.is_empty(), "{faults:?}");
    }

    #[test]
    fn a_facade_that_holds_more_is_told() {
        for (file, text) in [("lib.rs", "mod a; fn f() {}"), ("lib.rs", "mod a; pub const X: u8 = 1;")] {
            let faults = faults_of(&[(file, text), ("a.rs", "")]);
            assert_eq!(faults.len(), 1, "{text}: {faults:?}");
            assert!(faults[0].starts_with("facade: lib.rs holds"), "{faults:?}");
        }
        let beside = faults_of(&[("lib.rs", "mod a;"), ("a.rs", "mod b; struct A;"), ("a/b.rs", "")]);
        assert!(beside[0].starts_with("facade: a.rs holds struct A"), "{beside:?}");
        let good = faults_of(&[
            ("lib.rs", "//! Words.\n#![allow(x)]\npub mod a;"),
            ("a/mod.rs", "#[cfg(test)] mod tests { fn f() {} }"),
        ]);
        assert!(good.is_empty(), "{good:?}");
    }
}
