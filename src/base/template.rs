//! Small templates: text with `{placeholder}`s, split once at load.
//!
//! What may be named is decided by whoever compiles a template, as a type of his own: a placeholder without a value does not
//! get past the load.

use std::borrow::Cow;

/// How values are made safe for the text around them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// As they are.
    None,
    /// Inside a JSON string (RFC 8259 section 7).
    Json,
    /// Inside HTML or XML text or a quoted attribute.
    Markup,
}

/// What a placeholder stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning<F> {
    /// A value that is known at load.
    Now(Cow<'static, str>),
    /// A value that only a request knows.
    Later(F),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part<F> {
    Text(String),
    Field(F),
}

/// A template, split. `F` names the values that are put in later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template<F> {
    parts: Vec<Part<F>>,
    escape: Escape,
    /// Length of all text, to reserve.
    text: usize,
}

impl<F: Copy> Template<F> {
    /// Splits `text`. A brace that does not enclose a word of lower-case letters and `_` is text, so JSON can be written
    /// as it is.
    ///
    /// # Errors
    /// What `known` says of a word that is no placeholder.
    pub fn compile<E>(
        text: &str,
        escape: Escape,
        known: impl Fn(&str) -> Result<Meaning<F>, E>,
    ) -> Result<Template<F>, E> {
        let mut parts: Vec<Part<F>> = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (before, from_brace) = rest.split_at(open);
            literal.push_str(before);
            let after = from_brace.strip_prefix('{').unwrap_or_default();
            let word = after
                .find(|c: char| !(c.is_ascii_lowercase() || c == '_'))
                .unwrap_or(after.len());
            let (word, behind) = after.split_at(word);
            match behind.strip_prefix('}') {
                Some(behind) if !word.is_empty() => {
                    match known(word)? {
                        Meaning::Now(value) => literal.push_str(&escaped(&value, escape)),
                        Meaning::Later(field) => {
                            if !literal.is_empty() {
                                parts.push(Part::Text(std::mem::take(&mut literal)));
                            }
                            parts.push(Part::Field(field));
                        }
                    }
                    rest = behind;
                }
                _ => {
                    literal.push('{');
                    rest = after;
                }
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        let text = parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.len(),
                Part::Field(_) => 0,
            })
            .sum();
        Ok(Template { parts, escape, text })
    }

    /// The whole text, if nothing in it depends on the request.
    pub fn fixed(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The placeholder, if the template is one placeholder and nothing else.
    pub fn lone(&self) -> Option<F> {
        match self.parts.as_slice() {
            [Part::Field(field)] => Some(*field),
            _ => None,
        }
    }

    /// The placeholders, in order.
    pub fn fields(&self) -> impl Iterator<Item = F> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Field(field) => Some(*field),
        })
    }

    /// The text with its values, which are escaped here.
    pub fn fill<'v>(&self, value: impl Fn(F) -> Cow<'v, str>) -> String {
        let mut text = String::with_capacity(self.text + 64);
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Field(field) => text.push_str(&escaped(&value(*field), self.escape)),
            }
        }
        text
    }
}

/// `text` with what would end the place it is put into made harmless.
pub fn escaped(text: &str, escape: Escape) -> Cow<'_, str> {
    // Nearly every value of a refusal is plain ASCII, and a refusal should cost little. Each byte is looked at, without a branch,
    // so that many are looked at at once.
    let odd = |odd, byte: &u8| odd | u8::from(*byte >= 0x80) | u8::from(needs(char::from(*byte), escape));
    if text.as_bytes().iter().fold(0_u8, odd) == 0 || !text.contains(|character| needs(character, escape)) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match (escape, character) {
            (_, plain) if !needs(plain, escape) => safe.push(plain),
            (Escape::Json, '"') => safe.push_str("\\\""),
            (Escape::Json, '\\') => safe.push_str("\\\\"),
            (Escape::Json, other) => safe.push_str(&format!("\\u{:04x}", u32::from(other))),
            (_, other) => safe.push_str(&format!("&#{};", u32::from(other))),
        }
    }
    Cow::Owned(safe)
}

/// Does a character end the place, or do worse there?
fn needs(character: char, escape: Escape) -> bool {
    let markup = (character == '<') | (character == '>') | (character == '&') | (character == '"');
    match escape {
        Escape::None => false,
        // `<`, `>` and `&` need no escape in JSON; they get one in case a browser is told that it is something else.
        Escape::Json => {
            markup
                | (character < ' ')
                | (character == '\\')
                | matches!(character, '\u{7f}' | '\u{2028}' | '\u{2029}')
        }
        Escape::Markup => markup | (character == '\''),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compiled(text: &str) -> Result<Template<char>, String> {
        Template::compile(text, Escape::Json, |word| match word {
            "now" => Ok(Meaning::Now("\"now\"".into())),
            "a" => Ok(Meaning::Later('a')),
            other => Err(other.to_owned()),
        })
    }

    #[test]
    fn braces_around_anything_but_a_word_are_text() {
        for text in [
            "{\"a\":{\"b\":{}}}",
            "{ code }",
            "{Code}",
            "{",
            "}{",
            "{code",
            "{a1}",
        ] {
            assert_eq!(compiled(text).unwrap().fixed(), Some(text), "{text}");
        }
    }

    #[test]
    fn a_word_is_put_in_now_or_later_or_is_an_error() {
        assert_eq!(compiled("[{now}]").unwrap().fixed(), Some("[\\\"now\\\"]"));
        assert_eq!(compiled("{b}"), Err("b".to_owned()));
        let template = compiled("<{a}{a}>").unwrap();
        assert_eq!(template.fill(|field| field.to_string().into()), "<aa>");
        assert_eq!((template.lone(), template.fields().count()), (None, 2));
        assert_eq!(compiled("{a}").unwrap().lone(), Some('a'));
    }

    #[test]
    fn a_character_that_needs_an_escape_is_seen_in_its_bytes() {
        for escape in [Escape::Json, Escape::Markup] {
            for character in '\0'..=char::MAX {
                let text = format!("plain{character}text");
                if escaped(&text, escape) != text {
                    continue;
                }
                // Not escaped: so it is none of those that end a string, a tag or an attribute.
                assert!(!matches!(character, '"' | '<' | '>' | '&'), "{character:?}");
                assert!(escape != Escape::Json || (character >= ' ' && character != '\\'));
                assert!(escape != Escape::Markup || character != '\'');
            }
        }
    }

    #[test]
    fn markup_is_escaped_where_the_text_is_markup() {
        assert_eq!(
            escaped("<a href='\"'>&", Escape::Markup),
            "&#60;a href=&#39;&#34;&#39;&#62;&#38;"
        );
        assert_eq!(escaped("<>", Escape::None), "<>");
    }

    proptest! {
        #[test]
        fn what_is_put_into_json_comes_out_again(text in any::<String>()) {
            let json = format!("\"{}\"", escaped(&text, Escape::Json));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn a_template_of_text_alone_is_that_text(text in "[{}A-Z\" ]{0,40}") {
            let template = compiled(&text).unwrap();
            prop_assert_eq!(template.fixed(), Some(text.as_str()));
        }
    }
}
