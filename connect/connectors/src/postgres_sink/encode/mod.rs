//! From records to the bytes that Postgres' binary formats want, in one pass and without a tree of the JSON.
//!
//! ```text
//! field   i32 length, or -1 for null; then the value in its type's binary format
//! row     i16 count of fields; the fields in the order of the columns
//! ```
//!
//! [`layout`] says what a table's rows look like, [`row`] walks a record, [`object`] its fields, [`json`] a value;
//! [`scalar`] has the rules of coercion, [`numeric`] and [`time`] the formats that need some arithmetic. Never talks to
//! Postgres.

pub(super) mod json;
pub(super) mod layout;
mod numeric;
mod object;
pub(super) mod row;
mod scalar;
pub(super) mod time;

/// Writes a field: `value` writes what comes behind its length.
pub(super) fn field<E>(out: &mut Vec<u8>, value: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    value(out)?;
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

pub(super) fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1_i32).to_be_bytes());
}

/// The fields of encoded bytes, without a row's count in front.
pub(super) fn fields(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = i32::from_be_bytes(*bytes.first_chunk()?);
        let end = 4 + usize::try_from(length).unwrap_or(0);
        let (field, rest) = bytes.split_at_checked(end)?;
        bytes = rest;
        Some(field)
    })
}
