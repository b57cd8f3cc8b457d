//! The names of sets of characters that Go knows (go/src/regexp/syntax/parse.go, `unicodeTable`). Go looks scripts up by a
//! name of one word, so those with more words are not known to it.

/// Categories by their short names, each followed by Go's other names for it, reduced as Go reduces names.
const CATEGORIES: [&[&str]; 37] = [
    &["C", "Other"],
    &["Cc", "Control", "Cntrl"],
    &["Cf", "Format"],
    &["Cn", "Unassigned"],
    &["Co", "Privateuse"],
    &["L", "Letter"],
    &["Lc", "Casedletter"],
    &["Ll", "Lowercaseletter"],
    &["Lm", "Modifierletter"],
    &["Lo", "Otherletter"],
    &["Lt", "Titlecaseletter"],
    &["Lu", "Uppercaseletter"],
    &["M", "Mark", "Combiningmark"],
    &["Mc", "Spacingmark"],
    &["Me", "Enclosingmark"],
    &["Mn", "Nonspacingmark"],
    &["N", "Number"],
    &["Nd", "Decimalnumber", "Digit"],
    &["Nl", "Letternumber"],
    &["No", "Othernumber"],
    &["P", "Punctuation", "Punct"],
    &["Pc", "Connectorpunctuation"],
    &["Pd", "Dashpunctuation"],
    &["Pe", "Closepunctuation"],
    &["Pf", "Finalpunctuation"],
    &["Pi", "Initialpunctuation"],
    &["Po", "Otherpunctuation"],
    &["Ps", "Openpunctuation"],
    &["S", "Symbol"],
    &["Sc", "Currencysymbol"],
    &["Sk", "Modifiersymbol"],
    &["Sm", "Mathsymbol"],
    &["So", "Othersymbol"],
    &["Z", "Separator"],
    &["Zl", "Lineseparator"],
    &["Zp", "Paragraphseparator"],
    &["Zs", "Spaceseparator"],
];

/// Scripts.
const SCRIPTS: [&str; 117] = [
    "Adlam",
    "Ahom",
    "Arabic",
    "Armenian",
    "Avestan",
    "Balinese",
    "Bamum",
    "Batak",
    "Bengali",
    "Bhaiksuki",
    "Bopomofo",
    "Brahmi",
    "Braille",
    "Buginese",
    "Buhid",
    "Carian",
    "Chakma",
    "Cham",
    "Cherokee",
    "Chorasmian",
    "Common",
    "Coptic",
    "Cuneiform",
    "Cypriot",
    "Cyrillic",
    "Deseret",
    "Devanagari",
    "Dogra",
    "Duployan",
    "Elbasan",
    "Elymaic",
    "Ethiopic",
    "Georgian",
    "Glagolitic",
    "Gothic",
    "Grantha",
    "Greek",
    "Gujarati",
    "Gurmukhi",
    "Han",
    "Hangul",
    "Hanunoo",
    "Hatran",
    "Hebrew",
    "Hiragana",
    "Inherited",
    "Javanese",
    "Kaithi",
    "Kannada",
    "Katakana",
    "Kawi",
    "Kharoshthi",
    "Khmer",
    "Khojki",
    "Khudawadi",
    "Lao",
    "Latin",
    "Lepcha",
    "Limbu",
    "Lisu",
    "Lycian",
    "Lydian",
    "Mahajani",
    "Makasar",
    "Malayalam",
    "Mandaic",
    "Manichaean",
    "Marchen",
    "Medefaidrin",
    "Miao",
    "Modi",
    "Mongolian",
    "Mro",
    "Multani",
    "Myanmar",
    "Nabataean",
    "Nandinagari",
    "Newa",
    "Nko",
    "Nushu",
    "Ogham",
    "Oriya",
    "Osage",
    "Osmanya",
    "Palmyrene",
    "Phoenician",
    "Rejang",
    "Runic",
    "Samaritan",
    "Saurashtra",
    "Sharada",
    "Shavian",
    "Siddham",
    "Sinhala",
    "Sogdian",
    "Soyombo",
    "Sundanese",
    "Syriac",
    "Tagalog",
    "Tagbanwa",
    "Takri",
    "Tamil",
    "Tangsa",
    "Tangut",
    "Telugu",
    "Thaana",
    "Thai",
    "Tibetan",
    "Tifinagh",
    "Tirhuta",
    "Toto",
    "Ugaritic",
    "Vai",
    "Vithkuqi",
    "Wancho",
    "Yezidi",
    "Yi",
];

/// The set of that name in the syntax of the `regex` crate.
pub(super) fn set(name: &str) -> Option<String> {
    let name = reduced(name);
    match name.as_str() {
        "Any" | "Assigned" => return Some(format!(r"\p{{{name}}}")),
        "Ascii" => return Some(r"[\x00-\x7F]".to_owned()),
        // Halves of surrogate pairs: no text has them.
        "Cs" | "Surrogate" => return Some("[a&&b]".to_owned()),
        _ => {}
    }
    let category = CATEGORIES.iter().find(|names| names.contains(&name.as_str())).and_then(|names| names.first());
    let script = SCRIPTS.contains(&name.as_str()).then(|| format!(r"\p{{sc={name}}}"));
    category.map(|short| format!(r"\p{{gc={short}}}")).or(script)
}

/// `canonicalName`: a capital letter first, small letters, nothing between words.
fn reduced(name: &str) -> String {
    let mut reduced = String::with_capacity(name.len());
    for c in name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')) {
        reduced.push(if reduced.is_empty() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() });
    }
    reduced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_are_known_to_the_regex_crate() {
        let names = CATEGORIES.iter().flat_map(|names| names.iter()).chain(&SCRIPTS).chain(&["Any", "Assigned", "Cs"]);
        for name in names {
            let set = set(name).unwrap();
            assert!(regex::bytes::Regex::new(&set).is_ok(), "{set}");
        }
    }
}
