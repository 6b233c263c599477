//! Policy documents in one canonical form, so that equal ones compare as equal.
//!
//! IAM gives them back percent-encoded (RFC 3986) and otherwise as they were written. Canonical is JSON with sorted
//! keys and no spaces. What a policy means is not judged: two documents that differ in more than spelling differ.

use serde_json::Value;

/// The canonical form of a document, encoded or not. What is no JSON is left as it is, decoded.
pub(super) fn canonical(document: &str) -> String {
    let text = if document.trim_start().starts_with('{') { document.to_owned() } else { decode(document) };
    match serde_json::from_str::<Value>(&text) {
        // `Value` keeps its keys sorted.
        Ok(value) => value.to_string(),
        Err(_) => text,
    }
}

/// Undoes percent-encoding. Digits that are none stay as they are; bytes that are no UTF-8 become U+FFFD.
fn decode(encoded: &str) -> String {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(digit(*high) * 16 + digit(*low));
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

const fn digit(hexadecimal: u8) -> u8 {
    match hexadecimal {
        b'0'..=b'9' => hexadecimal - b'0',
        b'a'..=b'f' => hexadecimal - b'a' + 10,
        _ => hexadecimal.wrapping_sub(b'A').wrapping_add(10),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn documents_become_canonical() {
        for (document, form) in [
            (r#"{"b": 1, "a": [ "x" ]}"#, r#"{"a":["x"],"b":1}"#),
            ("%7B%22b%22%3A1%2c%22a%22%3A%22%C3%A9+%25%22%7D", r#"{"a":"é+%","b":1}"#),
            (r#" {"percent": "%41"}"#, r#"{"percent":"%41"}"#),
            ("%7Bnotjson", "{notjson"),
            ("%zz%4", "%zz%4"),
            ("", ""),
        ] {
            assert_eq!(canonical(document), form, "{document}");
        }
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(text in ".{0,40}") {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(decode(&encoded), text);
        }

        #[test]
        fn canonical_is_final(text in ".{0,40}") {
            let document = serde_json::json!({ "z": text, "a": { "y": 1, "b": text } }).to_string();
            prop_assert_eq!(canonical(&canonical(&document)), canonical(&document));
        }
    }
}
