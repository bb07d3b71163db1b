//! CRC-32C (Castagnoli), the checksum of unsealed datagrams.
//!
//! In software the checksum would be half of the work of a ping. The feature `std` therefore uses the processor's
//! instruction where there is one. Both ways give the same result.

#[cfg(feature = "std")]
mod way {
    pub(super) fn extend(checksum: u32, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(checksum, bytes)
    }
}

#[cfg(not(feature = "std"))]
mod way {
    use crc::{CRC_32_ISCSI, Crc, Table};

    static CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

    pub(super) fn extend(checksum: u32, bytes: &[u8]) -> u32 {
        // A register is finalised by its complement, and taken in again by its reflection.
        let mut digest = CRC.digest_with_initial((!checksum).reverse_bits());
        digest.update(bytes);
        digest.finalize()
    }
}

/// The checksum of a byte string.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    way::extend(0, bytes)
}

/// The checksum of a byte string that consists of one with this checksum, followed by `bytes`.
pub(super) fn extend(checksum: u32, bytes: &[u8]) -> u32 {
    way::extend(checksum, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_castagnoli_checksum_in_one_piece_and_in_two() {
        // The check value of the CRC catalogue.
        assert_eq!(checksum(b"123456789"), 0xe306_9283);
        assert_eq!(extend(checksum(b"1234"), b"56789"), 0xe306_9283);
        assert_eq!(checksum(b""), 0);
    }
}
