//! Documents that clients and kube-aggregator live on: discovery, OpenAPI, health, and the errors of what is not there.

use std::io::Read as _;

use anyhow::{Context as _, Result, bail, ensure};
use flate2::read::GzDecoder;
use kindsmith_tests::Dev;
use kube::Client;
use serde_json::{Value, json};

struct Answer {
    code: u16,
    headers: http::HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn json(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.body)?)
    }
}

async fn get(client: &Client, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
    let mut request = http::Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = client.send(request.body(kube::client::Body::empty())?).await?;
    let (code, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = answer.into_body().collect_bytes().await?;
    let mut plain = Vec::new();
    if headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
        GzDecoder::new(body.as_ref()).read_to_end(&mut plain).context("unpacking an answer")?;
    } else {
        plain.extend_from_slice(&body);
    }
    Ok(Answer { code, headers, body: String::from_utf8_lossy(&plain).into_owned() })
}

#[tokio::test]
async fn documents_and_errors_are_those_of_a_kubernetes_api() -> Result<()> {
    const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let dev = Dev::start(Vec::<String>::new()).await?;
    let client = dev.client().await?;

    let aggregated = get(&client, "/apis", &[("accept", AGGREGATED)]).await?;
    ensure!(aggregated.header("content-type") == AGGREGATED, "it is {}", aggregated.header("content-type"));
    let groups = aggregated.json()?;
    let kinds =
        groups["items"].as_array().into_iter().flatten().find(|group| group["metadata"]["name"] == "apps.example.com");
    let kinds = kinds.map(|group| &group["versions"][0]["resources"]);
    let names: Vec<_> = kinds.and_then(Value::as_array).into_iter().flatten().map(|kind| &kind["resource"]).collect();
    ensure!(names == ["buckets", "postgreses", "redises"], "the kinds are {names:?}");
    let tag = aggregated.header("etag").to_owned();
    ensure!(tag.len() == 130 && aggregated.header("vary") == "Accept", "the tag is {tag}");
    let known = get(&client, "/apis", &[("accept", AGGREGATED), ("if-none-match", &tag)]).await?;
    ensure!(known.code == 304 && known.body.is_empty(), "a known document gave {}", known.code);
    let legacy = get(&client, "/apis/apps.example.com/v1alpha1", &[]).await?.json()?;
    ensure!(legacy["kind"] == "APIResourceList" && legacy["resources"][0]["name"] == "buckets", "legacy is {legacy}");

    let index = get(&client, "/openapi/v3", &[]).await?.json()?;
    let url = index["paths"]["apis/apps.example.com/v1alpha1"]["serverRelativeURL"].as_str().unwrap_or_default();
    let document = get(&client, url, &[]).await?;
    ensure!(
        document.header("cache-control").contains("immutable"),
        "it may be kept: {}",
        document.header("cache-control")
    );
    ensure!(
        document.json()?["components"]["schemas"]["com.example.apps.v1alpha1.Redis"].is_object(),
        "Redis is missing"
    );
    let outdated = get(&client, "/openapi/v3/apis/apps.example.com/v1alpha1?hash=OLD", &[]).await?;
    ensure!(outdated.code == 200 && !outdated.header("cache-control").contains("immutable"), "an old hash is kept");
    let swagger = get(&client, "/openapi/v2", &[]).await?.json()?;
    ensure!(swagger["definitions"]["com.example.apps.v1alpha1.Redis"].is_object(), "Redis is missing in v2");

    let ready = get(&client, "/readyz?verbose", &[]).await?;
    ensure!(ready.body.contains("[+]registry ok") && ready.body.ends_with("readyz check passed\n"), "{}", ready.body);
    let redises = "/apis/apps.example.com/v1alpha1/namespaces/default/redises";
    for (path, accept, code, reason) in [
        (format!("{redises}/none"), "*/*", 404, "NotFound"),
        (redises.to_owned(), "application/xml", 406, "NotAcceptable"),
        (format!("{redises}?resourceVersion=x"), "*/*", 400, "BadRequest"),
        (format!("{redises}?resourceVersionMatch=Exact"), "*/*", 422, "Invalid"),
        (format!("{redises}?fieldSelector=spec.size=1Gi"), "*/*", 400, "BadRequest"),
    ] {
        let answer = get(&client, &path, &[("accept", accept)]).await?;
        let status = answer.json()?;
        let found = (answer.code, status["kind"].as_str(), status["reason"].as_str());
        ensure!(found == (code, Some("Status"), Some(reason)), "{path} gave {found:?} {}", answer.body);
    }

    // Custom resources have no protobuf, their errors have.
    let refused = get(&client, redises, &[("accept", "application/vnd.kubernetes.protobuf")]).await?;
    ensure!(refused.code == 406 && refused.body.starts_with("k8s\0"), "{} {:?}", refused.code, refused.body);

    let first = get(&client, "/apis/apps.example.com/v1alpha1/redises?limit=1", &[]).await?.json()?;
    ensure!(first["kind"] == "RedisList" && first["metadata"]["continue"] == "", "the list is {first}");
    Ok(())
}

/// What kube-apiserver 1.37 answers for a CustomResourceDefinition's group, by path and Accept.
#[tokio::test]
async fn answers_come_in_a_representation_that_was_asked_for() -> Result<()> {
    const JSON: &str = "application/json";
    const YAML: &str = "application/yaml";
    const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
    const AGGREGATED_YAML: &str = "application/yaml;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    const V2_ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    const V2: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    const V3_ASKED: &str = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf";
    const ONLY: &str = "only the following media types are accepted: application/json, application/yaml, \
                        application/vnd.kubernetes.protobuf";
    let dev = Dev::start(Vec::<String>::new()).await?;
    let client = dev.client().await?;

    let (group, version) = ("/apis/apps.example.com", "/apis/apps.example.com/v1alpha1");
    let v3 = "/openapi/v3/apis/apps.example.com/v1alpha1";
    for (paths, accept, code, content_type) in [
        (vec!["/api", "/apis", group, version], "", 200, JSON),
        (vec!["/api", "/apis", group, version], "*/*", 200, JSON),
        (vec!["/api", "/apis", group, version], YAML, 200, YAML),
        (vec!["/api", "/apis", group, version], PROTOBUF, 200, PROTOBUF),
        (vec!["/api", "/apis", group, version], "text/html", 406, JSON),
        (vec!["/api", "/apis", group, version], "application/cbor", 406, JSON),
        (vec!["/apis", group, version], "application/*", 200, JSON),
        (vec!["/api"], "application/*", 406, JSON),
        (vec!["/api", "/apis"], AGGREGATED_YAML, 200, AGGREGATED_YAML),
        (vec![group, version], AGGREGATED_YAML, 406, JSON),
        (vec!["/version"], JSON, 200, JSON),
        (vec!["/version"], YAML, 406, YAML),
        (vec!["/version"], "application/*", 406, JSON),
        (vec!["/version"], PROTOBUF, 406, PROTOBUF),
        (vec!["/openapi/v2", v3], "*/*", 200, JSON),
        (vec!["/openapi/v2", v3], "application/*", 200, JSON),
        (vec!["/openapi/v2", v3], YAML, 406, ""),
        (vec!["/openapi/v2", v3], "text/html", 406, ""),
        (vec!["/openapi/v2"], V2_ASKED, 200, V2),
        (vec!["/openapi/v2"], V2, 200, V2),
        (vec![v3], V2, 406, ""),
        (vec!["/openapi/v2"], V3_ASKED, 406, ""),
        (vec!["/openapi/v3/apis/nothing.example.com/v1"], JSON, 404, ""),
    ] {
        for path in paths {
            let answer = get(&client, path, &[("accept", accept)]).await?;
            let found = (answer.code, answer.header("content-type"));
            ensure!(found == (code, content_type), "{path} as {accept:?} gave {found:?} {:.300}", answer.body);
            ensure!(content_type.is_empty() == answer.body.is_empty(), "{path} as {accept:?} has {:?}", answer.body);
        }
    }
    let message = async |path: &str, accept: &str| -> Result<String> {
        Ok(get(&client, path, &[("accept", accept)]).await?.json()?["message"].as_str().unwrap_or_default().to_owned())
    };
    ensure!(message(version, "text/html").await? == ONLY, "another text");
    let named = "406: Not Acceptable\n\nAvailable representations: application/json";
    ensure!(message("/version", "text/html").await? == named, "another text for /version");
    let v2 = get(&client, "/openapi/v2", &[]).await?;
    ensure!(v2.header("cache-control") == "no-cache, private", "it is {}", v2.header("cache-control"));

    // Nobody knows these paths.
    for path in
        ["/nope", "/openapi", "/apis/nothing.example.com", "/apis/apps.example.com/v9", &format!("{version}/teapots")]
    {
        let answer = get(&client, path, &[]).await?;
        let found = (answer.code, answer.header("content-type"), answer.body.as_str());
        ensure!(found == (404, "text/plain; charset=utf-8", "404 page not found\n"), "{path} gave {found:?}");
    }

    // Metadata of custom resources has protobuf.
    let redises = format!("{version}/redises");
    for (shape, kind) in [("PartialObjectMetadataList", "PartialObjectMetadataList"), ("Table", "")] {
        let accept = format!("{PROTOBUF};as={shape};g=meta.k8s.io;v=v1");
        let answer = get(&client, &redises, &[("accept", &accept)]).await?;
        let whole = answer.code == 200 && answer.body.starts_with("k8s\0") && answer.body.contains(kind);
        ensure!(
            if kind.is_empty() { answer.code == 406 } else { whole },
            "{shape} gave {} {:?}",
            answer.code,
            answer.body
        );
    }
    Ok(())
}

/// What kubectl asks OpenAPI v2 in protobuf for.
#[tokio::test]
async fn kubectl_reads_openapi_v2_in_protobuf() -> Result<()> {
    let dev = Dev::start(Vec::<String>::new()).await?;
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "apps.example.com/v1alpha1", "kind": "Redis", "metadata": {"name": "listed", "namespace": "default"},
            "spec": {"size": "1Gi"}},
    ]});
    let created = dev.kubectl(["create", "-f", "-"]).stdin(&list.to_string()).ok().await?;
    ensure!(created.contains("redis.apps.example.com/listed created"), "it said {created}");
    let explained = dev.kubectl(["explain", "redises.spec.size", "--output=plaintext-openapiv2"]).ok().await?;
    ensure!(explained.contains("size"), "it said {explained}");
    Ok(())
}

/// A list that was asked for with gzip, and without. Other writes, such as those of statuses, give the lists of later
/// another revision, so both are asked for until they have the same.
async fn both_of_one_revision(client: &Client, path: &str) -> Result<(Answer, Answer)> {
    for _ in 0..20 {
        let packed = get(client, path, &[("accept-encoding", "gzip")]).await?;
        let plain = get(client, path, &[]).await?;
        let revision = |of: &Answer| Ok::<_, anyhow::Error>(of.json()?["metadata"]["resourceVersion"].clone());
        if revision(&packed)? == revision(&plain)? {
            return Ok((packed, plain));
        }
    }
    bail!("no two answers of {path} were of one revision")
}

#[tokio::test]
async fn large_lists_are_the_same_compressed_or_not() -> Result<()> {
    const REDISES: &str = "/apis/apps.example.com/v1alpha1/namespaces/default/redises";
    let dev = Dev::start(Vec::<String>::new()).await?;
    let client = dev.client().await?;
    // Beside the one that is there from the beginning: enough that a list is worth compressing.
    for index in 0..5_usize {
        let note = format!("{index}, \u{e9}\"\\ ").repeat(6_000 - 500 * index);
        let redis = json!({"apiVersion": "apps.example.com/v1alpha1", "kind": "Redis",
            "metadata": {"name": format!("r{index}"), "annotations": {"note": note}}, "spec": {}});
        let request = http::Request::post(REDISES).header("content-type", "application/json");
        client.request_text(request.body(redis.to_string().into_bytes())?).await?;
    }
    for step in 0..3 {
        // What the cache holds may be older than the write, unless it was asked for what is most recent.
        let recent = get(&client, REDISES, &[]).await?.json()?;
        let revision = recent["metadata"]["resourceVersion"].as_str().context("a list has a revision")?;
        let path = format!("{REDISES}?resourceVersion={revision}&resourceVersionMatch=NotOlderThan");
        ensure!(get(&client, &path, &[]).await?.code == 200, "the cache does not get as far as {revision}");
        for query in ["resourceVersion=0", "", "limit=4", "limit=4&resourceVersion=0", "pretty=true"] {
            let path = format!("{REDISES}?{query}");
            let (packed, plain) = both_of_one_revision(&client, &path).await?;
            ensure!(
                packed.header("content-encoding") == "gzip" && plain.header("content-encoding").is_empty(),
                "{path} was sent as {:?} and {:?}",
                packed.header("content-encoding"),
                plain.header("content-encoding")
            );
            let same =
                packed.body.chars().zip(plain.body.chars()).take_while(|(packed, plain)| packed == plain).count();
            let rest = |body: &str| body.chars().skip(same).take(80).collect::<String>();
            ensure!(
                packed.body == plain.body,
                "in step {step}, {path} is another one compressed from {same} on: {:?}, not {:?}",
                rest(&packed.body),
                rest(&plain.body)
            );
            let list = plain.json()?;
            let items = list["items"].as_array().context("a list has items")?;
            let count = if query.starts_with("limit") && !query.ends_with('0') { 4 } else { 6 };
            ensure!(items.len() == count, "{path} has {} objects", items.len());
            let changed = items.iter().find(|item| item["metadata"]["name"] == "r1").context("r1 is missing")?;
            let label = changed["metadata"]["labels"]["step"].as_str().unwrap_or("0");
            ensure!(label == step.to_string(), "{path} is of long ago: r1 has {label}, not {step}");
        }
        let change = json!({"metadata": {"labels": {"step": (step + 1).to_string()}}});
        let request =
            http::Request::patch(format!("{REDISES}/r1")).header("content-type", "application/merge-patch+json");
        client.request_text(request.body(change.to_string().into_bytes())?).await?;
    }
    Ok(())
}
