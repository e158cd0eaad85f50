//! What a source says once comments, text and tests are taken away. It understands tokens, not types: an alias such as
//! `use std as other` would deceive it, and a reviewer would not let it pass.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path such as `std::fs::read`, with groups of `use` written out, or a single word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    /// Its segments, joined by `::`.
    pub(crate) path: String,
    /// Where, from 1.
    pub(crate) line: usize,
    /// A `!` follows.
    pub(crate) is_macro: bool,
}

impl Name {
    /// Its segments.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &str> {
        self.path.split("::")
    }
}

/// Whether code that is compiled for tests alone is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tests {
    /// It is.
    Included,
    /// It is not.
    Excluded,
}

/// Every name in a source, in order.
pub(crate) fn names(source: &str, tests: Tests) -> Vec<Name> {
    let stream = TokenStream::from_str(source).expect("it compiles, so it can be read");
    let mut names = Vec::new();
    collect(&without_tests(stream, tests, &mut Vec::new()), "", &mut names);
    names
}

/// The attributes of a source: `cfg(test)`, `ignore`, …, without white space, each with its line.
pub(crate) fn attributes(source: &str) -> Vec<(String, usize)> {
    fn walk(stream: TokenStream, found: &mut Vec<(String, usize)>) {
        let trees: Vec<_> = stream.into_iter().collect();
        for (at, tree) in trees.iter().enumerate() {
            found.extend(attribute(&trees, at).map(|text| (text, tree.span().start().line)));
            if let TokenTree::Group(group) = tree {
                walk(group.stream(), found);
            }
        }
    }
    let mut found = Vec::new();
    walk(TokenStream::from_str(source).expect("it compiles, so it can be read"), &mut found);
    found
}

/// The files and directories that hold a file's test modules.
pub(crate) fn test_modules(file: &Path, source: &str) -> BTreeSet<PathBuf> {
    let stream = TokenStream::from_str(source).expect("it compiles, so it can be read");
    let mut modules = Vec::new();
    without_tests(stream, Tests::Excluded, &mut modules);
    let stem = file.file_stem().unwrap_or_default();
    let parent = file.parent().unwrap_or(Path::new(""));
    let own = if ["lib", "main", "mod"].iter().any(|name| stem == *name) {
        parent.into()
    } else {
        parent.join(stem)
    };
    modules.iter().flat_map(|module| [own.join(format!("{module}.rs")), own.join(module)]).collect()
}

/// What is left of a stream; the names of file modules that went are noted.
fn without_tests(stream: TokenStream, tests: Tests, modules: &mut Vec<String>) -> Vec<TokenTree> {
    let trees: Vec<_> = stream.into_iter().collect();
    if tests == Tests::Included {
        return trees;
    }
    let mut kept = Vec::new();
    let mut at = 0;
    while at < trees.len() {
        if attribute(&trees, at).is_some_and(|text| text == "cfg(test)" || text.starts_with("cfg(all(test")) {
            let item = &trees[at + 2..];
            let length = item.iter().position(ends_item).map_or(item.len(), |end| end + 1);
            if let Some(module) = module_file(&item[..length]) {
                modules.push(module);
            }
            at += 2 + length;
            continue;
        }
        kept.push(match &trees[at] {
            TokenTree::Group(group) => {
                let inner = without_tests(group.stream(), tests, modules);
                let mut inner = proc_macro2::Group::new(group.delimiter(), inner.into_iter().collect());
                inner.set_span(group.span());
                TokenTree::Group(inner)
            }
            other => other.clone(),
        });
        at += 1;
    }
    kept
}

fn ends_item(tree: &TokenTree) -> bool {
    match tree {
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        _ => false,
    }
}

/// `mod name ;` at the end of an item.
fn module_file(item: &[TokenTree]) -> Option<String> {
    match item {
        [.., TokenTree::Ident(word), TokenTree::Ident(name), TokenTree::Punct(_)] if word == "mod" => {
            Some(name.to_string())
        }
        _ => None,
    }
}

/// The inside of an attribute that begins here, without white space.
fn attribute(trees: &[TokenTree], at: usize) -> Option<String> {
    let (TokenTree::Punct(mark), TokenTree::Group(group)) = (trees.get(at)?, trees.get(at + 1)?) else {
        return None;
    };
    let is_attribute = mark.as_char() == '#' && group.delimiter() == Delimiter::Bracket;
    is_attribute.then(|| group.stream().to_string().split_whitespace().collect())
}

fn collect(trees: &[TokenTree], prefix: &str, names: &mut Vec<Name>) {
    let mut at = 0;
    while let Some(tree) = trees.get(at) {
        at += 1;
        match tree {
            TokenTree::Group(group) => collect(&group.stream().into_iter().collect::<Vec<_>>(), "", names),
            TokenTree::Ident(first) => {
                let mut path = format!("{prefix}{first}");
                while is_separator(trees, at) {
                    match trees.get(at + 2) {
                        Some(TokenTree::Ident(next)) => path = format!("{path}::{next}"),
                        Some(TokenTree::Punct(star)) if star.as_char() == '*' => path.push_str("::*"),
                        _ => break,
                    }
                    at += 3;
                }
                if let Some(TokenTree::Group(group)) = trees.get(at + 2)
                    && is_separator(trees, at)
                    && group.delimiter() == Delimiter::Brace
                {
                    collect(&group.stream().into_iter().collect::<Vec<_>>(), &format!("{path}::"), names);
                    at += 3;
                    continue;
                }
                let is_macro = matches!(trees.get(at), Some(TokenTree::Punct(mark)) if mark.as_char() == '!');
                names.push(Name { path, line: first.span().start().line, is_macro });
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

fn is_separator(trees: &[TokenTree], at: usize) -> bool {
    let colon = |at: usize| matches!(trees.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
    colon(at) && colon(at + 1)
}

#[test]
fn groups_of_use_are_written_out_and_text_is_not_code() {
    let source = r#"
        //! std::fs::read
        use std::{fs, net::{IpAddr, TcpStream as Tcp}};
        use tokio::*;
        fn f() { print!("{} std::env", ::std::env::var("std::thread")) }
    "#;
    let names: Vec<_> = names(source, Tests::Included).into_iter().map(|name| name.path).collect();
    for expected in ["std::fs", "std::net::IpAddr", "std::net::TcpStream", "tokio::*", "std::env::var"] {
        assert!(names.iter().any(|name| name == expected), "{expected} is missing from {names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("read") || name.contains("thread")), "{names:?}");
}

#[test]
fn what_is_compiled_for_tests_alone_is_left_out() {
    let source = "
        #[cfg(test)] mod tests { fn t() { std::fs::read() } }
        #[cfg(test)] pub(crate) mod testing;
        #[cfg(all(test, unix))] use std::env;
        #[cfg(not(test))] use std::thread;
        mod inner { #[cfg(test)] fn t() { std::process::exit(1) } }
    ";
    let left: Vec<_> = names(source, Tests::Excluded).into_iter().map(|name| name.path).collect();
    let left: Vec<_> = left.iter().filter(|name| name.starts_with("std::")).collect();
    assert_eq!(left, ["std::thread"]);
    let modules = test_modules(Path::new("src/grants.rs"), source);
    assert_eq!(modules, [PathBuf::from("src/grants/testing"), "src/grants/testing.rs".into()].into());
}
