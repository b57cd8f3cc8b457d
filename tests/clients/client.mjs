// The official client for JavaScript, as typed programs use it.

import assert from 'node:assert/strict';
import * as k8s from '@kubernetes/client-node';

const [group, version, plural, namespace] = ['apps.example.com', 'v1alpha1', 'redises', 'node'];
const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const custom = config.makeApiClient(k8s.CustomObjectsApi);
const merge = k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch);
const strategic = k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.StrategicMergePatch);

await core.createNamespace({ body: { metadata: { name: namespace } } });
const labelled = await core.patchNamespace(
  { name: namespace, body: { metadata: { labels: { team: 'a' } } } }, strategic);
assert.deepEqual(labelled.metadata.labels, { 'kubernetes.io/metadata.name': namespace, team: 'a' });

const place = { group, version, namespace, plural };
const body = { apiVersion: `${group}/${version}`, kind: 'Redis', metadata: { name: 'cache' }, spec: { replicas: 1 } };
const made = await custom.createNamespacedCustomObject({ ...place, body });
await custom.patchNamespacedCustomObject({ ...place, name: 'cache', body: { spec: { replicas: 2 } } }, merge);
const found = await custom.getNamespacedCustomObject({ ...place, name: 'cache' });
assert.equal(found.spec.replicas, 2);
found.spec.replicas = 3;
await custom.replaceNamespacedCustomObject({ ...place, name: 'cache', body: found });
await custom.deleteNamespacedCustomObject({ ...place, name: 'cache' });

const seen = [];
await new Promise((resolve, reject) => {
  const path = `/apis/${group}/${version}/namespaces/${namespace}/${plural}`;
  // The server ends it: this client tells of a watch that it ended itself as of an error.
  const query = { resourceVersion: made.metadata.resourceVersion, timeoutSeconds: 5 };
  new k8s.Watch(config)
    .watch(path, query, (type, object) => seen.push([type, object.spec.replicas]), (error) => (error ? reject(error) : resolve()))
    .catch(reject);
});
assert.deepEqual(seen, [['MODIFIED', 2], ['MODIFIED', 3], ['DELETED', 3]]);

await core.deleteNamespace({ name: namespace });
await assert.rejects(core.deleteNamespace({ name: 'default' }), (refusal) => refusal.code === 403);
console.log('ok, server', (await config.makeApiClient(k8s.VersionApi).getCode()).gitVersion);
process.exit(0);
