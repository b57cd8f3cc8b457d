//! The functions of the standard library and of optional values, as they are declared.
//!
//! Follows cel-go's `common/stdlib/standard.go`, `cel/library.go` (optional values) and `ext/comprehensions.go` (what
//! its macros call). The evaluator has the code of all of these, by id.

use crate::overload::{Overload, Style};
use crate::types::Type::{self, Bool, Bytes, Double, Duration, Dyn, Int, String, Timestamp, Uint};

fn global(function: &'static str, id: &'static str, params: Vec<Type>, result: Type) -> Overload {
    Overload { function, id, style: Style::Global, params, result, code: None }
}

fn receiver(function: &'static str, id: &'static str, params: Vec<Type>, result: Type) -> Overload {
    Overload { function, id, style: Style::Receiver, params, result, code: None }
}

fn a() -> Type {
    Type::param("A")
}

fn b() -> Type {
    Type::param("B")
}

fn k() -> Type {
    Type::param("K")
}

fn v() -> Type {
    Type::param("V")
}

fn list_a() -> Type {
    Type::list(a())
}

fn map_ab() -> Type {
    Type::map(a(), b())
}

/// All of them, in the order of cel-go.
pub(crate) fn declarations() -> Vec<Overload> {
    [operators(), comparisons(), functions(), times(), optionals()].into_iter().flatten().collect()
}

/// Logic, equality, arithmetic and membership.
fn operators() -> Vec<Overload> {
    vec![
        global("_?_:_", "conditional", vec![Bool, a(), a()], a()),
        global("_&&_", "logical_and", vec![Bool, Bool], Bool),
        global("_||_", "logical_or", vec![Bool, Bool], Bool),
        global("!_", "logical_not", vec![Bool], Bool),
        global("@not_strictly_false", "not_strictly_false", vec![Bool], Bool),
        global("_==_", "equals", vec![a(), a()], Bool),
        global("_!=_", "not_equals", vec![a(), a()], Bool),
        global("_+_", "add_bytes", vec![Bytes, Bytes], Bytes),
        global("_+_", "add_double", vec![Double, Double], Double),
        global("_+_", "add_duration_duration", vec![Duration, Duration], Duration),
        global("_+_", "add_duration_timestamp", vec![Duration, Timestamp], Timestamp),
        global("_+_", "add_timestamp_duration", vec![Timestamp, Duration], Timestamp),
        global("_+_", "add_int64", vec![Int, Int], Int),
        global("_+_", "add_list", vec![list_a(), list_a()], list_a()),
        global("_+_", "add_string", vec![String, String], String),
        global("_+_", "add_uint64", vec![Uint, Uint], Uint),
        global("_/_", "divide_double", vec![Double, Double], Double),
        global("_/_", "divide_int64", vec![Int, Int], Int),
        global("_/_", "divide_uint64", vec![Uint, Uint], Uint),
        global("_%_", "modulo_int64", vec![Int, Int], Int),
        global("_%_", "modulo_uint64", vec![Uint, Uint], Uint),
        global("_*_", "multiply_double", vec![Double, Double], Double),
        global("_*_", "multiply_int64", vec![Int, Int], Int),
        global("_*_", "multiply_uint64", vec![Uint, Uint], Uint),
        global("-_", "negate_double", vec![Double], Double),
        global("-_", "negate_int64", vec![Int], Int),
        global("_-_", "subtract_double", vec![Double, Double], Double),
        global("_-_", "subtract_duration_duration", vec![Duration, Duration], Duration),
        global("_-_", "subtract_int64", vec![Int, Int], Int),
        global("_-_", "subtract_timestamp_duration", vec![Timestamp, Duration], Timestamp),
        global("_-_", "subtract_timestamp_timestamp", vec![Timestamp, Timestamp], Duration),
        global("_-_", "subtract_uint64", vec![Uint, Uint], Uint),
        global("_[_]", "index_list", vec![list_a(), Int], a()),
        global("_[_]", "index_map", vec![map_ab(), a()], b()),
        global("@in", "in_list", vec![a(), list_a()], Bool),
        global("@in", "in_map", vec![a(), map_ab()], Bool),
    ]
}

/// Order, also across the types of numbers.
fn comparisons() -> Vec<Overload> {
    vec![
        global("_<_", "less_bool", vec![Bool, Bool], Bool),
        global("_<_", "less_int64", vec![Int, Int], Bool),
        global("_<_", "less_int64_double", vec![Int, Double], Bool),
        global("_<_", "less_int64_uint64", vec![Int, Uint], Bool),
        global("_<_", "less_uint64", vec![Uint, Uint], Bool),
        global("_<_", "less_uint64_double", vec![Uint, Double], Bool),
        global("_<_", "less_uint64_int64", vec![Uint, Int], Bool),
        global("_<_", "less_double", vec![Double, Double], Bool),
        global("_<_", "less_double_int64", vec![Double, Int], Bool),
        global("_<_", "less_double_uint64", vec![Double, Uint], Bool),
        global("_<_", "less_string", vec![String, String], Bool),
        global("_<_", "less_bytes", vec![Bytes, Bytes], Bool),
        global("_<_", "less_timestamp", vec![Timestamp, Timestamp], Bool),
        global("_<_", "less_duration", vec![Duration, Duration], Bool),
        global("_<=_", "less_equals_bool", vec![Bool, Bool], Bool),
        global("_<=_", "less_equals_int64", vec![Int, Int], Bool),
        global("_<=_", "less_equals_int64_double", vec![Int, Double], Bool),
        global("_<=_", "less_equals_int64_uint64", vec![Int, Uint], Bool),
        global("_<=_", "less_equals_uint64", vec![Uint, Uint], Bool),
        global("_<=_", "less_equals_uint64_double", vec![Uint, Double], Bool),
        global("_<=_", "less_equals_uint64_int64", vec![Uint, Int], Bool),
        global("_<=_", "less_equals_double", vec![Double, Double], Bool),
        global("_<=_", "less_equals_double_int64", vec![Double, Int], Bool),
        global("_<=_", "less_equals_double_uint64", vec![Double, Uint], Bool),
        global("_<=_", "less_equals_string", vec![String, String], Bool),
        global("_<=_", "less_equals_bytes", vec![Bytes, Bytes], Bool),
        global("_<=_", "less_equals_timestamp", vec![Timestamp, Timestamp], Bool),
        global("_<=_", "less_equals_duration", vec![Duration, Duration], Bool),
        global("_>_", "greater_bool", vec![Bool, Bool], Bool),
        global("_>_", "greater_int64", vec![Int, Int], Bool),
        global("_>_", "greater_int64_double", vec![Int, Double], Bool),
        global("_>_", "greater_int64_uint64", vec![Int, Uint], Bool),
        global("_>_", "greater_uint64", vec![Uint, Uint], Bool),
        global("_>_", "greater_uint64_double", vec![Uint, Double], Bool),
        global("_>_", "greater_uint64_int64", vec![Uint, Int], Bool),
        global("_>_", "greater_double", vec![Double, Double], Bool),
        global("_>_", "greater_double_int64", vec![Double, Int], Bool),
        global("_>_", "greater_double_uint64", vec![Double, Uint], Bool),
        global("_>_", "greater_string", vec![String, String], Bool),
        global("_>_", "greater_bytes", vec![Bytes, Bytes], Bool),
        global("_>_", "greater_timestamp", vec![Timestamp, Timestamp], Bool),
        global("_>_", "greater_duration", vec![Duration, Duration], Bool),
        global("_>=_", "greater_equals_bool", vec![Bool, Bool], Bool),
        global("_>=_", "greater_equals_int64", vec![Int, Int], Bool),
        global("_>=_", "greater_equals_int64_double", vec![Int, Double], Bool),
        global("_>=_", "greater_equals_int64_uint64", vec![Int, Uint], Bool),
        global("_>=_", "greater_equals_uint64", vec![Uint, Uint], Bool),
        global("_>=_", "greater_equals_uint64_double", vec![Uint, Double], Bool),
        global("_>=_", "greater_equals_uint64_int64", vec![Uint, Int], Bool),
        global("_>=_", "greater_equals_double", vec![Double, Double], Bool),
        global("_>=_", "greater_equals_double_int64", vec![Double, Int], Bool),
        global("_>=_", "greater_equals_double_uint64", vec![Double, Uint], Bool),
        global("_>=_", "greater_equals_string", vec![String, String], Bool),
        global("_>=_", "greater_equals_bytes", vec![Bytes, Bytes], Bool),
        global("_>=_", "greater_equals_timestamp", vec![Timestamp, Timestamp], Bool),
        global("_>=_", "greater_equals_duration", vec![Duration, Duration], Bool),
    ]
}

/// Sizes, conversions and strings.
fn functions() -> Vec<Overload> {
    vec![
        global("size", "size_bytes", vec![Bytes], Int),
        receiver("size", "bytes_size", vec![Bytes], Int),
        global("size", "size_list", vec![list_a()], Int),
        receiver("size", "list_size", vec![list_a()], Int),
        global("size", "size_map", vec![map_ab()], Int),
        receiver("size", "map_size", vec![map_ab()], Int),
        global("size", "size_string", vec![String], Int),
        receiver("size", "string_size", vec![String], Int),
        global("type", "type", vec![a()], Type::type_of(a())),
        global("bool", "bool_to_bool", vec![Bool], Bool),
        global("bool", "string_to_bool", vec![String], Bool),
        global("bytes", "bytes_to_bytes", vec![Bytes], Bytes),
        global("bytes", "string_to_bytes", vec![String], Bytes),
        global("double", "double_to_double", vec![Double], Double),
        global("double", "int64_to_double", vec![Int], Double),
        global("double", "string_to_double", vec![String], Double),
        global("double", "uint64_to_double", vec![Uint], Double),
        global("duration", "duration_to_duration", vec![Duration], Duration),
        global("duration", "string_to_duration", vec![String], Duration),
        global("dyn", "to_dyn", vec![a()], Dyn),
        global("int", "int64_to_int64", vec![Int], Int),
        global("int", "double_to_int64", vec![Double], Int),
        global("int", "duration_to_int64", vec![Duration], Int),
        global("int", "string_to_int64", vec![String], Int),
        global("int", "timestamp_to_int64", vec![Timestamp], Int),
        global("int", "uint64_to_int64", vec![Uint], Int),
        global("string", "string_to_string", vec![String], String),
        global("string", "bool_to_string", vec![Bool], String),
        global("string", "bytes_to_string", vec![Bytes], String),
        global("string", "double_to_string", vec![Double], String),
        global("string", "duration_to_string", vec![Duration], String),
        global("string", "int64_to_string", vec![Int], String),
        global("string", "timestamp_to_string", vec![Timestamp], String),
        global("string", "uint64_to_string", vec![Uint], String),
        global("timestamp", "timestamp_to_timestamp", vec![Timestamp], Timestamp),
        global("timestamp", "int64_to_timestamp", vec![Int], Timestamp),
        global("timestamp", "string_to_timestamp", vec![String], Timestamp),
        global("uint", "uint64_to_uint64", vec![Uint], Uint),
        global("uint", "double_to_uint64", vec![Double], Uint),
        global("uint", "int64_to_uint64", vec![Int], Uint),
        global("uint", "string_to_uint64", vec![String], Uint),
        receiver("contains", "contains_string", vec![String, String], Bool),
        receiver("endsWith", "ends_with_string", vec![String, String], Bool),
        receiver("startsWith", "starts_with_string", vec![String, String], Bool),
        global("matches", "matches", vec![String, String], Bool),
        receiver("matches", "matches_string", vec![String, String], Bool),
    ]
}

/// Parts of timestamps and durations.
fn times() -> Vec<Overload> {
    vec![
        receiver("getFullYear", "timestamp_to_year", vec![Timestamp], Int),
        receiver("getFullYear", "timestamp_to_year_with_tz", vec![Timestamp, String], Int),
        receiver("getMonth", "timestamp_to_month", vec![Timestamp], Int),
        receiver("getMonth", "timestamp_to_month_with_tz", vec![Timestamp, String], Int),
        receiver("getDayOfYear", "timestamp_to_day_of_year", vec![Timestamp], Int),
        receiver("getDayOfYear", "timestamp_to_day_of_year_with_tz", vec![Timestamp, String], Int),
        receiver("getDayOfMonth", "timestamp_to_day_of_month", vec![Timestamp], Int),
        receiver("getDayOfMonth", "timestamp_to_day_of_month_with_tz", vec![Timestamp, String], Int),
        receiver("getDate", "timestamp_to_day_of_month_1_based", vec![Timestamp], Int),
        receiver("getDate", "timestamp_to_day_of_month_1_based_with_tz", vec![Timestamp, String], Int),
        receiver("getDayOfWeek", "timestamp_to_day_of_week", vec![Timestamp], Int),
        receiver("getDayOfWeek", "timestamp_to_day_of_week_with_tz", vec![Timestamp, String], Int),
        receiver("getHours", "timestamp_to_hours", vec![Timestamp], Int),
        receiver("getHours", "timestamp_to_hours_with_tz", vec![Timestamp, String], Int),
        receiver("getHours", "duration_to_hours", vec![Duration], Int),
        receiver("getMinutes", "timestamp_to_minutes", vec![Timestamp], Int),
        receiver("getMinutes", "timestamp_to_minutes_with_tz", vec![Timestamp, String], Int),
        receiver("getMinutes", "duration_to_minutes", vec![Duration], Int),
        receiver("getSeconds", "timestamp_to_seconds", vec![Timestamp], Int),
        receiver("getSeconds", "timestamp_to_seconds_tz", vec![Timestamp, String], Int),
        receiver("getSeconds", "duration_to_seconds", vec![Duration], Int),
        receiver("getMilliseconds", "timestamp_to_milliseconds", vec![Timestamp], Int),
        receiver("getMilliseconds", "timestamp_to_milliseconds_with_tz", vec![Timestamp, String], Int),
        receiver("getMilliseconds", "duration_to_milliseconds", vec![Duration], Int),
    ]
}

/// Optional values; then what the macros that make maps call.
fn optionals() -> Vec<Overload> {
    vec![
        global("optional.of", "optional_of", vec![v()], Type::optional(v())),
        global("optional.ofNonZeroValue", "optional_ofNonZeroValue", vec![v()], Type::optional(v())),
        global("optional.none", "optional_none", vec![], Type::optional(v())),
        receiver("value", "optional_value", vec![Type::optional(v())], v()),
        receiver("hasValue", "optional_hasValue", vec![Type::optional(v())], Bool),
        receiver("or", "optional_or_optional", vec![Type::optional(v()), Type::optional(v())], Type::optional(v())),
        receiver("orValue", "optional_orValue_value", vec![Type::optional(v()), v()], v()),
        global("_?._", "select_optional_field", vec![Dyn, String], Type::optional(v())),
        global("_[?_]", "list_optindex_optional_int", vec![Type::list(v()), Int], Type::optional(v())),
        global(
            "_[?_]",
            "optional_list_optindex_optional_int",
            vec![Type::optional(Type::list(v())), Int],
            Type::optional(v()),
        ),
        global("_[?_]", "map_optindex_optional_value", vec![Type::map(k(), v()), k()], Type::optional(v())),
        global(
            "_[?_]",
            "optional_map_optindex_optional_value",
            vec![Type::optional(Type::map(k(), v())), k()],
            Type::optional(v()),
        ),
        global("_[_]", "optional_list_index_int", vec![Type::optional(Type::list(v())), Int], Type::optional(v())),
        global("_[_]", "optional_map_index_value", vec![Type::optional(Type::map(k(), v())), k()], Type::optional(v())),
        receiver("last", "list_last", vec![Type::list(v())], Type::optional(v())),
        receiver("first", "list_first", vec![Type::list(v())], Type::optional(v())),
        global("optional.unwrap", "optional_unwrap", vec![Type::list(Type::optional(v()))], Type::list(v())),
        receiver("unwrapOpt", "optional_unwrapOpt", vec![Type::list(Type::optional(v()))], Type::list(v())),
        global("cel.@mapInsert", "@mapInsert_map_key_value", vec![Type::map(k(), v()), k(), v()], Type::map(k(), v())),
        global(
            "cel.@mapInsert",
            "@mapInsert_map_map",
            vec![Type::map(k(), v()), Type::map(k(), v())],
            Type::map(k(), v()),
        ),
    ]
}
