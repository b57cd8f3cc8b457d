//! Comments of `values.yaml`, as descriptions: what stands above a key, `# -- text` of helm-docs, `## @param path text`
//! of Bitnami's charts.

use std::collections::HashMap;

/// The longest description, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 2048;

/// Descriptions by the path of the key.
pub(super) type Descriptions = HashMap<Vec<String>, String>;

/// Reads the comments of a text.
pub(super) fn read(text: &str) -> Descriptions {
    let mut found = Descriptions::new();
    let mut path: Vec<(usize, String)> = Vec::new();
    let mut above: Vec<&str> = Vec::new();
    // The indent of a key whose text goes on in deeper lines.
    let mut in_block: Option<usize> = None;
    for line in text.lines() {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        if in_block.is_some_and(|of| trimmed.is_empty() || indent > of) {
            continue;
        }
        in_block = None;
        if let Some(comment) = trimmed.strip_prefix('#') {
            let comment = comment.trim_start_matches('#').trim();
            match comment.strip_prefix("@param ") {
                Some(parameter) => note_parameter(parameter, &mut found),
                None => above.push(comment),
            }
            continue;
        }
        let Some((key, value)) = key_of(trimmed) else {
            above.clear();
            continue;
        };
        path.retain(|(of, _)| *of < indent);
        path.push((indent, key));
        let keys = || path.iter().map(|(_, key)| key.clone()).collect::<Vec<_>>();
        if let Some(description) = describe(&above) {
            found.entry(keys()).or_insert(description);
        }
        above.clear();
        if value.starts_with(['|', '>']) {
            in_block = Some(indent);
        }
    }
    found
}

/// `key: value`; none for items of lists and whatever else.
fn key_of(line: &str) -> Option<(String, &str)> {
    let (key, value) = line.split_once(':')?;
    let key = key.trim().trim_matches(['"', '\'']);
    let is_name = !key.is_empty() && !key.starts_with(['-', '{', '[', '&', '*']);
    let plain = is_name && (value.is_empty() || value.starts_with(' '));
    plain.then(|| (key.to_owned(), value.trim()))
}

/// `a.b [string] what it is`.
fn note_parameter(text: &str, found: &mut Descriptions) {
    let Some((path, rest)) = text.trim().split_once(char::is_whitespace) else { return };
    let rest = rest.trim_start();
    let rest = if rest.starts_with('[') { rest.split_once(']').map_or("", |(_, rest)| rest) } else { rest };
    if !rest.trim().is_empty() {
        found.insert(path.split('.').map(str::to_owned).collect(), short(rest.trim()));
    }
}

/// The last paragraph above a key; from where helm-docs begins, if it does.
fn describe(above: &[&str]) -> Option<String> {
    let from = above.iter().rposition(|line| line.starts_with("-- "));
    let paragraph = match from {
        Some(from) => &above[from..],
        None => above.rsplit(|line| line.is_empty()).next().unwrap_or_default(),
    };
    let lines = paragraph.iter().map(|line| line.trim_start_matches("-- ").trim());
    let text = lines.filter(|line| !line.is_empty() && !line.starts_with('@')).collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then(|| short(&text))
}

fn short(text: &str) -> String {
    text[..text.floor_char_boundary(DESCRIPTION_BYTES_MAX)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_belong_to_the_key_below_them() {
        let found = read(
            "## @param image.tag [string] Which image\n# A heading\n#\n# -- The image\n# in two lines\nimage:\n\
             \x20 tag: x\n# not: for list items\nlist:\n- a: 1\n  # inner\n  b: 2\nscript: |\n  # no comment\n\
             \x20 key: no key\n# Last\n'quoted': 1\n",
        );
        let get =
            |path: &[&str]| found.get(&path.iter().map(|&key| key.to_owned()).collect::<Vec<_>>()).map(String::as_str);
        assert_eq!(get(&["image", "tag"]), Some("Which image"));
        assert_eq!(get(&["image"]), Some("The image in two lines"));
        assert_eq!(get(&["list"]), Some("not: for list items"));
        assert_eq!(get(&["quoted"]), Some("Last"));
        assert_eq!(get(&["key"]), None);
    }
}
