//! Has a file of the configuration changed? By content, so that a ConfigMap's symlink swap, an editor's rename and a
//! rewrite in place all count, and a mere touch does not.

use std::hash::BuildHasher;
use std::path::PathBuf;

/// What a set of files held at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(Vec<Option<u64>>);

/// Looks at files again and again, and says when they differ from the last look.
#[derive(Debug)]
pub struct Watch {
    files: Vec<PathBuf>,
    last: Fingerprint,
    hasher: foldhash::fast::RandomState,
}

impl Watch {
    /// Starts to watch; what the files hold now is the state of reference.
    pub fn new(files: Vec<PathBuf>) -> Watch {
        let hasher = foldhash::fast::RandomState::default();
        let last = look(&files, &hasher);
        Watch { files, last, hasher }
    }

    /// Watches these files from now on (a reload may name others). The reference moves only where a file is new.
    pub fn follow(&mut self, files: Vec<PathBuf>) {
        if files != self.files {
            self.files = files;
            self.last = look(&self.files, &self.hasher);
        }
    }

    /// True once for each change. A file that is being replaced (missing for the moment) counts when it is back.
    pub fn changed(&mut self) -> bool {
        let now = look(&self.files, &self.hasher);
        if now == self.last {
            return false;
        }
        let missing_now = now
            .0
            .iter()
            .zip(&self.last.0)
            .any(|(now, last)| now.is_none() && last.is_some());
        if missing_now {
            return false;
        }
        self.last = now;
        true
    }
}

fn look(files: &[PathBuf], hasher: &foldhash::fast::RandomState) -> Fingerprint {
    Fingerprint(
        files
            .iter()
            .map(|file| {
                let content = std::fs::read(file).ok()?;
                Some(hasher.hash_one(content))
            })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symlink_swap_is_a_change_and_a_touch_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("..1"), folder.path().join("..2"));
        std::fs::create_dir(&one).unwrap();
        std::fs::create_dir(&two).unwrap();
        std::fs::write(one.join("t.yaml"), "a").unwrap();
        std::fs::write(two.join("t.yaml"), "b").unwrap();
        let data = folder.path().join("..data");
        std::os::unix::fs::symlink(&one, &data).unwrap();
        let file = folder.path().join("t.yaml");
        std::os::unix::fs::symlink("..data/t.yaml", &file).unwrap();
        let mut watch = Watch::new(vec![file.clone()]);
        std::fs::write(one.join("t.yaml"), "a").unwrap();
        assert!(!watch.changed(), "the same content");
        let next = folder.path().join("..next");
        std::os::unix::fs::symlink(&two, &next).unwrap();
        std::fs::rename(&next, &data).unwrap();
        assert!(watch.changed());
        assert!(!watch.changed(), "once for each change");
    }

    #[test]
    fn a_file_that_is_gone_for_a_moment_counts_when_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.yaml");
        std::fs::write(&file, "a").unwrap();
        let mut watch = Watch::new(vec![file.clone()]);
        std::fs::remove_file(&file).unwrap();
        assert!(!watch.changed());
        std::fs::write(&file, "b").unwrap();
        assert!(watch.changed());
    }
}
