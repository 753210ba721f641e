//! The JWS vectors of Wycheproof (`tests/wycheproof`, its licence beside them), judged one by one.
//!
//! Their payloads are no claims, so a token whose signature is good is refused for its claims, which are read last: that
//! fault, and no other, says that the signature was accepted.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tollgate::base::clock::UnixTime;
use tollgate::base::secret::Secret;
use tollgate::jose::sign::SigningKey;
use tollgate::jose::verify::{Policy, verify};
use tollgate::jose::{Key, KeySet, TokenFault, algorithm};

fn vectors() -> Value {
    serde_json::from_str(include_str!("wycheproof/json_web_signature_test.json")).unwrap()
}

/// The group's key; `None` for one that is not for verifying tokens here.
fn key(group: &Value) -> Option<Key> {
    match group.get("public") {
        Some(public) => Key::from_jwk(public.as_object()?).ok(),
        None => {
            let secret = URL_SAFE_NO_PAD
                .decode(group.pointer("/private/k")?.as_str()?)
                .ok()?;
            Key::secret(&Secret::new(secret)).ok()
        }
    }
}

fn policy() -> Policy {
    Policy {
        issuer: "nobody".to_owned(),
        audience: Vec::new(),
        algorithms: algorithm::ALL.to_vec(),
        types: Vec::new(),
        leeway: 0,
    }
}

/// Valid by the RFCs, and refused here on purpose.
fn refused_on_purpose(comment: &str, fault: TokenFault) -> bool {
    match comment {
        // Nothing is signed: no claims.
        "emptyPayload" => fault == TokenFault::Parts,
        // Figure 20 is PS384 by a key whose JWK says PS256; figure 27 is ES512, which is not spoken here.
        "Figure20" => fault == TokenFault::KeyAlgorithm,
        "Figure27" => fault == TokenFault::Algorithm,
        // A decoder may skip signs outside the alphabet; then a token has many spellings.
        "InvalidCharacterInsertedInHeader" => fault == TokenFault::Encoding,
        // The signature is that of the spelling without the sign.
        "InvalidCharacterInsertedInPayload" => fault == TokenFault::UnknownKey,
        _ => false,
    }
}

#[test]
fn every_vector_is_judged_right() {
    let vectors = vectors();
    let groups = vectors["testGroups"].as_array().unwrap();
    let cases: Vec<(&Value, &Value)> = groups
        .iter()
        .flat_map(|group| {
            group["tests"]
                .as_array()
                .unwrap()
                .iter()
                .map(move |case| (group, case))
        })
        .collect();
    assert_eq!(cases.len(), 401);
    let mut accepted = 0;
    for (group, case) in &cases {
        let set = KeySet::new(key(group).into_iter().map(Arc::new).collect());
        let token = case["jws"].as_str().unwrap();
        let comment = case["comment"].as_str().unwrap();
        let fault = verify(token, &set, &policy(), UnixTime(0)).unwrap_err();
        let name = format!("{} {} {comment}: {fault:?}", case["tcId"], group["comment"]);
        if fault == TokenFault::Claims {
            // Two cases are called invalid for a padding that their text does not have: it is a valid case's, letter for
            // letter.
            let valid = cases
                .iter()
                .any(|(_, other)| other["result"] == "valid" && other["jws"] == case["jws"]);
            assert!(valid, "accepted: {name}");
            accepted += 1;
        } else {
            let invalid = case["result"] == "invalid";
            assert!(invalid || refused_on_purpose(comment, fault), "refused: {name}");
        }
    }
    assert_eq!(accepted, 34 + 2);
}

#[test]
fn private_keys_of_the_vectors_sign_what_their_public_halves_verify() {
    let mut kinds = Vec::new();
    for group in vectors()["testGroups"].as_array().unwrap() {
        let (Ok(signer), Some(key)) = (
            SigningKey::from_jwk(group["private"].to_string().as_bytes()),
            key(group),
        ) else {
            continue;
        };
        let algorithm = key.algorithms().next().unwrap();
        let token = signer.sign(algorithm, &serde_json::Map::new()).unwrap();
        let set = KeySet::new(vec![Arc::new(key)]);
        let fault = verify(&token, &set, &policy(), UnixTime(0)).unwrap_err();
        assert_eq!(fault, TokenFault::Claim("exp"), "{}", group["comment"]);
        kinds.push(signer.kind());
    }
    kinds.dedup();
    assert!(kinds.len() >= 3, "{kinds:?}");
}
