//! What an instance may be called: Helm's limit with the prefix, DNS, and what a platform asks for besides.
//!
//! Source: k8s.io/apimachinery/pkg/util/validation/validation.go (`IsDNS1123Label`, `IsDNS1035Label`).

use std::sync::LazyLock;

use regex::Regex;

use super::RELEASE_NAME_BYTES_MAX;

/// The longest DNS label, in bytes.
const LABEL_BYTES_MAX: usize = 63;

static DNS_1123: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$").ok());
static DNS_1035: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("^[a-z]([-a-z0-9]*[a-z0-9])?$").ok());

const DNS_1123_TEXT: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and \
    must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const DNS_1035_TEXT: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
    alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
    validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

/// Which DNS label a name must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameSyntax {
    /// RFC 1123: it may begin with a digit.
    #[default]
    Dns1123Label,
    /// RFC 1035: it begins with a letter.
    Dns1035Label,
}

/// A pattern that names must match besides, which is told instead of the rules of DNS.
#[derive(Clone, Debug)]
pub struct NamePattern {
    /// The pattern.
    pub pattern: Regex,
    /// What is said of names that do not match.
    pub text: String,
}

impl PartialEq for NamePattern {
    fn eq(&self, other: &Self) -> bool {
        self.pattern.as_str() == other.pattern.as_str() && self.text == other.text
    }
}

/// The platform makes a namespace for each instance, with a name that must fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceRule {
    /// The namespace of the platform itself: in it, names are made of `prefix` and the name of the instance; elsewhere
    /// of the namespace, a dash and the name.
    pub root: String,
    /// What is put before the name in the platform's own namespace.
    pub prefix: String,
    /// What such a namespace is of, in texts.
    pub of: String,
}

impl NamespaceRule {
    /// The namespace of an instance.
    #[must_use]
    pub fn namespace(&self, name: &str, namespace: &str) -> String {
        let root_itself = namespace == self.root && format!("{}{name}", self.prefix) == self.root;
        if root_itself {
            self.root.clone()
        } else if namespace == self.root {
            format!("{}{name}", self.prefix)
        } else {
            format!("{namespace}-{name}")
        }
    }
}

/// How many bytes of the name of a release are left behind its prefix.
pub(super) fn room(prefix: &str) -> usize {
    RELEASE_NAME_BYTES_MAX.saturating_sub(prefix.len())
}

/// What an instance may be called.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NameRules {
    /// Which DNS label a name must be.
    pub syntax: NameSyntax,
    /// A pattern besides.
    pub pattern: Option<NamePattern>,
    /// The namespace that the platform makes of it.
    pub namespace: Option<NamespaceRule>,
}

impl NameRules {
    /// What is wrong with a name.
    pub(super) fn faults(&self, name: &str, namespace: Option<&str>, prefix: &str) -> Vec<String> {
        let mut faults = Vec::new();
        match &self.pattern {
            Some(rule) if !rule.pattern.is_match(name) => faults.push(rule.text.clone()),
            _ => faults.extend(self.dns_fault(name).map(str::to_owned)),
        }
        let room = room(prefix);
        if name.len() > room {
            faults.push(format!("must be no more than {room} characters (release prefix {prefix:?})"));
        }
        if let (Some(rule), Some(namespace)) = (&self.namespace, namespace) {
            let made = rule.namespace(name, namespace);
            if made.len() > LABEL_BYTES_MAX {
                faults.push(format!(
                    "computed {} namespace {made:?} would be {} characters, which exceeds the \
                     {LABEL_BYTES_MAX}-character Kubernetes namespace limit; shorten the {} name or reduce \
                     ancestor nesting depth",
                    rule.of,
                    made.len(),
                    rule.of
                ));
            }
        }
        faults
    }

    fn dns_fault(&self, name: &str) -> Option<&'static str> {
        let (pattern, text) = match self.syntax {
            NameSyntax::Dns1123Label => (&DNS_1123, DNS_1123_TEXT),
            NameSyntax::Dns1035Label => (&DNS_1035, DNS_1035_TEXT),
        };
        (!pattern.as_ref().is_some_and(|pattern| pattern.is_match(name))).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helm_and_dns_bound_a_name() {
        let rules = NameRules::default();
        assert_eq!(rules.faults("1-cache", None, "redis-"), Vec::<String>::new());
        assert_eq!(rules.faults("Cache", None, "redis-"), [DNS_1123_TEXT]);
        assert_eq!(rules.faults(&"a".repeat(47), None, "redis-"), Vec::<String>::new());
        assert_eq!(
            rules.faults(&"a".repeat(48), None, "redis-"),
            ["must be no more than 47 characters (release prefix \"redis-\")"]
        );
        let strict = NameRules { syntax: NameSyntax::Dns1035Label, ..NameRules::default() };
        assert_eq!(strict.faults("1-cache", None, ""), [DNS_1035_TEXT]);
    }

    #[test]
    fn a_namespace_that_the_platform_makes_must_fit() {
        let rule = NamespaceRule { root: "tenant-root".into(), prefix: "tenant-".into(), of: "tenant".into() };
        assert_eq!(rule.namespace("root", "tenant-root"), "tenant-root");
        assert_eq!(rule.namespace("foo", "tenant-root"), "tenant-foo");
        assert_eq!(rule.namespace("bar", "tenant-foo"), "tenant-foo-bar");
        let rules = NameRules { namespace: Some(rule), ..NameRules::default() };
        let parent = format!("tenant-{}", "a".repeat(50));
        let faults = rules.faults("abcdefg", Some(&parent), "tenant-");
        assert!(faults[0].starts_with("computed tenant namespace \"tenant-aaa"), "{faults:?}");
        assert_eq!(rules.faults("abcde", Some(&parent), "tenant-"), Vec::<String>::new());
    }
}
