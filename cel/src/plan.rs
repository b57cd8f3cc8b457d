//! From a checked expression to a program: variables in slots, overloads resolved, literals folded.
//!
//! Follows cel-go's `interpreter/planner.go` and the optimisations of `interpreter/decorators.go`, for costs depend on them.

use std::sync::Arc;

use ::cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};

use super::checked::{Checked, Reference};
use super::eval;
use super::overload::{Code, Overload};
use super::standard::{self, Operation};
use super::types::Type;
use super::value::{EvalError, Text, Value};

/// A program: evaluates any number of times, on any number of threads.
#[derive(Debug)]
pub struct Program {
    pub(super) root: Node,
    /// The most local variables at once.
    pub(super) locals: usize,
}

/// A step of a program.
#[derive(Debug)]
pub(super) enum Node {
    /// A value that is always the same; costs nothing.
    Constant(Value<'static>),
    /// A variable and what is selected from it.
    Attribute(Attribute),
    /// `has(…)`: an attribute whose last part is only looked for.
    Presence(Attribute),
    /// `&&` of all.
    And(Vec<Node>),
    /// `||` of all.
    Or(Vec<Node>),
    /// `==`, or `!=`.
    Equals { left: Box<Node>, right: Box<Node>, negated: Negated },
    /// `x in [constants]`, which costs nothing.
    Member { value: Box<Node>, set: Vec<Value<'static>> },
    /// `optional.or(optional)`, or `optional.orValue(value)`: the second is not looked at without need, and it is free.
    Otherwise { left: Box<Node>, right: Box<Node>, gives: Gives },
    /// A call.
    Call(Box<Call>),
    /// `[…]`; the second says which are optional.
    List(Vec<(Node, Optional)>),
    /// `{…}`
    Map(Vec<(Node, Node, Optional)>),
    /// A macro's loop.
    Fold(Box<Fold>),
}

/// `==` or `!=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Negated {
    No,
    Yes,
}

/// What an alternative to an optional gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gives {
    Optional,
    Value,
}

/// Whether an element is left out when its optional has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Optional {
    No,
    Yes,
}

/// Where an attribute begins, and the parts that are selected in turn.
#[derive(Debug)]
pub(super) struct Attribute {
    pub(super) root: Root,
    pub(super) qualifiers: Vec<Qualifier>,
}

#[derive(Debug)]
pub(super) enum Root {
    /// A variable of the program.
    Variable(usize),
    /// A variable of a loop.
    Local(usize),
    /// The result of a loop so far, which its next step may take: the step replaces it.
    Accumulator(usize),
    /// Any other expression.
    Relative(Box<Node>),
    /// `c ? t : f`
    Conditional(Box<[Node; 3]>),
}

#[derive(Debug)]
pub(super) struct Qualifier {
    pub(super) by: By,
    pub(super) optional: Optional,
}

#[derive(Debug)]
pub(super) enum By {
    /// A field or a constant index.
    Constant(Value<'static>),
    /// An index that is an attribute itself, whose own root costs nothing.
    Attribute(Attribute),
    /// Any other index.
    Node(Node),
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) function: String,
    /// The overload's id; empty when it depends on the arguments.
    pub(super) overload: &'static str,
    pub(super) args: Vec<Node>,
    pub(super) run: Run,
}

/// What a call does.
#[derive(Debug)]
pub(super) enum Run {
    /// An operation of the language.
    Standard(Operation),
    /// The one function of a library.
    Library(Code),
    /// One of several functions of libraries: the one whose parameters fit.
    Dynamic(Vec<Arc<Overload>>),
    /// `matches` with a constant pattern.
    Matches(kindsmith_text::pattern::Pattern),
}

#[derive(Debug)]
pub(super) struct Fold {
    pub(super) range: Node,
    pub(super) init: Node,
    pub(super) condition: Node,
    pub(super) step: Node,
    pub(super) result: Node,
    pub(super) accumulator: usize,
    pub(super) first: usize,
    pub(super) second: Option<usize>,
}

impl Program {
    /// Plans an expression over these variables; their values are given in this order.
    ///
    /// # Errors
    /// A constant part of the expression has no value, such as a conversion that fails.
    pub fn new(checked: &Checked, variables: &[&str]) -> Result<Self, EvalError> {
        let mut planner = Planner { checked, variables, locals: Vec::new(), most: 0, taking: None };
        let root = planner.plan(&checked.expr)?;
        Ok(Self { root, locals: planner.most })
    }
}

struct Planner<'c> {
    checked: &'c Checked,
    variables: &'c [&'c str],
    locals: Vec<String>,
    most: usize,
    /// The accumulator that the step at hand may take.
    taking: Option<usize>,
}

impl Planner<'_> {
    fn plan(&mut self, expr: &IdedExpr) -> Result<Node, EvalError> {
        match &expr.expr {
            Expr::Literal(literal) => Ok(Node::Constant(constant(literal))),
            Expr::Ident(name) => self.ident(expr.id, name),
            Expr::Select(select) => {
                if let Some(Reference::Variable(_) | Reference::TypeName(_)) = self.checked.references.get(&expr.id) {
                    return self.ident(expr.id, &select.field);
                }
                let operand = self.plan(&select.operand)?;
                let mut attribute = into_attribute(operand);
                let by = By::Constant(Value::text(select.field.as_str()));
                attribute.qualifiers.push(Qualifier { by, optional: Optional::No });
                Ok(if select.test { Node::Presence(attribute) } else { Node::Attribute(attribute) })
            }
            Expr::Call(call) => self.call(expr.id, &call.func_name, call.target.as_deref(), &call.args),
            Expr::List(list) => {
                let mut elements = Vec::with_capacity(list.elements.len());
                for (index, element) in list.elements.iter().enumerate() {
                    let optional = if list.optional_indices.contains(&index) { Optional::Yes } else { Optional::No };
                    elements.push((self.plan(element)?, optional));
                }
                fold_if_constant(Node::List(elements))
            }
            Expr::Map(map) => {
                let mut entries = Vec::with_capacity(map.entries.len());
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else {
                        return Err(EvalError::failed("unsupported map entry"));
                    };
                    let optional = if entry.optional { Optional::Yes } else { Optional::No };
                    entries.push((self.plan(&entry.key)?, self.plan(&entry.value)?, optional));
                }
                fold_if_constant(Node::Map(entries))
            }
            Expr::Comprehension(fold) => self.fold(fold),
            Expr::Struct(object) => Err(EvalError::failed(format!("unknown type: {}", object.type_name))),
            Expr::Unspecified => Err(EvalError::failed("unsupported expr")),
        }
    }

    fn ident(&mut self, id: u64, name: &str) -> Result<Node, EvalError> {
        let name = match self.checked.references.get(&id) {
            Some(Reference::TypeName(of)) => return Ok(Node::Constant(Value::Type(of.clone()))),
            Some(Reference::Variable(name)) => name,
            _ => name,
        };
        let root = if let Some(slot) = self.locals.iter().rposition(|local| local == name) {
            if self.taking == Some(slot) { Root::Accumulator(slot) } else { Root::Local(slot) }
        } else if let Some(slot) = self.variables.iter().position(|variable| *variable == name) {
            Root::Variable(slot)
        } else {
            return Err(EvalError::failed(format!("no such attribute(s): {name}")));
        };
        Ok(Node::Attribute(Attribute { root, qualifiers: Vec::new() }))
    }

    fn call(
        &mut self,
        id: u64,
        function: &str,
        target: Option<&IdedExpr>,
        args: &[IdedExpr],
    ) -> Result<Node, EvalError> {
        let candidates: &[Arc<Overload>] = match self.checked.references.get(&id) {
            Some(Reference::Call(candidates)) => candidates,
            _ => &[],
        };
        // A qualified name such as `optional.of` is parsed as a call on `optional`, and checked as a global function.
        let is_qualified = candidates.first().is_some_and(|overload| overload.function != function);
        let function = if is_qualified { candidates[0].function } else { function };
        let mut planned = Vec::with_capacity(args.len() + 1);
        for arg in target.filter(|_| !is_qualified).into_iter().chain(args) {
            planned.push(self.plan(arg)?);
        }
        let mut args = planned.into_iter();
        match function {
            operators::LOGICAL_AND => return Ok(Node::And(args.collect())),
            operators::LOGICAL_OR => return Ok(Node::Or(args.collect())),
            operators::CONDITIONAL => {
                let (Some(condition), Some(truthy), Some(falsy)) = (args.next(), args.next(), args.next()) else {
                    return Err(EvalError::no_overload());
                };
                let root = Root::Conditional(Box::new([condition, truthy, falsy]));
                return Ok(Node::Attribute(Attribute { root, qualifiers: Vec::new() }));
            }
            operators::EQUALS | operators::NOT_EQUALS => {
                let (Some(left), Some(right)) = (args.next(), args.next()) else {
                    return Err(EvalError::no_overload());
                };
                let negated = if function == operators::EQUALS { Negated::No } else { Negated::Yes };
                return Ok(Node::Equals { left: Box::new(left), right: Box::new(right), negated });
            }
            operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT => {
                let (Some(operand), Some(index)) = (args.next(), args.next()) else {
                    return Err(EvalError::no_overload());
                };
                let by = match index {
                    Node::Constant(value) => By::Constant(value),
                    Node::Attribute(attribute) => By::Attribute(attribute),
                    other => By::Node(other),
                };
                let optional = if function == operators::INDEX { Optional::No } else { Optional::Yes };
                let mut attribute = into_attribute(operand);
                attribute.qualifiers.push(Qualifier { by, optional });
                return Ok(Node::Attribute(attribute));
            }
            _ => {}
        }
        let args: Vec<Node> = args.collect();
        if candidates.iter().all(|overload| overload.code.is_none())
            && let Some(gives) = alternative(function)
            && args.len() == 2
        {
            let mut args = args.into_iter();
            let (Some(left), Some(right)) = (args.next(), args.next()) else { return Err(EvalError::no_overload()) };
            return Ok(Node::Otherwise { left: Box::new(left), right: Box::new(right), gives });
        }
        let overload = match candidates {
            [one] => one.id,
            _ => "",
        };
        if overload == "in_list"
            && let [_, Node::Constant(Value::List(list))] = args.as_slice()
        {
            let set = list.items()?;
            let is_simple = |value: &Value<'_>| {
                matches!(value, Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::String(_))
            };
            if set.is_empty() {
                return Ok(Node::Constant(Value::Bool(false)));
            }
            if set.iter().all(is_simple) {
                let Some(value) = args.into_iter().next() else { return Err(EvalError::no_overload()) };
                return Ok(Node::Member { value: Box::new(value), set });
            }
        }
        let is_conversion = matches!(
            function,
            "bool" | "bytes" | "double" | "duration" | "dyn" | "int" | "string" | "timestamp" | "type" | "uint"
        );
        let run = if function == "matches"
            && let [_, Node::Constant(Value::String(pattern))] = args.as_slice()
        {
            Run::Matches(standard::text::pattern(pattern.as_str())?)
        } else {
            run(function, candidates)?
        };
        let call = Node::Call(Box::new(Call { function: function.to_owned(), overload, args, run }));
        if is_conversion { fold_if_constant(call) } else { Ok(call) }
    }

    fn fold(&mut self, fold: &ComprehensionExpr) -> Result<Node, EvalError> {
        let outer = self.taking;
        let init = self.plan(&fold.accu_init)?;
        let range = self.plan(&fold.iter_range)?;
        self.taking = None;
        let depth = self.locals.len();
        let accumulator = self.declare(&fold.accu_var);
        let first = self.declare(&fold.iter_var);
        let second = fold.iter_var2.as_ref().map(|name| self.declare(name));
        let condition = self.plan(&fold.loop_cond)?;
        // A name that users cannot write is used once at most on each way through the step.
        self.taking = fold.accu_var.starts_with('@').then_some(accumulator);
        let step = self.plan(&fold.loop_step)?;
        self.taking = None;
        self.locals.truncate(accumulator + 1);
        let result = self.plan(&fold.result)?;
        self.locals.truncate(depth);
        self.taking = outer;
        Ok(Node::Fold(Box::new(Fold { range, init, condition, step, result, accumulator, first, second })))
    }

    fn declare(&mut self, name: &str) -> usize {
        self.locals.push(name.to_owned());
        self.most = self.most.max(self.locals.len());
        self.locals.len() - 1
    }
}

fn alternative(function: &str) -> Option<Gives> {
    match function {
        "or" => Some(Gives::Optional),
        "orValue" => Some(Gives::Value),
        _ => None,
    }
}

/// What a call of `function` does. Functions of the language have no code of their own in their declarations.
fn run(function: &str, candidates: &[Arc<Overload>]) -> Result<Run, EvalError> {
    let missing = || EvalError::failed(format!("no such overload: {function}"));
    match candidates {
        [] => standard::operation(function).map(Run::Standard).ok_or_else(missing),
        [one] => match one.code {
            Some(code) => Ok(Run::Library(code)),
            None => standard::operation_of(one).map(Run::Standard).ok_or_else(missing),
        },
        many if many.iter().all(|overload| overload.code.is_none()) => {
            let operation = many.iter().find_map(|overload| standard::operation_of(overload));
            operation.map(Run::Standard).ok_or_else(missing)
        }
        many => Ok(Run::Dynamic(many.to_vec())),
    }
}

fn into_attribute(node: Node) -> Attribute {
    match node {
        Node::Attribute(attribute) => attribute,
        other => Attribute { root: Root::Relative(Box::new(other)), qualifiers: Vec::new() },
    }
}

fn constant(literal: &LiteralValue) -> Value<'static> {
    match literal {
        LiteralValue::Boolean(value) => Value::Bool(*value.inner()),
        LiteralValue::Bytes(value) => Value::Bytes(Arc::from(value.inner())),
        LiteralValue::Double(value) => Value::Double(*value.inner()),
        LiteralValue::Int(value) => Value::Int(*value.inner()),
        LiteralValue::Null => Value::Null,
        LiteralValue::String(value) => Value::String(Text::Owned(Arc::from(value.inner()))),
        LiteralValue::UInt(value) => Value::Uint(*value.inner()),
    }
}

/// A list, map or conversion of constants is a constant.
fn fold_if_constant(node: Node) -> Result<Node, EvalError> {
    let is_constant = |node: &Node| matches!(node, Node::Constant(_));
    let all = match &node {
        Node::List(elements) => elements.iter().all(|(element, _)| is_constant(element)),
        Node::Map(entries) => entries.iter().all(|(key, value, _)| is_constant(key) && is_constant(value)),
        Node::Call(call) => call.args.len() == 1 && call.args.iter().all(is_constant),
        _ => false,
    };
    if all { eval::constant(&node).map(Node::Constant) } else { Ok(node) }
}

/// The type `of` a parameter, as far as a value shows it.
pub(super) fn fits(parameter: &Type, value: &Value<'_>) -> bool {
    match parameter {
        Type::Dyn | Type::Param(_) | Type::Error => true,
        Type::List(_) => matches!(value, Value::List(_)),
        Type::Map(..) | Type::Object(_) => matches!(value, Value::Map(_)),
        Type::Optional(_) => matches!(value, Value::Optional(_)),
        Type::TypeOf(_) => matches!(value, Value::Type(_)),
        Type::Opaque(name) => matches!(value, Value::Opaque(opaque) if opaque.type_name() == *name),
        Type::Null => matches!(value, Value::Null),
        Type::Bool => matches!(value, Value::Bool(_)),
        Type::Int => matches!(value, Value::Int(_)),
        Type::Uint => matches!(value, Value::Uint(_)),
        Type::Double => matches!(value, Value::Double(_)),
        Type::String => matches!(value, Value::String(_)),
        Type::Bytes => matches!(value, Value::Bytes(_)),
        Type::Duration => matches!(value, Value::Duration(_)),
        Type::Timestamp => matches!(value, Value::Timestamp(_)),
    }
}
