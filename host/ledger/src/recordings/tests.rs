//! Kept, bounded, forgotten; and every way in which a disk refuses one.

use std::os::unix::fs::{MetadataExt as _, symlink};

use tempfile::TempDir;

use super::*;

/// No floor: what is free on the machine of a test is nobody's business.
fn within(dir: &TempDir, budget: u64) -> Recordings {
    Recordings::within(dir.path(), Bounds { budget, floor: 0 })
}

fn names(dir: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(dir.path().join(RECORDINGS)).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn is_there(dir: &TempDir, digest: &Digest) -> bool {
    read(dir.path(), digest).unwrap().is_some()
}

#[test]
fn what_is_kept_is_the_owners_alone_and_read_as_it_was() {
    let dir = TempDir::new().unwrap();
    let recordings = within(&dir, 1 << 20);
    let digest = recordings.keep(b"a call").unwrap();
    assert_eq!(names(&dir), [format!("{}.json", digest.hex())]);
    let file = place(dir.path(), &digest);
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!((mode(&dir.path().join(RECORDINGS)), mode(&file)), (0o700, 0o600));
    assert_eq!(read(dir.path(), &digest).unwrap().unwrap(), b"a call");
    assert_eq!(recordings.keep(b"a call").unwrap(), digest, "once more is nothing more");

    fs::write(&file, "another").unwrap();
    let refused = read(dir.path(), &digest).unwrap_err().to_string();
    assert!(refused.contains(&file.display().to_string()) && refused.contains("is not what"), "{refused}");
    let elsewhere = dir.path().join("elsewhere");
    fs::write(&elsewhere, "a call").unwrap();
    fs::remove_file(&file).unwrap();
    symlink(&elsewhere, &file).unwrap();
    assert!(read(dir.path(), &digest).is_err(), "no link is followed");

    recordings.forget(&digest).unwrap();
    recordings.forget(&digest).unwrap();
    assert!(!is_there(&dir, &digest) && elsewhere.exists());
}

#[test]
fn the_oldest_go_when_there_is_no_more_room() {
    let dir = TempDir::new().unwrap();
    let recordings = within(&dir, 25);
    let kept: Vec<Digest> = (0..5).map(|n| recordings.keep(&[b'a' + n; 10]).unwrap()).collect();
    let there: Vec<bool> = kept.iter().map(|digest| is_there(&dir, digest)).collect();
    assert_eq!(there, [false, false, false, true, true]);
    recordings.forget(&kept[3]).unwrap();
    let small = recordings.keep(b"small").unwrap();
    assert!(is_there(&dir, &kept[4]) && is_there(&dir, &small));
    let large = recordings.keep(&vec![0; MAX_RECORDING + 1]).unwrap_err();
    assert!(matches!(large, NotKept { why: Lost::TooLarge(_), again: false }), "{large}");
}

#[test]
fn a_host_that_begins_takes_over_what_facts_name_and_clears_the_rest_away() {
    let dir = TempDir::new().unwrap();
    let before = within(&dir, 100);
    let kept: Vec<Digest> = (0..4).map(|n| before.keep(&[b'a' + n; 10]).unwrap()).collect();
    let aside = dir.path().join(RECORDINGS);
    fs::write(aside.join(".razar-0123.tmp"), "half").unwrap();
    fs::write(aside.join("notes.txt"), "somebody's").unwrap();
    // The first is named by no fact; of the others there is room for two.
    let now = within(&dir, 20);
    let gone = Digest::of(b"long gone");
    now.begin([gone, kept[1], kept[3], kept[2]].into_iter()).unwrap();
    let mut expected = vec![format!("{}.json", kept[3].hex()), format!("{}.json", kept[2].hex())];
    expected.push("notes.txt".to_owned());
    expected.sort();
    assert_eq!(names(&dir), expected);
    now.keep(&[b'z'; 10]).unwrap();
    assert!(!is_there(&dir, &kept[3]) && is_there(&dir, &kept[2]), "in the order of the facts");
    let nothing = TempDir::new().unwrap();
    within(&nothing, 20).begin(std::iter::empty()).unwrap();
    assert!(!nothing.path().join(RECORDINGS).exists());
}

#[test]
fn where_facts_were_lost_nothing_goes_that_they_may_have_named() {
    let evidence = |dir: &TempDir, name: &str| {
        let file = dir.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "evidence").unwrap();
    };
    for lost in ["razar.db.damaged-1700000000000", "logs/razar_state.json.contradicts-7", ""] {
        let dir = TempDir::new().unwrap();
        let before = within(&dir, 100);
        let kept: Vec<Digest> = (0..3).map(|n| before.keep(&[b'a' + n; 10]).unwrap()).collect();
        fs::write(dir.path().join(RECORDINGS).join(".razar-0123.tmp"), "half").unwrap();
        let now = within(&dir, 10);
        if lost.is_empty() {
            now.bereave();
        } else {
            evidence(&dir, lost);
        }
        assert_eq!(now.begin([kept[2]].into_iter()).unwrap(), 2, "{lost}");
        assert_eq!(names(&dir).len(), 3, "only what is unfinished went: {lost}");
        now.keep(&[b'z'; 10]).unwrap();
        let there: Vec<bool> = kept.iter().map(|digest| is_there(&dir, digest)).collect();
        assert_eq!(there, [true, true, false], "what is left is not counted: {lost}");
    }
}

#[test]
fn one_that_cannot_be_removed_does_not_hide_the_others() {
    let dir = TempDir::new().unwrap();
    let before = within(&dir, 100);
    let kept: Vec<Digest> = (0..2).map(|n| before.keep(&[b'a' + n; 10]).unwrap()).collect();
    fs::create_dir(dir.path().join(RECORDINGS).join(".razar-0123.tmp")).unwrap();
    let now = within(&dir, 20);
    now.begin(kept.iter().copied()).unwrap_err();
    now.keep(&[b'z'; 10]).unwrap();
    assert!(!is_there(&dir, &kept[0]) && is_there(&dir, &kept[1]), "both were taken over");
}

#[test]
fn what_is_too_old_goes_before_the_next_one_and_whoever_says_so_touches_no_disk() {
    let dir = TempDir::new().unwrap();
    let recordings = within(&dir, 1 << 20);
    let kept: Vec<Digest> = (0..3).map(|n| recordings.keep(&[b'a' + n; 10]).unwrap()).collect();
    recordings.outdate([kept[1], Digest::of(b"gone long ago")].into_iter());
    assert!(is_there(&dir, &kept[1]), "nothing is waited for");
    recordings.keep(b"the next").unwrap();
    let there: Vec<bool> = kept.iter().map(|digest| is_there(&dir, digest)).collect();
    assert_eq!(there, [true, false, true]);
}

#[test]
fn a_failure_takes_nothing_away_that_was_kept_before() {
    let dir = TempDir::new().unwrap();
    let recordings = within(&dir, 100);
    let digest = recordings.keep(b"a call").unwrap();
    let in_the_way = dir.path().join(RECORDINGS).join(format!("{}{}{}", TEMP.0, digest.hex(), TEMP.1));
    fs::create_dir(in_the_way).unwrap();
    recordings.keep(b"a call").unwrap_err();
    assert!(is_there(&dir, &digest));
}

#[test]
fn a_disk_that_refuses_costs_the_recording_and_is_named_once() {
    let dir = TempDir::new().unwrap();
    let full = Recordings::within(dir.path(), Bounds { budget: 100, floor: u64::MAX });
    let low = full.keep(b"a call").unwrap_err();
    assert!(matches!(low, NotKept { why: Lost::Low { .. }, again: false }), "{low}");
    assert!(low.to_string().contains("free space there"), "{low}");
    assert!(!dir.path().join(RECORDINGS).exists(), "nothing was begun");
    assert!(full.keep(b"another").unwrap_err().again);

    let recordings = within(&dir, 100);
    let in_its_place = dir.path().join(RECORDINGS);
    for _ in 0..2 {
        fs::write(&in_its_place, "a file").unwrap();
        let failed = recordings.keep(b"a call").unwrap_err();
        assert!(matches!(failed, NotKept { why: Lost::Io { .. }, again: false }), "{failed}");
        assert!(failed.to_string().contains("recordings/"), "{failed}");
        assert!(recordings.keep(b"a call").unwrap_err().again);
        fs::remove_file(&in_its_place).unwrap();
        recordings.keep(b"a call").unwrap();
        fs::remove_dir_all(&in_its_place).unwrap();
    }
    let moved = within(&dir, 100);
    drop(dir);
    assert!(moved.keep(b"a call").is_err());
    assert!(!moved.dir().exists(), "a directory that was moved away finds its place empty");
}
