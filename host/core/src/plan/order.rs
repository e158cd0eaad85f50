//! Who boots before whom: layers, dependencies, and the circles among them. Iterative throughout: a chain of ten
//! thousand components is a document, not a stack overflow.

use std::collections::{HashMap, HashSet};

use super::place::{Place, Problems, quote};
use crate::document::boot::{BootConfig, Component};
use crate::id::{ComponentId, MAX_NAME};

/// Names of a circle that a message lists: enough to see it, few enough to read.
const MAX_CIRCLE: usize = 12;

/// The layers of a document.
pub(super) struct Layers {
    /// In boot order.
    pub(super) names: Vec<String>,
    index: HashMap<String, u32>,
}

impl Layers {
    /// The place of a component's layer; a component that names none is in the first.
    pub(super) fn of(&self, layer: Option<&str>) -> Option<u32> {
        layer.map_or(Some(0), |name| self.index.get(name).copied())
    }

    fn add(&mut self, name: &str) -> bool {
        let next = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let new = !self.index.contains_key(name);
        if new {
            self.index.insert(name.to_owned(), next);
            self.names.push(name.to_owned());
        }
        new
    }
}

/// The document's layers; reports those that repeat, that are no names, and components in a layer that is not listed.
pub(super) fn layers(config: &BootConfig, problems: &mut Problems<'_>) -> Layers {
    let root = Place::Root;
    let mut layers = Layers { names: Vec::new(), index: HashMap::new() };
    let listed_place = Place::Key(&root, "layers");
    for (index, name) in config.layers.iter().flatten().enumerate() {
        let place = Place::Index(&listed_place, index);
        sound(name, &place, problems);
        if !layers.add(name) {
            problems.add(
                &place,
                format!("layer {} is listed twice", quote(name)),
                "remove one of the two".to_owned(),
            );
        }
    }
    let listed = config.layers.is_some() || problems.refused(&listed_place);
    let components = Place::Key(&root, "components");
    for (index, component) in config.components.iter().enumerate() {
        let Some(name) = &component.layer else { continue };
        let place = Place::Index(&components, index);
        let place = Place::Key(&place, "layer");
        if !listed {
            if layers.add(name) {
                sound(name, &place, problems);
            }
        } else if !layers.index.contains_key(name) && !problems.refused(&listed_place) {
            let hint = match problems.nearest(name, layers.names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add {} to `layers`", quote(name)),
            };
            problems.add(&place, format!("layer {} is not listed in `layers`", quote(name)), hint);
        }
    }
    layers
}

fn sound(name: &str, place: &Place<'_>, problems: &mut Problems<'_>) {
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        problems.add(
            place,
            format!("{} is not a layer name: use 1 to {MAX_NAME} characters", quote(name)),
            None,
        );
    }
}

/// Reports dependencies that do not exist, are written twice, point upwards, or go round in a circle.
pub(super) fn dependencies(
    entries: &[Component],
    names: &[Option<ComponentId>],
    layers: &Layers,
    problems: &mut Problems<'_>,
) {
    let root = Place::Root;
    let components = Place::Key(&root, "components");
    let known: HashMap<&str, usize> = names
        .iter()
        .enumerate()
        .rev()
        .filter_map(|(index, id)| Some((id.as_ref()?.as_str(), index)))
        .collect();
    let layer = |index: usize| entries.get(index).and_then(|entry| layers.of(entry.layer.as_deref()));
    let mut graph: Vec<Vec<usize>> = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let place = Place::Index(&components, index);
        let place = Place::Key(&place, "depends_on");
        let mut seen = HashSet::new();
        let mut edges = Vec::new();
        for (position, name) in entry.depends_on.iter().flatten().enumerate() {
            let place = Place::Index(&place, position);
            let Some(&target) = known.get(name.as_str()) else {
                let hint = match problems.nearest(name, names.iter().flatten().map(ComponentId::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "remove it, or add the component".to_owned(),
                };
                problems.add(&place, format!("there is no component {}", quote(name)), hint);
                continue;
            };
            if !seen.insert(target) {
                problems.add(
                    &place,
                    format!("{} is listed twice", quote(name)),
                    "remove one of the two".to_owned(),
                );
                continue;
            }
            if let (Some(own), Some(other)) = (layer(index), layer(target))
                && other > own
            {
                let title = |layer: u32| {
                    let name = usize::try_from(layer).ok().and_then(|layer| layers.names.get(layer));
                    name.map_or_else(|| layer.to_string(), |name| quote(name))
                };
                let message = format!(
                    "{} boots later, in layer {}, than this, in layer {}",
                    quote(name),
                    title(other),
                    title(own)
                );
                let hint = format!("move this component to layer {} or above", title(other));
                problems.add(&place, message, hint);
                continue;
            }
            edges.push(target);
        }
        graph.push(edges);
    }
    for circle in circles(&graph) {
        report(&circle, entries, names, &components, problems);
    }
}

fn report(
    circle: &[usize],
    entries: &[Component],
    names: &[Option<ComponentId>],
    components: &Place<'_>,
    problems: &mut Problems<'_>,
) {
    let (Some(&first), Some(&last)) = (circle.first(), circle.last()) else { return };
    let name = |index: usize| names.get(index).and_then(Option::as_ref).map_or("?", ComponentId::as_str);
    let mut path: Vec<&str> = circle.iter().take(MAX_CIRCLE).map(|index| name(*index)).collect();
    if circle.len() > MAX_CIRCLE {
        path.push("…");
        path.push(name(last));
    }
    path.push(name(first));
    let place = Place::Index(components, last);
    let place = Place::Key(&place, "depends_on");
    let written = entries.get(last).and_then(|entry| entry.depends_on.as_ref());
    let position =
        written.and_then(|names| names.iter().position(|written| written == name(first))).unwrap_or(0);
    let hint =
        format!("remove `{}` from `depends_on` of `{}`, or another of these steps", name(first), name(last));
    let message = format!("dependencies go round in a circle: {}", path.join(" -> "));
    problems.add(&Place::Index(&place, position), message, hint);
}

/// Circles of a graph, no component in two of them, at least one of every knot.
fn circles(graph: &[Vec<usize>]) -> Vec<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        OnPath,
        Done,
    }
    let mut marks = vec![Mark::New; graph.len()];
    let mut reported: HashSet<usize> = HashSet::new();
    let mut found = Vec::new();
    for start in 0..graph.len() {
        if marks.get(start) != Some(&Mark::New) {
            continue;
        }
        // Each step of the path with the number of its edges already followed.
        let mut path: Vec<(usize, usize)> = vec![(start, 0)];
        if let Some(mark) = marks.get_mut(start) {
            *mark = Mark::OnPath;
        }
        while let Some((node, followed)) = path.last_mut() {
            let node = *node;
            let next = graph.get(node).and_then(|edges| edges.get(*followed)).copied();
            *followed += 1;
            let Some(next) = next else {
                path.pop();
                if let Some(mark) = marks.get_mut(node) {
                    *mark = Mark::Done;
                }
                continue;
            };
            match marks.get(next) {
                Some(Mark::New) => {
                    if let Some(mark) = marks.get_mut(next) {
                        *mark = Mark::OnPath;
                    }
                    path.push((next, 0));
                }
                Some(Mark::OnPath) if !reported.contains(&next) && !reported.contains(&node) => {
                    let from = path.iter().rposition(|(step, _)| *step == next).unwrap_or(0);
                    let circle: Vec<usize> = path.iter().skip(from).map(|(step, _)| *step).collect();
                    if circle.iter().all(|step| !reported.contains(step)) {
                        reported.extend(&circle);
                        found.push(circle);
                    }
                }
                _ => {}
            }
        }
    }
    found
}
