//! One file, cut into records. The shape is told from what stands there, not from the file's name, because the original
//! has several writers for most of its files: whole documents, arrays, JSON lines, arrays where lines belong, lines
//! behind an array, and any of these torn. Every byte of a file is in a record, is space, or is set aside.

use razar_core::id::{ComponentId, Digest};
use razar_core::time::Timestamp;
use serde_json::Value;

use super::meaning::{self, Entry};
use super::mend::{Mended, mend};
use super::sources::{Room, Source};
use super::spans;

/// Members of a document that are lists of what happened: each element is a record of its own beside the document.
const LISTS: [&str; 3] = ["events", "history", "plans"];

/// Places at which a record may begin in a line that holds a torn one before it.
const GLUED: usize = 64;

/// One record.
#[derive(Debug)]
pub(super) struct Record {
    /// Which of its file, from 1.
    pub(super) number: u64,
    pub(super) digest: Digest,
    /// As it stood.
    pub(super) bytes: Vec<u8>,
    pub(super) when: Option<Timestamp>,
    pub(super) component: Option<ComponentId>,
    pub(super) repair: Option<String>,
    /// What it says about quarantine.
    pub(super) quarantine: Option<Entry>,
}

/// What was found in a file.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) records: Vec<Record>,
    /// What no record could be made of, and why.
    pub(super) unreadable: Vec<(Vec<u8>, String)>,
}

/// Cuts a file into records.
pub(super) fn cut(source: &Source, bytes: &[u8]) -> Found {
    let mut cutter = Cutter { source, found: Found::default() };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match source.file_name() {
        "quarantine_log.md" => cutter.rows(bytes),
        "boot_orchestrator.log" => cutter.log(bytes),
        name if source.room == Room::Quarantine && !name.ends_with(".json") => cutter.moved(bytes),
        _ => cutter.json(bytes),
    }
    cutter.found
}

struct Cutter<'a> {
    source: &'a Source,
    found: Found,
}

impl Cutter<'_> {
    fn record(&mut self, bytes: &[u8], value: &Value, repair: Option<&str>) {
        let component = meaning::component(self.source, value);
        let quarantine = meaning::entry(self.source, value);
        self.found.records.push(Record {
            number: self.found.records.len() as u64 + 1,
            digest: Digest::of(bytes),
            bytes: bytes.to_vec(),
            when: meaning::when(self.source, value),
            component: component.or_else(|| quarantine.as_ref().map(|entry| entry.component.clone())),
            repair: repair.map(str::to_owned),
            quarantine,
        });
    }

    fn aside(&mut self, bytes: &[u8], why: impl ToString) {
        self.found.unreadable.push((bytes.to_vec(), why.to_string()));
    }

    /// JSON of any shape.
    fn json(&mut self, bytes: &[u8]) {
        let mut rest = bytes.trim_ascii();
        if let (Ok(value @ (Value::Object(_) | Value::Array(_))), Ok(text)) =
            (serde_json::from_slice(rest), std::str::from_utf8(rest))
        {
            return self.document(text, &value, None);
        }
        // A document begins with a bracket alone on its line; everything else is lines.
        while is_document(rest) {
            let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
            match values.next() {
                Some(Ok(value)) => {
                    let (whole, after) = rest.split_at(values.byte_offset().min(rest.len()));
                    match std::str::from_utf8(whole) {
                        Ok(text) => self.document(text, &value, None),
                        Err(error) => self.aside(whole, error),
                    }
                    rest = after.trim_ascii();
                }
                _ => return self.torn_document(rest),
            }
        }
        for line in rest.split(|byte| *byte == b'\n') {
            let line = line.trim_ascii();
            if !line.is_empty() {
                self.line(line);
            }
        }
    }

    /// A document that nobody finished writing.
    fn torn_document(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        match mend(&text) {
            Some(mended) => {
                // What was torn is kept as it stood; what could be read of it follows.
                if mended.value.is_array() {
                    self.record(bytes, &Value::Null, Some(mended.how));
                    self.document(&mended.text, &mended.value, Some(mended.how));
                } else {
                    self.record(bytes, &mended.value, Some(mended.how));
                    self.lists(&mended.text, Some(mended.how));
                }
            }
            None => self.aside(bytes, "it is no JSON, and nothing of it can be read"),
        }
    }

    fn document(&mut self, text: &str, value: &Value, repair: Option<&str>) {
        match value {
            Value::Array(_) => self.elements(text, repair),
            _ => {
                self.record(text.as_bytes(), value, repair);
                self.lists(text, repair);
            }
        }
    }

    fn elements(&mut self, array: &str, repair: Option<&str>) {
        for part in spans::items(array) {
            let Some(text) = array.get(part) else { continue };
            match serde_json::from_str::<Value>(text) {
                Ok(value) if value.as_object().is_some_and(serde_json::Map::is_empty) => {}
                Ok(value) => self.record(text.as_bytes(), &value, repair),
                Err(error) => self.aside(text.as_bytes(), error),
            }
        }
    }

    /// What happened, event by event, of a document that lists it.
    fn lists(&mut self, document: &str, repair: Option<&str>) {
        for (_, part) in spans::members(document, &LISTS) {
            let list = document.get(part).unwrap_or_default();
            for item in spans::items(list) {
                let Some(text) = list.get(item) else { continue };
                // Names in a list of names are no events.
                if let Ok(value @ Value::Object(_)) = serde_json::from_str(text) {
                    self.record(text.as_bytes(), &value, repair);
                }
            }
        }
    }

    fn line(&mut self, line: &[u8]) {
        match serde_json::from_slice::<Value>(line) {
            Ok(value @ Value::Object(_)) => self.record(line, &value, None),
            Ok(Value::Array(items)) if items.is_empty() => {}
            Ok(Value::Array(_)) => {
                let text = String::from_utf8_lossy(line).into_owned();
                self.elements(&text, Some("an array stood where lines belong"));
            }
            Ok(_) => self.aside(line, "it is no object"),
            Err(error) => self.bad_line(line, &error.to_string()),
        }
    }

    /// Several records on one line, the first of them perhaps torn; or a torn one.
    fn bad_line(&mut self, line: &[u8], why: &str) {
        const TOGETHER: &str = "a line end was missing";
        let mut values = serde_json::Deserializer::from_slice(line).into_iter::<Value>();
        let mut done = 0;
        let mut first = Vec::new();
        while let Some(Ok(value)) = values.next() {
            let end = values.byte_offset();
            first.extend(line.get(done..end).map(|part| (part.trim_ascii(), value)));
            done = end;
        }
        let rest = line.get(done..).unwrap_or_default().trim_ascii();
        for (part, value) in first.iter().filter(|(_, value)| value.is_object()) {
            self.record(part, value, Some(TOGETHER));
        }
        for (part, _) in first.iter().filter(|(_, value)| !value.is_object()) {
            self.line_of_no_object(part);
        }
        if rest.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(rest);
        if let Some(mended) = mend(&text).filter(Mended::is_closed) {
            return self.record(rest, &mended.value, Some(mended.how));
        }
        let beginnings = rest.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'{').take(GLUED);
        let glued = beginnings.map(|(at, _)| rest.split_at(at)).find_map(|(torn, whole)| {
            let value: Value = serde_json::from_slice(whole).ok()?;
            value.as_object().is_some_and(|members| !members.is_empty()).then_some((torn, whole, value))
        });
        match glued {
            Some((torn, whole, value)) => {
                self.torn_line(torn.trim_ascii(), why);
                self.record(whole, &value, Some(TOGETHER));
            }
            None => self.torn_line(rest, why),
        }
    }

    fn line_of_no_object(&mut self, part: &[u8]) {
        match serde_json::from_slice::<Value>(part) {
            Ok(Value::Array(_)) => self.line(part),
            _ => self.aside(part, "it is no object"),
        }
    }

    fn torn_line(&mut self, line: &[u8], why: &str) {
        let text = String::from_utf8_lossy(line);
        match serde_json::from_str(&text) {
            Ok(value @ Value::Object(_)) => {
                self.record(line, &value, Some("bytes that are no text were replaced"));
            }
            _ => match mend(&text) {
                Some(mended) => self.record(line, &mended.value, Some(mended.how)),
                None => self.aside(line, why),
            },
        }
    }

    /// `2026-11-21 01:41:37,273 INFO …`: one record a line; lines without a moment belong to the one before.
    fn log(&mut self, bytes: &[u8]) {
        for line in bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end) {
            if line.is_empty() {
                continue;
            }
            let text = String::from_utf8_lossy(line);
            let when = text.get(..23).and_then(meaning::text_moment);
            self.record(line, &Value::Null, None);
            if let Some(record) = self.found.records.last_mut() {
                record.when = when;
            }
            if when.is_none() {
                let before = self.found.records.iter().rev().nth(1).and_then(|record| record.when);
                if let Some(record) = self.found.records.last_mut() {
                    record.when = before;
                }
            }
        }
    }

    /// Rows of the quarantine log. What is neither a row nor a heading is the rest of a reason with line ends in it.
    fn rows(&mut self, bytes: &[u8]) {
        for line in bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
            let text = String::from_utf8_lossy(line);
            let cells: Vec<_> = text.split('|').map(str::trim).collect();
            let (when, component) = match cells.as_slice() {
                [""] => continue,
                [heading] if heading.starts_with('#') => continue,
                ["", first, ..] if first.starts_with("Timestamp") || first.starts_with('-') => continue,
                ["", when, name, ..] => (meaning::text_moment(when), name.parse().ok()),
                _ => (self.found.records.last().and_then(|record| record.when), None),
            };
            self.record(line, &Value::Null, None);
            if let Some(record) = self.found.records.last_mut() {
                record.when = when;
                record.component = component;
            }
        }
    }

    /// A file that was moved into quarantine; one without an extension is named after the component it stands for.
    fn moved(&mut self, bytes: &[u8]) {
        self.record(bytes, &Value::Null, None);
        let name = self.source.file_name();
        let component = if name.contains('.') { None } else { name.parse::<ComponentId>().ok() };
        let (Some(record), Some(component)) = (self.found.records.last_mut(), component) else { return };
        let reason = "its file was in quarantine in the original system".to_owned();
        record.component = Some(component.clone());
        record.quarantine = Some(Entry { component, reason, attempts: 0 });
    }
}

/// Python indents: the first line of a document is a bracket and nothing else.
fn is_document(bytes: &[u8]) -> bool {
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    matches!(first.trim_ascii(), b"{" | b"[") && bytes.len() > 1
}
