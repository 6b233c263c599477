//! Bearer tokens and the file that holds their hashes.
//!
//! A token is `kv_<role>_<43 base64url characters>`: 256 random bits, so a plain SHA-256 is enough to store (there
//! is nothing to guess, and a slow hash would cost every request). The file has a line `role name sha256-hex` per
//! token; blank lines and lines that begin with `#` are skipped. It never holds a token itself. Random bits are
//! the caller's; reading and writing the file too.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Most tokens in one file: every request compares with each.
pub const MAX_TOKENS: usize = 256;
/// Longest name of a token in characters.
pub const MAX_NAME: usize = 63;

/// What a token may do; each role may also do all that the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Read keys, cluster views and metrics.
    Read,
    /// Write and delete keys.
    Write,
    /// Everything.
    Admin,
}

impl Role {
    /// All roles, least first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// Its name in tokens, files and errors.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// Reads a name back.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A secret that a client shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token from 32 bytes that the caller drew from a cryptographic source.
    #[must_use]
    pub fn from_random(role: Role, random: [u8; 32]) -> Self {
        Self(format!("kv_{role}_{}", URL_SAFE_NO_PAD.encode(random)))
    }

    /// The text to hand to its user. Not for logs.
    #[must_use]
    pub fn secret_text(&self) -> &str {
        &self.0
    }

    /// What a server keeps of it.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.0.as_bytes())
    }
}

impl fmt::Debug for Token {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// SHA-256 of a token's text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Hashes whatever a client presented.
    #[must_use]
    pub fn of(presented: &[u8]) -> Self {
        Self(Sha256::digest(presented).into())
    }

    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(hash))
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it may do.
    pub role: Role,
    /// Whose it is: 1 to 63 of a-z, A-Z, 0-9, `.`, `_`, `-`; unique in the file.
    pub name: String,
    /// What is kept of the token.
    pub hash: TokenHash,
}

impl fmt::Display for Entry {
    /// The line, without its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.role, self.name, self.hash)
    }
}

/// Why a token file was refused: none of it is used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ParseError {
    /// Line number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: LineError,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Not three words.
    #[error("expected three words, role name sha256-hex, found {found}")]
    Words {
        /// Words found.
        found: usize,
    },
    /// Not a role.
    #[error("the role must be read, write or admin")]
    Role,
    /// Not a name.
    #[error("the name must have 1 to {MAX_NAME} of a-z, A-Z, 0-9, '.', '_', '-'")]
    Name,
    /// A name given before.
    #[error("the name {name} stands on line {line} too")]
    DuplicateName {
        /// The name.
        name: String,
        /// Where it stands first.
        line: usize,
    },
    /// Not a hash.
    #[error("the hash must be 64 hexadecimal digits (the SHA-256 of the token, never the token itself)")]
    Hash,
    /// Past [`MAX_TOKENS`].
    #[error("more than {MAX_TOKENS} tokens")]
    TooMany,
}

/// The tokens that a node accepts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    entries: Vec<Entry>,
}

impl Tokens {
    /// Reads a whole file; the first bad line refuses it.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut lines = Vec::new();
        for (index, content) in text.lines().enumerate() {
            let content = content.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let line = index + 1;
            let entry = parse_line(content).map_err(|reason| ParseError { line, reason })?;
            if let Some(first) = entries.iter().position(|other| other.name == entry.name) {
                let reason = LineError::DuplicateName { name: entry.name, line: lines[first] };
                return Err(ParseError { line, reason });
            }
            if entries.len() == MAX_TOKENS {
                return Err(ParseError { line, reason: LineError::TooMany });
            }
            entries.push(entry);
            lines.push(line);
        }
        Ok(Self { entries })
    }

    /// The entries, in the order of the file.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The role of a presented token. Takes the same time whichever entry matches, or none.
    #[must_use]
    pub fn role_of(&self, presented: &[u8]) -> Option<Role> {
        let hash = TokenHash::of(presented);
        let mut found = None;
        for entry in &self.entries {
            if bool::from(entry.hash.0.ct_eq(&hash.0)) {
                found = Some(entry.role);
            }
        }
        found
    }
}

fn parse_line(content: &str) -> Result<Entry, LineError> {
    let words: Vec<&str> = content.split_ascii_whitespace().collect();
    let &[role, name, hash] = words.as_slice() else {
        return Err(LineError::Words { found: words.len() });
    };
    let role = Role::from_name(role).ok_or(LineError::Role)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.len() > MAX_NAME || !name.bytes().all(plain) {
        return Err(LineError::Name);
    }
    let hash = TokenHash::from_hex(hash).ok_or(LineError::Hash)?;
    Ok(Entry { role, name: name.to_owned(), hash })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(role: Role, name: &str, seed: u8) -> (Token, Entry) {
        let token = Token::from_random(role, [seed; 32]);
        let entry = Entry { role, name: name.to_owned(), hash: token.hash() };
        (token, entry)
    }

    #[test]
    fn a_token_opens_what_its_line_says_and_nothing_else() {
        let (admin, admin_line) = entry(Role::Admin, "ops", 1);
        let (reader, reader_line) = entry(Role::Read, "dash.board_1", 2);
        let tokens = Tokens::parse(&format!("# who\n\n{admin_line}\n  {reader_line}\r\n")).expect("valid file");
        assert_eq!(tokens.role_of(admin.secret_text().as_bytes()), Some(Role::Admin));
        assert_eq!(tokens.role_of(reader.secret_text().as_bytes()), Some(Role::Read));
        assert_eq!(tokens.role_of(b"kv_admin_x"), None);
        assert_eq!(tokens.role_of(b""), None);
        assert_eq!(admin.secret_text().len(), "kv_admin_".len() + 43);
    }

    #[test]
    fn a_bad_file_names_its_line() {
        fn check(text: &str, expected: &str) {
            assert_eq!(Tokens::parse(text).map_err(|error| error.to_string()), Err(expected.to_owned()), "{text}");
        }
        let hash = "0".repeat(64);
        check("admin ops", "line 1: expected three words, role name sha256-hex, found 2");
        check(&format!("\n# x\nroot ops {hash}"), "line 3: the role must be read, write or admin");
        check(&format!("read o*s {hash}"), "line 1: the name must have 1 to 63 of a-z, A-Z, 0-9, '.', '_', '-'");
        check(
            "read ops kv_read_abc",
            "line 1: the hash must be 64 hexadecimal digits (the SHA-256 of the token, never the token itself)",
        );
        check(
            &format!("read ops +{}", "0".repeat(63)),
            "line 1: the hash must be 64 hexadecimal digits (the SHA-256 of the token, never the token itself)",
        );
        check(&format!("read a {hash}\n\nadmin a {hash}"), "line 3: the name a stands on line 1 too");
        let many: String = (0..=MAX_TOKENS).map(|number| format!("read n{number} {hash}\n")).collect();
        check(&many, "line 257: more than 256 tokens");
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let (token, line) = entry(Role::Write, "app", 3);
        insta::assert_snapshot!(format!("{token:?} {line:?}"), @r#"Token(…) Entry { role: Write, name: "app", hash: TokenHash(…) }"#);
    }
}
