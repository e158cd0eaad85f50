//! The directory of a corpus: which cases there are, and where their guests lie.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::case::{Case, CaseError};

/// Largest file of cases: they are written by hand.
const MAX_CASES: u64 = 1 << 20;

/// All cases of a directory, in the order of their numbers.
#[derive(Debug)]
pub struct Corpus {
    dir: PathBuf,
    cases: Vec<Case>,
}

impl Corpus {
    /// Reads `cases/*.toml`.
    pub fn read(dir: &Path) -> Result<Self, CaseError> {
        let folder = dir.join("cases");
        let unread = |path: &Path| {
            let path = path.to_owned();
            move |error: io::Error| CaseError::Read { path, error }
        };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(unread(&folder))? {
            let path = entry.map_err(unread(&folder))?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                files.push(path);
            }
        }
        let mut cases = Vec::new();
        for path in files {
            if std::fs::metadata(&path).map_err(unread(&path))?.len() > MAX_CASES {
                let error = io::Error::other("it is larger than 1 MiB");
                return Err(CaseError::Read { path, error });
            }
            let text = std::fs::read_to_string(&path).map_err(unread(&path))?;
            cases.extend(Case::parse_all(&path, &text)?);
        }
        if cases.is_empty() {
            let error =
                io::Error::other("there is no case in it: a corpus has `cases/*.toml` and `guests/*.wasm`");
            return Err(CaseError::Read { path: folder, error });
        }
        cases.sort_by(|a, b| a.order().cmp(&b.order()));
        let mut known = BTreeSet::new();
        for case in &cases {
            if !known.insert(case.name()) {
                return Err(CaseError::wrong(case.name(), "there are two of this name".to_owned()));
            }
        }
        Ok(Self { dir: dir.to_owned(), cases })
    }

    /// All of them.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// One by name.
    pub fn case(&self, name: &str) -> Option<&Case> {
        self.cases.iter().find(|case| case.name() == name)
    }

    /// The bytes of a guest.
    pub fn guest(&self, name: &str) -> Result<Vec<u8>, CaseError> {
        let path = self.dir.join("guests").join(format!("{name}.wasm"));
        std::fs::read(&path).map_err(|error| CaseError::Read { path, error })
    }
}
