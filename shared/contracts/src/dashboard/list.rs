//! A list with a limit that belongs to its type.
//!
//! Input: any number of items. Output: the first of them, at most the limit. Invariants: a document with one item too
//! many is refused when it is read, and cannot be written.

use crate::shape::Shape;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Value, json};

/// At most `MAX` items, in the order in which they came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct List<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> List<T, MAX> {
    /// The items.
    #[must_use]
    pub fn items(&self) -> &[T] {
        &self.0
    }

    /// Keeps the first `len` items.
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }
}

/// The first `MAX` items; the rest is left out.
impl<T, const MAX: usize> FromIterator<T> for List<T, MAX> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self(items.into_iter().take(MAX).collect())
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = Vec::<T>::deserialize(deserializer)?;
        if items.len() > MAX {
            return Err(de::Error::custom(format!("{} items, at most {MAX}", items.len())));
        }
        Ok(Self(items))
    }
}

impl<T: Shape, const MAX: usize> Shape for List<T, MAX> {
    fn shape() -> Value {
        json!({"type": "array", "maxItems": MAX, "items": T::shape()})
    }
}

#[cfg(test)]
mod tests {
    use super::List;

    #[test]
    fn a_list_takes_its_limit_and_refuses_one_more() {
        let full: List<i64, 3> = (0..3).collect();
        let cut: List<i64, 3> = (0..4).collect();
        assert_eq!(full, cut);
        assert_eq!(serde_json::to_string(&cut).unwrap(), "[0,1,2]");
        assert_eq!(serde_json::from_str::<List<i64, 3>>("[0,1,2]").unwrap(), full);
        assert!(serde_json::from_str::<List<i64, 3>>("[0,1,2,3]").is_err());
    }
}
