//! Operators find every file as it was before a patch, and the directory does not grow without end.

use std::collections::BTreeMap;
use std::fs;

use razar_core::id::IncidentId;
use tempfile::TempDir;

use super::*;
use crate::patches::testing::patch;

const AT: Timestamp = Timestamp(1_795_225_297_007);

/// A root, and patches that the ledger keeps.
struct House {
    dir: TempDir,
    patches: BTreeMap<Digest, Patch>,
    applied: Vec<(Timestamp, PatchEvent)>,
}

impl House {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join("logs")).unwrap();
        Self { dir, patches: BTreeMap::new(), applied: Vec::new() }
    }

    fn apply(&mut self, at: Timestamp, what: &str) {
        let patch = patch(what);
        let manifest = patch.manifest().digest();
        self.patches.insert(manifest, patch);
        let what = PatchStep::Applied { manifest };
        self.applied
            .push((at, PatchEvent { component: "web".parse().unwrap(), incident: IncidentId(1), what }));
    }

    fn get(&self) -> impl Fn(&Digest) -> Result<Patch, PatchError> + '_ {
        |digest| {
            let missing = || PatchError::Missing(razar_core::patch::Missing(*digest));
            self.patches.get(digest).cloned().ok_or_else(missing)
        }
    }

    /// As a host does that starts and folds everything.
    fn backups(&self) -> PatchBackups {
        let mut backups = PatchBackups::new(self.dir.path());
        for (at, event) in &self.applied {
            backups.fold(*at, event);
        }
        backups
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path().join(NAME)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn every_file_is_there_as_it_was_under_a_name_of_its_own() {
    let mut house = House::new();
    house.apply(AT, "one");
    house.apply(AT, "two");
    house.backups().write(house.get()).unwrap();
    assert_eq!(
        house.names(),
        [
            "app.py.20261121T014137007000",
            "app.py.20261121T014137007032",
            "old.py.20261121T014137007002",
            "old.py.20261121T014137007034",
        ]
    );
    let text = |name: &str| fs::read_to_string(house.dir.path().join(NAME).join(name)).unwrap();
    assert_eq!(text("app.py.20261121T014137007000"), "value = 1  # one\n");
    assert_eq!(text("old.py.20261121T014137007034"), "old = 1  # two\n");
}

#[test]
fn the_oldest_go_also_those_that_a_host_that_died_has_left() {
    let mut house = House::new();
    for number in 0..KEPT as u64 + 10 {
        house.apply(Timestamp(AT.0 + number), &number.to_string());
        if number == 5 {
            house.backups().write(house.get()).unwrap();
        }
    }
    let foreign = house.dir.path().join(NAME).join("app.py.20250101T000000000000");
    fs::write(&foreign, "an operator's").unwrap();
    house.backups().write(house.get()).unwrap();
    let names = house.names();
    assert_eq!(names.len(), 2 * KEPT + 1, "{names:?}");
    assert_eq!(names[0], "app.py.20250101T000000000000", "what is not ours stays");
    assert_eq!(names[1], "app.py.20261121T014137017000");
}

#[test]
fn a_patch_that_the_ledger_lost_holds_nothing_up() {
    let mut house = House::new();
    house.apply(AT, "one");
    house.apply(Timestamp(AT.0 + 1), "two");
    let lost = *house.patches.keys().next().unwrap();
    house.patches.remove(&lost);
    house.backups().write(house.get()).unwrap();
    assert_eq!(house.names().len(), 2);
}
