//! What is stolen with the file opens nothing.

use std::path::Path;

use tollgate::base::digest::Digest;
use tollgate::base::secret::Secret;
use tollgate::identity::Jti;
use tollgate::store::backend::{Existing, PresentedCode, SweepPlan};
use tollgate::store::model::{AccessKey, Application, AuthorizationCode, UserState};
use tollgate::store::outcome::{Redemption, Rotation};

use crate::world::{
    DAY, World, a_code, a_session, an_application, at, client, first, next, operator, present, realm,
    refreshing,
};

/// Every value that opens something, as its holder has it.
const SECRETS: [&str; 11] = [
    "canary-client-secret-1",
    "canary-client-secret-2",
    "canary-session-id",
    "canary-csrf-value-1",
    "canary-csrf-value-2",
    "canary-code",
    "canary-code-verifier",
    "canary-access-1",
    "canary-refresh-1",
    "canary-access-2",
    "canary-refresh-2",
];

const HASHES: [&str; 2] = ["$argon2id$canary-hash-1", "$argon2id$canary-hash-2"];

fn found(folder: &Path, needles: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.is_empty() || path.to_string_lossy().contains("-wal"));
        for needle in needles {
            if bytes
                .windows(needle.len())
                .any(|window| window == needle.as_bytes())
            {
                found.push(format!("{needle} in {}", path.display()));
            }
        }
    }
    found
}

#[tokio::test]
async fn after_a_whole_life_the_file_holds_no_value_that_opens_anything() {
    let world = World::in_file().await;
    let store = &world.store;
    let anna = world.user("anna").await;
    let app = Application {
        secret: Some(Digest::of(SECRETS[0])),
        ..an_application("app")
    };
    store.create_application(app, operator(0)).await.unwrap();
    store
        .rotate_secret(realm(), client("app"), Digest::of(SECRETS[1]), operator(1))
        .await
        .unwrap();
    for hash in HASHES {
        let hash = Secret::new(hash.as_bytes().to_vec());
        store
            .set_password(realm(), anna.id, hash, Existing::Keep, operator(1))
            .await
            .unwrap();
    }

    let mut session = a_session(SECRETS[2], anna.id);
    session.session.csrf = Digest::of(SECRETS[3]);
    store.open_session(session, operator(2)).await.unwrap();
    store
        .change_csrf(realm(), Digest::of(SECRETS[2]), Digest::of(SECRETS[4]), at(3))
        .await
        .unwrap();
    let code = AuthorizationCode {
        challenge: Some(Digest::of(SECRETS[6])),
        ..a_code(SECRETS[5], anna.id)
    };
    store.store_code(code).await.unwrap();
    let presented = PresentedCode {
        verifier: Some(Digest::of(SECRETS[6])),
        ..present(SECRETS[5])
    };
    let redeemed = store
        .redeem_code(presented.clone(), first(SECRETS[7], SECRETS[8], 4), at(4))
        .await
        .unwrap();
    assert!(matches!(redeemed, Redemption::Redeemed(_)));
    let rotated = store
        .rotate_refresh(refreshing(SECRETS[8]), next(SECRETS[9], SECRETS[10], 5), at(5))
        .await
        .unwrap();
    assert!(matches!(rotated, Rotation::Rotated(_)));
    let jti = AccessKey::Jwt(Jti::random());
    store
        .revoke_access(realm(), jti, at(DAY), operator(5))
        .await
        .unwrap();
    store
        .redeem_code(presented, first("x", "y", 6), at(6))
        .await
        .unwrap();
    store
        .end_session(realm(), Digest::of(SECRETS[2]), operator(7))
        .await
        .unwrap();

    let folder = world.folder.as_ref().unwrap().path();
    store.backup(folder.join("copy.db")).await.unwrap();
    assert_eq!(found(folder, &SECRETS), [""; 0]);
    assert!(
        !found(folder, &HASHES).is_empty(),
        "the search finds what is there"
    );

    store
        .change_user_state(realm(), anna.id, UserState::Disabled, operator(8))
        .await
        .unwrap();
    store.delete_user(realm(), anna.id, operator(9)).await.unwrap();
    store.sweep(SweepPlan::default(), at(3 * DAY)).await.unwrap();
    store.close().await.unwrap();
    std::fs::remove_file(folder.join("copy.db")).unwrap();
    assert_eq!(found(folder, &SECRETS), [""; 0]);
    assert_eq!(found(folder, &HASHES), [""; 0], "the hash went with the user");
}
