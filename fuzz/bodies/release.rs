//! An instance and its release: what is got and put back stays, whatever the release looks like.

use kindsmith_crds::{ChartRef, ChartRefKind, HelmReleaseBackend, OtherFields};
use kindsmith_schema::convert::release::ReleaseTemplate;
use serde_json::Value;

/// The lines of `data` are a release and an instance.
pub(crate) fn run(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n').map(serde_json::from_slice::<Value>);
    let Some(Ok(release)) = lines.next() else { return };
    let template = template();
    let _ = template.matches(&release);
    let got = template.get(&release);
    // Once put back, nothing moves any more.
    let put = template.put(&got, release);
    let again = template.put(&template.get(&put), put.clone());
    assert_eq!(again, put);
    if let Some(Ok(instance)) = lines.next() {
        let written = template.put(&instance, put);
        let read = template.get(&written);
        assert_eq!(template.put(&read, written.clone()), written);
        let created = template.create(&instance);
        let named = instance.pointer("/metadata/name").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
        assert_eq!(template.matches(&created), named);
        assert_eq!(template.put(&template.get(&created), created.clone()), created);
    }
}

fn template() -> ReleaseTemplate {
    let settings = HelmReleaseBackend {
        chart_ref: Some(ChartRef {
            kind: ChartRefKind::OCIRepository,
            name: "cup".to_owned(),
            namespace: Some("charts".to_owned()),
            others: OtherFields::new(),
        }),
        prefix: "cup-".to_owned(),
        ..HelmReleaseBackend::default()
    };
    ReleaseTemplate::new("apps.example.com", "v1", "Cup", settings)
}
