//! Keys as people type them: text, percent-encoded, or base64; and back again for listings.
//!
//! Text is taken byte by byte as the shell passes it. Lengths are the server's to judge.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kvnode::api::key_text;

use crate::error::CommandError;

/// How keys are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Encoding {
    /// As it is.
    #[default]
    Text,
    /// With %XX for any byte.
    Percent,
    /// Standard base64.
    Base64,
}

/// A key and how it is written.
#[derive(Debug, Clone, clap::Args)]
pub struct KeyArgument {
    /// The key
    pub key: std::ffi::OsString,
    /// How the key is written
    #[arg(long, value_enum, default_value_t)]
    pub key_encoding: Encoding,
}

impl KeyArgument {
    /// The key's bytes.
    ///
    /// # Errors
    /// The text is not what its encoding says.
    pub fn bytes(&self) -> Result<Vec<u8>, CommandError> {
        use std::os::unix::ffi::OsStrExt;
        decode(self.key.as_bytes(), self.key_encoding)
    }
}

/// Reads a key.
///
/// # Errors
/// The text is not what its encoding says.
pub fn decode(text: &[u8], encoding: Encoding) -> Result<Vec<u8>, CommandError> {
    match encoding {
        Encoding::Text => Ok(text.to_vec()),
        Encoding::Percent => key_text::decode(text)
            .map(std::borrow::Cow::into_owned)
            .map_err(|error| CommandError::usage("the key is not percent-encoded").because(&error)),
        Encoding::Base64 => {
            STANDARD.decode(text).map_err(|error| CommandError::usage("the key is not base64").because(&error))
        }
    }
}

/// Writes a key; none if it cannot be written as plain text on one line.
#[must_use]
pub fn encode(bytes: &[u8], encoding: Encoding) -> Option<String> {
    match encoding {
        Encoding::Text => {
            std::str::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control)).map(str::to_owned)
        }
        Encoding::Percent => Some(key_text::encode(bytes)),
        Encoding::Base64 => Some(STANDARD.encode(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_come_back(bytes: Vec<u8>) {
            for encoding in [Encoding::Text, Encoding::Percent, Encoding::Base64] {
                if let Some(text) = encode(&bytes, encoding) {
                    prop_assert_eq!(&decode(text.as_bytes(), encoding).expect("decodes"), &bytes);
                }
            }
        }
    }

    #[test]
    fn bad_texts_are_usage_errors() {
        for (text, encoding) in [("%z", Encoding::Percent), ("a", Encoding::Base64)] {
            let error = decode(text.as_bytes(), encoding).expect_err("bad");
            assert_eq!(error.exit(), crate::exit_code::Exit::Usage);
        }
        assert_eq!(encode(b"a\nb", Encoding::Text), None);
    }
}
