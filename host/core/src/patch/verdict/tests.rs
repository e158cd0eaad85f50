//! Every combination of what judges can say, and the verdict it must have.

use super::*;

fn failed() -> Seen {
    Seen::Failed("no".to_owned())
}

fn pair(word: &str) -> Option<Pair<Seen>> {
    let seen = |letter: char| match letter {
        'w' => Seen::Well,
        'f' => failed(),
        'n' => Seen::NotEvaluable("threads".to_owned()),
        other => panic!("{other}"),
    };
    let mut letters = word.chars();
    Some(Pair { base: seen(letters.next()?), candidate: seen(letters.next()?) })
}

fn look(opinion: Opinion, cases: &[(&str, Case)]) -> Look {
    let cases = cases.iter().map(|(name, case)| ((*name).to_owned(), *case)).collect();
    Look { opinion, cases, sentinel: None, why: String::new() }
}

/// `+a-b?c*d`: `a` passed, `b` failed, `c` was skipped, `d` cannot be run here; it is in order when nothing failed.
fn suite(text: &str) -> Look {
    let mut cases = Vec::new();
    let letters: Vec<char> = text.chars().collect();
    for two in letters.chunks(2) {
        let case = match two[0] {
            '+' => Case::Passed,
            '-' => Case::Failed,
            '?' => Case::Skipped,
            '*' => Case::NotEvaluable,
            other => panic!("{other}"),
        };
        cases.push((two[1].to_string(), case));
    }
    let opinion = if text.contains('-') { Opinion::Fail } else { Opinion::Pass };
    Look { opinion, cases: cases.into_iter().collect(), sentinel: None, why: "no".to_owned() }
}

fn evaluated(base: &[Look], candidate: &[Look]) -> Evidence {
    let evaluation =
        Evaluation { by: "suite".to_owned(), base: base.to_vec(), candidate: candidate.to_vec() };
    Evidence { evaluations: vec![evaluation], ..Evidence::default() }
}

fn verdict(evidence: &Evidence) -> &'static str {
    let ruling = judge(evidence);
    assert!(!ruling.reason.is_empty(), "{evidence:?}");
    ruling.verdict.as_str()
}

/// The tests' command, which tells nothing but how it ends.
fn command(word: &str) -> Vec<Evaluation> {
    let opinion = |seen: &Seen| match seen {
        Seen::Well => Opinion::Pass,
        Seen::Failed(_) => Opinion::Fail,
        Seen::NotEvaluable(why) => Opinion::NotEvaluable(why.clone()),
    };
    let looks = |seen: &Seen| vec![look(opinion(seen), &[])];
    let evaluation = |pair: Pair<Seen>| Evaluation {
        by: "tests".to_owned(),
        base: looks(&pair.base),
        candidate: looks(&pair.candidate),
    };
    pair(word).map(evaluation).into_iter().collect()
}

/// Rows: the shadow start. Columns: the tests' command. `ff`: it failed without the patch and fails with it.
#[test]
fn every_pair_of_runs_has_its_verdict() {
    let columns = ["", "ff", "fw", "wf", "ww", "nn"];
    for (shadow, expected) in [
        ("", ["not-evaluable", "not-fixed", "fixed", "regressed", "infra", "not-evaluable"]),
        ("ff", ["not-fixed"; 6]),
        ("fw", ["fixed", "not-fixed", "fixed", "regressed", "fixed", "fixed"]),
        ("wf", ["regressed"; 6]),
        ("ww", ["infra", "not-fixed", "fixed", "regressed", "infra", "infra"]),
        ("nn", ["not-evaluable", "not-fixed", "fixed", "regressed", "infra", "not-evaluable"]),
        ("nf", ["not-fixed"; 6]),
        ("fn", ["not-evaluable", "not-fixed", "fixed", "regressed", "infra", "not-evaluable"]),
    ] {
        for (native, expected) in columns.into_iter().zip(expected) {
            let evidence =
                Evidence { shadow: pair(shadow), evaluations: command(native), ..Evidence::default() };
            assert_eq!(verdict(&evidence), expected, "shadow `{shadow}`, tests `{native}`");
            let stands = matches!(expected, "not-fixed" | "regressed" | "tampered" | "flaky");
            assert_eq!(objection(&evidence).is_some(), stands, "shadow `{shadow}`, tests `{native}`");
        }
    }
}

#[test]
fn every_pair_of_suites_has_its_verdict() {
    for (base, candidate, expected) in [
        ("-a+b", "+a+b", "fixed"),
        ("-a+b", "-a+b", "not-fixed"),
        ("-a+b", "?a+b", "not-fixed"),
        ("-a+b", "+a-b", "regressed"),
        ("-a+b", "-a-b", "regressed"),
        ("-a+b", "+a?b", "regressed"),
        ("-a+b", "+b", "tampered"),
        ("-a+b", "+a", "tampered"),
        ("-a+b", "", "tampered"),
        ("-a+b", "-a", "regressed"),
        ("-a+b", "-b", "regressed"),
        ("-a-b", "-b", "not-fixed"),
        ("-a", "+a+b", "fixed"),
        ("-a", "+a-b", "regressed"),
        ("-a?b", "+a?b", "fixed"),
        ("-a?b", "+a+b", "fixed"),
        ("-a?b", "+a-b", "regressed"),
        ("-a+b", "*a+b", "not-evaluable"),
        ("-a-b", "*a+b", "not-evaluable"),
        ("-a-b", "*a-b", "not-fixed"),
        ("-a+b", "+a*b", "regressed"),
        ("-a*b", "+a+b", "fixed"),
        ("-a*b", "+a-b", "regressed"),
        ("+a", "+a", "infra"),
        ("+a", "-a", "regressed"),
        ("+a", "?a", "regressed"),
        ("", "", "infra"),
    ] {
        let evidence = evaluated(&[suite(base)], &[suite(candidate)]);
        assert_eq!(verdict(&evidence), expected, "`{base}` → `{candidate}`");
    }
}

/// What one cannot run any more, another may have seen go.
#[test]
fn who_cannot_run_what_failed_leaves_it_to_the_others() {
    let unseen = || evaluated(&[suite("-a+b")], &[suite("*a+b")]);
    for (tests, shadow, expected) in [
        ("fw", "", "fixed"),
        ("", "fw", "fixed"),
        ("ff", "", "not-fixed"),
        ("wf", "", "regressed"),
        ("ww", "ww", "not-evaluable"),
        ("", "ff", "not-fixed"),
    ] {
        let mut evidence = Evidence { shadow: pair(shadow), ..unseen() };
        evidence.evaluations.extend(command(tests));
        assert_eq!(verdict(&evidence), expected, "tests `{tests}`, shadow `{shadow}`");
    }
}

/// A file that cannot be loaded is one case; with the patch there are those in it.
#[test]
fn a_case_may_become_those_it_stood_for() {
    use Case::{Failed, Passed, Skipped};
    let whole = |end| look(if end == Failed { Opinion::Fail } else { Opinion::Pass }, &[("tests.a", end)]);
    for (ends, expected) in [
        (&[("tests.a.T.x", Passed), ("tests.a.T.y", Skipped)][..], "fixed"),
        (&[("tests.a.T.x", Passed), ("tests.a.T.y", Failed)], "not-fixed"),
        (&[("tests.a.T.x", Passed), ("tests.b.T.y", Failed)], "regressed"),
        (&[("tests.a.T.y", Skipped)], "not-fixed"),
        (&[("tests.ab.T.x", Passed)], "tampered"),
        (&[], "tampered"),
    ] {
        let failed = ends.iter().any(|(_, end)| *end == Failed);
        let candidate = look(if failed { Opinion::Fail } else { Opinion::Pass }, ends);
        assert_eq!(
            verdict(&evaluated(&[whole(Failed)], std::slice::from_ref(&candidate))),
            expected,
            "{ends:?}"
        );
        let passed = verdict(&evaluated(&[whole(Passed)], &[candidate]));
        assert!(passed != "fixed", "{ends:?}: {passed}");
    }
}

/// Opinions without a single case, as a parser of syntax has them.
#[test]
fn opinions_alone_are_enough() {
    let unable = || Opinion::NotEvaluable("asyncio".to_owned());
    for (base, candidate, expected) in [
        (Opinion::Fail, Opinion::Pass, "fixed"),
        (Opinion::Fail, Opinion::Fail, "not-fixed"),
        (Opinion::Pass, Opinion::Fail, "regressed"),
        (Opinion::Pass, Opinion::Pass, "infra"),
        (Opinion::Pass, unable(), "tampered"),
        (Opinion::Fail, unable(), "tampered"),
        (unable(), Opinion::Pass, "not-evaluable"),
        (unable(), Opinion::Fail, "not-evaluable"),
        (unable(), unable(), "not-evaluable"),
    ] {
        let evidence = evaluated(&[look(base.clone(), &[])], &[look(candidate.clone(), &[])]);
        assert_eq!(verdict(&evidence), expected, "{base:?} → {candidate:?}");
    }
}

#[test]
fn repeats_must_say_the_same() {
    let fixed = evaluated(&[suite("-a"), suite("-a")], &[suite("+a"), suite("+a"), suite("+a")]);
    assert_eq!(verdict(&fixed), "fixed");
    for (base, candidate) in
        [(["-a", "+a"], ["+a", "+a"]), (["-a", "-a"], ["+a", "-a"]), (["-a+b", "-a?b"], ["+a+b", "+a+b"])]
    {
        let evidence = evaluated(&base.map(suite), &candidate.map(suite));
        assert_eq!(verdict(&evidence), "flaky", "{base:?} → {candidate:?}");
    }
    let vanishes = evaluated(&[suite("-a+b")], &[suite("+a+b"), suite("+a")]);
    assert_eq!(verdict(&vanishes), "tampered", "also when it vanishes only the second time");
    let words = |why: &str| look(Opinion::NotEvaluable(why.to_owned()), &[]);
    let evidence = evaluated(&[words("a"), words("b")], &[words("c"), words("d")]);
    assert_eq!(verdict(&evidence), "not-evaluable", "words are no answer");
}

#[test]
fn the_order_of_the_table_holds() {
    let sentinel = |text: &str| Look { sentinel: Some("must-fail".to_owned()), ..suite(text) };
    let good = || evaluated(&[suite("-a")], &[suite("+a")]);
    let forged = || evaluated(&[suite("-a")], &[sentinel("+a")]);
    assert_eq!(verdict(&forged()), "tampered");
    assert_eq!(verdict(&evaluated(&[sentinel("-a")], &[suite("+a")])), "infra");
    assert_eq!(verdict(&evaluated(&[sentinel("-a")], &[sentinel("+a")])), "infra");
    assert_eq!(verdict(&evaluated(&[], &[suite("+a")])), "infra");
    assert_eq!(verdict(&evaluated(&[suite("-a")], &[])), "infra");

    // The shadow start is believed more than any suite.
    for (shadow, expected) in
        [("fw", "fixed"), ("ww", "fixed"), ("nn", "fixed"), ("ff", "not-fixed"), ("wf", "regressed")]
    {
        assert_eq!(verdict(&Evidence { shadow: pair(shadow), ..good() }), expected, "{shadow}");
    }
    let flaky = evaluated(&[suite("-a")], &[suite("+a"), suite("-a")]);
    assert_eq!(verdict(&Evidence { shadow: pair("fw"), ..flaky.clone() }), "flaky");
    assert_eq!(verdict(&Evidence { shadow: pair("ff"), ..flaky }), "not-fixed");

    // Whoever reaches for the judges is told that, however well the service is.
    let tampered = || vec!["tests/test_app.py".to_owned()];
    for shadow in ["fw", "ff", "ww", "wf"] {
        let evidence = Evidence { shadow: pair(shadow), tampered: tampered(), ..good() };
        assert_eq!(verdict(&evidence), "tampered", "{shadow}");
        assert_eq!(verdict(&Evidence { shadow: pair(shadow), ..forged() }), "tampered", "{shadow}");
    }
    // And nothing follows from a machine that failed.
    let evidence = Evidence {
        broken: vec!["the disk is full".to_owned()],
        tampered: tampered(),
        shadow: pair("fw"),
        ..good()
    };
    assert_eq!(judge(&evidence), ruling(Verdict::Infra, "the disk is full"));
}

#[test]
fn only_one_word_may_be_applied_and_every_word_is_its_own() {
    let applied: Vec<_> = Verdict::ALL.into_iter().filter(|verdict| verdict.is_fixed()).collect();
    assert_eq!(applied, [Verdict::Fixed]);
    for verdict in Verdict::ALL {
        assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.as_str());
    }
    assert_eq!(verdict(&Evidence::default()), "not-evaluable");
}
