//! What is planted where, and which runs are believed. That the cases come out as they must is tried with the real evaluator,
//! in the tests of the whole house.

use super::*;

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_seed_says_everything() {
    let there = names(&["test_shop.py", "test_cart.py"]);
    let one = Sentinels::python(7, "tests", &there).unwrap();
    assert_eq!(Sentinels::python(7, "tests", &there).unwrap(), one);
    assert_ne!(Sentinels::python(8, "tests", &there).unwrap(), one);
    for file in one.files() {
        assert!(file.path.as_str().starts_with("tests/test_"), "{}", file.path);
        assert_eq!(file.content.matches("    def test_").count(), CASES, "{}", file.content);
    }
    assert_eq!((one.passing.len(), one.failing.len()), (CASES, CASES));
    assert!(one.passing.iter().chain(&one.failing).all(|id| id.starts_with("tests.test_") && one.has(id)));
    assert!(!one.has("tests.test_shop.ShopTest.test_total"));
}

#[test]
fn files_are_called_as_their_neighbours_and_never_as_one_of_them() {
    let all: BTreeSet<String> = WORDS.iter().map(|word| format!("Test_{word}.py")).collect();
    for (seed, directory, there, prefix) in [
        (1, "", names(&[]), "test_"),
        (2, "", names(&["tests_a.py", "tests_b.py", "test_c.py", "tests_data.json"]), "tests_"),
        (3, "a/b", names(&["test_a.py"]), "a/b/test_"),
        (4, "", all.clone(), "test_"),
    ] {
        for seed in seed..seed + 200 {
            let planted = Sentinels::python(seed * 1_000, directory, &there).unwrap();
            let [one, other] = planted.files();
            assert_ne!(one.path, other.path);
            for file in [one, other] {
                assert!(file.path.as_str().starts_with(prefix), "{}", file.path);
                let name = file.path.as_str().rsplit('/').next().unwrap().to_ascii_lowercase();
                assert!(there.iter().all(|there| there.to_ascii_lowercase() != name), "{name}");
            }
        }
    }
    assert_eq!(Sentinels::python(1, "../out", &names(&[])), None);
    assert_eq!(Sentinels::python(1, "/etc", &names(&[])), None);
}

#[test]
fn good_and_bad_look_alike() {
    let mut first_is_good = 0;
    for seed in 0..200 {
        let planted = Sentinels::python(seed, "tests", &names(&[])).unwrap();
        let [one, other] = planted.files();
        let dotted = one.path.as_str().trim_end_matches(".py").replace('/', ".") + ".";
        first_is_good += usize::from(planted.passing.iter().all(|id| id.starts_with(&dotted)));
        for file in [one, other] {
            let text = file.content.to_ascii_lowercase();
            let tells = ["sentinel", "canary", "planted", "must_", "razar"];
            assert!(tells.iter().all(|word| !text.contains(word)), "{text}");
        }
    }
    assert!((50..150).contains(&first_is_good), "{first_is_good}");
}

#[test]
fn a_run_is_believed_when_all_of_them_came_out_as_they_must() {
    use CaseEnd::{Failed, NotRun, Passed};
    let planted = Sentinels::python(42, "tests", &names(&[])).unwrap();
    let sound: Vec<(String, CaseEnd)> = planted
        .passing
        .iter()
        .map(|id| (id.clone(), Passed))
        .chain(planted.failing.iter().map(|id| (id.clone(), Failed)))
        .chain([("tests.test_shop.ShopTest.test_total".to_owned(), Failed)])
        .collect();
    let check = |run: &[(String, CaseEnd)]| planted.check(run.iter().map(|(id, end)| (id.as_str(), *end)));
    assert_eq!(check(&sound), Ok(()));
    let mut turned = sound.clone();
    turned.reverse();
    assert_eq!(check(&turned), Ok(()), "in whatever order");
    let (good, bad) = (planted.passing[1].clone(), planted.failing[2].clone());
    let (good_at, bad_at) = (1, CASES + 2);
    for (change, fault) in [
        ((good_at, Some(Failed)), SentinelFault::Failed(good.clone())),
        ((good_at, Some(NotRun)), SentinelFault::NotRun(good.clone())),
        ((good_at, None), SentinelFault::NotRun(good.clone())),
        ((bad_at, Some(Passed)), SentinelFault::Passed(bad.clone())),
        ((bad_at, Some(NotRun)), SentinelFault::NotRun(bad.clone())),
        ((bad_at, None), SentinelFault::NotRun(bad.clone())),
    ] {
        let mut run = sound.clone();
        match change {
            (at, Some(end)) => run[at].1 = end,
            (at, None) => drop(run.remove(at)),
        }
        assert_eq!(check(&run), Err(fault));
    }
    let mut twice = sound;
    twice.push((bad.clone(), Failed));
    assert_eq!(check(&twice), Err(SentinelFault::Twice(bad)));
    assert!(check(&[]).is_err());
}
