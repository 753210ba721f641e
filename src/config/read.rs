//! From the tree to the raw types, by serde, with places.
//!
//! A raw type asks for a place by the wrapper [`At`]; maps whose keys are names keep order and places in [`Named`].

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::StrDeserializer;
use serde::de::{
    self, Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer,
    MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::node::{Key, Mark, Node, Value};

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub value: T,
    pub mark: Mark,
    origin: Option<Arc<str>>,
}

impl<T> At<T> {
    /// The same place for another value.
    pub(in crate::config) fn with<U>(&self, value: U) -> At<U> {
        At {
            value,
            mark: self.mark,
            origin: self.origin.clone(),
        }
    }

    /// What a message may show: the file's own text where the environment took part.
    pub(in crate::config) fn shown(&self, text: impl fmt::Display) -> String {
        match &self.origin {
            Some(origin) => origin.to_string(),
            None => text.to_string(),
        }
    }
}

/// A map from names to values, in the order of the file.
#[derive(Debug, Clone)]
pub(super) struct Named<T>(pub Vec<(At<String>, T)>);

impl<T> Default for Named<T> {
    fn default() -> Named<T> {
        Named(Vec::new())
    }
}

/// One value, or a list of them.
#[derive(Debug, Clone)]
pub(super) struct OneOrMany<T>(pub Vec<T>);

/// A JSON document written as YAML; its text, compact. `shape.rs` makes the text.
#[derive(Debug, Clone)]
pub(super) struct Json(pub String);

/// Reads a raw type. After the check against the schema this succeeds; a failure still names a place.
pub(super) fn from_node<T: DeserializeOwned>(node: &Node) -> Result<T, Failure> {
    T::deserialize(Reader(node)).map_err(|failure| failure.at(node.mark))
}

/// Why a node is not of the type.
#[derive(Debug)]
pub(super) struct Failure {
    pub message: String,
    pub mark: Option<Mark>,
}

impl Failure {
    /// The innermost place wins.
    fn at(mut self, mark: Mark) -> Failure {
        self.mark.get_or_insert(mark);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Failure {
        Failure {
            message: message.to_string(),
            mark: None,
        }
    }
}

const AT: &str = "$tollgate::At";

#[derive(Clone, Copy)]
struct Reader<'n>(&'n Node);

impl<'n> Reader<'n> {
    fn scalar_text(self) -> Result<String, Failure> {
        self.0
            .scalar()
            .ok_or_else(|| de::Error::custom(format!("text is wanted, not {}", self.0.kind())))
    }
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match &self.0.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Integer(value) => match (u64::try_from(*value), i64::try_from(*value)) {
                (Ok(value), _) => visitor.visit_u64(value),
                (_, Ok(value)) => visitor.visit_i64(value),
                (Err(_), Err(_)) => visitor.visit_i128(*value),
            },
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(items) => visitor.visit_seq(Items(items.iter())),
            Value::Map(entries) => visitor.visit_map(Entries {
                entries: entries.iter(),
                value: None,
            }),
        }
        .map_err(|failure| failure.at(self.0.mark))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match &self.0.value {
            Value::Null => visitor.visit_none(),
            Value::Bool(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::List(_)
            | Value::Map(_) => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match name {
            AT => visitor.visit_seq(Parts::new(
                self.0.mark,
                self.0.origin.as_deref(),
                Some(self.0),
                None,
            )),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let text = self.scalar_text()?;
        visitor
            .visit_string(text)
            .map_err(|failure: Failure| failure.at(self.0.mark))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        match &self.0.value {
            Value::Text(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            Value::Map(entries) => match entries.as_slice() {
                [(key, value)] => visitor.visit_enum(Variant { key, value }),
                _ => Err(de::Error::custom("exactly one key is wanted here")),
            },
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::List(_) => {
                Err(de::Error::custom(format!(
                    "a name or a map with one key is wanted, not {}",
                    self.0.kind()
                )))
            }
        }
        .map_err(|failure: Failure| failure.at(self.0.mark))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str
        bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

struct Items<'n>(std::slice::Iter<'n, Node>);

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Failure;
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        self.0
            .next()
            .map(|node| {
                seed.deserialize(Reader(node))
                    .map_err(|failure| failure.at(node.mark))
            })
            .transpose()
    }
}

struct Entries<'n> {
    entries: std::slice::Iter<'n, (Key, Node)>,
    value: Option<&'n Node>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Failure;
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        let Some((key, value)) = self.entries.next() else {
            return Ok(None);
        };
        self.value = Some(value);
        seed.deserialize(KeyReader(key))
            .map(Some)
            .map_err(|failure| failure.at(key.mark))
    }
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Failure> {
        let node = self
            .value
            .take()
            .ok_or_else(|| Failure::from_text("a value was asked for before its key"))?;
        seed.deserialize(Reader(node))
            .map_err(|failure| failure.at(node.mark))
    }
}

impl Failure {
    fn from_text(message: &str) -> Failure {
        Failure {
            message: message.to_owned(),
            mark: None,
        }
    }
}

#[derive(Clone, Copy)]
struct KeyReader<'n>(&'n Key);

impl<'de> Deserializer<'de> for KeyReader<'_> {
    type Error = Failure;
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_str(&self.0.text)
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if name == AT {
            visitor.visit_seq(Parts::new(self.0.mark, None, None, Some(self.0)))
        } else {
            visitor.visit_newtype_struct(self)
        }
    }
    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string
        bytes byte_buf option unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

struct Variant<'n> {
    key: &'n Key,
    value: &'n Node,
}

impl<'de, 'n> EnumAccess<'de> for Variant<'n> {
    type Error = Failure;
    type Variant = Reader<'n>;
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Reader<'n>), Failure> {
        let text: StrDeserializer<'_, Failure> = self.key.text.as_str().into_deserializer();
        let variant = seed
            .deserialize(text)
            .map_err(|failure| failure.at(self.key.mark))?;
        Ok((variant, Reader(self.value)))
    }
}

impl<'de> VariantAccess<'de> for Reader<'_> {
    type Error = Failure;
    fn unit_variant(self) -> Result<(), Failure> {
        match self.0.value {
            Value::Null => Ok(()),
            _ => Err(Failure::from_text("nothing stands below this word").at(self.0.mark)),
        }
    }
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Failure> {
        seed.deserialize(self).map_err(|failure| failure.at(self.0.mark))
    }
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_any(visitor)
    }
    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_any(visitor)
    }
}

/// The parts of an [`At`]: file, line, column, length, origin, value.
struct Parts<'n> {
    mark: Mark,
    origin: Option<&'n str>,
    node: Option<&'n Node>,
    key: Option<&'n Key>,
    next: u8,
}

impl<'n> Parts<'n> {
    fn new(mark: Mark, origin: Option<&'n str>, node: Option<&'n Node>, key: Option<&'n Key>) -> Parts<'n> {
        Parts {
            mark,
            origin,
            node,
            key,
            next: 0,
        }
    }
}

impl<'de> SeqAccess<'de> for Parts<'_> {
    type Error = Failure;
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        self.next = self.next.saturating_add(1);
        match self.next {
            1 => seed.deserialize(self.mark.file.into_deserializer()).map(Some),
            2 => seed.deserialize(self.mark.line.into_deserializer()).map(Some),
            3 => seed.deserialize(self.mark.column.into_deserializer()).map(Some),
            4 => seed.deserialize(self.mark.length.into_deserializer()).map(Some),
            5 => seed
                .deserialize(self.origin.unwrap_or_default().into_deserializer())
                .map(Some),
            6 => match (self.node, self.key) {
                (Some(node), _) => seed.deserialize(Reader(node)).map(Some),
                (None, Some(key)) => seed.deserialize(KeyReader(key)).map(Some),
                (None, None) => Ok(None),
            },
            _ => Ok(None),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<At<T>, D::Error> {
        struct Placed<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Placed<T> {
            type Value = At<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value with its place")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<At<T>, A::Error> {
                let missing = || de::Error::custom("a place has six parts");
                let mark = Mark {
                    file: parts.next_element()?.ok_or_else(missing)?,
                    line: parts.next_element()?.ok_or_else(missing)?,
                    column: parts.next_element()?.ok_or_else(missing)?,
                    length: parts.next_element()?.ok_or_else(missing)?,
                };
                let origin: String = parts.next_element()?.ok_or_else(missing)?;
                let value = parts.next_element()?.ok_or_else(missing)?;
                Ok(At {
                    value,
                    mark,
                    origin: (!origin.is_empty()).then(|| Arc::from(origin)),
                })
            }
        }
        deserializer.deserialize_newtype_struct(AT, Placed(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Named<T>, D::Error> {
        struct Ordered<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Ordered<T> {
            type Value = Named<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Named<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = access.next_entry()? {
                    entries.push(entry);
                }
                Ok(Named(entries))
            }
        }
        deserializer.deserialize_map(Ordered(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OneOrMany<T>, D::Error> {
        // `shape.rs` has made a list of a single value.
        Vec::deserialize(deserializer).map(OneOrMany)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        String::deserialize(deserializer).map(Json)
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("MapOf{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({"type": "object", "additionalProperties": value})
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({"anyOf": [one, {"type": "array", "items": one}]})
    }
}

impl JsonSchema for Json {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Json".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["object", "array"]})
    }
}
