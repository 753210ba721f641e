//! Path patterns of routes: `/literal/{capture}/{*rest}`.
//!
//! A capture is one whole segment that is not empty. A tail comes last and takes what is left, slashes included; it may
//! be empty: `/a/{*rest}` matches `/a/` and not `/a`. A slash at the end means something. Literals are written in the
//! normal form of [`super::path`], since that is what they are compared with.

use super::path;

/// Captures of one pattern at most (a tail counts): they are kept in a fixed place while a request is answered.
pub const MAX_CAPTURES: usize = 16;

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It does not begin with `/`.
    #[error("must begin with `/`")]
    Relative,
    /// An empty segment that is not the last one.
    #[error("has an empty segment (`//`)")]
    EmptySegment,
    /// A brace, or a star outside `{*name}`, in a segment that is no capture.
    #[error("`{0}` is no segment; a capture is a whole segment, `{{name}}`, and a tail is `{{*name}}`")]
    Segment(String),
    /// A capture's name is no identifier.
    #[error("`{0}` is no capture name; use letters, digits and `_`, not beginning with a digit")]
    Name(String),
    /// The same name twice.
    #[error("has the capture `{0}` twice")]
    RepeatedName(String),
    /// A tail that is not the last segment.
    #[error("the tail `{{*{0}}}` must be the last segment")]
    TailNotLast(String),
    /// A literal that no path in normal form can be equal to.
    #[error("the segment `{found}` can never match; write `{normal}`")]
    NotNormal {
        /// The literal.
        found: String,
        /// Its normal form.
        normal: String,
    },
    /// A literal that has no normal form, or that lenient servers read as another.
    #[error("the segment `{0}` is read in different ways by different servers and is refused in requests")]
    Ambiguous(String),
    /// More than [`MAX_CAPTURES`].
    #[error("has more than {MAX_CAPTURES} captures")]
    TooManyCaptures,
}

/// One segment of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Equal bytes.
    Literal(String),
    /// Any segment that is not empty.
    Capture(String),
    /// Everything that is left.
    Tail(String),
}

/// A pattern that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// Its segments, at least one. `/` is one empty literal.
    pub segments: Vec<Segment>,
}

impl Pattern {
    /// Does `path`, in normal form, match?
    pub fn matches(&self, path: &str) -> bool {
        let Some(mut rest) = path.strip_prefix('/') else {
            return false;
        };
        let mut segments = self.segments.iter().peekable();
        while let Some(segment) = segments.next() {
            if let Segment::Tail(_) = segment {
                return true;
            }
            let (part, after) = match rest.split_once('/') {
                Some((part, after)) => (part, Some(after)),
                None => (rest, None),
            };
            let fits = match segment {
                Segment::Literal(literal) => literal == part,
                Segment::Capture(_) | Segment::Tail(_) => !part.is_empty(),
            };
            match (fits, after, segments.peek()) {
                (false, _, _) => return false,
                (true, Some(after), Some(_)) => rest = after,
                (true, None, None) => return true,
                (true, _, _) => return false,
            }
        }
        false
    }

    /// Reads a pattern.
    ///
    /// # Errors
    /// [`PatternError`], as a sentence that continues "the path …".
    pub fn parse(text: &str) -> Result<Pattern, PatternError> {
        let rest = text.strip_prefix('/').ok_or(PatternError::Relative)?;
        let mut segments = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        let mut parts = rest.split('/').peekable();
        while let Some(part) = parts.next() {
            let is_last = parts.peek().is_none();
            let inside = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
            let segment = match inside {
                Some(inside) => {
                    let (name, is_tail) = match inside.strip_prefix('*') {
                        Some(name) => (name, true),
                        None => (inside, false),
                    };
                    check_name(name)?;
                    if names.contains(&name) {
                        return Err(PatternError::RepeatedName(name.to_owned()));
                    }
                    names.push(name);
                    if is_tail && !is_last {
                        return Err(PatternError::TailNotLast(name.to_owned()));
                    }
                    let name = name.to_owned();
                    if is_tail {
                        Segment::Tail(name)
                    } else {
                        Segment::Capture(name)
                    }
                }
                None => {
                    check_literal(part, is_last)?;
                    Segment::Literal(part.to_owned())
                }
            };
            segments.push(segment);
        }
        if names.len() > MAX_CAPTURES {
            return Err(PatternError::TooManyCaptures);
        }
        Ok(Pattern { segments })
    }

    /// The names of its captures, in order, the tail last.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::Capture(name) | Segment::Tail(name) => Some(name.as_str()),
        })
    }
}

/// Is `text` a pattern?
///
/// # Errors
/// As [`Pattern::parse`].
pub fn check(text: &str) -> Result<(), PatternError> {
    Pattern::parse(text).map(|_| ())
}

fn check_name(name: &str) -> Result<(), PatternError> {
    let mut bytes = name.bytes();
    let starts = bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
    if starts && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        Ok(())
    } else {
        Err(PatternError::Name(name.to_owned()))
    }
}

fn check_literal(literal: &str, is_last: bool) -> Result<(), PatternError> {
    if literal.is_empty() {
        return if is_last {
            Ok(())
        } else {
            Err(PatternError::EmptySegment)
        };
    }
    if literal.contains(['{', '}', '*']) {
        return Err(PatternError::Segment(literal.to_owned()));
    }
    let rooted = format!("/{literal}");
    let normal = path::normalise(&rooted).map_err(|_| PatternError::Ambiguous(literal.to_owned()))?;
    if normal != rooted {
        let normal = normal.trim_start_matches('/').to_owned();
        return Err(PatternError::NotNormal {
            found: literal.to_owned(),
            normal,
        });
    }
    match path::lenient_reading(&rooted) {
        Some(_) => Err(PatternError::Ambiguous(literal.to_owned())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_what_a_route_of_it_does() {
        for (pattern, good, bad) in [
            ("/", &["/"][..], &["/a", "//"][..]),
            ("/a", &["/a"][..], &["/a/", "/", "/a/b", "/b"][..]),
            ("/a/{b}", &["/a/x"][..], &["/a/", "/a", "/a/x/", "/a/x/y"][..]),
            ("/a/{b}/c", &["/a/x/c"][..], &["/a/x", "/a//c", "/a/x/d"][..]),
            ("/a/{*rest}", &["/a/", "/a/x", "/a/x/y/"][..], &["/a", "/b/x"][..]),
            ("/{*rest}", &["/", "/x/y"][..], &["x"][..]),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            for path in good {
                assert!(parsed.matches(path), "{pattern} {path}");
            }
            for path in bad {
                assert!(!parsed.matches(path), "{pattern} {path}");
            }
        }
    }

    #[test]
    fn patterns_are_read() {
        let pattern = Pattern::parse("/msp/v1/{customer_id}/devices/{*rest}").unwrap();
        assert_eq!(pattern.names().collect::<Vec<_>>(), ["customer_id", "rest"]);
        assert_eq!(pattern.segments.len(), 5);
        for text in [
            "/",
            "/a",
            "/a/",
            "/{*rest}",
            "/{a}/",
            "/a%20b",
            "/.well-known/jwks.json",
            "/a:b",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_named() {
        use PatternError::*;
        for (text, error) in [
            ("", Relative),
            ("a", Relative),
            ("/a//b", EmptySegment),
            ("/a{b}", Segment("a{b}".to_owned())),
            ("/*", Segment("*".to_owned())),
            ("/{", Segment("{".to_owned())),
            ("/{}", Name(String::new())),
            ("/{*}", Name(String::new())),
            ("/{a-b}", Name("a-b".to_owned())),
            ("/{1}", Name("1".to_owned())),
            ("/{a}/{a}", RepeatedName("a".to_owned())),
            ("/{*a}/b", TailNotLast("a".to_owned())),
            ("/{*a}/", TailNotLast("a".to_owned())),
            (
                "/%61",
                NotNormal {
                    found: "%61".to_owned(),
                    normal: "a".to_owned(),
                },
            ),
            (
                "/ä",
                NotNormal {
                    found: "ä".to_owned(),
                    normal: "%C3%A4".to_owned(),
                },
            ),
            (
                "/.",
                NotNormal {
                    found: ".".to_owned(),
                    normal: String::new(),
                },
            ),
            ("/..", Ambiguous("..".to_owned())),
            ("/a;b", Ambiguous("a;b".to_owned())),
            ("/a%2Cb", Ambiguous("a%2Cb".to_owned())),
            ("/a%2fb", Ambiguous("a%2fb".to_owned())),
        ] {
            assert_eq!(check(text), Err(error), "{text}");
        }
        let many: String = (0..=MAX_CAPTURES).map(|n| format!("/{{c{n}}}")).collect();
        assert_eq!(check(&many), Err(TooManyCaptures));
    }
}
