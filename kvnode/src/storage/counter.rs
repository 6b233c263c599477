//! Stored counters: a few numbers in a row, with the same checksum as everything else.
//!
//! Counters describe; nothing that is promised depends on them. One that is damaged or of an unknown format
//! reads as absent, and counting starts again.

use bytes::{BufMut, Bytes};

use super::record::checksum;

const FORMAT: u8 = 1;
const HEADER_BYTES: usize = 6;

/// `format 1 | 0 | CRC-32 4 | numbers`.
pub(super) fn encode<const N: usize>(row: &[u8], numbers: [u64; N]) -> Bytes {
    let mut out = Vec::with_capacity(HEADER_BYTES + 8 * N);
    out.extend_from_slice(&[FORMAT, 0, 0, 0, 0, 0]);
    numbers.into_iter().for_each(|number| out.put_u64(number));
    let checksum = checksum(row, &out);
    out[2..HEADER_BYTES].copy_from_slice(&checksum.to_be_bytes());
    out.into()
}

/// The numbers, if they are intact.
pub(super) fn decode<const N: usize>(row: &[u8], stored: &[u8]) -> Option<[u64; N]> {
    let numbers = stored.get(HEADER_BYTES..)?;
    let intact = stored[0] == FORMAT && checksum(row, stored).to_be_bytes() == stored[2..HEADER_BYTES];
    (intact && numbers.len() == 8 * N).then_some(())?;
    let (numbers, _) = numbers.as_chunks::<8>();
    let mut out = [0; N];
    out.iter_mut().zip(numbers).for_each(|(out, number)| *out = u64::from_be_bytes(*number));
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intact_counters_read_back_and_others_do_not() {
        let stored = encode(b"row", [1, u64::MAX]);
        assert_eq!(decode(b"row", &stored), Some([1, u64::MAX]));
        assert_eq!(decode::<3>(b"row", &stored), None);
        assert_eq!(decode::<2>(b"other", &stored), None);
        for length in 0..stored.len() {
            assert_eq!(decode::<2>(b"row", &stored[..length]), None, "{length}");
        }
    }
}
