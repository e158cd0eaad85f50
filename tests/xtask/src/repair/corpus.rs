//! The corpus on disk: which bugs there are, and which patches each has. What is in them is read by nobody here.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// One bug, and the patches that are to be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bug {
    pub(super) service: String,
    pub(super) bug: String,
    /// The right one first, if it was chosen.
    pub(super) patches: Vec<Patch>,
}

/// One diff against the broken tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Patch {
    /// `fix`, or `03-swallows`.
    pub(super) name: String,
    pub(super) file: PathBuf,
    pub(super) is_right: bool,
}

impl Bug {
    /// `orders/empty-basket`
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.service, self.bug)
    }
}

/// All bugs with a patch that the names choose; every patch without any name.
pub(super) fn bugs(corpus: &Path, names: &[String]) -> Result<Vec<Bug>> {
    let mut used: BTreeMap<&str, bool> = names.iter().map(|name| (name.as_str(), false)).collect();
    let mut bugs = Vec::new();
    for service in folders(corpus)? {
        let place = corpus.join(&service).join("bugs");
        if !place.is_dir() {
            continue;
        }
        for bug in folders(&place)? {
            let mut patches = patches(&place.join(&bug))?;
            patches.retain(|patch| {
                let of_bug = format!("{service}/{bug}");
                let whole = format!("{of_bug}/{}", patch.name);
                let fits = |name: &&str| *name == service || *name == of_bug || *name == whole;
                let chosen: Vec<&str> = names.iter().map(String::as_str).filter(fits).collect();
                used.extend(chosen.iter().map(|name| (*name, true)));
                names.is_empty() || !chosen.is_empty()
            });
            if !patches.is_empty() {
                bugs.push(Bug { service: service.clone(), bug, patches });
            }
        }
    }
    let unknown = used.iter().find(|(_, used)| !**used).map(|(name, _)| *name);
    ensure!(unknown.is_none(), "there is nothing in the corpus called `{}`", unknown.unwrap_or_default());
    ensure!(!bugs.is_empty(), "there is no bug in `{}`", corpus.display());
    Ok(bugs)
}

fn patches(bug: &Path) -> Result<Vec<Patch>> {
    let right = Patch { name: "fix".to_owned(), file: bug.join("fix.diff"), is_right: true };
    let mut all = vec![right];
    for file in names(&bug.join("wrong"))? {
        let name = file.strip_suffix(".diff").context("a patch that is no `.diff`")?;
        let file = bug.join("wrong").join(&file);
        all.push(Patch { name: name.to_owned(), file, is_right: false });
    }
    Ok(all)
}

fn folders(dir: &Path) -> Result<Vec<String>> {
    Ok(names(dir)?.into_iter().filter(|name| dir.join(name).is_dir()).collect())
}

fn names(dir: &Path) -> Result<Vec<String>> {
    let failed = || format!("cannot read `{}`", dir.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).with_context(failed)? {
        names.extend(entry.with_context(failed)?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus() -> PathBuf {
        crate::workspace_root().join("tests/repair")
    }

    fn chosen(names: &[&str]) -> Result<Vec<Bug>> {
        bugs(&corpus(), &names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_name_chooses_what_it_names_and_nothing_else() {
        let all = chosen(&[]).unwrap();
        let count = |bugs: &[Bug]| bugs.iter().map(|bug| bug.patches.len()).sum::<usize>();
        assert!(all.len() >= 40 && count(&all) >= 400 + all.len());
        let orders = chosen(&["orders"]).unwrap();
        assert!(orders.len() > 1 && orders.iter().all(|bug| bug.service == "orders"));
        let one = chosen(&["orders/empty-basket"]).unwrap();
        assert!(one.len() == 1 && one[0].patches.len() > 10 && one[0].patches[0].is_right);
        let two = chosen(&["orders/empty-basket/fix", "orders/empty-basket/02-swallows"]).unwrap();
        assert_eq!((two.len(), count(&two)), (1, 2));
        assert!(chosen(&["orders/no-such-bug"]).is_err());
    }
}
