//! `kv` through a real cluster: any bytes as values and keys come back as they were, by every way in and out.
//!
//! Streams and files are compared as bytes; nothing may add an end of line or take a byte for text.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::{Output, Stdio};

use super::local::Local;

/// Every byte, and some that end lines or streams once more at the end.
fn all_bytes() -> Vec<u8> {
    (0..=u8::MAX).chain(*b"\r\n\0\x1a\n").collect()
}

fn run_with_input(local: &Local, line: &str, input: &[u8]) -> Output {
    let mut command = local.command(line);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("kvctl runs");
    child.stdin.take().expect("piped").write_all(input).expect("it reads");
    child.wait_with_output().expect("it ends")
}

fn stdout(local: &Local, line: &str) -> Vec<u8> {
    let output = local.command(line).output().expect("kvctl runs");
    assert!(output.status.success(), "kvctl {line}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn values_of_any_bytes_come_back_by_every_way() {
    let local = Local::started();
    let (given, taken) = (local.path("given"), local.path("taken"));
    for value in [all_bytes(), Vec::new(), b"\n".to_vec(), vec![0; 70_000]] {
        let length = value.len();
        std::fs::write(&given, &value).expect("written");
        let put = run_with_input(&local, "kv put by-stream -", &value);
        assert!(put.status.success() && put.stdout.is_empty(), "{}", String::from_utf8_lossy(&put.stderr));
        local.succeeds("-q kv put by-file --file given");
        for key in ["by-stream", "by-file"] {
            assert!(stdout(&local, &format!("kv get {key}")) == value, "{key} of {length} bytes differs");
            assert_eq!(stdout(&local, &format!("kv get {key} --file taken")), b"");
            assert!(std::fs::read(&taken).expect("written") == value, "{key} of {length} bytes differs in the file");
        }
    }
}

#[test]
fn keys_of_any_bytes_are_told_apart() {
    let local = Local::started();
    // The same key in both encodings; a slash, a percent sign, an end of line, what is no UTF-8, and ends of ranges.
    let keys =
        [("a%2Fb", "YS9i"), ("%25", "JQ=="), ("%0A", "Cg=="), ("%FF%FE", "//4="), ("%00", "AA=="), ("%20", "IA==")];
    for (percent, base64) in keys {
        local.succeeds(&format!("-q kv put --key-encoding percent {percent} of-{percent}"));
        let read = local.succeeds(&format!("kv get --key-encoding base64 {base64}"));
        assert_eq!(read, format!("of-{percent}"));
    }
    let mut raw = local.command("kv get");
    let read = raw.arg(OsStr::from_bytes(b"\xff\xfe")).output().expect("kvctl runs");
    assert_eq!(read.stdout, b"of-%FF%FE", "{}", String::from_utf8_lossy(&read.stderr));
    let listed = local.succeeds("kv list --key-encoding base64");
    assert_eq!(listed.lines().collect::<Vec<_>>(), ["AA==", "Cg==", "IA==", "JQ==", "YS9i", "//4="], "in byte order");
    let run = local.run("kv list");
    assert!(run.exit == 0 && run.stderr.contains("3 keys are no plain text"), "{run}");
    for (percent, _) in keys {
        local.succeeds(&format!("-q kv delete --key-encoding percent {percent}"));
    }
    assert_eq!(local.succeeds("kv list"), "");
}

#[test]
fn what_is_not_there_is_told_and_deleting_it_is_no_error() {
    let local = Local::started();
    let run = local.run("kv get nothing");
    insta::assert_snapshot!(run, @r"
    error: there is no key nothing
    exit 1
    ");
    std::fs::write(local.path("kept"), "old").expect("written");
    local.exits(1, "kv get nothing --file kept");
    assert_eq!(std::fs::read_to_string(local.path("kept")).ok().as_deref(), Some("old"));
    let first = local.json(0, "kv put some thing");
    assert_eq!((&first["key"], &first["created"]), (&"some".into(), &true.into()), "{first}");
    assert_eq!(local.json(0, "kv put some thing-else")["created"], false);
    for _ in 0..2 {
        local.succeeds("-q kv delete some");
        local.exits(1, "kv get some");
    }
    local.exits(1, "kv put some --file nowhere");
    local.exits(2, "kv put --key-encoding percent %zz value");
}

#[test]
fn lists_are_in_order_and_bounded_by_what_was_asked() {
    let local = Local::started();
    for key in ["a/1", "a/2", "a/3", "b"] {
        local.succeeds(&format!("-q kv put {key} value"));
    }
    for (options, expected) in [
        ("", &["a/1", "a/2", "a/3", "b"][..]),
        ("a/", &["a/1", "a/2", "a/3"]),
        ("--start a/2 --end b", &["a/2", "a/3"]),
        ("--limit 1", &["a/1"]),
        ("c", &[]),
    ] {
        let listed = local.succeeds(&format!("kv list {options}"));
        assert_eq!(listed.lines().collect::<Vec<_>>(), expected, "{options}");
    }
    let items = local.json(0, "kv list a/ --values --limit 1");
    assert_eq!(items.as_array().map(Vec::len), Some(1), "{items}");
    assert!(items.to_string().contains("dmFsdWU="), "the value in base64: {items}");
    assert!(local.exits(2, "kv list --values").contains("-o jsonl"));
}
