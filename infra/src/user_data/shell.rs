//! Text as one word of a shell: nothing in it means anything to the shell.
//!
//! Single quotes, inside which no character is special but the quote itself. A NUL cannot be in a shell's words and
//! is dropped; typed names never hold one.

/// A word that a POSIX shell reads as exactly this text.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for letter in text.chars().filter(|letter| *letter != '\0') {
        match letter {
            '\'' => quoted.push_str(r"'\''"),
            other => quoted.push(other),
        }
    }
    quoted.push('\'');
    quoted
}
