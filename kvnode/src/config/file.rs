//! The configuration file: TOML, one flat table, keys named like the flags. Unknown keys and wrong types are errors
//! with line and column, all reported together.
//!
//! It gives values no meaning (`parse` does) and reads no file itself.

use toml_edit::{Document, Item, Value};

use super::flags::SETTINGS;
use super::raw::{ConfigError, Place, RawSettings};

/// Reads a file's text into settings; errors are appended, good keys are kept.
pub fn collect(path: &str, text: &str, settings: &mut RawSettings, errors: &mut Vec<ConfigError>) {
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let offset = error.span().map_or(0, |span| span.start);
            let problem = error.message().trim().replace('\n', "; ");
            errors.push(ConfigError { place: place(path, text, offset), setting: "TOML".to_owned(), problem });
            return;
        }
    };
    for (name, item) in document.as_table().iter() {
        let offset = document.as_table().key(name).and_then(toml_edit::Key::span).map_or(0, |span| span.start);
        let place = place(path, text, offset);
        match read(name, item) {
            Ok((setting, texts)) => settings.set(setting, texts, place),
            Err(problem) => errors.push(ConfigError { place, setting: name.to_owned(), problem }),
        }
    }
}

fn read(name: &str, item: &Item) -> Result<(&'static str, Vec<String>), String> {
    let Some((setting, is_list)) = SETTINGS.iter().find(|(setting, _)| *setting == name) else {
        return Err(match nearest(name) {
            Some(nearest) => format!("no such setting; did you mean {nearest}?"),
            None => "no such setting; kvnode --help lists them".to_owned(),
        });
    };
    let value = item.as_value().ok_or_else(|| "expected a value, found a table".to_owned())?;
    if *is_list {
        let array = value.as_array().ok_or_else(|| "expected a list of strings, [\"…\"]".to_owned())?;
        let texts: Option<Vec<String>> = array.iter().map(|entry| entry.as_str().map(str::to_owned)).collect();
        return texts.map(|texts| (*setting, texts)).ok_or_else(|| "expected a list of strings, [\"…\"]".to_owned());
    }
    match value {
        Value::String(text) => Ok((setting, vec![text.value().clone()])),
        Value::Integer(number) => Ok((setting, vec![number.value().to_string()])),
        _ => Err("expected a string or a whole number".to_owned()),
    }
}

/// The setting closest to a mistyped name, if it is close.
fn nearest(name: &str) -> Option<&'static str> {
    let name = name.replace('_', "-");
    let (distance, setting) = SETTINGS.iter().map(|(setting, _)| (distance(&name, setting), *setting)).min()?;
    (distance <= 3).then_some(setting)
}

/// Levenshtein distance, row by row.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, found) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, wanted) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(found != *wanted);
            diagonal = row[column + 1];
            row[column + 1] = substituted.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

fn place(path: &str, text: &str, offset: usize) -> Place {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    Place::File { path: path.to_owned(), line, column }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> (RawSettings, String) {
        let (mut settings, mut errors) = (RawSettings::default(), Vec::new());
        collect("kvnode.toml", text, &mut settings, &mut errors);
        (settings, errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn good_keys_are_read_with_their_place() {
        let (settings, errors) = check("name = \"a1\"\nreplicas = 3\njoin = [\"h:1\", \"i:2\"]\n");
        assert_eq!(errors, "");
        let join = settings.get("join").expect("given");
        assert_eq!(join.texts, ["h:1", "i:2"]);
        assert_eq!(join.place.to_string(), "kvnode.toml:3:1");
        assert_eq!(settings.get("replicas").expect("given").texts, ["3"]);
    }

    #[test]
    fn all_errors_come_at_once_with_their_place() {
        let (_, errors) = check("nmae = \"a1\"\nreplicas = [3]\njoin = \"x\"\nqqqqqqqqqqqq = 1\n[zone]\n");
        insta::assert_snapshot!(errors, @r#"
        kvnode.toml:1:1: nmae: no such setting; did you mean name?
        kvnode.toml:2:1: replicas: expected a string or a whole number
        kvnode.toml:3:1: join: expected a list of strings, ["…"]
        kvnode.toml:4:1: qqqqqqqqqqqq: no such setting; kvnode --help lists them
        kvnode.toml:5:2: zone: expected a value, found a table
        "#);
    }

    #[test]
    fn a_syntax_error_has_its_place() {
        let (_, errors) = check("name = \"a1\"\nzone == 3\n");
        assert!(errors.starts_with("kvnode.toml:2:7: TOML: "), "{errors}");
    }
}
