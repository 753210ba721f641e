//! A disk that is full, or cannot be written to: validation goes on, what must be written is refused, and all is well again by
//! itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use tollgate::store::backend::SweepPlan;
use tollgate::store::outcome::{Access, Revocation};
use tollgate::store::sqlite::Settings;
use tollgate::store::{Outage, Store, StoreError, StorePlan};

use crate::child::Process;
use crate::world::{DAY, a_family, at, opaque, operator, realm, tokens};

/// A file system of one megabyte in memory; gone when the test is.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where one may not mount.
    fn mount(folder: &Path) -> Option<SmallDisk> {
        std::fs::create_dir(folder).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(folder)
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then(|| SmallDisk(folder.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

async fn issue(store: &Store, name: &str) -> Result<(), StoreError> {
    let tokens = tokens(&format!("{name}.access"), Some(&format!("{name}.refresh")), 0);
    store
        .issue(a_family("app", None), tokens, operator(0))
        .await
        .map(drop)
}

async fn works(store: &Store, name: &str) -> bool {
    let access = store
        .access(realm(), opaque(&format!("{name}.access")), at(1))
        .await
        .unwrap();
    matches!(access, Access::Live(_))
}

/// What could be issued, and what was refused.
struct Filled {
    issued: Vec<String>,
    refused: Vec<String>,
}

/// Issues until there is no room. One transaction needs more than another, so a refusal is not yet the end; many in a row are.
async fn fill(store: &Store) -> Filled {
    let mut filled = Filled {
        issued: Vec::new(),
        refused: Vec::new(),
    };
    let mut in_a_row = 0;
    for number in 0..100_000 {
        let name = format!("n{number}");
        match issue(store, &name).await {
            Ok(()) => {
                filled.issued.push(name);
                in_a_row = 0;
            }
            Err(error) => {
                assert!(error.is_transient(), "{error}");
                let full = matches!(
                    error,
                    StoreError::Unavailable {
                        outage: Outage::DiskFull,
                        ..
                    }
                );
                assert!(full, "{error}");
                filled.refused.push(name);
                in_a_row += 1;
            }
        }
        if in_a_row == 20 {
            filled.holds(store).await;
            return filled;
        }
    }
    panic!("there is no end to this disk")
}

impl Filled {
    /// What was acknowledged works, and what was refused did not happen.
    async fn holds(&self, store: &Store) {
        assert!(self.issued.len() > 10, "{}", self.issued.len());
        for name in &self.issued {
            assert!(works(store, name).await, "{name} was acknowledged");
        }
        for name in &self.refused {
            assert!(!works(store, name).await, "{name} was refused");
        }
    }
}

#[tokio::test]
async fn on_a_full_disk_tokens_are_still_good_nothing_is_issued_and_room_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    let Some(small) = SmallDisk::mount(&disk) else {
        println!("no right to mount: the disk is full by SQLite's max_page_count");
        return full_by_page_count(&folder.path().join("store.db")).await;
    };
    println!("a full tmpfs of 1 MiB");
    let ballast = disk.join("ballast");
    std::fs::write(&ballast, vec![0; 256 << 10]).unwrap();
    let path = disk.join("store.db");
    let store = Store::open(&StorePlan::Sqlite { path: path.clone() })
        .await
        .unwrap();
    let mut filled = fill(&store).await;

    std::fs::remove_file(&ballast).unwrap();
    issue(&store, "after").await.unwrap();
    assert!(works(&store, "after").await);
    let revoked = store.revoke_access(realm(), opaque("n0.access"), at(DAY), operator(1));
    assert_eq!(revoked.await.unwrap(), Revocation::Revoked);
    assert!(!works(&store, "n0").await);
    store.check().await.unwrap();
    drop(store);

    let store = Store::open(&StorePlan::Sqlite { path }).await.unwrap();
    filled.refused.push(filled.issued.remove(0));
    filled.issued.push("after".to_owned());
    filled.holds(&store).await;
    drop((store, small));
}

async fn full_by_page_count(path: &Path) {
    let settings = Settings {
        most_pages: Some(100),
        ..Settings::default()
    };
    let store = Store::in_file(path, settings).await.unwrap();
    let filled = fill(&store).await;
    // Sweeping needs no more pages, and makes room.
    while store
        .sweep(SweepPlan::default(), at(2 * DAY))
        .await
        .unwrap()
        .removed
        > 0
    {}
    for number in 0..filled.issued.len() / 2 {
        issue(&store, &format!("after{number}")).await.unwrap();
    }
    assert!(works(&store, "after0").await && !works(&store, "n0").await);
}

#[tokio::test]
async fn sweeping_makes_room_in_a_file_that_may_not_grow() {
    let folder = tempfile::tempdir().unwrap();
    full_by_page_count(&folder.path().join("store.db")).await;
}

/// `RLIMIT_FSIZE` of the other process, changed while it runs: every write beyond it fails, as on a device that has turned
/// read-only. (SIGXFSZ is ignored before it starts.)
#[tokio::test]
async fn a_device_that_refuses_writes_stops_nothing_but_writing_and_mends_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut child = Process::start(&path, Some("trap '' XFSZ"));
    assert_eq!(child.ask("issue before"), "done");
    let limit = |child: &Process, size: &str| {
        let status = Command::new("prlimit")
            .args(["--pid", &child.child.id().to_string(), &format!("--fsize={size}")])
            .status()
            .expect("prlimit (util-linux) is there");
        assert!(status.success());
    };
    limit(&child, "0:unlimited");
    for _ in 0..3 {
        assert_eq!(child.ask("issue refused"), "unavailable: io");
        assert_eq!(child.ask("unissue before"), "unavailable: io");
        assert_eq!(child.ask("access before"), "live");
    }
    limit(&child, "unlimited:unlimited");
    assert_eq!(child.ask("issue after"), "done");
    assert_eq!(child.ask("unissue before"), "Revoked");
    assert_eq!(child.ask("access refused"), "Unknown");
    drop(child);
    let store = Store::open(&StorePlan::Sqlite { path }).await.unwrap();
    store.check().await.unwrap();
    assert!(works(&store, "after").await && !works(&store, "before").await);
}
