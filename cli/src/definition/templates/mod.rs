//! What a chart's templates do with its values: which of them are printed as whole documents, and so may be any object.
//!
//! `syntax` reads templates, `follow` goes through them with a `term` for each value, and a `document` tells where
//! something is printed. `plain` reads what needs no following.

/// What a template says.
mod syntax;

/// Where something is printed.
mod document;

/// What is known about a value.
mod term;

/// From values to what is printed.
mod follow;

/// What is plain.
pub(super) mod plain;

use std::{collections::BTreeSet, rc::Rc};

use super::chart::Chart;
use follow::{Defines, Follower};
use syntax::Node;

/// Stands for each item of a list or a map in a path.
pub(super) const ANY: &str = "*";

/// The names that lead to a value of a chart.
pub(super) type ValuePath = Vec<String>;

/// Values that templates print.
#[derive(Debug, Default)]
pub(super) struct Printed {
    /// As documents, each of which may be any object.
    pub(super) whole: BTreeSet<ValuePath>,
    /// Within documents.
    pub(super) within: BTreeSet<ValuePath>,
    /// Whether there is more than was followed.
    pub(super) is_cut: bool,
}

/// Follows the values of a chart and its subcharts.
pub(super) fn printed(chart: &Chart) -> Printed {
    let mut defines = Defines::new();
    let mut files = Vec::new();
    let is_read = read(chart, &Vec::new(), &mut defines, &mut files);
    let mut follower = Follower::new(&defines);
    for (values, nodes) in &files {
        follower.file(nodes, values);
    }
    let found = follower.found();
    Printed { is_cut: found.is_cut || !is_read, ..found }
}

/// Templates of a chart and its subcharts. Names are common to all of them, and those of the chart itself count. Returns
/// whether all of them could be read.
fn read(chart: &Chart, values: &ValuePath, defines: &mut Defines, files: &mut Vec<(ValuePath, Vec<Node>)>) -> bool {
    let mut is_read = true;
    for subchart in &chart.subcharts {
        for key in chart.keys_of(subchart) {
            let mut values = values.clone();
            values.push(key.to_owned());
            is_read &= read(subchart, &values, defines, files);
        }
    }
    for (name, text) in &chart.templates {
        let Some(nodes) = syntax::parse(text) else {
            is_read = false;
            continue;
        };
        define(&nodes, defines);
        let file = name.rsplit('/').next().unwrap_or_default();
        if !(file.starts_with('_') || file == "NOTES.txt" || chart.is_library) {
            files.push((values.clone(), nodes));
        }
    }
    is_read
}

fn define(nodes: &[Node], defines: &mut Defines) {
    for node in nodes {
        match node {
            Node::Define { name, body } => {
                define(body, defines);
                defines.insert(name.clone(), Rc::new(body.clone()));
            }
            Node::Branch { then, otherwise, .. } => {
                define(then, defines);
                define(otherwise, defines);
            }
            Node::Range { body, .. } => define(body, defines),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
