//! What a document lets be patched of each component: `patch` and the component's directory, turned into [`Rules`]. Also the
//! way to one component's rules for whoever asks about a patch and about nothing else: it needs no plugins.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::build::{config, name, unique, workdir};
use super::place::{Place, Problems, quote};
use crate::document::boot::Component;
use crate::id::ComponentId;
use crate::patch::{Closed, FilePath, Pattern, Rules};
use crate::problem::Problem;

/// Where a component's files are, and what of them may be patched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patchable {
    /// The component.
    pub id: ComponentId,
    /// Its directory; absolute.
    pub workdir: String,
    /// What may be changed below it.
    pub rules: Rules,
}

/// Reads of a boot configuration only what patches of one component must know; `directory` is the absolute one of `file`.
/// Probes are not looked at, so that no plugin need be there.
///
/// # Errors
/// What is wrong with that, or that there is no such component.
pub fn patchable(
    document: &[u8],
    file: &str,
    directory: &str,
    component: &str,
) -> Result<Patchable, Vec<Problem>> {
    let mut problems = Problems::new(file);
    let found = config(document, &mut problems)
        .and_then(|config| find(&config.components, directory, component, &mut problems));
    let problems = problems.into_list();
    match found {
        Some(found) if problems.is_empty() => Ok(found),
        _ => Err(problems),
    }
}

fn find(
    entries: &[Component],
    directory: &str,
    component: &str,
    problems: &mut Problems<'_>,
) -> Option<Patchable> {
    let place = Place::Key(&Place::Root, "components");
    let each = |(index, entry)| name(entry, &Place::Index(&place, index), problems);
    let names: Vec<Option<ComponentId>> = entries.iter().enumerate().map(each).collect();
    unique(&names, &place, problems);
    let each = |(index, entry)| workdir(entry, &Place::Index(&place, index), directory, problems);
    let workdirs: Vec<String> = entries.iter().enumerate().map(each).collect();
    let owners = names.iter().zip(&workdirs).map(|(id, workdir)| (id.as_ref(), workdir.as_str()));
    let mut directories = Directories::new(owners);
    let wanted = |id: &Option<ComponentId>| id.as_ref().is_some_and(|id| id.as_str() == component);
    let Some(index) = names.iter().position(wanted) else {
        let known = names.iter().flatten().map(ComponentId::as_str);
        let hint = problems.nearest(component, known).map(|near| format!("did you mean `{near}`?"));
        problems.add(&place, format!("there is no component {}", quote(component)), hint);
        return None;
    };
    let (entry, id, workdir) =
        (entries.get(index)?, names.get(index)?.clone()?, workdirs.get(index)?.clone());
    let rules = directories.rules(entry, Some(&id), &workdir, &Place::Index(&place, index), problems);
    Some(Patchable { id, workdir, rules })
}

/// Which component works in which directory.
pub(super) struct Directories {
    /// Without `.` and `..`, and who works there, in document order.
    owners: BTreeMap<String, Vec<ComponentId>>,
    /// What was found below a directory; many components may share one.
    below: HashMap<String, Arc<[String]>>,
}

impl Directories {
    pub(super) fn new<'a>(components: impl Iterator<Item = (Option<&'a ComponentId>, &'a str)>) -> Self {
        let mut owners: BTreeMap<String, Vec<ComponentId>> = BTreeMap::new();
        for (id, workdir) in components {
            if let Some(id) = id {
                owners.entry(plain(workdir)).or_default().push(id.clone());
            }
        }
        Self { owners, below: HashMap::new() }
    }

    /// What of this component may be patched.
    pub(super) fn rules(
        &mut self,
        entry: &Component,
        id: Option<&ComponentId>,
        workdir: &str,
        place: &Place<'_>,
        problems: &mut Problems<'_>,
    ) -> Rules {
        let place = Place::Key(place, "patch");
        let written = entry.patch.clone().unwrap_or_default();
        let workdir = plain(workdir);
        let protect =
            patterns(&written.protect.unwrap_or_default(), &Place::Key(&place, "protect"), problems);
        let rules = Rules::default()
            .protecting(protect)
            .without_components(self.below(&workdir))
            .with_deletions(written.deletions.unwrap_or(false));
        match written.roots {
            Some(written) => roots(&written, rules, &Place::Key(&place, "roots"), problems),
            None => {
                let owners = self.owners.get(&workdir).into_iter().flatten();
                match owners.into_iter().find(|owner| Some(*owner) != id) {
                    Some(other) => rules.closed(Closed::SharesDirectory(other.clone())),
                    None => rules,
                }
            }
        }
    }

    /// Directories of components inside this one, relative to it and in lower case.
    fn below(&mut self, directory: &str) -> Arc<[String]> {
        let owners = &self.owners;
        let look = || {
            let prefix = format!("{}/", directory.trim_end_matches('/'));
            let inside = owners.range(prefix.clone()..).map(|(path, _)| path);
            let inside = inside.map_while(|path| path.strip_prefix(&prefix)).filter(|path| !path.is_empty());
            inside.map(str::to_ascii_lowercase).collect()
        };
        self.below.entry(directory.to_owned()).or_insert_with(look).clone()
    }
}

fn roots(written: &[String], rules: Rules, place: &Place<'_>, problems: &mut Problems<'_>) -> Rules {
    if written.iter().any(|root| root == ".") && written.len() == 1 {
        return rules;
    }
    let mut roots: Vec<FilePath> = Vec::new();
    for (index, root) in written.iter().enumerate() {
        let place = Place::Index(place, index);
        match root.strip_suffix('/').unwrap_or(root).parse::<FilePath>() {
            // A root below which nothing may ever be changed was meant otherwise.
            Ok(root) => match rules.protected(root.as_str()) {
                Some(what) => problems.add(
                    &place,
                    format!("{} is protected: {}", quote(root.as_str()), what.words()),
                    "leave it out: what is protected wins over the roots".to_owned(),
                ),
                None => roots.push(root),
            },
            Err(error) => {
                let hint = "write a path relative to the component's directory, such as \"src\", or \".\" alone for all \
                            of it"
                    .to_owned();
                problems.add(&place, format!("{} is no root: {error}", quote(root)), hint);
            }
        }
    }
    rules.below(roots)
}

fn patterns(written: &[String], place: &Place<'_>, problems: &mut Problems<'_>) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for (index, text) in written.iter().enumerate() {
        match text.parse() {
            Ok(pattern) => patterns.push(pattern),
            Err(error) => {
                let hint = "write for instance \"migrations\", \"/data\" or \"src/*.sql\"".to_owned();
                problems.add(&Place::Index(place, index), format!("{} {error}", quote(text)), hint);
            }
        }
    }
    patterns
}

/// The same directory without `.`, `..` and doubled slashes. Lexical: core does not look at the file system.
fn plain(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
