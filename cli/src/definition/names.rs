//! Names that Kubernetes takes, out of the name of a chart, which may be almost anything.

/// How long a kind may be: its list and its plural must be labels of 63 characters too.
const KIND_BYTES_MAX: usize = 58;

/// How long the prefix of releases may be: of Helm's 53 characters, most are for the name of the instance.
const PREFIX_BYTES_MAX: usize = 32;

/// `redis-cluster` → `RedisCluster`; none when there is no letter and no digit to make it of.
pub(super) fn kind(chart: &str) -> Option<String> {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
    };
    let mut kind: String = chart.split(|letter: char| !letter.is_ascii_alphanumeric()).map(word).collect();
    if kind.starts_with(|first: char| first.is_ascii_digit()) {
        kind.insert_str(0, "App");
    }
    kind.truncate(KIND_BYTES_MAX);
    (!kind.is_empty()).then_some(kind)
}

/// The plural of an English word, as far as resources need it. Many charts have one for a name, such as
/// `external-secrets`: it stays.
pub(super) fn plural(word: &str) -> String {
    let ends = |endings: &[&str]| endings.iter().any(|ending| word.ends_with(ending));
    if word.ends_with('s') && !ends(&["ss", "us", "is"]) {
        return word.to_owned();
    }
    if ends(&["s", "x", "z", "ch", "sh"]) {
        return format!("{word}es");
    }
    match word.strip_suffix('y') {
        Some(stem) if !ends(&["ay", "ey", "oy", "uy"]) => format!("{stem}ies"),
        _ => format!("{word}s"),
    }
}

/// The name of an object: what cannot be in one is a dash.
pub(super) fn object(chart: &str) -> String {
    let lower = chart.to_ascii_lowercase();
    let words = lower.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

/// What the names of releases begin with.
pub(super) fn prefix(chart: &str) -> String {
    let mut name = object(chart);
    name.truncate(PREFIX_BYTES_MAX - 1);
    format!("{}-", name.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_camel_case_and_begin_with_a_letter() {
        let kinds = ["redis", "redis-cluster", "my_chart.v2", "3proxy", "kube--x-", "Vault"].map(kind);
        let wanted = ["Redis", "RedisCluster", "MyChartV2", "App3proxy", "KubeX", "Vault"];
        assert_eq!(kinds, wanted.map(|name| Some(name.to_owned())));
        assert_eq!(kind("-Ω-"), None);
        assert_eq!(kind(&"a".repeat(300)).map(|kind| kind.len()), Some(KIND_BYTES_MAX));
    }

    #[test]
    fn plurals_are_english() {
        let words = ["redis", "box", "proxy", "gateway", "yy", "branch"].map(plural);
        assert_eq!(words, ["redises", "boxes", "proxies", "gateways", "yies", "branches"]);
        let words = ["prometheus", "analysis", "access"].map(plural);
        assert_eq!(words, ["prometheuses", "analysises", "accesses"]);
        for word in ["argoworkflows", "externalsecrets", "argorollouts", "crds", "kubernetes", "jenkins", "nats"] {
            assert_eq!(plural(word), word);
        }
    }

    #[test]
    fn names_and_prefixes_have_lower_case_letters_digits_and_dashes() {
        assert_eq!(["My_Chart.V2", "-a-"].map(object), ["my-chart-v2", "a"]);
        assert_eq!(["Redis", "3proxy", "a.b"].map(prefix), ["redis-", "3proxy-", "a-b-"]);
        assert_eq!(prefix(&"a-".repeat(100)).len(), PREFIX_BYTES_MAX);
    }
}
