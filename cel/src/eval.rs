//! Runs a program under a cost limit.
//!
//! Follows cel-go's `interpreter/interpretable.go`, `attributes.go` and, for costs, `runtimecost.go` with
//! `PresenceTestHasCost(false)`: limits decide what is refused, so costs are the same to the unit.

use std::sync::Arc;

use super::meter::{self, Meter};
use super::plan::{Attribute, By, Call, Fold, Gives, Negated, Node, Optional, Program, Qualifier, Root, Run, fits};
use super::standard;
use super::value::{EvalError, OwnedMap, Value};

type Outcome<'a> = Result<Value<'a>, EvalError>;

impl Program {
    /// The value under these variables, in the order that the program was planned with, and what it cost. It ends when
    /// it has cost more than `limit`.
    pub fn evaluate<'a>(&'a self, variables: &[Outcome<'a>], limit: u64) -> (Outcome<'a>, u64) {
        let mut run = Evaluation { variables, locals: Vec::with_capacity(self.locals), meter: Meter::new(limit) };
        let outcome = run.node(&self.root);
        (outcome, run.meter.spent())
    }
}

/// The value of a node of constants.
pub(super) fn constant(node: &Node) -> Result<Value<'static>, EvalError> {
    let mut run = Evaluation { variables: &[], locals: Vec::new(), meter: Meter::new(u64::MAX) };
    // What constants make holds nothing of the node.
    run.node(node).map(Value::into_static)
}

struct Evaluation<'v, 'a> {
    variables: &'v [Outcome<'a>],
    /// Of loops; a fault is a value here, for the next step may absorb it.
    locals: Vec<Outcome<'a>>,
    meter: Meter,
}

impl<'a> Evaluation<'_, 'a> {
    fn node(&mut self, node: &'a Node) -> Outcome<'a> {
        match node {
            Node::Constant(value) => Ok(value.clone()),
            Node::Attribute(attribute) => {
                let outcome = self.attribute(attribute);
                stop(&outcome)?;
                if !matches!(attribute.root, Root::Conditional(_)) {
                    self.meter.charge(meter::ATTRIBUTE)?;
                }
                outcome
            }
            Node::Presence(attribute) => self.presence(attribute),
            Node::And(terms) => self.logical(terms, false),
            Node::Or(terms) => self.logical(terms, true),
            Node::Equals { left, right, negated } => {
                let (left, right) = self.both(left, right)?;
                self.meter.charge_equality(&left, &right)?;
                let equal = left?.equals(&right?)?;
                Ok(Value::Bool(equal == (*negated == Negated::No)))
            }
            Node::Member { value, set } => {
                let value = self.node(value)?;
                for candidate in set {
                    if value.equals(candidate)? {
                        return Ok(Value::Bool(true));
                    }
                }
                Ok(Value::Bool(false))
            }
            Node::Otherwise { left, right, gives } => match self.node(left)? {
                held @ Value::Optional(Some(_)) if *gives == Gives::Optional => Ok(held),
                Value::Optional(Some(held)) => held.sound(),
                Value::Optional(None) => self.node(right),
                _ => Err(EvalError::no_overload()),
            },
            Node::Call(call) => self.call(call),
            Node::List(elements) => self.list(elements),
            Node::Map(entries) => self.map(entries),
            Node::Fold(fold) => self.fold(fold),
        }
    }

    /// Both are always evaluated, as their costs count; only the limit ends it between them.
    fn both(&mut self, left: &'a Node, right: &'a Node) -> Result<(Outcome<'a>, Outcome<'a>), EvalError> {
        let left = self.node(left);
        stop(&left)?;
        let right = self.node(right);
        stop(&right)?;
        Ok((left, right))
    }

    /// `&&` and `||`: the value that `decides` ends it, and a fault counts only if nothing else decides.
    fn logical(&mut self, terms: &'a [Node], decides: bool) -> Outcome<'a> {
        let mut fault = None;
        for term in terms {
            match self.node(term) {
                Ok(Value::Bool(value)) if value == decides => return Ok(Value::Bool(decides)),
                Ok(Value::Bool(_)) => {}
                Ok(_) => drop(fault.get_or_insert(EvalError::no_overload())),
                Err(EvalError::CostLimit) => return Err(EvalError::CostLimit),
                Err(error) => drop(fault.get_or_insert(error)),
            }
        }
        fault.map_or(Ok(Value::Bool(!decides)), Err)
    }

    /// An attribute's value without the cost of the attribute itself.
    fn attribute(&mut self, attribute: &'a Attribute) -> Outcome<'a> {
        let root = self.root(&attribute.root)?;
        self.qualify(root, &attribute.qualifiers)
    }

    fn root(&mut self, root: &'a Root) -> Outcome<'a> {
        match root {
            Root::Variable(slot) => self.variables.get(*slot).cloned().ok_or_else(EvalError::no_overload)?,
            Root::Local(slot) => self.locals.get(*slot).cloned().ok_or_else(EvalError::no_overload)?,
            Root::Accumulator(slot) => match self.locals.get_mut(*slot) {
                Some(held) => std::mem::replace(held, Ok(Value::Null)),
                None => Err(EvalError::no_overload()),
            },
            Root::Relative(node) => self.node(node),
            Root::Conditional(parts) => {
                let [condition, truthy, falsy] = parts.as_ref();
                match self.node(condition)? {
                    Value::Bool(true) => self.branch(truthy),
                    Value::Bool(false) => self.branch(falsy),
                    _ => Err(EvalError::no_overload()),
                }
            }
        }
    }

    /// A branch of a conditional: an attribute there does not cost by itself.
    fn branch(&mut self, node: &'a Node) -> Outcome<'a> {
        match node {
            Node::Attribute(attribute) => self.attribute(attribute),
            other => self.node(other),
        }
    }

    fn qualify(&mut self, root: Value<'a>, qualifiers: &'a [Qualifier]) -> Outcome<'a> {
        if qualifiers.is_empty() {
            return Ok(root);
        }
        let mut optional = false;
        let mut value = root;
        if let Value::Optional(held) = &value {
            optional = true;
            match held {
                None => return Ok(value),
                Some(held) => value = held.sound()?,
            }
        }
        for qualifier in qualifiers {
            optional = optional || qualifier.optional == Optional::Yes;
            let key = self.key(&qualifier.by)?;
            match find(&value, &key) {
                Ok(Some(found)) => {
                    self.meter.charge(meter::QUALIFIER)?;
                    value = found;
                }
                Ok(None) if optional => return Ok(Value::Optional(None)),
                Ok(None) => {
                    self.meter.charge(meter::QUALIFIER)?;
                    return Err(missing(&value, &key));
                }
                Err(error) => {
                    self.meter.charge(meter::QUALIFIER)?;
                    return Err(error);
                }
            }
        }
        Ok(if optional { Value::some(value) } else { value })
    }

    fn key(&mut self, by: &'a By) -> Outcome<'a> {
        match by {
            By::Constant(value) => Ok(value.clone()),
            By::Attribute(attribute) => self.attribute(attribute),
            By::Node(node) => self.node(node),
        }
    }

    fn presence(&mut self, attribute: &'a Attribute) -> Outcome<'a> {
        let Some((last, before)) = attribute.qualifiers.split_last() else { return Err(EvalError::no_overload()) };
        let value = self.root(&attribute.root)?;
        let value = match self.qualify(value, before)? {
            Value::Optional(None) => return Ok(Value::Bool(false)),
            Value::Optional(Some(held)) => held.sound()?,
            value => value,
        };
        let key = self.key(&last.by)?;
        self.meter.charge(meter::QUALIFIER)?;
        if matches!(attribute.root, Root::Conditional(_)) {
            // As upstream has it: an attribute that was not charged is paid back.
            self.meter.refund(meter::ATTRIBUTE);
        }
        find(&value, &key).map(|found| Value::Bool(found.is_some()))
    }

    fn list(&mut self, elements: &'a [(Node, Optional)]) -> Outcome<'a> {
        let mut items = Vec::with_capacity(elements.len());
        let mut fault = None;
        for (element, optional) in elements {
            match (self.node(element), optional) {
                (Err(error), _) => {
                    fault = Some(error);
                    break;
                }
                (Ok(value), Optional::No) => items.push(value),
                (Ok(Value::Optional(None)), Optional::Yes) => {}
                (Ok(Value::Optional(Some(value))), Optional::Yes) => match value.sound() {
                    Ok(value) => items.push(value),
                    Err(error) => {
                        fault = Some(error);
                        break;
                    }
                },
                (Ok(other), Optional::Yes) => {
                    fault = Some(not_optional(&other, "list element"));
                    break;
                }
            }
        }
        if let Some(EvalError::CostLimit) = fault {
            return Err(EvalError::CostLimit);
        }
        self.meter.charge(meter::LIST)?;
        fault.map_or_else(|| Ok(Value::list(items)), Err)
    }

    fn map(&mut self, entries: &'a [(Node, Node, Optional)]) -> Outcome<'a> {
        let mut map = OwnedMap::default();
        let mut fault = None;
        for (key, value, optional) in entries {
            let outcome = self.entry(&mut map, key, value, *optional);
            if let Err(error) = outcome {
                fault = Some(error);
                break;
            }
        }
        if let Some(EvalError::CostLimit) = fault {
            return Err(EvalError::CostLimit);
        }
        self.meter.charge(meter::MAP)?;
        fault.map_or_else(|| Ok(Value::Map(super::value::Map::Owned(Arc::new(map)))), Err)
    }

    fn entry(
        &mut self,
        map: &mut OwnedMap<'a>,
        key: &'a Node,
        value: &'a Node,
        optional: Optional,
    ) -> Result<(), EvalError> {
        let key = self.node(key)?;
        let value = match (self.node(value)?, optional) {
            (value, Optional::No) => value,
            (Value::Optional(None), Optional::Yes) => return Ok(()),
            (Value::Optional(Some(value)), Optional::Yes) => value.sound()?,
            (other, Optional::Yes) => return Err(not_optional(&other, "map entry")),
        };
        map.put(key, value)
    }

    fn call(&mut self, call: &'a Call) -> Outcome<'a> {
        let mut args = Vec::with_capacity(call.args.len());
        let mut fault = None;
        let last = call.args.len().saturating_sub(1);
        for (index, arg) in call.args.iter().enumerate() {
            let outcome = self.node(arg);
            if let (Run::Standard(operation), [_]) = (&call.run, call.args.as_slice())
                && operation.is_lenient()
            {
                stop(&outcome)?;
                self.meter.charge(1)?;
                return Ok(Value::Bool(!matches!(outcome, Ok(Value::Bool(false)))));
            }
            match outcome {
                Ok(value) => args.push(value),
                Err(EvalError::CostLimit) => return Err(EvalError::CostLimit),
                Err(error) => {
                    // Of two both are evaluated, of more those up to the first fault.
                    if call.args.len() == 2 && index < last {
                        stop(&self.node(&call.args[last]))?;
                    }
                    fault = Some((index, error));
                    break;
                }
            }
        }
        if let Some((index, error)) = fault {
            if call.args.len() <= 2 || index == last {
                self.meter.charge(1)?;
            }
            return Err(error);
        }
        // What a call costs may depend on its result, but also on what is moved into it.
        let types: Vec<&'static str> = args.iter().map(Value::type_name).collect();
        let sizes = meter::Sizes::of(&args);
        let keeps = meter::needs_arguments(&call.function);
        let held = if keeps { args.clone() } else { Vec::new() };
        let outcome = match &call.run {
            Run::Standard(operation) => operation.run(args),
            Run::Library(code) => code(&args),
            Run::Matches(pattern) => match args.first().and_then(Value::as_str) {
                Some(text) => Ok(Value::Bool(pattern.matches(text))),
                None => Err(EvalError::no_overload()),
            },
            Run::Dynamic(candidates) => {
                let fitting = candidates.iter().find(|overload| {
                    overload.params.len() == args.len()
                        && overload.params.iter().zip(&args).all(|(parameter, value)| fits(parameter, value))
                });
                match fitting.map(|overload| (overload.code, standard::operation_of(overload))) {
                    Some((Some(code), _)) => code(&args),
                    Some((None, Some(operation))) => operation.run(args),
                    _ => Err(EvalError::no_overload()),
                }
            }
        };
        self.meter.charge_call(call, &sizes, &held, outcome.as_ref().ok())?;
        outcome.map_err(
            |error| if error == EvalError::no_overload() { no_overload(&call.function, &types) } else { error },
        )
    }

    fn fold(&mut self, fold: &'a Fold) -> Outcome<'a> {
        let range = self.node(&fold.range)?;
        let depth = self.locals.len();
        let init = self.node(&fold.init);
        stop(&init)?;
        self.locals.resize(fold.accumulator, Ok(Value::Null));
        self.locals.push(init);
        self.locals.push(Ok(Value::Null));
        if fold.second.is_some() {
            self.locals.push(Ok(Value::Null));
        }
        let outcome = self.turns(fold, &range).and_then(|()| self.node(&fold.result));
        self.locals.truncate(depth);
        outcome
    }

    fn turns(&mut self, fold: &'a Fold, range: &Value<'a>) -> Result<(), EvalError> {
        match range {
            Value::List(list) => {
                for index in 0..list.len() {
                    let Some(item) = list.get(index) else { break };
                    let position = Ok(Value::Int(i64::try_from(index).unwrap_or(i64::MAX)));
                    let (first, second) = if fold.second.is_some() { (position, Some(item)) } else { (item, None) };
                    if !self.turn(fold, first, second)? {
                        break;
                    }
                }
                Ok(())
            }
            Value::Map(map) => {
                for key in map.keys() {
                    let second = match fold.second {
                        Some(_) => Some(map.get(&key)?.ok_or_else(|| missing(range, &key))),
                        None => None,
                    };
                    if !self.turn(fold, Ok(key), second)? {
                        break;
                    }
                }
                Ok(())
            }
            other => Err(EvalError::failed(format!("got '{}', expected iterable type", other.type_name()))),
        }
    }

    fn turn(&mut self, fold: &'a Fold, first: Outcome<'a>, second: Option<Outcome<'a>>) -> Result<bool, EvalError> {
        self.set(fold.first, first);
        if let (Some(slot), Some(second)) = (fold.second, second) {
            self.set(slot, second);
        }
        let condition = self.node(&fold.condition);
        stop(&condition)?;
        // Only a plain false ends it, as in cel-go.
        if matches!(condition, Ok(Value::Bool(false))) {
            return Ok(false);
        }
        let step = self.node(&fold.step);
        stop(&step)?;
        self.set(fold.accumulator, step);
        Ok(true)
    }

    fn set(&mut self, slot: usize, value: Outcome<'a>) {
        if let Some(held) = self.locals.get_mut(slot) {
            *held = value;
        }
    }
}

/// Nothing absorbs the limit.
fn stop(outcome: &Outcome<'_>) -> Result<(), EvalError> {
    match outcome {
        Err(EvalError::CostLimit) => Err(EvalError::CostLimit),
        _ => Ok(()),
    }
}

fn not_optional(value: &Value<'_>, place: &str) -> EvalError {
    EvalError::failed(format!("cannot initialize optional {place} from non-optional value {}", value.print()))
}

/// No overload of a function takes these types. Of an operator it depends on the first whether more is said.
fn no_overload(function: &str, types: &[&str]) -> EvalError {
    let numeric = ["double", "int", "uint"];
    let times = ["google.protobuf.Duration", "google.protobuf.Timestamp"];
    let has_operator = |first: &str| match function {
        "_+_" => numeric.contains(&first) || times.contains(&first) || ["bytes", "list", "string"].contains(&first),
        "_-_" => numeric.contains(&first) || times.contains(&first),
        "_*_" | "_/_" => numeric.contains(&first),
        "_%_" => ["int", "uint"].contains(&first),
        "_<_" | "_<=_" | "_>_" | "_>=_" => {
            numeric.contains(&first) || times.contains(&first) || ["bool", "bytes", "string"].contains(&first)
        }
        "-_" => ["double", "google.protobuf.Duration", "int"].contains(&first),
        "!_" => first == "bool",
        _ => false,
    };
    let is_operator = !function.starts_with(|c: char| c.is_ascii_alphabetic());
    // These look at their arguments themselves.
    if matches!(function, "contains" | "startsWith" | "endsWith" | "matches" | "@in" | "or" | "orValue") {
        return EvalError::no_overload();
    }
    match types.first() {
        _ if function == "size" => EvalError::failed("no such overload: size"),
        Some(first) if is_operator && has_operator(first) => EvalError::no_overload(),
        _ if is_operator => EvalError::failed(format!("no such overload: {function}")),
        _ => EvalError::failed(format!("no such overload: {function}({})", types.join(", "))),
    }
}

/// What `key` selects from a value; none if it is not there.
fn find<'a>(value: &Value<'a>, key: &Value<'_>) -> Result<Option<Value<'a>>, EvalError> {
    match value {
        Value::Map(map) => map.get(key),
        Value::List(list) => {
            let index = match key {
                Value::Int(index) => usize::try_from(*index).ok(),
                Value::Uint(index) => usize::try_from(*index).ok(),
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and bounded")]
                Value::Double(index) if index.fract() == 0.0 && index.abs() < 2.0_f64.powi(53) => {
                    if *index < 0.0 {
                        None
                    } else {
                        Some(*index as usize)
                    }
                }
                Value::Double(index) => {
                    return Err(EvalError::failed(format!("unsupported index value {index} in list")));
                }
                other => {
                    return Err(EvalError::failed(format!("unsupported index type '{}' in list", other.type_name())));
                }
            };
            index.and_then(|index| list.get(index)).transpose()
        }
        Value::Optional(Some(held)) => find(held, key),
        // What has no parts has none of that name.
        _ => Ok(None),
    }
}

fn missing(value: &Value<'_>, key: &Value<'_>) -> EvalError {
    match value {
        Value::List(_) => EvalError::failed(format!("index out of bounds: {}", key.print())),
        _ => EvalError::failed(format!("no such key: {}", key.print())),
    }
}
