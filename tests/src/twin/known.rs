//! Differences that are meant, each with its reason; docs/differences.md tells users of them.

use super::answer::Answer;

/// Where Go's decoder speaks: what follows is about its own types.
const GO_DECODER: [&str; 5] =
    ["json parse error: ", "error decoding patch: ", "couldn't get version/kind", "yaml: ", "json: cannot unmarshal"];

/// Why two answers may differ, if they may.
#[must_use]
pub fn reason(ours: &Answer, theirs: &Answer) -> Option<&'static str> {
    if ours.code != theirs.code {
        return None;
    }
    // A Status in protobuf is a string to us.
    let text =
        |answer: &Answer| answer.body["message"].as_str().or(answer.body.as_str()).unwrap_or_default().to_owned();
    if ours.code == 409 && text(theirs).contains("StorageError: invalid object, Code: 4, Key: ") {
        return Some("the key of an object in etcd is nobody's business");
    }
    if ours.code == 400 && [ours, theirs].iter().all(|answer| text(answer).contains("Object 'Kind' is missing in '")) {
        return Some("numbers of YAML are shown as they are understood");
    }
    let of_labels = "a lowercase RFC 1123 label must consist";
    if ours.code == 422
        && text(ours).contains(of_labels)
        && text(theirs).contains("a lowercase RFC 1123 subdomain must")
    {
        return Some("the name of a release, and of what Helm makes of it, has no dots");
    }
    let is_malformed = |text: &str| GO_DECODER.iter().any(|words| text.contains(words));
    if ours.code == 400 && is_malformed(&text(theirs)) {
        return Some("what is no JSON is told in the words of another decoder");
    }
    let names_kind = |answer: &Answer| {
        let causes = answer.body["details"]["causes"].as_array();
        causes.into_iter().flatten().any(|cause| cause["field"] == "kind")
    };
    let tells_kind = |answer: &Answer| names_kind(answer) || text(answer).contains("kind: Invalid value: ");
    if ours.code == 422 && tells_kind(ours) && tells_kind(theirs) {
        return Some("an object of another kind is not looked at further");
    }
    None
}
