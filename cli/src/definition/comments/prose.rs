//! What a comment says: its text, without the marks of helm-docs and Bitnami, and without YAML that is commented out.

/// A comment that names its key: `## @param a.b [modifiers] text`, or the older `# a.b -- text` of helm-docs.
pub(super) fn named(comment: &str) -> Option<(Vec<String>, String)> {
    let comment = comment.trim_start_matches('#').trim();
    let (path, text) = match comment.strip_prefix("@param ").or_else(|| comment.strip_prefix("@extra ")) {
        Some(parameter) => {
            let (path, rest) = parameter.trim_start().split_once(char::is_whitespace)?;
            let rest = rest.trim_start();
            (path, if rest.starts_with('[') { rest.split_once(']').map_or("", |(_, rest)| rest) } else { rest })
        }
        None => comment.split_once(" -- ").filter(|(path, _)| is_path(path))?,
    };
    let text = text.trim();
    let is_field = !text.is_empty() && !path.contains('[') && !path.contains('"');
    is_field.then(|| (path.split('.').map(str::to_owned).collect(), without_type(text).to_owned()))
}

fn is_path(text: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-' | '/');
    text.starts_with(|first: char| first.is_ascii_lowercase()) && text.chars().all(is_letter)
}

/// `(int) text` of helm-docs.
fn without_type(text: &str) -> &str {
    let typed = text.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    match typed {
        Some((name, rest)) if !name.contains(' ') && rest.starts_with(' ') => rest.trim_start(),
        _ => text,
    }
}

/// What the comments above a key say, each without its first `#`: from where helm-docs begins, or the last paragraph.
pub(super) fn description(comments: &[&str]) -> Option<String> {
    let lines: Vec<&str> = comments.iter().map(|line| line.trim_start_matches('#')).collect();
    let begun = lines.iter().rposition(|line| line.trim_start().starts_with("-- "));
    let text = match begun {
        Some(begun) => {
            let mut text = prose(lines.get(begun..).unwrap_or_default()).concat();
            if let Some(first) = text.first_mut() {
                *first = without_type(first.trim_start_matches("--").trim());
            }
            text
        }
        None => prose(&lines).pop().unwrap_or_default(),
    };
    let text = text.join(" ");
    (!text.is_empty()).then_some(text)
}

/// The paragraphs, without what is not meant to be read.
fn prose<'a>(lines: &[&'a str]) -> Vec<Vec<&'a str>> {
    let mut paragraphs: Vec<Vec<&str>> = vec![Vec::new()];
    let mut in_code = false;
    let mut in_schema = false;
    for line in lines {
        let text = line.trim();
        if text == "@schema" {
            in_schema = !in_schema;
        }
        if in_schema || text.starts_with('@') {
            continue;
        }
        let is_ruler =
            !text.is_empty() && text.chars().all(|letter| matches!(letter, '-' | '=' | '#' | '*' | '~' | '_'));
        if text.is_empty() || is_ruler {
            in_code = false;
            paragraphs.push(Vec::new());
            continue;
        }
        in_code = is_code(line, in_code);
        let Some(paragraph) = paragraphs.last_mut() else { continue };
        if !in_code {
            paragraph.push(text);
        } else if paragraph.last().is_some_and(|last| last.ends_with(':')) {
            // "Example:" has nothing to show any more.
            paragraph.pop();
        }
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    paragraphs
}

/// Whether a line is YAML that is commented out. What is deeper than YAML belongs to it.
fn is_code(line: &str, after_code: bool) -> bool {
    let text = line.trim();
    let depth = line.len() - line.trim_start().len();
    if text.starts_with("-- ") {
        return false;
    }
    if after_code && depth > 1 {
        return true;
    }
    if let Some(item) = text.strip_prefix("- ") {
        return after_code || depth > 1 || is_pair(item);
    }
    is_pair(text)
}

/// `key: value` as charts name keys, and not as people write.
fn is_pair(text: &str) -> bool {
    const WORDS: [&str; 8] = ["ref", "see", "note", "default", "defaults", "e.g.", "eg", "example"];
    let pair = text.split_once(": ").or_else(|| text.strip_suffix(':').map(|name| (name, "")));
    let Some((name, value)) = pair else { return matches!(text, "{}" | "[]" | "}" | "]") };
    is_path(name) && !WORDS.contains(&name) && value.split_whitespace().count() <= 4
}
