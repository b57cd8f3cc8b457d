//! What tenants could do with the fields of a definition, in classes: a line for each, that somebody decides about it.

use serde_json::Value;

use super::schema::PRESERVE;

/// How many fields of a class are named.
const NAMED_MAX: usize = 3;

/// What fields of a class are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Containers,
    Host,
    Roles,
    Images,
    Passwords,
}

impl Class {
    const ALL: [Self; 5] = [Self::Containers, Self::Host, Self::Roles, Self::Images, Self::Passwords];

    /// What it is called, and what its fields let tenants do.
    fn described(self) -> (&'static str, &'static str) {
        match self {
            Self::Containers => {
                ("sidecars and init containers", "tenants run containers of their own beside the chart's")
            }
            Self::Host => ("host access", "what pods get of the node and its kernel is up to tenants"),
            Self::Roles => ("service accounts and roles", "what pods may do in the cluster is up to tenants"),
            Self::Images => ("images", "which programs run is up to tenants"),
            Self::Passwords => ("passwords in plain text", "who reads instances or releases reads them"),
        }
    }

    /// Whether a field is of the class; what is inside of it is not counted again.
    fn has(self, name: &str, field: &Value, above: &Above<'_>) -> bool {
        let words = words(name);
        let joined = words.concat();
        let last = words.last().map_or("", String::as_str);
        match self {
            Self::Containers => matches!(last, "containers" | "sidecars" | "sidecar") && is_free(field),
            Self::Host => {
                const NAMES: [&str; 9] = [
                    "hostnetwork",
                    "hostpath",
                    "hostpid",
                    "hostipc",
                    "hostport",
                    "hostports",
                    "hostusers",
                    "privileged",
                    "allowprivilegeescalation",
                ];
                NAMES.iter().any(|it| joined.ends_with(it))
                    || joined.ends_with("securitycontext")
                    || matches!(last, "volumes" | "capabilities") && is_free(field)
            }
            Self::Roles => {
                const NAMES: [&str; 9] = [
                    "rbac",
                    "role",
                    "roles",
                    "clusterrole",
                    "clusterroles",
                    "rolebinding",
                    "rolebindings",
                    "clusterrolebinding",
                    "podsecuritypolicy",
                ];
                joined.contains("serviceaccount") || NAMES.contains(&joined.as_str()) || joined == "clusterrolerules"
            }
            Self::Images => match last {
                "image" => true,
                "repository" | "registry" | "tag" | "digest" => {
                    is_text(field) && (joined.contains("image") || above.is_image())
                }
                _ => false,
            },
            Self::Passwords => {
                const ENDS: [&str; 12] = [
                    "password",
                    "passwd",
                    "passphrase",
                    "token",
                    "apikey",
                    "accesskey",
                    "secretkey",
                    "privatekey",
                    "encryptionkey",
                    "clientsecret",
                    "sharedsecret",
                    "cookiesecret",
                ];
                is_text(field)
                    && ENDS.iter().any(|end| joined.ends_with(end))
                    && !words.iter().any(|word| matches!(word.as_str(), "existing" | "name" | "ref" | "from" | "mount"))
            }
        }
    }
}

/// The object that a field is in.
struct Above<'a> {
    name: &'a str,
    schema: &'a Value,
}

impl Above<'_> {
    /// Whether an object says which image is meant.
    fn is_image(&self) -> bool {
        let parts = ["repository", "registry", "tag", "digest"];
        let count = parts.iter().filter(|part| self.schema["properties"].get(**part).is_some()).count();
        count > 1 || words(self.name).iter().any(|word| word.starts_with("image"))
    }
}

/// A line for each class of which the schema of `spec` has fields.
pub(super) fn lines(spec: &Value) -> Vec<String> {
    let mut found: [(usize, Vec<String>); 5] = Default::default();
    for (class, found) in Class::ALL.into_iter().zip(&mut found) {
        visit(class, spec, &mut vec!["spec".to_owned()], found);
    }
    let told = Class::ALL.into_iter().zip(found).filter(|(_, (count, _))| *count > 0);
    told.map(|(class, (count, names))| {
        let (name, meaning) = class.described();
        let fields = if count == 1 { "field" } else { "fields" };
        let more = if count > names.len() { format!(" and {} more", count - names.len()) } else { String::new() };
        format!("{name}: {meaning}: {count} {fields}: {}{more}", names.join(", "))
    })
    .collect()
}

fn visit(class: Class, schema: &Value, path: &mut Vec<String>, found: &mut (usize, Vec<String>)) {
    let above_name = path.last().cloned().unwrap_or_default();
    let above = Above { name: &above_name, schema };
    let named = schema["properties"].as_object().into_iter().flatten();
    for (name, field) in named {
        path.push(name.clone());
        // An object with fields for an image is told by these.
        let is_found = class.has(name, field, &above) && (class != Class::Images || field.get("properties").is_none());
        if is_found {
            found.0 += 1;
            if found.1.len() < NAMED_MAX {
                found.1.push(path.join("."));
            }
        } else {
            visit(class, field, path, found);
        }
        path.pop();
    }
    for (keyword, name) in [("items", "[]"), ("additionalProperties", "*")] {
        if let Some(inner) = schema.get(keyword) {
            path.push(name.to_owned());
            visit(class, inner, path, found);
            path.pop();
        }
    }
}

/// Whether a field takes what the chart does not name.
fn is_free(field: &Value) -> bool {
    field.get(PRESERVE).is_some()
        || matches!(field["type"].as_str(), Some("array" | "string"))
        || field.get("additionalProperties").is_some()
}

fn is_text(field: &Value) -> bool {
    field["type"] == "string"
        || field.get("x-kubernetes-int-or-string").is_some()
        || field.get(PRESERVE).is_some() && field.get("type").is_none()
}

/// The words of a name, in lower case: `extraInitContainers`, `host_path`, `hostPID`.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut is_upper = true;
    let mut is_begun = false;
    for letter in name.chars() {
        if !letter.is_alphanumeric() {
            is_begun = false;
            continue;
        }
        match words.last_mut().filter(|_| is_begun && (is_upper || !letter.is_uppercase())) {
            Some(word) => word.extend(letter.to_lowercase()),
            None => words.push(letter.to_lowercase().collect()),
        }
        is_upper = letter.is_uppercase();
        is_begun = true;
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_made_of_words() {
        for (name, wanted) in [
            ("extraInitContainers", vec!["extra", "init", "containers"]),
            ("hostPID", vec!["host", "pid"]),
            ("host_path-x", vec!["host", "path", "x"]),
            ("serviceAccount", vec!["service", "account"]),
        ] {
            assert_eq!(words(name), wanted);
        }
    }

    #[test]
    fn each_class_is_one_line_with_its_first_fields() {
        let text = || json!({"type": "string"});
        let list = || json!({"type": "array", "items": {PRESERVE: true}});
        let object = |properties: Value| json!({"type": "object", "properties": properties});
        let image =
            || object(json!({"repository": text(), "tag": text(), "pullPolicy": text(), "pullSecrets": list()}));
        let spec = object(json!({
            "auth": object(json!({
                "password": text(), "existingSecretPassword": text(), "usePassword": {"type": "boolean"},
                "passwordKey": text(), "apiToken": text()
            })),
            "extraVolumes": list(), "git": object(json!({"repository": text()})),
            "image": image(),
            "initContainers": list(),
            "metrics": object(json!({"image": image(), "sidecars": list(), "initContainers": object(json!({"wait": text()}))})),
            "podSecurityContext": object(json!({"enabled": {"type": "boolean"}, "privileged": {"type": "boolean"}})),
            "rbac": object(json!({"create": {"type": "boolean"}})),
            "serviceAccount": object(json!({"annotations": {"type": "object", PRESERVE: true}})),
            "waitImage": text(), "persistence": object(json!({"hostPath": text(), "volumes": object(json!({"a": text()}))}))
        }));
        let wanted = [
            "sidecars and init containers: tenants run containers of their own beside the chart's: 2 fields: \
             spec.initContainers, spec.metrics.sidecars",
            "host access: what pods get of the node and its kernel is up to tenants: 3 fields: spec.extraVolumes, \
             spec.persistence.hostPath, spec.podSecurityContext",
            "service accounts and roles: what pods may do in the cluster is up to tenants: 2 fields: spec.rbac, \
             spec.serviceAccount",
            "images: which programs run is up to tenants: 5 fields: spec.image.repository, spec.image.tag, \
             spec.metrics.image.repository and 2 more",
            "passwords in plain text: who reads instances or releases reads them: 2 fields: spec.auth.apiToken, \
             spec.auth.password",
        ];
        assert_eq!(lines(&spec), wanted);
        assert_eq!(lines(&json!({"type": "object", PRESERVE: true})), [""; 0]);
    }
}
