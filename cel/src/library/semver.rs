//! Semantic versions (k8s.io/apiserver/pkg/cel/library/semverlib.go, version 1; github.com/blang/semver/v4).

use std::cmp::Ordering;
use std::sync::Arc;

use semver::{BuildMetadata, Prerelease, Version};

use super::arguments::{boolean, exactly, semver as version, sign, string};
use crate::overload::Overload;
use crate::types::Type;
use crate::value::{EvalError, Opaque, Value};
use kindsmith_text::print::quoted;

/// blang's `Parse`. The grammar is that of the `semver` crate; the complaints are not.
fn parse(text: &str) -> Result<Version, String> {
    if text.is_empty() {
        return Err("Version string empty".to_owned());
    }
    let mut parts = text.splitn(3, '.');
    let (Some(major), Some(minor), Some(patch)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("No Major.Minor.Patch elements found".to_owned());
    };
    let major = number("Major", major)?;
    let minor = number("Minor", minor)?;
    let (patch, build) = patch.split_once('+').map_or((patch, None), |(patch, build)| (patch, Some(build)));
    let (patch, pre) = patch.split_once('-').map_or((patch, None), |(patch, pre)| (patch, Some(pre)));
    let patch = number("Patch", patch)?;
    for part in pre.iter().flat_map(|pre| pre.split('.')) {
        check_prerelease(part)?;
    }
    for part in build.iter().flat_map(|build| build.split('.')) {
        if part.is_empty() {
            return Err("Build meta data is empty".to_owned());
        }
        if !is_alphanumeric(part) {
            return Err(format!("Invalid character(s) found in build meta data {}", quoted(part)));
        }
    }
    Ok(Version {
        major,
        minor,
        patch,
        pre: Prerelease::new(pre.unwrap_or_default()).map_err(|error| error.to_string())?,
        build: BuildMetadata::new(build.unwrap_or_default()).map_err(|error| error.to_string())?,
    })
}

fn number(part: &str, text: &str) -> Result<u64, String> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("Invalid character(s) found in {} number {}", part.to_lowercase(), quoted(text)));
    }
    if has_leading_zeroes(text) {
        return Err(format!("{part} number must not contain leading zeroes {}", quoted(text)));
    }
    parse_uint(text)
}

/// `strconv.ParseUint` of digits.
fn parse_uint(text: &str) -> Result<u64, String> {
    let why = if text.is_empty() { "invalid syntax" } else { "value out of range" };
    text.parse().map_err(|_| format!("strconv.ParseUint: parsing {}: {why}", quoted(text)))
}

fn check_prerelease(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("Prerelease is empty".to_owned());
    }
    if !is_alphanumeric(text) {
        return Err(format!("Invalid character(s) found in prerelease {}", quoted(text)));
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        if has_leading_zeroes(text) {
            return Err(format!("Numeric PreRelease version must not contain leading zeroes {}", quoted(text)));
        }
        parse_uint(text)?;
    }
    Ok(())
}

fn is_alphanumeric(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn has_leading_zeroes(text: &str) -> bool {
    text.len() > 1 && text.starts_with('0')
}

/// `normalizeAndParse`: without a `v` and leading zeroes, and with all of three numbers.
fn parse_normalized(text: &str) -> Result<Version, String> {
    let mut parts: Vec<String> = text.strip_prefix('v').unwrap_or(text).splitn(3, '.').map(without_zeroes).collect();
    if parts.len() < 3 {
        if parts.last().is_some_and(|last| last.contains(['+', '-'])) {
            return Err("short version cannot contain PreRelease/Build meta data".to_owned());
        }
        parts.resize(3, "0".to_owned());
    }
    parse(&parts.join("."))
}

fn without_zeroes(part: &str) -> String {
    if part.len() < 2 {
        return part.to_owned();
    }
    let trimmed = part.trim_start_matches('0');
    let zero = if trimmed.starts_with(|c: char| c.is_ascii_digit()) { "" } else { "0" };
    format!("{zero}{trimmed}")
}

fn parse_if(text: &Value<'_>, normalize: &Value<'_>) -> Result<Result<Version, String>, EvalError> {
    let text = string(text)?;
    Ok(if boolean(normalize)? { parse_normalized(text) } else { parse(text) })
}

fn value<'a>(version: Result<Version, String>) -> Result<Value<'a>, EvalError> {
    version.map(|version| Value::Opaque(Opaque::Semver(Arc::new(version)))).map_err(EvalError::failed)
}

/// The library's functions.
pub(crate) fn overloads() -> Vec<Overload> {
    let v = || Type::Opaque("kubernetes.Semver");
    let text = || vec![Type::String];
    let text_and_flag = || vec![Type::String, Type::Bool];
    let global = Overload::global;
    let receiver = Overload::receiver;
    vec![
        global(
            "semver",
            "string_to_semver",
            text(),
            v(),
            Some(|args| {
                let [text] = exactly(args)?;
                value(parse(string(text)?))
            }),
        ),
        global(
            "semver",
            "string_bool_to_semver",
            text_and_flag(),
            v(),
            Some(|args| {
                let [text, normalize] = exactly(args)?;
                value(parse_if(text, normalize)?)
            }),
        ),
        global(
            "isSemver",
            "is_semver_string",
            text(),
            Type::Bool,
            Some(|args| {
                let [text] = exactly(args)?;
                Ok(Value::Bool(parse(string(text)?).is_ok()))
            }),
        ),
        global(
            "isSemver",
            "is_semver_string_bool",
            text_and_flag(),
            Type::Bool,
            Some(|args| {
                let [text, normalize] = exactly(args)?;
                Ok(Value::Bool(parse_if(text, normalize)?.is_ok()))
            }),
        ),
        receiver(
            "isGreaterThan",
            "semver_is_greater_than",
            vec![v(), v()],
            Type::Bool,
            Some(|args| Ok(Value::Bool(order(args)? == Ordering::Greater))),
        ),
        receiver(
            "isLessThan",
            "semver_is_less_than",
            vec![v(), v()],
            Type::Bool,
            Some(|args| Ok(Value::Bool(order(args)? == Ordering::Less))),
        ),
        receiver("compareTo", "semver_compare_to", vec![v(), v()], Type::Int, Some(|args| Ok(sign(order(args)?)))),
        receiver(
            "major",
            "semver_major",
            vec![v()],
            Type::Int,
            Some(|args| {
                let [of] = exactly(args)?;
                Ok(Value::Int(version(of)?.major.cast_signed()))
            }),
        ),
        receiver(
            "minor",
            "semver_minor",
            vec![v()],
            Type::Int,
            Some(|args| {
                let [of] = exactly(args)?;
                Ok(Value::Int(version(of)?.minor.cast_signed()))
            }),
        ),
        receiver(
            "patch",
            "semver_patch",
            vec![v()],
            Type::Int,
            Some(|args| {
                let [of] = exactly(args)?;
                Ok(Value::Int(version(of)?.patch.cast_signed()))
            }),
        ),
    ]
}

fn order(args: &[Value<'_>]) -> Result<Ordering, EvalError> {
    let [left, right] = exactly(args)?;
    Ok(version(left)?.cmp_precedence(version(right)?))
}
