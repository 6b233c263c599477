//! Data on standard output, everything else on standard error; a reader that goes away is no failure.

use std::io::Read;
use std::process::Stdio;

use crate::command::Home;

#[test]
fn json_is_one_document_on_standard_output() {
    let home = Home::new();
    for line in ["cluster plan -o json", "cluster list -o json", "context list -o json", "doctor -o json"] {
        let run = home.run(line);
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(&run.stdout);
        assert!(parsed.is_ok(), "{line}: {run}");
    }
}

#[test]
fn errors_leave_standard_output_empty() {
    let home = Home::new();
    for line in ["kv get x -o json", "cluster status -o json", "context use nobody", "nonsense"] {
        let run = home.run(line);
        assert_eq!(run.stdout, "", "{line}: {run}");
        assert!(run.stderr.starts_with("error: "), "{line}: {run}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let home = Home::new();
    let mut child = home.command("completions bash").stdout(Stdio::piped()).spawn().expect("kvctl runs");
    let mut stdout = child.stdout.take().expect("piped");
    let mut first = [0; 1];
    stdout.read_exact(&mut first).expect("it writes");
    drop(stdout);
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn shells_and_manuals_are_served() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let run = home.run(&format!("completions {shell}"));
        assert!(run.exit == 0 && run.stdout.contains("kvctl"), "{shell}: {run}");
    }
    let man = home.run("man");
    assert!(man.exit == 0 && man.stdout.contains(".TH kvctl"), "{man}");
}
