//! Base64 (RFC 4648 §4, padded), the form of a datagram in a line of JSON.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The entry of `VALUES` for a byte outside the alphabet.
const NONE: u8 = 0xff;

/// The value of each byte as a character of the alphabet.
const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut value = 0;
    while value < 64 {
        values[ALPHABET[value as usize] as usize] = value;
        value += 1;
    }
    values
};

/// Appends the encoding of `bytes`.
pub(crate) fn encode(bytes: &[u8], text: &mut String) {
    text.reserve(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let character = ALPHABET[(word >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { char::from(character) } else { '=' });
        }
    }
}

/// Decodes `text`. Returns `None` unless [`encode`] could have written it.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let (quads, []) = text.as_bytes().as_chunks::<4>() else { return None };
    let mut bytes = Vec::with_capacity(quads.len() * 3);
    for (number, quad) in (1..).zip(quads) {
        let padding = quad.iter().rev().take_while(|byte| **byte == b'=').count();
        if padding > 2 || padding > 0 && number != quads.len() {
            return None;
        }
        let mut word = 0;
        for byte in &quad[..4 - padding] {
            let value = VALUES[usize::from(*byte)];
            if value == NONE {
                return None;
            }
            word = word << 6 | u32::from(value);
        }
        word <<= 6 * padding;
        let [_, whole @ ..] = word.to_be_bytes();
        let (kept, cut) = whole.split_at(3 - padding);
        if cut.iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(kept);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn both_ways(bytes: &[u8], text: &str) {
        let mut encoded = String::new();
        encode(bytes, &mut encoded);
        assert_eq!(encoded, text);
        assert_eq!(decode(text).as_deref(), Some(bytes));
    }

    #[test]
    fn the_vectors_of_rfc_4648() {
        both_ways(b"", "");
        both_ways(b"f", "Zg==");
        both_ways(b"fo", "Zm8=");
        both_ways(b"foo", "Zm9v");
        both_ways(b"foob", "Zm9vYg==");
        both_ways(b"fooba", "Zm9vYmE=");
        both_ways(b"foobar", "Zm9vYmFy");
        both_ways(&[0xfb, 0xff], "+/8=");
    }

    #[test]
    fn a_text_that_no_encoder_writes_is_refused() {
        for text in ["Z", "Zg", "Zg=", "Zg==Zg==", "Z===", "====", "Zh==", "Zm9=", "Zm-v", "Zm 9", "é9v"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
