//! The licences of what the binary is made of, as their authors wrote them: most ask that their text goes along.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use crate::parts::Part;

/// How files begin that have a licence or a notice in them, in small letters.
const BEGINNINGS: [&str; 5] = ["license", "licence", "copying", "notice", "unlicense"];

/// All texts, each once, with the crates that it is of.
pub(crate) fn text(parts: &BTreeMap<String, Part>) -> String {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut told = String::from("Kindsmith is made of these, besides what is its own:\n\n");
    for (key, part) in parts.iter().filter(|(_, part)| !part.is_ours) {
        let licence = part.licence.as_deref().unwrap_or("see its text");
        let _ = writeln!(told, "{key}  {licence}");
        for file in files(&part.folder) {
            let Ok(text) = fs::read_to_string(&file) else { continue };
            let text = text.replace("\r\n", "\n").trim().to_owned();
            if !text.is_empty() {
                texts.entry(text).or_default().push(key.clone());
            }
        }
    }
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by(|(left, left_of), (right, right_of)| (left_of, left).cmp(&(right_of, right)));
    for (text, of) in texts {
        let mut of = of;
        of.dedup();
        let _ = write!(told, "\n{}\n{}\n\n{text}\n", "=".repeat(80), of.join(", "));
    }
    told
}

/// The files of a crate that have a licence or a notice in them, in the order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().to_lowercase();
            BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
        })
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{arch::Arch, parts};

    #[test]
    fn every_part_of_somebody_else_is_named_and_its_text_stands_once() {
        let parts = parts::of_binary(Arch::Amd64).unwrap();
        let told = text(&parts);
        assert!(parts.values().filter(|part| !part.is_ours).all(|part| told.contains(&part.key())));
        assert!(!told.contains("\nkindsmith@"));
        // Two crates of one repository.
        let text_of = |name: &str| {
            let part = parts.values().find(|part| part.name == name).unwrap();
            fs::read_to_string(part.folder.join("LICENSE")).unwrap().trim().to_owned()
        };
        assert_eq!(text_of("tokio"), text_of("tokio-util"));
        assert_eq!(told.matches(&text_of("tokio")).count(), 1);
        assert_eq!(told, text(&parts));
    }
}
