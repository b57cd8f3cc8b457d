"""The official client for Python, as typed programs use it."""

from kubernetes import client, config, watch

GROUP, VERSION, PLURAL, NAMESPACE = "apps.example.com", "v1alpha1", "redises", "python"

config.load_kube_config()
core, custom = client.CoreV1Api(), client.CustomObjectsApi()

core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
# Its default is a strategic merge patch.
core.patch_namespace(NAMESPACE, {"metadata": {"labels": {"team": "a"}}})
replaced = core.replace_namespace(NAMESPACE, client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
assert replaced.metadata.labels == {"kubernetes.io/metadata.name": NAMESPACE}, replaced.metadata.labels
active = core.list_namespace(field_selector="status.phase=Active").items
assert NAMESPACE in [namespace.metadata.name for namespace in active]

instance = {
    "apiVersion": f"{GROUP}/{VERSION}",
    "kind": "Redis",
    "metadata": {"name": "cache"},
    "spec": {"replicas": 1},
}
place = (GROUP, VERSION, NAMESPACE, PLURAL)
made = custom.create_namespaced_custom_object(*place, instance)
custom.patch_namespaced_custom_object(*place, "cache", {"spec": {"replicas": 2}})
found = custom.get_namespaced_custom_object(*place, "cache")
assert found["spec"]["replicas"] == 2, found
found["spec"]["replicas"] = 3
custom.replace_namespaced_custom_object(*place, "cache", found)
custom.delete_namespaced_custom_object(*place, "cache")
seen = []
since = made["metadata"]["resourceVersion"]
for event in watch.Watch().stream(
    custom.list_namespaced_custom_object, *place, resource_version=since, timeout_seconds=20
):
    seen.append((event["type"], event["object"]["spec"]["replicas"]))
    if event["type"] == "DELETED":
        break
assert seen == [("MODIFIED", 2), ("MODIFIED", 3), ("DELETED", 3)], seen

core.delete_namespace(NAMESPACE)
try:
    core.delete_namespace("default")
    raise AssertionError("default was deleted")
except client.ApiException as refusal:
    assert refusal.status == 403, refusal
print("ok, server", client.VersionApi().get_code().git_version)
