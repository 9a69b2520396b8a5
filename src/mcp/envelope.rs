//! The fields of a message around its params: read also from a message that nothing else can read.
//!
//! Invariant: it takes little memory, whatever the message holds.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, json};
use std::fmt;

/// The fields of a message beside its params.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    pub id: Option<Value>,
    pub method: Option<Value>,
    /// True if it has a result or an error.
    pub is_response: bool,
    pub is_2_0: bool,
    /// A field that it has twice.
    pub repeated: Option<&'static str>,
}

impl Envelope {
    /// Reads the fields of a message until the first that cannot be read, with the error of that one.
    pub fn read(text: &[u8]) -> (Self, serde_json::Result<()>) {
        let mut envelope = Envelope::default();
        let mut json = serde_json::Deserializer::from_slice(text);
        let read = Fields(&mut envelope).deserialize(&mut json).and_then(|()| json.end());
        (envelope, read)
    }

    fn note(&mut self, field: &'static str, was_there: bool) {
        if was_there {
            self.repeated = Some(field);
        }
    }
}

/// Fills an envelope. What was read before an error stays.
struct Fields<'a>(&'a mut Envelope);

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message, which is an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Fields(envelope) = self;
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "id" => {
                    let before = envelope.id.replace(map.next_value_seed(Shallow)?);
                    envelope.note("id", before.is_some());
                }
                "method" => {
                    let before = envelope.method.replace(map.next_value_seed(Shallow)?);
                    envelope.note("method", before.is_some());
                }
                "jsonrpc" => {
                    let before = envelope.is_2_0;
                    envelope.is_2_0 = map.next_value_seed(Shallow)? == "2.0";
                    envelope.note("jsonrpc", before);
                }
                other => {
                    envelope.is_response |= ["result", "error"].contains(&other);
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// A value whose items and fields are passed over: of an id or a method they do not matter, and there may be many.
struct Shallow;

impl<'de> DeserializeSeed<'de> for Shallow {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Shallow {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, it: bool) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_i64<E>(self, it: i64) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_u64<E>(self, it: u64) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_f64<E>(self, it: f64) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_str<E>(self, it: &str) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(json!([]))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(json!({}))
    }
}
