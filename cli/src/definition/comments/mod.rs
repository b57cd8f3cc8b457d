//! Comments of `values.yaml`, as descriptions: what stands directly above a key at its indentation, or behind its
//! value; `# -- text` of helm-docs; `## @param path text` of Bitnami's charts.

use std::collections::HashMap;

/// What a line of YAML is.
mod line;

/// What a comment says.
mod prose;

use line::{Line, Opened};

/// The longest description, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 2048;

/// Descriptions by the path of the key.
pub(super) type Descriptions = HashMap<Vec<String>, String>;

/// Reads the comments of a text.
pub(super) fn read(text: &str) -> Descriptions {
    let mut reader = Reader::default();
    for line in text.trim_start_matches('\u{feff}').lines() {
        reader.line(line);
    }
    let mut found = reader.found;
    // What names its key says more than what is only beside it.
    found.extend(reader.named);
    found
}

#[derive(Default)]
struct Reader<'a> {
    found: Descriptions,
    /// From comments that name their key.
    named: Descriptions,
    /// The keys above, each with its indentation.
    path: Vec<(usize, String)>,
    /// The comments directly above, each with its indentation.
    above: Vec<(usize, &'a str)>,
    /// A value that goes on in the next lines.
    opened: Option<Opened>,
    /// The indentation of the list whose item this is; what is inside has no place for a description.
    in_list: Option<usize>,
}

impl<'a> Reader<'a> {
    fn line(&mut self, text: &'a str) {
        if let Some(opened) = self.opened.take() {
            self.opened = opened.after(text);
            if self.opened.is_some() || !opened.is_over_before(text) {
                return;
            }
        }
        let trimmed = text.trim_start();
        let indent = text.len() - trimmed.len();
        match Line::of(trimmed) {
            Line::Comment(comment) => match prose::named(comment) {
                Some((path, description)) => drop(self.named.insert(path, short(&description))),
                None => self.above.push((indent, comment)),
            },
            Line::Blank => self.above.clear(),
            Line::Item { inner, value } => {
                self.above.clear();
                if self.in_list.is_none_or(|list| indent < list) {
                    self.in_list = Some(indent);
                }
                self.opened = Opened::by(value, indent + inner);
            }
            Line::Key { name, value, trailing } => self.key(indent, name, value, trailing),
            Line::Other => {
                self.above.clear();
                self.opened = Opened::by(trimmed, indent);
            }
        }
    }

    fn key(&mut self, indent: usize, name: String, value: &str, trailing: Option<&str>) {
        self.opened = Opened::by(value, indent);
        let above = std::mem::take(&mut self.above);
        if self.in_list.is_some_and(|list| indent > list) {
            return;
        }
        self.in_list = None;
        self.path.retain(|(of, _)| *of < indent);
        self.path.push((indent, name));
        // A comment of another indentation belongs to something else, such as an example of the value before.
        let own = above.iter().rev().take_while(|(of, _)| *of == indent).map(|(_, comment)| *comment);
        let mut own: Vec<&str> = own.collect();
        own.reverse();
        if let Some(text) = prose::description(&own).or_else(|| prose::description(trailing.as_slice())) {
            let path = self.path.iter().map(|(_, key)| key.clone()).collect();
            self.found.entry(path).or_insert_with(|| short(&text));
        }
    }
}

fn short(text: &str) -> String {
    text[..text.floor_char_boundary(DESCRIPTION_BYTES_MAX)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn described(text: &str, wanted: &[(&str, &str)]) {
        let found = read(text);
        let mut found: Vec<_> = found.iter().map(|(path, text)| (path.join("."), text.as_str())).collect();
        found.sort();
        let mut wanted: Vec<_> = wanted.iter().map(|(path, text)| ((*path).to_owned(), *text)).collect();
        wanted.sort();
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_comment_belongs_to_the_key_directly_below_at_its_indentation() {
        described(
            "# Default values for a chart.\n\n# How many\nreplicas: 1\n# not this\n\nimage:\n  # Which one\n  tag: x\n\
             \x20 # not for the next\nother: 1\n# Last\n'quoted: key': 1\n",
            &[("replicas", "How many"), ("image.tag", "Which one"), ("quoted: key", "Last")],
        );
    }

    #[test]
    fn examples_that_are_commented_out_describe_nothing() {
        described(
            "ingress:\n  enabled: false\n  className: \"\"\n  annotations: {}\n\
             \x20   # kubernetes.io/ingress.class: nginx\n    # kubernetes.io/tls-acme: \"true\"\n\
             \x20 hosts:\n    - host: chart-example.local\n      paths:\n\
             \x20       # inner\n        - path: /\n  tls: []\n  #  - secretName: chart-example-tls\n  #    hosts:\n\
             \x20 #      - chart-example.local\nresources: {}\n\
             \x20 # We usually recommend not to specify them\n  # limits:\n  #   cpu: 100m\n\
             # limits:\n#   cpu: 100m\nnodeSelector: {}\n",
            &[],
        );
    }

    #[test]
    fn helm_docs_comments_begin_where_they_say() {
        described(
            "# Ignored\n# -- The image\n# in two lines\n# @default -- the chart's own\nimage:\n  # -- (int) How many\n\
             \x20 count: 1\n  # -- A list\n  # - of choices\n  list: []\n# image.tag -- Which one\n\n# other\n",
            &[
                ("image", "The image in two lines"),
                ("image.count", "How many"),
                ("image.list", "A list - of choices"),
                ("image.tag", "Which one"),
            ],
        );
    }

    #[test]
    fn bitnami_parameters_are_named_anywhere() {
        described(
            "## @section Image parameters\n## @param image.tag [string, default: 1] Which image\n\
             ## @skip image.secret\n## @extra image.more  Another\n## @param image.list[0].x Not a field\n\n\
             ## Bitnami image\n## ref: https://x.y\n## @param image.registry Where from\n##\n\
             image:\n  registry: docker.io # not this\n  tag: x\n",
            &[
                ("image", "Bitnami image ref: https://x.y"),
                ("image.tag", "Which image"),
                ("image.more", "Another"),
                ("image.registry", "Where from"),
            ],
        );
    }

    #[test]
    fn comments_behind_a_value_describe_it() {
        described(
            "a: 1 # one\nb: \"x # no\" # two\nc: 'it''s # no'\nd: x#no\ne: {a: 1} # three\nf:   # four\n  g: 1\n\
             # above\nh: 1 # behind\n",
            &[("a", "one"), ("b", "two"), ("e", "three"), ("f", "four"), ("h", "above")],
        );
    }

    #[test]
    fn text_of_several_lines_has_no_comments_and_no_keys() {
        described(
            "script: |-\n  # no\n  key: no\n\n  # no\n# Yes\nnext: >2 # yes\n    # no\n    a: no\n\
             quoted: \"a\n  # no\n  b: no\"\nlist:\n  - |\n    # no\n    x: 1\n  - name: a\n\
             \x20   text: |\n      # no\n      y: 1\n    # no\n    z: 1\n\
             # After\nlast: &anchor |\n  # no\nflow: [\n  # no\n  a,\n]\n# End\nend: 1\n",
            &[("next", "Yes"), ("last", "After"), ("end", "End")],
        );
    }

    #[test]
    fn descriptions_are_not_endless() {
        let found = read(&format!("# {}\na: 1\n", "ü".repeat(5000)));
        assert_eq!(found[&vec!["a".to_owned()]].len(), DESCRIPTION_BYTES_MAX);
    }
}
