//! "Did you mean": the nearest of a few known words, by edit distance (Levenshtein 1966).
//!
//! It only suggests; that the word is unknown was decided before, and nothing is ever taken for another.

/// The known word that `typed` most likely meant; none if all are too far.
pub(super) fn nearest<'a>(typed: &str, known: &[&'a str]) -> Option<&'a str> {
    // Two slips in a long word, one in a short one: more would suggest unrelated words.
    let allowed = if typed.len() > 4 { 2 } else { 1 };
    let candidates = known.iter().map(|word| (distance(typed, word), *word));
    candidates.filter(|(distance, _)| *distance <= allowed).min().map(|(_, word)| word)
}

fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in right.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_forgiven_and_strangers_are_not() {
        let known = ["cluster", "zones", "replicas"];
        for (typed, meant) in [
            ("replica", Some("replicas")),
            ("zone", Some("zones")),
            ("clutser", Some("cluster")),
            ("zoo", None),
            ("", None),
            ("provider", None),
        ] {
            assert_eq!(nearest(typed, &known), meant, "{typed}");
        }
    }
}
