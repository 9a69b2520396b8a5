//! Converts JSON to Automerge's values and back.

use super::error::ValueType;
use automerge::{ObjType, ScalarValue, ScalarValueRef, ValueRef, hydrate};
use serde_json::{Map, Number, Value as Json};

/// Kind of a value that Automerge keeps, with its content if that is not an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ValueKind {
    Map,
    List,
    Text,
    Counter(i64),
    Json(Json),
}

impl ValueKind {
    /// Converts the type of an object. A table is read as a map; nothing here makes one.
    pub fn object(kind: ObjType) -> Self {
        match kind {
            ObjType::Map | ObjType::Table => ValueKind::Map,
            ObjType::List => ValueKind::List,
            ObjType::Text => ValueKind::Text,
        }
    }

    /// Converts a borrowed value, as ranges of maps and lists return it.
    pub fn of_ref(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Object(kind) => ValueKind::object(kind),
            ValueRef::Scalar(ScalarValueRef::Counter(n)) => ValueKind::Counter(n),
            ValueRef::Scalar(ScalarValueRef::Str(s)) => {
                ValueKind::Json(Json::String(s.into_owned()))
            }
            ValueRef::Scalar(scalar) => ValueKind::of(ScalarValue::from(scalar)),
        }
    }

    /// Converts an owned scalar.
    pub fn of(scalar: ScalarValue) -> Self {
        ValueKind::Json(match scalar {
            ScalarValue::Counter(n) => return ValueKind::Counter((&n).into()),
            ScalarValue::Str(s) => Json::String(s.into()),
            ScalarValue::Int(n) | ScalarValue::Timestamp(n) => Json::from(n),
            ScalarValue::Uint(n) => Json::from(n),
            ScalarValue::F64(n) => Json::from(n),
            ScalarValue::Boolean(b) => Json::Bool(b),
            ScalarValue::Null => Json::Null,
            // JSON has no bytes, so their hex digits are shown. Writing the same digits back compares as
            // equal, and so leaves the bytes alone.
            ScalarValue::Bytes(bytes) | ScalarValue::Unknown { bytes, .. } => {
                Json::String(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
            }
        })
    }

    /// Returns true if values of both kinds in one field are shown as one value.
    pub fn merges_with(&self, other: &ValueKind) -> bool {
        matches!(
            (self, other),
            (ValueKind::Map, ValueKind::Map)
                | (ValueKind::List, ValueKind::List)
                | (ValueKind::Counter(_), ValueKind::Counter(_))
        )
    }

    /// Returns its type for an error.
    pub fn value_type(&self) -> ValueType {
        match self {
            ValueKind::Map => ValueType::Map,
            ValueKind::List => ValueType::List,
            ValueKind::Text => ValueType::Text,
            ValueKind::Counter(_) => ValueType::Counter,
            ValueKind::Json(Json::String(_)) => ValueType::String,
            ValueKind::Json(Json::Number(_)) => ValueType::Number,
            ValueKind::Json(Json::Bool(_)) => ValueType::Boolean,
            ValueKind::Json(_) => ValueType::Null,
        }
    }
}

/// Converts JSON to Automerge's values.
///
/// Strings become scalars, not texts: a text has an operation for each character and takes 50 times as long to
/// load.
pub(super) fn hydrated(value: &Json) -> hydrate::Value {
    match value {
        Json::Array(items) => items.iter().map(hydrated).collect::<Vec<_>>().into(),
        Json::Object(fields) => hydrate::Value::Map(hydrated_map(fields)),
        value => hydrate::Value::Scalar(scalar(value)),
    }
}

/// Converts a value that is neither a list nor a map. For those it returns `Null`: they are objects.
pub(super) fn scalar(value: &Json) -> ScalarValue {
    match value {
        Json::Null | Json::Array(_) | Json::Object(_) => ScalarValue::Null,
        Json::Bool(b) => ScalarValue::Boolean(*b),
        Json::String(s) => ScalarValue::Str(s.as_str().into()),
        Json::Number(n) => number(n),
    }
}

/// Converts the fields of a map to Automerge's values.
pub(super) fn hydrated_map(fields: &Map<String, Json>) -> hydrate::Map {
    let fields = fields.iter().map(|(key, value)| (key.clone(), hydrated(value)));
    fields.collect::<std::collections::HashMap<_, _>>().into()
}

/// Keeps the type of a number: 1 and 1.0 are different values.
fn number(number: &Number) -> ScalarValue {
    match (number.as_i64(), number.as_u64()) {
        (Some(n), _) => ScalarValue::Int(n),
        (None, Some(n)) => ScalarValue::Uint(n),
        (None, None) => ScalarValue::F64(number.as_f64().unwrap_or(f64::NAN)),
    }
}
