//! Cozystack's definitions as kinds: one of our own making here, and all of the folder `COZYSTACK_DEFINITIONS`.

use super::*;
use crate::kind::Kind;

fn compile(object: &Value) -> Result<Kind, DefinitionError> {
    crate::form::DefinitionForm::Cozystack.compile(object, OwnStorage::Absent)
}

fn tenant() -> Value {
    json!({"apiVersion": "cozystack.io/v1alpha1", "kind": "ApplicationDefinition",
        "metadata": {"name": "tenant", "annotations": {
            "release.cozystack.io/helm-install-timeout": "75m", "release.cozystack.io/helm-upgrade-timeout": "90s",
            "release.cozystack.io/helm-install-disable-wait": "True"}},
        "spec": {
            "application": {"kind": "Tenant", "plural": "tenants", "singular": "tenant",
                "openAPISchema": "{\"type\":\"object\",\"properties\":{\"host\":{\"type\":\"string\",\"default\":\"x\"}}}"},
            "release": {"prefix": "tenant-", "labels": {"sharding.fluxcd.io/key": "tenants"},
                "chartRef": {"kind": "ExternalArtifact", "name": "tenant", "namespace": "cozy-system"}},
            "dashboard": {"category": "x"}, "secrets": {"include": []}}})
}

fn release_of(kind: &Kind) -> &crate::convert::release::ReleaseTemplate {
    let KindBackend::Release(template) = &kind.backend else { panic!("{} has no release", kind.names.kind) };
    template
}

#[test]
fn a_tenant_is_a_kind_with_the_rules_of_tenants() {
    let kind = compile(&tenant()).unwrap();
    assert_eq!((kind.group.as_str(), kind.names.list_kind.as_str()), ("apps.cozystack.io", "TenantList"));
    let template = release_of(&kind);
    let instance = json!({"apiVersion": "apps.cozystack.io/v1alpha1", "kind": "Tenant",
        "metadata": {"name": "foo", "namespace": "tenant-root", "labels": {"l": "1"}}, "spec": {"host": "x"}});
    let release = template.create(&instance);
    let metadata = &release["metadata"];
    assert_eq!((&metadata["name"], &metadata["namespace"]), (&json!("tenant-foo"), &json!("tenant-root")));
    assert_eq!(
        metadata["labels"],
        json!({
            "apps.cozystack.io-l": "1",
            "apps.cozystack.io/application.kind": "Tenant",
            "apps.cozystack.io/application.group": "apps.cozystack.io",
            "apps.cozystack.io/application.name": "foo",
            "sharding.fluxcd.io/key": "tenants"})
    );
    let strategy = json!({"name": "RetryOnFailure", "retryInterval": "30s"});
    assert_eq!(
        release["spec"],
        json!({
            "chartRef": {"kind": "ExternalArtifact", "name": "tenant", "namespace": "cozy-system"},
            "interval": "5m0s", "maxHistory": 5, "values": {"host": "x"},
            "install": {"timeout": "1h15m0s", "strategy": strategy, "disableWait": true},
            "upgrade": {"timeout": "1m30s", "strategy": strategy, "disableWait": true},
            "valuesFrom": [{"kind": "Secret", "name": "cozystack-values"}]})
    );
    let mut held = release.clone();
    held["status"] = json!({});
    assert_eq!(template.get(&held)["status"]["namespace"], "tenant-foo");
    held["metadata"]["namespace"] = json!("tenant-bar");
    assert_eq!(template.get(&held)["status"]["namespace"], "tenant-bar-foo");
    let faults = |name: &str| template.name_faults(name, Some("tenant-root"));
    assert_eq!(faults("foo"), Vec::<String>::new());
    assert_eq!(faults("foo-bar"), [TENANT_NAME_TEXT]);
}

#[test]
fn a_kind_is_known_by_its_labels_and_hides_what_is_reserved() {
    let kind = compile(&tenant()).unwrap();
    let template = release_of(&kind);
    let mut release = template.create(&json!({"metadata": {"name": "foo"}}));
    assert!(template.matches(&release));
    release["spec"]["values"] = json!({"_cluster": {}, "host": "y"});
    assert_eq!(template.get(&release)["spec"], json!({"host": "y"}));
    release["metadata"]["labels"] = json!({});
    assert!(!template.matches(&release), "the chart alone does not make an instance");
}

#[test]
fn expressions_of_health_need_the_strategy_that_looks_at_them() {
    let mut definition = tenant();
    let check = json!([{"apiVersion": "v1", "kind": "K", "current": "true"}]);
    definition["spec"]["release"]["healthCheckExprs"] = check.clone();
    let fields = |definition: &Value| {
        let kind = compile(definition).unwrap();
        release_of(&kind).fields("a", None)
    };
    assert_eq!(fields(&definition)["waitStrategy"], json!({"name": "poller"}));
    assert_eq!(fields(&definition)["healthCheckExprs"], check);
    definition["spec"]["release"]["waitStrategy"] = json!("legacy");
    assert_eq!(fields(&definition)["waitStrategy"], json!({"name": "legacy"}));
    assert!(!fields(&tenant()).contains_key("waitStrategy"));
}

#[test]
fn faults_name_the_fields_of_the_definition() {
    let refused = |pointer: &str, value: Value| {
        let mut definition = tenant();
        *definition.pointer_mut(pointer).unwrap() = value;
        compile(&definition).unwrap_err().to_string()
    };
    for (pointer, value, wanted) in [
        ("/spec/application/plural", json!("Tenants"), "spec.application.plural: Invalid value: \"Tenants\""),
        (
            "/spec/application/openAPISchema",
            json!("{"),
            "spec.application.openAPISchema: Invalid value: \"{\": is not JSON",
        ),
        (
            "/spec/application/openAPISchema",
            json!("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"strin\"}}}"),
            "spec.application.openAPISchema.properties[a].type: Unsupported value: \"strin\"",
        ),
        ("/spec/release/prefix", json!("Tenant-"), "spec.release.prefix: Invalid value: \"Tenant-\""),
        (
            "/metadata/annotations/release.cozystack.io~1helm-install-timeout",
            json!("5us"),
            "metadata.annotations[release.cozystack.io/helm-install-timeout]: Invalid value: \"5us\"",
        ),
        ("/spec/release/chartRef", json!({}), "missing field"),
    ] {
        let said = refused(pointer, value);
        assert!(said.contains(wanted), "{said}");
    }
}

#[test]
fn durations_are_written_as_go_prints_them() {
    for (text, wanted) in [
        ("30s", Some("30s")),
        ("10m", Some("10m0s")),
        ("1h", Some("1h0m0s")),
        ("90s", Some("1m30s")),
        ("1.5h", Some("1h30m0s")),
    ] {
        assert_eq!(go_duration(text).as_deref(), wanted);
    }
    assert_eq!(go_duration("5us"), None);
    assert_eq!(go_duration("0s"), None);
}

#[test]
fn the_definitions_of_cozystack_compile() {
    let Ok(folder) = std::env::var("COZYSTACK_DEFINITIONS") else {
        eprintln!("NOT CHECKED: set COZYSTACK_DEFINITIONS to a folder of ApplicationDefinitions to compile them");
        return;
    };
    let mut kinds = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let object: Value = serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        kinds.push(compile(&object).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
    }
    assert!(!kinds.is_empty(), "there is no definition in {folder}");
    let borrowed: Vec<&Kind> = kinds.iter().collect();
    assert!(crate::names::conflicts(&borrowed).iter().all(Vec::is_empty));
    assert!(crate::convert::release::overlaps(&borrowed).iter().all(Option::is_none));
    for kind in &kinds {
        let version = kind.storage_version().unwrap();
        let mut instance = json!({"apiVersion": "apps.cozystack.io/v1alpha1", "kind": kind.names.kind,
            "metadata": {"name": "a", "namespace": "tenant-a"}, "spec": {}});
        version.schema.default(&mut instance);
        let template = release_of(kind);
        assert_eq!(template.get(&template.create(&instance)), instance, "{}", kind.names.kind);
    }
    eprintln!("{} definitions compiled", kinds.len());
}
