//! JSON as Automerge's values, and Automerge's values as JSON.

use automerge::{ObjType, ScalarValue, ScalarValueRef, ValueRef, hydrate};
use serde_json::{Map, Number, Value as Json};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum ValueKind {
    Map,
    List,
    Text,
    Counter(i64),
    Json(Json),
}

impl ValueKind {
    pub fn object(kind: ObjType) -> Self {
        match kind {
            ObjType::Map | ObjType::Table => ValueKind::Map,
            ObjType::List => ValueKind::List,
            ObjType::Text => ValueKind::Text,
        }
    }

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

    pub fn of(scalar: ScalarValue) -> Self {
        ValueKind::Json(match scalar {
            ScalarValue::Counter(n) => return ValueKind::Counter((&n).into()),
            ScalarValue::Str(s) => Json::String(s.into()),
            ScalarValue::Int(n) | ScalarValue::Timestamp(n) => Json::from(n),
            ScalarValue::Uint(n) => Json::from(n),
            ScalarValue::F64(n) => Json::from(n),
            ScalarValue::Boolean(b) => Json::Bool(b),
            ScalarValue::Null => Json::Null,
            // JSON has no bytes. Their hex digits say what is there, and writing the same digits
            // back leaves the bytes alone.
            ScalarValue::Bytes(bytes) | ScalarValue::Unknown { bytes, .. } => {
                Json::String(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
            }
        })
    }

    pub fn merges_with(&self, other: &ValueKind) -> bool {
        matches!(
            (self, other),
            (ValueKind::Map, ValueKind::Map)
                | (ValueKind::List, ValueKind::List)
                | (ValueKind::Counter(_), ValueKind::Counter(_))
        )
    }

    /// What to call it in an error.
    pub fn name(&self) -> &'static str {
        match self {
            ValueKind::Map => "a map",
            ValueKind::List => "a list",
            ValueKind::Text => "a text",
            ValueKind::Counter(_) => "a counter",
            ValueKind::Json(Json::String(_)) => "a string",
            ValueKind::Json(Json::Number(_)) => "a number",
            ValueKind::Json(Json::Bool(_)) => "true or false",
            ValueKind::Json(_) => "null",
        }
    }
}

/// JSON as Automerge values: strings whole, numbers as narrow as they are.
pub(super) fn hydrated(value: &Json) -> hydrate::Value {
    match value {
        Json::Array(items) => items.iter().map(hydrated).collect::<Vec<_>>().into(),
        Json::Object(fields) => hydrate::Value::Map(hydrated_map(fields)),
        value => hydrate::Value::Scalar(scalar(value)),
    }
}

/// A value that is neither a list nor a map; those have none of their own.
pub(super) fn scalar(value: &Json) -> ScalarValue {
    match value {
        Json::Null | Json::Array(_) | Json::Object(_) => ScalarValue::Null,
        Json::Bool(b) => ScalarValue::Boolean(*b),
        Json::String(s) => ScalarValue::Str(s.as_str().into()),
        Json::Number(n) => number(n),
    }
}

pub(super) fn hydrated_map(fields: &Map<String, Json>) -> hydrate::Map {
    let fields = fields.iter().map(|(key, value)| (key.clone(), hydrated(value)));
    fields.collect::<std::collections::HashMap<_, _>>().into()
}

fn number(number: &Number) -> ScalarValue {
    match (number.as_i64(), number.as_u64()) {
        (Some(n), _) => ScalarValue::Int(n),
        (None, Some(n)) => ScalarValue::Uint(n),
        (None, None) => ScalarValue::F64(number.as_f64().unwrap_or(f64::NAN)),
    }
}
