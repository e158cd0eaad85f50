//! The table of components: aligned, harmless, and the same words everywhere. It never asks; it is given what to show.

use std::fmt::Write as _;

use console::measure_text_width;
use razar_core::time::Timestamp;

use super::{escape, moment};
use crate::serve::wire::ComponentView;

const HEAD: [&str; 6] = ["COMPONENT", "STATE", "SINCE", "PID", "LAUNCHES", "REASON"];

/// One line a component below a heading; `now` is what ages are counted to.
pub(crate) fn table(components: &[ComponentView], now: Timestamp) -> String {
    let rows: Vec<[String; 6]> = components.iter().map(|component| cells(component, now)).collect();
    let mut widths = HEAD.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(measure_text_width(cell));
        }
    }
    let mut out = String::new();
    push(&mut out, &HEAD.map(str::to_owned), &widths);
    for row in &rows {
        push(&mut out, row, &widths);
    }
    out
}

fn cells(component: &ComponentView, now: Timestamp) -> [String; 6] {
    let none = || "-".to_owned();
    [
        component.component.to_string(),
        escape::line(&component.state),
        component.since.map_or_else(none, |since| moment::span(now.since(Timestamp(since)))),
        component.pid.map_or_else(none, |pid| pid.to_string()),
        component.launches.to_string(),
        component.reason.as_deref().map(escape::line).unwrap_or_default(),
    ]
}

fn push(out: &mut String, row: &[String; 6], widths: &[usize; 6]) {
    let start = out.len();
    for (cell, width) in row.iter().zip(widths) {
        let gap = width.saturating_sub(measure_text_width(cell)) + 2;
        let _ = write!(out, "{cell}{:gap$}", "");
    }
    let kept = out.trim_end().len().max(start);
    out.truncate(kept);
    out.push('\n');
}
