//! Rust sources as the architecture test sees them: files, and text without comments, strings and test modules.
//!
//! A small scanner, not a parser: it knows enough of Rust's tokens to count braces and find paths. What it cannot
//! see (macros that make paths) our sources do not do.

use std::path::{Path, PathBuf};

/// A source file of the workspace.
pub(crate) struct Source {
    /// Path from the workspace, with `/`: `kvnode/src/peer/mod.rs`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments and literals blanked out, line for line.
    pub(crate) code: String,
}

/// All `.rs` files under the `src` folders of these crates.
pub(crate) fn all(crates: &[&str]) -> Vec<Source> {
    let folders: Vec<String> = crates.iter().map(|name| format!("{name}/src")).collect();
    in_folders(&folders, "rs")
}

/// All files with this extension under these folders of the workspace.
pub(crate) fn in_folders(folders: &[String], extension: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_owned();
    let mut paths = Vec::new();
    for folder in folders.iter().map(|folder| root.join(folder)).filter(|folder| folder.is_dir()) {
        collect(&folder, extension, &mut paths);
    }
    paths.sort();
    let source = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a readable source");
        let path = path.strip_prefix(&root).expect("inside").display().to_string();
        Source { path, code: blank(&text), text }
    };
    paths.into_iter().map(source).collect()
}

fn collect(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, extension, found);
        } else if path.extension().is_some_and(|other| other == extension) {
            found.push(path);
        }
    }
}

impl Source {
    /// A file that exists only in a test of the rules.
    pub(crate) fn imagined(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: blank(text) }
    }

    /// Whether it holds nothing but tests or measurements.
    pub(crate) fn is_test(&self) -> bool {
        let folders = ["/tests/", "/simulation/", "/benches/"];
        let inside = folders.iter().any(|folder| self.path.contains(folder));
        inside || self.path.ends_with("/tests.rs") || self.path.ends_with("_tests.rs")
    }

    /// Whether code outside of strings and comments says this, as a word or path of its own.
    pub(crate) fn says(&self, text: &str) -> bool {
        let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let code = self.shipped_code();
        code.match_indices(text)
            .any(|(at, _)| !joins(code[..at].chars().next_back()) && !joins(code[at + text.len()..].chars().next()))
    }

    /// Its code up to the first test item.
    pub(crate) fn shipped_code(&self) -> &str {
        self.code.split("#[cfg(test)]").next().unwrap_or_default()
    }

    /// The top-level module it belongs to: `peer` of `kvnode/src/peer/mod.rs`.
    pub(crate) fn module(&self) -> &str {
        let inside = self.path.split_once("/src/").map_or("", |(_, inside)| inside);
        inside.split_once('/').map_or_else(|| inside.trim_end_matches(".rs"), |(folder, _)| folder)
    }

    /// Modules between the crate's root and this file's own: 1 for `peer/mod.rs`, 2 for `peer/wire.rs`.
    fn depth(&self) -> usize {
        let inside = self.path.split_once("/src/").map_or("", |(_, inside)| inside);
        inside.trim_end_matches("/mod.rs").split('/').count()
    }

    /// Lines of code of each function, named.
    pub(crate) fn functions(&self) -> Vec<(String, usize)> {
        let mut found = Vec::new();
        for (at, _) in self.code.match_indices("fn ") {
            let before = self.code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let rest = &self.code[at + 3..];
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if let Some(body) = body(rest).filter(|_| !name.is_empty()) {
                let lines = body.lines().filter(|line| !line.trim().is_empty()).count();
                found.push((name, lines));
            }
        }
        found
    }

    /// Paths it uses inside its crate, from the crate's root: `protocol::id`, however they are written.
    pub(crate) fn own_paths(&self) -> Vec<String> {
        let code = self.shipped_code();
        let mut found = Vec::new();
        for (at, _) in code.match_indices("crate::") {
            expand("", &code[at + 7..], &mut found);
        }
        let outward = "super::".repeat(self.depth());
        for (at, _) in code.match_indices(&outward) {
            if !code[..at].ends_with("super::") {
                expand("", code[at + outward.len()..].trim_start_matches("super::"), &mut found);
            }
        }
        found
    }
}

/// From after `fn` to the end of its body; none for a declaration without one.
fn body(code: &str) -> Option<&str> {
    let open = code.find(['{', ';'])?;
    if code[open..].starts_with(';') && !inside_brackets(&code[..open]) {
        return None;
    }
    let mut depth = 0usize;
    for (at, character) in code.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(&code[..at]);
                }
            }
            _ => {}
        }
    }
    None
}

/// Whether a `;` here belongs to an array type such as `[u8; 32]`.
fn inside_brackets(code: &str) -> bool {
    code.matches('[').count() > code.matches(']').count()
}

/// The first two segments of a path, or of each path of a group: `a::{b, c::d}` gives `a::b` and `a::c`.
fn expand(prefix: &str, code: &str, found: &mut Vec<String>) {
    let join = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}::{name}") };
    let name: String = code.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if !name.is_empty() {
        let path = join(&name);
        return match code[name.len()..].strip_prefix("::") {
            Some(rest) if prefix.is_empty() => {
                let before = found.len();
                expand(&path, rest, found);
                if found.len() == before {
                    found.push(path);
                }
            }
            _ => found.push(path),
        };
    }
    let Some(group) = code.strip_prefix('{') else { return };
    let (mut depth, mut start) = (0usize, 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                expand(prefix, group[start..at].trim(), found);
                start = at + 1;
                if character == '}' {
                    return;
                }
            }
            _ => {}
        }
    }
}

/// Blanks comments, strings and characters, so that braces and words in them do not count.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = match &bytes[at..] {
            [b'/', b'/', ..] => text[at..].find('\n').map_or(bytes.len(), |length| at + length),
            [b'/', b'*', ..] => text[at..].find("*/").map_or(bytes.len(), |length| at + length + 2),
            [b'r', b'"', ..] | [b'r', b'#', b'"' | b'#', ..] if !follows_word(bytes, at) => raw_string_end(text, at),
            [b'"', ..] => quoted_end(bytes, at, b'"'),
            [b'\'', b'\\', ..] => quoted_end(bytes, at, b'\''),
            [b'\'', ..] => character_end(text, at),
            _ => at,
        };
        if end == at {
            let length = text[at..].chars().next().map_or(1, char::len_utf8);
            out.push_str(&text[at..at + length]);
            at += length;
        } else {
            out.extend(text[at..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

fn follows_word(bytes: &[u8], at: usize) -> bool {
    at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_') && bytes[at - 1] != b'b'
}

fn raw_string_end(text: &str, at: usize) -> usize {
    let hashes = text[at + 1..].bytes().take_while(|byte| *byte == b'#').count();
    let close = format!("\"{}", "#".repeat(hashes));
    let inside = at + 2 + hashes;
    text.get(inside..).and_then(|rest| rest.find(&close)).map_or(text.len(), |length| inside + length + close.len())
}

fn quoted_end(bytes: &[u8], at: usize, quote: u8) -> usize {
    let mut end = at + 1;
    while end < bytes.len() && bytes[end] != quote {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    (end + 1).min(bytes.len())
}

/// The end of `'x'`, or `at` if it is a lifetime.
fn character_end(text: &str, at: usize) -> usize {
    let mut characters = text[at + 1..].char_indices();
    match (characters.next(), characters.next()) {
        (Some(_), Some((length, '\''))) => at + 1 + length + 1,
        _ => at,
    }
}

#[test]
fn the_scanner_sees_what_it_should() {
    let text = r##"
use crate::{peer::{self, wire::X}, protocol::id::A};
use super::super::node::service;
// use crate::comment;
fn long(x: [u8; 3]) -> char { let a = "}"; let b = '{'; let c: &'static str = r#"}"#;
    b = '\''; b }
fn declared();
"##;
    let source = Source::imagined("kvnode/src/peer/a.rs", text);
    assert_eq!(
        source.own_paths(),
        ["peer::self", "peer::wire", "protocol::id", "node::service"].map(str::to_owned).to_vec()
    );
    assert_eq!(source.functions(), [("long".to_owned(), 2)]);
    assert_eq!((source.module(), source.depth()), ("peer", 2));
}
