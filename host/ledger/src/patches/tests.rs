//! A patch is kept whole or not at all, and what comes back is what was kept.

use razar_core::id::Digest;
use tempfile::TempDir;

use super::*;
use crate::{Ledger, LedgerReader};

#[test]
fn a_patch_comes_back_complete_also_for_whoever_only_looks() {
    let dir = TempDir::new().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let (one, two) = (testing::patch("one"), testing::patch("two"));
    let digest = ledger.keep_patch(&one).unwrap();
    assert_eq!(digest, one.manifest().digest());
    assert_eq!(ledger.keep_patch(&one).unwrap(), digest, "kept again, nothing changes");
    let other = ledger.keep_patch(&two).unwrap();
    assert_eq!(ledger.patch(&digest).unwrap(), one);
    let reader = LedgerReader::open(dir.path()).unwrap();
    assert_eq!(reader.patch(&other).unwrap(), two);
}

#[test]
fn what_is_missing_or_no_patch_is_said() {
    let dir = TempDir::new().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let unknown = Digest::of(b"unknown");
    let said = ledger.patch(&unknown).unwrap_err().to_string();
    assert!(said.contains(&unknown.to_string()) && said.contains("never kept"), "{said}");
    let brief = ledger.put_blob(b"a brief").unwrap();
    let said = ledger.patch(&brief).unwrap_err().to_string();
    assert!(said.contains("is no patch: it is not the JSON of a manifest"), "{said}");
    let patch = testing::patch("half");
    let manifest = ledger.put_blob(patch.manifest().json().as_bytes()).unwrap();
    assert!(matches!(ledger.patch(&manifest), Err(PatchError::Missing(_))));
}
