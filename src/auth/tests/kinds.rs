//! Several kinds of credentials on one route: the first that is there decides.

use super::*;

const TOKEN: &str = "good-token";

async fn world() -> World {
    let world = World::new().await;
    world.issue(TOKEN, |_| {}).await;
    world.open_session("good").await;
    world
}

impl World {
    fn all(&self) -> Vec<Accepted> {
        let csrf = csrf_rule(RefererRule::None);
        vec![
            self.bearer(),
            self.api_key(),
            self.basic(),
            self.session(&["session"], Some(csrf)),
        ]
    }
}

#[tokio::test]
async fn each_kind_is_recognised_alone() {
    let world = world().await;
    let door = world.door(world.all());
    for (call, wanted) in [
        (Call::get().bearer(TOKEN), CredentialKind::Token),
        (Call::get().api_key(TOKEN), CredentialKind::ApiKey),
        (Call::get().basic("alice", "right"), CredentialKind::Basic),
        (Call::get().cookie("session=good"), CredentialKind::Session),
    ] {
        for _ in 0..2 {
            let caller = door.ask(&call).await.unwrap();
            assert_eq!(caller.identity().unwrap().kind, wanted);
        }
    }
    assert_eq!(door.code(&Call::get()).await, Some(Code::CredentialsMissing));
}

#[tokio::test]
async fn a_wrong_credential_of_an_earlier_kind_is_refused_whatever_else_is_there() {
    let world = world().await;
    let door = world.door(world.all());
    let good = || Call::get().cookie("session=good").api_key(TOKEN);
    for (call, wanted) in [
        (good().bearer("bad"), Code::CredentialsInvalid),
        (
            Call::get().cookie("session=good").basic("alice", "wrong"),
            Code::SignInFailed,
        ),
        (
            Call::get().cookie("session=good").api_key("bad"),
            Code::CredentialsInvalid,
        ),
        (
            Call::get().cookie("session=good").basic("alice", "right").plain(),
            Code::CredentialsInvalid,
        ),
    ] {
        assert_eq!(door.code(&call).await, Some(wanted));
    }
    let session_first = world.door(vec![world.session(&["session"], None), world.bearer()]);
    let call = Call::get().bearer(TOKEN).cookie("session=bad");
    assert_eq!(session_first.code(&call).await, Some(Code::SessionEnded));
}

#[tokio::test]
async fn a_good_credential_of_an_earlier_kind_decides_whatever_else_is_there() {
    let world = world().await;
    let door = world.door(world.all());
    let kind = async |call: Call| door.ask(&call).await.unwrap().identity().unwrap().kind;
    let bad = || Call::post().cookie("session=bad");
    assert_eq!(kind(bad().bearer(TOKEN)).await, CredentialKind::Token);
    assert_eq!(kind(bad().api_key(TOKEN)).await, CredentialKind::ApiKey);
    assert_eq!(kind(bad().basic("alice", "right")).await, CredentialKind::Basic);
}

#[tokio::test]
async fn a_csrf_value_is_asked_of_sessions_alone() {
    let world = world().await;
    let door = world.door(world.all());
    for call in [
        Call::post().bearer(TOKEN),
        Call::post().api_key(TOKEN),
        Call::post().basic("alice", "right"),
        Call::post().bearer(TOKEN).cookie("session=good"),
        Call::post().cookie("session=good").csrf("csrf-good"),
    ] {
        assert_eq!(door.code(&call).await, None);
    }
    let bare = Call::post().cookie("session=good");
    assert_eq!(door.code(&bare).await, Some(Code::CsrfFailed));
}

#[tokio::test]
async fn a_scheme_that_the_route_does_not_take_is_not_there() {
    let world = world().await;
    let door = world.door(vec![world.bearer(), world.session(&["session"], None)]);
    let basic = || Call::get().basic("alice", "wrong");
    assert_eq!(door.code(&basic().cookie("session=good")).await, None);
    assert_eq!(door.code(&basic()).await, Some(Code::CredentialsMissing));
    let digest = Call::get().with(AUTHORIZATION, "Digest username=x");
    assert_eq!(door.code(&digest).await, Some(Code::CredentialsMissing));
}

#[tokio::test]
async fn two_credentials_in_one_field_are_a_bad_request() {
    let world = world().await;
    let door = world.door(world.all());
    for call in [
        Call::get().bearer(TOKEN).bearer(TOKEN),
        Call::get().bearer(TOKEN).basic("alice", "right"),
        Call::get().basic("alice", "right").basic("alice", "right"),
        Call::get().api_key(TOKEN).api_key(TOKEN),
    ] {
        assert_eq!(door.code(&call).await, Some(Code::BadRequest));
    }
    let only_basic = world.door(vec![world.basic()]);
    let twice = Call::get().basic("alice", "right").bearer(TOKEN);
    assert_eq!(only_basic.code(&twice).await, Some(Code::BadRequest));
}

#[tokio::test]
async fn an_api_key_is_one_token_in_its_own_header() {
    let world = world().await;
    let door = world.door(vec![world.api_key()]);
    let long = "a".repeat(9_000);
    for (key, wanted) in [
        (TOKEN, None),
        ("bad", Some(Code::CredentialsInvalid)),
        ("", Some(Code::CredentialsInvalid)),
        (long.as_str(), Some(Code::CredentialsInvalid)),
        ("a.b.c", Some(Code::CredentialsInvalid)),
    ] {
        assert_eq!(door.code(&Call::get().api_key(key)).await, wanted, "{key}");
    }
    let elsewhere = Call::get().bearer(TOKEN);
    assert_eq!(door.code(&elsewhere).await, Some(Code::CredentialsMissing));
    let revoked = world.store().revoke_access(
        realm_name(),
        AccessKey::Opaque(Digest::of(TOKEN)),
        world.now(),
        world.by(),
    );
    revoked.await.unwrap();
    assert_eq!(
        door.code(&Call::get().api_key(TOKEN)).await,
        Some(Code::CredentialsInvalid)
    );
}
