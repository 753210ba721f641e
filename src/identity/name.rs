//! Names of users in one form, so that spellings of one name are one account (and one count of failed attempts).

use std::sync::Arc;

use unicode_normalization::UnicodeNormalization as _;

/// Most bytes of a name in its normal form: those of an e-mail address (RFC 5321 section 4.5.3.1.3, less its brackets).
pub const LONGEST: usize = 254;

/// Most bytes that are looked at: a normal form may be much shorter than what was typed (full-width letters, decomposed
/// accents), but not shorter than that.
const LONGEST_TYPED: usize = 4 * LONGEST;

/// The name of a user in its normal form: without white space around it, Unicode in form KC, without regard to letter case.
/// Two texts that a person takes for one name, differing in case, width, composition or blanks around them, are one
/// `UserName`. Letters of different scripts that look alike are not.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserName(Arc<str>);

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Nothing but white space.
    #[error("the name is empty")]
    Empty,
    /// More than [`LONGEST`].
    #[error("the name is longer than {LONGEST} bytes")]
    TooLong,
    /// White space within it. Every name that is asked for is an address or an identifier, and neither has any; two blanks
    /// would be a second account beside one.
    #[error("the name has white space in it")]
    Space,
    /// A character that does not show: controls, joiners, marks of direction. A name with one looks like a name without.
    #[error("the name has a character that does not show")]
    Invisible,
    /// U+0345, the iota below, where it belongs to no letter: in capitals it is a letter, and stands elsewhere among other
    /// marks, so that such a name has no one form.
    #[error("the name has an iota below that belongs to no letter")]
    Stray,
}

/// Why a name is no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadEmail {
    /// Not one `@` with something on either side.
    #[error("an e-mail address is a name, `@` and a domain")]
    Form,
    /// What stands before the `@`.
    #[error(
        "what stands before the `@` is not letters, digits and signs with single dots between them, at most 64"
    )]
    Local,
    /// What stands behind it.
    #[error("what stands behind the `@` is not the name of a domain with at least one dot")]
    Domain,
}

impl UserName {
    /// The normal form of what somebody typed.
    ///
    /// # Errors
    /// [`BadName`], also for what comes up in the normal form only.
    pub fn parse(text: &str) -> Result<UserName, BadName> {
        let text = text.trim();
        if text.len() > LONGEST_TYPED {
            return Err(BadName::TooLong);
        }
        if text.nfkc().any(|character| character == '\u{345}') {
            return Err(BadName::Stray);
        }
        let name = folded(text);
        check(&name)?;
        Ok(UserName(Arc::from(name)))
    }

    /// The normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks that the name is an e-mail address: a dot-string of RFC 5321 section 4.1.2 before the `@`, a domain name with
    /// at least two labels behind it. Quoted names and address literals are in the grammar and at no desk; letters beyond
    /// ASCII (RFC 6531) are left out because addresses that look alike would be two accounts. A domain beyond ASCII has its
    /// `xn--` form.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_email(&self) -> Result<(), BadEmail> {
        let (local, domain) = self.0.split_once('@').ok_or(BadEmail::Form)?;
        if local.is_empty() || domain.is_empty() || domain.contains('@') {
            return Err(BadEmail::Form);
        }
        let is_atom = |atom: &str| !atom.is_empty() && atom.bytes().all(is_atom_character);
        if local.len() > 64 || !local.split('.').all(is_atom) {
            return Err(BadEmail::Local);
        }
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        // The last label of a name is no number (RFC 1123 section 2.1): that would be an address.
        let top = domain.rsplit('.').next().unwrap_or_default();
        let is_number = top.bytes().all(|byte| byte.is_ascii_digit());
        if !domain.contains('.') || !domain.split('.').all(is_label) || is_number {
            return Err(BadEmail::Domain);
        }
        Ok(())
    }
}

impl std::fmt::Display for UserName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::fmt::Debug for UserName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&*self.0, f)
    }
}

/// Form KC, upper case, lower case, form KC again; until nothing changes. Lower case alone would keep apart what differs in
/// case only: `ΟΔΟΣ` has two lower-case forms, `straße` and `STRASSE` have no common one.
fn folded(text: &str) -> String {
    let mut name = text.to_owned();
    // Twice is enough for every character there is (a test asks); the bound is for those to come.
    for _ in 0..4 {
        let next: String = name
            .nfkc()
            .flat_map(char::to_uppercase)
            .flat_map(char::to_lowercase)
            .nfkc()
            .collect();
        if next == name {
            break;
        }
        name = next;
    }
    // Compatibility forms of some signs are a blank and a mark.
    name.trim().to_owned()
}

fn check(name: &str) -> Result<(), BadName> {
    if name.is_empty() {
        return Err(BadName::Empty);
    }
    if name.len() > LONGEST {
        return Err(BadName::TooLong);
    }
    if name.chars().any(is_invisible) {
        return Err(BadName::Invisible);
    }
    if name.chars().any(char::is_whitespace) {
        return Err(BadName::Space);
    }
    Ok(())
}

/// Controls, and the characters that Unicode lists as ignorable in display (DerivedCoreProperties,
/// `Default_Ignorable_Code_Point`), private use, and U+FFFD, which stands for what could not be read.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{e000}'..='\u{f8ff}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffd}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
                | '\u{f0000}'..='\u{10ffff}'
        )
}

/// RFC 5322 section 3.2.3, `atext`.
fn is_atom_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> String {
        UserName::parse(text).unwrap().to_string()
    }

    #[test]
    fn spellings_of_one_name_are_one_name() {
        for text in [
            "jörg@example.com",
            "JÖRG@EXAMPLE.COM",
            "  Jörg@Example.com\t",
            "jo\u{308}rg@example.com",
            "JO\u{308}RG@example.com",
            "ｊöｒｇ＠ｅｘａｍｐｌｅ．ｃｏｍ",
            "\u{a0}jörg@example.com\u{3000}",
        ] {
            assert_eq!(name(text), "jörg@example.com", "{text:?}");
        }
        assert_eq!(name("straße"), name("STRASSE"));
        assert_eq!(name("ΟΔΟΣ"), name("οδος"));
        assert_eq!(name("\u{1fb3}"), name("α\u{345}"));
        assert_eq!(name("\u{1fb3}"), name("ΑΙ"));
        assert_eq!(name("admin"), "admin");
        assert_eq!(name("DOMAIN\\user"), "domain\\user");
    }

    #[test]
    fn what_looks_like_another_name_is_refused() {
        for (text, why) in [
            ("", BadName::Empty),
            (" \t\u{a0}", BadName::Empty),
            ("a b", BadName::Space),
            ("a\u{2003}b", BadName::Space),
            ("a\u{2028}b", BadName::Space),
            ("a\u{b4}", BadName::Space),
            ("a\0", BadName::Invisible),
            ("a\u{7f}b", BadName::Invisible),
            ("a\nb", BadName::Invisible),
            ("a\u{200b}b", BadName::Invisible),
            ("a\u{200d}b", BadName::Invisible),
            ("\u{202e}nimda", BadName::Invisible),
            ("a\u{ad}b", BadName::Invisible),
            ("a\u{fe0f}", BadName::Invisible),
            ("a\u{e0041}", BadName::Invisible),
            ("a\u{fffd}", BadName::Invisible),
            ("a\u{345}\u{1dfa}", BadName::Stray),
        ] {
            assert_eq!(UserName::parse(text), Err(why), "{text:?}");
        }
    }

    #[test]
    fn the_normal_form_is_what_is_measured() {
        assert!(UserName::parse(&"a".repeat(LONGEST)).is_ok());
        assert_eq!(UserName::parse(&"a".repeat(LONGEST + 1)), Err(BadName::TooLong));
        assert!(UserName::parse(&"ａ".repeat(LONGEST)).is_ok());
        // One character that is eighteen, with blanks; one that is four.
        assert_eq!(UserName::parse("\u{fdfa}"), Err(BadName::Space));
        assert_eq!(UserName::parse(&"\u{337f}".repeat(30)), Err(BadName::TooLong));
        assert_eq!(UserName::parse(&" ".repeat(1 << 20)), Err(BadName::Empty));
        assert_eq!(UserName::parse(&"a".repeat(1 << 20)), Err(BadName::TooLong));
    }

    #[test]
    fn an_email_address_is_told_from_what_is_none() {
        let of = |text: &str| UserName::parse(text).unwrap().check_email();
        for text in [
            "a@b.cd",
            "First.Last+tag@Example.Co.UK",
            "o'brien_x-y/z=1@sub.xn--mller-kva.example",
            "1@2.de",
            "!#$%&'*+-/=?^_`{|}~@a.b",
            &format!("{}@example.com", "a".repeat(64)),
        ] {
            assert_eq!(of(text), Ok(()), "{text}");
        }
        for text in ["admin", "@b.cd", "a@", "a@b@c.de", "a@@b.cd"] {
            assert_eq!(of(text), Err(BadEmail::Form), "{text}");
        }
        for text in [
            ".a@b.cd",
            "a.@b.cd",
            "a..b@c.de",
            "\"a\"@b.cd",
            "a,b@c.de",
            "a:b@c.de",
            "(x)a@b.cd",
            "jörg@b.cd",
            "a\\b@c.de",
            "<a@b.cd",
            &format!("{}@example.com", "a".repeat(65)),
        ] {
            assert_eq!(of(text), Err(BadEmail::Local), "{text}");
        }
        for text in [
            "a@localhost",
            "a@b..cd",
            "a@.b.cd",
            "a@b.cd.",
            "a@-b.cd",
            "a@b-.cd",
            "a@b_c.de",
            "a@10.0.0.1",
            "a@[10.0.0.1]",
            "a@b.cd>",
            "a@b.c:25",
            "a@müller.de",
            &format!("a@{}.de", "b".repeat(64)),
        ] {
            assert_eq!(of(text), Err(BadEmail::Domain), "{text}");
        }
    }

    #[test]
    fn the_normal_form_of_every_character_is_stable_and_has_no_case() {
        // Without Han, Hangul and what is not assigned: they have no case, and there are a million of them.
        let all = ('\0'..='\u{33ff}')
            .chain('\u{a000}'..='\u{abff}')
            .chain('\u{f900}'..='\u{1ffff}')
            .chain('\u{2f800}'..='\u{2fa1f}');
        for character in all {
            let text = character.to_string();
            let once = folded(&text);
            assert_eq!(folded(&once), once, "{character:?}");
            let upper: String = character.to_uppercase().collect();
            let lower: String = character.to_lowercase().collect();
            assert_eq!(folded(&upper), once, "{character:?}");
            assert_eq!(folded(&lower), once, "{character:?}");
        }
    }

    proptest! {
        #[test]
        fn a_normal_form_is_its_own_normal_form(text in "\\PC{0,12}") {
            if let Ok(name) = UserName::parse(&text) {
                prop_assert_eq!(UserName::parse(name.as_str()), Ok(name.clone()));
                prop_assert!(!name.as_str().is_empty() && name.as_str().len() <= LONGEST);
                prop_assert!(!name.as_str().chars().any(|c| c.is_control() || c.is_whitespace()));
            }
        }

        #[test]
        fn letter_case_and_blanks_around_it_never_make_another_name(text in "\\PC{1,12}", blanks in "[ \t\u{a0}\u{3000}]{0,3}") {
            let name = UserName::parse(&text);
            for other in [text.to_uppercase(), text.to_lowercase(), format!("{blanks}{text}{blanks}")] {
                prop_assert!(UserName::parse(&other) == name || name == Err(BadName::Stray), "{other:?}");
            }
        }
    }
}
