use proptest::prelude::*;

use super::*;

fn checked(uri: &str) -> Result<(), BadRedirectUri> {
    check(uri, PrivateUseSchemes::Refused)
}

#[test]
fn a_request_may_leave_the_uri_out_if_there_is_only_one() {
    let (one, other) = ("https://a.test/1", "https://a.test/2");
    assert_eq!(choose(&[one], None), Ok(Target::Registered(one)));
    assert_eq!(choose(&[one, other], Some(other)), Ok(Target::Named(other)));
    assert_eq!(
        choose(&["http://127.0.0.1/cb"], Some("http://127.0.0.1:9/cb")).map(Target::uri),
        Ok("http://127.0.0.1:9/cb"),
        "the answer goes to the port that was named"
    );
    let none: [&str; 0] = [];
    for (registered, named) in [
        (&[one, other][..], None),
        (&none, None),
        (&none, Some(one)),
        (&[one], Some(other)),
    ] {
        let refused = choose(registered, named).unwrap_err();
        assert_eq!(
            refused.error,
            OAuthError::InvalidRequest,
            "{registered:?} {named:?}"
        );
    }
}

#[test]
fn parameters_of_an_answer_join_the_query_that_is_there() {
    let pairs = [("code", "a b&c"), ("iss", "https://a.test")];
    for (uri, whole) in [
        (
            "https://a.test/cb",
            "https://a.test/cb?code=a+b%26c&iss=https%3A%2F%2Fa.test",
        ),
        (
            "https://a.test/cb?",
            "https://a.test/cb?code=a+b%26c&iss=https%3A%2F%2Fa.test",
        ),
        (
            "https://a.test/cb?x=1",
            "https://a.test/cb?x=1&code=a+b%26c&iss=https%3A%2F%2Fa.test",
        ),
    ] {
        assert_eq!(with_parameters(uri, &pairs), whole);
    }
    assert_eq!(with_parameters("com.example.app:/cb", &[]), "com.example.app:/cb");
}

proptest! {
    #[test]
    fn parameters_are_read_as_they_were_written(name in any::<String>(), value in any::<String>()) {
        let whole = with_parameters("https://a.test/cb?x=1", &[(name.as_str(), value.as_str())]);
        prop_assert_eq!(checked(&whole).err().filter(|_| whole.len() <= LONGEST), None);
        let (_, query) = whole.split_once('?').unwrap();
        let read = form::Parameters::read(query.as_bytes(), form::Bounds { parameters: 2, bytes: usize::MAX }).unwrap();
        prop_assert_eq!(read.iter().collect::<Vec<_>>(), [("x", "1"), (name.as_str(), value.as_str())]);
    }
}
