use proptest::prelude::*;

use super::*;

type OwnedRecord = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

fn any_bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..60))
}

fn any_record() -> impl Strategy<Value = OwnedRecord> {
    let headers = proptest::collection::vec(("[a-zé]{0,6}", any_bytes()), 0..3);
    (0i64..4_000_000_000_000, any_bytes(), any_bytes(), headers)
}

fn build(records: &[OwnedRecord], codec: Compression) -> Vec<u8> {
    let mut builder = RecordBatchBuilder::new(1000).leader_epoch(7).compression(codec).producer(42, 3, i32::MAX - 1);
    for (timestamp, key, value, headers) in records {
        let headers: Vec<RecordHeader<'_>> = headers.iter().map(|(k, v)| (k.as_str(), v.as_deref())).collect();
        builder.append(*timestamp, key.as_deref(), value.as_deref(), &headers);
    }
    builder.build().to_vec()
}

fn codecs() -> impl Strategy<Value = Compression> {
    (0u8..5).prop_map(|code| Compression::from_code(code).unwrap())
}

proptest! {
    #[test]
    fn records_survive_the_batch(records in proptest::collection::vec(any_record(), 1..20), codec in codecs()) {
        let bytes = build(&records, codec);
        let batch = RecordBatch::parse(&bytes).unwrap();
        prop_assert!(batch.crc_is_valid());
        prop_assert_eq!(batch.compression().unwrap(), codec);
        prop_assert_eq!(batch.record_count() as usize, records.len());
        prop_assert_eq!(batch.next_offset(), 1000 + records.len() as i64);
        prop_assert_eq!(batch.max_timestamp(), records.iter().map(|r| r.0).max().unwrap());
        let read = batch.records().unwrap();
        let back: Vec<OwnedRecord> = read.iter().map(|record| {
            let record = record.unwrap();
            let headers = record.headers.iter().map(|(k, v)| (k.to_string(), v.map(<[u8]>::to_vec))).collect();
            (record.timestamp, record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec), headers)
        }).collect();
        prop_assert_eq!(back, records);
    }

    #[test]
    fn any_flipped_bit_after_the_crc_is_noticed(records in proptest::collection::vec(any_record(), 1..4), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = build(&records, Compression::None);
        let at = 17 + at.index(bytes.len() - 17);
        bytes[at] ^= 1 << bit;
        prop_assert!(!RecordBatch::parse(&bytes).unwrap().crc_is_valid());
    }

    #[test]
    fn arbitrary_records_never_panic(payload in proptest::collection::vec(any::<u8>(), 0..200), count in any::<i32>(), attributes in any::<i16>()) {
        let mut bytes = build(&[], Compression::None);
        bytes.extend_from_slice(&payload);
        let length = (bytes.len() - 12) as i32;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[21..23].copy_from_slice(&attributes.to_be_bytes());
        bytes[57..61].copy_from_slice(&count.to_be_bytes());
        if let Ok(records) = RecordBatch::parse(&bytes).unwrap().records() {
            prop_assert!(records.iter().count() <= payload.len() * 1100 + 1);
        }
    }

    #[test]
    fn every_cut_of_a_buffer_gives_whole_batches_then_one_error(records in proptest::collection::vec(any_record(), 1..4), cut in any::<prop::sample::Index>()) {
        let one = build(&records, Compression::None);
        let three = one.repeat(3);
        let cut = cut.index(three.len() + 1);
        let results: Vec<_> = RecordBatches::new(&three[..cut]).collect();
        let whole = cut / one.len();
        prop_assert_eq!(results.iter().filter(|r| r.is_ok()).count(), whole);
        prop_assert_eq!(results.len() - whole, usize::from(!cut.is_multiple_of(one.len())));
    }
}

#[test]
fn the_crc_is_castagnolis() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}

#[test]
fn what_a_broker_writes_in_place_leaves_the_crc_alone_or_renews_it() {
    let mut bytes = build(&[(1000, Some(b"k".to_vec()), None, vec![])], Compression::Gzip);
    let crc = RecordBatch::parse(&bytes).unwrap().crc();
    set_base_offset(&mut bytes, 77);
    set_leader_epoch(&mut bytes, 9);
    let batch = RecordBatch::parse(&bytes).unwrap();
    assert_eq!((batch.base_offset(), batch.leader_epoch(), batch.crc()), (77, 9, crc));
    assert!(batch.crc_is_valid());

    set_max_timestamp_and_type(&mut bytes, 5555, TimestampType::LogAppendTime);
    let batch = RecordBatch::parse(&bytes).unwrap();
    assert!(batch.crc_is_valid() && batch.crc() != crc);
    assert_eq!(batch.compression().unwrap(), Compression::Gzip);
    assert_eq!(batch.records().unwrap().iter().next().unwrap().unwrap().timestamp, 5555);
}

#[test]
fn sequences_wrap_to_zero() {
    let bytes = build(&vec![(0, None, None, vec![]); 3], Compression::None);
    assert_eq!(RecordBatch::parse(&bytes).unwrap().last_sequence(), 0);
}

#[test]
fn other_magics_are_named_even_when_the_message_is_short() {
    let mut old = [0u8; 30];
    old[16] = 1;
    assert!(matches!(RecordBatch::parse(&old), Err(BatchError::WrongMagic { magic: 1 })));
}

#[test]
fn a_length_below_the_header_is_refused() {
    let mut bytes = build(&[], Compression::None);
    bytes[8..12].copy_from_slice(&48i32.to_be_bytes());
    assert!(matches!(RecordBatch::parse(&bytes), Err(BatchError::BadLength { length: 48 })));
    bytes[8..12].copy_from_slice(&(-1i32).to_be_bytes());
    assert!(matches!(RecordBatch::parse(&bytes), Err(BatchError::BadLength { length: -1 })));
}

/// What Apache Kafka 4.2's own client library writes for one and the same two records: base offset 5, leader epoch 2,
/// producer 42 with epoch 3 and sequence 7.
const GOLDEN: [(Compression, &str); 5] = [
    (
        Compression::None,
        "00000000000000050000005e000000020271b97a2100000000000100000000000003e800000000000003ef00000000000000\
         2a000300000007000000024a000000026b2e76616c75652076616c75652076616c75652076616c75650402680278026e010c\
         000e02010100",
    ),
    (
        Compression::Gzip,
        "0000000000000005000000620000000202c8b3d01300010000000100000000000003e800000000000003ef00000000000000\
         2a000300000007000000021f8b08000000000000fff362606060cad62b4bcc294d55c020599832982a98f2187918f8981819\
         1900b37f149e2d000000",
    ),
    (
        Compression::Snappy,
        "0000000000000005000000670000000202ff9f7c1700020000000100000000000003e800000000000003ef00000000000000\
         2a0003000000070000000282534e41505059000000000100000001000000222d304a000000026b2e76616c75652042060038\
         0402680278026e010c000e02010100",
    ),
    (
        Compression::Lz4,
        "0000000000000005000000610000000202b8ae28d700030000000100000000000003e800000000000003ef00000000000000\
         2a0003000000070000000204224d1860408221000000dd4a000000026b2e76616c7565200600f0000402680278026e010c00\
         0e0201010000000000",
    ),
    (
        Compression::Zstd,
        "00000000000000050000005f0000000202315f287200040000000100000000000003e800000000000003ef00000000000000\
         2a0003000000070000000228b52ffd0058140100e04a000000026b2e76616c7565200402680278026e010c000e0201010001\
         0099cb17010000",
    ),
];

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().map(|digit| (digit as char).to_digit(16).unwrap() as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn batches_of_apache_kafka_are_read() {
    for (codec, golden) in GOLDEN {
        let bytes = unhex(golden);
        let batch = RecordBatch::parse(&bytes).unwrap();
        assert!(batch.crc_is_valid(), "{codec}");
        assert_eq!(batch.compression().unwrap(), codec);
        assert_eq!((batch.base_offset(), batch.last_offset(), batch.leader_epoch()), (5, 6, 2));
        assert_eq!((batch.producer_id(), batch.producer_epoch()), (42, 3));
        assert_eq!((batch.base_sequence(), batch.last_sequence()), (7, 8));
        assert_eq!((batch.base_timestamp(), batch.max_timestamp()), (1000, 1007));
        let records = batch.records().unwrap();
        let records: Vec<_> = records.iter().map(Result::unwrap).collect();
        let headers: Vec<RecordHeader<'_>> = vec![("h", Some(b"x")), ("n", None)];
        let value = Some(b"value value value value".as_slice());
        let first = Record { offset: 5, timestamp: 1000, key: Some(b"k"), value, headers };
        let second = Record { offset: 6, timestamp: 1007, key: None, value: None, headers: vec![] };
        assert_eq!(records, [first, second], "{codec}");
    }
}

#[test]
fn an_uncompressed_batch_is_byte_for_byte_apache_kafkas() {
    let mut builder = RecordBatchBuilder::new(5).leader_epoch(2).producer(42, 3, 7);
    builder.append(1000, Some(b"k"), Some(b"value value value value"), &[("h", Some(b"x")), ("n", None)]);
    builder.append(1007, None, None, &[]);
    assert_eq!(builder.build(), unhex(GOLDEN[0].1));
}
