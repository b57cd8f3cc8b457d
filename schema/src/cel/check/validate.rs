//! What is checked once types are known: literals of durations, timestamps and patterns, and mixed lists and maps.
//!
//! Follows the validators of cel-go's `cel/validator.go` that apiserver/pkg/cel/environment/base.go turns on.

use ::cel::common::ast::{EntryExpr, Expr, IdedExpr, ListExpr, LiteralValue, MapEntryExpr, MapExpr};

use super::unify::same;
use crate::cel::checked::Checked;
use crate::cel::clock::{parse_duration, parse_timestamp};
use crate::cel::issues::Issues;
use crate::cel::types::Type;
use crate::structural::pattern::Pattern;

/// What is wrong with an expression whose types are right.
pub(super) fn validate(checked: &Checked) -> Issues {
    let mut issues = Issues::default();
    visit(&checked.expr, &mut |node| match &node.expr {
        Expr::Call(call) => {
            if let Some(IdedExpr { id, expr: Expr::Literal(literal) }) = call.args.first()
                && !literal_fits(&call.func_name, literal)
            {
                report(&mut issues, checked, *id, format!("invalid {} argument", call.func_name));
            }
        }
        Expr::List(list) => mixed_list(&mut issues, checked, list),
        Expr::Map(map) => mixed_map(&mut issues, checked, map),
        _ => {}
    });
    issues
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
        ("matches", LiteralValue::String(text)) => Pattern::new(text.inner()).error().is_none(),
        _ => true,
    }
}

fn mixed_list(issues: &mut Issues, checked: &Checked, list: &ListExpr) {
    let mut first: Option<Type> = None;
    for (index, element) in list.elements.iter().enumerate() {
        let found = type_in(checked, element, list.optional_indices.binary_search(&index).is_ok());
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
    let types =
        |entry: &MapEntryExpr| (type_in(checked, &entry.key, false), type_in(checked, &entry.value, entry.optional));
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

/// The type that a node adds to its list or map.
fn type_in(checked: &Checked, node: &IdedExpr, optional: bool) -> Type {
    match checked.types.get(&node.id) {
        Some(Type::Optional(value)) if optional => (**value).clone(),
        Some(found) => found.clone(),
        None => Type::Dyn,
    }
}

/// Visits a node and all below it.
fn visit(node: &IdedExpr, act: &mut dyn FnMut(&IdedExpr)) {
    act(node);
    match &node.expr {
        Expr::Call(call) => call.target.iter().map(|target| &**target).chain(&call.args).for_each(|n| visit(n, act)),
        Expr::Comprehension(of) => {
            for child in [&of.iter_range, &of.accu_init, &of.loop_cond, &of.loop_step, &of.result] {
                visit(child, act);
            }
        }
        Expr::List(list) => list.elements.iter().for_each(|element| visit(element, act)),
        Expr::Select(select) => visit(&select.operand, act),
        Expr::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    visit(&entry.key, act);
                    visit(&entry.value, act);
                }
            }
        }
        Expr::Struct(_) | Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
    }
}
