//! XML elements as values. Everything that comes from outside is escaped where it is written, and nowhere else.
// Numbers, ids and borrowed text alike are handed over as they are.
#![allow(clippy::needless_pass_by_value)]

use quick_xml::{
    Writer,
    events::{BytesEnd, BytesStart, BytesText, Event},
};

/// An element with its attributes and its content.
#[derive(Debug, Clone)]
pub struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Children(Vec<Element>),
    Text(String),
}

impl Element {
    /// An empty element.
    pub fn new(name: &'static str) -> Self {
        Self { name, attributes: Vec::new(), content: Content::Children(Vec::new()) }
    }

    /// An element that holds only text.
    pub fn text(name: &'static str, text: impl ToString) -> Self {
        Self { name, attributes: Vec::new(), content: Content::Text(text.to_string()) }
    }

    /// With one more attribute.
    pub fn attr(mut self, name: &'static str, value: impl ToString) -> Self {
        self.attributes.push((name, value.to_string()));
        self
    }

    /// With one more child.
    pub fn child(self, child: Element) -> Self {
        self.children([child])
    }

    /// With more children; an `Option` is none or one.
    pub fn children(mut self, more: impl IntoIterator<Item = Element>) -> Self {
        match &mut self.content {
            Content::Children(children) => children.extend(more),
            Content::Text(_) => self.content = Content::Children(more.into_iter().collect()),
        }
        self
    }

    /// The document with this root, indented for people to read.
    pub fn to_document(&self) -> std::io::Result<String> {
        let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
        self.write(&mut writer)?;
        String::from_utf8(writer.into_inner()).map_err(std::io::Error::other)
    }

    fn write(&self, writer: &mut Writer<Vec<u8>>) -> std::io::Result<()> {
        let start = BytesStart::new(self.name)
            .with_attributes(self.attributes.iter().map(|(name, value)| (*name, value.as_str())));
        match &self.content {
            Content::Children(children) if children.is_empty() => return writer.write_event(Event::Empty(start)),
            Content::Children(children) => {
                writer.write_event(Event::Start(start))?;
                children.iter().try_for_each(|child| child.write(writer))?;
            }
            Content::Text(text) => {
                writer.write_event(Event::Start(start))?;
                writer.write_event(Event::Text(BytesText::new(text)))?;
            }
        }
        writer.write_event(Event::End(BytesEnd::new(self.name)))
    }
}

/// Whether XML 1.0 can carry the character at all; most control characters cannot even be escaped.
pub fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_values_stays_text() {
        let nasty = r#"</name><evil a="b" c='d'>&amp;"#;
        let document =
            Element::new("domain").attr("title", nasty).child(Element::text("name", nasty)).to_document().unwrap();
        let read = roxmltree::Document::parse(&document).unwrap();
        assert_eq!(read.root_element().attribute("title"), Some(nasty));
        assert_eq!(read.root_element().first_element_child().unwrap().text(), Some(nasty));
    }

    proptest::proptest! {
        #[test]
        fn every_allowed_text_is_read_as_it_was_written(text in "[^\\s\\p{Cc}]{1,40}") {
            let text: String = text.chars().filter(|c| is_allowed(*c)).collect();
            let document = Element::new("a").attr("b", &text).child(Element::text("c", &text)).to_document().unwrap();
            let read = roxmltree::Document::parse(&document).unwrap();
            proptest::prop_assert_eq!(read.root_element().attribute("b"), Some(text.as_str()));
            proptest::prop_assert_eq!(read.root_element().first_element_child().unwrap().text().unwrap_or(""), text.as_str());
        }
    }
}
