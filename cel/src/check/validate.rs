//! What is checked once types are known: literals of durations, timestamps, patterns and formats, and mixed lists and
//! maps.
//!
//! Follows the validators of cel-go's `cel/validator.go` that apiserver/pkg/cel/environment/base.go turns on.

use ::cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, ListExpr, LiteralValue, MapEntryExpr, MapExpr};

use super::format;
use super::unify::same;
use crate::checked::Checked;
use crate::clock::{parse_duration, parse_timestamp};
use crate::issues::Issues;
use crate::types::Type;
use kindsmith_text::pattern::Pattern;

/// What is wrong with an expression whose types are right.
pub(super) fn validate(checked: &Checked) -> Issues {
    let mut issues = Issues::default();
    visit(&checked.expr, Around::Anything, &mut |node, around| match &node.expr {
        Expr::Call(call) => check_call(&mut issues, checked, node.id, call),
        Expr::List(list) if around == Around::Anything => mixed_list(&mut issues, checked, list),
        Expr::Map(map) if around == Around::Anything => mixed_map(&mut issues, checked, map),
        _ => {}
    });
    issues
}

/// What a node is part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Around {
    Anything,
    /// A call of `format`, which takes lists of mixed types.
    Format,
}

fn check_call(issues: &mut Issues, checked: &Checked, node: u64, call: &CallExpr) {
    let Some(first) = call.args.first() else { return };
    if let Expr::Literal(literal) = &first.expr
        && !literal_fits(&call.func_name, literal)
    {
        report(issues, checked, first.id, format!("invalid {} argument", call.func_name));
    }
    if call.func_name == "format"
        && let Some(target) = &call.target
        && let (Expr::Literal(LiteralValue::String(text)), Expr::List(args)) = (&target.expr, &first.expr)
        && let Err(fault) = format::check(checked, node, text.inner(), &args.elements)
    {
        report(issues, checked, fault.node, fault.message);
    }
}

fn report(issues: &mut Issues, checked: &Checked, node: u64, message: String) {
    issues.report(checked.source.offset_for(node).map(|(start, _)| start), message);
}

/// Whether a function takes a literal as its first argument.
fn literal_fits(function: &str, literal: &LiteralValue) -> bool {
    match (function, literal) {
        ("duration", LiteralValue::String(text)) => parse_duration(text.inner()).is_some(),
        ("timestamp", LiteralValue::String(text)) => parse_timestamp(text.inner()).is_some(),
        // Seconds of the years 1 to 9999.
        ("timestamp", LiteralValue::Int(second)) => (-62_135_596_800..=253_402_300_799).contains(second.inner()),
        // Called globally, the first argument is not the pattern; cel-go tries it all the same.
        ("matches", LiteralValue::String(text)) => Pattern::of_expression(text.inner()).error().is_none(),
        _ => true,
    }
}

fn mixed_list(issues: &mut Issues, checked: &Checked, list: &ListExpr) {
    let mut first: Option<Type> = None;
    for (index, element) in list.elements.iter().enumerate() {
        let found = if list.optional_indices.binary_search(&index).is_ok() {
            value_type(checked, element)
        } else {
            type_in(checked, element)
        };
        match &first {
            None => first = Some(found),
            Some(first) if same(first, &found) => {}
            Some(first) => {
                report(issues, checked, element.id, format!("expected type '{first}' but found '{found}'"));
                break;
            }
        }
    }
}

fn mixed_map(issues: &mut Issues, checked: &Checked, map: &MapExpr) {
    let mut entries = map.entries.iter().filter_map(|entry| match &entry.expr {
        EntryExpr::MapEntry(entry) => Some(entry),
        EntryExpr::StructField(_) => None,
    });
    let types = |entry: &MapEntryExpr| {
        let value = if entry.optional { value_type } else { type_in };
        (type_in(checked, &entry.key), value(checked, &entry.value))
    };
    let Some((key, value)) = entries.next().map(types) else { return };
    for entry in entries {
        let (found_key, found_value) = types(entry);
        for (node, first, found) in [(&entry.key, &key, &found_key), (&entry.value, &value, &found_value)] {
            if !same(first, found) {
                report(issues, checked, node.id, format!("expected type '{first}' but found '{found}'"));
            }
        }
    }
}

/// The type of a node.
fn type_in(checked: &Checked, node: &IdedExpr) -> Type {
    checked.types.get(&node.id).cloned().unwrap_or(Type::Dyn)
}

/// The type that an optional node adds to its list or map.
fn value_type(checked: &Checked, node: &IdedExpr) -> Type {
    match type_in(checked, node) {
        Type::Optional(value) => (*value).clone(),
        other => other,
    }
}

/// Visits a node and all below it.
fn visit(node: &IdedExpr, around: Around, act: &mut dyn FnMut(&IdedExpr, Around)) {
    act(node, around);
    match &node.expr {
        Expr::Call(call) => {
            let around = if call.func_name == "format" { Around::Format } else { around };
            for child in call.target.iter().map(|target| &**target).chain(&call.args) {
                visit(child, around, act);
            }
        }
        Expr::Comprehension(of) => {
            for child in [&of.iter_range, &of.accu_init, &of.loop_cond, &of.loop_step, &of.result] {
                visit(child, around, act);
            }
        }
        Expr::List(list) => list.elements.iter().for_each(|element| visit(element, around, act)),
        Expr::Select(select) => visit(&select.operand, around, act),
        Expr::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    visit(&entry.key, around, act);
                    visit(&entry.value, around, act);
                }
            }
        }
        Expr::Struct(_) | Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
    }
}
