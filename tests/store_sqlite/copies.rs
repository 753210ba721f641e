//! Copies of a store in use.

use std::os::unix::fs::PermissionsExt;

use futures_util::future::join;
use tollgate::store::outcome::Access;
use tollgate::store::{Store, StoreError, StorePlan};

use crate::world::{World, at, opaque, realm};

#[tokio::test]
async fn a_copy_is_a_whole_store_of_one_moment_while_writing_goes_on() {
    let world = World::in_file().await;
    let folder = world.folder.as_ref().unwrap().path().to_owned();
    for number in 0..200 {
        world.grant(&format!("before{number}"), None).await;
    }
    let copy = folder.join("copy.db");
    let writing = async {
        for number in 0..200 {
            world.grant(&format!("during{number}"), None).await;
        }
    };
    let (copied, ()) = join(world.store.backup(copy.clone()), writing).await;
    copied.unwrap();
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let store = Store::open(&StorePlan::Sqlite { path: copy.clone() })
        .await
        .unwrap();
    store.check().await.unwrap();
    let live = async |name: String| {
        let access = store.access(realm(), opaque(&name), at(1)).await.unwrap();
        matches!(access, Access::Live(_))
    };
    for number in 0..200 {
        assert!(live(format!("before{number}.access")).await, "{number}");
    }
    // Of those that came meanwhile, the first so many.
    let mut gone = false;
    for number in 0..200 {
        let there = live(format!("during{number}.access")).await;
        assert!(!(there && gone), "{number} is there and one before it is not");
        gone = !there;
    }
    drop(store);

    let again = world.store.backup(copy.clone()).await.unwrap_err();
    assert!(matches!(again, StoreError::Unavailable { .. }), "{again}");
    assert!(again.to_string().contains(copy.to_str().unwrap()));
    let nowhere = world.store.backup(folder.join("no/such/folder/copy.db")).await;
    assert!(nowhere.is_err());
    let left: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("part"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn there_is_nothing_to_copy_in_memory() {
    let error = Store::memory().backup("/tmp/never".into()).await.unwrap_err();
    assert_eq!(error, StoreError::NotSupported("backup"));
}
