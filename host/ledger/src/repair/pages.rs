//! Facts, found without SQLite: every page of the file that looks like a leaf of a table is searched for rows of the
//! shape of a fact, and the chain tells which of them are facts. So one damaged page costs the facts on it and not those
//! that it pointed to. The layout is that of <https://www.sqlite.org/fileformat2.html>.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use razar_core::time::Timestamp;

use crate::chain::Head;
use crate::meta;
use crate::replay::Link;

/// A fact is far smaller; a longer row is damage.
const MAX_ROW: u64 = 64 << 20;

/// What a ledger has when its header does not say.
const USUAL_PAGE: usize = 4096;

/// The longest chain from the first fact on that the pages hold.
pub(super) fn facts(path: &Path) -> io::Result<Vec<Link>> {
    let pages = Pages::open(path)?;
    let mut rows: HashMap<u64, Vec<Row>> = HashMap::new();
    for number in 1..=pages.count {
        // Both, because the log may hold a half-written page in place of a whole one.
        let images = [pages.logged.get(&number).cloned(), pages.stored(number).ok()];
        for image in images.into_iter().flatten() {
            for row in leaf_rows(&pages, number, &image) {
                rows.entry(row.seq).or_default().push(row);
            }
        }
    }
    let (mut head, mut links) = (Head::GENESIS, Vec::new());
    while let Some(candidates) = rows.remove(&(head.seq + 1)) {
        let fitting = candidates.into_iter().find_map(|row| {
            let next = head.next(row.at, &row.body);
            (next.hash.as_slice() == row.hash).then_some(Link { at: row.at, body: row.body, head: next })
        });
        let Some(link) = fitting else { break };
        head = link.head;
        links.push(link);
    }
    Ok(links)
}

/// The directory's own name, where it stands on its page.
pub(super) fn state_id(path: &Path) -> io::Result<Option<String>> {
    const KEY: &[u8] = b"state_id";
    let mut found = None;
    let pages = Pages::open(path)?;
    for number in 1..=pages.count {
        let image = match pages.logged.get(&number) {
            Some(image) => image.clone(),
            None => pages.stored(number)?,
        };
        let names = image.windows(KEY.len() + meta::STATE_ID).filter_map(|window| window.strip_prefix(KEY));
        found = found.or_else(|| {
            names
                .filter_map(|name| std::str::from_utf8(name).ok())
                .find(|name| meta::is_state_id(name))
                .map(str::to_owned)
        });
    }
    Ok(found)
}

struct Row {
    seq: u64,
    at: Timestamp,
    body: Vec<u8>,
    hash: Vec<u8>,
}

/// The file's pages, and the newer ones in its write-ahead log.
struct Pages {
    file: File,
    size: usize,
    count: u32,
    logged: HashMap<u32, Vec<u8>>,
}

impl Pages {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut header = [0; 2];
        // A file that is shorter than its header has no pages.
        let _ = file.read_exact_at(&mut header, 16);
        let size = match u16::from_be_bytes(header) {
            1 => 65_536,
            size if size.is_power_of_two() && size >= 512 => usize::from(size),
            _ => USUAL_PAGE,
        };
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let logged = logged(Path::new(&log), size).unwrap_or_default();
        let stored = u32::try_from(length.div_ceil(size as u64)).unwrap_or(u32::MAX);
        let count = logged.keys().copied().max().unwrap_or(0).max(stored);
        Ok(Self { file, size, count, logged })
    }

    /// A page of the file itself; what is missing of a file that was cut off is zero.
    fn stored(&self, number: u32) -> io::Result<Vec<u8>> {
        let mut page = vec![0; self.size];
        let mut filled = 0;
        let start = u64::from(number.saturating_sub(1)) * self.size as u64;
        while let Some(rest) = page.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, start + filled as u64)? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(page)
    }

    fn newest(&self, number: u32) -> Option<Vec<u8>> {
        self.logged.get(&number).cloned().or_else(|| self.stored(number).ok())
    }
}

/// The newest committed image of every page in a write-ahead log.
fn logged(path: &Path, size: usize) -> io::Result<HashMap<u32, Vec<u8>>> {
    let mut log = BufReader::new(File::open(path)?);
    let mut header = [0; 32];
    log.read_exact(&mut header)?;
    let salts = header.get(16..24).map(<[u8]>::to_vec);
    let (mut committed, mut pending) = (HashMap::new(), Vec::new());
    loop {
        let (mut frame, mut page) = ([0; 24], vec![0; size]);
        if log.read_exact(&mut frame).and_then(|()| log.read_exact(&mut page)).is_err() {
            return Ok(committed);
        }
        // Frames of an earlier use of the log follow those of this one.
        if frame.get(8..16).map(<[u8]>::to_vec) != salts {
            return Ok(committed);
        }
        pending.push((number(&frame, 0), page));
        if number(&frame, 4) != 0 {
            committed.extend(pending.drain(..));
        }
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..at + 4).and_then(|four| <[u8; 4]>::try_from(four).ok());
    four.map_or(0, u32::from_be_bytes)
}

fn short(bytes: &[u8], at: usize) -> usize {
    let two = bytes.get(at..at + 2).and_then(|two| <[u8; 2]>::try_from(two).ok());
    two.map_or(0, |two| usize::from(u16::from_be_bytes(two)))
}

/// Rows of a page, if it is a leaf of a table.
fn leaf_rows(pages: &Pages, page: u32, image: &[u8]) -> Vec<Row> {
    const LEAF: u8 = 13;
    let start = if page == 1 { 100 } else { 0 };
    if image.get(start) != Some(&LEAF) {
        return Vec::new();
    }
    let cells = short(image, start + 3).min(image.len() / 2);
    let places = (0..cells).map(|cell| short(image, start + 8 + 2 * cell));
    places.filter_map(|place| row(pages, image.get(place..)?)).collect()
}

/// One cell, if it has the shape of a fact: null, a number, a text and 32 bytes.
fn row(pages: &Pages, cell: &[u8]) -> Option<Row> {
    let (length, rest) = varint(cell)?;
    let (seq, rest) = varint(rest)?;
    let payload = payload(pages, length, rest)?;
    let (header, types) = varint(&payload)?;
    let header = usize::try_from(header).ok()?;
    let header_start = payload.len() - types.len();
    let mut types = types.get(..header.checked_sub(header_start)?)?;
    let mut values = payload.get(header..)?;
    let mut columns = Vec::new();
    while !types.is_empty() {
        let (kind, after) = varint(types)?;
        let value = values.get(..width(kind)?)?;
        values = values.get(value.len()..)?;
        columns.push((kind, value));
        types = after;
    }
    let [(0, _), (at_kind, at), (body_kind, body), (76, hash)] = columns.as_slice() else { return None };
    if *body_kind < 13 || body_kind % 2 == 0 {
        return None;
    }
    Some(Row { seq, at: Timestamp(integer(*at_kind, at)?), body: body.to_vec(), hash: hash.to_vec() })
}

/// The whole row: what does not fit into the page goes on in a chain of others.
fn payload(pages: &Pages, length: u64, cell: &[u8]) -> Option<Vec<u8>> {
    if length > MAX_ROW {
        return None;
    }
    let length = usize::try_from(length).ok()?;
    let usable = pages.size;
    let most = usable - 35;
    if length <= most {
        return cell.get(..length).map(<[u8]>::to_vec);
    }
    let least = (usable - 12) * 32 / 255 - 23;
    let fitting = least + (length - least) % (usable - 4);
    let local = if fitting <= most { fitting } else { least };
    let mut whole = cell.get(..local)?.to_vec();
    let mut next = number(cell.get(local..local + 4)?, 0);
    while whole.len() < length {
        if next == 0 || next > pages.count {
            return None;
        }
        let page = pages.newest(next)?;
        next = number(&page, 0);
        let wanted = (length - whole.len()).min(usable - 4);
        whole.extend_from_slice(page.get(4..4 + wanted)?);
    }
    Some(whole)
}

/// How many bytes a value of this type takes.
fn width(kind: u64) -> Option<usize> {
    Some(match kind {
        0 | 8 | 9 => 0,
        1..=4 => usize::try_from(kind).ok()?,
        5 => 6,
        6 | 7 => 8,
        10 | 11 => return None,
        _ => usize::try_from((kind - 12) / 2).ok()?,
    })
}

fn integer(kind: u64, bytes: &[u8]) -> Option<u64> {
    match kind {
        8 => Some(0),
        9 => Some(1),
        1..=6 => {
            let negative = bytes.first()? & 0x80 != 0;
            let value = bytes.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
            // The ledger writes no negative time.
            (!negative).then_some(value)
        }
        _ => None,
    }
}

/// Seven bits a byte, most significant first; the ninth byte has eight.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for at in 0..9 {
        let byte = *bytes.get(at)?;
        if at == 8 {
            return Some((value << 8 | u64::from(byte), bytes.get(9..)?));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(at + 1..)?));
        }
    }
    None
}
