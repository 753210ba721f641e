//! Looking into a query without changing a byte of it. What is forwarded stays as it came.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// The values of every parameter called `name`, in order: `a=1&a=2` gives `1` and `2`; a flag `a` gives an empty
/// value. Name and value are percent-decoded and `+` is a space, as forms do it
/// (`application/x-www-form-urlencoded`); a `%` that begins no escape stays as it is; bytes that are no UTF-8 become
/// U+FFFD.
///
/// Some servers take `;` for a separator too. Since this iterator serves rules that a value must obey, it yields what
/// *either* reading finds: of `a=x;b=1` it yields `1` for `b` (and `x;b=1` for `a`).
pub fn values<'q>(query: &'q str, name: &'q str) -> impl Iterator<Item = Cow<'q, str>> {
    query
        .split('&')
        .flat_map(|pair| {
            // The first piece begins where the pair does: only the whole pair is yielded for it.
            std::iter::once(pair).chain(pair.split(';').skip(1))
        })
        .filter_map(move |pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key == name || decoded(key) == name).then(|| decoded(value))
        })
}

fn decoded(text: &str) -> Cow<'_, str> {
    match unescaped(text.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// `+` as a space and `%XX` as a byte. A `%` that begins no escape stays as it is.
pub(super) fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    // `+` first: a `%2B` is a plus sign, not a space.
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    match Cow::from(percent_decode(&spaced)) {
        Cow::Borrowed(_) => Cow::Owned(spaced),
        Cow::Owned(bytes) => Cow::Owned(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str, name: &str) -> Vec<String> {
        values(query, name).map(Cow::into_owned).collect()
    }

    #[test]
    fn every_occurrence_is_found() {
        assert_eq!(of("limit=50&offset=0&limit=1000", "limit"), ["50", "1000"]);
        assert_eq!(of("limit&limit=&x=limit", "limit"), ["", ""]);
        assert_eq!(of("", "limit"), Vec::<String>::new());
    }

    #[test]
    fn names_and_values_are_decoded() {
        assert_eq!(of("l%69mit=5%30&li+mit=1", "limit"), ["50"]);
        assert_eq!(of("a+b=c+d%2B", "a b"), ["c d+"]);
        assert_eq!(of("limit=%zz&limit=%", "limit"), ["%zz", "%"]);
        assert_eq!(of("limit=%ff", "limit"), ["\u{fffd}"]);
    }

    #[test]
    fn what_a_server_that_splits_at_semicolons_would_read_is_found_too() {
        assert_eq!(of("a=1;limit=1000", "limit"), ["1000"]);
        assert_eq!(of("limit=50;limit=1000", "limit"), ["50;limit=1000", "1000"]);
    }

    #[test]
    fn other_names_are_not_mixed_up() {
        assert_eq!(
            of("limits=1&Limit=2&xlimit=3&(a|b),c=4", "limit"),
            Vec::<String>::new()
        );
    }
}
