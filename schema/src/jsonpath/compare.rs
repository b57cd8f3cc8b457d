//! How a filter compares two values, after `k8s.io/client-go/third_party/forked/golang/template/funcs.go`.

use std::cmp::Ordering;

use serde_json::Value;

use super::EvalError;

/// A value that can be compared: Go tells integers and fractions apart, and never compares one with the other.
#[derive(PartialEq)]
enum Basic<'a> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
}

impl<'a> Basic<'a> {
    fn of(value: &'a Value) -> Result<Self, EvalError> {
        match value {
            Value::Bool(b) => Ok(Self::Bool(*b)),
            Value::Number(n) => match n.as_i64() {
                Some(i) => Ok(Self::Int(i)),
                None => n.as_f64().map(Self::Float).ok_or(EvalError::NotComparable),
            },
            Value::String(s) => Ok(Self::Text(s)),
            Value::Null | Value::Array(_) | Value::Object(_) => Err(EvalError::NotComparable),
        }
    }
}

fn equal(left: &Value, right: &Value) -> Result<bool, EvalError> {
    let (left, right) = (Basic::of(left)?, Basic::of(right)?);
    if std::mem::discriminant(&left) == std::mem::discriminant(&right) {
        Ok(left == right)
    } else {
        Err(EvalError::Incompatible)
    }
}

fn less(left: &Value, right: &Value) -> Result<bool, EvalError> {
    match (Basic::of(left)?, Basic::of(right)?) {
        (Basic::Int(l), Basic::Int(r)) => Ok(l < r),
        (Basic::Float(l), Basic::Float(r)) => Ok(l.partial_cmp(&r) == Some(Ordering::Less)),
        (Basic::Text(l), Basic::Text(r)) => Ok(l < r),
        (Basic::Bool(_), Basic::Bool(_)) => Err(EvalError::NotComparable),
        _ => Err(EvalError::Incompatible),
    }
}

/// Whether `left operator right` holds.
pub(super) fn holds(left: &Value, operator: &str, right: &Value) -> Result<bool, EvalError> {
    match operator {
        "==" => equal(left, right),
        "!=" => equal(left, right).map(|same| !same),
        "<" => less(left, right),
        "<=" => Ok(less(left, right)? || equal(left, right)?),
        ">" => Ok(!(less(left, right)? || equal(left, right)?)),
        ">=" => less(left, right).map(|less| !less),
        _ => Err(EvalError::UnknownOperator(operator.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_are_never_mixed() {
        assert_eq!(holds(&json!(1), "==", &json!(1.0)), Err(EvalError::Incompatible));
        assert_eq!(holds(&json!("1"), "<", &json!(1)), Err(EvalError::Incompatible));
        assert_eq!(holds(&json!(null), "==", &json!(null)), Err(EvalError::NotComparable));
        assert_eq!(holds(&json!({}), "!=", &json!(1)), Err(EvalError::NotComparable));
        assert_eq!(holds(&json!(true), "<", &json!(false)), Err(EvalError::NotComparable));
        assert_eq!(holds(&json!(true), "==", &json!(true)), Ok(true));
    }

    #[test]
    fn the_six_operators_order_numbers_and_text() {
        for (operator, expected) in
            [("<", true), ("<=", true), ("==", false), ("!=", true), (">", false), (">=", false)]
        {
            assert_eq!(holds(&json!(1), operator, &json!(2)), Ok(expected), "1 {operator} 2");
            assert_eq!(holds(&json!("a"), operator, &json!("b")), Ok(expected), "a {operator} b");
            assert_eq!(holds(&json!(0.5), operator, &json!(1.5)), Ok(expected), "0.5 {operator} 1.5");
        }
    }
}
