//! YAML means the same to us as to Go's library, which is asked about thousands of texts.

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use kindsmith_schema::{numbers, yaml};
use kindsmith_tests::binary;
use serde_json::{Value, json};

/// The texts.
mod corpus;

/// How many texts of one sort are compared.
const TEXTS: usize = 5_000;

/// What Go makes of each text.
fn asked(texts: &[String]) -> Result<Vec<Value>> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("controlplane/yaml");
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("yaml");
    let mut build = Command::new(binary::find_go()?);
    build.args(["build", "-buildvcs=false", "-o"]).arg(&program).arg(".").current_dir(&sources);
    binary::run(&mut build)?;
    let questions = folder.path().join("texts");
    let mut file = File::create(&questions)?;
    for text in texts {
        writeln!(file, "{}", json!(text))?;
    }
    drop(file);
    let output = Command::new(&program).stdin(File::open(&questions)?).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the oracle ended with {}", output.status);
    let answers = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let answers: Vec<Value> =
        answers.map(|line| serde_json::from_slice(line).context("a line")).collect::<Result<_>>()?;
    ensure!(answers.len() == texts.len(), "the oracle gave {} answers", answers.len());
    Ok(answers)
}

/// Numbers as Kubernetes holds them: integers of 64 bits with a sign, or floats.
fn held(value: &mut Value) {
    match value {
        Value::Number(number) if number.as_i64().is_none() => *value = json!(number.as_f64()),
        Value::Array(items) => items.iter_mut().for_each(held),
        Value::Object(members) => members.values_mut().for_each(held),
        _ => {}
    }
}

/// Reports whether a word between brackets begins with a colon behind a tag, which is refused: see docs/differences.md.
fn has_colon_behind_tag(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.windows(2).any(|pair| {
        pair[0].trim_start_matches(['[', '{', ',']).starts_with('!') && pair[1].starts_with(':') && pair[1].len() > 1
    })
}

#[test]
fn texts_mean_what_they_mean_to_go() -> Result<()> {
    let mut corpus = corpus::Corpus::new(1);
    let mut texts: Vec<String> = (0..TEXTS).map(|_| corpus.scalar_text()).collect();
    texts.extend((0..TEXTS).map(|_| corpus.document()));
    let mut differences = Vec::new();
    let mut written = Vec::new();
    for (text, mut theirs) in texts.iter().zip(asked(&texts)?) {
        let theirs_value = theirs["json"].take();
        let mut wanted = theirs_value;
        held(&mut wanted);
        numbers::write_whole(&mut wanted);
        let strict = theirs["strict"].as_str().unwrap_or_default().to_owned();
        let same = match (yaml::read(text.as_bytes()), theirs["error"].as_str()) {
            (Err(_), Some(_)) => true,
            // What has no JSON is hidden by a later equal key in Go.
            (Err(yaml::YamlError::NoJson(_)), None) => !strict.is_empty(),
            (Err(yaml::YamlError::Syntax { .. }), None) => has_colon_behind_tag(text),
            (Ok(ours), None) => {
                let told = ours.duplicates.join("\n  ");
                let told = if told.is_empty() { told } else { format!("yaml: unmarshal errors:\n  {told}") };
                let same = ours.value == wanted && told == strict;
                written.push(ours.value);
                same
            }
            _ => false,
        };
        if !same {
            differences.push(format!("{text:?}: {:?}, and Go {wanted} {theirs}", yaml::read(text.as_bytes())));
        }
    }
    ensure!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));

    let texts: Vec<String> = written.iter().map(yaml::write).collect();
    for ((value, text), mut theirs) in written.iter().zip(&texts).zip(asked(&texts)?) {
        held(&mut theirs["json"]);
        numbers::write_whole(&mut theirs["json"]);
        ensure!(
            theirs["error"].is_null() && theirs["json"] == *value,
            "{value} is written as {text:?}, for Go {theirs}"
        );
    }
    Ok(())
}
