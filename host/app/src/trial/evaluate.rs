//! Judges that run nothing natively: each is shown one tree at a time, never the answer beside the question, and asked more
//! than once. It forms no verdict.

use std::path::Path;
use std::time::{Duration, Instant};

use razar_core::patch::{Evaluation, Look};
use razar_runtime::contract::BoxFuture;

/// How often each is asked about each tree: what differs is flaky.
const TIMES: usize = 2;

/// Whoever can judge a tree of files.
pub(crate) trait Evaluator {
    /// Its name.
    fn name(&self) -> &str;

    /// Judges one tree, which it must not change. An error is the machine's, not the tree's.
    fn look<'a>(&'a self, tree: &'a Path, changed: &'a [String]) -> BoxFuture<'a, Result<Look, String>>;
}

/// What one of them thought, and how long it took about the files as they are, and about those with the patch.
pub(super) struct Thought {
    pub(super) evaluation: Evaluation,
    pub(super) took: [Duration; 2],
}

/// Asks all of them about both trees.
pub(super) async fn all(
    evaluators: &[Box<dyn Evaluator>],
    (base, candidate): (&Path, &Path),
    changed: &[String],
) -> Result<Vec<Thought>, String> {
    let mut thoughts = Vec::new();
    for evaluator in evaluators {
        let (mut looks, mut took) = ([Vec::new(), Vec::new()], [Duration::ZERO; 2]);
        for (tree, (looks, took)) in [base, candidate].into_iter().zip(looks.iter_mut().zip(&mut took)) {
            let began = Instant::now();
            for _ in 0..TIMES {
                let look = evaluator.look(tree, changed).await;
                looks.push(look.map_err(|error| format!("{}: {error}", evaluator.name()))?);
            }
            *took = began.elapsed();
        }
        let [base, candidate] = looks;
        let evaluation = Evaluation { by: evaluator.name().to_owned(), base, candidate };
        thoughts.push(Thought { evaluation, took });
    }
    Ok(thoughts)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use razar_core::patch::{Evidence, Opinion, judge};

    use super::*;

    /// Content with any tree that has no `bug`; every `odd`-th answer is the other one.
    struct Grep {
        asked: Cell<usize>,
        odd: usize,
    }

    impl Evaluator for Grep {
        fn name(&self) -> &str {
            "grep"
        }

        fn look<'a>(&'a self, tree: &'a Path, changed: &'a [String]) -> BoxFuture<'a, Result<Look, String>> {
            self.asked.set(self.asked.get() + 1);
            let text = changed
                .iter()
                .map(|path| std::fs::read_to_string(tree.join(path)))
                .collect::<Result<String, _>>();
            let wrong = self.asked.get().is_multiple_of(self.odd);
            let look = text.map(|text| {
                let opinion = if text.contains("bug") == wrong { Opinion::Pass } else { Opinion::Fail };
                Look { opinion, cases: Default::default(), sentinel: None, why: String::new() }
            });
            Box::pin(std::future::ready(look.map_err(|error| error.to_string())))
        }
    }

    #[tokio::test]
    async fn everybody_is_asked_about_each_tree_more_than_once() {
        let dir = tempfile::tempdir().unwrap();
        let (base, candidate) = (dir.path().join("base"), dir.path().join("candidate"));
        for (tree, text) in [(&base, "a bug"), (&candidate, "fine")] {
            std::fs::create_dir(tree).unwrap();
            std::fs::write(tree.join("app.py"), text).unwrap();
        }
        for (odd, path, expected) in
            [(100, "app.py", "fixed"), (2, "app.py", "flaky"), (100, "gone.py", "infra")]
        {
            let grep: Box<dyn Evaluator> = Box::new(Grep { asked: Cell::new(0), odd });
            let evidence = match all(&[grep], (&base, &candidate), &[path.to_owned()]).await {
                Ok(thoughts) => Evidence {
                    evaluations: thoughts.into_iter().map(|thought| thought.evaluation).collect(),
                    ..Evidence::default()
                },
                Err(error) => Evidence { broken: vec![error], ..Evidence::default() },
            };
            assert_eq!(judge(&evidence).verdict.as_str(), expected);
        }
    }
}
