use proptest::prelude::*;

use super::*;

const ALL: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

proptest! {
    #[test]
    fn what_was_compressed_comes_back(data in proptest::collection::vec(any::<u8>(), 0..5000), repeat in 1usize..40) {
        let data = data.repeat(repeat);
        for codec in ALL {
            let packed = compress(codec, &data).unwrap();
            prop_assert_eq!(&decompress(codec, &packed, data.len()).unwrap(), &data, "{}", codec);
        }
    }

    #[test]
    fn garbage_is_an_error_or_stays_within_the_limit(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        for codec in ALL {
            if let Ok(out) = decompress(codec, &data, 4096) {
                prop_assert!(out.len() <= 4096);
            }
        }
    }
}

#[test]
fn a_bomb_stops_at_the_limit() {
    let zeros = vec![0u8; 8 << 20];
    for codec in ALL {
        let packed = compress(codec, &zeros).unwrap();
        let error = decompress(codec, &packed, (8 << 20) - 1).unwrap_err();
        assert!(matches!(error, DecompressError::TooLarge { .. }), "{codec}: {error}");
    }
}

#[test]
fn cut_data_is_malformed() {
    let data: Vec<u8> = (0..20_000u32).flat_map(u32::to_be_bytes).collect();
    for codec in ALL.into_iter().filter(|&c| c != Compression::None) {
        let packed = compress(codec, &data).unwrap();
        let out = decompress(codec, &packed[..packed.len() / 2], data.len());
        assert!(out.is_err() || out.is_ok_and(|o| o != data), "{codec}");
    }
}

#[test]
fn snappy_without_the_java_framing_is_understood() {
    let raw = snap::raw::Encoder::new().compress_vec(b"hello hello hello hello").unwrap();
    assert_eq!(decompress(Compression::Snappy, &raw, 100).unwrap(), b"hello hello hello hello");
}

#[test]
fn snappy_from_the_java_library_is_understood() {
    // Written by hand after the table in snappy.rs: two chunks, "abc" and "de", each a literal.
    let mut framed = vec![0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
    framed.extend_from_slice(&[0, 0, 0, 5, 3, 2 << 2, b'a', b'b', b'c']);
    framed.extend_from_slice(&[0, 0, 0, 4, 2, 1 << 2, b'd', b'e']);
    assert_eq!(decompress(Compression::Snappy, &framed, 100).unwrap(), b"abcde");
}

#[test]
fn a_snappy_block_that_claims_gigabytes_is_refused_without_reserving_them() {
    let claim_of_4_gib_less_one = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    assert!(decompress(Compression::Snappy, &claim_of_4_gib_less_one, usize::MAX).is_err());
}

#[test]
fn codes_are_those_of_the_batch_attributes() {
    for codec in ALL {
        assert_eq!(Compression::from_code(codec.code()), Some(codec));
    }
    assert_eq!(Compression::from_code(5), None);
}
