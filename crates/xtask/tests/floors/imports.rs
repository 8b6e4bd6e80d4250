//! Which file of a crate imports which, by what path.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Item, ItemMod, ItemUse, Macro, Path, UseTree};

use crate::modules::{Crate, File, Module, is_for_tests};

/// An arrow from a file to one that it imports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Import {
    pub(crate) from: String,
    pub(crate) to: String,
    /// As it is written there.
    pub(crate) path: String,
}

/// All of a crate.
pub(crate) fn of(source: &Crate) -> BTreeSet<Import> {
    let mut imports = BTreeSet::new();
    // A facade's own lines are what it is seen through by.
    for (module, file) in source.files.iter().filter(|(_, file)| !file.is_facade) {
        let mut seen =
            Paths { source, module, inner: Vec::new(), aliases: BTreeMap::new(), found: BTreeSet::new() };
        // Twice, since a path may stand above the `use` that gives its first name a meaning.
        seen.visit_file(&file.syntax);
        seen.visit_file(&file.syntax);
        for (target, path) in seen.found {
            let Some(to) = source.files.get(&target) else { continue };
            if to.name != file.name {
                imports.insert(Import { from: file.name.clone(), to: to.name.clone(), path });
            }
        }
    }
    imports
}

/// The paths of one file that lead to another of the same crate.
struct Paths<'a> {
    source: &'a Crate,
    module: &'a Module,
    /// Modules that are written out in the file, around what is looked at.
    inner: Vec<String>,
    /// Names that `use` gives to modules.
    aliases: BTreeMap<String, Module>,
    found: BTreeSet<(Module, String)>,
}

impl Paths<'_> {
    fn add(&mut self, names: &[String]) {
        if let Some(target) = self.absolute(names).and_then(|names| file_of(self.source, &names, 0)) {
            self.found.insert((target, names.join("::")));
        }
    }

    /// From the root of the crate; `None` for names of other crates.
    fn absolute(&self, names: &[String]) -> Option<Vec<String>> {
        let here = || [self.module.as_slice(), &self.inner].concat();
        let (first, mut rest) = names.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Vec::new(),
            "self" => here(),
            "super" => {
                let mut at = here();
                at.pop();
                while let Some(("super", more)) = rest.split_first().map(|(name, more)| (name.as_str(), more))
                {
                    at.pop();
                    rest = more;
                }
                at
            }
            name => match self.aliases.get(name) {
                Some(module) => module.clone(),
                // A module below this one, declared here.
                None => {
                    let below = [here().as_slice(), &[name.to_string()]].concat();
                    self.source.files.contains_key(&below).then_some(below)?
                }
            },
        };
        at.extend_from_slice(rest);
        Some(at)
    }

    fn walk(&mut self, tree: &UseTree, before: &mut Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.walk(&path.tree, before);
                before.pop();
            }
            UseTree::Name(name) => self.leaf(before, &name.ident.to_string(), None),
            UseTree::Rename(rename) => {
                self.leaf(before, &rename.ident.to_string(), Some(rename.rename.to_string()));
            }
            UseTree::Glob(_) => self.leaf(before, "*", None),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.walk(tree, before)),
        }
    }

    fn leaf(&mut self, before: &[String], name: &str, rename: Option<String>) {
        let mut names = before.to_vec();
        if name != "self" || before.is_empty() {
            names.push(name.into());
        }
        if let Some(target) = self.absolute(&names) {
            if self.source.files.contains_key(&target) {
                let alias = rename.or_else(|| target.last().cloned()).unwrap_or_default();
                self.aliases.insert(alias, target);
            }
        }
        self.add(&names);
    }

    /// `crate::a::b` and the like among the tokens of a macro, which are not parsed.
    fn scan(&mut self, tokens: TokenStream) {
        let mut names: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.end(&mut names);
                    }
                    names.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && !names.is_empty() => colons += 1,
                TokenTree::Group(group) => {
                    self.end(&mut names);
                    self.scan(group.stream());
                }
                _ => self.end(&mut names),
            }
        }
        self.end(&mut names);
    }

    fn end(&mut self, names: &mut Vec<String>) {
        if names.len() > 1 {
            self.add(names);
        }
        names.clear();
    }
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if item.content.is_some() {
            self.inner.push(item.ident.to_string());
            visit::visit_item_mod(self, item);
            self.inner.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.walk(&item.tree, &mut Vec::new());
    }

    fn visit_path(&mut self, path: &'ast Path) {
        // One name alone is local, or was imported by a `use`.
        if path.segments.len() > 1 && path.leading_colon.is_none() {
            let names: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.add(&names);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        self.scan(item.tokens.clone());
        visit::visit_macro(self, item);
    }
}

/// The file that defines what these names from the root lead to, seen through facades. `None` if it is a facade itself,
/// which is an alias of a module and no import yet, or if it is not of this crate.
fn file_of(source: &Crate, names: &[String], depth: usize) -> Option<Module> {
    // A facade that re-exports its own name would lead nowhere.
    if depth > 20 {
        return None;
    }
    let at = (0..=names.len()).rev().find(|length| source.files.contains_key(&names[..*length]))?;
    let (module, rest) = names.split_at(at);
    let file = &source.files[module];
    if !file.is_facade {
        return Some(module.to_vec());
    }
    let (first, more) = rest.split_first()?;
    for (name, target) in exports(file, module) {
        if name == *first {
            return file_of(source, &[target.as_slice(), more].concat(), depth + 1);
        }
        if name == "*" {
            let found = file_of(source, &[target.as_slice(), rest].concat(), depth + 1);
            if let Some(found) = found.filter(|found| defines(&source.files[found], first)) {
                return Some(found);
            }
        }
    }
    None
}

/// What a facade gives names to: each name with what it stands for, from the root; `*` for all of a module.
fn exports(file: &File, module: &[String]) -> Vec<(String, Vec<String>)> {
    let mut exports = Vec::new();
    for item in &file.syntax.items {
        if let Item::Use(item) = item {
            collect(&item.tree, &mut Vec::new(), module, &mut exports);
        }
    }
    exports
}

fn collect(
    tree: &UseTree,
    before: &mut Vec<String>,
    module: &[String],
    exports: &mut Vec<(String, Vec<String>)>,
) {
    let from_root = |before: &[String], name: &str| {
        let mut names = before.to_vec();
        if name != "self" && name != "*" {
            names.push(name.into());
        }
        match names.first().map(String::as_str) {
            Some("crate") => names.split_off(1),
            Some("self") => [module, &names[1..]].concat(),
            Some("super") => [&module[..module.len().saturating_sub(1)], &names[1..]].concat(),
            _ => [module, &names].concat(),
        }
    };
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            collect(&path.tree, before, module, exports);
            before.pop();
        }
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            let given =
                if name == "self" { before.last().cloned().unwrap_or_default() } else { name.clone() };
            exports.push((given, from_root(before, &name)));
        }
        UseTree::Rename(rename) => {
            exports.push((rename.rename.to_string(), from_root(before, &rename.ident.to_string())));
        }
        UseTree::Glob(_) => exports.push(("*".into(), from_root(before, "*"))),
        UseTree::Group(group) => group.items.iter().for_each(|tree| collect(tree, before, module, exports)),
    }
}

/// Whether a file has an item of that name at its top.
fn defines(file: &File, name: &str) -> bool {
    file.syntax.items.iter().any(|item| match item {
        Item::Const(it) => it.ident == name,
        Item::Enum(it) => it.ident == name,
        Item::Fn(it) => it.sig.ident == name,
        Item::Macro(it) => it.ident.as_ref().is_some_and(|ident| ident == name),
        Item::Static(it) => it.ident == name,
        Item::Struct(it) => it.ident == name,
        Item::Trait(it) => it.ident == name,
        Item::Type(it) => it.ident == name,
        _ => false,
    })
}
