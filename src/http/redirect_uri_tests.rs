use proptest::prelude::*;

use super::*;

fn checked(uri: &str) -> Result<(), BadRedirectUri> {
    check(uri, PrivateUseSchemes::Refused)
}

#[test]
fn https_and_loopback_may_be_registered() {
    for uri in [
        "https://app.example.com/callback",
        "https://app.example.com",
        "https://app.example.com:8443/callback?tenant=a&x=%2F",
        "https://[2001:db8::1]/cb",
        "https://10.0.0.1/cb",
        "HTTPS://App.example.com/cb",
        "https://app.example.com/a;b=c,(d)*e!$'+~_-.@:",
        "http://127.0.0.1/cb",
        "http://127.0.0.1:8080/cb?x",
        "http://[::1]:9/",
        "http://localhost:3000/cb",
    ] {
        assert_eq!(checked(uri), Ok(()), "{uri}");
    }
}

#[test]
fn what_could_send_a_code_elsewhere_is_not_registered() {
    use BadRedirectUri::{Characters, Form, Fragment, Plain, Scheme, UserInformation};
    for (uri, why) in [
        ("", Characters),
        ("https://a.test/ b", Characters),
        ("https://a.test\\@b.test/", Characters),
        ("https://a.test/\u{e4}", Characters),
        ("https://a.test/\r\nx", Characters),
        ("https://a.test/%zz", Characters),
        ("https://a.test/{x}", Characters),
        (&format!("https://a.test/{}", "x".repeat(LONGEST)), Characters),
        ("https://a.test/#", Fragment),
        ("https://a.test/cb#x", Fragment),
        ("https://a@b.test/", UserInformation),
        ("https://a:b@c.test/", UserInformation),
        ("https://@c.test/", UserInformation),
        ("https:/a.test/cb", Form),
        ("https:a.test", Form),
        ("https://", Form),
        ("https:///cb", Form),
        ("https://a..test/", Form),
        ("https://*.a.test/", Form),
        ("https://a.test:99999/", Form),
        ("https://a.test:/", Form),
        ("https://%61.test/", Form),
        ("/cb", Form),
        ("a.test/cb", Form),
        ("http://a.test/cb", Plain),
        ("http://127.0.0.2/cb", Plain),
        ("http://127.0.0.1.evil.test/cb", Plain),
        ("http://localhost.evil.test/cb", Plain),
        ("http://[::2]/cb", Plain),
        ("http://0.0.0.0/", Plain),
        ("javascript:alert(1)", Scheme),
        ("data:text/html,x", Scheme),
        ("file:///etc/passwd", Scheme),
        ("com.example.app:/cb", Scheme),
        ("urn:ietf:wg:oauth:2.0:oob", Scheme),
    ] {
        assert_eq!(checked(uri), Err(why), "{uri}");
    }
}

#[test]
fn a_scheme_of_ones_own_takes_a_setting_and_a_dot() {
    let of = |uri| check(uri, PrivateUseSchemes::Allowed);
    for uri in [
        "com.example.app:/callback",
        "com.example.app:/",
        "com.example-x.app2:/a?b",
    ] {
        assert_eq!(of(uri), Ok(()), "{uri}");
    }
    for uri in [
        "myapp:/callback",
        "javascript:/x",
        ".app:/x",
        "com..app:/x",
        "1.app:/x",
        "com.%65xample:/x",
    ] {
        assert_eq!(of(uri), Err(BadRedirectUri::Scheme), "{uri}");
    }
    for uri in [
        "com.example.app://host/cb",
        "com.example.app:cb",
        "com.example.app:",
    ] {
        assert_eq!(of(uri), Err(BadRedirectUri::Form), "{uri}");
    }
    assert_eq!(of("com.example.app:/cb#x"), Err(BadRedirectUri::Fragment));
    assert_eq!(of("http://a.test/"), Err(BadRedirectUri::Plain));
}

#[test]
fn what_is_presented_is_compared_byte_by_byte() {
    let registered = "https://app.example.com/callback";
    assert!(matches(registered, registered));
    for presented in [
        "https://app.example.com/callback/",
        "https://app.example.com/callback?x",
        "https://app.example.com/Callback",
        "https://APP.example.com/callback",
        "https://app.example.com:443/callback",
        "https://app.example.com./callback",
        "https://app.example.com/x/../callback",
        "https://app.example.com/%63allback",
        "https://app.example.com/callback#x",
        "https://app.example.com.evil.test/callback",
        "https://user@app.example.com/callback",
        "https://app.example.com/callback https://evil.test/",
        " https://app.example.com/callback",
        "http://app.example.com/callback",
        "https://app.example.com",
        "",
    ] {
        assert!(!matches(registered, presented), "{presented}");
    }
}

#[test]
fn the_port_of_a_loopback_address_may_be_any() {
    for registered in ["http://127.0.0.1/cb", "http://127.0.0.1:3000/cb"] {
        for presented in [
            "http://127.0.0.1/cb",
            "http://127.0.0.1:1/cb",
            "http://127.0.0.1:65535/cb",
        ] {
            assert!(matches(registered, presented), "{registered} {presented}");
        }
        for presented in [
            "http://127.0.0.1:0/cb",
            "http://127.0.0.1:65536/cb",
            "http://127.0.0.1:080/cb",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1:+80/cb",
            "http://127.0.0.1:80@evil.test/cb",
            "http://127.0.0.1:80.evil.test/cb",
            "http://127.0.0.1.evil.test/cb",
            "http://127.0.0.1@evil.test/cb",
            "http://127.0.0.1:80\\@evil.test/cb",
            "http://127.0.0.1:80/cb/",
            "http://127.0.0.1:80/cb?x",
            "http://127.0.0.2:80/cb",
            "http://[::1]:80/cb",
            "http://localhost:80/cb",
            "https://127.0.0.1:80/cb",
            "HTTP://127.0.0.1:80/cb",
        ] {
            assert!(!matches(registered, presented), "{registered} {presented}");
        }
    }
    assert!(matches("http://[::1]/cb", "http://[::1]:8080/cb"));
    assert!(matches("http://127.0.0.1", "http://127.0.0.1:8080"));
    // A name is no address, and HTTPS no loopback rule.
    assert!(!matches("http://localhost:3000/cb", "http://localhost:3001/cb"));
    assert!(!matches("https://127.0.0.1/cb", "https://127.0.0.1:8080/cb"));
}

proptest! {
    #[test]
    fn another_port_is_all_that_a_match_may_differ_in(
        presented in "(http://(127\\.0\\.0\\.1|\\[::1\\]|localhost))?[:/@?.0-9a-b]{0,12}",
    ) {
        for registered in ["http://127.0.0.1:80/a", "http://[::1]/a", "http://localhost/a", "https://a.b/a"] {
            if matches(registered, &presented) && registered != presented {
                let digits = |text: &str| text.chars().filter(|c| !c.is_ascii_digit() && *c != ':').collect::<String>();
                prop_assert_eq!(digits(registered), digits(&presented));
                prop_assert_eq!(checked(&presented), Ok(()));
                let uri: Uri = presented.parse().unwrap();
                prop_assert!(matches!(uri.host(), Some("127.0.0.1" | "[::1]")), "{:?}", uri);
                prop_assert_eq!(uri.path(), "/a");
            }
        }
    }
}
