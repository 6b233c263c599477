//! Where each value of a YAML text stands: path to line number.
//!
//! Exact for block style, which is what people write and what `render` makes. A value inside a flow collection
//! (`[a, b]`) or a block scalar is found at the line of its nearest ancestor that has one. It judges nothing.

use std::collections::BTreeMap;

/// Line numbers (from 1) by path, for example `zones[1].name`.
pub(super) struct Lines(BTreeMap<String, usize>);

enum Frame {
    Key { indent: usize, path: String },
    Item { indent: usize, parent: String, index: usize },
}

impl Frame {
    fn indent(&self) -> usize {
        match self {
            Self::Key { indent, .. } | Self::Item { indent, .. } => *indent,
        }
    }

    fn path(&self) -> String {
        match self {
            Self::Key { path, .. } => path.clone(),
            Self::Item { parent, index, .. } => format!("{parent}[{index}]"),
        }
    }
}

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        let mut found = BTreeMap::new();
        let mut stack: Vec<Frame> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let trimmed = line.trim_start_matches(' ');
            let mut indent = line.len() - trimmed.len();
            let mut rest = trimmed.trim_end();
            if rest.is_empty() || rest.starts_with('#') || rest == "---" {
                continue;
            }
            while let Some(inner) = rest.strip_prefix('-').filter(|inner| inner.is_empty() || inner.starts_with(' ')) {
                enter_item(&mut stack, indent);
                found.entry(top(&stack)).or_insert(number + 1);
                let content = inner.trim_start_matches(' ');
                indent += 1 + (inner.len() - content.len());
                rest = content;
            }
            if let Some(key) = key_of(rest) {
                enter_key(&mut stack, indent, key);
                found.entry(top(&stack)).or_insert(number + 1);
            }
        }
        Self(found)
    }

    /// The line of a value, or of its nearest ancestor; 0 if there is none.
    pub(super) fn line(&self, path: &str) -> usize {
        let mut path = path;
        loop {
            if let Some(line) = self.0.get(path) {
                return *line;
            }
            match path.rfind(['.', '[']) {
                Some(cut) => path = &path[..cut],
                None => return 0,
            }
        }
    }
}

fn top(stack: &[Frame]) -> String {
    stack.last().map(Frame::path).unwrap_or_default()
}

fn enter_item(stack: &mut Vec<Frame>, indent: usize) {
    while stack.last().is_some_and(|frame| frame.indent() > indent) {
        stack.pop();
    }
    match stack.last_mut() {
        Some(Frame::Item { indent: at, index, .. }) if *at == indent => *index += 1,
        // A list may stand at the same indent as the key that holds it.
        _ => stack.push(Frame::Item { indent, parent: top(stack), index: 0 }),
    }
}

fn enter_key(stack: &mut Vec<Frame>, indent: usize, key: &str) {
    while stack.last().is_some_and(|frame| frame.indent() >= indent) {
        stack.pop();
    }
    let parent = top(stack);
    let path = if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") };
    stack.push(Frame::Key { indent, path });
}

fn key_of(content: &str) -> Option<&str> {
    let end = match content.find(": ") {
        Some(end) => end,
        None => content.strip_suffix(':')?.len(),
    };
    Some(content[..end].trim().trim_matches(['"', '\'']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_values_are_found_and_others_fall_to_their_ancestor() {
        let text =
            "# head\ncluster: x\nzones:\n- a\n- name: b\n  nodes: 2\nports:\n  api: 1\n  peer: 2\nflow: [1, 2]\n";
        let lines = Lines::of(text);
        for (path, line) in [
            ("cluster", 2),
            ("zones", 3),
            ("zones[0]", 4),
            ("zones[1]", 5),
            ("zones[1].name", 5),
            ("zones[1].nodes", 6),
            ("ports.peer", 9),
            ("flow[1]", 10),
            ("zones[0].nodes", 4),
            ("absent", 0),
        ] {
            assert_eq!(lines.line(path), line, "{path}");
        }
    }

    #[test]
    fn indented_lists_are_found_too() {
        let lines = Lines::of("zones:\n    - name: a\n      nodes: 1\n\n    - nodes: 3\n      name: b\nreplicas: 3\n");
        assert_eq!(
            ["zones[0].nodes", "zones[1]", "zones[1].name", "replicas"].map(|path| lines.line(path)),
            [3, 5, 6, 7]
        );
    }
}
