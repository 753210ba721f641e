//! `tollgate store` beside a gateway that writes.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Output;

use crate::support::process::tollgate;
use crate::support::world::{PASSWORD, World, cookie};

const ROUTES: &str = r#"
      - path: /login
        methods: [POST]
        public: true
        to: { sign-in: { realm: staff, body: { json: {} }, gives: session } }
      - path: /{*rest}
        to: { backend: backend }
"#;

async fn store(words: &[&Path]) -> Output {
    let words = [OsStr::new("store")]
        .into_iter()
        .chain(words.iter().map(|word| word.as_os_str()));
    tollgate(words, "").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_made_beside_a_gateway_is_a_store_to_go_back_to() {
    let world = World::with("{ sqlite: FOLDER/store.db }", ROUTES).await;
    let session = |got: &_| format!("sid={}", cookie(got, "sid"));
    let before = session(&world.sign_in("alice", PASSWORD).await);
    let (file, copy) = (world.folder().join("store.db"), world.folder().join("copy.db"));
    let writing = async {
        for _ in 0..20 {
            assert!(world.sign_in("bob", PASSWORD).await.status.is_success());
        }
    };
    let words = [Path::new("backup"), &file, &copy];
    let (made, ()) = tokio::join!(store(&words), writing);
    assert!(made.status.success(), "{made:?}");
    assert!(store(&[Path::new("check"), &copy]).await.status.success());
    let again = store(&[Path::new("backup"), &file, &copy]).await;
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("copy.db"));

    // Back to it, as the manual says: what came later is gone, and what was there works.
    let after = session(&world.sign_in("alice", PASSWORD).await);
    world.gateway.drain().await;
    std::fs::rename(&copy, &file).unwrap();
    for beside in ["store.db-wal", "store.db-shm"] {
        let _ = std::fs::remove_file(world.folder().join(beside));
    }
    let world = world.restart().await;
    let status = async |cookie: &str| {
        world
            .call("GET", "/x", &[("cookie", cookie)], "")
            .await
            .status
            .as_u16()
    };
    assert_eq!((status(&before).await, status(&after).await), (200, 401));
}

#[tokio::test]
async fn what_is_no_store_is_neither_copied_nor_called_sound() {
    let folder = tempfile::tempdir().unwrap();
    let (no_store, missing) = (folder.path().join("no.db"), folder.path().join("missing.db"));
    std::fs::write(
        &no_store,
        "this is a text and no store at all, and long enough to be looked at as one",
    )
    .unwrap();
    for from in [&no_store, &missing] {
        let to = folder.path().join("copy.db");
        let copied = store(&[Path::new("backup"), from, &to]).await;
        assert_eq!(copied.status.code(), Some(1), "{copied:?}");
        assert!(!to.exists());
        let checked = store(&[Path::new("check"), from]).await;
        assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    }
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing is left behind"
    );
}
