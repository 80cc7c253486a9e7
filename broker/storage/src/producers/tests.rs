use weir_types::batch::{HEADER_BYTES, RecordBatch, RecordBatchBuilder};

use super::*;

fn header(offset: i64, id: i64, epoch: i16, sequence: i32, count: i32) -> RecordBatchHeader {
    let mut builder = RecordBatchBuilder::new(offset).producer(id, epoch, sequence);
    for _ in 0..count {
        builder.append(1_000 + offset, None, None, &[]);
    }
    let bytes = builder.build();
    RecordBatch::parse_header(*bytes.first_chunk::<HEADER_BYTES>().unwrap()).unwrap()
}

/// Seven batches of three records each, sequences from 0.
fn seven() -> Producers {
    let mut producers = Producers::default();
    for n in 0..7 {
        producers.appended(&header(i64::from(n) * 3, 9, 2, n * 3, 3));
    }
    producers
}

#[test]
fn a_duplicate_within_the_last_five_answers_where_it_was() {
    let producers = seven();
    for n in 2..7 {
        let Ok(Admission::Duplicate(batch)) = producers.admit(9, 2, n * 3, n * 3 + 2) else { panic!("batch {n}") };
        assert_eq!(batch.base_offset(), i64::from(n) * 3);
    }
    assert_eq!(producers.admit(9, 2, 3, 5), Err(SequenceProblem::OutOfOrder { expected: 21 }));
}

#[test]
fn the_next_sequence_is_admitted_and_a_gap_is_not() {
    let producers = seven();
    assert_eq!(producers.admit(9, 2, 21, 21), Ok(Admission::New));
    assert_eq!(producers.admit(9, 2, 22, 22), Err(SequenceProblem::OutOfOrder { expected: 21 }));
    // The same start but another length is not the same batch.
    assert_eq!(producers.admit(9, 2, 18, 19), Err(SequenceProblem::OutOfOrder { expected: 21 }));
}

#[test]
fn an_unknown_producer_may_begin_anywhere() {
    assert_eq!(Producers::default().admit(1, 0, 500, 501), Ok(Admission::New));
}

#[test]
fn a_new_epoch_begins_at_zero_and_fences_the_old_one() {
    let mut producers = seven();
    assert_eq!(producers.admit(9, 3, 5, 5), Err(SequenceProblem::OutOfOrder { expected: 0 }));
    assert_eq!(producers.admit(9, 3, 0, 0), Ok(Admission::New));
    producers.appended(&header(21, 9, 3, 0, 1));
    assert_eq!(producers.admit(9, 2, 21, 21), Err(SequenceProblem::Fenced { current_epoch: 3 }));
    assert_eq!(producers.admit(9, 3, 1, 1), Ok(Admission::New));
}

#[test]
fn sequences_wrap_from_the_largest_to_zero() {
    let mut producers = Producers::default();
    producers.appended(&header(0, 9, 0, i32::MAX - 1, 2));
    assert_eq!(producers.admit(9, 0, 0, 4), Ok(Admission::New));
    producers.appended(&header(2, 9, 0, i32::MAX, 3));
    assert!(matches!(producers.admit(9, 0, i32::MAX, 1), Ok(Admission::Duplicate(_))));
}

#[test]
fn a_snapshot_keeps_the_last_batch_of_each() {
    let bytes = encode_snapshot(&seven());
    let back = decode_snapshot(&bytes).unwrap();
    assert!(matches!(back.admit(9, 2, 18, 20), Ok(Admission::Duplicate(_))));
    assert_eq!(back.admit(9, 2, 21, 30), Ok(Admission::New));
    assert_eq!(back.admit(9, 2, 15, 17), Err(SequenceProblem::OutOfOrder { expected: 21 }));
    assert_eq!(bytes.len(), 10 + 46);
}

#[test]
fn a_snapshot_with_any_byte_changed_or_missing_is_no_snapshot() {
    let good = encode_snapshot(&seven());
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert_eq!(decode_snapshot(&bad), None, "byte {at}");
        assert_eq!(decode_snapshot(&good[..at]), None, "cut at {at}");
    }
}

#[test]
fn silent_producers_expire() {
    let mut producers = seven();
    producers.expire(1_018 + 100, 101);
    assert!(!producers.is_empty());
    producers.expire(1_018 + 100, 100);
    assert!(producers.is_empty());
}

#[test]
fn the_number_of_producers_is_bounded_and_the_quiet_ones_go_first() {
    let mut producers = Producers::default();
    for id in 0..=PRODUCERS_MAX as i64 {
        producers.appended(&header(id, id, 0, 0, 1));
    }
    assert!(producers.by_id.len() <= PRODUCERS_MAX);
    assert!(producers.by_id.contains_key(&(PRODUCERS_MAX as i64)) && !producers.by_id.contains_key(&0));
}

/// Written by an Apache Kafka 4.2 broker for one idempotent producer.
const GOLDEN: &str = "0001de49617a0000000100000000000000000000000012f500000000000012f500000025000001a206df4ab3ffff\
    ffffffffffffffffffff";

#[test]
fn a_snapshot_of_apache_kafka_is_read_and_written_alike() {
    let digits: Vec<u8> = GOLDEN.bytes().map(|digit| (digit as char).to_digit(16).unwrap() as u8).collect();
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    let producers = decode_snapshot(&bytes).unwrap();
    let state = producers.states().next().unwrap();
    assert_eq!((state.producer_id, state.producer_epoch, state.last_sequence), (0, 0, 4_853));
    assert_eq!(encode_snapshot(&producers), bytes);
}
