//! Calls of `format` on a literal with a list of literals: whether the clauses fit the arguments.
//!
//! Follows `stringFormatValidator` and `parseFormatString` of cel-go's `ext/formatting.go`.

use ::cel::common::ast::{EntryExpr, Expr, IdedExpr};

use crate::checked::Checked;
use crate::types::Type;

/// What is wrong, and at which node.
pub(super) struct Fault {
    pub(super) node: u64,
    pub(super) message: String,
}

/// Checks the call `call` of `format` on `text`.
pub(super) fn check(checked: &Checked, call: u64, text: &str, args: &[IdedExpr]) -> Result<(), Fault> {
    let fault = |message: String| Fault { node: call, message };
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut used = 0;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        if *byte != b'%' {
            continue;
        }
        let rest = &bytes[at..];
        let Some(next) = rest.first() else { return Err(fault("unexpected end of string".to_owned())) };
        if *next == b'%' {
            at += 1;
            continue;
        }
        let Some(arg) = args.get(used) else { return Err(fault(format!("index {used} out of range"))) };
        let (length, clause) =
            clause(rest).map_err(|message| fault(format!("could not parse formatting clause: {message}")))?;
        clause.accepts(checked, arg).map_err(|node| {
            let given = type_of(checked, node).runtime_name();
            Fault { node, message: format!("error during formatting: {}, was given {given}", clause.complaint()) }
        })?;
        at += length;
        used += 1;
    }
    if args.len() > used {
        let given = args.len();
        let message = format!("too many arguments supplied to string.format (expected {used}, got {given})");
        return Err(fault(message));
    }
    Ok(())
}

/// What an argument is formatted as.
#[derive(Clone, Copy)]
enum Clause {
    String,
    Decimal,
    Fixed,
    Scientific,
    Binary,
    Hex,
    Octal,
}

/// The clause behind a percent sign, and its length.
fn clause(text: &[u8]) -> Result<(usize, Clause), String> {
    let mut at = 0;
    if text.first() == Some(&b'.') {
        let digits = text[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        at = 1 + digits;
        let fault = |message: String| format!("error while parsing precision: {message}");
        if at >= text.len() {
            return Err(fault("could not find end of precision specifier".to_owned()));
        }
        let precision = String::from_utf8_lossy(&text[1..at]).into_owned();
        if precision.parse::<i64>().is_err() {
            let why = if precision.is_empty() { "invalid syntax" } else { "value out of range" };
            let message =
                format!(r#"error while converting precision to integer: strconv.Atoi: parsing "{precision}": {why}"#);
            return Err(fault(message));
        }
    }
    let clause = match text[at] {
        b's' => Clause::String,
        b'd' => Clause::Decimal,
        b'f' => Clause::Fixed,
        b'e' => Clause::Scientific,
        b'b' => Clause::Binary,
        b'x' | b'X' => Clause::Hex,
        b'o' => Clause::Octal,
        other => return Err(format!("unrecognized formatting clause \"{}\"", char::from(other))),
    };
    Ok((at + 1, clause))
}

impl Clause {
    /// What is said when an argument does not fit.
    fn complaint(self) -> &'static str {
        match self {
            Self::String => {
                "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, \
                 durations, and timestamps"
            }
            Self::Decimal => "decimal clause can only be used on integers",
            Self::Fixed => "fixed-point clause can only be used on doubles",
            Self::Scientific => "scientific clause can only be used on doubles",
            Self::Binary => "only integers and bools can be formatted as binary",
            Self::Hex => "only integers, byte buffers, and strings can be formatted as hex",
            Self::Octal => "octal clause can only be used on integers",
        }
    }

    /// Whether an argument fits; if not, the node that does not.
    fn accepts(self, checked: &Checked, arg: &IdedExpr) -> Result<(), u64> {
        let found = type_of(checked, arg.id);
        let fits = match self {
            Self::String => return printable(checked, arg),
            Self::Decimal | Self::Octal => matches!(found, Type::Dyn | Type::Int | Type::Uint),
            Self::Fixed | Self::Scientific => matches!(found, Type::Dyn | Type::Double | Type::String),
            Self::Binary => matches!(found, Type::Dyn | Type::Int | Type::Uint | Type::Bool),
            Self::Hex => matches!(found, Type::Dyn | Type::Int | Type::Uint | Type::String | Type::Bytes),
        };
        if fits { Ok(()) } else { Err(arg.id) }
    }
}

/// Whether a node, and what is in it if it is a list or map, can be a string.
fn printable(checked: &Checked, node: &IdedExpr) -> Result<(), u64> {
    if matches!(type_of(checked, node.id), Type::Opaque(_) | Type::Object(_) | Type::Optional(_) | Type::Error) {
        return Err(node.id);
    }
    match &node.expr {
        Expr::List(list) => list.elements.iter().try_for_each(|element| printable(checked, element)),
        Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => {
                printable(checked, &entry.key)?;
                printable(checked, &entry.value)
            }
            EntryExpr::StructField(_) => Ok(()),
        }),
        _ => Ok(()),
    }
}

fn type_of(checked: &Checked, node: u64) -> &Type {
    checked.types.get(&node).unwrap_or(&Type::Dyn)
}
