//! Just enough XML to look into a service's answer: elements with text. Attributes and prefixes are dropped.
//!
//! It does not validate, and answers `None` to what it does not understand.

/// An element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    /// The first child of a name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The element at a path of names separated by `/`.
    pub(crate) fn at(&self, path: &str) -> Option<&Self> {
        path.split('/').try_fold(self, |element, name| element.child(name))
    }

    /// The text at a path; empty if there is none.
    pub(crate) fn text_at(&self, path: &str) -> &str {
        self.at(path).map_or("", |element| element.text.as_str())
    }

    /// The elements of the list at a path: its children, whatever they are called (`item`, `member`).
    pub(crate) fn list(&self, path: &str) -> &[Self] {
        self.at(path).map_or(&[], |element| &element.children)
    }

    /// The first element of a name at any depth.
    pub(crate) fn find(&self, name: &str) -> Option<&Self> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(name))
    }
}

/// Reads a document's root element.
pub(crate) fn parse(text: &str) -> Option<Element> {
    let mut open: Vec<Element> = Vec::new();
    let mut rest = text;
    loop {
        let start = rest.find('<')?;
        if let Some(top) = open.last_mut() {
            top.text.push_str(&unescape(rest[..start].trim()));
        }
        rest = &rest[start..];
        if rest.starts_with("<!--") {
            rest = &rest[rest.find("-->")? + 3..];
            continue;
        }
        let end = rest.find('>')?;
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        if tag.starts_with(['?', '!']) {
            continue;
        }
        let closed = match tag.strip_prefix('/') {
            Some(_) => open.pop()?,
            None => {
                let name = tag.split([' ', '/', '\n']).next()?.rsplit(':').next()?.to_owned();
                let element = Element { name, ..Element::default() };
                if !tag.ends_with('/') {
                    open.push(element);
                    continue;
                }
                element
            }
        };
        match open.last_mut() {
            Some(parent) => parent.children.push(closed),
            None => return Some(closed),
        }
    }
}

fn unescape(text: &str) -> String {
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#34;", "\""), ("&apos;", "'"), ("&#39;", "'")];
    let text = named.iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character));
    text.replace("&amp;", "&")
}

#[test]
fn elements_lists_and_entities_are_read() {
    let text = r#"<?xml version="1.0"?><a:Root xmlns="x"><set><item><id>1</id></item><item><id>2 &amp; 3</id></item>
        <!-- no > item --></set><empty/></a:Root>"#;
    let root = parse(text).expect("a document");
    assert_eq!(root.name, "Root");
    let ids: Vec<&str> = root.list("set").iter().map(|item| item.text_at("id")).collect();
    assert_eq!(ids, ["1", "2 & 3"]);
    assert_eq!(root.text_at("empty"), "");
    assert_eq!(root.find("id").map(|id| id.text.as_str()), Some("1"));
}

#[test]
fn what_is_not_xml_is_nothing() {
    for text in ["", "not found", "<a>", "<a><b></b>", "</a>"] {
        assert_eq!(parse(text), None, "{text}");
    }
}
