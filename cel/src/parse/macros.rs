//! The macros of Kubernetes' environment.
//!
//! Follows cel-go's `parser/macro.go` (has, all, exists, exists_one, map, filter), `cel/library.go` (optMap,
//! optFlatMap), `ext/comprehensions.go` (two variables) and `ext/lists.go` (sortBy).

use ::cel::common::ast::{ComprehensionExpr, Expr, IdedExpr, SelectExpr, operators};

use super::nodes::{At, Nodes};

/// The variable that a comprehension accumulates in; not writable in expressions.
const ACCUMULATOR: &str = "@result";
/// What the accumulator was called once; still no name for a variable.
const OLD_ACCUMULATOR: &str = "__result__";
/// The variable of a comprehension over nothing.
const UNUSED: &str = "#unused";
/// The list that `sortBy` sorts.
const SORT_INPUT: &str = "@__sortBy_input__";
/// Adds to a map; only macros call it.
const MAP_INSERT: &str = "cel.@mapInsert";

/// A macro that was called wrongly: the node to blame, and why.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) node: u64,
    pub(super) message: String,
}

impl Fault {
    fn new(node: &IdedExpr, message: impl Into<String>) -> Self {
        Self { node: node.id, message: message.into() }
    }
}

type Expansion = Result<IdedExpr, Fault>;

/// What becomes of a call: its expansion, or its parts again if it is no macro.
pub(super) enum Expanded {
    Macro(Expansion),
    Call(Option<IdedExpr>, Vec<IdedExpr>),
}

/// Expands the call `function(args)` or `target.function(args)` if it is a macro's.
pub(super) fn expand(
    nodes: &mut Nodes,
    call: u64,
    function: &str,
    target: Option<IdedExpr>,
    args: Vec<IdedExpr>,
) -> Expanded {
    let at = nodes.at(call);
    let Some(target) = target else {
        return match (function, <[_; 1]>::try_from(args)) {
            (operators::HAS, Ok([field])) => Expanded::Macro(has(at, field)),
            (_, Ok(args)) => Expanded::Call(None, Vec::from(args)),
            (_, Err(args)) => Expanded::Call(None, args),
        };
    };
    let two = args.len() == 2;
    let one_variable = match function {
        operators::ALL if two => Some(Fold::All),
        operators::EXISTS if two => Some(Fold::Exists),
        operators::EXISTS_ONE if two => Some(Fold::ExistsOne),
        operators::MAP if two || args.len() == 3 => Some(Fold::Map),
        operators::FILTER if two => Some(Fold::Filter),
        _ => None,
    };
    if let Some(fold) = one_variable {
        return Expanded::Macro(over_one(at, fold, target, args));
    }
    let three = args.len() == 3;
    let transform = three || args.len() == 4;
    let two_variables = match function {
        operators::ALL if three => Some(Fold::All),
        operators::EXISTS if three => Some(Fold::Exists),
        operators::EXISTS_ONE | "existsOne" if three => Some(Fold::ExistsOne),
        "transformList" if transform => Some(Fold::Map),
        "transformMap" if transform => Some(Fold::TransformMap),
        "transformMapEntry" if transform => Some(Fold::TransformMapEntry),
        _ => None,
    };
    if let Some(fold) = two_variables {
        return Expanded::Macro(over_two(at, fold, target, args));
    }
    match (function, <[_; 2]>::try_from(args)) {
        ("optMap", Ok([name, value])) => Expanded::Macro(opt_map(at, Optional::Of, target, &name, value)),
        ("optFlatMap", Ok([name, value])) => Expanded::Macro(opt_map(at, Optional::AsIs, target, &name, value)),
        ("sortBy", Ok([name, key])) => Expanded::Macro(sort_by(at, target, &name, key)),
        (_, Ok(args)) => Expanded::Call(Some(target), Vec::from(args)),
        (_, Err(args)) => Expanded::Call(Some(target), args),
    }
}

/// What a comprehension computes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fold {
    All,
    Exists,
    ExistsOne,
    Map,
    Filter,
    TransformMap,
    TransformMapEntry,
}

fn has(mut at: At<'_>, field: IdedExpr) -> Expansion {
    match field.expr {
        Expr::Select(select) if !select.test => Ok(at.node(Expr::Select(SelectExpr { test: true, ..select }))),
        _ => Err(Fault::new(&field, "invalid argument to has() macro")),
    }
}

/// The name of a variable, unless it is taken.
fn variable(node: &IdedExpr, otherwise: &str) -> Result<String, Fault> {
    match &node.expr {
        Expr::Ident(name) => Ok(name.clone()),
        _ => Err(Fault::new(node, otherwise)),
    }
}

fn not_the_accumulator(node: &IdedExpr, name: &str) -> Result<(), Fault> {
    if name == ACCUMULATOR || name == OLD_ACCUMULATOR {
        return Err(Fault::new(node, "iteration variable overwrites accumulator variable"));
    }
    Ok(())
}

fn over_one(at: At<'_>, fold: Fold, target: IdedExpr, args: Vec<IdedExpr>) -> Expansion {
    let mut args = args.into_iter();
    let Some(first) = args.next() else { return Ok(target) };
    let quantifier = matches!(fold, Fold::All | Fold::Exists | Fold::ExistsOne);
    let name =
        variable(&first, if quantifier { "argument must be a simple name" } else { "argument is not an identifier" })?;
    not_the_accumulator(&first, &name)?;
    let (filter, value) = if fold == Fold::Filter { (args.next(), Some(first)) } else { parts(args) };
    Ok(comprehension(at, fold, target, Variables { first: name, second: None }, filter, value))
}

fn over_two(at: At<'_>, fold: Fold, target: IdedExpr, args: Vec<IdedExpr>) -> Expansion {
    let mut args = args.into_iter();
    let (Some(first), Some(second)) = (args.next(), args.next()) else { return Ok(target) };
    let first_name = variable(&first, "argument must be a simple name")?;
    let second_name = variable(&second, "argument must be a simple name")?;
    if first_name == second_name {
        return Err(Fault::new(&second, format!("duplicate variable name: {first_name}")));
    }
    not_the_accumulator(&first, &first_name)?;
    not_the_accumulator(&second, &second_name)?;
    let (filter, value) = parts(args);
    Ok(comprehension(at, fold, target, Variables { first: first_name, second: Some(second_name) }, filter, value))
}

/// `[filter,] value`.
fn parts(mut args: impl Iterator<Item = IdedExpr>) -> (Option<IdedExpr>, Option<IdedExpr>) {
    match (args.next(), args.next()) {
        (filter, Some(value)) => (filter, Some(value)),
        (value, None) => (None, value),
    }
}

struct Variables {
    first: String,
    second: Option<String>,
}

fn comprehension(
    mut at: At<'_>,
    fold: Fold,
    range: IdedExpr,
    variables: Variables,
    filter: Option<IdedExpr>,
    value: Option<IdedExpr>,
) -> IdedExpr {
    let value = value.unwrap_or_default();
    let init = match fold {
        Fold::All => at.bool(true),
        Fold::Exists => at.bool(false),
        Fold::ExistsOne => at.int(0),
        Fold::Map | Fold::Filter => at.list(Vec::new()),
        Fold::TransformMap | Fold::TransformMapEntry => at.map(),
    };
    let condition = match fold {
        Fold::All => {
            let so_far = at.ident(ACCUMULATOR);
            at.call(operators::NOT_STRICTLY_FALSE, vec![so_far])
        }
        Fold::Exists => {
            let so_far = at.ident(ACCUMULATOR);
            let not = at.call(operators::LOGICAL_NOT, vec![so_far]);
            at.call(operators::NOT_STRICTLY_FALSE, vec![not])
        }
        _ => at.bool(true),
    };
    let so_far = at.ident(ACCUMULATOR);
    let step = match fold {
        Fold::All => at.call(operators::LOGICAL_AND, vec![so_far, value]),
        Fold::Exists => at.call(operators::LOGICAL_OR, vec![so_far, value]),
        Fold::ExistsOne => {
            let one = at.int(1);
            let more = at.call(operators::ADD, vec![so_far, one]);
            let same = at.ident(ACCUMULATOR);
            at.call(operators::CONDITIONAL, vec![value, more, same])
        }
        Fold::Map | Fold::Filter => {
            let added = at.list(vec![value]);
            at.call(operators::ADD, vec![so_far, added])
        }
        Fold::TransformMap => {
            let key = at.ident(&variables.first);
            at.call(MAP_INSERT, vec![so_far, key, value])
        }
        Fold::TransformMapEntry => at.call(MAP_INSERT, vec![so_far, value]),
    };
    let step = match filter {
        Some(filter) => {
            let same = at.ident(ACCUMULATOR);
            at.call(operators::CONDITIONAL, vec![filter, step, same])
        }
        None => step,
    };
    let so_far = at.ident(ACCUMULATOR);
    let result = if fold == Fold::ExistsOne {
        let one = at.int(1);
        at.call(operators::EQUALS, vec![so_far, one])
    } else {
        so_far
    };
    at.comprehension(ComprehensionExpr {
        iter_range: range,
        iter_var: variables.first,
        iter_var2: variables.second,
        accu_var: ACCUMULATOR.to_owned(),
        accu_init: init,
        loop_cond: condition,
        loop_step: step,
        result,
    })
}

/// `result`, where `name` stands for `value`: a comprehension over nothing.
fn bind(at: &mut At<'_>, name: &str, value: IdedExpr, result: IdedExpr) -> IdedExpr {
    let nothing = at.list(Vec::new());
    let never = at.bool(false);
    let same = at.ident(name);
    at.comprehension(ComprehensionExpr {
        iter_range: nothing,
        iter_var: UNUSED.to_owned(),
        iter_var2: None,
        accu_var: name.to_owned(),
        accu_init: value,
        loop_cond: never,
        loop_step: same,
        result,
    })
}

/// Whether the computed value becomes an optional, or is one.
#[derive(Clone, Copy)]
enum Optional {
    Of,
    AsIs,
}

fn opt_map(mut at: At<'_>, kind: Optional, target: IdedExpr, name: &IdedExpr, value: IdedExpr) -> Expansion {
    let function = match kind {
        Optional::Of => "optMap",
        Optional::AsIs => "optFlatMap",
    };
    let variable = variable(name, &format!("{function}() variable name must be a simple identifier"))?;
    let copied = at.copy(&target);
    let inner = at.member_call("value", copied, Vec::new());
    let bound = bind(&mut at, &variable, inner, value);
    let some = match kind {
        Optional::Of => at.call("optional.of", vec![bound]),
        Optional::AsIs => bound,
    };
    let present = at.member_call("hasValue", target, Vec::new());
    let none = at.call("optional.none", Vec::new());
    Ok(at.call(operators::CONDITIONAL, vec![present, some, none]))
}

fn sort_by(mut at: At<'_>, target: IdedExpr, name: &IdedExpr, key: IdedExpr) -> Expansion {
    match &target.expr {
        Expr::List(_) | Expr::Select(_) | Expr::Ident(_) | Expr::Comprehension(_) | Expr::Call(_) => {}
        _ => {
            let message = "sortBy can only be applied to a list, identifier, comprehension, call or select expression";
            return Err(Fault::new(&target, message));
        }
    }
    let variable = variable(name, "argument is not an identifier")?;
    not_the_accumulator(name, &variable)?;
    let range = at.ident(SORT_INPUT);
    let variables = Variables { first: variable, second: None };
    let keys = comprehension(at.again(), Fold::Map, range, variables, None, Some(key));
    let input = at.ident(SORT_INPUT);
    let sorted = at.member_call("@sortByAssociatedKeys", input, vec![keys]);
    Ok(bind(&mut at, SORT_INPUT, target, sorted))
}
