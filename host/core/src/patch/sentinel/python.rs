//! Test files for `unittest`. Every case stands for itself, uses nothing of the component, and fails or passes by another way
//! of asserting than its neighbours.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{CASES, Dice, WORDS, list};

/// How test files of a directory are called.
pub(super) struct Style {
    prefix: &'static str,
}

impl Style {
    /// As most of those that are there.
    pub(super) fn of(names: &BTreeSet<String>) -> Self {
        let count = |prefix: &str| {
            let fits = |name: &&String| {
                name.strip_prefix(prefix)
                    .and_then(|rest| rest.strip_suffix(".py"))
                    .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
            };
            names.iter().filter(fits).count()
        };
        let prefix = if count("tests_") > count("test_") { "tests_" } else { "test_" };
        Self { prefix }
    }

    pub(super) fn module(&self, word: &str) -> String {
        format!("{}{word}", self.prefix)
    }
}

/// A way of asserting: given some numbers, the lines of a case that passes or of one that fails.
type Way = fn(&[u64], bool) -> Vec<String>;

/// One number more where it must fail.
fn off(number: u64, good: bool) -> u64 {
    if good { number } else { number + 1 }
}

const WAYS: &[Way] = &[
    |numbers, good| {
        let sum = off(numbers.iter().sum(), good);
        vec![format!("self.assertEqual(sum([{}]), {sum})", list(numbers))]
    },
    |numbers, good| {
        let most = off(numbers.iter().copied().max().unwrap_or_default(), !good);
        vec![
            format!("values = [{}]", list(numbers)),
            format!("self.assertTrue(all(value < {most} for value in values))"),
        ]
    },
    |numbers, good| {
        let missing = off(numbers.first().copied().unwrap_or_default(), good) + if good { 0 } else { 100 };
        vec![format!("self.assertIn({missing}, [{}])", list(numbers))]
    },
    |numbers, good| {
        let key = numbers.first().copied().unwrap_or_default() + if good { 100 } else { 0 };
        let pairs: Vec<String> = numbers.iter().map(|number| format!("{number}: \"{number}\"")).collect();
        vec![
            format!("values = {{{}}}", pairs.join(", ")),
            "with self.assertRaises(KeyError):".to_owned(),
            format!("    values[{key}]"),
        ]
    },
    |numbers, good| {
        let mut sorted = numbers.to_vec();
        sorted.sort_unstable();
        if !good {
            sorted.reverse();
        }
        vec![format!("self.assertListEqual(sorted([{}]), [{}])", list(numbers), list(&sorted))]
    },
    |numbers, good| {
        let text: String = numbers.iter().map(|number| format!("{number}-")).collect();
        let count = off(u64::try_from(numbers.len()).unwrap_or_default(), good);
        vec![
            format!("parts = \"{text}\".split(\"-\")"),
            format!("self.assertEqual(len(parts), {})", count + 1),
        ]
    },
    |numbers, good| {
        let first = numbers.first().copied().unwrap_or_default();
        let text = if good { format!("{first}") } else { format!("{first}x") };
        vec![format!("self.assertGreater(int(\"{text}\"), 0)")]
    },
    |numbers, good| {
        let first = numbers.first().copied().unwrap_or_default();
        vec![format!("self.assertIsNone(None if {first} == {} else {first})", off(first, good))]
    },
];

/// The text of a file and the names of its cases, with their class.
pub(super) fn file(dice: &mut Dice, good: bool) -> (String, Vec<String>) {
    let word = dice.pick(WORDS);
    let mut capital = word.to_owned();
    if let Some(first) = capital.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let class = if dice.below(2) == 0 { format!("{capital}Test") } else { format!("Test{capital}") };
    let mut text = format!("import unittest\n\n\nclass {class}(unittest.TestCase):\n");
    let (mut cases, mut ways) = (Vec::new(), Vec::new());
    while cases.len() < CASES {
        let way = usize::try_from(dice.below(u64::try_from(WAYS.len()).unwrap_or(1))).unwrap_or_default();
        let name = format!("test_{}_{}", dice.pick(WORDS), dice.pick(WORDS));
        let case = format!("{class}.{name}");
        let (Some(make), false) = (WAYS.get(way), ways.contains(&way) || cases.contains(&case)) else {
            continue;
        };
        let count = 3 + usize::try_from(dice.below(4)).unwrap_or_default();
        if !cases.is_empty() {
            text.push('\n');
        }
        // A string takes everything.
        let _ = writeln!(text, "    def {name}(self):");
        for line in make(&dice.numbers(count), good) {
            let _ = writeln!(text, "        {line}");
        }
        ways.push(way);
        cases.push(case);
    }
    (text, cases)
}
