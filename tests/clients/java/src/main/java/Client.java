// fabric8's client for Java, as programs without generated types use it.

import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.fabric8.kubernetes.api.model.Namespace;
import io.fabric8.kubernetes.api.model.NamespaceBuilder;
import io.fabric8.kubernetes.api.model.ObjectMetaBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.Watcher;
import io.fabric8.kubernetes.client.WatcherException;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.fabric8.kubernetes.client.dsl.base.ResourceDefinitionContext;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

public final class Client {
  private static final String NAMESPACE = "java";

  private static void check(boolean holds, Object found) {
    if (!holds) {
      throw new AssertionError(String.valueOf(found));
    }
  }

  private static GenericKubernetesResource redis(int replicas) {
    GenericKubernetesResource redis = new GenericKubernetesResource();
    redis.setApiVersion("apps.example.com/v1alpha1");
    redis.setKind("Redis");
    redis.setMetadata(new ObjectMetaBuilder().withName("cache").withNamespace(NAMESPACE).build());
    redis.setAdditionalProperty("spec", Map.of("replicas", replicas));
    return redis;
  }

  public static void main(String[] arguments) throws Exception {
    try (KubernetesClient client = new KubernetesClientBuilder().build()) {
      Namespace made = new NamespaceBuilder().withNewMetadata().withName(NAMESPACE).endMetadata().build();
      client.namespaces().resource(made).create();
      Namespace labelled = client.namespaces().withName(NAMESPACE).patch(
          PatchContext.of(PatchType.STRATEGIC_MERGE), "{\"metadata\":{\"labels\":{\"team\":\"a\"}}}");
      check("a".equals(labelled.getMetadata().getLabels().get("team")), labelled);

      ResourceDefinitionContext kind = new ResourceDefinitionContext.Builder()
          .withGroup("apps.example.com").withVersion("v1alpha1").withPlural("redises").withKind("Redis")
          .withNamespaced(true).build();
      var redises = client.genericKubernetesResources(kind).inNamespace(NAMESPACE);
      List<String> seen = new CopyOnWriteArrayList<>();
      CountDownLatch deleted = new CountDownLatch(1);
      try (var watch = redises.watch(new Watcher<GenericKubernetesResource>() {
        @Override
        public void eventReceived(Action action, GenericKubernetesResource redis) {
          seen.add(action + " " + redis.get("spec", "replicas"));
          if (action == Action.DELETED) {
            deleted.countDown();
          }
        }

        @Override
        public void onClose(WatcherException cause) {}
      })) {
        redises.resource(redis(1)).create();
        redises.withName("cache").patch(PatchContext.of(PatchType.JSON_MERGE), "{\"spec\":{\"replicas\":2}}");
        check(Integer.valueOf(2).equals(redises.withName("cache").get().get("spec", "replicas")), seen);
        redises.resource(redis(3)).update();
        redises.withName("cache").delete();
        deleted.await(20, TimeUnit.SECONDS);
      }
      check(seen.equals(List.of("ADDED 1", "MODIFIED 2", "MODIFIED 3", "DELETED 3")), seen);

      client.namespaces().withName(NAMESPACE).delete();
      try {
        client.namespaces().withName("default").delete();
        throw new AssertionError("default was deleted");
      } catch (KubernetesClientException refusal) {
        check(refusal.getCode() == 403, refusal);
      }
      System.out.println("ok, server " + client.getKubernetesVersion().getGitVersion());
    }
  }
}
