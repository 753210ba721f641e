use std::fs;

use super::*;
use crate::jose::fault::TokenFault;
use crate::jose::key_folder::Retiring;
use crate::jose::key_set;
use crate::jose::verify::{Policy, verify};

const NOW: UnixTime = UnixTime(1_700_000_000);

fn opened() -> (tempfile::TempDir, Arc<KeyStore>) {
    let place = tempfile::tempdir().unwrap();
    let keys = KeyStore::open(&place.path().join("keys"), Algorithm::ES256, NOW).unwrap();
    (place, keys)
}

fn claims() -> Map<String, Value> {
    let claims = json!({ "iss": "i", "aud": "a", "sub": "s", "iat": NOW.0, "exp": NOW.0 + 60 });
    claims.as_object().unwrap().clone()
}

fn verdict(token: &str, keys: &KeySet) -> Result<(), TokenFault> {
    let policy = Policy {
        issuer: "i".to_owned(),
        audience: vec!["a".to_owned()],
        algorithms: vec![Algorithm::ES256],
        types: vec!["at+jwt".to_owned()],
        leeway: 0,
    };
    verify(token, keys, &policy, NOW).map(drop)
}

fn rotate(keys: &KeyStore, retiring: Retiring) {
    keys.folder.rotate(retiring, NOW).unwrap();
    assert_eq!(keys.look_again().unwrap(), Looked::Renewed);
    assert_eq!(keys.look_again().unwrap(), Looked::Same);
}

#[test]
fn a_token_is_good_while_its_key_is_next_current_or_previous_and_stops_with_it() {
    let (_place, keys) = opened();
    let token = keys.sign("at+jwt", &claims()).unwrap();
    let first = keys.generation();
    assert_eq!(verdict(&token, &keys.verifying()), Ok(()));
    rotate(&keys, Retiring::Keep);
    assert_ne!(keys.generation(), first);
    assert_eq!(keys.generation(), keys.verifying().generation());
    assert_eq!(verdict(&token, &keys.verifying()), Ok(()));
    let second = keys.sign("at+jwt", &claims()).unwrap();
    rotate(&keys, Retiring::KeepAndForce);
    assert_eq!(verdict(&token, &keys.verifying()), Err(TokenFault::UnknownKey));
    assert_eq!(verdict(&second, &keys.verifying()), Ok(()));
    rotate(&keys, Retiring::Revoke);
    assert_eq!(verdict(&second, &keys.verifying()), Err(TokenFault::UnknownKey));
}

#[test]
fn what_is_published_today_verifies_what_is_signed_after_the_next_rotation() {
    let (_place, keys) = opened();
    let published = KeySet::new(key_set::from_jwks(&keys.published()).unwrap());
    assert_eq!(published.keys().len(), 2);
    let current = keys.sign("at+jwt", &claims()).unwrap();
    rotate(&keys, Retiring::Keep);
    let next = keys.sign("at+jwt", &claims()).unwrap();
    for token in [current, next] {
        assert_eq!(verdict(&token, &published), Ok(()));
    }
}

#[test]
fn the_published_set_has_names_and_no_private_halves() {
    for algorithm in [
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::RS256,
        Algorithm::EdDSA,
    ] {
        let place = tempfile::tempdir().unwrap();
        let keys = KeyStore::open(place.path(), algorithm, NOW).unwrap();
        let set: Value = serde_json::from_slice(&keys.published()).unwrap();
        let jwks = set["keys"].as_array().unwrap();
        let entries = keys.entries();
        assert_eq!(entries[0].state, KeyState::Current);
        for (jwk, entry) in jwks.iter().zip(&entries) {
            assert_eq!(jwk["kid"], entry.kid);
            assert_eq!(jwk["use"], "sig");
            for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                assert_eq!(jwk.get(private), None, "{algorithm:?}");
            }
        }
        assert!(keys.sign("at+jwt", &claims()).is_ok());
    }
}

#[test]
fn a_token_says_its_type_and_its_key() {
    let (_place, keys) = opened();
    let token = keys.sign("at+jwt", &claims()).unwrap();
    let header = crate::jose::compact::split(&token).unwrap().header;
    assert_eq!(header.kind.as_deref(), Some("at+jwt"));
    assert_eq!(header.key.as_deref(), Some(keys.entries()[0].kid.as_str()));
    let other = keys.sign("JWT", &claims()).unwrap();
    assert_eq!(verdict(&other, &keys.verifying()), Err(TokenFault::Type));
}

#[test]
fn a_folder_that_is_out_of_order_leaves_the_keys_as_they_are() {
    let (_place, keys) = opened();
    let token = keys.sign("at+jwt", &claims()).unwrap();
    let index = keys.folder.path().join("index.json");
    let good = fs::read(&index).unwrap();
    for bad in [Some("{"), None] {
        match bad {
            Some(text) => fs::write(&index, text).unwrap(),
            None => fs::remove_file(&index).unwrap(),
        }
        assert!(keys.look_again().is_err());
        assert_eq!(verdict(&token, &keys.verifying()), Ok(()));
        assert!(keys.sign("at+jwt", &claims()).is_ok());
    }
    fs::write(&index, good).unwrap();
    assert_eq!(keys.look_again().unwrap(), Looked::Same);
}

#[test]
fn a_reload_keeps_the_store_and_finds_what_was_rotated() {
    let (_place, keys) = opened();
    let path = keys.folder.path().to_owned();
    let token = keys.sign("at+jwt", &claims()).unwrap();
    keys.folder.rotate(Retiring::Revoke, NOW).unwrap();
    let carried = KeyStore::carried(&path, Algorithm::ES256, NOW, Some(&keys)).unwrap();
    assert!(Arc::ptr_eq(&carried, &keys));
    assert_eq!(verdict(&token, &keys.verifying()), Err(TokenFault::UnknownKey));
    let refused = KeyStore::carried(&path, Algorithm::RS256, NOW, Some(&keys)).unwrap_err();
    assert!(
        matches!(
            refused,
            KeyStoreError::Folder(KeyFolderError::Algorithm { wanted: "RS256", .. })
        ),
        "{refused}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_running_store_notices_a_rotation_by_itself() {
    let (_place, keys) = opened();
    let first = keys.generation();
    keys.start();
    keys.start();
    keys.folder.rotate(Retiring::Keep, NOW).unwrap();
    while keys.generation() == first {
        tokio::time::advance(LOOK_EVERY).await;
        tokio::task::yield_now().await;
    }
}
