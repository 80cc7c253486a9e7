//! The order of hits: up to two fields, then `_seq`, which is unique and survives merges. A page goes on after the
//! `sort` values of its last row.

use std::cmp::Ordering;
use std::ops::Bound;

use serde_json::Value;
use tantivy::collector::sort_key::{Comparator, ComparatorEnum, NaturalComparator, SortByErasedType};
use tantivy::collector::{SegmentSortKeyComputer, SortKeyComputer};
use tantivy::schema::OwnedValue;
use tantivy::{DocId, Order, Score, SegmentReader, TantivyError};

use super::request::SearchError;
use crate::index::schema::SEQ;
use crate::query::compile::FieldRef;
use crate::query::expr::{Clauses, Expr};

/// Fields of one sort, besides the tie-breaker.
const KEYS_MAX: usize = 2;

/// The order of hits and where a page begins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sort {
    pub(crate) keys: Vec<Key>,
    /// The tie-breaker's order; whether it was asked for decides whether it is shown.
    pub(crate) tie: Order,
    pub(crate) is_tie_shown: bool,
    pub(crate) search_after: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Key {
    /// `None` is the score.
    pub(crate) field: Option<String>,
    pub(crate) order: Order,
}

impl Default for Sort {
    fn default() -> Self {
        Self { keys: Vec::new(), tie: Order::Desc, is_tie_shown: false, search_after: Vec::new() }
    }
}

/// The values that a hit is ordered by: always three, of which those that were not asked for repeat the last.
pub(crate) type SortValues = (OwnedValue, OwnedValue, OwnedValue);

pub(crate) fn parse(sort: Option<&Value>, search_after: Option<&Value>) -> Result<Sort, SearchError> {
    let mut result = Sort::default();
    let mut tie = None;
    for (name, options) in entries(sort)? {
        let order = order_of(&name, options.as_ref())?;
        match name.as_str() {
            // Also where it does not stand last: clients send keys in alphabetical order.
            "_doc" | "_shard_doc" | SEQ => tie = Some(order),
            "_score" => result.keys.push(Key { field: None, order }),
            _ => result.keys.push(Key { field: Some(name), order }),
        }
    }
    if result.keys.len() > KEYS_MAX {
        return Err(SearchError::Request(format!("[sort] takes at most {KEYS_MAX} fields besides _doc")));
    }
    for key in &result.keys {
        if key.field.as_deref().is_some_and(|field| FieldRef::of(field).column().is_none()) {
            let field = key.field.as_deref().unwrap_or_default();
            return Err(SearchError::Request(format!("[sort] cannot sort by [{field}]: it has words, no order")));
        }
    }
    result.is_tie_shown = tie.is_some();
    result.tie = tie.or(result.keys.first().map(|key| key.order)).unwrap_or(Order::Desc);
    if let Some(search_after) = search_after.and_then(Value::as_array) {
        if search_after.len() > result.keys.len() + usize::from(result.is_tie_shown) {
            let reason = "[search_after] has more values than the sort has keys".to_owned();
            return Err(SearchError::Request(reason));
        }
        result.search_after.clone_from(search_after);
    }
    Ok(result)
}

fn entries(sort: Option<&Value>) -> Result<Vec<(String, Option<Value>)>, SearchError> {
    let refused = || SearchError::Request("[sort] must hold field names or objects".to_owned());
    let of_object = |object: &serde_json::Map<String, Value>| {
        object.iter().map(|(name, options)| (name.clone(), Some(options.clone()))).collect::<Vec<_>>()
    };
    match sort {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(name)) => Ok(vec![(name.clone(), None)]),
        Some(Value::Object(object)) => Ok(of_object(object)),
        Some(Value::Array(entries)) => {
            let mut all = Vec::new();
            for entry in entries {
                match entry {
                    Value::String(name) => all.push((name.clone(), None)),
                    Value::Object(object) => all.extend(of_object(object)),
                    _ => return Err(refused()),
                }
            }
            Ok(all)
        }
        Some(_) => Err(refused()),
    }
}

fn order_of(name: &str, options: Option<&Value>) -> Result<Order, SearchError> {
    let order = match options {
        Some(Value::String(order)) => Some(order.as_str()),
        Some(options) => options.get("order").and_then(Value::as_str),
        None => None,
    };
    match order {
        Some(order) if order.eq_ignore_ascii_case("asc") => Ok(Order::Asc),
        Some(order) if order.eq_ignore_ascii_case("desc") => Ok(Order::Desc),
        Some(order) => Err(SearchError::Request(format!("[sort] knows asc and desc, not [{order}]"))),
        None if name == "_score" => Ok(Order::Desc),
        None => Ok(Order::Asc),
    }
}

impl Sort {
    /// The columns to sort by, in the three places of [`SortValues`].
    pub(crate) fn columns(&self) -> [(SortByColumn, ComparatorEnum); 3] {
        let tie = || (SortByColumn::Column(SEQ.to_owned()), ComparatorEnum::from(self.tie));
        let of_key = |index: usize| {
            self.keys.get(index).map_or_else(tie, |key| {
                let column = key.field.as_deref().and_then(|field| FieldRef::of(field).column());
                (column.map_or(SortByColumn::Score, SortByColumn::Column), ComparatorEnum::from(key.order))
            })
        };
        [of_key(0), of_key(1), tie()]
    }

    pub(crate) fn compare(&self, left: &SortValues, right: &SortValues) -> Ordering {
        let [first, second, third] = self.columns();
        let by = |comparator: ComparatorEnum, l: &OwnedValue, r: &OwnedValue| comparator.compare(l, r).reverse();
        by(first.1, &left.0, &right.0)
            .then_with(|| by(second.1, &left.1, &right.1))
            .then_with(|| by(third.1, &left.2, &right.2))
    }

    /// The `sort` of a hit: what can be sent back as `search_after`.
    pub(crate) fn shown(&self, values: &SortValues) -> Vec<Value> {
        let mut shown: Vec<Value> = [&values.0, &values.1].into_iter().take(self.keys.len()).map(to_json).collect();
        if self.is_tie_shown {
            shown.push(to_json(&values.2));
        }
        shown
    }

    /// What a page after `search_after` is limited to.
    pub(crate) fn after(&self) -> Result<Option<Expr>, SearchError> {
        let mut alternatives = Vec::new();
        let mut equal_so_far = Vec::new();
        for (index, value) in self.search_after.iter().enumerate() {
            let (field, order) = match self.keys.get(index) {
                Some(Key { field: Some(field), order }) => (field.as_str(), *order),
                Some(_) => return Err(SearchError::Request("[search_after] cannot go on by _score".to_owned())),
                None => (SEQ, self.tie),
            };
            let range = |lower, upper| Expr::Range { field: field.to_owned(), lower, upper, time_zone: None };
            let beyond = match (order, value) {
                // What lacks the field stands last: after it comes nothing else.
                (_, Value::Null) => Expr::Nothing,
                (Order::Asc, _) => range(Bound::Excluded(value.clone()), Bound::Unbounded),
                (Order::Desc, _) => range(Bound::Unbounded, Bound::Excluded(value.clone())),
            };
            let missing = Expr::not(Expr::Exists { field: field.to_owned() });
            let beyond = if value.is_null() { beyond } else { Expr::any_of(vec![beyond, missing.clone()]) };
            alternatives.push(Expr::all_of(equal_so_far.iter().cloned().chain([beyond]).collect()));
            equal_so_far.push(if value.is_null() {
                missing
            } else {
                range(Bound::Included(value.clone()), Bound::Included(value.clone()))
            });
        }
        if alternatives.is_empty() {
            return Ok(None);
        }
        Ok(Some(Expr::Bool(Clauses { should: alternatives, should_min: 1, ..Clauses::default() })))
    }
}

pub(crate) fn to_json(value: &OwnedValue) -> Value {
    match value {
        OwnedValue::Date(at) => Value::from(at.into_timestamp_millis()),
        OwnedValue::I64(number) => Value::from(*number),
        OwnedValue::U64(number) => Value::from(*number),
        OwnedValue::F64(number) => Value::from(*number),
        OwnedValue::Bool(flag) => Value::from(*flag),
        OwnedValue::Str(text) => Value::from(text.as_str()),
        _ => Value::Null,
    }
}

/// Sorts by a column of whatever type, also where a segment has none.
#[derive(Debug, Clone)]
pub(crate) enum SortByColumn {
    Column(String),
    Score,
}

impl SortKeyComputer for SortByColumn {
    type SortKey = OwnedValue;
    type Child = SegmentColumn;
    type Comparator = NaturalComparator;

    fn requires_scoring(&self) -> bool {
        matches!(self, Self::Score)
    }

    fn segment_sort_key_computer(&self, reader: &SegmentReader) -> tantivy::Result<SegmentColumn> {
        let by = match self {
            Self::Score => SortByErasedType::for_score(),
            Self::Column(name) if reader.fast_fields().dynamic_column_handles(name)?.is_empty() => {
                return Ok(SegmentColumn(None));
            }
            Self::Column(name) => SortByErasedType::for_field(name),
        };
        match by.segment_sort_key_computer(reader) {
            Ok(column) => Ok(SegmentColumn(Some(column))),
            Err(TantivyError::SchemaError(_)) => Ok(SegmentColumn(None)),
            Err(error) => Err(error),
        }
    }
}

pub(crate) struct SegmentColumn(Option<<SortByErasedType as SortKeyComputer>::Child>);

impl SegmentSortKeyComputer for SegmentColumn {
    type SortKey = OwnedValue;
    type SegmentSortKey = Option<u64>;
    type SegmentComparator = NaturalComparator;

    fn segment_sort_key(&mut self, doc: DocId, score: Score) -> Option<u64> {
        self.0.as_mut().and_then(|column| column.segment_sort_key(doc, score))
    }

    fn convert_segment_sort_key(&self, key: Option<u64>) -> OwnedValue {
        self.0.as_ref().map_or(OwnedValue::Null, |column| column.convert_segment_sort_key(key))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_tie_breaker_is_last_wherever_it_stands() {
        let sort = parse(Some(&json!({"_doc":{"order":"desc"},"time":{"order":"desc"}})), None).unwrap();
        assert_eq!(sort.keys, [Key { field: Some("time".to_owned()), order: Order::Desc }]);
        assert!(sort.is_tie_shown && sort.tie == Order::Desc);
    }

    #[test]
    fn strings_objects_and_lists_are_the_same_sort() {
        let forms =
            [json!("a"), json!(["a"]), json!([{"a":"asc"}]), json!({"a":{"order":"asc","unmapped_type":"boolean"}})];
        for form in forms {
            let sort = parse(Some(&form), None).unwrap();
            assert_eq!(sort.keys, [Key { field: Some("a".to_owned()), order: Order::Asc }], "{form}");
        }
    }

    #[test]
    fn what_cannot_be_sorted_by_is_an_error() {
        for sort in [json!([1]), json!({"a":"up"}), json!("message"), json!(["a", "b", "c"]), json!(3)] {
            assert!(parse(Some(&sort), None).is_err(), "{sort} was taken");
        }
        assert!(parse(Some(&json!("a")), Some(&json!([1, 2]))).is_err());
    }
}
