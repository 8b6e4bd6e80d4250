//! The files of a crate, and the modules that they are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Item, Meta};

/// A module by its names from the root of its crate, which is empty itself.
pub(crate) type Module = Vec<String>;

/// A crate's source.
pub(crate) struct Crate {
    pub(crate) files: BTreeMap<Module, File>,
}

/// A file.
pub(crate) struct File {
    /// Below the crate's `src`.
    pub(crate) name: String,
    pub(crate) syntax: syn::File,
    pub(crate) is_facade: bool,
}

impl Crate {
    /// Reads `root`, a `lib.rs` or `main.rs`, and every file that is a module of it.
    pub(crate) fn read(root: &Path) -> Crate {
        let source = root.parent().expect("a directory").to_path_buf();
        let mut files = BTreeMap::new();
        read_into(&mut files, &source, root, Vec::new());
        Crate { files }
    }

    /// Facades that hold more than `mod` and `use`.
    pub(crate) fn overfull_facades(&self) -> impl Iterator<Item = String> {
        self.files.values().filter(|file| file.is_facade).filter_map(|file| {
            let items = file.syntax.items.iter().filter(|item| !is_for_tests(item));
            let more: Vec<_> = items.filter_map(what_it_is).collect();
            (!more.is_empty()).then(|| format!("facade: {} holds {}", file.name, more.join(", ")))
        })
    }
}

fn read_into(files: &mut BTreeMap<Module, File>, source: &Path, path: &Path, module: Module) {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let is_root = matches!(stem.as_str(), "lib" | "main" | "mod");
    let beside = if is_root { path.with_file_name("") } else { path.with_file_name(&stem) };
    for item in syntax.items.iter().filter(|item| !is_for_tests(item)) {
        let Item::Mod(declared) = item else { continue };
        if declared.content.is_some() {
            continue;
        }
        let name = declared.ident.to_string();
        let candidates: [PathBuf; 2] = [beside.join(format!("{name}.rs")), beside.join(&name).join("mod.rs")];
        let found = candidates.iter().find(|path| path.is_file());
        let found = found.unwrap_or_else(|| panic!("{}: no file for mod {name}", path.display()));
        read_into(files, source, found, [module.as_slice(), &[name]].concat());
    }
    let is_facade = matches!(stem.as_str(), "lib" | "mod") || (!is_root && beside.is_dir());
    let name = path.strip_prefix(source).unwrap_or(path).display().to_string();
    files.insert(module, File { name, syntax, is_facade });
}

/// Whether it is compiled for tests alone.
pub(crate) fn is_for_tests(item: &Item) -> bool {
    attributes(item).iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && matches!(&attribute.meta, Meta::List(list) if list.tokens.to_string() == "test")
    })
}

fn attributes(item: &Item) -> &[syn::Attribute] {
    match item {
        Item::Const(it) => &it.attrs,
        Item::Enum(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Macro(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        Item::Static(it) => &it.attrs,
        Item::Struct(it) => &it.attrs,
        Item::Trait(it) => &it.attrs,
        Item::Type(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => &[],
    }
}

/// What an item is that a facade may not hold; `None` for what it may.
fn what_it_is(item: &Item) -> Option<String> {
    Some(match item {
        Item::Use(_) | Item::ExternCrate(_) => return None,
        Item::Mod(it) if it.content.is_none() => return None,
        Item::Mod(it) => format!("mod {} {{…}}", it.ident),
        Item::Const(it) => format!("const {}", it.ident),
        Item::Enum(it) => format!("enum {}", it.ident),
        Item::Fn(it) => format!("fn {}", it.sig.ident),
        Item::Impl(_) => "an impl".into(),
        Item::Static(it) => format!("static {}", it.ident),
        Item::Struct(it) => format!("struct {}", it.ident),
        Item::Trait(it) => format!("trait {}", it.ident),
        Item::Type(it) => format!("type {}", it.ident),
        _ => "more".into(),
    })
}
