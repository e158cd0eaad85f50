//! Kept values of a call with a tape: what was asked and answered is written down, or answered from the tape, which keeps nothing.

use bytes::Bytes;

use super::KeyValueError;
use crate::tape::recording::{Data, Kept, KeptAnswer};
use crate::tape::{Playing, Tape};

/// An answer that can be kept and given again.
pub(super) trait Told: Sized {
    fn tell(&self) -> KeptAnswer;
    fn of(answer: &KeptAnswer) -> Option<Self>;
}

impl Told for () {
    fn tell(&self) -> KeptAnswer {
        KeptAnswer::Done
    }

    fn of(answer: &KeptAnswer) -> Option<Self> {
        matches!(answer, KeptAnswer::Done).then_some(())
    }
}

impl Told for u64 {
    fn tell(&self) -> KeptAnswer {
        KeptAnswer::Sum(*self)
    }

    fn of(answer: &KeptAnswer) -> Option<Self> {
        if let KeptAnswer::Sum(sum) = answer { Some(*sum) } else { None }
    }
}

impl Told for (Vec<String>, Option<u64>) {
    fn tell(&self) -> KeptAnswer {
        KeptAnswer::Keys(self.0.clone(), self.1)
    }

    fn of(answer: &KeptAnswer) -> Option<Self> {
        if let KeptAnswer::Keys(keys, next) = answer { Some((keys.clone(), *next)) } else { None }
    }
}

impl Told for Vec<Option<(String, Vec<u8>)>> {
    fn tell(&self) -> KeptAnswer {
        let pair = |(key, value): &(String, Vec<u8>)| (key.clone(), Data(Bytes::copy_from_slice(value)));
        KeptAnswer::Values(self.iter().map(|found| found.as_ref().map(pair)).collect())
    }

    fn of(answer: &KeptAnswer) -> Option<Self> {
        let KeptAnswer::Values(values) = answer else { return None };
        let pair = |(key, value): &(String, Data)| (key.clone(), value.0.to_vec());
        Some(values.iter().map(|found| found.as_ref().map(pair)).collect())
    }
}

/// Asks whoever keeps values, and writes it down; or answers from the tape.
pub(super) async fn later<T: Told, F: Future<Output = Result<T, KeyValueError>>>(
    tape: Option<&Tape>,
    asked: impl Fn() -> String,
    ask: impl FnOnce() -> F,
) -> Result<T, KeyValueError> {
    let Some(tape) = tape else { return ask().await };
    let asked = asked();
    if let Some(playing) = tape.playing() {
        return match again(playing, &asked) {
            Some(answer) => answer,
            None => {
                other(playing, &asked);
                std::future::pending().await
            }
        };
    }
    let answer = ask().await;
    keep(tape, asked, answer.as_ref().map(Told::tell));
    answer
}

/// The same where nothing is waited for. What is given again is made of nothing.
pub(super) fn now<T>(
    tape: Option<&Tape>,
    asked: impl Fn() -> String,
    ask: impl FnOnce() -> Result<T, KeyValueError>,
    make: impl FnOnce(()) -> T,
) -> Result<T, KeyValueError> {
    let Some(tape) = tape else { return ask() };
    let asked = asked();
    if let Some(playing) = tape.playing() {
        return match again::<()>(playing, &asked) {
            Some(answer) => answer.map(make),
            None => {
                other(playing, &asked);
                Err(KeyValueError::Denied)
            }
        };
    }
    let answer = ask();
    keep(tape, asked, answer.as_ref().map(|_| KeptAnswer::Done));
    answer
}

fn keep(tape: &Tape, asked: String, answer: Result<KeptAnswer, &KeyValueError>) {
    let answer = answer.unwrap_or_else(|error| match error {
        KeyValueError::Denied => KeptAnswer::Denied,
        KeyValueError::Other(why) => KeptAnswer::Refused(why.clone()),
    });
    let bytes = match &answer {
        KeptAnswer::Values(values) => {
            values.iter().flatten().map(|(key, value)| key.len() + value.0.len()).sum()
        }
        KeptAnswer::Keys(keys, _) => keys.iter().map(String::len).sum(),
        KeptAnswer::Refused(why) => why.len(),
        KeptAnswer::Denied | KeptAnswer::Done | KeptAnswer::Sum(_) => 0,
    };
    tape.write(asked.len() + bytes, |writing| writing.recording.values.push(Kept { asked, answer }));
}

/// It asks something else than it had, or more.
fn other(playing: &Playing, asked: &str) {
    let how = || format!("it asks of its values `{asked}`, which it had not asked");
    let more = playing.at().values >= playing.recording.values.len();
    if more { playing.beyond(how) } else { playing.differs(how) }
}

/// What was answered then; none if something else was asked.
fn again<T: Told>(playing: &Playing, asked: &str) -> Option<Result<T, KeyValueError>> {
    let mut at = playing.at();
    let kept = playing.recording.values.get(at.values).filter(|kept| kept.asked == asked)?;
    at.values += 1;
    match &kept.answer {
        KeptAnswer::Denied => Some(Err(KeyValueError::Denied)),
        KeptAnswer::Refused(why) => Some(Err(KeyValueError::Other(why.clone()))),
        answer => T::of(answer).map(Ok),
    }
}
