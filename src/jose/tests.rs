//! Tokens as attackers make them, class by class, and as honest issuers do.

use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::algorithm::{self, KeyKind};
use super::jwk::{Key, KeyError};
use super::key_set::{self, KeySet};
use super::sign::{SigningKey, raw};
use super::verify::{Policy, verify};
use super::{TokenFault, compact, pem};
use crate::base::clock::UnixTime;
use crate::base::secret::Secret;
use crate::config::plan::Algorithm;

const NOW: UnixTime = UnixTime(1_800_000_000);

struct Bench {
    keys: Vec<(Algorithm, SigningKey)>,
    set: KeySet,
}

/// One key of every kind, named after its first algorithm, and a set of their public halves.
static BENCH: LazyLock<Bench> = LazyLock::new(|| {
    let keys: Vec<(Algorithm, SigningKey)> = [
        Algorithm::RS256,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
        Algorithm::HS256,
    ]
    .into_iter()
    .map(|algorithm| {
        let key = SigningKey::generate(algorithm).unwrap();
        (algorithm, key.named(algorithm::name(algorithm)))
    })
    .collect();
    let jwks: Vec<Value> = keys.iter().filter_map(|(_, key)| key.public_jwk().ok()).collect();
    let mut public = key_set::from_jwks(json!({"keys": jwks}).to_string().as_bytes()).unwrap();
    assert_eq!(public.len(), 4);
    public.push(Arc::new(Key::secret(&secret()).unwrap()));
    Bench {
        keys,
        set: KeySet::new(public),
    }
});

fn secret() -> Secret {
    Secret::new(b"0123456789abcdef0123456789abcdef".to_vec())
}

fn key(algorithm: Algorithm) -> &'static SigningKey {
    static SHARED: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_secret(&secret()).unwrap());
    let kind = |own: Algorithm| KIND_OF.iter().find(|(one, _)| *one == own).unwrap().1;
    match kind(algorithm) {
        KeyKind::Secret => &SHARED,
        wanted => &BENCH.keys.iter().find(|(own, _)| kind(*own) == wanted).unwrap().1,
    }
}

const KIND_OF: [(Algorithm, KeyKind); 10] = [
    (Algorithm::RS256, KeyKind::Rsa),
    (Algorithm::RS384, KeyKind::Rsa),
    (Algorithm::RS512, KeyKind::Rsa),
    (Algorithm::PS256, KeyKind::Rsa),
    (Algorithm::PS384, KeyKind::Rsa),
    (Algorithm::PS512, KeyKind::Rsa),
    (Algorithm::ES256, KeyKind::P256),
    (Algorithm::ES384, KeyKind::P384),
    (Algorithm::EdDSA, KeyKind::Ed25519),
    (Algorithm::HS256, KeyKind::Secret),
];

fn policy() -> Policy {
    Policy {
        issuer: "https://idp.example/".to_owned(),
        audience: vec!["central".to_owned(), "other".to_owned()],
        algorithms: algorithm::ALL.to_vec(),
        types: Vec::new(),
        leeway: 30,
    }
}

fn claims() -> Map<String, Value> {
    json!({
        "iss": "https://idp.example/", "aud": "central", "sub": "alice", "exp": NOW.0 + 300, "nbf": NOW.0 - 10,
        "iat": NOW.0 - 10, "customer_id": "acme",
    })
    .as_object()
    .unwrap()
    .clone()
}

fn with(name: &str, value: Value) -> Vec<u8> {
    let mut claims = claims();
    claims.insert(name.to_owned(), value);
    serde_json::to_vec(&claims).unwrap()
}

fn without(name: &str) -> Vec<u8> {
    let mut claims = claims();
    claims.remove(name);
    serde_json::to_vec(&claims).unwrap()
}

fn good() -> Vec<u8> {
    serde_json::to_vec(&claims()).unwrap()
}

/// A token signed by the P-256 key, with these members added to its header.
fn headed(more: &str) -> String {
    let header = format!(r#"{{"alg":"ES256","kid":"ES256"{more}}}"#);
    raw::token(
        key(Algorithm::ES256),
        Algorithm::ES256,
        header.as_bytes(),
        &good(),
    )
}

/// A token signed by the P-256 key with this payload.
fn saying(payload: &[u8]) -> String {
    raw::token(
        key(Algorithm::ES256),
        Algorithm::ES256,
        br#"{"alg":"ES256","kid":"ES256"}"#,
        payload,
    )
}

fn judged(token: &str) -> Result<(), TokenFault> {
    verify(token, &BENCH.set, &policy(), NOW).map(drop)
}

#[test]
fn every_algorithm_is_signed_and_verified() {
    for algorithm in algorithm::ALL {
        let token = key(algorithm).sign(algorithm, &claims()).unwrap();
        let verified = verify(&token, &BENCH.set, &policy(), NOW).unwrap();
        assert_eq!(verified.subject, "alice", "{algorithm:?}");
        assert_eq!(verified.expires, UnixTime(NOW.0 + 300));
        assert_eq!(verified.members.get("customer_id"), Some(&json!("acme")));
    }
}

#[test]
fn an_algorithm_that_the_issuer_may_not_use_is_refused_though_the_key_could() {
    for algorithm in algorithm::ALL {
        let token = key(algorithm).sign(algorithm, &claims()).unwrap();
        let mut policy = policy();
        policy.algorithms.retain(|allowed| *allowed != algorithm);
        assert_eq!(
            verify(&token, &BENCH.set, &policy, NOW).unwrap_err(),
            TokenFault::Algorithm,
            "{algorithm:?}"
        );
    }
}

#[test]
fn none_is_no_algorithm_in_any_case() {
    for name in ["none", "None", "NONE", "nOnE", "", " none"] {
        let header = format!(r#"{{"alg":"{name}"}}"#);
        let unsigned = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(good())
        );
        assert_eq!(
            judged(&format!("{unsigned}.")),
            Err(TokenFault::Parts),
            "{name:?}"
        );
        assert_eq!(judged(&unsigned), Err(TokenFault::Parts), "{name:?}");
        assert_eq!(
            judged(&format!("{unsigned}.AAAA")),
            Err(TokenFault::Algorithm),
            "{name:?}"
        );
    }
}

#[test]
fn a_public_key_is_no_hmac_secret() {
    let jwk = key(Algorithm::RS256).public_jwk().unwrap();
    let number = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let public = [number("n"), number("e")].concat();
    for secret in [public, jwk.to_string().into_bytes(), number("n")] {
        let forger = SigningKey::from_secret(&Secret::new(secret)).unwrap();
        for (header, fault) in [
            (&br#"{"alg":"HS256","kid":"RS256"}"#[..], TokenFault::KeyAlgorithm),
            (br#"{"alg":"HS256"}"#, TokenFault::Signature),
            (br#"{"alg":"HS256","kid":"unheard of"}"#, TokenFault::UnknownKey),
        ] {
            let token = raw::token(&forger, Algorithm::HS256, header, &good());
            assert_eq!(judged(&token), Err(fault));
        }
    }
}

#[test]
fn an_algorithm_of_another_kind_of_key_is_refused_whatever_is_signed() {
    for (signs, says) in [
        (Algorithm::ES256, "ES384"),
        (Algorithm::ES384, "ES256"),
        (Algorithm::EdDSA, "ES256"),
        (Algorithm::RS256, "EdDSA"),
        (Algorithm::ES256, "RS256"),
    ] {
        let id = key(signs).id().unwrap();
        let header = format!(r#"{{"alg":"{says}","kid":"{id}"}}"#);
        let token = raw::token(key(signs), signs, header.as_bytes(), &good());
        assert_eq!(
            judged(&token),
            Err(TokenFault::KeyAlgorithm),
            "{signs:?} as {says}"
        );
    }
    for (signs, says) in [
        (Algorithm::RS512, "RS256"),
        (Algorithm::PS256, "RS256"),
        (Algorithm::RS256, "PS256"),
        (Algorithm::PS384, "PS256"),
    ] {
        let header = format!(r#"{{"alg":"{says}","kid":"RS256"}}"#);
        let token = raw::token(key(signs), signs, header.as_bytes(), &good());
        assert_eq!(judged(&token), Err(TokenFault::Signature), "{signs:?} as {says}");
    }
}

#[test]
fn a_kid_is_a_name_to_look_up_and_nothing_else() {
    for id in [
        "../../../../dev/null",
        "' OR 1=1 --",
        "http://evil.example/key",
        "es256",
        "ES256\\u0000",
        " ES256",
        "",
        &"x".repeat(3000),
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":"{id}"}}"#);
        let token = raw::token(
            key(Algorithm::ES256),
            Algorithm::ES256,
            header.as_bytes(),
            &good(),
        );
        assert_eq!(judged(&token), Err(TokenFault::UnknownKey), "{id:?}");
    }
    for id in ["1", "null", "[\"ES256\"]", "{}", "true"] {
        let header = format!(r#"{{"alg":"ES256","kid":{id}}}"#);
        let token = raw::token(
            key(Algorithm::ES256),
            Algorithm::ES256,
            header.as_bytes(),
            &good(),
        );
        assert_eq!(judged(&token), Err(TokenFault::Header), "{id}");
    }
}

#[test]
fn a_key_that_the_token_brings_along_is_not_looked_at() {
    let stranger = SigningKey::generate(Algorithm::ES256).unwrap().named("mine");
    let jwk = stranger.public_jwk().unwrap();
    let brought = format!(
        r#","jwk":{jwk},"jku":"http://127.0.0.1:1/jwks","x5u":"http://127.0.0.1:1/x5u","x5c":["AAAA"],"x5t":"AAAA""#
    );
    assert_eq!(
        judged(&headed(&brought)),
        Ok(()),
        "by the right key they change nothing"
    );
    let header = format!(r#"{{"alg":"ES256","kid":"ES256"{brought}}}"#);
    let forged = raw::token(&stranger, Algorithm::ES256, header.as_bytes(), &good());
    assert_eq!(judged(&forged), Err(TokenFault::Signature));
    let header = format!(r#"{{"alg":"ES256","kid":"mine"{brought}}}"#);
    let forged = raw::token(&stranger, Algorithm::ES256, header.as_bytes(), &good());
    assert_eq!(judged(&forged), Err(TokenFault::UnknownKey));
}

/// The order of the group of P-256.
const N256: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

#[test]
fn degenerate_signatures_are_refused() {
    let token = key(Algorithm::ES256).sign(Algorithm::ES256, &claims()).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let (r, s) = signature.split_at(32);
    let zero = [0; 32];
    let der = {
        let integer = |number: &[u8]| {
            let mut bytes = number.to_vec();
            if bytes[0] & 0x80 != 0 {
                bytes.insert(0, 0);
            }
            [&[2, u8::try_from(bytes.len()).unwrap()][..], &bytes].concat()
        };
        let body = [integer(r), integer(s)].concat();
        [&[0x30, u8::try_from(body.len()).unwrap()][..], &body].concat()
    };
    for (name, forged) in [
        ("r and s are zero", [zero, zero].concat()),
        ("r is zero", [&zero, s].concat()),
        ("s is zero", [r, &zero].concat()),
        ("r is n", [&N256[..], s].concat()),
        ("s is n", [r, &N256[..]].concat()),
        ("r and s are n", [N256, N256].concat()),
        ("r is all ones", [&[0xff; 32][..], s].concat()),
        ("DER instead of raw", der),
        ("one byte short", signature[..63].to_vec()),
        ("one byte more", [&signature[..], &[0]].concat()),
        ("twice", [&signature[..], &signature[..]].concat()),
        ("the halves swapped", [s, r].concat()),
        ("one zero byte", vec![0]),
    ] {
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(forged));
        assert_eq!(judged(&token), Err(TokenFault::Signature), "{name}");
    }
}

/// Adds two little-endian numbers of the same length; `None` if the sum is longer.
fn sum(one: &[u8], other: &[u8]) -> Option<Vec<u8>> {
    let mut carry = 0_u16;
    let digits = one.iter().zip(other).map(|(a, b)| {
        carry += u16::from(*a) + u16::from(*b);
        let digit = u8::try_from(carry & 0xff).unwrap();
        carry >>= 8;
        digit
    });
    let digits: Vec<u8> = digits.collect();
    (carry == 0).then_some(digits)
}

#[test]
fn a_second_form_of_an_ed25519_signature_is_refused() {
    // S + L verifies wherever S is not checked to be below L (RFC 8032 section 5.1.7).
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let token = key(Algorithm::EdDSA).sign(Algorithm::EdDSA, &claims()).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let (r, s) = signature.split_at(32);
    let larger = sum(s, &order).unwrap();
    for (name, forged) in [
        ("S plus L", [r, &larger].concat()),
        ("all zero", vec![0; 64]),
        ("the neutral element", [&[1][..], &[0; 63]].concat()),
        ("short", signature[..63].to_vec()),
    ] {
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(forged));
        assert_eq!(judged(&token), Err(TokenFault::Signature), "{name}");
    }
}

#[test]
fn a_second_form_of_an_rsa_signature_is_refused() {
    let jwk = key(Algorithm::RS256).public_jwk().unwrap();
    let mut n = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    n.reverse();
    let mut tried_sum = false;
    for round in 0..40 {
        let mut claims = claims();
        claims.insert("round".to_owned(), json!(round));
        let token = key(Algorithm::RS256).sign(Algorithm::RS256, &claims).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let mut forgeries = vec![
            ("a leading zero", [&[0][..], &signature].concat()),
            ("a trailing zero", [&signature[..], &[0]].concat()),
            ("all zero", vec![0; 256]),
            ("one", [&[0; 255][..], &[1]].concat()),
            ("short", signature[1..].to_vec()),
        ];
        let little: Vec<u8> = signature.iter().rev().copied().collect();
        if let Some(mut larger) = sum(&little, &n) {
            larger.reverse();
            forgeries.push(("s plus n", larger));
            tried_sum = true;
        }
        for (name, forged) in forgeries {
            let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(forged));
            assert_eq!(judged(&token), Err(TokenFault::Signature), "{name}");
        }
        if tried_sum {
            return;
        }
    }
    panic!("no signature was small enough in forty rounds");
}

#[test]
fn claims_of_the_wrong_type_are_refused_and_none_counts_as_absent() {
    let text = Value::String((NOW.0 + 300).to_string());
    for (name, value) in [
        ("exp", text.clone()),
        ("exp", json!(null)),
        ("exp", json!([NOW.0 + 300])),
        ("exp", json!({"a": 1})),
        ("exp", json!(true)),
        ("exp", json!(1e300)),
        ("nbf", json!((NOW.0 - 5).to_string())),
        ("nbf", json!(null)),
        ("nbf", json!(false)),
        ("iat", text),
        ("jti", json!(7)),
        ("sub", json!(7)),
        ("sub", json!("")),
        ("sub", json!(null)),
        ("sub", json!(["alice"])),
        ("iss", json!(["https://idp.example/"])),
        ("iss", json!(null)),
        ("aud", json!(null)),
        ("aud", json!(7)),
        ("aud", json!({"central": true})),
        ("aud", json!(["central", 7])),
        ("aud", json!([["central"]])),
    ] {
        assert_eq!(
            judged(&saying(&with(name, value.clone()))),
            Err(TokenFault::Claim(name)),
            "{name}: {value}"
        );
    }
}

#[test]
fn registered_claims_are_required() {
    for name in ["exp", "iss", "aud", "sub"] {
        assert_eq!(
            judged(&saying(&without(name))),
            Err(TokenFault::Claim(name)),
            "{name}"
        );
    }
    for name in ["nbf", "iat", "customer_id"] {
        assert_eq!(judged(&saying(&without(name))), Ok(()), "{name}");
    }
}

#[test]
fn issuer_and_audience_are_compared_byte_for_byte() {
    for issuer in [
        "https://idp.example",
        "https://IDP.example/",
        "https://idp.example//",
        "http://idp.example/",
        "https://idp.example/ ",
        "https://idp.example.evil/",
    ] {
        assert_eq!(
            judged(&saying(&with("iss", json!(issuer)))),
            Err(TokenFault::Issuer),
            "{issuer}"
        );
    }
    for audience in [
        json!("Central"),
        json!("central "),
        json!("centra"),
        json!(""),
        json!([]),
        json!(["x", "centrally"]),
    ] {
        assert_eq!(
            judged(&saying(&with("aud", audience.clone()))),
            Err(TokenFault::Audience),
            "{audience}"
        );
    }
    for audience in [json!("other"), json!(["x", "central"]), json!(["other"])] {
        assert_eq!(
            judged(&saying(&with("aud", audience.clone()))),
            Ok(()),
            "{audience}"
        );
    }
}

#[test]
fn any_crit_is_refused() {
    for crit in [
        r#"["exp"]"#,
        r#"["b64"]"#,
        "[]",
        "null",
        "\"b64\"",
        r#"["x"]"#,
        r#"["alg"]"#,
        "{}",
        "1",
    ] {
        let token = headed(&format!(r#","crit":{crit},"b64":true,"x":1"#));
        assert_eq!(judged(&token), Err(TokenFault::Critical), "{crit}");
    }
}

#[test]
fn the_type_is_checked_by_policy() {
    for kind in [
        "JWT",
        "jwt",
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "application/jwt",
    ] {
        assert_eq!(judged(&headed(&format!(r#","typ":"{kind}""#))), Ok(()), "{kind}");
    }
    for kind in [
        "",
        "JWE",
        "id+jwt",
        "logout+jwt",
        "application/",
        "text/jwt",
        "application/x/jwt",
        "JWT ",
    ] {
        assert_eq!(
            judged(&headed(&format!(r#","typ":"{kind}""#))),
            Err(TokenFault::Type),
            "{kind:?}"
        );
    }
    assert_eq!(judged(&headed(r#","typ":7"#)), Err(TokenFault::Header));
    let strict = Policy {
        types: vec!["at+jwt".to_owned()],
        ..policy()
    };
    for (header, wanted) in [
        (r#","typ":"at+jwt""#, Ok(())),
        (r#","typ":"JWT""#, Err(TokenFault::Type)),
        ("", Err(TokenFault::Type)),
    ] {
        assert_eq!(
            verify(&headed(header), &BENCH.set, &strict, NOW).map(drop),
            wanted,
            "{header}"
        );
    }
}

#[test]
fn a_long_token_is_refused_unseen_and_one_of_the_wrong_number_of_parts_too() {
    let token = saying(&good());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    assert_eq!(
        judged(&"a".repeat(compact::LONGEST + 1)),
        Err(TokenFault::TooLong)
    );
    assert_eq!(
        judged(&".".repeat(compact::LONGEST + 1)),
        Err(TokenFault::TooLong)
    );
    for token in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        ".".repeat(compact::LONGEST),
        "abc".to_owned(),
        signed.to_owned(),
        format!("{signed}."),
        format!(".{token}"),
        format!("{token}."),
        format!("{token}.{signature}"),
        format!("{signed}..{signature}"),
        "a.b.c.d.e".to_owned(),
    ] {
        assert_eq!(
            judged(&token),
            Err(TokenFault::Parts),
            "{}",
            token.get(..60.min(token.len())).unwrap()
        );
    }
    let padded = saying(&with("filler", json!("x".repeat(5_500))));
    assert!(padded.len() > 7_000 && padded.len() <= compact::LONGEST);
    assert_eq!(judged(&padded), Ok(()));
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(2_500), "]".repeat(2_500));
    assert_eq!(judged(&saying(deep.as_bytes())), Err(TokenFault::Claims));
    let token = headed(&format!(",\"a\":{}1{}", "[".repeat(2_500), "]".repeat(2_500)));
    assert_eq!(judged(&token), Err(TokenFault::Header));
}

#[test]
fn there_is_one_spelling_of_a_token() {
    // RS256: 256 bytes of signature leave four bits over in the last character.
    let token = key(Algorithm::RS256).sign(Algorithm::RS256, &claims()).unwrap();
    assert_eq!(judged(&token), Ok(()));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let last = signature.chars().last().unwrap();
    let mut others = 0;
    for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars() {
        if other != last {
            let token = format!("{signed}.{}{other}", &signature[..signature.len() - 1]);
            assert!(
                matches!(judged(&token), Err(TokenFault::Encoding | TokenFault::Signature)),
                "{other}"
            );
            others += usize::from(judged(&token) == Err(TokenFault::Encoding));
        }
    }
    assert_eq!(others, 60, "all characters with bits left over");
    for (name, signature) in [
        ("padding", URL_SAFE.encode(&bytes)),
        (
            "the other alphabet",
            STANDARD.encode(&bytes).trim_end_matches('=').to_owned() + "+/",
        ),
        ("a line break", format!("{signature}\n")),
        (
            "a line break within",
            format!("{}\n{}", &signature[..64], &signature[64..]),
        ),
        ("a space before", format!(" {signature}")),
        ("a percent", format!("{signature}%3D")),
        ("one character more", format!("{signature}A")),
    ] {
        let judged = judged(&format!("{signed}.{signature}"));
        assert!(
            matches!(judged, Err(TokenFault::Encoding | TokenFault::Signature)),
            "{name}: {judged:?}"
        );
    }
    let (header, payload) = signed.split_once('.').unwrap();
    for token in [
        format!("{header}=.{payload}.{signature}"),
        format!("{header}.{payload}=.{signature}"),
        format!("{header} .{payload}.{signature}"),
        format!("{header}.{payload}\r\n.{signature}"),
    ] {
        assert!(
            matches!(judged(&token), Err(TokenFault::Encoding | TokenFault::Signature)),
            "{token}"
        );
    }
}

#[test]
fn a_member_named_twice_is_refused_in_header_and_claims() {
    assert_eq!(judged(&headed(r#","alg":"ES256""#)), Err(TokenFault::Header));
    assert_eq!(judged(&headed(r#","alg":"none""#)), Err(TokenFault::Header));
    assert_eq!(judged(&headed(r#","\u006bid":"ES256""#)), Err(TokenFault::Header));
    assert_eq!(judged(&headed(r#","x":1,"x":1"#)), Err(TokenFault::Header));
    let text = String::from_utf8(good()).unwrap();
    for more in [
        r#","sub":"root"}"#,
        r#","customer_id":"other"}"#,
        r#","x":{"y":1,"y":2}}"#,
    ] {
        let payload = text.strip_suffix('}').unwrap().to_owned() + more;
        assert_eq!(
            judged(&saying(payload.as_bytes())),
            Err(TokenFault::Claims),
            "{more}"
        );
    }
}

#[test]
fn what_is_not_an_object_is_refused() {
    for payload in [
        &b"[]"[..],
        b"null",
        b"\"x\"",
        b"",
        b" ",
        b"{",
        b"{}{}",
        b"\xff\xfe",
        b"{\"a\":\"\xff\"}",
    ] {
        assert_eq!(
            judged(&saying(payload)).unwrap_err(),
            match payload {
                b"" => TokenFault::Parts,
                _ => TokenFault::Claims,
            }
        );
    }
    assert_eq!(judged(&saying(b"{}")), Err(TokenFault::Claim("exp")));
}

#[test]
fn times_are_judged_with_leeway_and_not_a_second_more() {
    for (name, value, wanted) in [
        ("exp", NOW.0 - 29, Ok(())),
        ("exp", NOW.0 - 30, Err(TokenFault::Expired)),
        ("exp", -1, Err(TokenFault::Expired)),
        ("exp", i64::MAX, Ok(())),
        ("exp", i64::MIN, Err(TokenFault::Expired)),
        ("nbf", NOW.0 + 30, Ok(())),
        ("nbf", NOW.0 + 31, Err(TokenFault::NotYet)),
        ("nbf", i64::MAX, Err(TokenFault::NotYet)),
        ("nbf", i64::MIN, Ok(())),
        ("iat", NOW.0 + 30, Ok(())),
        ("iat", NOW.0 + 31, Err(TokenFault::NotYet)),
    ] {
        assert_eq!(
            judged(&saying(&with(name, json!(value)))),
            wanted,
            "{name} {value}"
        );
    }
}

#[test]
fn expiry_is_only_said_of_a_token_that_was_good() {
    let expired = with("exp", json!(NOW.0 - 1000));
    assert_eq!(judged(&saying(&expired)), Err(TokenFault::Expired));
    let stranger = SigningKey::generate(Algorithm::ES256).unwrap();
    let forged = raw::token(
        &stranger,
        Algorithm::ES256,
        br#"{"alg":"ES256","kid":"ES256"}"#,
        &expired,
    );
    assert_eq!(judged(&forged), Err(TokenFault::Signature));
}

#[test]
fn a_key_is_used_only_as_its_jwk_says() {
    let jwk = |algorithm: Algorithm, change: &dyn Fn(&mut Map<String, Value>)| {
        let mut jwk = key(algorithm).public_jwk().unwrap().as_object().unwrap().clone();
        change(&mut jwk);
        Key::from_jwk(&jwk).map(|key| key.algorithms().collect::<Vec<_>>())
    };
    let set = |name: &'static str, value: Value| {
        move |jwk: &mut Map<String, Value>| {
            jwk.insert(name.to_owned(), value.clone());
        }
    };
    assert_eq!(jwk(Algorithm::RS256, &|_| ()).unwrap(), KeyKind::Rsa.algorithms());
    assert_eq!(
        jwk(Algorithm::RS256, &set("alg", json!("PS384"))).unwrap(),
        [Algorithm::PS384]
    );
    assert_eq!(
        jwk(Algorithm::EdDSA, &set("alg", json!("Ed25519"))).unwrap(),
        [Algorithm::EdDSA]
    );
    assert!(jwk(Algorithm::RS256, &set("key_ops", json!(["sign", "verify"]))).is_ok());
    for (algorithm, name, value) in [
        (Algorithm::RS256, "alg", json!("ES256")),
        (Algorithm::RS256, "alg", json!("RSA-OAEP")),
        (Algorithm::RS256, "alg", json!("HS256")),
        (Algorithm::RS256, "alg", json!("none")),
        (Algorithm::ES256, "alg", json!("ES384")),
        (Algorithm::ES256, "use", json!("enc")),
        (Algorithm::ES256, "use", json!(7)),
        (Algorithm::ES256, "key_ops", json!(["sign"])),
        (Algorithm::ES256, "key_ops", json!([])),
        (Algorithm::ES256, "key_ops", json!("verify")),
        (Algorithm::ES256, "crv", json!("P-521")),
        (Algorithm::ES256, "crv", json!("secp256k1")),
        (Algorithm::ES256, "crv", json!("P-384")),
        (Algorithm::ES256, "x", json!("AAAA")),
        (Algorithm::ES256, "x", json!(URL_SAFE_NO_PAD.encode([1; 32]))),
        (Algorithm::ES256, "y", json!(null)),
        (Algorithm::EdDSA, "crv", json!("X25519")),
        (Algorithm::EdDSA, "x", json!("AAAA")),
        (Algorithm::RS256, "n", json!(URL_SAFE_NO_PAD.encode([0xff; 128]))),
        (Algorithm::RS256, "n", json!("")),
        (Algorithm::RS256, "e", json!("AQ")),
        (Algorithm::RS256, "e", json!("AA")),
        (Algorithm::RS256, "e", json!("Ag")),
        (Algorithm::RS256, "e", json!(URL_SAFE_NO_PAD.encode([0xff; 64]))),
        (Algorithm::RS256, "kty", json!("AKP")),
        (Algorithm::RS256, "kty", json!("rsa")),
    ] {
        let refused = jwk(algorithm, &set(name, value.clone()));
        assert!(refused.is_err(), "{algorithm:?} {name} {value}: {refused:?}");
    }
}

#[test]
fn an_rsa_key_below_2048_bits_is_refused() {
    for (bits, wanted) in [(1024, 1024), (2040, 2040), (2047, 2047)] {
        let mut modulus = vec![0xff; 256];
        let zeros = 2048 - bits;
        for byte in modulus.iter_mut().take(zeros / 8) {
            *byte = 0;
        }
        modulus[zeros / 8] >>= zeros % 8;
        match Key::rsa(&modulus, &[1, 0, 1]) {
            Err(KeyError::RsaSize { bits }) => assert_eq!(bits, wanted),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_key_that_is_not_understood_does_not_spoil_its_set() {
    let good = key(Algorithm::ES256).public_jwk().unwrap();
    let set = json!({"keys": [
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"},
        {"kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY", "alg": "HS256", "kid": "shared"},
        {"kty": 7}, 7, null, {}, {"kty": "RSA", "n": "!", "e": "AQAB"},
        good,
    ]});
    let keys = key_set::from_jwks(set.to_string().as_bytes()).unwrap();
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].id(), Some("ES256"));
}

#[test]
fn what_is_no_key_set_is_refused() {
    let huge = json!({"keys": vec![json!({}); key_set::MOST_KEYS + 1]}).to_string();
    for text in [
        "",
        "<!doctype html><title>Sign in</title>",
        "[]",
        "null",
        "{}",
        r#"{"keys":[]}"#,
        r#"{"keys":{}}"#,
        r#"{"keys":null}"#,
        r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#,
        r#"{"keys":[],"keys":[]}"#,
        &huge,
    ] {
        assert!(
            key_set::from_jwks(text.as_bytes()).is_err(),
            "{}",
            &text[..40.min(text.len())]
        );
    }
}

#[test]
fn a_key_without_a_name_is_tried_for_tokens_that_name_one_that_nobody_has() {
    let nameless = {
        let mut jwk = key(Algorithm::ES256).public_jwk().unwrap();
        jwk.as_object_mut().unwrap().remove("kid");
        KeySet::new(key_set::from_jwks(jwk.to_string().as_bytes()).unwrap())
    };
    let token = key(Algorithm::ES256).sign(Algorithm::ES256, &claims()).unwrap();
    assert!(verify(&token, &nameless, &policy(), NOW).is_ok());
    let stranger = SigningKey::generate(Algorithm::ES256).unwrap();
    let unnamed = stranger.sign(Algorithm::ES256, &claims()).unwrap();
    assert_eq!(
        verify(&unnamed, &nameless, &policy(), NOW).unwrap_err(),
        TokenFault::Signature
    );
    let named = stranger.named("new").sign(Algorithm::ES256, &claims()).unwrap();
    assert_eq!(
        verify(&named, &nameless, &policy(), NOW).unwrap_err(),
        TokenFault::UnknownKey
    );
}

#[test]
fn keys_come_from_pem_as_public_keys_and_certificates() {
    for algorithm in [
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
        Algorithm::RS256,
    ] {
        let private = key(algorithm).to_pem().unwrap();
        assert!(
            matches!(pem::keys(private.as_bytes()), Err(KeyError::Format(_))),
            "a private key is refused"
        );
        let pair = rcgen::KeyPair::from_pem(&private).unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["idp.example".to_owned()])
            .unwrap()
            .self_signed(&pair)
            .unwrap()
            .pem();
        let public = pair.public_key_pem();
        let token = key(algorithm).sign(algorithm, &claims()).unwrap();
        for text in [&public, &certificate] {
            let keys = pem::keys(text.as_bytes()).unwrap();
            let set = KeySet::new(keys.into_iter().map(Arc::new).collect());
            assert!(verify(&token, &set, &policy(), NOW).is_ok(), "{algorithm:?}");
        }
        assert!(
            pem::keys(format!("{certificate}{certificate}").as_bytes()).is_err(),
            "a chain is refused"
        );
        assert_eq!(
            pem::keys(format!("{public}{public}").as_bytes()).unwrap().len(),
            2
        );
    }
    for text in [
        "",
        "hello",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    ] {
        assert!(pem::keys(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn private_keys_are_read_back_from_what_they_are_written_to() {
    for algorithm in algorithm::ALL {
        let original = key(algorithm);
        if original.kind() == KeyKind::Secret {
            assert!(original.to_pem().is_err() && original.public_jwk().is_err());
            continue;
        }
        let again = SigningKey::from_pem(original.to_pem().unwrap().as_bytes()).unwrap();
        let token = again.sign(algorithm, &claims()).unwrap();
        let nameless = verify(&token, &BENCH.set, &policy(), NOW);
        assert!(nameless.is_ok(), "{algorithm:?}");
    }
}

#[test]
fn private_jwks_of_the_rfcs_sign() {
    // RFC 7515 appendix A.3 (P-256), RFC 8037 appendix A (Ed25519), RFC 7515 appendix A.1 (a secret).
    for (jwk, algorithm) in [
        (
            r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#,
            Algorithm::ES256,
        ),
        (
            r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
                "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            Algorithm::EdDSA,
        ),
        (
            r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#,
            Algorithm::HS256,
        ),
    ] {
        let key = SigningKey::from_jwk(jwk.as_bytes()).unwrap().named("k");
        let token = key.sign(algorithm, &claims()).unwrap();
        let set = match key.public_jwk() {
            Ok(public) => key_set::from_jwks(public.to_string().as_bytes()).unwrap(),
            Err(_) => {
                let k: Value = serde_json::from_str(jwk).unwrap();
                let secret = compact::decode(k["k"].as_str().unwrap()).unwrap();
                vec![Arc::new(Key::secret(&Secret::new(secret)).unwrap())]
            }
        };
        assert!(
            verify(&token, &KeySet::new(set), &policy(), NOW).is_ok(),
            "{algorithm:?}"
        );
    }
}

#[test]
fn the_signatures_of_the_rfcs_verify() {
    // RFC 7515 appendix A.3.
    let es256 = Key::from_jwk(
        json!({
            "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        })
        .as_object()
        .unwrap(),
    )
    .unwrap();
    let signed = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = compact::decode(
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    )
    .unwrap();
    assert_eq!(
        es256.verifies(Algorithm::ES256, signed.as_bytes(), &signature),
        Some(true)
    );
    // RFC 8037 appendix A.4.
    let ed25519 = Key::from_jwk(
        json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
            .as_object()
            .unwrap(),
    )
    .unwrap();
    let signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = compact::decode(
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    )
    .unwrap();
    assert_eq!(
        ed25519.verifies(Algorithm::EdDSA, signed.as_bytes(), &signature),
        Some(true)
    );
}

#[test]
fn a_secret_below_32_bytes_is_refused() {
    let short = Secret::new(vec![7; 31]);
    assert!(matches!(
        Key::secret(&short),
        Err(KeyError::SecretSize { length: 31 })
    ));
    assert!(SigningKey::from_secret(&short).is_err());
}

#[test]
fn set_numbers_never_repeat_and_equal_keys_are_recognised() {
    let jwks = json!({"keys": [key(Algorithm::ES256).public_jwk().unwrap()]}).to_string();
    let read = || key_set::from_jwks(jwks.as_bytes()).unwrap();
    let (one, other) = (KeySet::new(read()), KeySet::new(read()));
    assert_ne!(one.generation(), other.generation());
    assert!(one.holds_exactly(other.keys()));
    let mut renamed: Value = serde_json::from_str(&jwks).unwrap();
    renamed["keys"][0]["kid"] = json!("another name");
    assert!(!one.holds_exactly(&key_set::from_jwks(renamed.to_string().as_bytes()).unwrap()));
    assert!(!one.holds_exactly(&[]));
}

fn tokens() -> &'static [String] {
    static TOKENS: LazyLock<Vec<String>> = LazyLock::new(|| {
        [
            Algorithm::RS256,
            Algorithm::PS256,
            Algorithm::ES256,
            Algorithm::ES384,
            Algorithm::EdDSA,
            Algorithm::HS256,
        ]
        .into_iter()
        .map(|algorithm| key(algorithm).sign(algorithm, &claims()).unwrap())
        .collect()
    });
    &TOKENS
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_never_panics_and_never_passes(text in "\\PC{0,300}") {
        prop_assert!(judged(&text).is_err());
    }

    #[test]
    fn arbitrary_parts_never_panic_and_never_pass(
        header in proptest::collection::vec(any::<u8>(), 0..200),
        payload in proptest::collection::vec(any::<u8>(), 0..200),
        signature in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
        let token = format!("{}.{}.{}", encode(&header), encode(&payload), encode(&signature));
        prop_assert!(judged(&token).is_err());
    }

    #[test]
    fn arbitrary_claims_under_a_good_signature_never_panic(payload in proptest::collection::vec(any::<u8>(), 1..200)) {
        prop_assert!(judged(&saying(&payload)).is_err());
    }

    #[test]
    fn one_changed_character_is_refused(which in 0..6_usize, place in any::<prop::sample::Index>(), to in "[ -~]") {
        let token = &tokens()[which];
        let place = place.index(token.len());
        let mut changed = token.clone();
        changed.replace_range(place..=place, &to);
        prop_assert_eq!(judged(&changed).is_ok(), changed == *token);
    }

    #[test]
    fn one_flipped_bit_of_a_signature_is_refused(which in 0..6_usize, bit in any::<prop::sample::Index>()) {
        let (signed, signature) = tokens()[which].rsplit_once('.').unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bytes));
        prop_assert_eq!(judged(&token), Err(TokenFault::Signature));
    }

    #[test]
    fn a_cut_token_is_refused(which in 0..6_usize, place in any::<prop::sample::Index>()) {
        let token = &tokens()[which];
        prop_assert!(judged(&token[..place.index(token.len())]).is_err());
    }
}
