//! The schema engine beside kube-apiserver's: every schema and every object is sent to both, and the answers must agree.
//!
//! # Flow
//! The schema of every case is compiled here and tried there, in a definition of its own (a dry run). Those that both take
//! are installed together, as few definitions with many versions; then objects are created (dry runs) and replaced: the
//! old object is stored through a version without a schema, so it may be what the schema does not allow.

mod answer;
mod case;
mod expected;
mod generate;
mod ours;
mod theirs;

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use kindsmith_schema::structural::Schema;
use kindsmith_tests::ControlPlane;

use answer::{Answer, Verdict};
use case::{Case, Place, Probe};
use theirs::{Resource, Theirs, Version};

/// Requests at a time.
const CONCURRENCY: usize = 8;

/// How many cases of fields share a version.
const FIELDS_PER_VERSION: usize = 40;

/// How many versions share a definition.
const VERSIONS_PER_DEFINITION: usize = 10;

/// Where the answers are not the same.
struct Difference {
    /// The name of the case.
    case: String,
    /// What was done.
    what: String,
    /// kube-apiserver's answer.
    theirs: String,
    /// Our answer.
    ours: String,
}

/// A case whose schema both take, and where its objects are.
struct Placed {
    case: Case,
    resource: Resource,
    /// The field of the objects that the case has.
    field: Option<String>,
    schema: Arc<Schema>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_schema_engine_decides_as_kube_apiserver_does() -> Result<()> {
    let seed = generate::seed();
    println!("the seed is {seed}; {} sets another", generate::SEED_VARIABLE);
    let mut cases = case::read()?;
    cases.extend(generate::cases(seed)?);
    let control_plane = ControlPlane::start().await?;
    let began = Instant::now();
    let theirs = Theirs::new(control_plane.client().await?);

    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for case in &cases {
        let (schemas, probes) = counts.entry(case.feature.clone()).or_default();
        *schemas += 1;
        *probes += case.probes.len();
    }
    let tried: Vec<_> = stream::iter(cases)
        .map(|case| async { schema_difference(&theirs, &case).await.map(|found| (case, found)) })
        .buffered(CONCURRENCY)
        .try_collect()
        .await?;
    println!("{} schemas were compared after {} ms", tried.len(), began.elapsed().as_millis());
    let mut differences = Vec::new();
    let mut accepted = Vec::new();
    for (case, (difference, both_accept)) in tried {
        differences.extend(difference);
        if both_accept && !case.probes.is_empty() {
            accepted.push(case);
        }
    }

    let placed = install(&theirs, accepted).await?;
    println!("the definitions were served after {} ms", began.elapsed().as_millis());
    let probes =
        placed.iter().flat_map(|placed| placed.case.probes.iter().enumerate().map(move |(i, p)| (placed, i, p)));
    let found: Vec<_> = stream::iter(probes.enumerate())
        .map(|(number, (placed, i, probe))| probe_difference(&theirs, placed, number, i, probe))
        .buffered(CONCURRENCY)
        .try_collect()
        .await?;
    println!("{} objects were compared after {} ms", found.len(), began.elapsed().as_millis());
    differences.extend(found.into_iter().flatten());
    report(&counts, &differences, seed)
}

/// Prints the numbers and fails on what is not expected.
fn report(counts: &BTreeMap<String, (usize, usize)>, differences: &[Difference], seed: u64) -> Result<()> {
    let expected = expected::read()?;
    let mut hits = vec![0usize; expected.len()];
    let mut faults = 0usize;
    let mut by_feature: BTreeMap<&str, usize> = BTreeMap::new();
    for difference in differences {
        let feature = difference.case.split('/').next().unwrap_or_default();
        *by_feature.entry(feature).or_default() += 1;
        let Difference { case, what, theirs, ours } = difference;
        let position = expected.iter().position(|expected| expected.is(difference));
        let title = match position {
            Some(i) => {
                hits[i] += 1;
                format!("expected: {}", expected[i].reason)
            }
            None => {
                faults += 1;
                "DIFFERENCE".to_owned()
            }
        };
        println!("\n{title}\n  {case}\n  {what}\n    theirs: {theirs}\n    ours:   {ours}");
    }
    println!("\n{:<28} {:>8} {:>8} {:>12}", "feature", "schemas", "objects", "differences");
    for (feature, (schemas, probes)) in counts {
        let found = by_feature.get(feature.as_str()).copied().unwrap_or_default();
        println!("{feature:<28} {schemas:>8} {probes:>8} {found:>12}");
    }
    let sum = |pick: fn(&(usize, usize)) -> usize| counts.values().map(pick).sum::<usize>();
    let (schemas, probes) = (sum(|count| count.0), sum(|count| count.1));
    println!("{:<28} {schemas:>8} {probes:>8} {:>12}", "all", differences.len());
    println!("{} differences, {faults} of them not expected", differences.len());
    ensure!(faults == 0, "{faults} answers differ from kube-apiserver's, see above");
    for (expected, hits) in expected.iter().zip(hits) {
        // Other seeds need not lead to the same differences.
        let must = seed == generate::SEED || !expected.to_string().starts_with(generate::FEATURE);
        ensure!(hits > 0 || !must, "an expected difference is none any more: {expected}");
    }
    Ok(())
}

/// Compares the answers about the schema; the second part says whether both take it.
async fn schema_difference(theirs: &Theirs, case: &Case) -> Result<(Option<Difference>, bool)> {
    let schema = case.resource_schema();
    let ours = match ours::compile(&schema)? {
        Ok(_) => Answer::of(Verdict::Accepted(serde_json::Value::Null)),
        Err(answer) => answer,
    };
    let answer = theirs.compile(&schema, case.status).await;
    let answer = answer.with_context(|| format!("comparing the schema of {}", case.id))?;
    let both_accept = matches!((&ours.verdict, &answer.verdict), (Verdict::Accepted(_), Verdict::Accepted(_)));
    // What cannot be decoded there is refused here with other words.
    let both_refuse = matches!((&ours.verdict, &answer.verdict), (Verdict::Invalid(_), Verdict::Malformed(_)));
    let what = || format!("schema {schema}");
    Ok(((!both_refuse).then(|| difference(case, what, &answer, &ours)).flatten(), both_accept))
}

/// Compares the answers about an object.
async fn probe_difference(
    theirs: &Theirs,
    placed: &Placed,
    number: usize,
    of_case: usize,
    probe: &Probe,
) -> Result<Option<Difference>> {
    let Placed { case, resource, schema, .. } = placed;
    let context = || format!("comparing object {of_case} of {}", case.id);
    let (theirs, ours) = match probe {
        Probe::Create { text } => {
            let text = resource.object(&resource.version, r#""metadata":{"name":"a"}"#, &placed.members(text));
            let ours = ours::create(schema, &text, case.status);
            (theirs.create(resource, &text).await.with_context(context)?, ours)
        }
        Probe::Update { old, new, via } => {
            let name = format!("o{number}");
            let old = theirs.store(resource, &name, &placed.members(old)).await.with_context(context)?;
            let metadata = old["metadata"].to_string();
            let metadata = format!(r#""metadata":{metadata}"#);
            let text = resource.object(&resource.version, &metadata, &placed.members(new));
            let ours = ours::update(schema, &old, &text, case.status, *via);
            let theirs = theirs.update(resource, &name, &text, *via).await;
            (theirs.with_context(context)?, ours)
        }
    };
    let what = || format!("schema {}\n  {probe}", case.schema);
    Ok(difference(case, what, &theirs, &ours))
}

fn difference(case: &Case, what: impl Fn() -> String, theirs: &Answer, ours: &Answer) -> Option<Difference> {
    (!ours.agrees(theirs)).then(|| Difference {
        case: case.id.clone(),
        what: what(),
        theirs: theirs.to_string(),
        ours: ours.to_string(),
    })
}

/// Installs the cases' schemas.
async fn install(theirs: &Theirs, cases: Vec<Case>) -> Result<Vec<Placed>> {
    let (roots, fields): (Vec<_>, Vec<_>) = cases.into_iter().partition(|case| case.place == Place::Root);
    let mut versions: Vec<Vec<Case>> = roots.into_iter().map(|case| vec![case]).collect();
    // Where there are rules, kube-apiserver says of any fault that it did not check them.
    let (ruled, plain): (Vec<_>, Vec<_>) =
        fields.into_iter().partition(|case| case.schema.to_string().contains("x-kubernetes-validations"));
    for fields in [plain, ruled] {
        versions.extend(fields.chunks(FIELDS_PER_VERSION).map(<[Case]>::to_vec));
    }
    let mut placed = Vec::new();
    let mut definitions = Vec::new();
    for cases in versions {
        if definitions.last().is_none_or(|versions: &Vec<Version>| versions.len() == VERSIONS_PER_DEFINITION) {
            definitions.push(Vec::new());
        }
        let definition = definitions.len();
        let Some(versions) = definitions.last_mut() else { continue };
        let names: Vec<_> = (0..cases.len()).map(|i| format!("c{i}")).collect();
        let status = cases.first().map(|case| case.status).unwrap_or_default();
        let schema = match cases.as_slice() {
            [case] if case.place == Place::Root => case.schema.clone(),
            cases => case::with_fields(names.iter().cloned().zip(cases.iter().map(|case| &case.schema))),
        };
        let compiled = ours::compile(&schema)?.map_err(|answer| anyhow::anyhow!("schemas together: {answer}"))?;
        let compiled = Arc::new(compiled);
        versions.push(Version { schema, status });
        let resource = Resource { definition, version: format!("v{}", versions.len()) };
        for (case, name) in cases.into_iter().zip(names) {
            let field = (case.place == Place::Field).then_some(name);
            placed.push(Placed { case, resource: resource.clone(), field, schema: compiled.clone() });
        }
    }
    let installed = definitions.iter().enumerate().map(|(i, versions)| theirs.install(i + 1, versions));
    stream::iter(installed).buffer_unordered(CONCURRENCY).try_collect::<Vec<()>>().await?;
    Ok(placed)
}

impl Placed {
    /// The members of an object that has this value.
    fn members(&self, text: &str) -> String {
        match &self.field {
            Some(field) => format!(r#""{field}":{{"value":{text}}}"#),
            None => text.to_owned(),
        }
    }
}
