//! The functions of the language itself: what they do, for all the types that they take.
//!
//! Follows cel-go's `common/stdlib/standard.go`, `common/types` and, for optionals, `cel/library.go`. Their signatures are
//! in `library/standard.rs`; here the types of the arguments decide, as they must where an expression is dynamic.

mod arithmetic;
mod collection;
mod convert;
mod optional;
pub(crate) mod text;
pub(crate) mod time;

use super::overload::Overload;
use super::value::{EvalError, Value};

/// What comes of a call.
pub(super) type Outcome<'a> = Result<Value<'a>, EvalError>;

/// A function of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Not,
    NotStrictlyFalse,
    Negate,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Less,
    LessEquals,
    Greater,
    GreaterEquals,
    In,
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    Bool,
    Bytes,
    Double,
    Duration,
    Dyn,
    Int,
    String,
    Timestamp,
    Type,
    Uint,
    TimePart(time::Part),
    OptionalOf,
    OptionalOfNonZero,
    OptionalNone,
    OptionalHasValue,
    OptionalValue,
    OptionalOr,
    OptionalOrValue,
    OptionalUnwrap,
    MapInsert,
    ListFirst,
    ListLast,
}

/// The operation of that name, if it is one of the language.
pub(crate) fn operation(function: &str) -> Option<Operation> {
    Some(match function {
        "!_" => Operation::Not,
        "@not_strictly_false" | "__not_strictly_false__" => Operation::NotStrictlyFalse,
        "-_" => Operation::Negate,
        "_+_" => Operation::Add,
        "_-_" => Operation::Subtract,
        "_*_" => Operation::Multiply,
        "_/_" => Operation::Divide,
        "_%_" => Operation::Modulo,
        "_<_" => Operation::Less,
        "_<=_" => Operation::LessEquals,
        "_>_" => Operation::Greater,
        "_>=_" => Operation::GreaterEquals,
        "@in" | "_in_" | "in" => Operation::In,
        "size" => Operation::Size,
        "startsWith" => Operation::StartsWith,
        "endsWith" => Operation::EndsWith,
        "matches" => Operation::Matches,
        "bool" => Operation::Bool,
        "bytes" => Operation::Bytes,
        "double" => Operation::Double,
        "duration" => Operation::Duration,
        "dyn" => Operation::Dyn,
        "int" => Operation::Int,
        "timestamp" => Operation::Timestamp,
        "type" => Operation::Type,
        "uint" => Operation::Uint,
        "optional.of" => Operation::OptionalOf,
        "optional.ofNonZeroValue" => Operation::OptionalOfNonZero,
        "optional.none" => Operation::OptionalNone,
        "hasValue" => Operation::OptionalHasValue,
        "value" => Operation::OptionalValue,
        "or" => Operation::OptionalOr,
        "orValue" => Operation::OptionalOrValue,
        "unwrapOpt" | "optional.unwrap" => Operation::OptionalUnwrap,
        "first" => Operation::ListFirst,
        "last" => Operation::ListLast,
        "cel.@mapInsert" => Operation::MapInsert,
        _ => return time::Part::named(function).map(Operation::TimePart),
    })
}

/// The operation of an overload. Libraries have functions of the same names as `contains` and `string`.
pub(crate) fn operation_of(overload: &Overload) -> Option<Operation> {
    match overload.function {
        "contains" => Some(Operation::Contains),
        "string" => Some(Operation::String),
        function => operation(function),
    }
}

impl Operation {
    /// Whether it takes a fault for an argument.
    pub(crate) fn is_lenient(self) -> bool {
        self == Self::NotStrictlyFalse
    }

    /// Does it.
    pub(crate) fn run<'a>(self, args: Vec<Value<'a>>) -> Outcome<'a> {
        let mut args = args.into_iter();
        let (first, second, third) = (args.next(), args.next(), args.next());
        match (self, first, second, third) {
            (Self::OptionalNone, None, ..) => Ok(Value::Optional(None)),
            (operation, Some(value), None, None) => operation.unary(value),
            (operation, Some(left), Some(right), None) => operation.binary(left, right),
            (Self::MapInsert, Some(map), Some(key), Some(value)) => collection::insert(map, key, value),
            _ => Err(EvalError::no_overload()),
        }
    }

    fn unary(self, value: Value<'_>) -> Outcome<'_> {
        match self {
            Self::Not => match value {
                Value::Bool(value) => Ok(Value::Bool(!value)),
                _ => Err(EvalError::no_overload()),
            },
            Self::NotStrictlyFalse => Ok(Value::Bool(!matches!(value, Value::Bool(false)))),
            Self::Negate => arithmetic::negate(&value),
            Self::Size => collection::size(&value),
            Self::Bool => convert::to_bool(value),
            Self::Bytes => convert::to_bytes(value),
            Self::Double => convert::to_double(value),
            Self::Duration => convert::to_duration(value),
            Self::Dyn => Ok(value),
            Self::Int => convert::to_int(value),
            Self::String => convert::to_string(value),
            Self::Timestamp => convert::to_timestamp(value),
            Self::Type => Ok(Value::Type(value.type_of())),
            Self::Uint => convert::to_uint(value),
            Self::TimePart(part) => part.of(&value, None),
            Self::OptionalOf => Ok(Value::some(value)),
            Self::OptionalOfNonZero => Ok(optional::of_non_zero(value)),
            Self::OptionalHasValue => optional::has_value(&value),
            Self::OptionalValue => optional::value(value),
            Self::OptionalUnwrap => optional::unwrap(&value),
            Self::ListFirst => collection::first(&value),
            Self::ListLast => collection::last(&value),
            _ => Err(EvalError::no_overload()),
        }
    }

    fn binary<'a>(self, left: Value<'a>, right: Value<'a>) -> Outcome<'a> {
        match self {
            Self::Add => arithmetic::add(left, right),
            Self::Subtract => arithmetic::subtract(&left, &right),
            Self::Multiply => arithmetic::multiply(&left, &right),
            Self::Divide => arithmetic::divide(&left, &right),
            Self::Modulo => arithmetic::modulo(&left, &right),
            Self::Less => arithmetic::compare(&left, &right, std::cmp::Ordering::is_lt),
            Self::LessEquals => arithmetic::compare(&left, &right, std::cmp::Ordering::is_le),
            Self::Greater => arithmetic::compare(&left, &right, std::cmp::Ordering::is_gt),
            Self::GreaterEquals => arithmetic::compare(&left, &right, std::cmp::Ordering::is_ge),
            Self::In => collection::contains(&left, &right),
            Self::Contains => text::pair(&left, &right, |text, part| text.contains(part)),
            Self::StartsWith => text::pair(&left, &right, |text, part| text.starts_with(part)),
            Self::EndsWith => text::pair(&left, &right, |text, part| text.ends_with(part)),
            Self::Matches => text::matches(&left, &right),
            Self::TimePart(part) => part.of(&left, Some(&right)),
            Self::MapInsert => collection::insert_all(left, &right),
            Self::OptionalOr => optional::or(left, right),
            Self::OptionalOrValue => optional::or_value(left, right),
            _ => Err(EvalError::no_overload()),
        }
    }
}
