//! One complete in-memory probe, ours beside the raw loop, for one and for two threads; and beside starting a C program that
//! prints a word. Rounds alternate, so that a neighbour on the machine disturbs all.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::figure::{Bar, Figure, median};
use crate::guests;
use crate::ours::{Both, Question, runtime, source, threads};
use crate::raw::{self, Hands};

const ROUND: Duration = Duration::from_millis(500);
const ROUNDS: usize = 7;
const SLOTS: u32 = 64;
const ADDRESS: &str = "http://127.0.0.1:8080/";

pub(crate) fn measure() {
    let tokio = threads(1);
    let wasm = guests::component("probe", &guests::module_with_pages("(i32.const 64)", "", 4));
    let engine = raw::Engine::new(Some(SLOTS));
    let runtime = runtime(Some(SLOTS), None);
    let (loaded, grant) = source("bench", wasm.clone());
    let plugin = tokio.block_on(runtime.load(loaded, &grant)).unwrap();
    let both = Both { raw: engine.compile(&wasm), ours: Question::new(plugin, ADDRESS) };
    let check = c_check();
    let (mut single, mut forks) = ((0.0, 0.0), Vec::new());
    for threads in [1, 2] {
        let (mut raws, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let raw = rate(&tokio, threads, &async || both.raw.check(Hands::Empty, ADDRESS).await);
            let our = rate(&tokio, threads, &async || {
                both.ours.ask(Duration::from_secs(5)).await;
            });
            raws.push(raw);
            ours.push(our);
            ratios.push(our / raw);
            if threads == 1 {
                forks.push(forks_per_second(&check.0));
            }
        }
        let (raw, our) = (median(&raws), median(&ours));
        Figure {
            name: &format!("in-memory probe, {threads} thread(s), over raw"),
            value: median(&ratios),
            unit: "×",
            bar: Bar::AtLeast(0.6),
            detail: format!("raw {raw:.0}/s, ours {our:.0}/s (medians of {ROUNDS})"),
        }
        .tell();
        if threads == 1 {
            single = (raw, our);
            Figure {
                name: "in-memory probe over fork+exec of a C check",
                value: our / median(&forks),
                unit: "×",
                bar: Bar::AtLeast(20.0),
                detail: format!("ours {our:.0}/s, fork+exec {:.0}/s", median(&forks)),
            }
            .tell();
        } else {
            let (raw, our) = (raw / single.0, our / single.1);
            Figure {
                name: "two threads over one, ours over raw's own",
                value: our / raw,
                unit: "×",
                bar: Bar::AtLeast(0.95),
                detail: format!("raw {raw:.2}, ours {our:.2}"),
            }
            .tell();
        }
    }
}

/// Cycles per second of so many threads, each in its own loop.
fn rate(tokio: &tokio::runtime::Runtime, threads: usize, cycle: &(impl AsyncFn() + Sync)) -> f64 {
    let begun = Instant::now();
    let counts = std::thread::scope(|scope| {
        let loops = (0..threads).map(|_| {
            scope.spawn(|| {
                tokio.block_on(async {
                    let mut count = 0_u32;
                    while begun.elapsed() < ROUND {
                        for _ in 0..16 {
                            cycle().await;
                        }
                        count += 16;
                    }
                    count
                })
            })
        });
        let loops = loops.collect::<Vec<_>>();
        loops.into_iter().map(|thread| f64::from(thread.join().unwrap())).sum::<f64>()
    });
    counts / begun.elapsed().as_secs_f64()
}

/// A C program that prints a word, linked statically if that is possible: the cheapest check there is.
fn c_check() -> (std::path::PathBuf, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let (source, program) = (dir.path().join("check.c"), dir.path().join("check"));
    std::fs::write(&source, "#include <stdio.h>\nint main(void) { puts(\"OK\"); return 0; }\n").unwrap();
    let build = |how: &[&str]| {
        let status = Command::new("cc").args(how).arg("-O2").arg("-o").arg(&program).arg(&source).status();
        status.is_ok_and(|status| status.success())
    };
    assert!(build(&["-static"]) || build(&[]), "no C compiler: install `cc`");
    (program, dir)
}

fn forks_per_second(program: &Path) -> f64 {
    let begun = Instant::now();
    let mut count = 0_u32;
    while begun.elapsed() < ROUND / 2 {
        let output = Command::new(program).output().unwrap();
        assert_eq!(output.stdout, b"OK\n");
        count += 1;
    }
    f64::from(count) / begun.elapsed().as_secs_f64()
}
